package sshmux

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
)

// far returns a dial to a host that is so far away in each direction.
func far(t *testing.T, h *host, way time.Duration) func(context.Context, string, string) (net.Conn, error) {
	t.Cleanup(func() { time.Sleep(time.Second) }) // what is on its way arrives
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := h.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		there, back := newHalf(), newHalf()
		go haul(c.(memory).out, there, way)
		go haul(back, c.(memory).in, way)
		return memory{in: back, out: there}, nil
	}
}

// haul carries bytes from one to the other, which has them so much later.
func haul(to, from *half, way time.Duration) {
	type parcel struct {
		due   time.Time
		bytes []byte
	}
	road := make(chan parcel, 1000)
	go func() {
		defer close(road)
		for {
			buf := make([]byte, 4<<10)
			n, err := from.read(buf)
			if err != nil {
				return
			}
			road <- parcel{time.Now().Add(way), buf[:n]}
		}
	}()
	for p := range road {
		time.Sleep(time.Until(p.due))
		to.write(p.bytes)
	}
	to.set(func() { to.closed = true })
}

// A command costs one round trip with a session that is kept ahead, and two without.
func TestRoundTrips(t *testing.T) {
	f := func(prefetch bool, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			h, target := newHost(t)
			target.Prefetch = prefetch
			m := newMux(t, Options{Dial: far(t, h, 25*time.Millisecond)})
			runOK(t, m, target)
			for range 3 {
				time.Sleep(time.Minute)
				start := time.Now()
				runOK(t, m, target)
				if took := time.Since(start); took != want {
					t.Errorf("prefetch %v: a command took %v, want %v", prefetch, took, want)
				}
			}
			s := m.Stats()
			if l := s.Links[0]; l.RTT != 50*time.Millisecond || l.Ahead != prefetch || l.Prefetch != prefetch || l.InUse != 0 || l.MaxSessions != 5 {
				t.Errorf("link = %+v", l)
			}
			if ahead := s.Ahead == 1; ahead != prefetch || s.Limit != 5 || s.RoundTrips.AtMost[25*time.Millisecond] != 0 ||
				s.RoundTrips.AtMost[50*time.Millisecond] != s.RoundTrips.Count || s.RoundTrips.Sum != time.Duration(s.RoundTrips.Count)*50*time.Millisecond {
				t.Errorf("totals = %+v", s.Totals)
			}
		})
	}
	f(true, 50*time.Millisecond)
	f(false, 100*time.Millisecond)
}

// Who comes while the session is still asked for waits for that answer, and not for one of its
// own.
func TestTakeBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, target := newHost(t)
		target.Prefetch = true
		var opened atomic.Int32
		h.handle = func(n ssh.NewChannel) {
			opened.Add(1)
			go answerOK(n)
		}
		m := newMux(t, Options{Dial: far(t, h, 25*time.Millisecond)})
		runOK(t, m, target) // asks for the next one when it is sent, one round trip before its end
		runOK(t, m, target)
		start := time.Now()
		var first sync.WaitGroup
		first.Go(func() { m.Run(t.Context(), target, Command{Argv: []string{"check"}}) })
		time.Sleep(10 * time.Millisecond) // what comes next is asked for since then
		runOK(t, m, target)
		first.Wait()
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("took %v, want 100ms: 50ms from the answer that was under way", took)
		}
		time.Sleep(time.Second)
		if got := opened.Load(); got != 5 {
			t.Errorf("%d sessions were opened, want one for each of 4 commands and one ahead", got)
		}
	})
}

// kept is a host that tells what becomes of its sessions.
type kept struct {
	mu     sync.Mutex
	idle   []ssh.Channel // without a command
	open   int
	runs   map[string]int // by nonce
	allows int            // 0: any number
	opens  int            // asked for
}

func (k *kept) handle(n ssh.NewChannel) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opens++
	if k.allows > 0 && k.open >= k.allows {
		n.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	k.open++
	ch, asks, err := n.Accept()
	if err != nil {
		return
	}
	k.idle = append(k.idle, ch)
	go k.serve(ch, asks)
}

