package sshmux

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// relay stands between Alf and a host, and may become a black hole: it goes on taking bytes, and
// lets none through in either direction.
type relay struct {
	addr string

	mu      sync.Mutex
	changed *sync.Cond
	left    int64 // bytes from the host that still go through; negative: all
	passed  atomic.Int64
}

func newRelay(t testing.TB, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: l.Addr().String(), left: -1}
	r.changed = sync.NewCond(&r.mu)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			mu.Lock()
			all = append(all, near, far)
			mu.Unlock()
			wg.Go(func() { r.carry(far, near, false) })
			wg.Go(func() { r.carry(near, far, true) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.allow(-1)
		mu.Lock()
		for _, c := range all {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return r
}

// allow lets so many further bytes of the host through, and then nothing.
func (r *relay) allow(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = n
	r.changed.Broadcast()
}

// grant waits until some of n bytes may pass, and returns how many.
func (r *relay) grant(n int, counted bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.left == 0 {
		r.changed.Wait()
	}
	if r.left > 0 && counted {
		n = int(min(int64(n), r.left))
		r.left -= int64(n)
	}
	return n
}

func (r *relay) carry(to, from net.Conn, counted bool) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			n := r.grant(len(rest), counted)
			if _, err := to.Write(rest[:n]); err != nil {
				return
			}
			if counted {
				r.passed.Add(int64(n))
			}
			rest = rest[n:]
		}
		if err != nil {
			return
		}
	}
}

// behindRelay returns a target for the server that is reached through a relay.
func behindRelay(t testing.TB, s *sshdtest.Server) (*relay, Target) {
	r := newRelay(t, s.Addr)
	target := target(s)
	target.Addr, target.HostKeyAlias = r.addr, "web"
	target.KnownHosts = []string{writeKnown(t, "web "+sshdtest.AuthorizedKey(s.HostKey))}
	return r, target
}

// brisk are short times for all that may hang.
var brisk = Options{
	ConnectTimeout: 600 * time.Millisecond, OpenTimeout: 500 * time.Millisecond, QueueTimeout: 2 * time.Second,
	KeepaliveInterval: 300 * time.Millisecond, KeepaliveTimeout: 150 * time.Millisecond,
}

// brisklyOver is more than brisk allows for a login and a command that is killed.
const brisklyOver = 30 * time.Second

// However many bytes a host has sent when it falls silent, the command ends in time with an error
// that names the phase, and nothing is left of it.
func TestStallAfterAnyByte(t *testing.T) {
	t.Parallel()
	server := sshdtest.Start(t, sshdtest.Options{})
	r, target := behindRelay(t, server)
	run := func(m *Mux) error {
		exit, err := m.Run(t.Context(), target, Command{Shell: "echo OK; sleep 0.05; echo more", Timeout: time.Second})
		if err == nil && exit.Code != 0 {
			t.Errorf("exit = %+v", exit)
		}
		return err
	}
	m := New(Options{})
	if err := run(m); err != nil {
		t.Fatal(err)
	}
	m.Close()
	all := r.passed.Load()
	seen := make(map[Phase]int)
	var points []int64
	for range 12 {
		points = append(points, 1+rand.Int64N(all-1))
	}
	points = append(points, 0, 1, 20, 41, 60, 1500, all-200, all-60, all-1)
	for _, n := range points {
		m := New(brisk)
		r.allow(n)
		if n == 0 {
			r.allow(0)
		}
		start := time.Now()
		err := run(m)
		took := time.Since(start)
		if e, ok := errors.AsType[*Error](err); ok {
			seen[e.Phase]++
			if e.Kind != Transport && e.Kind != Timeout || took > brisklyOver {
				t.Errorf("after %d bytes: %v after %v", n, err, took)
			}
		} else if err != nil {
			t.Errorf("after %d bytes: %v, want an *Error", n, err)
		}
		start = time.Now()
		m.Close()
		if took := time.Since(start); took > brisklyOver {
			t.Errorf("after %d bytes: Close took %v", n, took)
		}
		r.allow(-1)
	}
	t.Logf("%d bytes in all; phases in which it was noticed: %v", all, seen)
	for _, p := range []Phase{PhaseBanner, PhaseKex} {
		if seen[p] == 0 {
			t.Errorf("no stall was noticed in phase %s", p)
		}
	}
	server.AwaitNoProcesses()
}

