package sshmux

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// counters grow as long as the Mux lives.
type counters struct {
	dials, lost, commands, refused, orphans, in, out atomic.Uint64

	mu     sync.Mutex
	phases map[Phase]uint64 // failed dials
}

func (c *counters) failed(p Phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phases == nil {
		c.phases = make(map[Phase]uint64)
	}
	c.phases[p]++
}

// Stats says what a Mux has done so far and how its links stand. The counters never fall.
type Stats struct {
	Dials    uint64           // attempts to connect
	Failures map[Phase]uint64 // those that failed, by phase
	Lost     uint64           // connections that ended against our will
	Commands uint64           // commands sent
	Refused  uint64           // sessions that hosts refused to open, each of which was asked for again
	Orphans  uint64           // commands of which processes may live on
	BytesIn  uint64           // received, as encrypted
	BytesOut uint64           // sent, as encrypted
	Links    []LinkStats      // by name, then address
}

// LinkState says how a link stands.
type LinkState string

// The states of a link.
const (
	Down     LinkState = "down"
	Dialling LinkState = "dialling"
	Up       LinkState = "up"
)

// LinkStats says how the link of one target stands.
type LinkStats struct {
	Name, Addr, User string
	State            LinkState
	Since            time.Time     // when it came up; zero if it is not up
	MaxSessions      int           // commands that may run at once; 0 if it is not up
	InUse            int           // sessions in use, including those held by processes left behind
	Held             int           // sessions held by processes left behind
	Queued           int           // commands that wait for a session
	RTT              time.Duration // the newest round trip of a keepalive; 0: none yet
	Dials            uint64        // attempts to connect
	Failures         int           // failures in a row
	LastError        error         // the newest failure, an *Error; nil: none yet. It stays when the link recovers
	LastErrorAt      time.Time
	Retry            time.Time // no attempt is made before; zero or past: at once
}

// Stats returns the counters and the links. The result is the caller's.
func (m *Mux) Stats() Stats {
	c := &m.counters
	s := Stats{
		Dials: c.dials.Load(), Lost: c.lost.Load(), Commands: c.commands.Load(), Refused: c.refused.Load(),
		Orphans: c.orphans.Load(), BytesIn: c.in.Load(), BytesOut: c.out.Load(),
		Failures: make(map[Phase]uint64),
	}
	c.mu.Lock()
	for phase, n := range c.phases {
		s.Failures[phase] = n
	}
	c.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.links {
		s.Links = append(s.Links, l.stats())
	}
	slices.SortFunc(s.Links, func(a, b LinkStats) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.User, b.User))
	})
	return s
}

func (l *link) stats() LinkStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LinkStats{
		Name: l.target.name(), Addr: l.target.Addr, User: l.target.User,
		State: Down, Dials: l.dials, Failures: l.failures, Retry: l.retry,
	}
	if l.last != nil {
		s.LastError, s.LastErrorAt = l.last, l.lastAt
	}
	if l.dialling != nil {
		s.State = Dialling
	}
	if c := l.conn; c != nil {
		s.State, s.Since = Up, c.since
		s.MaxSessions, s.Held, s.RTT = c.slots.limit, int(c.held.Load()), time.Duration(c.rtt.Load())
		s.InUse, s.Queued = c.slots.state()
	}
	return s
}
