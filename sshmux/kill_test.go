package sshmux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// logins runs a test as root and as a normal account, whose signals sshd treats differently.
func logins(t *testing.T, f func(t *testing.T, o sshdtest.Options)) {
	t.Parallel()
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		f(t, sshdtest.Options{})
	})
	if os.Geteuid() == 0 {
		t.Run("normal", func(t *testing.T) {
			t.Parallel()
			f(t, sshdtest.Options{NormalUser: true})
		})
	}
}

// endless are commands that do not end, each in its own way.
var endless = []string{
	"exec sleep 300",
	"sleep 300; echo x",
	`trap "" TERM; while :; do sleep 300; done`,
	`sleep 300 | (trap "" TERM; sleep 300)`,
}

func TestTimeoutLeavesNothing(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		m, target, server := start(t, o)
		var wg sync.WaitGroup
		for _, line := range endless {
			wg.Go(func() {
				start := time.Now()
				exit, err := m.Run(t.Context(), target, Command{Shell: line, Timeout: 300 * time.Millisecond})
				kind(t, err, Timeout, PhaseOutput)
				if exit.Orphan {
					t.Errorf("%s: %v", line, err)
				}
				if took := time.Since(start); took > 4300*time.Millisecond {
					t.Errorf("%s: Run took %v", line, took)
				}
			})
		}
		wg.Wait()
		server.AwaitNoProcesses()
		if s := m.Stats(); s.Orphans != 0 || s.Links[0].InUse != 0 || s.Links[0].Held != 0 {
			t.Errorf("Stats() = %+v, want no orphans and no slot in use", s)
		}
		if got := server.Accepted(); got != 1 {
			t.Errorf("sshd accepted %d logins, want 1", got)
		}
	})
}

func TestCancelLeavesNothing(t *testing.T) {
	m, target, server := start(t, sshdtest.Options{})
	for name, f := range map[string]func() (context.Context, Kind){
		"cancelled": func() (context.Context, Kind) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, cancel)
			return ctx, Transport
		},
		"deadline": func() (context.Context, Kind) { return within(t, 300*time.Millisecond), Timeout },
	} {
		ctx, want := f()
		exit, err := m.Run(ctx, target, Command{Argv: []string{"sleep", "300"}})
		kind(t, err, want, PhaseOutput)
		if exit.Orphan || !errors.Is(err, ctx.Err()) {
			t.Errorf("%s: Run = %+v, %v", name, exit, err)
		}
	}
	server.AwaitNoProcesses()
}

// A root login ignores signals, and the only session that sshd allows is taken: the kill needs
// a connection of its own.
func TestTimeoutWithOneSession(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		o.MaxSessions = 1
		m, target, server := start(t, o)
		target.MaxSessions = 1
		for range 2 {
			exit, err := m.Run(t.Context(), target, Command{Shell: endless[2], Timeout: 200 * time.Millisecond})
			kind(t, err, Timeout, PhaseOutput)
			if exit.Orphan {
				t.Error(err)
			}
		}
		server.AwaitNoProcesses()
		if got := sh(t, m, target, "echo OK"); got != "OK\n" {
			t.Errorf("output = %q after the kills", got)
		}
	})
}

// What leaves the process group cannot be killed, but must not be taken for the command.
func TestEscapedChildKeepsItsSlot(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	target.MaxSessions = 2
	exit, err := m.Run(t.Context(), target, Command{Shell: "setsid sleep 300 & sleep 300", Timeout: 300 * time.Millisecond})
	kind(t, err, Timeout, PhaseOutput)
	if exit.Orphan {
		t.Error(err)
	}
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q", got)
	}
	if left := server.Processes(); len(left) != 1 || !strings.Contains(left[0], "sleep 300") {
		t.Errorf("left on the host: %q, want the child that escaped", left)
	}
}