func (k *kept) serve(ch ssh.Channel, asks <-chan *ssh.Request) {
	for r := range asks {
		if r.Type != "exec" {
			continue
		}
		nonce := nonceIn.FindStringSubmatch(string(r.Payload))[1]
		k.mu.Lock()
		k.runs[nonce]++
		k.forget(ch)
		k.mu.Unlock()
		go func() {
			time.Sleep(time.Duration(rand.Intn(10)) * time.Millisecond)
			ch.Write([]byte(nonce + " 4242\nOK\n"))
			ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{0}))
			ch.Close()
		}()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(ch)
	k.open--
}

func (k *kept) forget(ch ssh.Channel) {
	for i, c := range k.idle {
		if c == ch {
			k.idle = append(k.idle[:i], k.idle[i+1:]...)
			return
		}
	}
}

// count returns how many sessions have no command, are open, and were ever asked for, and how
// many commands were run.
func (k *kept) count() (idle, open, opens, runs int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.idle), k.open, k.opens, len(k.runs)
}

// closeIdle closes all sessions without a command, and returns how many that were.
func (k *kept) closeIdle() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.idle)
	for _, ch := range k.idle {
		ch.Close()
	}
	k.idle = nil
	return n
}

// keeping runs f with such a host, which is that far away, in a bubble.
func keeping(t *testing.T, way time.Duration, f func(t *testing.T, m *Mux, k *kept, target Target)) {
	synctest.Test(t, func(t *testing.T) {
		h, target := newHost(t)
		k := &kept{runs: make(map[string]int)}
		h.handle = k.handle
		target.Prefetch = true
		m := newMux(t, Options{Dial: far(t, h, way)})
		f(t, m, k, target)
		k.mu.Lock()
		defer k.mu.Unlock()
		for nonce, n := range k.runs {
			if n != 1 {
				t.Errorf("command %s was run %d times", nonce, n)
			}
		}
	})
}

// There is one session ahead and no more; it is not kept for ever, and there is none before the
// first command.
func TestOneAhead(t *testing.T) {
	keeping(t, 0, func(t *testing.T, m *Mux, k *kept, target Target) {
		want := func(n int) {
			t.Helper()
			time.Sleep(time.Second)
			if idle, open, _, _ := k.count(); idle != n || open != n || m.Totals().Ahead != n {
				t.Errorf("%d sessions ahead, %d open, %d known; want %d", idle, open, m.Totals().Ahead, n)
			}
		}
		if _, err := m.Ping(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		want(0)
		runOK(t, m, target)
		want(1)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { runOK(t, m, target) })
		}
		wg.Wait()
		want(1)
		slots := &m.links[target.Key()].conn.slots
		slots.mu.Lock()
		peak := slots.peak
		slots.mu.Unlock()
		if peak != defaultSessions {
			t.Errorf("%d sessions at once, want %d", peak, defaultSessions)
		}
		time.Sleep(aheadAge)
		want(0)
		runOK(t, m, target)
		want(1)
	})
}

// A host that closes what nobody uses is not asked again for a while, and nobody sees an error.
func TestAheadIsClosedByTheHost(t *testing.T) {
	keeping(t, 0, func(t *testing.T, m *Mux, k *kept, target Target) {
		runOK(t, m, target)
		time.Sleep(time.Second)
		if n := k.closeIdle(); n != 1 {
			t.Fatalf("%d sessions are kept, want 1", n)
		}
		synctest.Wait()
		for range 3 {
			_, _, before, _ := k.count()
			runOK(t, m, target)
			time.Sleep(time.Minute)
			if _, _, after, _ := k.count(); after-before != 1 {
				t.Errorf("a command opened %d sessions, want its own", after-before)
			}
		}
		time.Sleep(barAhead)
		runOK(t, m, target)
		time.Sleep(time.Second)
		if idle, _, _, _ := k.count(); idle != 1 {
			t.Error("none is kept although some time has passed")
		}
	})
}

// A session that turns out to be closed when the command is to be sent is replaced: what could
// not be sent was not run.
func TestClosedBeforeItIsSent(t *testing.T) {
	keeping(t, 0, func(t *testing.T, m *Mux, k *kept, target Target) {
		runOK(t, m, target)
		time.Sleep(time.Second)
		c := m.links[target.Key()].conn
		a := c.takeAhead()
		k.closeIdle()
		synctest.Wait()
		stale := &ahead{conn: c, wanted: make(chan struct{}), done: make(chan struct{}), opening: a.opening, open: true}
		close(stale.done)
		if !c.slots.reserve() || !c.ahead.CompareAndSwap(nil, stale) {
			t.Fatal("there is another one")
		}
		runOK(t, m, target)
		if _, _, _, runs := k.count(); runs != 2 || m.Totals().InUse != 0 {
			t.Errorf("%d commands were run, want 2; totals = %+v", runs, m.Totals())
		}
	})
}

