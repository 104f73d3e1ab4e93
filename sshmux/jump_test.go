package sshmux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
)

// behind returns a target that is reached through others, the first one first.
func behind(t Target, vias ...Target) Target {
	if last := len(vias) - 1; last >= 0 {
		via := behind(vias[last], vias[:last]...)
		t.Via = &via
	}
	return t
}

// called returns a target by another name.
func called(t Target, name string) Target {
	t.Name = name
	return t
}

// cluster serves SSH in this process on a port of its own, and returns how to log in there
// under a name.
func cluster(t *testing.T) (h *host, login func(name string) Target) {
	t.Helper()
	h, proto := newHost(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.set(func() { h.dials = append(h.dials, time.Now()) })
			conns.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	known := knownAs(t, proto, "[127.0.0.1]:"+port)
	return h, func(name string) Target {
		target := proto
		target.Name, target.Addr, target.KnownHosts = name, l.Addr().String(), []string{known}
		return target
	}
}

// Hundreds of hosts behind a bastion use one connection to it, which is also that of its own
// commands; and what sshd allows of sessions is not spent by them.
func TestTwoHundredHostsBehindOneBastion(t *testing.T) {
	t.Parallel()
	bastion := sshdtest.Start(t, sshdtest.Options{MaxSessions: 1, MaxStartups: "1:100:1"})
	_, login := cluster(t)
	m := newMux(t, Options{})
	jump := called(target(bastion), "jump1")
	jump.MaxSessions = 1
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			_, err := m.Run(within(t, 4*time.Minute), behind(login(fmt.Sprintf("web%03d", i)), jump), Command{Shell: "true"})
			if err != nil {
				t.Errorf("web%03d: %v", i, err)
			}
		})
		if i%20 == 0 {
			wg.Go(func() { sh(t, m, jump, "true") })
		}
	}
	wg.Wait()
	if got := bastion.Connections(); got != 1 {
		t.Errorf("%d connections to the bastion, want 1", got)
	}
	s := m.Stats()
	if s.Dials != 201 || len(s.Links) != 201 || s.States[Up] != 201 {
		t.Errorf("Dials = %d, Links = %d, States = %v, want 201", s.Dials, len(s.Links), s.States)
	}
	if got := s.Links[1].Via; got != "jump1" {
		t.Errorf("Via = %q, want jump1", got)
	}
	// The links end before the bastion's, which was wanted by nobody for itself.
	m.Retain(func(t Target) bool { return t.Name == "web007" })
	if s := m.Stats(); len(s.Links) != 2 {
		t.Errorf("Links = %+v, want web007 and its bastion", s.Links)
	}
	if _, err := m.Run(t.Context(), behind(login("web007"), jump), Command{Shell: "true"}); err != nil {
		t.Error(err)
	}
	m.Retain(func(Target) bool { return false })
	if s := m.Stats(); len(s.Links) != 0 {
		t.Errorf("Links = %+v, want none", s.Links)
	}
	if got := bastion.Connections(); got != 1 {
		t.Errorf("%d connections to the bastion, want 1", got)
	}
}

