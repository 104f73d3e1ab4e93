package runner_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"alf"
	"alf/internal/sshdtest"
	"alf/runner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRunner(t *testing.T, o runner.Options) *runner.Runner {
	t.Helper()
	r, err := runner.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// outcome is what a run came to.
type outcome struct {
	alf.Exit
	stdout, stderr string
	cause          alf.Cause
	err            error
}

func run(ctx context.Context, r alf.Runner, e alf.Execution) outcome {
	var stdout, stderr bytes.Buffer
	e.Stdout, e.Stderr = &stdout, &stderr
	exit, err := r.Run(ctx, e)
	o := outcome{Exit: exit, err: err, stdout: stdout.String(), stderr: stderr.String()}
	var why *alf.RunError
	if errors.As(err, &why) {
		o.cause = why.Cause
	}
	return o
}

func hostOf(s *sshdtest.Server) *alf.Host {
	return &alf.Host{Name: "web1", Address: "127.0.0.1", SSH: alf.SSH{Port: s.Port, User: s.User,
		IdentityFiles: []string{s.ClientKey}, KnownHosts: []string{s.KnownHosts}, HostKeyPolicy: alf.HostKeyStrict}}
}

func TestLocal(t *testing.T) {
	t.Setenv("PATH", "/proc/1/fd:"+os.Getenv("PATH")) // a folder that only root may search
	r := newRunner(t, runner.Options{})
	dir := t.TempDir()
	plugin := filepath.Join(dir, "check_it")
	if err := os.WriteFile(plugin, []byte("#!/bin/sh\necho \"IT $1\"; echo grumble >&2; exit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "check_data"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f := func(name string, e alf.Execution, code int, stdout, stderr string) {
		t.Helper()
		o := run(t.Context(), r, e)
		if o.err != nil || o.Code != code || o.stdout != stdout || !strings.Contains(o.stderr, stderr) {
			t.Errorf("%s: code %d, %q, %q, %v, want %d, %q, %q", name, o.Code, o.stdout, o.stderr, o.err, code, stdout, stderr)
		}
	}
	f("argv", alf.Execution{Argv: []string{plugin, "a b"}}, 2, "IT a b\n", "grumble")
	f("path", alf.Execution{Argv: []string{"check_it", "x"}, Path: []string{"/nowhere", dir}}, 2, "IT x\n", "grumble")
	f("no shell reads arguments", alf.Execution{Argv: []string{"echo", "$HOME `id` ; x"}}, 0, "$HOME `id` ; x\n", "")
	f("shell", alf.Execution{Shell: "echo one; check_it two", Path: []string{dir}}, 2, "one\nIT two\n", "grumble")
	f("env", alf.Execution{Argv: []string{"sh", "-c", "echo $A-$B"}, Env: []string{"A=1", "B=2 3"}}, 0, "1-2 3\n", "")
	f("dir", alf.Execution{Argv: []string{"pwd"}, Dir: dir}, 0, dir+"\n", "")
	f("stdin", alf.Execution{Argv: []string{"cat"}, Stdin: strings.NewReader("hi")}, 0, "hi", "")
	f("no stdin", alf.Execution{Argv: []string{"cat"}}, 0, "", "")
	f("missing", alf.Execution{Argv: []string{"check_nothing"}}, 127, "", "check_nothing")
	f("missing path", alf.Execution{Argv: []string{"/nowhere/check"}}, 127, "", "/nowhere/check")
	f("not executable", alf.Execution{Argv: []string{"check_data"}, Path: []string{dir}}, 126, "", "check_data")
	f("script", alf.Execution{Script: "check_load", Argv: []string{"-V"}}, 3, run(t.Context(), r, alf.Execution{Script: "check_load", Argv: []string{"-V"}}).stdout, "")
	f("script file", alf.Execution{Script: plugin, Argv: []string{"from stdin"}}, 2, "IT from stdin\n", "grumble")
	if o := run(t.Context(), r, alf.Execution{Argv: []string{"sh", "-c", "kill -SEGV $$"}}); o.err != nil || o.Signal != "SEGV" {
		t.Errorf("a signal: %+v", o)
	}
	for _, e := range []alf.Execution{{Script: "check_nothing"}, {}, {Argv: []string{"true"}, Dir: "/nowhere"}, {Argv: []string{"true"}, Dir: "/etc/passwd"}} {
		if o := run(t.Context(), r, e); o.cause != alf.CauseConfig {
			t.Errorf("%+v: %v, want cause config", e, o.err)
		}
	}
}

// TestLocalEnvironment: what is in Alf's environment may be a secret.
func TestLocalEnvironment(t *testing.T) {
	t.Setenv("ALF_SECRET_TOKEN", "tiger")
	o := run(t.Context(), newRunner(t, runner.Options{}), alf.Execution{Argv: []string{"env"}})
	if o.err != nil || strings.Contains(o.stdout, "tiger") || !strings.Contains(o.stdout, "PATH=") {
		t.Errorf("env prints %q, %v", o.stdout, o.err)
	}
}

func TestLocalUser(t *testing.T) {
	if os.Getuid() != 0 {
		_, err := runner.New(runner.Options{LocalUser: "root"})
		if err == nil || !strings.Contains(err.Error(), "only root") {
			t.Errorf("New as root = %v, want a refusal", err)
		}
		return
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, runner.Options{LocalUser: "nobody"})
	o := run(t.Context(), r, alf.Execution{Argv: []string{"sh", "-c", "id -u; id -G; cat " + key}})
	if want := nobody.Uid + "\n" + nobody.Gid + "\n"; o.stdout != want || !strings.Contains(o.stderr, "ermission denied") {
		t.Errorf("as nobody: %q, %q, want %q", o.stdout, o.stderr, want)
	}
	if _, err := runner.New(runner.Options{LocalUser: "no such user"}); err == nil {
		t.Error("New for a user that does not exist succeeded")
	}
}

// TestLocalTimeout: the whole process group ends, also one that ignores TERM.
func TestLocalTimeout(t *testing.T) {
	r := newRunner(t, runner.Options{})
	for _, line := range []string{"sleep 60", "sleep 60 & sleep 60; wait", "trap '' TERM; sleep 60 & sleep 60"} {
		began := time.Now()
		o := run(t.Context(), r, alf.Execution{Shell: "echo $$; " + line, Limit: 300 * time.Millisecond})
		if o.cause != alf.CauseTimeout || time.Since(began) > 10*time.Second {
			t.Errorf("%q: %v after %v", line, o.err, time.Since(began))
		}
		group, err := strconv.Atoi(strings.TrimSpace(o.stdout))
		if err != nil {
			t.Fatal(err)
		}
		awaitNoGroup(t, group)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if o := run(ctx, r, alf.Execution{Argv: []string{"sleep", "60"}}); o.err == nil || o.cause == alf.CauseTimeout {
		t.Errorf("called off: %v, want an error that judges nobody", o.err)
	}
}

func awaitNoGroup(t *testing.T, group int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err := syscall.Kill(-group, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
	}
	t.Errorf("process group %d lives on", group)
}

// TestLocalBackgroundChild: a child that keeps the output open holds nobody up.
func TestLocalBackgroundChild(t *testing.T) {
	began := time.Now()
	o := run(t.Context(), newRunner(t, runner.Options{}), alf.Execution{Shell: "sleep 8 & echo started; exit 1"})
	if o.err != nil || o.Code != 1 || o.stdout != "started\n" || time.Since(began) > 6*time.Second {
		t.Errorf("%+v after %v", o, time.Since(began))
	}
}

func TestRemote(t *testing.T) {
	s := sshdtest.Start(t, sshdtest.Options{})
	r := newRunner(t, runner.Options{})
	h := hostOf(s)
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			o := run(t.Context(), r, alf.Execution{Host: h, Argv: []string{"sh", "-c", "echo out $0; echo err >&2; exit $0", strconv.Itoa(i % 4)}})
			if want := strconv.Itoa(i % 4); o.err != nil || o.Code != i%4 || o.stdout != "out "+want+"\n" || o.stderr != "err\n" {
				t.Errorf("run %d: %+v", i, o)
			}
		})
	}
	all.Wait()
	if o := run(t.Context(), r, alf.Execution{Host: h, Script: "check_mem", Argv: []string{"-w", "100", "-c", "100"}, Env: []string{"LC_ALL=C"}}); o.err != nil || o.Code != 0 || !strings.HasPrefix(o.stdout, "OK - ") {
		t.Errorf("a script: %+v", o)
	}
	if o := run(t.Context(), r, alf.Execution{Host: h}); o.err != nil {
		t.Errorf("a sign of life: %v", o.err)
	}
	if n := s.Accepted(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	// Another pointer to the same host is the same connection; Retain keeps it.
	r.Retain(alf.NewInventory([]*alf.Host{hostOf(s)}, nil))
	if o := run(t.Context(), r, alf.Execution{Host: hostOf(s), Argv: []string{"true"}}); o.err != nil {
		t.Error(o.err)
	}
	if n := s.Accepted(); n != 1 {
		t.Errorf("%d logins after a reload, want 1", n)
	}
}

