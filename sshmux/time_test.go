package sshmux

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// bubble runs f with a host in memory, and a clock that leaps whenever all wait.
func bubble(t *testing.T, o Options, f func(t *testing.T, m *Mux, h *host, target Target)) {
	synctest.Test(t, func(t *testing.T) {
		h, target := newHost(t)
		o.Dial = h.Dial
		m := newMux(t, o)
		f(t, m, h, target)
	})
}

func runOK(t *testing.T, m *Mux, target Target) {
	t.Helper()
	var out bytes.Buffer
	if exit, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}, Stdout: &out}); err != nil || exit.Code != 0 || out.String() != "OK\n" {
		t.Fatalf("Run = %+v, %v, output %q", exit, err, &out)
	}
}

func TestIdleLinkStaysUp(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		runOK(t, m, target)
		time.Sleep(10 * time.Minute)
		runOK(t, m, target)
		if got := len(h.dials); got != 1 {
			t.Errorf("%d dials, want 1", got)
		}
		if h.keepalives < 38 || h.keepalives > 41 {
			t.Errorf("%d keepalives in ten minutes, want about 40", h.keepalives)
		}
	})
}

func TestKeepaliveFindsDeadLink(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.handle = func(n ssh.NewChannel) { n.Accept() } // a command without an end
		start := time.Now()
		time.AfterFunc(time.Second, h.freeze)
		_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		e := kind(t, err, Transport, PhaseOutput)
		if !strings.Contains(e.Error(), "2 keepalives unanswered") {
			t.Errorf("err = %v, want one that tells of the keepalives", err)
		}
		if took := time.Since(start); took < 20*time.Second || took > 32*time.Second {
			t.Errorf("found after %v, want about 30s", took)
		}
		h.handle = nil
		runOK(t, m, target)
	})
}

// poll runs a command every 100 ms for d, and returns the pauses between the dials.
func poll(t *testing.T, m *Mux, h *host, target Target, d time.Duration) (pauses []time.Duration) {
	t.Helper()
	h.set(func() { h.dials = nil })
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}}); err == nil {
			t.Fatal("Run succeeded")
		}
	}
	h.set(func() {
		for i := 1; i < len(h.dials); i++ {
			pauses = append(pauses, h.dials[i].Sub(h.dials[i-1]))
		}
	})
	return pauses
}

// grows fails the test unless the pauses double from first to most, a quarter more at the
// most, and a poll's interval.
func grows(t *testing.T, pauses []time.Duration, first, most time.Duration) {
	t.Helper()
	want := first
	for i, got := range pauses {
		if got < want || got > want+want/4+100*time.Millisecond {
			t.Errorf("pause %d = %v, want %v to %v", i+1, got, want, want+want/4)
		}
		want = min(2*want, most)
	}
}

func TestBackoffOfUnreachableHost(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.down = errors.New("no route to host")
		pauses := poll(t, m, h, target, 10*time.Minute)
		grows(t, pauses, time.Second, time.Minute)
		if len(pauses) < 12 {
			t.Errorf("%d dials in ten minutes", len(pauses)+1)
		}
		h.set(func() { h.down = nil })
		time.Sleep(75 * time.Second)
		runOK(t, m, target)
	})
}

func TestBackoffOfRefusedLogin(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.Password = "wrong"
		pauses := poll(t, m, h, target, time.Hour)
		grows(t, pauses, 15*time.Second, 10*time.Minute)
		if len(pauses) < 8 {
			t.Errorf("%d dials in an hour", len(pauses)+1)
		}
	})
}

func TestBackoffOfConnectionsThatDieYoung(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.handle = func(n ssh.NewChannel) {
			h.set(func() { h.wires[len(h.wires)-1].set(func() { h.wires[len(h.wires)-1].closed = true }) })
		}
		pauses := poll(t, m, h, target, 2*time.Minute)
		if len(pauses) > 12 {
			t.Errorf("%d dials in two minutes: %v", len(pauses)+1, pauses)
		}
	})
}

func TestConnectTimeout(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.silent = true
		f := func(target Target, want time.Duration) {
			t.Helper()
			start := time.Now()
			_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
			kind(t, err, Transport, PhaseHandshake)
			if took := time.Since(start); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
		}
		f(target, 10*time.Second)
		target.ConnectTimeout = 3 * time.Second
		f(target, 3*time.Second)
	})
}

