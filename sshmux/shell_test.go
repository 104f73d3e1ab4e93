package sshmux

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// Accounts that run no commands, as sshd and login shells say so: none of their exit statuses
// is a result.
func TestShellsThatRefuse(t *testing.T) {
	t.Parallel()
	f := func(said string, o sshdtest.Options) {
		t.Helper()
		if _, err := os.Stat(o.Shell); err != nil {
			t.Logf("not here: %v", err)
			return
		}
		t.Run(filepath.Base(o.Shell), func(t *testing.T) {
			t.Parallel()
			m, target, _ := start(t, o)
			if target.Password = o.Expired; o.Expired != "" {
				target.IdentityFiles = nil
			}
			for _, c := range []Command{
				{Shell: "exit 0"},
				{Argv: []string{"true"}, Env: []string{"A=1"}},
				{Argv: []string{"sh", "-s"}, Stdin: strings.NewReader("exit 0\n")},
			} {
				_, err := m.Run(within(t, time.Minute), target, c)
				if e := kind(t, err, Auth, PhaseExec); !strings.Contains(e.Error(), said) {
					t.Errorf("err = %v, want what was said: %q", e, said)
				}
			}
		})
	}
	f("exit status 1, saying \"This account is currently not available.\"", sshdtest.Options{Shell: "/usr/sbin/nologin"})
	f("exit status 1", sshdtest.Options{Shell: "/bin/false"})
	f("exit status 0", sshdtest.Options{Shell: "/bin/true"})
	f("exec: restricted", sshdtest.Options{Shell: "/bin/rbash"})
	f("password has expired", sshdtest.Options{Shell: "/bin/sh", Expired: "hunter2"})
	// A profile may end the login.
	f("saying \"closed for maintenance\"", sshdtest.Options{Shell: "/bin/bash", Profile: "echo closed for maintenance\nexit 2\n"})
}