func TestCloseKillsCommands(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		s := sshdtest.Start(t, o)
		m, target := New(Options{}), target(s)
		var wg sync.WaitGroup
		for _, line := range append(endless, endless...) { // more than run at once
			wg.Go(func() {
				_, err := m.Run(t.Context(), target, Command{Shell: line})
				if !errors.Is(err, ErrClosed) {
					t.Errorf("Run = %v, want ErrClosed", err)
				}
			})
		}
		sshdtest.Await(t, "the commands", func() bool { return len(s.Processes()) >= defaultSessions })
		start := time.Now()
		m.Close()
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("Close took %v", took)
		}
		wg.Wait()
		if left := s.Processes(); len(left) > 0 {
			t.Errorf("left on the host: %q", left)
		}
		_, err := m.Run(t.Context(), target, Command{Shell: "true"})
		if !errors.Is(err, ErrClosed) {
			t.Errorf("Run after Close = %v, want ErrClosed", err)
		}
	})
}

// A login that hangs has told no PID. When it goes on at last, nobody listens any more, and
// the command is not run.
func TestLoginThatHangs(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{Profile: "sleep 5"})
	if target.User != "root" {
		t.Skip("only a root login cannot be signalled")
	}
	ran := filepath.Join(t.TempDir(), "ran")
	exit, err := m.Run(t.Context(), target, Command{Shell: "touch " + ran + "; sleep 300", Timeout: 100 * time.Millisecond})
	kind(t, err, Timeout, PhaseExec)
	if !exit.Orphan || m.Stats().Orphans != 1 {
		t.Errorf("exit = %+v, stats %+v, want an orphan", exit, m.Stats())
	}
	server.AwaitNoProcesses()
	if _, err := os.Stat(ran); err == nil {
		t.Error("the command was run")
	}
}

func TestClosesWhileDialling(t *testing.T) {
	s := sshdtest.Start(t, sshdtest.Options{})
	m, target := New(Options{}), target(s)
	s.Pause()
	done := make(chan error, 1)
	go func() {
		_, err := m.Run(t.Context(), target, Command{Shell: "true"})
		done <- err
	}()
	sshdtest.Await(t, "the dial", func() bool { return m.Stats().Dials > 0 })
	start := time.Now()
	m.Close()
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close took %v", took)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Run = %v, want ErrClosed", err)
	}
	s.Resume()
}

// The script runs in any shell, and with a sleep that knows only whole seconds.
func TestKillScript(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	const coarse = "#!/bin/sh\ncase $1 in *.*) exit 1;; esac\nexec /bin/sleep \"$1\"\n"
	if err := os.WriteFile(filepath.Join(bin, "sleep"), []byte(coarse), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, shell := range [][]string{{"sh"}, {"bash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(shell[0]); err != nil {
			continue
		}
		for _, path := range []string{os.Getenv("PATH"), bin + ":" + os.Getenv("PATH")} {
			victim := exec.Command("sh", "-c", endless[2])
			victim.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			dead := make(chan error, 1)
			go func() { dead <- victim.Wait() }()
			script := strings.ReplaceAll(killScript, "PGID", fmt.Sprint(victim.Process.Pid))
			cmd := exec.Command(shell[0], append(shell[1:], "-c", script)...)
			cmd.Env = append(os.Environ(), "PATH="+path)
			start := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%q: %v: %s", shell, err, out)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%q took %v", shell, took)
			}
			<-dead
		}
	}
}

func TestKillScriptIsPlain(t *testing.T) {
	if got := line(killScript); got != fmt.Sprintf("exec /bin/sh -c '%s'", killScript) {
		t.Errorf("line(killScript) = %q, want it between single quotes", got)
	}
}

// When many commands of a full host are killed at once, that is one login more at most.
// It is none if a channel is free again by then.
func TestKillsShareAConnection(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{MaxSessions: 4})
	target.MaxSessions = 4
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			exit, err := m.Run(t.Context(), target, Command{Shell: endless[1], Timeout: 500 * time.Millisecond})
			if kind(t, err, Timeout, PhaseOutput); exit.Orphan {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	server.AwaitNoProcesses()
	if got := server.Accepted(); got > 2 {
		t.Errorf("sshd accepted %d logins, want 2 at most", got)
	}
	if got := m.Stats().Dials; got > 2 {
		t.Errorf("Dials = %d, want 2 at most", got)
	}
}
