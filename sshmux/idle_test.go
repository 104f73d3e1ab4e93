package sshmux

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
)

// diary is a log that keeps what is worth a look.
type diary struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.String()
}

// resting runs f with a link that rests after a minute. What f does must be worth no warning, and
// no loss.
func resting(t *testing.T, f func(t *testing.T, m *Mux, h *host, target Target)) {
	var log diary
	bubble(t, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.IdleTimeout = time.Minute
		f(t, m, h, target)
		if s := m.Stats(); s.Lost != 0 || s.Links[0].LastError != nil || s.Links[0].Failures != 0 || !s.Links[0].Retry.IsZero() {
			t.Errorf("stats = %+v, want no loss and no failure", s)
		}
	})
	if log.String() != "" {
		t.Errorf("the log was warned:\n%s", &log)
	}
}

func (h *host) dialled() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.dials)
}

// A link that nobody uses closes, and is there again when it is needed.
func TestIdleTimeout(t *testing.T) {
	resting(t, func(t *testing.T, m *Mux, h *host, target Target) {
		f := func(wait time.Duration, state LinkState, dials int) {
			t.Helper()
			time.Sleep(wait)
			s := m.Totals()
			if s.States[state] != 1 || h.dialled() != dials {
				t.Errorf("after %v: states = %v, %d dials; want %s, %d", wait, s.States, h.dialled(), state, dials)
			}
		}
		for n := range 3 {
			runOK(t, m, target)
			f(59*time.Second, Up, n+1)
			runOK(t, m, target)
			f(59*time.Second, Up, n+1)
			f(2*time.Second, Idle, n+1)
			f(time.Hour, Idle, n+1)
			if got := m.Totals().Idle; got != uint64(n+1) {
				t.Errorf("%d links were closed, want %d", got, n+1)
			}
		}
		// To be asked is to be used.
		for range 5 {
			if _, err := m.Ping(t.Context(), target); err != nil {
				t.Fatal(err)
			}
			f(59*time.Second, Up, 4)
		}
		f(2*time.Second, Idle, 4)
	})
}

// What takes longer is not cut off, and the time begins with its end.
func TestIdleWhileACommandRuns(t *testing.T) {
	resting(t, func(t *testing.T, m *Mux, h *host, target Target) {
		h.handle = func(n ssh.NewChannel) { go answerAfter(n, 10*time.Minute+30*time.Second) }
		runOK(t, m, target)
		time.Sleep(59 * time.Second)
		if s := m.Totals(); s.States[Up] != 1 || h.dialled() != 1 {
			t.Errorf("states = %v, %d dials", s.States, h.dialled())
		}
		time.Sleep(2 * time.Second)
		if s := m.Totals(); s.States[Idle] != 1 {
			t.Errorf("states = %v, want an idle one", s.States)
		}
	})
}

// Who comes in the moment in which the link closes finds either it or the next one.
func TestUseAtTheIdleTimeout(t *testing.T) {
	resting(t, func(t *testing.T, m *Mux, h *host, target Target) {
		for i := range 100 {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() { runOK(t, m, target) })
				wg.Go(func() {
					if _, err := m.Ping(t.Context(), target); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Minute + time.Duration(i-50)*time.Nanosecond)
		}
		if n := h.dialled(); n < 2 || n > 100 {
			t.Errorf("%d dials", n)
		}
	})
}

// A bastion's link stays as long as one goes through it.
func TestIdleBastion(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		inner, far := newHost(t)
		h.handle = gate(inner, answerOK)
		target.Name, target.IdleTimeout = "jump1", time.Minute
		target.KnownHosts = []string{knownAs(t, target, "jump1")}
		far.Name, far.IdleTimeout = "web1", 10*time.Minute
		far = behind(far, target)
		state := func(name string) LinkState {
			for _, l := range m.Stats().Links {
				if l.Name == name {
					return l.State
				}
			}
			return ""
		}
		f := func(wait time.Duration, bastion, behind LinkState) {
			t.Helper()
			time.Sleep(wait)
			if state("jump1") != bastion || state("web1") != behind {
				t.Errorf("after %v: bastion %s, behind it %s; want %s, %s", wait, state("jump1"), state("web1"), bastion, behind)
			}
		}
		for range 2 {
			runOK(t, m, far)
			f(9*time.Minute, Up, Up)
			f(time.Minute+time.Second, Up, Idle) // the bastion's time begins now
			f(time.Minute, Idle, Idle)
		}
		if s := m.Totals(); s.Lost != 0 || s.Dials != 4 || s.Idle != 4 {
			t.Errorf("totals = %+v", s)
		}
	})
}

// Over a real sshd, with a session ahead: its processes end, and the host is there again.
func TestIdleOverSSHD(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	target.IdleTimeout, target.Prefetch = time.Second, true
	for n := 1; n <= 2; n++ {
		if got := sh(t, m, target, "echo OK"); got != "OK\n" {
			t.Errorf("output = %q", got)
		}
		sshdtest.Await(t, "the link to rest", func() bool { return m.Totals().States[Idle] == 1 })
		sshdtest.Await(t, "sshd to notice", func() bool { return strings.Count(server.Log(), "Connection closed by") >= n })
		if got := server.Accepted(); got != n {
			t.Errorf("%d logins, want %d", got, n)
		}
	}
	if s := m.Totals(); s.Lost != 0 || s.Ahead != 0 || s.Idle != 2 {
		t.Errorf("totals = %+v", s)
	}
}
