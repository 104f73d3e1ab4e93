package sshmux

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// More of them at a time than there are processors, since they wait most of the time.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(strconv.Itoa(4 * runtime.GOMAXPROCS(0)))
	}
	// Most of what rapid is for here starts processes; make servers has it try more.
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("30")
	}
	goleak.VerifyTestMain(m)
}

// start returns a Mux, and a Target for a new sshd.
func start(t testing.TB, o sshdtest.Options) (*Mux, Target, *sshdtest.Server) {
	t.Helper()
	s := sshdtest.Start(t, o)
	return patient(newMux(t, Options{ConnectTimeout: sshdtest.Patience})), target(s), s
}

// patient has a Mux take its time for the end of commands, which on a machine that has far more to
// do than it can is not proven within killLimit.
func patient(m *Mux) *Mux {
	m.killLimit = sshdtest.Patience
	return m
}

func newMux(t testing.TB, o Options) *Mux {
	t.Helper()
	if o.Log == nil && testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	m := New(o)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return m
}

func target(s *sshdtest.Server) Target {
	return Target{Name: "web1", Addr: s.Addr, User: s.User, IdentityFiles: []string{s.ClientKey}, KnownHosts: []string{s.KnownHosts}}
}

// within returns a context that ends after d, or with the test.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// sh runs a shell line that must end by itself, and returns its output.
func sh(t testing.TB, m *Mux, target Target, line string) string {
	t.Helper()
	var out, errs bytes.Buffer
	exit, err := m.Run(within(t, time.Minute), target, Command{Shell: line, Stdout: &out, Stderr: &errs})
	if err != nil || exit.Code != 0 {
		t.Fatalf("Run(%q) = %+v, %v, stderr %q", line, exit, err, &errs)
	}
	return out.String()
}

// kind fails the test unless err is an *Error of that kind and phase.
func kind(t testing.TB, err error, k Kind, p Phase) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != k || e.Phase != p {
		t.Fatalf("err = %v (%T), want kind %v in phase %s", err, err, k, p)
	}
	return e
}

func TestOneConnectionForAllCommands(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if got, want := sh(t, m, target, fmt.Sprint("echo ", i)), fmt.Sprintln(i); got != want {
				t.Errorf("output = %q, want %q", got, want)
			}
		})
	}
	wg.Wait()
	if got := server.Accepted(); got != 1 {
		t.Errorf("sshd accepted %d logins, want 1", got)
	}
	s := m.Stats()
	if s.Dials != 1 || s.Commands != 50 || s.Orphans != 0 || len(s.Links) != 1 || s.Links[0].State != Up || s.Links[0].InUse != 0 {
		t.Errorf("Stats() = %+v", s)
	}
}

func TestExit(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	f := func(line string, code int, signal string) {
		t.Helper()
		before := time.Now()
		exit, err := m.Run(within(t, time.Minute), target, Command{Shell: line})
		if err != nil || exit.Code != code || exit.Signal != signal || exit.Orphan {
			t.Errorf("Run(%q) = %+v, %v, want code %d, signal %q", line, exit, err, code, signal)
		}
		if exit.Started.Before(before) || exit.Ended.Before(exit.Started) || time.Now().Before(exit.Ended) {
			t.Errorf("Run(%q): started %v, ended %v", line, exit.Started, exit.Ended)
		}
	}
	for _, code := range []int{0, 1, 2, 3, 126, 127, 255} {
		f(fmt.Sprint("exit ", code), code, "")
	}
	f("kill -KILL $$", 137, "KILL")
	f("kill -TERM $$", 143, "TERM")
	f("kill -SEGV $$", 139, "SEGV")
	f("/nonexistent", 127, "")
	f("/etc/passwd", 126, "")
}

func TestArgvNotFound(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	var errs bytes.Buffer
	exit, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"check_nothing"}, Stderr: &errs})
	if err != nil || exit.Code != 127 || !strings.Contains(errs.String(), "not found") {
		t.Errorf("Run = %+v, %v, stderr %q, want code 127", exit, err, &errs)
	}
}

func TestStreamsAreApart(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	var out, errs bytes.Buffer
	exit, err := m.Run(within(t, time.Minute), target, Command{Shell: "echo out; echo err >&2; exit 2", Stdout: &out, Stderr: &errs})
	if err != nil || exit.Code != 2 || out.String() != "out\n" || errs.String() != "err\n" {
		t.Errorf("Run = %+v, %v, stdout %q, stderr %q", exit, err, &out, &errs)
	}
}

