package sshmux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// A command's end is its exit status. What it has left in the background may hold its output
// open (RULES S6); so the output gets outputGrace of silence after the exit, and outputLimit
// in all.
const (
	outputGrace = time.Second
	outputLimit = 5 * time.Second
)

// closeGrace is how long the host may take to close a channel whose command has ended, or to
// answer a request for one that nobody wants any more, before its slot is taken for lost.
const closeGrace = time.Second

// session is one command over a connection. The caller of Run sits in wait; carry and errors
// bring the output.
type session struct {
	conn    *conn
	request *request
	slots   *slots // of which the command has one; nil: it runs beside them
	in      source
	out     stream
	err     stream

	opened  chan error  // size 1: carry has opened the channel, or not
	decided atomic.Bool // set by who is first: carry that has an answer, or who no longer waits for opened
	leaving sync.Once   // for left
	ch      ssh.Channel // set before opened
	asks    <-chan *ssh.Request
	early   bool // the channel was open before it was needed; set before opened

	limit   *alarm        // of the caller of Run: first for the opening, then for the command, then for the rest of its output
	begun   latch         // the wrapper has said the nonce
	pid     int           // set before begun: the leader of the command's process group; 0: Dir could not be entered
	readers atomic.Int32  // carry and errors, as far as they have not ended
	outputs chan struct{} // closed when both have, and so all output has been delivered; said is set before
	said    []byte        // what stood before the nonce, or instead of it
	sent    latch         // the command was sent, or could not be; unsent is set before
	unsent  bool          // the host has closed the channel before it took the command
	barked  chan bool     // size 1: the watchdog has said whether nothing is left

	exit   Exit
	exited latch // the host has told the exit status or signal; exit is set before
	closed bool  // the channel is closed; known to the caller of Run, and to reap after it
}

// run runs a command over the connection. Where the host closes the session before it has taken
// the command, it gets another one.
func (c *conn) run(ctx context.Context, r *request) (Exit, error) {
	if !c.enter() {
		return notRun, c.target.fail(Transport, PhaseQueue, errLost)
	}
	defer c.leave()
	for tries := 1; ; tries++ {
		exit, err := c.attempt(ctx, r)
		if !errors.Is(err, errUnsent) || tries == maxUnsent {
			return exit, err
		}
	}
}

// attempt waits for a slot of the connection and runs a command.
func (c *conn) attempt(ctx context.Context, r *request) (Exit, error) {
	if err := c.slots.acquire(ctx, c.shut, c.mux.options.QueueTimeout, r.Priority); err != nil {
		return notRun, c.target.fail(Transport, PhaseQueue, err)
	}
	s, err := c.open(ctx, r)
	if err != nil {
		return notRun, c.target.fail(Transport, PhaseOpen, err)
	}
	c.mux.counters.commands.Add(1)
	c.running.Add(1)
	defer c.running.Add(-1)
	return s.wait(ctx)
}

// open opens a channel in a slot and has the command sent. It asks again while the host
// refuses for want of sessions and others of ours are there to end. If it fails, the slot is
// given back, but not before the host has answered.
func (c *conn) open(ctx context.Context, r *request) (s *session, err error) {
	o := c.mux.options
	limit := c.mux.alarms.in(o.OpenTimeout)
	defer func() {
		if err != nil {
			limit.stop() // else wait goes on with it
		}
	}()
	start := time.Now()
	r = c.watched(c.grouped(r))
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		s, err := c.try(ctx, r, &c.slots, limit.rang)
		if !isRefusal(err) {
			s.limit = limit
			return s, err
		}
		if c.learnOnce(err) {
			c.release()
			return nil, errOnce
		}
		waited, e := c.yield(ctx)
		if e != nil {
			return nil, errors.Join(e, err)
		}
		if waited {
			limit.reset(o.OpenTimeout)
			continue
		}
		if c.running.Load() > 0 && time.Since(start) < o.QueueTimeout {
			limit.reset(o.OpenTimeout)
		}
		if err := c.again(ctx, pause, limit.rang, err); err != nil {
			c.release()
			return nil, err
		}
	}
}

