package sshmux

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// long is what make servers wants: TestServers takes servers, too, that are themselves a normal
// user's, and TestNeverLockedOut goes on for longer. A command and its server belong to the same
// user there, as they do with a login of root's.
var long = flag.Bool("long", false, "take more servers and more time")

// servers runs f for each server, all at a time: with a login of root's, with one of a normal
// user, and, if wanted, with a server that is itself a normal user's.
func servers(t *testing.T, f func(t *testing.T, o sshdtest.Options)) {
	for _, kind := range []sshdtest.Kind{sshdtest.OpenSSH, sshdtest.Dropbear, sshdtest.TinySSH} {
		run := func(name string, o sshdtest.Options) {
			o.Kind = kind
			t.Run(kind.String()+"/"+name, func(t *testing.T) {
				t.Parallel()
				f(t, o)
			})
		}
		run("normal", sshdtest.Options{NormalUser: true})
		if os.Geteuid() != 0 {
			continue
		}
		run("root", sshdtest.Options{})
		if *long && kind != sshdtest.OpenSSH {
			run("unprivileged", sshdtest.Options{Unprivileged: true})
		}
	}
}

// What a check needs holds with each server.
func TestServers(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, o sshdtest.Options) {
		server := sshdtest.Start(t, o)
		for _, test := range []struct {
			name string
			run  func(t *testing.T, m *Mux, target Target, server *sshdtest.Server)
		}{
			{"exit", serverExit},
			{"streams", serverStreams},
			{"output", serverOutput},
			{"background", serverBackground},
			{"many", serverMany},
			{"timeout", serverTimeout},
			{"timeouts at once", serverTimeouts},
			{"alive", serverAlive},
			{"probe", serverProbe},
			{"end", serverEnd}, // the last one
		} {
			t.Run(test.name, func(t *testing.T) {
				test.run(t, patient(newMux(t, Options{})), target(server), server)
				server.AwaitNoProcesses()
			})
		}
	})
}

func serverExit(t *testing.T, m *Mux, target Target, _ *sshdtest.Server) {
	f := func(line string, code int, signal string) {
		t.Helper()
		exit, err := m.Run(within(t, time.Minute), target, Command{Shell: line})
		if err != nil || exit.Code != code || exit.Signal != signal || exit.Orphan {
			t.Errorf("Run(%q) = %+v, %v, want code %d, signal %q", line, exit, err, code, signal)
		}
	}
	f("exit 0", 0, "")
	f("exit 2", 2, "")
	f("exit 255", 255, "")
	f("kill -KILL $$", 137, "KILL")
	f("kill -TERM $$", 143, "TERM")
	var errs bytes.Buffer
	exit, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"check_nothing"}, Stderr: &errs})
	if err != nil || exit.Code != 127 || errs.Len() == 0 {
		t.Errorf("Run = %+v, %v, stderr %q, want code 127", exit, err, &errs)
	}
}

func serverStreams(t *testing.T, m *Mux, target Target, _ *sshdtest.Server) {
	var out, errs bytes.Buffer
	const script = `pwd; cat; printf "%s\n" "$SECRET" "$@" >&2; exit 1`
	argv := []string{"sh", "-c", script, "sh", "a b", "it's \"$HOME\" \\ !\n", "\xff\x01é", ""}
	exit, err := m.Run(within(t, time.Minute), target, Command{
		Argv: argv, Dir: "/usr", Env: []string{"SECRET=x'y\nz"}, Stdin: strings.NewReader("from here\x00\n"),
		Stdout: &out, Stderr: &errs,
	})
	if want := "/usr\nfrom here\x00\n"; err != nil || exit.Code != 1 || out.String() != want {
		t.Errorf("Run = %+v, %v, stdout %q, want %q", exit, err, &out, want)
	}
	if want := "x'y\nz\n" + strings.Join(argv[4:], "\n") + "\n"; errs.String() != want {
		t.Errorf("stderr = %q, want %q", &errs, want)
	}
	// It leads a process group, which is what a kill ends.
	if got := sh(t, m, target, `[ "$(ps -o pgid= -p $$ | tr -d " ")" = $$ ] && echo yes; env | grep -c alf_`+" || :"); got != "yes\n0\n" {
		t.Errorf("output = %q, want a group of its own, and no variable of ours", got)
	}
}

