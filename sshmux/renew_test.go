package sshmux

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// The timeout is the command's, from when it was sent, however long it has waited for a slot.
func TestTimeoutBeginsWithTheCommand(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	target.MaxSessions = 1
	const timeout = 3 * time.Second
	begun := time.Now()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if exit, err := m.Run(t.Context(), target, Command{Shell: "sleep 1", Timeout: timeout}); err != nil || exit.Code != 0 {
				t.Errorf("Run = %+v, %v", exit, err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begun); took < timeout {
		t.Errorf("all took %v: nobody has waited for a slot for longer than the timeout", took)
	}
}

// A host keeps the sessions of commands that cannot be killed. When these are half of the slots,
// new commands get another connection, and what runs over the old one ends there.
func TestLostSlotsOfSSHD(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("a command that its account may not signal needs root")
	}
	m, target, server := start(t, sshdtest.Options{NormalUser: true})
	target.MaxSessions = 4
	become := filepath.Join(t.TempDir(), "become")
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(setpriv)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(become, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(become, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}

	release, ended := filepath.Join(t.TempDir(), "go"), make(chan string, 1)
	go func() {
		var out bytes.Buffer
		exit, err := m.Run(t.Context(), target, Command{Shell: "while [ ! -e " + release + " ]; do sleep 0.1; done; echo done; exit 3", Stdout: &out})
		ended <- fmt.Sprintf("%d %v %q", exit.Code, err, &out)
	}()
	sshdtest.Await(t, "the command", func() bool { return len(server.Processes()) > 0 })
	for range 2 {
		exit, err := m.Run(t.Context(), target, Command{Argv: []string{become, "--reuid", "0", "sleep", "300"}, Timeout: 300 * time.Millisecond})
		if kind(t, err, Timeout, PhaseOutput); !exit.Orphan {
			t.Errorf("Run = %+v, %v, want an orphan", exit, err)
		}
	}
	sshdtest.Await(t, "another connection", func() bool { return server.Accepted() == 2 })
	for range 4 {
		if got := sh(t, m, target, "echo OK"); got != "OK\n" {
			t.Errorf("output = %q", got)
		}
	}
	if s := m.Stats(); s.Orphans != 2 || s.Dials != 2 || s.Lost != 0 || s.Links[0].Held != 2 || s.InUse != 3 {
		t.Errorf("Stats() = %+v, want two orphans, two slots held and one in use on the old connection", s)
	}
	if err := os.WriteFile(release, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := <-ended, `3 <nil> "done\n"`; got != want {
		t.Errorf("the command that ran: %s, want %s", got, want)
	}
	sshdtest.Await(t, "the old connection to end", func() bool { return m.Stats().InUse == 0 })
	if s := m.Stats(); s.Lost != 0 || s.Links[0].Held != 0 || s.Links[0].State != Up || s.Dials != 2 {
		t.Errorf("Stats() = %+v, want the new connection alone", s)
	}
}