func TestOpenTimeout(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		release := make(chan ssh.NewChannel, 1)
		h.handle = func(n ssh.NewChannel) { release <- n } // leaves the question open
		start := time.Now()
		_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		kind(t, err, Transport, PhaseOpen)
		if took := time.Since(start); took != 15*time.Second {
			t.Errorf("took %v, want 15s", took)
		}
		if got := m.Stats().Links[0].InUse; got != 1 {
			t.Errorf("%d sessions in use, want 1: the host may open it yet", got)
		}
		(<-release).Reject(ssh.ConnectionFailed, "open failed")
		synctest.Wait()
		if got := m.Stats().Links[0]; got.InUse != 0 || got.State != Up {
			t.Errorf("link = %+v, want it up and free", got)
		}
		h.handle = nil
	})
}

// A host that never opens a session is not asked for ever; one that is only full is.
func TestRefusedForEver(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.handle = func(n ssh.NewChannel) { n.Reject(ssh.Prohibited, "not here") }
		start := time.Now()
		_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		e := kind(t, err, Transport, PhaseOpen)
		if took := time.Since(start); took < 15*time.Second || took > 16*time.Second || !strings.Contains(e.Error(), "not here") {
			t.Errorf("err = %v after %v", err, took)
		}
		if got := m.Stats().Links[0]; got.InUse != 0 || got.State != Up {
			t.Errorf("link = %+v, want it up and free", got)
		}
	})
}

func TestQueueIsFair(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.MaxSessions = 1
		h.handle = func(n ssh.NewChannel) {
			time.Sleep(time.Second)
			go answerOK(n)
		}
		var order []int
		done := make(chan int)
		for i := range 10 {
			go func() {
				runOK(t, m, target)
				done <- i
			}()
			time.Sleep(time.Millisecond)
		}
		if got := m.Stats().Links[0]; got.InUse != 1 || got.Queued != 9 {
			t.Errorf("link = %+v, want 1 in use and 9 queued", got)
		}
		for range 10 {
			order = append(order, <-done)
		}
		if !slices.IsSorted(order) {
			t.Errorf("order = %v", order)
		}
	})
}

func TestQueueWatchesContext(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.MaxSessions = 1
		h.handle = func(n ssh.NewChannel) { time.AfterFunc(time.Minute, func() { answerOK(n) }) }
		go m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		time.Sleep(time.Second)
		_, err := m.Run(within(t, 5*time.Second), target, Command{Argv: []string{"check"}})
		e := kind(t, err, Transport, PhaseQueue)
		if got := fmt.Sprint(e.Unwrap()); got != "context deadline exceeded" {
			t.Errorf("cause = %q", got)
		}
	})
}

// A host that answers keepalives but no request for a session must not be out for good: when
// all slots hang in such requests, another connection takes over.
func TestUnansweredOpens(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.handle = func(n ssh.NewChannel) {
			h.set(func() {
				if len(h.dials) > 1 {
					go answerOK(n)
				}
			})
		}
		start := time.Now()
		var wg sync.WaitGroup
		for range defaultSessions {
			wg.Go(func() {
				_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
				kind(t, err, Transport, PhaseOpen)
			})
		}
		time.Sleep(time.Second)
		runOK(t, m, target)
		if took := time.Since(start); took > 17*time.Second {
			t.Errorf("the command that had to wait took %v, want about 16s", took)
		}
		wg.Wait()
		if s := m.Stats(); s.Dials != 2 || s.Lost != 0 || s.InUse != 0 || s.Links[0].Held != 0 {
			t.Errorf("Stats() = %+v, want two dials, and nothing in use", s)
		}
	})
}

