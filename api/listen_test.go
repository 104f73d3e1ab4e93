package api_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"alf/api"
)

func TestListen(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "run", "alf.sock")
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("Stat(socket) = %v, %v, want a socket of mode 0660", info.Mode(), err)
	}
	if _, err := api.Listen(path); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("a second Listen = %v, want an error", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close the socket is there: %v", err)
	}
}

func TestListenReplacesStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alf.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	l, err = api.Listen(path)
	if err != nil {
		t.Fatalf("Listen over a socket that nobody serves = %v", err)
	}
	l.Close()
}

func TestListenRefusesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	f := func(name string, make func(path string) error) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if l, err := api.Listen(path); err == nil {
			l.Close()
			t.Errorf("Listen over a %s = nil, want an error", name)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("the %s is gone: %v", name, err)
		}
	}
	f("file", func(path string) error { return os.WriteFile(path, nil, 0o600) })
	f("folder", func(path string) error { return os.Mkdir(path, 0o700) })
	f("link", func(path string) error { return os.Symlink("elsewhere", path) })
}