func serverOutput(t *testing.T, m *Mux, target Target, _ *sshdtest.Server) {
	sent := make([]byte, 4<<20)
	rand.New(rand.NewSource(1)).Read(sent)
	var got bytes.Buffer
	exit, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"cat"}, Stdin: bytes.NewReader(sent), Stdout: &got})
	if err != nil || exit.Code != 0 || !bytes.Equal(got.Bytes(), sent) {
		t.Errorf("Run = %+v, %v, %d bytes, want the %d that were sent", exit, err, got.Len(), len(sent))
	}
}

// writer is an io.Writer.
type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// Something in the background that holds the output open delays no result; but tinysshd tells the
// exit status only when the output has ended, and so the command's time ends both.
func serverBackground(t *testing.T, m *Mux, target Target, server *sshdtest.Server) {
	const line = "sleep 3600 & echo started; exit 1"
	var out bytes.Buffer
	exit, err := m.Run(within(t, time.Minute), target, Command{Shell: line, Stdout: &out, Timeout: 4 * time.Second})
	if m.isOnce(target) {
		if kind(t, err, Timeout, PhaseOutput); exit.Orphan || out.String() != "started\n" {
			t.Errorf("Run = %+v, %v, output %q", exit, err, &out)
		}
		return
	}
	if err != nil || exit.Code != 1 || out.String() != "started\n" {
		t.Errorf("Run = %+v, %v, output %q", exit, err, &out)
	}
	sshdtest.Await(t, "the one in the background", func() bool { return len(server.Processes()) == 1 })
	server.KillProcesses()
}

// isOnce reports whether a host is known to open one session per connection.
func (m *Mux) isOnce(t Target) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.links[t.Key()]
	return l != nil && l.once.Load()
}

// However many sessions the server has, each command gets its result, and none of them fails.
func serverMany(t *testing.T, m *Mux, target Target, _ *sshdtest.Server) {
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			var out bytes.Buffer
			exit, err := m.Run(within(t, time.Minute), target, Command{Shell: fmt.Sprint("sleep 0.1; echo ", i, "; exit ", i), Stdout: &out})
			if want := fmt.Sprintln(i); err != nil || exit.Code != i || out.String() != want {
				t.Errorf("Run = %+v, %v, output %q, want %q", exit, err, &out, want)
			}
		})
	}
	wg.Wait()
	s := m.Stats()
	if l := s.Links[0]; s.Commands < 30 || s.Orphans != 0 || s.Lost != 0 || l.Failures != 0 || l.InUse != 0 || l.Queued != 0 || l.LastError != nil {
		t.Errorf("Stats() = %+v", s)
	}
}

// hardened is a plugin that ignores TERM, and so do its children, one of which it has detached
// from itself.
const hardened = `trap "" TERM; (sleep 3600 & echo $! >&2); echo ready; while :; do sleep 3600; done`

// expired runs a command whose time is over soon after it has begun, and checks that nothing of
// it is left.
func expired(t *testing.T, m *Mux, target Target) {
	ctx, cancel := context.WithCancelCause(within(t, time.Minute))
	defer cancel(nil)
	exit, err := m.Run(ctx, target, Command{Shell: hardened, Stdout: writer(func(b []byte) (int, error) {
		cancel(context.DeadlineExceeded)
		return len(b), nil
	})})
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Phase != PhaseOutput || exit.Orphan {
		t.Errorf("Run = %+v, %v, want one that was killed", exit, err)
	}
}

func serverTimeout(t *testing.T, m *Mux, target Target, server *sshdtest.Server) {
	exit, err := m.Run(within(t, time.Minute), target, Command{Shell: "echo; exec sleep 3600", Timeout: 300 * time.Millisecond})
	if kind(t, err, Timeout, PhaseOutput); exit.Orphan {
		t.Errorf("err = %v, want one that was killed", err)
	}
	if left := server.Processes(); len(left) > 0 {
		t.Errorf("left on the host: %q", left)
	}
	expired(t, m, target)
	if left := server.Processes(); len(left) > 0 {
		t.Errorf("left on the host: %q", left)
	}
	sh(t, m, target, "true")
}