// A link that is idle and falls silent is found by its keepalives, as is one in the middle of a
// command's output; and another one takes over.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	server := sshdtest.Start(t, sshdtest.Options{})
	o := Options{KeepaliveInterval: time.Second, KeepaliveTimeout: time.Second}
	limit := o.KeepaliveInterval + 2*o.KeepaliveTimeout
	t.Run("idle", func(t *testing.T) {
		r, target := behindRelay(t, server)
		m := newMux(t, o)
		sh(t, m, target, "true")
		r.allow(0)
		took := noticed(t, m)
		t.Logf("noticed after %v; configured are %v", took, limit)
		r.allow(-1)
		sh(t, m, target, "true")
	})
	t.Run("output", func(t *testing.T) {
		r, target := behindRelay(t, server)
		m := newMux(t, o)
		sh(t, m, target, "true")
		r.allow(300_000)
		start := time.Now()
		var out bytes.Buffer
		exit, err := m.Run(t.Context(), target, Command{Shell: "exec cat /dev/zero", Stdout: &out})
		e := kind(t, err, Transport, PhaseOutput)
		if !strings.Contains(e.Error(), "no sign of life") || !exit.Orphan || out.Len() == 0 {
			t.Errorf("Run = %+v, %v with %d bytes of output", exit, err, out.Len())
		}
		t.Logf("noticed after %v; configured are %v", time.Since(start), limit)
		r.allow(-1)
		sh(t, m, target, "true")
	})
}

// noticed waits until the only link is found to be lost, and returns how long that was.
func noticed(t testing.TB, m *Mux) time.Duration {
	start := time.Now()
	for m.Totals().Lost == 0 {
		if time.Since(start) > time.Minute {
			t.Fatal("nobody noticed within a minute")
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

// What does not speak SSH is told as that, with what it says, in the phase in which it did.
func TestGarbageInsteadOfSSH(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(128 + rand.IntN(128))
	}
	f := func(name string, say func(c net.Conn), p Phase, want string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMux(t, Options{ConnectTimeout: 5 * time.Second})
			target := Target{Name: "web1", Addr: speaker(t, say), User: "monitor", Password: "x", KnownHosts: []string{filepath.Join(t.TempDir(), "none")}}
			_, err := m.Run(t.Context(), target, Command{Shell: "true"})
			if e := kind(t, err, Transport, p); !strings.Contains(e.Error(), want) || len(e.Error()) > 500 {
				t.Errorf("err = %v, want one with %q", err, want)
			}
		})
	}
	text := func(s string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, s); io.Copy(io.Discard, c) }
	}
	f("nothing", func(net.Conn) {}, PhaseBanner, "connection ") // closed, or lost by a reset
	f("HTTP", text("HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n"), PhaseBanner, `"HTTP/1.1 400 Bad Request`)
	f("random", text(string(noise)), PhaseBanner, "does not greet as an SSH server")
	f("endless line", func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}, PhaseBanner, "xxxx")
	f("endless lines", func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, "please wait\r\n"); err != nil {
				return
			}
		}
	}, PhaseBanner, `"please wait please wait`)
	f("drop by drop", func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, "S"); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}, PhaseBanner, "no answer within 5s")
	f("SSH-1.5", text("SSH-1.5-OpenSSH_2.9\n"), PhaseKex, "")
	f("SSH-1.5 that hangs up", func(c net.Conn) { io.WriteString(c, "SSH-1.5-Cisco-1.25\n"); c.Read(make([]byte, 100)) }, PhaseKex, `"SSH-1.5-Cisco-1.25"`)
	f("noise after the greeting", text("SSH-2.0-x\r\n"+string(noise)), PhaseKex, "")
	f("silence after the greeting", text("SSH-2.0-x\r\n"), PhaseKex, "no answer within 5s")
	f("hang-up after the greeting", func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n") }, PhaseKex, "")
}

