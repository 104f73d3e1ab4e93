package sshmux

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// stable is how long a connection must have lived for its loss to be taken for an accident,
// and not for one more failure.
const stable = 10 * time.Second

// link is the one connection to a target: down, dialling or up. It is down until a command
// needs it, and needs no goroutine while it is.
type link struct {
	mux    *Mux
	target Target
	via    *link         // the bastion's that the target is behind; nil: none
	turn   chan struct{} // size 1: held by the one dial that is under way
	// passages is held by the handshakes through a bastion; nil: the link is none's. Set under
	// Mux.mu before the first of them.
	passages chan struct{}
	users    int // calls that use the link, and links that go through it; guarded by Mux.mu

	good atomic.Bool // the newest login did not fail

	barred atomic.Pointer[time.Time] // when there was last a reason to ask for no session ahead; nil: never

	once    atomic.Bool  // the host opens one session per connection
	singles slots        // then: of connections for commands
	rtt     atomic.Int64 // then: the newest round trip, in nanoseconds

	mu       sync.Mutex
	closed   bool
	conn     *conn     // not nil: up
	dialling *attempt  // not nil: dialling
	retired  []*conn   // those that only serve what is behind them
	second   *second   // not nil: kills use it
	alone    time.Time // when the host last refused a second session on a connection; zero: never
	idle     bool      // it has no connection because nobody needed one
	failures int       // in a row, all of one kind
	retry    time.Time
	hurried  time.Time // when hurry last had an effect
	ordered  bool      // by hurry: the next dial
	last     *Error    // the newest failure
	lastAt   time.Time
	dials    uint64
}

// attempt is a dial that all who need the link wait for.
type attempt struct {
	started time.Time
	cancel  context.CancelFunc
	turn    *turn
	done    chan struct{} // closed when conn or err is set
	conn    *conn
	err     *Error
}

// run runs a command over the link. A connection that turns out to be gone before the command
// was sent is replaced once.
func (l *link) run(ctx context.Context, r *request) (Exit, error) {
	for first := true; ; first = false {
		c, err := l.connect(ctx, r.urgency())
		if err != nil {
			return notRun, err
		}
		if c.isOnce() {
			return l.runOnce(ctx, r)
		}
		exit, err := c.run(ctx, r)
		if errors.Is(err, errOnce) {
			return l.runOnce(ctx, r)
		}
		if !first || !errors.Is(err, errLost) {
			return exit, err
		}
		select {
		case <-c.shut:
		case <-ctx.Done():
			return exit, err
		}
	}
}

// ping connects and waits for a sign of life. A connection that ends instead is replaced once:
// the host may be well, and only the connection have been forgotten on the way.
func (l *link) ping(ctx context.Context, limit time.Duration) (time.Duration, error) {
	l.askAgain()
	if limit > 0 {
		l.awaitTurn(ctx)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, &SilenceError{limit})
		defer cancel()
	}
	for first := true; ; first = false {
		c, err := l.connect(ctx, scheduled)
		if err != nil {
			return 0, err
		}
		if c.isOnce() {
			return l.pingOnce(ctx)
		}
		rtt, err := c.ping(ctx)
		lost := errors.Is(err, errLost)
		switch {
		case err == nil:
			return rtt, nil
		case lost && first:
			continue
		case lost:
			err = c.why()
		}
		return 0, l.target.fail(Transport, PhaseOpen, err)
	}
}

// askAgain drops the pause before the next dial if the way to the host is what
// failed: who asks whether it is there wants no old answer, and no host punishes
// being asked. A refused login keeps its pause.
func (l *link) askAgain() {
	for via := l.via; via != nil; via = via.via {
		via.askForOthers()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last != nil && l.last.Kind == Transport && !l.last.punished() {
		l.retry = time.Time{}
	}
}

// hurryEvery is how often a pause may be cut short by hurry.
const hurryEvery = 10 * time.Second

// hurry drops the pause before the next dial, whatever has failed.
func (l *link) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.hurried) >= hurryEvery {
		l.retry, l.hurried, l.ordered = time.Time{}, now, true
	}
}

