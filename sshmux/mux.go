// Package sshmux keeps one shared SSH connection per host and runs commands over it.
//
// A Mux holds a link per Target. The first command for a target dials; all commands that
// follow, and those that overlap, are channels of the same connection. A link that fails is
// dialled again by the next command, after a pause that grows with each failure. The package
// knows nothing of monitoring: it says how a command ended, or why it could not be run.
//
//	Mux ── link (a target: down, dialling or up) ── conn (one connection) ── session (one command)
//
// A target may be behind a bastion, and that behind another one. The connection to it is then
// a channel of the bastion's connection, which is the one over which the bastion's own commands
// run, and which all share that are behind it.
//
// Each connection has one goroutine of this package that owns it: it dials, answers or refuses
// what the server asks, sends keepalives, and ends with the connection. A running command has
// two more, or three if it has a Stdin, and a connection through a bastion has three more.
package sshmux

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Options say how a Mux treats all of its links. The zero value is ready to use.
type Options struct {
	// Dial opens the network connection; nil uses a net.Dialer. It must give up when its
	// context ends.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Log receives what happens to the links; nil discards it. No secret is ever logged.
	Log *slog.Logger
	// ConnectTimeout bounds one attempt to connect, from the look-up of the name to the login;
	// 0 means 10 s.
	ConnectTimeout time.Duration
	// DialRate is how many dials may begin in a second, on all links together; 0 means 200.
	DialRate int
	// MaxDials is how many dials may be under way at a time; 0 means 1000.
	MaxDials int
	// TurnTimeout bounds a dial's wait for its turn, which DialRate, MaxDials and the other
	// dials to the same address or through the same bastion delay; 0 means 5 min. It comes
	// before ConnectTimeout.
	TurnTimeout time.Duration
	// OpenTimeout bounds the wait for the answer to a request for a session; 0 means 15 s. A
	// server that refuses because it has too many sessions of ours is asked again for up to
	// QueueTimeout.
	OpenTimeout time.Duration
	// QueueTimeout bounds a command's wait for one of Target.MaxSessions; 0 means 60 s.
	QueueTimeout time.Duration
	// KeepaliveInterval is how long a link may be silent until it is asked for a sign of life;
	// 0 means 15 s.
	KeepaliveInterval time.Duration
	// KeepaliveTimeout is how long the answer may take before it counts as missed; 0 means 7/15
	// of KeepaliveInterval, so that a link that is gone is given up in less than 30 s.
	KeepaliveTimeout time.Duration
	// KeepaliveCount is how many misses in a row end the link; 0 means 2.
	KeepaliveCount int
}

func (o Options) withDefaults() Options {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.ConnectTimeout = or(o.ConnectTimeout, 10*time.Second)
	o.DialRate = or(o.DialRate, 200)
	o.MaxDials = or(o.MaxDials, 1000)
	o.TurnTimeout = or(o.TurnTimeout, 5*time.Minute)
	o.OpenTimeout = or(o.OpenTimeout, 15*time.Second)
	o.QueueTimeout = or(o.QueueTimeout, time.Minute)
	o.KeepaliveInterval = or(o.KeepaliveInterval, 15*time.Second)
	o.KeepaliveTimeout = or(o.KeepaliveTimeout, o.KeepaliveInterval*7/15)
	o.KeepaliveCount = or(o.KeepaliveCount, 2)
	return o
}

// or returns v, or else if v is not positive.
func or[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Mux runs commands on hosts, over one connection per Target. Its methods may be called at the
// same time.
type Mux struct {
	options  Options
	hostKeys hostKeys
	keys     keyCache
	buffers  sync.Pool // of *[]byte, for output on its way
	counters counters
	alarms   alarms
	turns    turns
	lockout  lockout
	// killLimit is the constant of that name.
	killLimit time.Duration

	mu     sync.Mutex
	closed bool
	calls  map[*call]bool   // of Run and Ping, under way
	links  map[string]*link // by Target.Key
	parted map[*link]bool   // given up by Retain, with commands still running
	under  sync.WaitGroup   // calls
	owners sync.WaitGroup   // the goroutines of the connections, which end with them at the latest
}

// New returns a Mux. It opens nothing and starts nothing; call Close when done with it.
func New(o Options) *Mux {
	var lookup func(context.Context, string, string) ([]netip.Addr, error)
	if o.Dial == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	o = o.withDefaults()
	return &Mux{
		options:   o,
		killLimit: killLimit,
		turns:     turns{every: time.Second / time.Duration(o.DialRate), most: o.MaxDials},
		lockout:   lockout{short: shortMemory, long: longMemory, lookup: lookup, doors: make(map[string]*door)},
		buffers:   sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }},
		calls:     make(map[*call]bool),
		links:     make(map[string]*link),
		parted:    make(map[*link]bool),
	}
}

