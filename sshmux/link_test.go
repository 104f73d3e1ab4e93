package sshmux

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

func TestRedialAfterLoss(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	lost := make(chan error, 1)
	go func() {
		exit, err := m.Run(t.Context(), target, Command{Shell: "sleep 300"})
		if !exit.Orphan {
			t.Errorf("exit = %+v, want an orphan", exit)
		}
		lost <- err
	}()
	sshdtest.Await(t, "the command", func() bool { return len(server.Processes()) > 0 })
	server.Restart()
	kind(t, <-lost, Transport, PhaseOutput)
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q", got)
	}
	if got := server.Accepted(); got != 2 {
		t.Errorf("sshd accepted %d logins, want 2", got)
	}
	if s := m.Stats(); s.Lost != 1 || s.Orphans != 1 {
		t.Errorf("Stats() = %+v, want one loss and one orphan", s)
	}
}

func TestFrozenServer(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	sh(t, m, target, "true")
	server.Pause()
	t.Cleanup(server.Resume)
	start := time.Now()
	_, err := m.Run(within(t, 500*time.Millisecond), target, Command{Shell: "true"})
	kind(t, err, Transport, PhaseOpen)
	other := target
	other.ConnectTimeout = 500 * time.Millisecond
	_, err = m.Run(t.Context(), other, Command{Shell: "true"})
	kind(t, err, Transport, PhaseBanner)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	server.Resume()
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q", got)
	}
}

// When the host falls silent, it is not the command that is slow.
func TestFrozenDuringCommand(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	m.killLimit = killLimit
	start := time.Now()
	ended := make(chan error, 1)
	go func() {
		exit, err := m.Run(t.Context(), target, Command{Shell: "sleep 300", Timeout: 5 * time.Second})
		if took := time.Since(start); !exit.Orphan || took > 30*time.Second {
			t.Errorf("Run = %+v, %v after %v, want an orphan", exit, err, took)
		}
		ended <- err
	}()
	sshdtest.Await(t, "the command", func() bool { return len(server.Processes()) > 0 })
	server.Pause()
	err := <-ended
	server.Resume()
	kind(t, err, Transport, PhaseOutput)
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	_, text := sshdtest.NewKey(t)
	target.IdentityFiles = []string{filepath.Join(t.TempDir(), "other")}
	if err := os.WriteFile(target.IdentityFiles[0], []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		_, err := m.Run(t.Context(), target, Command{Shell: "true"})
		if e := kind(t, err, Auth, PhaseAuth); time.Until(e.Retry) < 14*time.Second {
			t.Errorf("next attempt in %v, want 15s or more", time.Until(e.Retry))
		}
	}
	if got := server.Failed(); got != 1 {
		t.Errorf("sshd saw %d failed logins, want 1: they must not be repeated quickly", got)
	}
	if s := m.Stats(); s.Dials != 1 || s.Failures[PhaseAuth] != 1 || s.Links[0].LastError == nil {
		t.Errorf("Stats() = %+v", s)
	}
}

func TestSecondKey(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	_, text := sshdtest.NewKey(t)
	old := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(old, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	target.IdentityFiles = []string{old, filepath.Join(t.TempDir(), "missing"), server.ClientKey}
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q", got)
	}
}

func TestUnreachableHostIsCheap(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := target
	dead.Name, dead.Addr = "dead", l.Addr().String()
	l.Close()
	for range 3 {
		_, err := m.Run(t.Context(), dead, Command{Shell: "true"})
		e := kind(t, err, Transport, PhaseDial)
		if e.Retry.IsZero() || !strings.Contains(err.Error(), "next attempt at") || !strings.Contains(err.Error(), "refused") {
			t.Errorf("err = %v, want one that says when the next attempt is", err)
		}
	}
	if got := m.Stats().Dials; got != 1 {
		t.Errorf("Dials = %d, want 1", got)
	}
	sshdtest.Await(t, "another attempt", func() bool {
		m.Run(t.Context(), dead, Command{Shell: "true"})
		return m.Stats().Dials > 1
	})
}

func TestUnknownName(t *testing.T) {
	m, target, _ := start(t, sshdtest.Options{})
	target.Addr = "nowhere.invalid:22"
	_, err := m.Run(within(t, time.Minute), target, Command{Shell: "true"})
	kind(t, err, Transport, PhaseResolve)
}

