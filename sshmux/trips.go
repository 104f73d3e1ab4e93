package sshmux

import (
	"sync/atomic"
	"time"
)

// tripBounds are the upper bounds of the classes in which round trips are counted.
var tripBounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// trips counts round trips on all connections.
type trips struct {
	classes [len(tripBounds)]atomic.Uint64 // those that are in no class before
	count   atomic.Uint64
	sum     atomic.Int64 // in nanoseconds
}

func (t *trips) add(d time.Duration) {
	for i, bound := range tripBounds {
		if d <= bound {
			t.classes[i].Add(1)
			break
		}
	}
	t.sum.Add(int64(d))
	t.count.Add(1)
}

// RoundTrips are the round trips that were measured on all links: of keepalives, and of requests
// for sessions.
type RoundTrips struct {
	Count  uint64
	Sum    time.Duration
	AtMost map[time.Duration]uint64 // how many took no longer than that
}

func (t *trips) total() RoundTrips {
	out := RoundTrips{AtMost: make(map[time.Duration]uint64, len(tripBounds)), Sum: time.Duration(t.sum.Load())}
	var n uint64
	for i, bound := range tripBounds {
		n += t.classes[i].Load()
		out.AtMost[bound] = n
	}
	out.Count = max(n, t.count.Load()) // one may come in meanwhile
	return out
}

// measured notes a round trip.
func (c *conn) measured(d time.Duration) {
	c.rtt.Store(int64(d))
	c.mux.counters.trips.add(d)
}