// connect returns the connection, and dials if there is none. There is one dial at a time, and
// callers share its outcome; after a failure, callers get the same error at once until it is
// time to try again.
func (l *link) connect(ctx context.Context, u urgency) (*conn, error) {
	c, a, err := l.seek(u)
	if c != nil || err != nil {
		return c, err
	}
	select {
	case <-a.done:
		if a.err != nil {
			return nil, a.err
		}
		return a.conn, nil
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	select {
	case <-a.turn.begun:
	default:
		cause = fmt.Errorf("waiting for its turn: %w", cause)
	}
	return nil, l.target.fail(Transport, PhaseDial, cause)
}

// awaitTurn returns when the dial, if there is need of one, has begun.
func (l *link) awaitTurn(ctx context.Context) {
	_, a, _ := l.seek(scheduled)
	if a == nil {
		return
	}
	select {
	case <-a.turn.begun:
	case <-a.done:
	case <-ctx.Done():
	}
}

// seek returns the connection, the dial to wait for, or the reason why there is neither.
func (l *link) seek(u urgency) (*conn, *attempt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, nil, l.target.fail(Transport, PhaseDial, ErrClosed)
	case l.conn != nil:
		l.renewWorn()
		return l.conn, nil, nil
	case l.dialling != nil:
		l.mux.turns.hurry(l.dialling.turn, u)
		return nil, l.dialling, nil
	case time.Now().Before(l.retry):
		again := *l.last
		again.Retry = l.retry
		return nil, nil, &again
	}
	return nil, l.begin(u), nil
}

// begin begins a dial. The caller holds mu.
func (l *link) begin(u urgency) *attempt {
	ctx, cancel := context.WithCancel(context.Background()) // a dial outlives the call that began it
	if l.ordered {
		u, l.ordered = ordered, false
	}
	a := &attempt{started: time.Now(), cancel: cancel, turn: newTurn(u), done: make(chan struct{})}
	l.dialling = a
	l.mux.owners.Go(func() { l.own(ctx, a) })
	return a
}

// own is the goroutine of one connection, from the dial to the end.
func (l *link) own(ctx context.Context, a *attempt) {
	c, err := l.dial(ctx, a.turn)
	a.cancel()
	l.settle(a, c, err)
	if c == nil {
		return
	}
	c.serve()
	l.lost(c)
	c.die()
}

// dial connects. There is one dial at a time, for what purpose ever.
func (l *link) dial(ctx context.Context, w *turn) (*conn, error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, l.target.fail(Transport, PhaseDial, context.Cause(ctx))
	}
	defer func() { <-l.turn }()
	for first := true; ; first = false {
		over, err := l.bastion(ctx, l.mux.turns.urgencyOf(w))
		if err != nil {
			return nil, err
		}
		c, err := l.dialOver(ctx, over, w)
		if !first || !errors.Is(err, errLost) {
			return c, err
		}
		w = newTurn(l.mux.turns.urgencyOf(w))
		select {
		case <-over.dead: // and so another one can be had
		case <-ctx.Done():
			return nil, err
		}
	}
}

// dialOver is one attempt to connect, when its turn has come.
func (l *link) dialOver(ctx context.Context, over *conn, w *turn) (*conn, error) {
	a, err := l.admit(ctx, w)
	if err != nil {
		return nil, err
	}
	var failure *Error
	defer func() { a.giveBack(failure) }()
	l.mu.Lock()
	l.dials++
	l.mu.Unlock()
	l.mux.counters.dials.Add(1)
	c, err := l.mux.dial(ctx, &l.target, over, a.pass)
	if err != nil {
		failure, _ = errors.AsType[*Error](err)
		if failure != nil && failure.penalty > 0 {
			l.good.Store(false)
		}
		return nil, err
	}
	l.good.Store(true)
	c.link = l
	l.recognize(c)
	return c, nil
}

// settle ends a dial.
func (l *link) settle(a *attempt, c *conn, err error) {
	defer close(a.done)
	tell := func() {}
	defer func() { tell() }()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dialling, l.idle = nil, false
	if err != nil {
		a.err, tell = l.failed(err)
		return
	}
	a.conn = c
	if l.closed {
		c.close(ErrClosed)
		return
	}
	old := l.conn
	if l.conn = c; old != nil {
		l.retired = append(l.retired, old)
	}
	c.watchIdle()
	tell = func() {
		if old != nil {
			l.replaced(old)
		}
		l.mux.options.Log.Info("connected", "host", l.target.name(), "took", time.Since(a.started))
	}
}