// Whenever the host closes what is kept for a command, that is run once or, if it may have been
// sent, not again.
func TestAheadIsClosedAnyTime(t *testing.T) {
	keeping(t, 2*time.Millisecond, func(t *testing.T, m *Mux, k *kept, target Target) {
		runOK(t, m, target)
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rand.Intn(30000)) * time.Microsecond):
					k.closeIdle()
					m.mu.Lock()
					l := m.links[target.Key()]
					m.mu.Unlock()
					l.barred.Store(nil)
				}
			}
		}()
		var ok, failed int
		for range 500 {
			var out bytes.Buffer
			exit, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}, Stdout: &out})
			switch {
			case err == nil && exit.Code == 0 && out.String() == "OK\n":
				ok++
			case err != nil && out.Len() == 0:
				if e := kind(t, err, Transport, PhaseExec); !strings.Contains(e.Error(), "closed the session") {
					t.Errorf("err = %v", err)
				}
				failed++
			default:
				t.Errorf("Run = %+v, %v, output %q", exit, err, &out)
			}
		}
		time.Sleep(time.Second)
		if s := m.Totals(); s.Prefetch == 0 || ok < 250 || failed == 0 || s.InUse != 0 || s.Queued != 0 || s.Lost != 0 {
			t.Errorf("%d went well, %d failed, totals = %+v", ok, failed, s)
		}
		t.Logf("%d went well, %d were closed while they were sent", ok, failed)
	})
}

// Where there are not at least two slots, or the host refuses, there is none ahead.
func TestNoRoomAhead(t *testing.T) {
	f := func(setting, allows, commands, ahead int) {
		t.Helper()
		keeping(t, 0, func(t *testing.T, m *Mux, k *kept, target Target) {
			target.MaxSessions, k.allows = setting, allows
			var wg sync.WaitGroup
			for range commands {
				wg.Go(func() { runOK(t, m, target) })
			}
			wg.Wait()
			time.Sleep(time.Second)
			runOK(t, m, target)
			time.Sleep(time.Second)
			if idle, _, _, _ := k.count(); idle != ahead {
				t.Errorf("max_sessions %d, %d allowed, %d commands: %d ahead, want %d", setting, allows, commands, idle, ahead)
			}
			if s := m.Totals(); s.Ahead != ahead || s.InUse != 0 {
				t.Errorf("totals = %+v", s)
			}
		})
	}
	f(1, 0, 5, 0)
	f(2, 0, 1, 1)
	f(0, 1, 1, 0)
	f(0, 1, 5, 0)
	f(0, 3, 9, 0)
	f(0, 10, 20, 1)
}

// A command that waits for a slot gets it whatever is ahead, and so does a kill for which the
// host has no other session.
func TestAheadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{MaxSessions: 2})
	target.Prefetch = true
	sh(t, m, target, "true")
	sshdtest.Await(t, "the session ahead", func() bool { return m.Totals().Ahead == 1 })
	exit, err := m.Run(within(t, time.Minute), target, Command{Shell: "trap '' TERM; sleep 300; sleep 300", Timeout: 500 * time.Millisecond})
	kind(t, err, Timeout, PhaseOutput)
	if exit.Orphan {
		t.Errorf("exit = %+v: the kill found no session", exit)
	}
	server.AwaitNoProcesses()
	if got := server.Accepted(); got != 1 {
		t.Errorf("%d logins, want 1: the kill needs none of its own", got)
	}
}