// Each hop is checked by its own key, under its own name.
func TestChainOfBastions(t *testing.T) {
	t.Parallel()
	first, second, last := sshdtest.Start(t, sshdtest.Options{}), sshdtest.Start(t, sshdtest.Options{NormalUser: true}), sshdtest.Start(t, sshdtest.Options{})
	jump1 := called(target(first), "jump1")
	jump2 := behind(called(target(second), "jump2"), jump1)
	web := behind(target(last), jump1, called(target(second), "jump2"))
	m := newMux(t, Options{KeepaliveInterval: 50 * time.Millisecond, KeepaliveTimeout: time.Minute})
	if got := sh(t, m, web, "echo $SSH_CONNECTION; seq 50000 | tail -1"); !strings.HasSuffix(got, "50000\n") {
		t.Errorf("output = %q", got)
	}
	if got := len(sh(t, m, web, "seq 50000")); got != 288894 {
		t.Errorf("%d bytes through two bastions, want 288894", got)
	}
	sh(t, m, jump2, "true")
	sh(t, m, jump1, "true")
	for _, s := range []*sshdtest.Server{first, second, last} {
		if got := s.Connections(); got != 1 {
			t.Errorf("%d connections to %s, want 1", got, s.Addr)
		}
	}
	sshdtest.Await(t, "keepalives of all three", func() bool {
		n := 0
		for _, l := range m.Stats().Links {
			if l.RTT > 0 {
				n++
			}
		}
		return n == 3
	})

	wrong := web
	wrong.KnownHosts = []string{first.KnownHosts, second.KnownHosts}
	_, err := m.Run(t.Context(), wrong, Command{Shell: "true"})
	kind(t, err, HostKey, PhaseHostKey)
	e, ok := errors.AsType[*HostKeyError](err)
	if !ok || e.Fingerprint != "ssh-ed25519 "+last.Fingerprint {
		t.Errorf("err = %v, want the key of the last host", err)
	}

	first.Stop()
	// All at once, and not because each has heard nothing: that would take longer.
	sshdtest.Await(t, "the end of all three", func() bool { return m.Stats().States[Up] == 0 })
	_, err = m.Run(t.Context(), web, Command{Shell: "true"})
	e1 := kind(t, err, Transport, PhaseDial)
	want := fmt.Sprintf("ssh web1 (%s): dial: bastion jump2 (%s): dial: bastion jump1 (%s): dial: connect: connection refused", last.Addr, second.Addr, first.Addr)
	if !strings.HasPrefix(e1.Error(), want) {
		t.Errorf("err = %v\nwant  %s", err, want)
	}
	first.Restart()
	sshdtest.Await(t, "the way back", func() bool {
		_, err := m.Ping(t.Context(), jump1)
		return err == nil
	})
	sh(t, m, web, "true") // at once: it was not its fault
}

// What runs while the bastion ends is told why.
func TestBastionEndsDuringCommand(t *testing.T) {
	t.Parallel()
	bastion, server := sshdtest.Start(t, sshdtest.Options{}), sshdtest.Start(t, sshdtest.Options{})
	m := newMux(t, Options{})
	lost := make(chan error, 1)
	go func() {
		exit, err := m.Run(t.Context(), behind(target(server), called(target(bastion), "jump1")), Command{Shell: "sleep 300"})
		if !exit.Orphan {
			t.Errorf("exit = %+v, want an orphan", exit)
		}
		lost <- err
	}()
	sshdtest.Await(t, "the command", func() bool { return len(server.Processes()) > 0 })
	bastion.Stop()
	if e := kind(t, <-lost, Transport, PhaseOutput); !strings.Contains(e.Error(), "bastion jump1 ("+bastion.Addr+"): connection ") {
		t.Errorf("err = %v, want one that names the bastion", e)
	}
}

// A dead bastion costs one attempt to connect, however many are behind it.
func TestDeadBastion(t *testing.T) {
	t.Parallel()
	_, login := cluster(t)
	var mu sync.Mutex
	dials := 0
	release := make(chan struct{})
	m := newMux(t, Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		dials++
		mu.Unlock()
		<-release
		return nil, errors.New("no route to host")
	}})
	jump := called(login("x"), "jump1")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			run := func() error {
				_, err := m.Run(t.Context(), behind(login(fmt.Sprint("web", i)), jump), Command{Shell: "true"})
				return err
			}
			if i%2 == 0 {
				run = func() error {
					_, err := m.Ping(t.Context(), behind(login(fmt.Sprint("web", i)), jump))
					return err
				}
			}
			for range 2 {
				e := kind(t, run(), Transport, PhaseDial)
				if !strings.Contains(e.Error(), "bastion jump1 (") || !strings.Contains(e.Error(), "dial: no route to host; next attempt at ") || e.Retry.IsZero() {
					t.Errorf("err = %v", e)
				}
			}
		})
	}
	sshdtest.Await(t, "the dial", func() bool { return m.Stats().Dials > 0 })
	close(release)
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if s := m.Stats(); dials != 1 || s.Dials != 1 || s.Failures[PhaseDial] != 1 {
		t.Errorf("%d dials, Dials = %d, Failures = %v, want 1", dials, s.Dials, s.Failures)
	}
}