// failed notes that a dial has failed. The caller holds mu, and calls tell when it no longer
// does, because a log may be slow.
func (l *link) failed(err error) (told *Error, tell func()) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = l.target.fail(Transport, PhaseDial, err)
	}
	if ofBastion(e) {
		return l.held(e)
	}
	if _, ok := errors.AsType[*spared](e); ok {
		l.retry = e.Retry
		return l.held(e)
	}
	l.mux.counters.failed(e.Phase)
	news := l.last == nil || l.last.reason() != e.reason()
	if l.last != nil && (l.last.Kind != e.Kind || l.last.punished() != e.punished()) {
		l.failures = 0
	}
	l.failures++
	l.retry = later(time.Now().Add(pause(e, l.failures)), l.mux.lockout.next(l.target))
	l.last, l.lastAt = e, time.Now()
	tell = func() {}
	if !l.closed && news {
		tell = func() {
			l.mux.options.Log.Warn("cannot connect", "host", l.target.name(), "phase", e.Phase, "err", e)
		}
	}
	again := *e
	again.Retry = l.retry
	return &again, tell
}

// held notes that the target could not be reached because of its bastion. That is known to the
// bastion's own link, which says when to try again, and has told the log.
func (l *link) held(e *Error) (told *Error, tell func()) {
	l.last, l.lastAt = e, time.Now()
	return e, func() {
		l.mux.options.Log.Debug("cannot connect", "host", l.target.name(), "phase", e.Phase, "err", e)
	}
}

// lost notes the end of a connection. The next command dials again at once, unless connections
// keep dying young.
func (l *link) lost(c *conn) {
	cause := c.why()
	if !l.mourn(c, cause) {
		l.mux.options.Log.Debug("disconnected", "host", l.target.name(), "err", cause)
		return
	}
	l.mux.counters.lost.Add(1)
	if ofBastion(cause) {
		l.mux.options.Log.Debug("connection lost", "host", l.target.name(), "err", cause)
		return
	}
	l.mux.options.Log.Warn("connection lost", "host", l.target.name(), "err", cause)
}

// mourn is lost without telling anyone. It reports whether the connection ended against our
// will.
func (l *link) mourn(c *conn, cause error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == c {
		l.conn = nil
	}
	l.retired = slices.DeleteFunc(l.retired, func(r *conn) bool { return r == c })
	spent := c.isOnce() && !c.isFresh()
	if c.isOnce() && (spent || errors.Is(cause, errSpent)) && l.lastAt.Before(c.since) {
		l.idle = true // such a host is well without a connection, unless a later login has failed
	}
	if errors.Is(cause, errUnwanted) || errors.Is(cause, errSpent) || errors.Is(cause, errIdle) || errors.Is(cause, ErrClosed) {
		return false
	}
	if spent { // as it must; a command that it took along says so itself
		l.failures = 0
		return false
	}
	if ofBastion(cause) {
		l.last, l.lastAt = l.target.fail(Transport, PhaseOutput, cause), time.Now()
		return true
	}
	if time.Since(c.since) >= stable || l.last != nil && l.last.Kind != Transport {
		l.failures = 0
	}
	l.failures++
	if l.failures > 1 {
		l.retry = time.Now().Add(pause(l.target.fail(Transport, PhaseOutput, cause), l.failures-1))
	}
	l.last, l.lastAt = l.target.fail(Transport, PhaseOutput, cause), time.Now()
	return true
}

// close ends the link for good. The caller holds Mux.mu, and no call uses the link.
func (l *link) close(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.dialling != nil {
		l.dialling.cancel()
	}
	if l.conn != nil {
		l.conn.close(cause)
	}
	for _, c := range l.retired {
		c.close(cause)
	}
}

// punished reports whether hosts may punish such a failure so much that it must not be repeated
// soon.
func (e *Error) punished() bool {
	return e.Kind == Auth || e.Kind == HostKey || e.penalty >= loginPenalty
}

// pause returns how long to wait after the nth failure in a row. Hosts that punish failed
// logins lock out the whole address after three quick ones (RULES S1), so these are repeated
// slowly: nine times in the first hour, which leaves the tenth to people. A quarter is random, so
// that hosts behind one failure do not come back at once.
func pause(e *Error, n int) time.Duration {
	first, most, factor := time.Second, time.Minute, time.Duration(2)
	switch {
	case e.punished():
		first, most, factor = 15*time.Second, 10*time.Minute, 3
	case e.Kind == Config:
		most = 15 * time.Second // nothing is sent, and the file may be mended any time
	}
	d := first
	for ; n > 1 && d < most; n-- {
		d *= factor
	}
	d = min(d, most)
	return d + rand.N(d/4)
}
