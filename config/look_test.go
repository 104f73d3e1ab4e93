package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLook: the digest goes by what the files say, the folders by where more could be.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "alf.toml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	last := Look(main)
	f := func(name string, differs bool, folders int) {
		t.Helper()
		now := Look(main)
		if (now.Digest != last.Digest) != differs || len(now.Folders) != folders {
			t.Errorf("%s: differs is %v, want %v; folders %q, want %d", name, now.Digest != last.Digest, differs, now.Folders, folders)
		}
		last = now
	}
	write("alf.toml", "[host.a]")
	f("a file that was not there", true, 1)
	f("nothing", false, 1)
	write("other.toml", "x")
	f("another file beside it", false, 1)
	if err := os.MkdirAll(filepath.Join(dir, "conf.d/sub/.git"), 0o700); err != nil {
		t.Fatal(err)
	}
	f("folders", false, 3)
	write("conf.d/sub/b.toml", "[host.b]")
	f("a file in conf.d", true, 3)
	write("conf.d/sub/.b.toml.swp", "[host.c]")
	f("a file of an editor", false, 3)
	write("conf.d/sub/b.toml", "[host.c]")
	f("other text", true, 3)
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, "c.toml"), []byte("[host.d]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(elsewhere, "c.toml"), filepath.Join(dir, "conf.d/c.toml")); err != nil {
		t.Fatal(err)
	}
	f("a link", true, 4)
}