// speaker returns the address of a server that says something to all who come.
func speaker(t *testing.T, say func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				say(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// sshd may have room for a single connection that has not logged in; all get in in the end.
func TestMaxStartupsOne(t *testing.T) {
	t.Parallel()
	_, proto, server := start(t, sshdtest.Options{MaxStartups: "1:100:1"})
	m := newMux(t, Options{})
	ctx := within(t, 60*time.Second)
	var wg sync.WaitGroup
	var refused atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			target := called(proto, fmt.Sprint("web", i))
			for {
				_, err := m.Run(ctx, target, Command{Shell: "true"})
				if err == nil {
					return
				}
				refused.Add(1)
				if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Transport || ctx.Err() != nil {
					t.Errorf("%s: %v", target.Name, err)
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	t.Logf("%d errors, %d connections for 20 links", refused.Load(), server.Connections())
	if s := m.Stats(); s.States[Up] != 20 {
		t.Errorf("States = %v, want 20 up", s.States)
	}
}

// sshd is killed, frozen and started again in the middle of checks. Each of them ends, and with
// the cause that it was.
func TestSSHDDiesInMidCheck(t *testing.T) {
	t.Parallel()
	for _, normal := range normals() {
		t.Run(fmt.Sprintf("normal=%v", normal), func(t *testing.T) {
			t.Parallel()
			server := sshdtest.Start(t, sshdtest.Options{NormalUser: normal})
			m, target := newMux(t, Options{KeepaliveInterval: time.Second, KeepaliveTimeout: 2 * time.Second}), target(server)
			f := func(name string, harm func(), want string) {
				t.Helper()
				const checks = 4
				ended := make(chan error, checks)
				for range checks {
					go func() {
						exit, err := m.Run(t.Context(), target, Command{Shell: "echo begun; sleep 300", Timeout: 30 * time.Second})
						if !exit.Orphan || exit.Code != -1 {
							t.Errorf("%s: exit = %+v, want an orphan", name, exit)
						}
						ended <- err
					}()
				}
				sshdtest.Await(t, "the commands", func() bool { return len(server.Processes()) >= 2*checks })
				start := time.Now()
				harm()
				for range checks {
					if e := kind(t, <-ended, Transport, PhaseOutput); !strings.Contains(e.Error(), want) {
						t.Errorf("%s: %v, want %q", name, e, want)
					}
				}
				if took := time.Since(start); took > 25*time.Second {
					t.Errorf("%s: took %v", name, took)
				}
			}
			again := func() {
				t.Helper()
				sshdtest.Await(t, "another link", func() bool {
					_, err := m.Run(t.Context(), target, Command{Shell: "true"})
					return err == nil
				})
			}
			f("killed", server.Stop, "")
			killLeft(server)
			server.AwaitNoProcesses()
			server.Restart()
			again()
			f("frozen", server.Pause, "no sign of life")
			server.Resume()
			killLeft(server)
			server.AwaitNoProcesses()
			again()
			f("restarted", server.Restart, "")
			again()
			server.Stop()
			killLeft(server)
		})
	}
}

// normals returns what differs for a normal user: to root, both; else only the own account.
func normals() []bool {
	if os.Geteuid() == 0 {
		return []bool{false, true}
	}
	return []bool{true}
}

// killLeft ends the orphans that a test has made.
func killLeft(s *sshdtest.Server) {
	for _, p := range s.Processes() {
		var pid int
		if _, err := fmt.Sscan(p, &pid); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// An account that is locked or has expired refuses keys and passwords; that is its cause, and
// tried no more often than any other login that fails.
func TestLockedAccount(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("locking an account needs root")
	}
	f := func(how ...string) {
		t.Helper()
		server := sshdtest.Start(t, sshdtest.Options{Shell: "/bin/sh", Config: []string{"UsePAM no"}})
		m, target := newMux(t, Options{}), target(server)
		sh(t, m, target, "true")
		m.Retain(func(Target) bool { return false })
		sshdtest.Administer(t, "", append(how, target.User)...)
		for range 3 {
			_, err := m.Run(t.Context(), target, Command{Shell: "true"})
			if e := kind(t, err, Auth, PhaseAuth); e.Retry.IsZero() || !strings.Contains(e.Error(), "login as "+target.User+" refused") {
				t.Errorf("%q: %v", how, err)
			}
		}
		if got := server.Connections(); got != 2 {
			t.Errorf("%q: %d connections, want 2", how, got)
		}
	}
	f("passwd", "-l")
	f("usermod", "-L", "-e", "1")
	f("chage", "-E", "1")
}

// A full disk is the plugin's affair: its error is its result, and Alf needs no room on the host.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("making a full disk needs root")
	}
	for _, normal := range normals() {
		server := sshdtest.Start(t, sshdtest.Options{NormalUser: normal})
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16k,mode=777"); err != nil {
			if os.Getenv("CI") == "true" && !errors.Is(err, syscall.EPERM) {
				t.Fatal(err)
			}
			t.Skipf("mounting a small disk: %v", err)
		}
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
		for parent := filepath.Dir(dir); len(parent) > len(os.TempDir()); parent = filepath.Dir(parent) {
			os.Chmod(parent, 0o755)
		}
		m, target := patient(newMux(t, Options{})), target(server)
		home := "cd " + dir + " && HOME=" + dir + " && export HOME && "
		var out, errs bytes.Buffer
		exit, err := m.Run(within(t, time.Minute), target, Command{Shell: home + "head -c 100000 /dev/zero >fill; echo state >state && echo kept", Stdout: &out, Stderr: &errs})
		if err != nil || exit.Code == 0 || !strings.Contains(errs.String(), "No space left") {
			t.Errorf("Run = %+v, %v, stderr %q; want the plugin's own error", exit, err, &errs)
		}
		out.Reset()
		exit, err = m.Run(within(t, time.Minute), target, Command{Argv: []string{"sh", "-c", "echo $0 $SECRET; cat", "a b"}, Dir: dir, Env: []string{"SECRET=x", "HOME=" + dir}, Stdin: strings.NewReader("in"), Stdout: &out})
		if err != nil || exit.Code != 0 || out.String() != "a b x\nin" {
			t.Errorf("Run = %+v, %v, output %q; want it as on any disk", exit, err, &out)
		}
		exit, err = m.Run(within(t, time.Minute), target, Command{Shell: home + "sleep 300", Timeout: 100 * time.Millisecond})
		if kind(t, err, Timeout, PhaseOutput); exit.Orphan {
			t.Errorf("Run = %+v, %v; want it killed", exit, err)
		}
		server.AwaitNoProcesses()
	}
}

// sum hashes what is written to it, and counts.
type sum struct {
	mu sync.Mutex
	n  int64
	h  interface{ Write([]byte) (int, error) }
}

func (s *sum) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n += int64(len(p))
	return s.h.Write(p)
}

// 100 MB of bytes of all kinds come through as they are, and take no memory of ours; other
// commands over the same link go on meanwhile.
func TestHundredMegabytes(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	const size, rounds = 10 << 20, 10
	data := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(data)
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	want := sha256.New()
	for range rounds {
		want.Write(data)
	}
	h := sha256.New()
	out := &sum{h: h}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		exit, err := m.Run(ctx, target, Command{Shell: "for i in " + strings.Repeat("x ", rounds) + "; do cat " + file + "; done; exit 2", Stdout: out})
		if err != nil || exit.Code != 2 {
			t.Errorf("Run = %+v, %v, want exit code 2", exit, err)
		}
	}()
	others := 0
	var peak uint64
	for running := true; running; others++ {
		if got := sh(t, m, target, "echo OK"); got != "OK\n" {
			t.Errorf("output = %q", got)
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		peak = max(peak, stats.HeapInuse)
		select {
		case <-done:
			running = false
		default:
		}
	}
	if out.n != size*rounds || !bytes.Equal(h.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d bytes, not the %d that were sent", out.n, size*rounds)
	}
	t.Logf("%d other commands meanwhile, heap of at most %d MB", others, peak>>20)
}