// A login that the bastion refuses is one, too, and is the account's fault, not the hosts'.
func TestBastionRefusesLogin(t *testing.T) {
	t.Parallel()
	bastion, server := sshdtest.Start(t, sshdtest.Options{AuthorizedKeys: []string{}}), sshdtest.Start(t, sshdtest.Options{})
	m := newMux(t, Options{})
	for i := range 5 {
		_, err := m.Run(t.Context(), behind(called(target(server), fmt.Sprint("web", i)), called(target(bastion), "jump1")), Command{Shell: "true"})
		if e := kind(t, err, Auth, PhaseDial); !strings.Contains(e.Error(), "bastion jump1 ("+bastion.Addr+"): auth: login as ") || time.Until(e.Retry) < 14*time.Second {
			t.Errorf("err = %v", e)
		}
	}
	if got := bastion.Failed(); got != 1 {
		t.Errorf("sshd saw %d failed logins, want 1", got)
	}
}

func TestBastionDoesNotForward(t *testing.T) {
	t.Parallel()
	server := sshdtest.Start(t, sshdtest.Options{})
	f := func(o sshdtest.Options, change func(*Target), k Kind, p Phase, want string) {
		t.Helper()
		bastion := sshdtest.Start(t, o)
		m := newMux(t, Options{})
		web := behind(target(server), called(target(bastion), "jump1"))
		change(&web)
		_, err := m.Run(within(t, time.Minute), web, Command{Shell: "true"})
		if e := kind(t, err, k, p); !strings.Contains(e.Error(), want) || p != PhaseBanner && !strings.Contains(e.Error(), "bastion jump1 ("+bastion.Addr+")") {
			t.Errorf("err = %v, want one with %q", e, want)
		}
		sh(t, m, *web.Via, "true") // the bastion itself is well
		if got := bastion.Connections(); got != 1 {
			t.Errorf("%d connections to the bastion, want 1", got)
		}
	}
	same := func(*Target) {}
	f(sshdtest.Options{Config: []string{"AllowTcpForwarding no"}}, same, Auth, PhaseDial, "does not let "+server.User+" connect to "+server.Addr)
	f(sshdtest.Options{KeyOptions: `permitopen="192.0.2.1:22"`}, same, Auth, PhaseDial, "AllowTcpForwarding and PermitOpen")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	f(sshdtest.Options{}, func(t *Target) { t.Addr = closed.Addr().String() }, Transport, PhaseDial, ": Connection refused")
	f(sshdtest.Options{}, func(t *Target) { t.Addr = "nowhere.invalid:22" }, Transport, PhaseResolve, ": Name or service not known")
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	f(sshdtest.Options{}, func(t *Target) { t.Addr, t.ConnectTimeout = mute.Addr().String(), 300*time.Millisecond }, Transport, PhaseBanner, ": no answer within 300ms")
}

