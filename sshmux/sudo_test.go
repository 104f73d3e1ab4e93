package sshmux

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// sudoer lets an account of the test's own run everything by sudo, with further Defaults, and
// returns a server to log in to as that.
func sudoer(t *testing.T, o sshdtest.Options, defaults ...string) (*Mux, Target, *sshdtest.Server) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a file in /etc/sudoers.d needs root")
	}
	if _, err := exec.LookPath("sudo"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sudo is missing: install the package sudo")
		}
		t.Skip("sudo is missing: install the package sudo")
	}
	// sudo keeps the mark, so that what it runs is found again.
	o.Shell = "/bin/sh"
	m, target, server := start(t, o)
	var b strings.Builder
	fmt.Fprintf(&b, "Defaults:%s !use_pty, env_keep += ALF_SSHDTEST\n", server.User)
	for _, d := range defaults {
		fmt.Fprintf(&b, "Defaults:%s %s\n", server.User, d)
	}
	fmt.Fprintf(&b, "%s ALL=(root) NOPASSWD: ALL\n", server.User)
	rules := sshdtest.SudoRules(server.User)
	// sudo leaves out a file with a dot in its name: none that runs meanwhile reads half of the rules.
	unread := rules + ".new"
	t.Cleanup(func() { os.Remove(unread) })
	if err := os.WriteFile(unread, []byte(b.String()), 0o440); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("visudo", "-cf", unread).CombinedOutput(); err != nil {
		t.Fatalf("visudo: %v: %s", err, out)
	}
	t.Cleanup(func() { os.Remove(rules) })
	if err := os.Rename(unread, rules); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, m, target, "sudo -n id -u"); got != "0\n" {
		t.Fatalf("sudo -n id -u: %q", got)
	}
	return m, target, server
}

// What sudo runs belongs to root: the account may signal sudo alone, which hands TERM on, and by
// ALRM can be made to KILL. KILL would end sudo and leave the plugin.
func TestTimeoutBehindSudo(t *testing.T) {
	f := func(t *testing.T, o sshdtest.Options, defaults ...string) {
		t.Parallel()
		m, target, server := sudoer(t, o, defaults...)
		for _, argv := range [][]string{
			{"sudo", "-n", "sleep", "300"},
			{"sudo", "-n", "sh", "-c", `trap "" TERM HUP INT; while :; do sleep 1; done`},
			{"sh", "-c", "sudo -n sleep 300; echo x"},
			{"sudo", "-n", "sudo", "-n", "sleep", "300"},
			{"setsid", "-w", "sudo", "-n", "sleep", "300"},
		} {
			exit, err := m.Run(t.Context(), target, Command{Argv: argv, Timeout: time.Second})
			if kind(t, err, Timeout, PhaseOutput); exit.Orphan {
				t.Errorf("%q: %v", argv, err)
			}
			server.AwaitNoProcesses()
		}
		if s := m.Stats(); s.Orphans != 0 || s.InUse != 0 {
			t.Errorf("Stats() = %+v, want no orphans and no slot in use", s)
		}
	}
	t.Parallel()
	t.Run("plain", func(t *testing.T) { f(t, sshdtest.Options{}) })
	t.Run("use_pty", func(t *testing.T) { f(t, sshdtest.Options{}, "use_pty") })
	t.Run("log_output", func(t *testing.T) {
		f(t, sshdtest.Options{}, "log_output", "iolog_dir="+t.TempDir())
	})
	t.Run("one session", func(t *testing.T) {
		f(t, sshdtest.Options{MaxSessions: 1})
	})
}

// Nobody but root can end what a plugin behind sudo has started, if the plugin does not do so
// itself. That is said, and the process is not taken for ended.
func TestOrphanBehindSudo(t *testing.T) {
	f := func(t *testing.T, o sshdtest.Options) {
		t.Parallel()
		m, target, server := sudoer(t, o)
		exit, err := m.Run(t.Context(), target, Command{Argv: []string{"sudo", "-n", "sh", "-c", "sleep 300; echo x"}, Timeout: time.Second})
		e := kind(t, err, Timeout, PhaseOutput)
		if !exit.Orphan || m.Stats().Orphans != 1 || !strings.Contains(e.Error(), "could not be proven") {
			t.Errorf("Run = %+v, %v, want an orphan, counted once", exit, err)
		}
		if left := server.Processes(); len(left) != 1 || !strings.Contains(left[0], "sleep 300") {
			t.Errorf("left on the host: %q, want root's child", left)
		}
	}
	t.Parallel()
	t.Run("plain", func(t *testing.T) { f(t, sshdtest.Options{}) })
	t.Run("one session", func(t *testing.T) { f(t, sshdtest.Options{MaxSessions: 1}) })
}