func serverTimeouts(t *testing.T, m *Mux, target Target, server *sshdtest.Server) {
	var wg sync.WaitGroup
	for range defaultSessions {
		wg.Go(func() { expired(t, m, target) })
	}
	wg.Wait()
	if left := server.Processes(); len(left) > 0 {
		t.Errorf("left on the host: %q", left)
	}
	sh(t, m, target, "true")
	if l := m.Stats().Links[0]; l.InUse != 0 || l.Failures != 0 {
		t.Errorf("Stats() = %+v", l)
	}
}

// Signs of life are answered, beside a command and without one.
func serverAlive(t *testing.T, _ *Mux, target Target, server *sshdtest.Server) {
	m := newMux(t, Options{KeepaliveInterval: 20 * time.Millisecond, KeepaliveTimeout: sshdtest.Patience})
	for range 2 {
		if rtt, err := m.Ping(within(t, time.Minute), target); err != nil || rtt <= 0 {
			t.Fatalf("Ping = %v, %v", rtt, err)
		}
	}
	sh(t, m, target, "sleep 0.5")
	if s := m.Stats(); s.Lost != 0 || s.Links[0].RTT <= 0 || s.Links[0].Failures != 0 {
		t.Errorf("Stats() = %+v", s)
	}
	// One that does not answer is found out.
	m = newMux(t, Options{KeepaliveInterval: time.Second, KeepaliveTimeout: time.Second})
	begun := make(chan struct{})
	var once sync.Once
	done := make(chan error, 1)
	go func() {
		_, err := m.Run(within(t, time.Minute), target, Command{Shell: "echo; exec sleep 3600", Stdout: writer(func(b []byte) (int, error) {
			once.Do(func() { close(begun) })
			return len(b), nil
		})})
		done <- err
	}()
	await(t, begun, done)
	server.Pause()
	err := <-done
	server.Resume()
	if kind(t, err, Transport, PhaseOutput); !strings.Contains(err.Error(), "no sign of life") {
		t.Errorf("err = %v, want that there is no sign of life", err)
	}
	server.KillProcesses()
}

// await waits until a command has begun, and fails the test if it has ended instead.
func await(t *testing.T, begun <-chan struct{}, done <-chan error) {
	t.Helper()
	select {
	case <-begun:
	case err := <-done:
		t.Fatalf("Run = %v before it has begun", err)
	}
}

func serverProbe(t *testing.T, m *Mux, target Target, _ *sshdtest.Server) {
	steps := m.Probe(within(t, time.Minute), target)
	ran := slices.ContainsFunc(steps, func(s Step) bool { return s.Name == PhaseExec.String() && s.Said != "" })
	if last := steps[len(steps)-1]; last.Err != nil || !ran {
		t.Errorf("Probe = %+v", steps)
	}
}

// A server that ends in the middle of a check costs that check, and the next one dials again.
func serverEnd(t *testing.T, m *Mux, target Target, server *sshdtest.Server) {
	for range 2 {
		begun := make(chan struct{})
		var once sync.Once
		done := make(chan error, 1)
		go func() {
			_, err := m.Run(within(t, time.Minute), target, Command{Shell: "echo; exec sleep 3600", Stdout: writer(func(b []byte) (int, error) {
				once.Do(func() { close(begun) })
				return len(b), nil
			})})
			done <- err
		}()
		await(t, begun, done)
		server.Restart()
		kind(t, <-done, Transport, PhaseOutput)
		server.KillProcesses() // no server ends what it runs because it ends itself
	}
	sshdtest.Await(t, "a new connection", func() bool {
		exit, err := m.Run(within(t, time.Minute), target, Command{Shell: "exit 3"})
		return err == nil && exit.Code == 3
	})
}