// try asks once for a channel. After a refusal, the slot is the caller's still.
func (c *conn) try(ctx context.Context, r *request, slots *slots, limit <-chan struct{}) (*session, error) {
	s := newSession(c, r, slots)
	if r.dog != "" {
		s.barked = make(chan bool, 1)
	}
	c.mux.owners.Add(1)
	go s.carry()
	return s, s.ready(ctx, limit)
}

// yield is called when the host has refused a session: from now on it is asked for fewer, and
// who has a slot too many waits for another. After an error, the caller has none.
func (c *conn) yield(ctx context.Context) (waited bool, err error) {
	c.mux.counters.refused.Add(1)
	c.refused()
	turn, spent := c.slots.yield()
	if spent {
		c.retire()
	}
	if turn == nil {
		return false, nil
	}
	return true, c.slots.await(ctx, c.shut, c.mux.options.QueueTimeout, turn)
}

// release gives a slot back. A connection on which no command can run any more is retired for
// a new one.
func (c *conn) release() {
	if c.slots.release() {
		c.retire()
		return
	}
	if !c.leaveIfRetired() {
		c.refill()
	}
}

// again waits for about pause before the host is asked once more for a session that it has
// refused.
func (c *conn) again(ctx context.Context, pause time.Duration, limit <-chan struct{}, refusal error) error {
	select {
	case <-time.After(pause/2 + rand.N(pause)):
		return nil
	case <-limit:
		return refusal
	case <-ctx.Done():
		return fmt.Errorf("%w, while the host answered: %w", context.Cause(ctx), refusal)
	case <-c.dead:
		return errLost
	}
}

// isRefusal reports whether the host refused to open a channel, and so has started nothing.
// OpenSSH gives the same answer for each refusal (RULES S2).
func isRefusal(err error) bool {
	_, ok := errors.AsType[*ssh.OpenChannelError](err)
	return ok
}

func newSession(c *conn, r *request, slots *slots) *session {
	s := &session{
		conn: c, request: r, slots: slots,
		in: source{r: r.Stdin}, out: stream{w: r.Stdout}, err: stream{w: r.Stderr},
		opened: make(chan error, 1), outputs: make(chan struct{}),
		exit: Exit{Code: -1},
	}
	s.readers.Store(1)
	return s
}

// ready waits until carry has opened the channel. After a refusal, the slot is the caller's;
// after any other error it is released.
func (s *session) ready(ctx context.Context, limit <-chan struct{}) error {
	var cause error
	select {
	case err := <-s.opened:
		return s.answered(err)
	case <-s.conn.dead:
		cause = errLost
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-limit:
		s.conn.nudge()
		cause = fmt.Errorf("no answer within %v", s.conn.mux.options.OpenTimeout)
	}
	if !s.decided.CompareAndSwap(false, true) {
		return s.answered(<-s.opened) // in the same moment; the command may have been sent
	}
	if cause == errLost {
		s.left()
		s.release()
		return errLost
	}
	s.abandon()
	return cause
}

// answered takes what carry says of the channel.
func (s *session) answered(err error) error {
	switch {
	case err == nil:
		s.exit.Started = time.Now()
	case !isRefusal(err):
		s.conn.close(nil) // what x/crypto says here is less than what the connection will
		s.release()
		return errLost
	}
	return err
}

// abandon leaves the channel that has been asked for to carry.
func (s *session) abandon() {
	unhold := s.hold()
	s.conn.mux.owners.Go(func() {
		defer unhold()
		select {
		case <-s.outputs:
		case <-s.conn.dead:
		}
	})
	s.left()
}

// left makes that the Mux no longer waits for carry. x/crypto never returns from a request for a
// channel that is sent in the moment in which the connection ends, and a goroutine just for that
// would cost each command a start and two hand-overs.
func (s *session) left() { s.leaving.Do(s.conn.mux.owners.Done) }

// release gives the slot back, if there is one.
func (s *session) release() {
	if s.slots != nil {
		s.conn.release()
	}
}

