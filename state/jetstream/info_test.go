package jetstream_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alf/state/jetstream"
)

func TestInfo(t *testing.T) {
	o := jetstream.Options{Dir: t.TempDir(), History: 7, SyncAlways: true, Version: "1.2.3"}
	r, stop := open(t, o)
	furnish(t, r)
	check := func(r *jetstream.Record) jetstream.Info {
		t.Helper()
		i, err := r.Info(t.Context())
		if err != nil || i.Where != o.Dir || i.Alf != "1.2.3" || i.Keys != 8 || i.Last != 906 || len(i.Streams) != 9 || len(i.Places) != 1 {
			t.Errorf("Info = %+v, %v", i, err)
		}
		for _, s := range i.Streams {
			if s.Lost > 0 || s.Messages > 0 && (s.Oldest.IsZero() || s.Newest.Before(s.Oldest)) {
				t.Errorf("%+v", s)
			}
			if s.Name == "ALF_DOCS" && s.Messages != 3 || s.Name == "ALF_RESULTS_2M" && s.PerKey != 7 {
				t.Errorf("%+v", s)
			}
		}
		return i
	}
	check(r)
	if s := r.Stats(); s.Syncs < s.Appends || s.SyncTime <= 0 || s.SyncTime > s.AppendTime*2 {
		t.Errorf("Stats = %+v, want the waits for the disk", s)
	}
	stop()
	o.ReadOnly = true
	r, err := jetstream.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	check(r)
}

// TestInfoTellsOfDamage: what the server found damaged is told, and the rest is
// exported.
func TestInfoTellsOfDamage(t *testing.T) {
	o := jetstream.Options{Dir: t.TempDir()}
	r, stop := open(t, o)
	for n := range 50 {
		put(t, r, result(web, n+1))
	}
	consume(t, r, "carbon", "50")
	stop()
	blocks, _ := filepath.Glob(filepath.Join(o.Dir, "jetstream/$G/streams/ALF_FEED/msgs/*.blk"))
	if len(blocks) != 1 {
		t.Fatalf("blocks: %v", blocks)
	}
	text, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	copy(text[len(text)/2:], bytes.Repeat([]byte{0xff}, 20))
	if err := os.WriteFile(blocks[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(blocks[0]), "index.db")); err != nil {
		t.Fatal(err)
	}
	o.ReadOnly = true
	r, err = jetstream.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	info, err := r.Info(t.Context())
	if err != nil || info.Streams[len(info.Streams)-1].LostBytes == 0 {
		t.Errorf("Info = %+v, %v, want lost bytes in the feed", info.Streams, err)
	}
	exported := export(t, r)
	n := strings.Count(exported, `"type":"feed"`)
	missing := fmt.Sprintf(`{"type":"damaged","text":"events %d to 50 of the feed are missing"}`, n+1)
	if n < 10 || n > 40 || !strings.Contains(exported, missing) {
		t.Errorf("%d events are exported; want some and %s", n, missing)
	}
}