// Run runs a command on a host and waits for its end. A nil error means that the command ended
// by itself; Exit says how, whatever its exit status. Otherwise the error is an *Error, and
// Exit holds what is known. Calls may overlap.
//
// When the command's Timeout passes, ctx ends or the Mux is closed while the command runs, its
// remote process group is sent TERM and then KILL, as are its children in groups of their own,
// and Run returns within about six seconds. What the command has detached, as a daemon is, is
// let live. Run never returns before the output that it delivers has been written; after it has
// returned, Stdout and Stderr are left alone.
func (m *Mux) Run(ctx context.Context, t Target, c Command) (Exit, error) {
	r, err := t.request(c)
	if err != nil {
		return notRun, t.fail(Config, PhaseExec, err)
	}
	ctx, call, err := m.join(ctx, t)
	if err != nil {
		return notRun, err
	}
	defer m.leave(call)
	return call.link.run(ctx, r)
}

// Ping connects to a host unless the link is up, asks it for a sign of life, and returns how
// long the answer took.
func (m *Mux) Ping(ctx context.Context, t Target) (rtt time.Duration, err error) {
	return m.PingWithin(ctx, t, 0)
}

// PingWithin is Ping with a limit to the time that the host has, in which a wait for the turn to
// dial does not count. 0 means none but those of Options.
func (m *Mux) PingWithin(ctx context.Context, t Target, limit time.Duration) (rtt time.Duration, err error) {
	ctx, call, err := m.join(ctx, t)
	if err != nil {
		return 0, err
	}
	defer m.leave(call)
	return call.link.ping(ctx, limit)
}

// Hurry lets the next command for t connect at once, and its bastions too, whatever pause a
// failure has called for: a person has mended what was wrong, or believes so. It does so
// once in ten seconds at most, and not where one more failed login might have the host lock us
// out (RULES S1).
func (m *Mux) Hurry(t Target) {
	m.mu.Lock()
	l := m.links[t.Key()]
	m.mu.Unlock()
	for ; l != nil; l = l.via {
		l.hurry()
	}
}

// Retain closes the links of all targets that keep does not want, each as soon as no command
// runs over it any more. The links of bastions stay as long as one that stays goes through
// them, wanted or not. A target that is used again later gets a new link.
func (m *Mux) Retain(keep func(Target) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := make(map[*link]bool)
	for _, l := range m.links {
		if !keep(l.target) {
			continue
		}
		for ; l != nil && !wanted[l]; l = l.via {
			wanted[l] = true
		}
	}
	for key, l := range m.links {
		if wanted[l] {
			continue
		}
		delete(m.links, key)
		if l.users > 0 {
			m.parted[l] = true
			continue
		}
		m.end(l)
	}
}

// end closes a link that nobody uses, and lets go of its bastion's. The caller holds mu.
func (m *Mux) end(l *link) {
	l.close(errUnwanted)
	if l.via != nil {
		m.release(l.via)
	}
}

// release ends one use of a link. One that was given up ends with its last use. The caller
// holds mu.
func (m *Mux) release(l *link) {
	l.users--
	if l.users == 0 && m.parted[l] {
		delete(m.parted, l)
		m.end(l)
	}
}

// Close kills what runs, ends all links and returns when all that the Mux had started has
// ended, after about six seconds at most. Calls of Run and Ping return ErrClosed from then
// on. It returns nil; calling it again is allowed.
func (m *Mux) Close() error {
	m.mu.Lock()
	m.closed = true
	for c := range m.calls {
		c.cancel(ErrClosed)
	}
	m.mu.Unlock()
	m.under.Wait()
	m.mu.Lock()
	for _, l := range m.links {
		l.close(ErrClosed)
	}
	m.mu.Unlock()
	m.owners.Wait()
	return nil
}

// call is a call of Run or Ping that is under way.
type call struct {
	link   *link
	cancel context.CancelCauseFunc // makes the call end
}

// join begins a call over the link of a target. Its context ends with ctx, or when the Mux is
// closed.
func (m *Mux) join(ctx context.Context, t Target) (context.Context, *call, error) {
	key := t.Key()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, nil, t.fail(Transport, PhaseDial, ErrClosed)
	}
	l := m.links[key]
	if l == nil {
		if err := t.validate(); err != nil {
			return nil, nil, t.fail(Config, PhaseDial, err)
		}
		l = m.link(key, t)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c := &call{link: l, cancel: cancel}
	m.calls[c] = true
	l.users++
	m.under.Add(1)
	return ctx, c, nil
}

// link returns the link of a target, which it makes if there is none, as well as those of its
// bastions. The caller holds mu.
func (m *Mux) link(key string, t Target) *link {
	if l := m.links[key]; l != nil {
		return l
	}
	l := &link{mux: m, target: t.clone(), turn: make(chan struct{}, 1)}
	l.singles.most = or(t.MaxSessions, defaultSessions)
	if via := l.target.Via; via != nil {
		l.via = m.link(via.Key(), *via)
		if l.via.passages == nil {
			l.via.passages = make(chan struct{}, passages)
		}
		l.via.users++
	}
	m.links[key] = l
	return l
}

// leave ends a call.
func (m *Mux) leave(c *call) {
	c.cancel(nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.under.Done()
	delete(m.calls, c)
	m.release(c.link)
}