func TestStdin(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	f := func(in io.Reader, env []string, want string) {
		t.Helper()
		var out bytes.Buffer
		_, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"cat"}, Env: env, Stdin: in, Stdout: &out})
		if err != nil || out.String() != want {
			t.Errorf("cat = %q, %v, want %q", &out, err, want)
		}
	}
	f(nil, nil, "")
	f(nil, []string{"A=1"}, "")
	f(strings.NewReader(""), nil, "")
	f(strings.NewReader("one\ntwo\n"), nil, "one\ntwo\n")
	f(strings.NewReader("one\ntwo\n"), []string{"A=1", "B=2\n3"}, "one\ntwo\n")
	// One that never ends must not keep Run.
	r, w := io.Pipe()
	defer w.Close()
	if _, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"true"}, Stdin: r}); err != nil {
		t.Error(err)
	}
}

func TestLargeAndBinaryOutput(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	data := make([]byte, 10<<20)
	rand.New(rand.NewSource(1)).Read(data)
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	exit, err := m.Run(within(t, time.Minute), target, Command{Shell: "cat " + file + "; cat " + file + " >&2", Stdout: &out, Stderr: &errs})
	if err != nil || exit.Code != 0 {
		t.Fatalf("Run = %+v, %v", exit, err)
	}
	for name, got := range map[string][]byte{"stdout": out.Bytes(), "stderr": errs.Bytes()} {
		if sha256.Sum256(got) != sha256.Sum256(data) {
			t.Errorf("%s: %d bytes, not the %d that were sent", name, len(got), len(data))
		}
	}
}

// stubborn fails after some bytes.
type stubborn struct{ room int }

func (s *stubborn) Write(p []byte) (int, error) {
	if s.room -= len(p); s.room < 0 {
		return 0, errors.New("full")
	}
	return len(p), nil
}

func TestWriterThatFails(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	exit, err := m.Run(within(t, time.Minute), target, Command{Shell: "head -c 8000000 /dev/zero; exit 1", Stdout: &stubborn{room: 1000}})
	if err != nil || exit.Code != 1 {
		t.Errorf("Run = %+v, %v, want code 1", exit, err)
	}
}

func TestBackgroundChildHoldsOutput(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{MaxSessions: 2})
	target.MaxSessions = 1
	for range 4 {
		var out bytes.Buffer
		start := time.Now()
		exit, err := m.Run(within(t, time.Minute), target, Command{Shell: "sleep 300 & echo started; exit 1", Stdout: &out})
		if err != nil || exit.Code != 1 || out.String() != "started\n" {
			t.Errorf("Run = %+v, %v, output %q", exit, err, &out)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	}
	if got := server.Accepted(); got != 1 {
		t.Errorf("sshd accepted %d logins, want 1: the sessions were free again", got)
	}
}

// However few sessions sshd allows, each command runs, once, and its result is its own; half of
// the sessions are used from then on.
func TestServerLimitsSessions(t *testing.T) {
	t.Parallel()
	f := func(allowed, setting, want int) {
		t.Run(fmt.Sprintf("%d of %d", setting, allowed), func(t *testing.T) {
			t.Parallel()
			m, target, server := start(t, sshdtest.Options{MaxSessions: allowed})
			target.MaxSessions = setting
			file := filepath.Join(t.TempDir(), "runs")
			burst := func() {
				var wg sync.WaitGroup
				for i := range 30 {
					wg.Go(func() {
						var out bytes.Buffer
						c := Command{Shell: fmt.Sprintf("sleep 0.1; echo x >>%s; echo %d; exit %d", file, i, i), Stdout: &out}
						if exit, err := m.Run(within(t, time.Minute), target, c); err != nil || exit.Code != i || out.String() != fmt.Sprintln(i) {
							t.Errorf("Run = %+v, %v, output %q, want %d", exit, err, &out, i)
						}
					})
				}
				wg.Wait()
			}
			burst()
			first := m.Stats()
			if (first.Refused == 0 && setting > allowed) || first.Links[0].MaxSessions != want || first.InUse != 0 || first.Queued != 0 {
				t.Errorf("Stats() = %+v, want %d sessions", first, want)
			}
			burst()
			second := m.Stats()
			if got := second.Links[0].MaxSessions; got != want {
				t.Errorf("%d sessions after the second burst, want %d", got, want)
			}
			t.Logf("%d refused, then %d", first.Refused, second.Refused-first.Refused)
			if got := server.Accepted(); got != 1 {
				t.Errorf("sshd accepted %d logins, want 1", got)
			}
			if runs, err := os.ReadFile(file); err != nil || len(runs) != len("x\n")*60 {
				t.Errorf("%d commands ran, %v, want 60", len(runs)/2, err)
			}
		})
	}
	f(1, 5, 1)
	f(2, 5, 1)
	f(10, 5, 5)
	f(10, 20, 5)
	f(10, 3, 3)
	f(1, 1, 1)
}