func TestCauses(t *testing.T) {
	s := sshdtest.Start(t, sshdtest.Options{})
	r := newRunner(t, runner.Options{})
	f := func(name string, want alf.Cause, change func(*alf.Host), e alf.Execution) {
		t.Helper()
		h := hostOf(s)
		change(h)
		e.Host = h
		o := run(t.Context(), r, e)
		if o.err == nil || o.cause != want {
			t.Errorf("%s: cause %v, %v, want %v", name, o.cause, o.err, want)
		}
		if o.err != nil && strings.Contains(o.err.Error(), "tiger") {
			t.Errorf("%s: the error tells the password: %v", name, o.err)
		}
	}
	command := alf.Execution{Argv: []string{"true"}}
	empty := filepath.Join(t.TempDir(), "known_hosts")
	f("timeout", alf.CauseTimeout, func(*alf.Host) {}, alf.Execution{Argv: []string{"sleep", "60"}, Limit: 300 * time.Millisecond})
	f("nobody there", alf.CauseTransport, func(h *alf.Host) { h.SSH.Port = 1 }, command)
	f("nobody there, ping", alf.CauseTransport, func(h *alf.Host) { h.SSH.Port = 1 }, alf.Execution{})
	f("unknown key", alf.CauseHostKey, func(h *alf.Host) { h.SSH.KnownHosts = []string{empty} }, command)
	f("wrong password", alf.CauseAuth, func(h *alf.Host) { h.SSH.IdentityFiles, h.SSH.Password = nil, "tiger" }, command)
	f("no key file", alf.CauseConfig, func(h *alf.Host) { h.SSH.IdentityFiles = []string{"/nowhere/key"} }, command)
	s.AwaitNoProcesses()
}

