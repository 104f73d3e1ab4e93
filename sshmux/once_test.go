package sshmux

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// once makes a host open one session per connection, and take a while for each command.
func (h *host) once(d time.Duration) {
	h.each = func() func(ssh.NewChannel) {
		used := false
		return func(n ssh.NewChannel) {
			if used {
				n.Reject(ssh.Prohibited, "only one")
				return
			}
			used = true
			go answerAfter(n, d)
		}
	}
}

// A host that does not tell what it is becomes known by its refusal: nobody sees that.
func TestLearnsOneSessionPerConnection(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.once(10 * time.Second)
		start := time.Now()
		var wg sync.WaitGroup
		for range 11 {
			wg.Go(func() { runOK(t, m, target) })
		}
		wg.Wait()
		// One goes over the connection on which it was found out, and five at a time over theirs.
		if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("took %v, want 20s", took)
		}
		s := m.Stats()
		if l := s.Links[0]; s.Dials != 11 || s.Commands != 11 || s.Lost != 0 || l.Failures != 0 || l.LastError != nil || l.InUse != 0 {
			t.Errorf("Stats() = %+v", s)
		}
	})
}

// Connections of which nobody makes use are not kept: nothing shows that they are alive.
func TestUnusedConnectionOfOneSession(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.config.ServerVersion = onceGreeting + "_20230101"
		h.once(0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.Run(ctx, target, Command{Argv: []string{"check"}}); !errors.Is(err, context.Canceled) {
			t.Fatalf("err = %v", err)
		}
		time.Sleep(14 * time.Second)
		if got := m.Stats().States[Up]; got != 1 {
			t.Errorf("%d links are up, want 1", got)
		}
		time.Sleep(2 * time.Second)
		s := m.Stats()
		if l := s.Links[0]; s.States[Idle] != 1 || l.State != Idle || l.Failures != 0 || s.Lost != 0 {
			t.Errorf("Stats() = %+v, want a link that is idle and has not failed", s)
		}
		runOK(t, m, target)
		if h.keepalives != 0 {
			t.Errorf("the host was sent %d global requests, which it does not know", h.keepalives)
		}
	})
}

// Between commands there is no connection, and nothing is wrong: such a host must not be among
// those that are down, which people are told of. It is when a login has failed.
func TestIdleWithoutConnection(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.config.ServerVersion = onceGreeting + "_20230101"
		h.once(0)
		f := func(when string, want LinkState) {
			t.Helper()
			synctest.Wait()
			if s := m.Stats(); s.Links[0].State != want || s.States[want] != 1 || m.Totals().States[want] != 1 {
				t.Errorf("%s: Stats() = %+v, want a link that is %s", when, s, want)
			}
		}
		runOK(t, m, target)
		f("after a command", Idle)
		if _, err := m.Ping(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		f("after a sign of life", Idle)

		h.once(10 * time.Second)
		var wg sync.WaitGroup
		wg.Go(func() { runOK(t, m, target) })
		time.Sleep(time.Second)
		f("during a command", Up)
		h.down = errors.New("no route to host")
		if exit, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}}); err == nil {
			t.Fatalf("Run() = %+v, want an error", exit)
		}
		wg.Wait()
		f("when a login has failed since the one of the last command", Down)
		h.down = nil
		time.Sleep(2 * time.Minute)
		runOK(t, m, target)
		f("when it is back", Idle)
	})
}

// Who waits for a connection is served as who waits for a session is.
func TestQueueForConnections(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, m *Mux, h *host, target Target) {
		h.config.ServerVersion = onceGreeting + "_20230101"
		h.once(10 * time.Second)
		target.MaxSessions = 1
		go m.Run(t.Context(), target, Command{Argv: []string{"check"}})
		time.Sleep(time.Second)
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i, priority := range []int{0, 0, 1} {
			wg.Go(func() {
				exit, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}, Priority: priority})
				mu.Lock()
				defer mu.Unlock()
				if err == nil && exit.Code == 0 {
					order = append(order, i)
				}
			})
			time.Sleep(time.Second)
		}
		if l := m.Stats().Links[0]; l.InUse != 1 || l.Queued != 3 || l.State != Up || l.MaxSessions != 1 {
			t.Errorf("link = %+v, want one in use, and three that wait", l)
		}
		wg.Wait()
		if !slices.Equal(order, []int{2, 0, 1}) {
			t.Errorf("order = %v, want the one of the higher priority first, and the others as they came", order)
		}
	})
}
