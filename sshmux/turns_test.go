package sshmux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fleet is many hosts that are one in memory.
type fleet struct {
	*host
	down bool

	mu    sync.Mutex
	order []int
	at    []time.Time
	open  int // dials at a time
	peak  int
}

func (f *fleet) target(proto Target, i int) Target {
	proto.Addr = "host" + strconv.Itoa(i) + ":22"
	return proto
}

func (f *fleet) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	i, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(addr, "host"), ":22"))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.order, f.at = append(f.order, i), append(f.at, time.Now())
	f.open++
	f.peak = max(f.peak, f.open)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.open--
		f.mu.Unlock()
	}()
	if f.down {
		time.Sleep(3 * time.Second)
		return nil, errors.New("no route to host")
	}
	time.Sleep(50 * time.Millisecond)
	return f.host.Dial(ctx, network, addr)
}

// storm has all hosts wanted at once, in their order, and returns when all of that is over.
func (f *fleet) storm(t *testing.T, m *Mux, proto Target, n int, run func(i int, err error)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, err := m.PingWithin(t.Context(), f.target(proto, i), 10*time.Second)
			run(i, err)
		})
		if i%100 == 0 {
			synctest.Wait()
		}
	}
	wg.Wait()
}

// perSecond is the greatest number of dials in a second, whenever it begins.
func (f *fleet) perSecond() int { return most(f.at, time.Second-1) }

// All hosts wanted at once are dialled at the rate, in the order in which they were; and none of
// them is given up for having waited, though that is longer than any limit of theirs.
func TestTenThousandHostsAtOnce(t *testing.T) {
	const hosts, rate = 10_000, 100
	synctest.Test(t, func(t *testing.T) {
		h, proto := newHost(t)
		f := &fleet{host: h, down: true}
		m := newMux(t, Options{Dial: f.Dial, DialRate: rate, MaxDials: 200})
		start := time.Now()
		f.storm(t, m, proto, hosts, func(i int, err error) {
			if e := kind(t, err, Transport, PhaseDial); !strings.Contains(e.Error(), "no route to host") {
				t.Errorf("host%d: %v", i, err)
			}
		})
		// Each dial takes 3 s, and 200 are made at a time.
		if took := time.Since(start); took > 155*time.Second {
			t.Errorf("took %v, want 150s", took)
		}
		if got := f.perSecond(); got > rate || f.peak != 200 {
			t.Errorf("%d dials within a second and %d at a time, want %d and 200", got, f.peak, rate)
		}
		if len(f.order) != hosts || displaced(f.order) > 100 {
			t.Errorf("%d dials, displaced by up to %d, want %d in their order", len(f.order), displaced(f.order), hosts)
		}
		if got := m.Totals(); got.Turns != 0 || got.Dials != hosts {
			t.Errorf("Totals() = %+v, want nobody in the queue", got)
		}
	})
}

// displaced returns how far from its place the worst of a list of 0 to n-1 is.
func displaced(order []int) int {
	worst := 0
	for place, i := range order {
		worst = max(worst, place-i, i-place)
	}
	return worst
}

func TestAllHostsComeUp(t *testing.T) {
	const hosts, rate = 600, 20
	synctest.Test(t, func(t *testing.T) {
		h, proto := newHost(t)
		f := &fleet{host: h}
		m := newMux(t, Options{Dial: f.Dial, DialRate: rate})
		done := make(chan bool)
		go func() {
			defer close(done)
			f.storm(t, m, proto, hosts, func(i int, err error) {
				if err != nil {
					t.Errorf("host%d: %v", i, err)
				}
			})
		}()
		time.Sleep(10 * time.Second)
		got := m.Totals()
		if got.States[Up] < 10*rate-5 || got.States[Up] > 10*rate+1 || got.Turns != hosts-int(got.Dials) {
			t.Errorf("Totals() = %+v after 10 s, want %d up and the others to wait for their turn", got, 10*rate)
		}

		// Who waits says so, and who is wanted by a person waits no longer.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := m.Run(ctx, f.target(proto, hosts-1), Command{Argv: []string{"check"}})
		cancel()
		if e := kind(t, err, Transport, PhaseDial); !strings.Contains(e.Error(), "waiting for its turn") {
			t.Errorf("err = %v, want one that tells of the queue", err)
		}
		start := time.Now()
		for _, i := range []int{hosts - 2, hosts} { // one that waits, and one that nobody has asked for
			if _, err := m.Run(t.Context(), f.target(proto, i), Command{Argv: []string{"check"}, Priority: 1}); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("orders took %v, want them before the others", took)
		}

		// A reload takes those along that wait and are no longer wanted, and a start is no storm.
		m.Retain(func(t Target) bool { return true })
		<-done
		if got := m.Totals(); got.States[Up] != hosts+1 || got.Turns != 0 || got.Dials != hosts+1 || f.perSecond() > rate {
			t.Errorf("Totals() = %+v with %d dials in a second, want all up and at most %d", got, f.perSecond(), rate)
		}
		f.at = nil
		m.Retain(func(Target) bool { return false })
		f.storm(t, m, proto, 100, func(i int, err error) {})
		if got := m.Totals(); got.States[Up] != 100 || f.perSecond() > rate {
			t.Errorf("Totals() = %+v with %d dials in a second after a reload", got, f.perSecond())
		}
	})
}

// A turn that does not come is an error that says so, and leaves nothing behind.
func TestTurnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, proto := newHost(t)
		f := &fleet{host: h}
		m := newMux(t, Options{Dial: f.Dial, DialRate: 1, TurnTimeout: 5500 * time.Millisecond})
		var late int
		var mu sync.Mutex
		f.storm(t, m, proto, 10, func(i int, err error) {
			if err == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			late++
			if e := kind(t, err, Transport, PhaseDial); !strings.Contains(e.Error(), "waiting for its turn: it has not come within 5.5s") {
				t.Errorf("err = %v", err)
			}
		})
		if got := m.Totals(); late != 4 || got.Turns != 0 || got.Dials != 6 {
			t.Errorf("%d were late, Totals() = %+v, want 4 and 6 dials", late, got)
		}
	})
}

// Who waits and is no longer wanted leaves the queue, and a link that is closed as well.
func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, proto := newHost(t)
		f := &fleet{host: h}
		m := newMux(t, Options{Dial: f.Dial, DialRate: 1})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { m.Ping(ctx, f.target(proto, i)) })
		}
		time.Sleep(2500 * time.Millisecond)
		cancel()
		wg.Wait()
		m.Retain(func(Target) bool { return false })
		synctest.Wait()
		if got := m.Totals(); got.Turns != 0 || got.Dials != 3 {
			t.Errorf("Totals() = %+v, want nobody in the queue after 3 dials", got)
		}
		runOK(t, m, f.target(proto, 50))
	})
}

// Those that are urgent go first, but not for ever.
func TestUrgentTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := &turns{every: time.Second, most: 1}
		var order []string
		wait := func(name string, u urgency) {
			go func() {
				if err := turns.take(t.Context(), newTurn(u)); err != nil {
					t.Error(err)
				}
				order = append(order, name)
				turns.done()
			}()
			synctest.Wait()
		}
		for i := range 3 {
			wait(fmt.Sprint("s", i), scheduled)
		}
		for i := range 5 {
			wait(fmt.Sprint("o", i), ordered)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"s0", "o0", "o1", "o2", "s1", "o3", "o4", "s2"}; !slices.Equal(order, want) {
			t.Errorf("order = %v, want %v", order, want)
		}
	})
}
