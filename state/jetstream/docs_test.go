package jetstream_test

import (
	"errors"
	"testing"

	"alf/state"
	"alf/state/jetstream"
)

// TestDocumentsStay: documents, and that one was dropped, are there after a
// restart, and so are the revisions.
func TestDocumentsStay(t *testing.T) {
	o := jetstream.Options{Dir: t.TempDir(), SyncAlways: true}
	r, stop := open(t, o)
	put := func(name, data string, rev state.Revision) state.Revision {
		t.Helper()
		next, err := r.PutDocument(t.Context(), name, []byte(data), rev)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	kept := put("kept", "2", put("kept", "1", 0))
	dropped := put("dropped", "1", 0)
	if err := r.DeleteDocument(t.Context(), "dropped", dropped); err != nil {
		t.Fatal(err)
	}
	stop()
	r, _ = open(t, o)
	all, err := r.Documents(t.Context(), "")
	if err != nil || len(all) != 1 || all[0].Name != "kept" || string(all[0].Data) != "2" || all[0].Revision != kept {
		t.Errorf("Documents = %+v, %v, want the one that was kept, of revision %d", all, err, kept)
	}
	if _, err := r.PutDocument(t.Context(), "kept", nil, kept-1); !errors.Is(err, state.ErrConflict) {
		t.Errorf("PutDocument with an old revision = %v, want ErrConflict", err)
	}
	if rev := put("dropped", "2", 0); rev <= dropped {
		t.Errorf("what was dropped comes back with revision %d, want more than %d", rev, dropped)
	}
}
