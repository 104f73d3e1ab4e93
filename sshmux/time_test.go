package sshmux

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
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

func TestIdleTimeout(t *testing.T) {
	bubble(t, Options{IdleTimeout: time.Minute}, func(t *testing.T, m *Mux, h *host, target Target) {
		if _, err := m.Ping(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if got := m.Stats().Links[0].State; got != Up {
			t.Errorf("50s after a ping the link is %s, want up", got)
		}
		runOK(t, m, target)
		time.Sleep(50 * time.Second)
		if got := m.Stats().Links[0].State; got != Up {
			t.Errorf("after 50s the link is %s, want up", got)
		}
		time.Sleep(40 * time.Second)
		if got := m.Stats().Links[0].State; got != Down {
			t.Errorf("after 90s the link is %s, want down", got)
		}
		runOK(t, m, target)
		if s := m.Stats(); s.Lost != 0 || s.Dials != 2 {
			t.Errorf("Stats() = %+v, want two dials and no loss", s)
		}
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