// While the host keeps less than half of the slots, the connection is kept; who finds none free
// waits for a while, and not for ever.
func TestQueueTimeout(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.MaxSessions = 3
		var opened atomic.Int32
		h.handle = func(n ssh.NewChannel) {
			if opened.Add(1) <= 2 {
				go answerAfter(n, 2*time.Minute)
			}
		}
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				exit, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}, Timeout: 3 * time.Minute})
				if exit.Code != 0 {
					err = errors.Join(err, fmt.Errorf("exit = %+v", exit))
				}
				ended <- err
			}()
		}
		time.Sleep(time.Second)
		_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		kind(t, err, Transport, PhaseOpen)
		start := time.Now()
		_, err = m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		e := kind(t, err, Transport, PhaseQueue)
		if took := time.Since(start); took != time.Minute || !strings.Contains(e.Error(), "no session was free within 1m0s") {
			t.Errorf("err = %v after %v, want one after 1m", err, took)
		}
		if got := m.Stats().Links[0]; got.Held != 1 || got.InUse != 3 || got.Queued != 0 {
			t.Errorf("link = %+v, want one session held and two in use", got)
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("a command that ran ended with %v", err)
			}
		}
	})
}

// When the host keeps half of the slots, another connection takes over. It is dialled beside the
// old one, which serves until the new one is up, whatever comes of the dial; and what runs over
// the old one ends there, undisturbed.
func TestWornConnectionIsReplaced(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.MaxSessions = 4
		var opened atomic.Int32
		h.handle = func(n ssh.NewChannel) {
			switch opened.Add(1) {
			case 1:
				go answerAfter(n, 2*time.Minute)
			case 2, 3: // never answered: these slots are lost
			default:
				go answerOK(n)
			}
		}
		start := time.Now()
		ended := make(chan error, 1)
		go func() {
			exit, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
			if took := time.Since(start); exit.Code != 0 || took != 2*time.Minute {
				err = errors.Join(err, fmt.Errorf("exit = %+v after %v", exit, took))
			}
			ended <- err
		}()
		time.Sleep(time.Second)
		for range 2 {
			go func() {
				_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
				kind(t, err, Transport, PhaseOpen)
			}()
		}
		time.Sleep(time.Second)
		h.set(func() { h.down = errors.New("connection refused") })
		time.Sleep(18 * time.Second)
		if s := m.Stats(); s.Dials != 2 || s.Links[0].State != Up || s.Links[0].Held != 2 || s.Links[0].Failures != 1 {
			t.Errorf("Stats() = %+v, want a dial that has failed beside the link that is up", s)
		}
		runOK(t, m, target) // over the old one, and another dial fails
		h.set(func() { h.down = nil })
		time.Sleep(5 * time.Second)
		runOK(t, m, target)
		synctest.Wait()
		if s := m.Stats(); s.Lost != 0 || s.Links[0].Held != 2 || s.InUse != 3 || len(h.dials) != 4 {
			t.Errorf("Stats() = %+v after %d dials, want a new link, and what the old one has in use", s, len(h.dials))
		}
		h.set(func() { h.handle = nil })
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { runOK(t, m, target) })
		}
		wg.Wait()
		if err := <-ended; err != nil {
			t.Errorf("the command that ran ended with %v", err)
		}
		synctest.Wait()
		if s := m.Stats(); s.Lost != 0 || s.InUse != 0 || s.Links[0].Held != 0 || len(h.dials) != 4 {
			t.Errorf("Stats() = %+v after %d dials, want the old connection gone and nothing in use", s, len(h.dials))
		}
	})
}

// The connection of a ping may have died long ago, without the host: another one tells.
func TestPingRedials(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		runOK(t, m, target)
		h.freeze()
		if _, err := m.Ping(t.Context(), target); err != nil {
			t.Errorf("Ping = %v, want a sign of life over another connection", err)
		}
		h.freeze()
		h.set(func() { h.down = errors.New("no route to host") })
		_, err := m.Ping(t.Context(), target)
		kind(t, err, Transport, PhaseDial)
		if s := m.Stats(); s.Dials != 3 || s.Lost != 2 {
			t.Errorf("Stats() = %+v, want three dials and two losses", s)
		}
	})
}

