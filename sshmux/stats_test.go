package sshmux

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// slow is a log that takes what it is told when it is asked to go on.
type slow struct {
	slog.Handler
	told chan<- string
	goOn <-chan struct{}
}

func (s slow) Enabled(context.Context, slog.Level) bool { return true }

func (s slow) Handle(_ context.Context, r slog.Record) error {
	s.told <- r.Message
	<-s.goOn
	return nil
}

// A log that does not get on must not hold up those who want the statistics.
func TestStatsWhileTheLogHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, target := newHost(t)
		told, goOn := make(chan string), make(chan struct{})
		m := newMux(t, Options{Dial: h.Dial, Log: slog.New(slow{told: told, goOn: goOn})})
		f := func(want string, state LinkState) {
			t.Helper()
			if got := <-told; got != want {
				t.Errorf("the log was told %q, want %q", got, want)
			}
			done := make(chan Stats, 1)
			go func() {
				m.Totals()
				done <- m.Stats()
			}()
			synctest.Wait()
			select {
			case s := <-done:
				if s.States[state] != 1 || s.Links[0].State != state {
					t.Errorf("Stats() = %+v, want a link that is %s", s, state)
				}
			default:
				t.Errorf("%s: Stats waits for the log", want)
			}
			goOn <- struct{}{}
		}
		h.down = errors.New("no route to host")
		go m.Ping(t.Context(), target)
		f("cannot connect", Down)
		time.Sleep(time.Minute)
		h.set(func() { h.down = nil })
		go m.Ping(t.Context(), target)
		f("connected", Up)
		h.freeze()
		f("connection lost", Down)
	})
}

func TestTotals(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		target.MaxSessions = 2
		h.handle = func(n ssh.NewChannel) { go answerAfter(n, time.Minute) }
		for range 3 {
			go m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		}
		other := target
		other.Addr = "web1"
		m.Run(t.Context(), other, Command{Argv: []string{"check"}}) // refused before there is a link
		time.Sleep(time.Second)
		got := m.Totals()
		if got.Dials != 1 || got.Commands != 2 || got.InUse != 2 || got.Queued != 1 || got.BytesIn == 0 || len(got.States) != 4 || got.States[Up] != 1 {
			t.Errorf("Totals() = %+v", got)
		}
		if s := m.Stats(); fmt.Sprint(s.Totals) != fmt.Sprint(got) {
			t.Errorf("Stats() = %+v, want the same as Totals() = %+v", s, got)
		}
		time.Sleep(3 * time.Minute)
	})
}

// manyLinks returns a Mux with n links that are down.
func manyLinks(b *testing.B, n int) *Mux {
	m := newMux(b, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") }})
	target := Target{Addr: "192.0.2.1:22", User: "monitor", Password: "x", KnownHosts: []string{"/nonexistent"}}
	for i := range n {
		target.Name = fmt.Sprint("host", i)
		m.Ping(b.Context(), target)
	}
	return m
}

func BenchmarkStats(b *testing.B) {
	m := manyLinks(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		m.Stats()
	}
}

func BenchmarkTotals(b *testing.B) {
	m := manyLinks(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		m.Totals()
	}
}

// A counter that is not there before its first failure hides that failure from increase().
func TestFailuresFromTheStart(t *testing.T) {
	m := newMux(t, Options{})
	got := m.Totals().Failures
	for _, p := range []Phase{PhaseResolve, PhaseDial, PhaseBanner, PhaseKex, PhaseHostKey, PhaseAuth} {
		if n, ok := got[p]; !ok || n != 0 {
			t.Errorf("Totals().Failures = %v, want %s: 0 in it", got, p)
		}
	}
	if len(got) != 6 {
		t.Errorf("Totals().Failures = %v, want what a dial has, and no more", got)
	}
}