// Over a real sshd, whatever it allows, nobody sees a refusal, and nothing is run twice or
// mixed up.
func TestAheadOverSSHD(t *testing.T) {
	t.Parallel()
	f := func(t *testing.T, allows int) {
		t.Parallel()
		m, target, server := start(t, sshdtest.Options{MaxSessions: allows})
		target.Prefetch = true
		for i := range 5 {
			if got := sh(t, m, target, fmt.Sprint("echo ", i)); got != fmt.Sprintln(i) {
				t.Errorf("output = %q, want %d", got, i)
			}
		}
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				if got := sh(t, m, target, fmt.Sprint("cat; echo ", i)); got != fmt.Sprintln(i) {
					t.Errorf("output = %q, want %d", got, i)
				}
			})
		}
		wg.Wait()
		s := m.Stats()
		if server.Accepted() != 1 || s.Commands != 45 || s.InUse != 0 || s.Orphans != 0 {
			t.Errorf("MaxSessions %d: %d logins, stats = %+v", allows, server.Accepted(), s)
		}
		if allows >= 4 && s.Prefetch == 0 {
			t.Errorf("MaxSessions %d: no command found a session", allows)
		}
		if last := server.Log(); allows == 10 && strings.Contains(last, "no more sessions") {
			t.Errorf("sshd has refused sessions:\n%s", last)
		}
	}
	for _, allows := range []int{1, 2, 3, 4, 10} {
		t.Run(fmt.Sprint(allows), func(t *testing.T) { f(t, allows) })
	}
}

// sshd asks on an idle session whether we live, and ends the connection of who does not answer.
func TestAheadAnswersSSHD(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{Config: []string{"ClientAliveInterval 1", "ClientAliveCountMax 1", "LogLevel DEBUG3"}})
	target.Prefetch = true
	sh(t, m, target, "true")
	asked := func() int {
		return strings.Count(server.Log(), "client_alive") + strings.Count(server.Log(), "keepalive@openssh.com")
	}
	sshdtest.Await(t, "questions of sshd", func() bool { return asked() >= 3 })
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q", got)
	}
	if s := m.Totals(); server.Accepted() != 1 || s.Lost != 0 || s.Prefetch != 1 {
		t.Errorf("%d logins, totals = %+v", server.Accepted(), s)
	}
}

// Those that are known to close a session without a command are not asked for one.
func TestNoneAheadOfDropbear(t *testing.T) {
	for _, version := range []string{"SSH-2.0-dropbear_2022.83", "SSH-2.0-tinyssh_noversion"} {
		bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
			target.Prefetch, h.config.ServerVersion = true, version
			for range 3 {
				runOK(t, m, target)
				time.Sleep(time.Second)
			}
			if s := m.Totals(); s.Ahead != 0 || s.Prefetch != 0 {
				t.Errorf("%s: totals = %+v, want nothing ahead", version, s)
			}
		})
	}
}

// A host that hangs up on who wants a second session loses no command by that, and is not asked
// again for a while.
func TestHostThatHangsUp(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.Prefetch = true
		var once sync.Map // by connection
		var second atomic.Int32
		h.handle = func(n ssh.NewChannel) {
			h.mu.Lock()
			last := h.wires[len(h.wires)-1]
			h.mu.Unlock()
			if _, again := once.LoadOrStore(last, true); again {
				second.Add(1)
				last.set(func() { last.closed = true })
				return
			}
			go answerAfter(n, time.Minute)
		}
		runOK(t, m, target)
		time.Sleep(time.Minute)
		if s := m.Totals(); second.Load() != 1 || s.Ahead != 0 || s.Orphans != 0 {
			t.Errorf("asked %d times, totals = %+v; want it to be asked once, after the command", second.Load(), s)
		}
		runOK(t, m, target)
		time.Sleep(time.Second)
		if second.Load() != 1 {
			t.Error("it was asked again")
		}
	})
}

// A connection that is lost says nothing about the session ahead on it: the next one has one again.
func TestAheadAfterALoss(t *testing.T) {
	f := func(name string, lose func(*half), ask bool) {
		t.Helper()
		bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
			k := &kept{runs: make(map[string]int)}
			h.handle = k.handle
			target.Prefetch = true
			runOK(t, m, target)
			time.Sleep(time.Second)
			h.mu.Lock()
			last := h.wires[len(h.wires)-1]
			h.mu.Unlock()
			last.set(func() { lose(last) })
			if ask { // so that the request for the next session is never answered
				m.Run(t.Context(), target, Command{Argv: []string{"check"}})
			}
			time.Sleep(time.Minute)
			if s := m.Totals(); s.Lost != 1 || s.Ahead != 0 {
				t.Fatalf("%s: Totals() = %+v, want the connection to be lost", name, s)
			}
			runOK(t, m, target)
			time.Sleep(time.Second)
			if got := m.Totals().Ahead; got != 1 {
				t.Errorf("%s: %d sessions ahead on the next connection, want 1", name, got)
			}
		})
	}
	f("hung up", func(w *half) { w.closed = true }, false)
	f("silent", func(w *half) { w.frozen = true }, true)
}
