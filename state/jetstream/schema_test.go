package jetstream

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"alf"
)

// files returns a checksum of each file below dir but the lock, which names who
// has looked last.
func files(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	out := make(map[string][32]byte)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "lock" {
			return err
		}
		var text []byte
		if !d.IsDir() {
			text, err = os.ReadFile(name)
		}
		out[name] = sha256.Sum256(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNewerDirectory: what a newer Alf has shaped is refused before anything in
// it is touched, whichever of its numbers is higher.
func TestNewerDirectory(t *testing.T) {
	dir := t.TempDir()
	r := openBare(t, dir)
	if err := r.Append(t.Context(), []*alf.Event{event("a", 1)}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []stamp{{Schema: schema + 1, Events: version, Alf: "9.1"}, {Schema: schema, Events: version + 1, Alf: "9.1"}} {
		if err := os.WriteFile(filepath.Join(dir, stampFile), []byte(s.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		was := files(t, dir)
		for _, readOnly := range []bool{false, true} {
			_, err := Open(t.Context(), Options{Dir: dir, ReadOnly: readOnly})
			if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "alf 9.1") {
				t.Errorf("Open(%v) = %v, want ErrNewer that names the directory and the version", s, err)
			}
		}
		if !maps.Equal(files(t, dir), was) {
			t.Errorf("Open(%v) has changed the directory", s)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, stampFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	openBare(t, dir).Close() // a file that cannot be read keeps nobody from monitoring
	if text, err := os.ReadFile(filepath.Join(dir, stampFile)); string(text) != r.stamp().String()+"\n" {
		t.Errorf("the stamp is %q, %v, want %v", text, err, r.stamp())
	}
}

// TestNewerStreams: the same where only the streams know, as in a server elsewhere.
func TestNewerStreams(t *testing.T) {
	dir := t.TempDir()
	r := openBare(t, dir)
	config := r.feed.CachedInfo().Config
	config.Metadata[stampKey] = stamp{Schema: schema + 1}.String()
	config.MaxBytes = 12345678
	if _, err := r.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := r.js.DeleteStream(t.Context(), docsStream); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrNewer) {
		t.Errorf("Open = %v, want ErrNewer", err)
	}
	r = newRecord(Options{Dir: dir})
	if err := r.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if s, err := r.js.Stream(t.Context(), feedStream); err != nil || s.CachedInfo().Config.MaxBytes != 12345678 {
		t.Errorf("the feed is changed: %+v, %v", s, err)
	}
	if _, err := r.js.Stream(t.Context(), docsStream); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a stream was made: %v", err)
	}
}

// TestSameStampChangesNothing: a restart rewrites the stamp only if it differs.
func TestSameStampChangesNothing(t *testing.T) {
	dir := t.TempDir()
	openBare(t, dir).Close()
	name := filepath.Join(dir, stampFile)
	was, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	openBare(t, dir).Close()
	if is, err := os.Stat(name); err != nil || !os.SameFile(was, is) {
		t.Errorf("the stamp is written again: %v", err)
	}
}

func TestReadOnlyMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := Open(t.Context(), Options{Dir: dir, ReadOnly: true}); !errors.Is(err, ErrNoRecord) {
		t.Errorf("Open = %v, want ErrNoRecord", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}