// A frozen bastion is found out, and named, by those behind it.
func TestFrozenBastion(t *testing.T) {
	t.Parallel()
	bastion, server := sshdtest.Start(t, sshdtest.Options{}), sshdtest.Start(t, sshdtest.Options{})
	m := newMux(t, Options{KeepaliveInterval: time.Second, KeepaliveTimeout: time.Second})
	web := behind(target(server), called(target(bastion), "jump1"))
	web.ConnectTimeout = 100 * time.Millisecond
	sh(t, m, *web.Via, "true")
	bastion.Pause()
	t.Cleanup(bastion.Resume)
	_, err := m.Run(t.Context(), web, Command{Shell: "true"})
	if e := kind(t, err, Transport, PhaseDial); !strings.Contains(e.Error(), "through bastion jump1 ("+bastion.Addr+"): no answer within 100ms") {
		t.Errorf("err = %v", e)
	}
	sshdtest.Await(t, "the bastion to be given up", func() bool { return m.Stats().States[Up] == 0 })
	bastion.Resume()
	web.ConnectTimeout = 0
	sshdtest.Await(t, "the bastion", func() bool {
		_, err := m.Ping(t.Context(), *web.Via)
		return err == nil
	})
	sh(t, m, web, "true")
	bastion.Pause()
	sshdtest.Await(t, "both to be given up", func() bool { return m.Stats().States[Up] == 0 })
	for _, l := range m.Stats().Links {
		if l.LastError == nil || l.Via != "" && !strings.Contains(l.LastError.Error(), "bastion jump1 (") {
			t.Errorf("%s: LastError = %v", l.Name, l.LastError)
		}
	}
	bastion.Resume()
}

// knownAs returns a known_hosts file in which the key of web1 is another host's.
func knownAs(t *testing.T, target Target, name string) string {
	t.Helper()
	text, err := os.ReadFile(target.KnownHosts[0])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "web1", name, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// gate returns what a host does that is a bastion: it connects each who asks to the inner host,
// whatever the address, and has session handle the rest.
func gate(inner *host, session func(ssh.NewChannel)) func(ssh.NewChannel) {
	return func(n ssh.NewChannel) {
		if n.ChannelType() != "direct-tcpip" {
			session(n)
			return
		}
		ch, asks, err := n.Accept()
		if err != nil {
			return
		}
		far, _ := inner.Dial(context.Background(), "", "")
		go ssh.DiscardRequests(asks)
		go func() {
			io.Copy(far, ch)
			far.Close()
		}()
		go func() {
			io.Copy(ch, far)
			ch.Close()
		}()
	}
}

// A bastion that keeps all sessions loses its connection for commands, but those that are
// behind it do not lose theirs.
func TestSpentBastion(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, jump Target) {
		inner, web := newHost(t)
		web.Name, web.Via = "web1", &jump
		jump.Name, jump.MaxSessions = "jump1", 1
		jump.KnownHosts = []string{knownAs(t, jump, "jump1")}
		h.handle = gate(inner, func(n ssh.NewChannel) {
			h.set(func() {
				if len(h.dials) > 1 {
					go answerOK(n)
				}
			})
		})
		runOK(t, m, web)
		_, err := m.Run(t.Context(), jump, Command{Shell: "true"})
		kind(t, err, Transport, PhaseOpen)
		waiting := make(chan error, 1)
		go func() {
			_, err := m.Run(t.Context(), jump, Command{Shell: "true"})
			waiting <- err
		}()
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		runOK(t, m, jump)
		runOK(t, m, web)
		if s := m.Stats(); s.Dials != 3 || s.Lost != 0 || s.States[Up] != 2 || len(h.dials) != 2 || len(inner.dials) != 1 {
			t.Errorf("Stats() = %+v, %d and %d dials, want 2 and 1", s, len(h.dials), len(inner.dials))
		}
		m.Retain(func(t Target) bool { return t.Name == "jump1" })
		time.Sleep(time.Minute)
		if s := m.Stats(); s.Lost != 0 || s.States[Up] != 1 {
			t.Errorf("Stats() = %+v, want jump1 up", s)
		}
	})
}

