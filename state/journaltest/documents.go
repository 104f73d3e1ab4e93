package journaltest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"alf/state"
)

func documentsAreCompared(t *testing.T, r Record) {
	put := func(data string, rev state.Revision, want error) state.Revision {
		t.Helper()
		next, err := r.PutDocument(t.Context(), "a", []byte(data), rev)
		if !errors.Is(err, want) || err == nil && next <= rev {
			t.Errorf("PutDocument(%q, %d) = %d, %v, want a higher revision, %v", data, rev, next, err, want)
		}
		return next
	}
	drop := func(rev state.Revision, want error) {
		t.Helper()
		if err := r.DeleteDocument(t.Context(), "a", rev); !errors.Is(err, want) {
			t.Errorf("DeleteDocument(%d) = %v, want %v", rev, err, want)
		}
	}
	is := func(data string, rev state.Revision) {
		t.Helper()
		d, err := r.Document(t.Context(), "a")
		if err != nil || d.Name != "a" || string(d.Data) != data || d.Revision != rev {
			t.Errorf("Document = %+v, %v, want %q of revision %d", d, err, data, rev)
		}
	}
	if d, err := r.Document(t.Context(), "a"); !errors.Is(err, state.ErrNoDocument) {
		t.Errorf("Document = %+v, %v, want ErrNoDocument", d, err)
	}
	drop(0, state.ErrNoDocument)
	put("early", 7, state.ErrConflict)
	one := put("one", 0, nil)
	is("one", one)
	put("other", 0, state.ErrConflict)
	two := put("", one, nil)
	put("other", one, state.ErrConflict)
	is("", two)
	drop(one, state.ErrConflict)
	drop(0, state.ErrConflict)
	drop(two, nil)
	drop(two, state.ErrNoDocument)
	put("other", two, state.ErrConflict)
	three := put("three", 0, nil)
	if three <= two {
		t.Errorf("revision %d after %d, which was dropped", three, two)
	}
	is("three", three)
}

// documentsCompete lets many count in one document: no count is lost.
func documentsCompete(t *testing.T, r Record) {
	const writers, each = 8, 10
	count := func() error {
		for {
			d, err := r.Document(t.Context(), "count")
			if err != nil && !errors.Is(err, state.ErrNoDocument) {
				return err
			}
			n, _ := strconv.Atoi(string(d.Data))
			_, err = r.PutDocument(t.Context(), "count", fmt.Append(nil, n+1), d.Revision)
			if !errors.Is(err, state.ErrConflict) {
				return err
			}
		}
	}
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				if err := count(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if d, err := r.Document(t.Context(), "count"); string(d.Data) != fmt.Sprint(writers*each) {
		t.Errorf("the count is %q, %v, want %d", d.Data, err, writers*each)
	}
}

func documentsByPrefix(t *testing.T, r Record) {
	all := names()
	for _, name := range all {
		for _, name := range []string{name, "x/" + name} {
			if _, err := r.PutDocument(t.Context(), name, []byte("of "+name), 0); err != nil {
				t.Errorf("PutDocument(%q) = %v", name, err)
			}
		}
	}
	if _, err := r.PutDocument(t.Context(), "", []byte("of "), 0); err != nil {
		t.Errorf("PutDocument of no name = %v", err)
	}
	f := func(prefix string, want int) {
		t.Helper()
		got, err := r.Documents(t.Context(), prefix)
		if err != nil || len(got) != want {
			t.Errorf("Documents(%q) = %d, %v, want %d", prefix, len(got), err, want)
		}
		for i, d := range got {
			if !strings.HasPrefix(d.Name, prefix) || string(d.Data) != "of "+d.Name || i > 0 && got[i-1].Name >= d.Name {
				t.Errorf("Documents(%q)[%d] = %+v", prefix, i, d)
			}
		}
	}
	f("", 2*len(all)+1)
	f("x/", len(all)+1) // one of the names begins with it
	f("nothing", 0)
	d, err := r.Document(t.Context(), "x/*")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteDocument(t.Context(), d.Name, d.Revision); err != nil {
		t.Fatal(err)
	}
	f("x/", len(all))
}