// hold is called when the command no longer needs its slot, but the host may. As long as it
// keeps the channel, that counts for sshd (RULES S3). When it keeps at least half of our slots,
// another connection takes over. What hold returns gives the slot back.
func (s *session) hold() (unhold func()) {
	if s.slots == nil {
		return func() {}
	}
	timer := time.AfterFunc(closeGrace, func() {
		if s.slots.hold() {
			s.conn.retire()
			return
		}
		s.conn.link.renew(s.conn)
		s.conn.leaveIfRetired()
	})
	return func() {
		if !timer.Stop() {
			s.slots.unhold()
		}
		s.release()
	}
}

// opening is the answer to a request for a channel.
type opening struct {
	ch   ssh.Channel
	asks <-chan *ssh.Request
	err  error
}

// openChannel asks the host for a channel. x/crypto never returns from a request that is sent
// in the moment in which the connection ends; so nobody but a goroutine of its own waits for it.
func (c *conn) openChannel(kind string, extra []byte) <-chan opening {
	answered := make(chan opening, 1)
	go func() {
		start := time.Now()
		ch, asks, err := c.ssh.OpenChannel(kind, extra)
		if kind == "session" && (err == nil || isRefusal(err)) { // a bastion first connects
			c.measured(time.Since(start))
		}
		answered <- opening{ch, asks, err}
	}()
	return answered
}

// openChannel takes the session's channel from those ahead, or asks the host for it. It may not
// return once the connection has ended, see left.
func (s *session) openChannel() error {
	c := s.conn
	ahead := c.takeAhead()
	if ahead == nil {
		start := time.Now()
		ch, asks, err := c.ssh.OpenChannel("session", nil)
		if err == nil || isRefusal(err) {
			c.measured(time.Since(start))
		}
		return s.opens(opening{ch, asks, err})
	}
	c.mux.counters.ahead.Add(1)
	if ahead.open {
		s.ch, s.asks, s.early = ahead.ch, ahead.asks, true
		return nil
	}
	select {
	case answer := <-ahead.answered:
		return s.opens(answer)
	case <-c.dead:
		return errLost
	}
}

// opens takes the host's answer to the request for the session's channel.
func (s *session) opens(answer opening) error {
	s.ch, s.asks = answer.ch, answer.asks
	if answer.err == nil {
		s.conn.slots.began()
		if s.conn.isOnce() {
			s.conn.only.Store(&s.ch)
		}
	}
	return answer.err
}

// carry opens the channel, sends the command and delivers its standard output. It ends with
// the output.
func (s *session) carry() {
	defer s.delivered()
	err := s.openChannel()
	if !s.decided.CompareAndSwap(false, true) {
		if err == nil {
			s.drop()
		}
		return
	}
	s.opened <- err
	if err != nil {
		return
	}
	if !s.send() {
		return // the channel is closed, as wait will see
	}
	if s.slots != nil {
		s.conn.refill()
	}
	if s.request.prelude != "" || s.request.Stdin != nil {
		go s.feed()
	}
	s.readers.Add(1)
	go s.errors()
	s.output()
}

// delivered is called by carry and by errors when they end: neither waits for the other.
func (s *session) delivered() {
	if s.readers.Add(-1) == 0 {
		close(s.outputs)
		s.left()
	}
}

// feed sends the environment and the standard input. It ends when the command no longer reads,
// or when Stdin ends.
func (s *session) feed() {
	if _, err := io.WriteString(s.ch, s.request.prelude); err != nil || s.request.Stdin == nil {
		return
	}
	buf := s.conn.mux.buffers.Get().(*[]byte)
	defer s.conn.mux.buffers.Put(buf)
	// Errors end the input, whichever side they are on; what the command makes of that is its result.
	io.CopyBuffer(struct{ io.Writer }{s.ch}, &s.in, *buf)
	s.ch.CloseWrite()
}

// output brings standard output to its writer, without what came before the nonce.
func (s *session) output() {
	buf := s.conn.mux.buffers.Get().(*[]byte)
	defer s.conn.mux.buffers.Put(buf)
	p := preamble{nonce: s.request.nonce, begun: s.request.nonce == ""} // a kill has none
	e := newEpilogue(s.request.dog)
	for {
		n, err := s.ch.Read(*buf)
		before := p.begun
		s.out.write(e.skip(p.skip((*buf)[:n]), s.bark))
		if p.begun && !before {
			s.pid = p.pid
			s.begun.shut()
		}
		if err != nil {
			s.out.write(e.held)
			s.said = p.said()
			return
		}
	}
}