// The connection to a bastion is the one of its own checks, and stays while one
// behind it is wanted.
func TestBastion(t *testing.T) {
	bastion, server := sshdtest.Start(t, sshdtest.Options{}), sshdtest.Start(t, sshdtest.Options{})
	jump, web := hostOf(bastion), hostOf(server)
	jump.Name, web.SSH.Via = "jump1", jump
	r := newRunner(t, runner.Options{})
	both := func() {
		t.Helper()
		for _, h := range []*alf.Host{jump, web} {
			if o := run(t.Context(), r, alf.Execution{Host: h, Shell: "echo hello"}); o.err != nil || o.stdout != "hello\n" {
				t.Errorf("%s: %q, %v", h.Name, o.stdout, o.err)
			}
		}
	}
	both()
	r.Retain(alf.NewInventory([]*alf.Host{web}, nil))
	both()
	if a, b := bastion.Connections(), server.Connections(); a != 1 || b != 1 {
		t.Errorf("%d connections to the bastion and %d to the host, want one each", a, b)
	}
	r.Retain(alf.NewInventory([]*alf.Host{jump}, nil))
	both()
	if a, b := bastion.Connections(), server.Connections(); a != 1 || b != 2 {
		t.Errorf("%d connections to the bastion and %d to the host, want 1 and 2", a, b)
	}
	bastion.Stop()
	o := run(t.Context(), r, alf.Execution{Host: web, Shell: "true"})
	if o.cause != alf.CauseTransport || !strings.Contains(o.err.Error(), "bastion jump1 (") {
		t.Errorf("cause %v, %v, want one that names the bastion", o.cause, o.err)
	}
}