// A dial that hangs must hold up nobody but those who wait for it.
func TestHangingDialDoesNotTouchOthers(t *testing.T) {
	t.Parallel()
	server := sshdtest.Start(t, sshdtest.Options{})
	target := target(server)
	stuck := target
	stuck.Name, stuck.Addr = "stuck", "192.0.2.1:22"
	m := newMux(t, Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == stuck.Addr {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := m.Run(ctx, stuck, Command{Shell: "true"}); !errors.Is(err, context.Canceled) {
				t.Errorf("Run = %v, want context.Canceled", err)
			}
		})
	}
	sshdtest.Await(t, "the dial", func() bool { return m.Stats().Dials > 0 })
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q", got)
	}
	m.Retain(func(Target) bool { return true })
	cancel()
	wg.Wait()
	if got := m.Stats().Dials; got != 2 {
		t.Errorf("Dials = %d, want 2", got)
	}
}

// A login that does not run commands must not look like a plugin that exits with 1.
func TestLoginWithoutCommands(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"echo This account is currently not available.; exit 1", "echo Your password has expired >&2; exit 1", "exit 0"} {
		m, target, _ := start(t, sshdtest.Options{KeyOptions: `command="` + command + `"`})
		_, err := m.Run(within(t, time.Minute), target, Command{Shell: "true"})
		kind(t, err, Auth, PhaseExec)
		if _, said, ok := strings.Cut(strings.TrimSuffix(strings.Split(command, " >&2")[0], "; exit 1"), "echo "); ok && !strings.Contains(err.Error(), said) {
			t.Errorf("err = %v, want what the login said: %q", err, said)
		}
	}
}

// A forced command that tells what it was asked to do repeats the nonce.
func TestEchoedCommand(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{KeyOptions: `command="echo $SSH_ORIGINAL_COMMAND; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\""`})
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q, want %q", got, "OK\n")
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{MaxStartups: "1:100:1"})
	c, err := net.Dial("tcp", server.Addr) // takes the only place of those that have not logged in
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 64)
	if _, err := c.Read(buf); err != nil {
		t.Fatal(err)
	}
	_, err = m.Run(within(t, time.Minute), target, Command{Shell: "true"})
	if e := kind(t, err, Transport, PhaseBanner); !strings.Contains(e.Error(), "MaxStartups") {
		t.Errorf("err = %v, want what sshd said", err)
	}
}

func TestMistakesAreConfig(t *testing.T) {
	m := newMux(t, Options{})
	good := Target{Name: "web1", Addr: "192.0.2.1:22", User: "monitor", KnownHosts: []string{"/nonexistent"}, Password: "x"}
	f := func(change func(*Target), c Command, phase Phase) {
		t.Helper()
		target := good
		change(&target)
		exit, err := m.Run(t.Context(), target, c)
		kind(t, err, Config, phase)
		if exit.Code != -1 {
			t.Errorf("exit = %+v, want code -1", exit)
		}
	}
	ok := Command{Shell: "true"}
	same := func(*Target) {}
	f(func(t *Target) { t.Addr = "web1" }, ok, PhaseDial)
	f(func(t *Target) { t.User = "" }, ok, PhaseDial)
	f(func(t *Target) { t.KnownHosts = nil }, ok, PhaseDial)
	f(func(t *Target) { t.HostKeyPolicy = "no" }, ok, PhaseDial)
	f(func(t *Target) { t.Password = "" }, ok, PhaseAuth)
	f(func(t *Target) { t.KnownHosts = []string{t.Addr + "\x00"} }, ok, PhaseHostKey)
	f(same, Command{}, PhaseExec)
	f(same, Command{Shell: "true", Argv: []string{"true"}}, PhaseExec)
	f(same, Command{Argv: []string{"a\x00b"}}, PhaseExec)
	f(same, Command{Argv: []string{"-x"}}, PhaseExec)
	f(same, Command{Shell: "true", Env: []string{"1=2"}}, PhaseExec)
	f(same, Command{Shell: "true", Path: []string{"a:b"}}, PhaseExec)
	f(same, Command{Shell: strings.Repeat("x", 200_000)}, PhaseExec)
}