// Who asks whether a host is there lets a bastion be dialled again before its pause is over,
// but seldom; a command never does.
func TestPauseOfBastion(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, jump Target) {
		inner, web := newHost(t)
		web.Via = &jump
		h.handle = gate(inner, answerOK)
		h.set(func() { h.down = errors.New("no route to host") })
		for range 30 * 60 { // its pause is now a minute
			_, err := m.Run(t.Context(), web, Command{Shell: "true"})
			kind(t, err, Transport, PhaseDial)
			time.Sleep(time.Second)
		}
		before := len(h.dials)
		if before > 40 {
			t.Errorf("%d dials in half an hour, want about one a minute", before)
		}
		for range 60 {
			_, err := m.Ping(t.Context(), web)
			kind(t, err, Transport, PhaseDial)
			time.Sleep(time.Second)
		}
		if n := len(h.dials) - before; n < 5 || n > 7 {
			t.Errorf("%d dials in a minute of pings, want one in ten seconds", n)
		}
		h.set(func() { h.down = nil })
		m.Hurry(web)
		runOK(t, m, web)
	})
}

// The network between the bastion and the host is the bastion's; deadlines are ours.
func TestTunnelWithFullWindow(t *testing.T) {
	t.Parallel()
	bastion, server := sshdtest.Start(t, sshdtest.Options{}), sshdtest.Start(t, sshdtest.Options{})
	m := newMux(t, Options{KeepaliveInterval: time.Second, KeepaliveTimeout: time.Second})
	web := behind(target(server), called(target(bastion), "jump1"))
	sh(t, m, web, "true")
	done := make(chan error, 1)
	go func() {
		_, err := m.Run(t.Context(), web, Command{Shell: "cat > /dev/null", Stdin: flood{}})
		done <- err
	}()
	sshdtest.Await(t, "the command", func() bool { return len(server.Processes()) > 0 })
	server.Pause()
	t.Cleanup(server.Resume)
	if e := kind(t, <-done, Transport, PhaseOutput); !strings.Contains(e.Error(), "no sign of life") || ofBastion(e) {
		t.Errorf("err = %v", e)
	}
	sh(t, m, *web.Via, "true")
	server.Resume()
}

// flood is a standard input that never ends.
type flood struct{}

func (flood) Read(p []byte) (int, error) { return len(p), nil }

// A dial that hangs behind a bastion does not hold up Close.
func TestCloseWhileBehindBastion(t *testing.T) {
	t.Parallel()
	bastion := sshdtest.Start(t, sshdtest.Options{})
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	jump := called(target(bastion), "jump1")
	web := behind(called(jump, "web1"), jump)
	web.Addr = mute.Addr().String()
	m := New(Options{ConnectTimeout: time.Hour})
	done := make(chan error, 1)
	go func() {
		_, err := m.Run(t.Context(), web, Command{Shell: "true"})
		done <- err
	}()
	c, err := mute.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	m.Close()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("Close took %v", took)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Run = %v, want ErrClosed", err)
	}
}

// Nothing of a bastion's secrets is told, and what it is called is part of who one is.
func TestTargetVia(t *testing.T) {
	jump := Target{Name: "jump1", Addr: "192.0.2.1:22", User: "monitor", Password: "hunter2", KnownHosts: []string{"/nonexistent"}}
	web := behind(called(jump, "web1"), jump).Seal()
	if said := fmt.Sprintf("%v %+v %#v %s %+v", web, web, web, web.Key(), *web.Via); strings.Contains(said, "hunter2") || web.Via.Password != "" {
		t.Errorf("the password is told: %s", said)
	}
	direct, other := web, web
	direct.Via = nil
	via := called(*web.Via, "jump2")
	other.Via = &via
	if web.Key() == direct.Key() || web.Key() == other.Key() || web.Via.Key() != jump.Key() {
		t.Error("Key does not tell bastions apart")
	}
	via.User = ""
	if err := other.validate(); err == nil || !strings.Contains(err.Error(), "bastion jump2 (192.0.2.1:22): no user") {
		t.Errorf("validate() = %v", err)
	}
}