// Kills that find no session dial once for all, and not while the link must not be dialled.
func TestKillsRespectBackoff(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.MaxSessions = 4
		var opened atomic.Int32
		h.handle = func(n ssh.NewChannel) {
			if opened.Add(1) > 4 {
				n.Reject(ssh.ConnectionFailed, "open failed")
				return
			}
			go answerAfter(n, 15*time.Second)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				limit := time.Second + time.Duration(i/2)*500*time.Millisecond
				exit, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}, Timeout: limit})
				if kind(t, err, Timeout, PhaseOutput); !exit.Orphan {
					t.Errorf("exit = %+v, want an orphan", exit)
				}
			})
		}
		time.Sleep(500 * time.Millisecond)
		h.set(func() { h.down = errors.New("no route to host") })
		wg.Wait()
		if got := len(h.dials); got != 2 {
			t.Errorf("%d dials, want 2: one for the link, one for all kills", got)
		}
		if l := m.Stats().Links[0]; l.Failures != 1 || l.State != Up || l.Dials != 2 {
			t.Errorf("link = %+v, want one failure", l)
		}
		time.Sleep(20 * time.Second)
	})
}

// A host that is full of our commands is asked again and again, but not for ever.
func TestRefusedWhileOthersRun(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		var opened atomic.Int32
		h.handle = func(n ssh.NewChannel) {
			if opened.Add(1) > 1 {
				n.Reject(ssh.ConnectionFailed, "open failed")
				return
			}
			go answerAfter(n, 2*time.Minute)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
			ended <- err
		}()
		time.Sleep(time.Second)
		start := time.Now()
		_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		kind(t, err, Transport, PhaseOpen)
		if took := time.Since(start); took < time.Minute || took > 76*time.Second {
			t.Errorf("Run gave up after %v, want 60s to 75s", took)
		}
		if err := <-ended; err != nil {
			t.Errorf("the command that ran ended with %v", err)
		}
	})
}

// Close waits for nothing that a silent host does not do.
func TestCloseWhileHostIsSilent(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.MaxSessions = 3
		var opened atomic.Int32
		h.handle = func(n ssh.NewChannel) {
			if opened.Add(1) < 3 {
				go answerAfter(n, time.Hour) // two that run, one that is asked for
			}
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}}); !errors.Is(err, ErrClosed) {
					t.Errorf("Run = %v, want ErrClosed", err)
				}
			})
		}
		wg.Go(func() { m.Ping(t.Context(), target) })
		time.Sleep(5 * time.Second)
		h.freeze()
		wg.Go(func() { m.Ping(t.Context(), target) })
		time.Sleep(time.Second)
		start := time.Now()
		m.Close()
		if took := time.Since(start); took > killLimit+200*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
		wg.Wait()
		time.Sleep(time.Hour)
	})
}

// The leader of a process group may end by the first signal, and be heard of before its PID:
// the others of the group must be killed still.
func TestKillAfterLeaderEnded(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		var killed atomic.Bool
		h.handle = func(n ssh.NewChannel) {
			go func() {
				ch, requests, err := n.Accept()
				if err != nil {
					return
				}
				defer ch.Close()
				var nonce string
				for r := range requests {
					switch {
					case r.Type == "exec" && strings.Contains(string(r.Payload), "set -- 4242 -4242"):
						killed.Store(true)
						ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{0}))
						return
					case r.Type == "exec":
						nonce = nonceIn.FindStringSubmatch(string(r.Payload))[1]
					case r.Type == "signal":
						ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
							Signal string
							Core   bool
							A, B   string
						}{Signal: "TERM"}))
						time.Sleep(10 * time.Millisecond)
						ch.Write([]byte(nonce + " 4242\n"))
						return
					}
				}
			}()
		}
		exit, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}, Timeout: time.Second})
		if kind(t, err, Timeout, PhaseOutput); exit.Orphan || exit.Signal != "TERM" || !killed.Load() {
			t.Errorf("Run = %+v, %v; the group was killed: %v, want true", exit, err, killed.Load())
		}
	})
}

// A clock that is set by hours must not hide a dead link, nor make one look dead.
func TestSilenceDoesNotDependOnTheClock(t *testing.T) {
	up, down := newHalf(), newHalf()
	m := newMeter(memory{in: up, out: down}, new(counters))
	up.write([]byte("x"))
	if _, err := m.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if s := m.heard().String(); !strings.Contains(s, " m=") || m.last.Load() <= 0 {
		t.Errorf("heard = %s, want a monotonic reading", s)
	}
}
