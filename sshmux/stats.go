package sshmux

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// counters grow as long as the Mux lives.
type counters struct {
	dials, lost, idle, commands, ahead, refused, orphans, in, out atomic.Uint64

	waiting atomic.Int64 // dials, for their turn
	trips   trips

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

// Totals says what a Mux has done so far, and what its links do now. The counters never fall.
type Totals struct {
	Dials    uint64           // attempts to connect
	Failures map[Phase]uint64 // those that failed, by phase; each that a dial has is there
	Lost     uint64           // connections that ended against our will
	Idle     uint64           // connections that were closed because nobody used them for Target.IdleTimeout
	Commands uint64           // commands sent
	Prefetch uint64           // commands and kills that found a session opened ahead, or asked for
	Refused  uint64           // sessions that hosts refused to open, each of which was asked for again
	Orphans  uint64           // commands of which processes may live on
	BytesIn  uint64           // received, as encrypted
	BytesOut uint64           // sent, as encrypted

	RoundTrips RoundTrips

	States map[LinkState]int // links, by how they stand; each state is there
	Turns  int               // dials that wait for their turn
	InUse  int               // sessions in use on all links
	Held   int               // of these: sessions that hosts keep for commands that have ended or were never begun
	Ahead  int               // sessions that are kept ahead, or asked for
	Limit  int               // commands that may run at once on the links that are up
	Queued int               // commands that wait for a session
}

// Stats is Totals, and how each link stands.
type Stats struct {
	Totals
	Links []LinkStats // by name, then address
}

// LinkState says how a link stands.
type LinkState string

// The states of a link.
const (
	Down     LinkState = "down"
	Idle     LinkState = "idle" // closed because nobody used it for Target.IdleTimeout, or because each command has a connection of its own
	Dialling LinkState = "dialling"
	Up       LinkState = "up"
)

// LinkStats says how the link of one target stands.
type LinkStats struct {
	Name, Addr, User string
	Via              string // the name of the bastion that it goes through; empty: none
	State            LinkState
	Since            time.Time     // when it came up; zero if it is not up
	MaxSessions      int           // commands that may run at once; 0 if it is not up
	InUse            int           // sessions in use, including those held, also on connections that were replaced
	Held             int           // sessions that the host keeps for commands that have ended or were never begun
	Queued           int           // commands that wait for a session
	Prefetch         bool          // sessions are opened ahead
	Ahead            bool          // there is one now, or it is asked for
	RTT              time.Duration // the newest round trip, of a keepalive or of a request for a session; 0: none yet
	Dials            uint64        // attempts to connect
	Failures         int           // failures in a row
	LastError        error         // the newest failure, an *Error; nil: none yet. It stays when the link recovers
	LastErrorAt      time.Time
	Retry            time.Time // no attempt is made before; zero or past: at once
}

// Totals returns the counters. It is cheap, even with many links; each call is one look at the
// Mux.
func (m *Mux) Totals() Totals {
	t := m.counters.totals()
	for _, l := range m.list() {
		t.add(l.standing())
	}
	return t
}

// Stats returns the counters and the links. The result is the caller's. It costs the more, the
// more links there are.
func (m *Mux) Stats() Stats {
	links := m.list()
	s := Stats{Totals: m.counters.totals(), Links: make([]LinkStats, 0, len(links))}
	for _, l := range links {
		link := l.stats()
		s.add(link)
		s.Links = append(s.Links, link)
	}
	slices.SortFunc(s.Links, func(a, b LinkStats) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.User, b.User))
	})
	return s
}

// list returns the links as they are now.
func (m *Mux) list() []*link {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.AppendSeq(make([]*link, 0, len(m.links)), maps.Values(m.links))
}

func (c *counters) totals() Totals {
	t := Totals{
		Dials: c.dials.Load(), Lost: c.lost.Load(), Idle: c.idle.Load(), Commands: c.commands.Load(), Prefetch: c.ahead.Load(),
		Refused: c.refused.Load(), Orphans: c.orphans.Load(), BytesIn: c.in.Load(), BytesOut: c.out.Load(),
		Turns:      int(c.waiting.Load()),
		RoundTrips: c.trips.total(),
		Failures:   make(map[Phase]uint64),
		States:     map[LinkState]int{Down: 0, Idle: 0, Dialling: 0, Up: 0},
	}
	for _, p := range Phases() {
		t.Failures[p] = 0
		if p == PhaseAuth {
			break // what comes after the login is no failure to connect
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(t.Failures, c.phases)
	return t
}

func (t *Totals) add(l LinkStats) {
	t.States[l.State]++
	t.InUse += l.InUse
	t.Held += l.Held
	t.Limit += l.MaxSessions
	t.Queued += l.Queued
	if l.Ahead {
		t.Ahead++
	}
}

// standing returns what Totals adds up of a link.
func (l *link) standing() LinkStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LinkStats{State: l.state()}
	l.describe(&s)
	l.onceStats(&s)
	return s
}

// describe says in s how the slots are, of all connections together. The caller holds mu.
func (l *link) describe(s *LinkStats) {
	if l.conn != nil {
		l.conn.slots.describe(s)
	}
	for _, c := range l.retired {
		used, held, waiting := c.slots.state()
		s.InUse, s.Held, s.Queued = s.InUse+used, s.Held+held, s.Queued+waiting
	}
}

// state returns how the link stands. The caller holds mu.
func (l *link) state() LinkState {
	switch {
	case l.conn != nil, l.once.Load() && len(l.retired) > 0:
		return Up
	case l.dialling != nil:
		return Dialling
	case l.idle:
		return Idle
	}
	return Down
}

func (l *link) stats() LinkStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LinkStats{
		Name: l.target.name(), Addr: l.target.Addr, User: l.target.User,
		State: l.state(), Prefetch: l.target.Prefetch, Dials: l.dials, Failures: l.failures, Retry: l.retry,
	}
	if l.via != nil {
		s.Via = l.via.target.name()
	}
	if l.last != nil {
		s.LastError, s.LastErrorAt = l.last, l.lastAt
	}
	if c := l.conn; c != nil {
		s.Since, s.RTT = c.since, time.Duration(c.rtt.Load())
	}
	l.describe(&s)
	l.onceStats(&s)
	return s
}
