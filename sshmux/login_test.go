package sshmux

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"pgregory.net/rapid"
)

// accounts runs a test through a real sshd for accounts whose login shell is each of those that
// matter; sh is dash in some systems and bash in others.
func accounts(t *testing.T, f func(t *testing.T, m *Mux, target Target, s *sshdtest.Server)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("accounts with another login shell need root")
	}
	links := t.TempDir()
	for dir := links; dir != filepath.Dir(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if dir != os.TempDir() {
			os.Chmod(dir, 0o755)
		}
	}
	for _, name := range []string{"sh", "dash", "bash", "busybox", "csh", "tcsh", "ksh", "zsh", "fish"} {
		shell, err := exec.LookPath(name)
		if err != nil {
			if os.Getenv("CI") != "" && name != "ksh" && name != "zsh" && name != "fish" {
				t.Fatal(err)
			}
			continue
		}
		if name == "busybox" { // does what it is called by
			busybox := shell
			shell = filepath.Join(links, "ash")
			if err := os.Symlink(busybox, shell); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(name, func(t *testing.T) {
			m, target, server := start(t, sshdtest.Options{Shell: shell})
			f(t, m, target, server)
		})
	}
}

// Arguments and values arrive byte for byte at accounts with login shells of all kinds.
func TestArgvThroughAccounts(t *testing.T) {
	accounts(t, func(t *testing.T, m *Mux, target Target, _ *sshdtest.Server) {
		rapid.Check(t, func(rt *rapid.T) {
			c, want := command(rt)
			var out, errs bytes.Buffer
			c.Stdout, c.Stderr = &out, &errs
			exit, err := m.Run(within(t, 10*time.Second), target, c)
			if err != nil || exit.Code != 0 || out.String() != want {
				rt.Fatalf("Run = %+v, %v, output %q, want %q, stderr %q", exit, err, &out, want, &errs)
			}
		})
	})
}
