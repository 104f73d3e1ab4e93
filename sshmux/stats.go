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

// Totals says what a Mux has done so far, and what its links do now. The counters never fall.
type Totals struct {
	Dials    uint64           // attempts to connect
	Failures map[Phase]uint64 // those that failed, by phase
	Lost     uint64           // connections that ended against our will
	Commands uint64           // commands sent
	Refused  uint64           // sessions that hosts refused to open, each of which was asked for again
	Orphans  uint64           // commands of which processes may live on
	BytesIn  uint64           // received, as encrypted
	BytesOut uint64           // sent, as encrypted

	States map[LinkState]int // links, by how they stand; each state is there
	InUse  int               // sessions in use on all links
	Queued int               // commands that wait for one
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
	RTT              time.Duration // the newest round trip of a keepalive; 0: none yet
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
		s.add(standing{link.State, link.InUse, link.Queued})
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
		Dials: c.dials.Load(), Lost: c.lost.Load(), Commands: c.commands.Load(), Refused: c.refused.Load(),
		Orphans: c.orphans.Load(), BytesIn: c.in.Load(), BytesOut: c.out.Load(),
		Failures: make(map[Phase]uint64),
		States:   map[LinkState]int{Down: 0, Dialling: 0, Up: 0},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(t.Failures, c.phases)
	return t
}

// standing is what Totals adds up of a link.
type standing struct {
	state         LinkState
	inUse, queued int
}

func (t *Totals) add(s standing) {
	t.States[s.state]++
	t.InUse += s.inUse
	t.Queued += s.queued
}

func (l *link) standing() standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := standing{state: l.state()}
	s.inUse, _, s.queued = l.use()
	return s
}

// use returns what slots.state does, of all connections together. The caller holds mu.
func (l *link) use() (used, held, waiting int) {
	if l.conn != nil {
		used, held, waiting = l.conn.slots.state()
	}
	for _, c := range l.retired {
		u, h, w := c.slots.state()
		used, held, waiting = used+u, held+h, waiting+w
	}
	return used, held, waiting
}

// state returns how the link stands. The caller holds mu.
func (l *link) state() LinkState {
	switch {
	case l.conn != nil:
		return Up
	case l.dialling != nil:
		return Dialling
	}
	return Down
}

func (l *link) stats() LinkStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LinkStats{
		Name: l.target.name(), Addr: l.target.Addr, User: l.target.User,
		State: l.state(), Dials: l.dials, Failures: l.failures, Retry: l.retry,
	}
	if l.via != nil {
		s.Via = l.via.target.name()
	}
	if l.last != nil {
		s.LastError, s.LastErrorAt = l.last, l.lastAt
	}
	if c := l.conn; c != nil {
		s.Since, s.MaxSessions, s.RTT = c.since, c.slots.size(), time.Duration(c.rtt.Load())
	}
	s.InUse, s.Held, s.Queued = l.use()
	return s
}
