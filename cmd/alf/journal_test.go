package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOurs: root leaves no files among those of the daemon's user.
func TestOurs(t *testing.T) {
	dir := t.TempDir()
	if err := ours(filepath.Join(dir, "not", "yet")); err != nil {
		t.Errorf("ours = %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	if err := os.Chown(dir, 54321, -1); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, filepath.Join(dir, "journal")} {
		if err := ours(dir); err == nil || !strings.Contains(err.Error(), "belongs to 54321: run this as that user") {
			t.Errorf("ours(%q) = %v, want an error that names the owner", dir, err)
		}
	}
}

// TestToFile: a file is there as a whole or as it was.
func TestToFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "export.jsonl")
	say := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error { _, e := io.WriteString(w, text); return errors.Join(e, err) }
	}
	if err := toFile(nil, name, say("whole", nil)); err != nil {
		t.Fatal(err)
	}
	if err := toFile(nil, name, say("ha", errors.New("gone"))); err == nil {
		t.Error("toFile hides an error")
	}
	text, err := os.ReadFile(name)
	if files, _ := os.ReadDir(filepath.Dir(name)); string(text) != "whole" || err != nil || len(files) != 1 {
		t.Errorf("the file holds %q, %v, beside %d others", text, err, len(files)-1)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 10_239: "10239 B", 10_240: "10 KiB", 1 << 20: "1024 KiB", 1 << 30: "1024 MiB", 1 << 50: "1048576 GiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