func TestProfileIsDropped(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{Profile: "echo Welcome to $(hostname)\nprintf 'no newline'\necho noise >&2\n"})
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q, want %q", got, "OK\n")
	}
}

func TestDirAndPath(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	dir := t.TempDir()
	odd := filepath.Join(dir, "it's odd!\n$(x)")
	for _, d := range []string{odd, filepath.Join(dir, "bin")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "check_pwd"), []byte("#!/bin/sh\npwd\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := Command{Argv: []string{"check_pwd"}, Path: []string{odd, filepath.Join(dir, "bin")}, Dir: odd, Stdout: &out}
	if exit, err := m.Run(within(t, time.Minute), target, c); err != nil || exit.Code != 0 || out.String() != odd+"\n" {
		t.Errorf("Run = %+v, %v, output %q, want %q", exit, err, &out, odd)
	}
	c.Dir = filepath.Join(dir, "missing")
	_, err := m.Run(within(t, time.Minute), target, c)
	kind(t, err, Config, PhaseExec)
	if !strings.Contains(err.Error(), c.Dir) {
		t.Errorf("err = %v, want one that names %s", err, c.Dir)
	}
}

func TestEnvIsNotInAProcessList(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	var out bytes.Buffer
	env := []string{"TOKEN=hunter2", "LINES_OF=a\nb'c\n", "EMPTY="}
	c := Command{Shell: `ps -ef; echo; printf '[%s][%s][%s]' "$TOKEN" "$LINES_OF" "$EMPTY"`, Env: env, Stdout: &out}
	if exit, err := m.Run(within(t, time.Minute), target, c); err != nil || exit.Code != 0 {
		t.Fatalf("Run = %+v, %v", exit, err)
	}
	list, values, _ := strings.Cut(out.String(), "\n\n")
	if strings.Contains(list, "hunter2") || !strings.Contains(list, "ps -ef") {
		t.Errorf("the process list shows the environment: %s", list)
	}
	if want := "[hunter2][a\nb'c\n][]"; values != want {
		t.Errorf("values = %q, want %q", values, want)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	for range 3 {
		rtt, err := m.Ping(within(t, time.Minute), target)
		if err != nil || rtt <= 0 || rtt > 5*time.Second {
			t.Errorf("Ping = %v, %v", rtt, err)
		}
	}
	if got := server.Accepted(); got != 1 {
		t.Errorf("sshd accepted %d logins, want 1", got)
	}
	if l := m.Stats().Links; len(l) != 1 || l[0].RTT <= 0 {
		t.Errorf("Stats().Links = %+v, want a round trip", l)
	}
}

func TestRetain(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	other := target
	other.Name = "web2"
	other.KnownHosts = slices.Clone(target.KnownHosts)
	sh(t, m, target, "true")
	running := make(chan string)
	go func() { running <- sh(t, m, other, "sleep 0.3; echo done") }()
	sshdtest.Await(t, "two commands", func() bool { return len(m.Stats().Links) == 2 && m.Stats().Commands == 2 })
	m.Retain(func(t Target) bool { return false })
	if got := m.Stats().Links; len(got) != 0 {
		t.Errorf("links after Retain: %+v", got)
	}
	if got := <-running; got != "done\n" {
		t.Errorf("output = %q, want that of a command that was left alone", got)
	}
	sh(t, m, target, "true")
	if got := server.Accepted(); got != 3 {
		t.Errorf("sshd accepted %d logins, want 3", got)
	}
	if got := m.Stats().Lost; got != 0 {
		t.Errorf("Lost = %d, want 0", got)
	}
}

// An idle link costs a few goroutines, and commands leave none behind.
func TestGoroutinesOfIdleLink(t *testing.T) {
	m, target, _ := start(t, sshdtest.Options{})
	before := runtime.NumGoroutine()
	const links = 5
	for i := range links {
		target := target
		target.Name = fmt.Sprint("web", i)
		target.KnownHosts = slices.Clone(target.KnownHosts)
		for range 3 {
			sh(t, m, target, "echo OK")
		}
	}
	sshdtest.Await(t, "four goroutines for each link, not more", func() bool { return runtime.NumGoroutine()-before <= 4*links })
}