// errors brings standard error to its writer.
func (s *session) errors() {
	defer s.delivered()
	buf := s.conn.mux.buffers.Get().(*[]byte)
	defer s.conn.mux.buffers.Put(buf)
	from := s.ch.Stderr()
	for {
		n, err := from.Read(*buf)
		s.err.write((*buf)[:n])
		if err != nil {
			return
		}
	}
}

// wait waits for the command's end, and ends it when its time is over. It gives the slot back,
// or leaves that to reap.
func (s *session) wait(ctx context.Context) (Exit, error) {
	defer s.err.stop()
	defer s.out.stop()
	defer s.in.stop()
	defer s.limit.stop()
	var outputs <-chan struct{}
	asks := s.asks
	s.limit.reset(s.rest(s.exit.Started))
	for {
		select {
		case ask, ok := <-asks:
			if !ok {
				s.gone()
				asks, outputs = nil, s.outputs
				continue
			}
			if s.note(ask) {
				s.limit.reset(min(outputGrace, s.rest(s.exit.Ended)))
				asks, outputs = nil, s.outputs // both are about to end; to wake up for one will do
			}
		case <-outputs:
			if !s.closed {
				asks, outputs = s.asks, nil
				continue
			}
			s.release()
			return s.verdict()
		case <-s.limit.rang:
			if !s.hasExited() {
				return s.end(Timeout, fmt.Errorf("no end within %v", s.request.Timeout))
			}
			if rest := s.patience(); rest > 0 {
				s.limit.reset(rest)
				continue
			}
			return s.leave()
		case <-ctx.Done():
			return s.end(kindOf(ctx), context.Cause(ctx))
		}
	}
}

// kindOf returns the kind of error for a command that ended because its context did.
func kindOf(ctx context.Context) Kind {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Timeout
	}
	return Transport
}

// note takes a request of the host. It reports whether the command has ended by it.
func (s *session) note(ask *ssh.Request) bool {
	if ask.WantReply {
		ask.Reply(false, nil)
	}
	if s.hasExited() {
		return false
	}
	switch ask.Type {
	case "exit-status":
		var m struct{ Status uint32 }
		if ssh.Unmarshal(ask.Payload, &m) != nil {
			return false
		}
		s.exit.Code = int(m.Status)
	case "exit-signal":
		var m struct {
			Signal     string
			CoreDumped bool
			Message    string
			Language   string
		}
		if ssh.Unmarshal(ask.Payload, &m) != nil {
			return false
		}
		s.exit.Signal, s.exit.Code = m.Signal, 128+signalNumber(m.Signal)
	default:
		return false
	}
	s.exit.Ended = time.Now()
	s.exited.shut()
	if s.request.dog != "" {
		s.ch.CloseWrite() // the watchdog ends by that wherever sshd does not see to it
	}
	return true
}

func (s *session) hasExited() bool { return s.exited.isShut() }

// rest returns how much of the command's Timeout is left.
func (s *session) rest(now time.Time) time.Duration {
	if s.request.Timeout <= 0 {
		return math.MaxInt64
	}
	return s.exit.Started.Add(s.request.Timeout).Sub(now)
}

// patience returns how much longer to wait for output after the exit. Once the channel is
// closed, there is no more to come than what is on its way to the writer.
func (s *session) patience() time.Duration {
	now := time.Now()
	if s.closed {
		return s.rest(now)
	}
	last := s.out.last()
	if t := s.err.last(); t.After(last) {
		last = t
	}
	return min(last.Add(outputGrace).Sub(now), s.exit.Ended.Add(outputLimit).Sub(now), s.rest(now))
}

// leave returns the exit of a command whose output is still held open by something that it has
// left behind.
func (s *session) leave() (Exit, error) {
	s.conn.mux.owners.Go(s.reap)
	return s.verdict()
}

