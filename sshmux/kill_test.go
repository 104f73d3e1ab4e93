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
	"sleep 300 & sleep 300 & wait",
	"timeout 300 sleep 300; echo x",                                     // a process group of its own
	"setsid sleep 300 & sleep 300",                                      // a session of its own
	`setsid sh -c "setsid sleep 300; :" & exec sleep 300`,               // and one below that
	`setsid sh -c "trap : TERM; sleep 300; sleep 300" & exec sleep 300`, // which does not end by TERM
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
				if took := time.Since(start); took > m.killLimit+500*time.Millisecond {
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
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	sh(t, m, target, "true")
	for name, f := range map[string]func() (context.Context, Kind){
		"cancelled": func() (context.Context, Kind) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(2*time.Second, cancel)
			return ctx, Transport
		},
		"deadline": func() (context.Context, Kind) { return within(t, 2*time.Second), Timeout },
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

// What a command has detached is let live, for it may be a service that the command was to start.
// While it holds the command's output, that is seen, and told.
func TestDetachedChildIsTold(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	target.MaxSessions = 2
	exit, err := m.Run(t.Context(), target, Command{Shell: "(setsid sleep 300 &); sleep 300", Timeout: 300 * time.Millisecond})
	e := kind(t, err, Timeout, PhaseOutput)
	if !exit.Orphan || !strings.Contains(e.Error(), "killed, but a process that it has detached lives on") || m.Stats().Orphans != 1 {
		t.Errorf("Run = %+v, %v, want one that tells of the process, counted once", exit, err)
	}
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q", got)
	}
	if left := server.Processes(); len(left) != 1 || !strings.Contains(left[0], "sleep 300") {
		t.Errorf("left on the host: %q, want the child that was detached", left)
	}
	sshdtest.Await(t, "the slot", func() bool { return m.Stats().InUse == 0 })
}

func TestCloseKillsCommands(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		s := sshdtest.Start(t, o)
		m, target := patient(New(Options{})), target(s)
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
		if took := time.Since(start); took > m.killLimit+200*time.Millisecond {
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
	m, target, server := start(t, sshdtest.Options{Profile: "sleep 8"})
	m.killLimit = killLimit // which is less
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
	t.Parallel()
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
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Run = %v, want ErrClosed", err)
	}
	s.Resume()
}

// tools makes a directory of programs, to be a PATH: those of this machine by their names, and
// others as scripts.
func tools(t *testing.T, scripts map[string]string, names ...string) string {
	t.Helper()
	bin := t.TempDir()
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(bin, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// endBy starts a process that ignores TERM, without children that only init could reap, and runs the kill script on it, which gets told
// whether it is sshd's. It reports whether the script has proven that nothing is left.
func endBy(t *testing.T, shell []string, path, sshd string) bool {
	t.Helper()
	victim := exec.Command("sh", "-c", `trap "" TERM; exec sleep 300`)
	victim.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	dead := make(chan error, 1)
	go func() { dead <- victim.Wait() }()
	defer func() { <-dead }()
	defer syscall.Kill(-victim.Process.Pid, syscall.SIGKILL)
	script := fmt.Sprintf(`set -- %d -%[1]d WORD "%s"; %s`, victim.Process.Pid, sshd, killScript())
	cmd := exec.Command(shell[0], append(shell[1:], "-c", script)...)
	cmd.Env = []string{"PATH=" + path}
	start := time.Now()
	out, err := cmd.Output()
	if took := time.Since(start); took > time.Minute {
		t.Errorf("%q with PATH %s took %v", shell, path, took)
	}
	if want := "\nWORD " + fmt.Sprint(cmd.ProcessState.ExitCode()) + "\n"; string(out) != want {
		t.Errorf("%q with PATH %s: %v, output %q, want %q", shell, path, err, out, want)
	}
	return err == nil
}

// Who goes on starting processes in sessions of their own while the script looks is caught all
// the same.
func TestKillScriptCatchesForks(t *testing.T) {
	t.Parallel()
	endless := fmt.Sprint("sleep 4716.", os.Getpid()) // not that of a test beside this one
	for range 5 {
		victim := exec.Command("sh", "-c", "while :; do setsid "+endless+" & sleep 0.01; done")
		victim.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		dead := make(chan error, 1)
		go func() { dead <- victim.Wait() }()
		// Now, while it has hardly begun: there is nothing to wait for.
		script := fmt.Sprintf("set -- %d -%[1]d WORD 1; sleep 0.2; %s", victim.Process.Pid, killScript())
		if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		<-dead
	}
	if left, err := exec.Command("pgrep", "-x", "-f", endless).Output(); err == nil {
		t.Errorf("left: %q", left)
		exec.Command("pkill", "-KILL", "-x", "-f", endless).Run()
	}
}

// The script runs in any shell, with a sleep that knows only whole seconds, and with the tools of
// busybox. Without a ps, it believes the kernel about the groups that sshd makes, and nobody
// about others.
func TestKillScript(t *testing.T) {
	t.Parallel()
	machine := os.Getenv("PATH")
	coarse := tools(t, map[string]string{"sleep": "case $1 in *.*) exit 1;; esac\nexec /bin/sleep \"$1\"\n"})
	box := tools(t, map[string]string{"ps": "exec busybox ps \"$@\"\n", "grep": "exec busybox grep \"$@\"\n", "sleep": "exec busybox sleep \"$@\"\n"}, "busybox")
	bare := tools(t, nil, "sleep", "grep")
	for _, shell := range [][]string{{"sh"}, {"bash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(shell[0]); err != nil {
			continue
		}
		for name, path := range map[string]string{"machine": machine, "coarse": coarse + ":" + machine, "box": box} {
			t.Run(shell[0]+" "+name, func(t *testing.T) {
				t.Parallel()
				if !endBy(t, shell, path, "1") {
					t.Errorf("%q with PATH %s: nothing is proven", shell, path)
				}
			})
		}
	}
	if !endBy(t, []string{"sh"}, bare, "1") {
		t.Error("without ps, the end of sshd's group is no proof")
	}
	if !endBy(t, []string{"sh"}, machine, "") {
		t.Error("by ps, the end of another server's command is no proof")
	}
	if endBy(t, []string{"sh"}, bare, "") {
		t.Error("without ps, the end of something that may be no group is taken for a proof")
	}
}

// Where /proc hides what belongs to others (hidepid), ps does not show what sudo runs, which
// must not be taken for an end.
func TestKillScriptWhereProcHides(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("another /proc needs root")
	}
	if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs mounts of its own: %v: %s", err, out)
		}
		t.Skipf("needs mounts of its own: %v: %s", err, out)
	}
	group := exec.Command("sleep", "300") // root's, which nobody may not signal
	group.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := group.Start(); err != nil {
		t.Fatal(err)
	}
	defer group.Wait()
	defer group.Process.Kill()
	script := fmt.Sprintf("set -- %d -%[1]d WORD 1; %s", group.Process.Pid, killScript())
	for _, options := range []string{"hidepid=0", "hidepid=2"} {
		cmd := exec.Command("unshare", "--mount", "sh", "-c",
			`mount -t proc -o "$1" proc /proc && exec setpriv --reuid nobody --clear-groups sh -c "$2"`, "sh", options, script)
		if out, err := cmd.CombinedOutput(); !strings.Contains(string(out), "\nWORD 1\n") {
			t.Errorf("with %s: %v: %q, want that nothing is proven", options, err, out)
		}
	}
}

func TestKillScriptIsPlain(t *testing.T) {
	if got := line(killScript()); got != fmt.Sprintf("exec /bin/sh -c '%s'", killScript()) {
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
