package sshmux

import (
	"errors"
	"testing"
	"time"
)

// A ping asks whether the host is there now: an old answer to that is none. A
// refused login keeps its pause.
func TestPingAsksAgain(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.down = errors.New("no route to host")
		for n := range 5 {
			if _, err := m.Ping(t.Context(), target); err == nil {
				t.Error("Ping of a host that is down succeeded")
			}
			if len(h.dials) != n+1 {
				t.Errorf("%d dials after %d pings", len(h.dials), n+1)
			}
		}
		h.set(func() { h.down = nil })
		target.Password = "wrong"
		for range 3 {
			_, err := m.Ping(t.Context(), target)
			kind(t, err, Auth, PhaseAuth)
		}
		if len(h.dials) != 6 {
			t.Errorf("%d dials, want one of three pings to log in", len(h.dials)-5)
		}
	})
}

func TestHurry(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.Password = "wrong"
		check := func(dials int) {
			t.Helper()
			_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
			kind(t, err, Auth, PhaseAuth)
			if len(h.dials) != dials {
				t.Errorf("%d dials, want %d", len(h.dials), dials)
			}
		}
		m.Hurry(target) // of a host that nobody has asked for: nothing
		check(1)
		check(1)
		m.Hurry(target)
		check(2)
		m.Hurry(target) // again within ten seconds
		check(2)
		time.Sleep(11 * time.Second)
		m.Hurry(target)
		check(3)
	})
}

// TestPaused: who logs in besides is told while commands do not, and why.
func TestPaused(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.Password = "wrong"
		f := func(want bool) {
			t.Helper()
			p := m.Paused(target)
			if (p != nil) != want || want && (p.Kind != Auth || !p.Retry.After(time.Now())) {
				t.Errorf("Paused = %v, want one: %v", p, want)
			}
		}
		f(false)
		_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		kind(t, err, Auth, PhaseAuth)
		f(true)
		if len(h.dials) != 1 {
			t.Errorf("%d dials, want 1", len(h.dials))
		}
		time.Sleep(20 * time.Second)
		f(false)
	})
}