// end ends a command that has not ended by itself.
func (s *session) end(kind Kind, cause error) (Exit, error) {
	if s.hasExited() {
		return s.leave()
	}
	start := time.Now()
	s.conn.nudge() // so that a host that lives is heard
	orphan := s.kill().orphan()
	s.exit.Orphan = orphan != ""
	if s.closed {
		s.release()
	} else {
		s.conn.mux.owners.Go(s.reap)
	}
	if s.exit.Ended.IsZero() {
		s.exit.Ended = time.Now()
	}
	cause = fmt.Errorf("%w; killed", cause)
	if s.exit.Orphan {
		s.conn.orphaned(s.known())
		cause = fmt.Errorf("%w, but %s", cause, orphan)
	}
	if s.exit.Orphan && s.conn.wire.heard().Before(start) {
		// The silence may be the host's or the network's; it says nothing about the command.
		kind, cause = Transport, fmt.Errorf("%w: the host does not answer", cause)
	}
	return s.exit, s.conn.target.fail(kind, s.phase(), cause)
}

// known returns the PID of the command's first process on the host; 0: it has told none yet.
func (s *session) known() int {
	if !s.hasBegun() {
		return 0
	}
	return s.pid
}

// orphaned counts a command of which processes may live on, and tells of it: pid is that of the
// first one on the host; 0: it is not known.
func (c *conn) orphaned(pid int) {
	c.mux.counters.orphans.Add(1)
	c.mux.options.Log.Warn("processes of a command may live on", "host", c.target.name(), "pid", pid)
}

// reap closes the channel and gives the slot back when the host has closed it, too.
func (s *session) reap() {
	defer s.hold()()
	s.drop()
}

// drop closes the channel and waits until the host has closed it, too.
func (s *session) drop() {
	s.ch.Close()
	ssh.DiscardRequests(s.asks)
	s.gone()
}

// gone notes that the host has closed the channel.
func (s *session) gone() {
	if !s.closed {
		s.closed = true
		s.conn.slots.ended()
	}
}

// verdict says what became of a command that was not killed.
func (s *session) verdict() (Exit, error) {
	t := s.conn.target
	switch {
	case s.isUnsent() && s.conn.why() == nil:
		return notRun, t.fail(Transport, PhaseOpen, errUnsent)
	case !s.hasExited():
		return s.vanished()
	case !s.hasBegun() && s.disallowed() != "":
		return s.exit, t.fail(Config, PhaseExec, errors.New("the gateway on the host "+s.disallowed()))
	case !s.hasBegun():
		return s.exit, t.fail(Auth, PhaseExec, fmt.Errorf("the account does not %s: %s", t.runs(), s.refusal()))
	case s.pid == 0:
		return s.exit, t.fail(Config, PhaseExec, fmt.Errorf("directory %q: %s", s.request.Dir, clean(s.err.first())))
	}
	return s.exit, nil
}

func (s *session) hasBegun() bool { return s.begun.isShut() }

// phase returns how far the command has come.
func (s *session) phase() Phase {
	if s.hasBegun() {
		return PhaseOutput
	}
	return PhaseExec
}

// refusal returns what a login has said and how it ended, instead of running the command.
func (s *session) refusal() string {
	how := fmt.Sprintf("exit status %d", s.exit.Code)
	if s.exit.Signal != "" {
		how = "signal " + s.exit.Signal
	}
	if text := clean(s.everything()); text != "" {
		return fmt.Sprintf("%s, saying %q", how, text)
	}
	return how
}

// everything returns the beginning of what a login has said instead of running the command.
func (s *session) everything() []byte {
	var said []byte
	select {
	case <-s.outputs:
		said = append(said, s.said...)
	default:
	}
	return append(append(said, ' '), s.err.first()...)
}

// vanished says why a channel was closed without an exit status.
func (s *session) vanished() (Exit, error) {
	t := s.conn.target
	s.exit.Ended = time.Now()
	select {
	case <-s.conn.dead:
	case <-time.After(closeGrace): // the connection is alive; only this channel is gone
	}
	if cause := s.conn.why(); cause != nil {
		s.exit.Orphan = true // sshd ends no command because its connection has ended (RULES S3)
		s.conn.orphaned(s.known())
		return s.exit, t.fail(Transport, PhaseOutput, fmt.Errorf("%w; the command may live on", cause))
	}
	return s.exit, t.fail(Transport, PhaseExec, errors.New("the host closed the session without an exit status"))
}
