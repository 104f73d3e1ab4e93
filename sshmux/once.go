package sshmux

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Some servers open one session in the whole life of a connection, and end the connection with
// it; tinysshd is one. There each command has a connection of its own, and each kill, too. As
// many commands run at once as elsewhere, and the others queue in the same order.
//
// Such a server knows no global requests either: it answers them with a message that x/crypto
// takes for a breach of the protocol. So it is asked for a sign of life on the channel of its
// session, and a connection without one is not kept.

// onceGreeting is how such a server greets. Another one is found out when it refuses a second
// session.
const onceGreeting = "SSH-2.0-tinyssh"

// errOnce is the cause for which a command is sent over a connection of its own.
var errOnce = errors.New("the host opens one session per connection")

// recognize notes by its greeting what is known of a host.
func (l *link) recognize(c *conn) {
	switch {
	case strings.HasPrefix(c.greeting, onceGreeting):
		l.once.Store(true)
	case strings.Contains(c.greeting, openSSH):
		l.once.Store(false) // it may have got another server
	}
}

// openSSH is a part of the greeting of OpenSSH's sshd.
const openSSH = "OpenSSH"

// isOnce reports whether the connection serves one session and no more.
func (c *conn) isOnce() bool { return c.link != nil && c.link.once.Load() }

// learnOnce reports whether a refusal says that it does. A server that has too many sessions
// for now says that it failed, and not that it will not do it.
func (c *conn) learnOnce(err error) bool {
	e, ok := errors.AsType[*ssh.OpenChannelError](err)
	if !ok || e.Reason != ssh.Prohibited || c.link == nil || c.isFresh() {
		return false
	}
	if !c.link.once.Swap(true) {
		c.mux.options.Log.Info("one session per connection", "host", c.target.name(), "said", clean([]byte(e.Message)))
	}
	c.slots.lift()
	return true
}

// lift forgets that the host has refused a session, so that nobody waits for one.
func (s *slots) lift() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = time.Time{}
	s.wake()
}

// isFresh reports whether the connection has never had a session.
func (c *conn) isFresh() bool {
	c.slots.mu.Lock()
	defer c.slots.mu.Unlock()
	return c.slots.peak == 0
}

// runOnce runs a command over a connection of its own. One that turns out to be gone before the
// command was sent is replaced once.
func (l *link) runOnce(ctx context.Context, r *request) (Exit, error) {
	if err := l.singles.acquire(ctx, nil, l.mux.options.QueueTimeout, r.Priority); err != nil {
		return notRun, l.target.fail(Transport, PhaseQueue, err)
	}
	defer l.singles.release()
	for first := true; ; first = false {
		c, err := l.take(ctx, r.urgency())
		if err != nil {
			return notRun, err
		}
		exit, err := c.run(ctx, r)
		c.close(errSpent)
		if rtt := c.rtt.Load(); rtt > 0 {
			l.rtt.Store(rtt)
		}
		if !first || !errors.Is(err, errLost) {
			return exit, err
		}
	}
}

// pingOnce connects, and takes the answer to a request for a session as the sign of life,
// whatever it is.
func (l *link) pingOnce(ctx context.Context) (time.Duration, error) {
	c, err := l.take(ctx, scheduled)
	if err != nil {
		return 0, err
	}
	defer c.close(errSpent)
	start := time.Now()
	select {
	case a := <-c.openChannel("session", nil):
		if a.err == nil {
			c.slots.began()
		}
		if a.err == nil || isRefusal(a.err) {
			rtt := time.Since(start)
			l.rtt.Store(int64(rtt))
			return rtt, nil
		}
		return 0, l.target.fail(Transport, PhaseOpen, lost(a.err))
	case <-c.dead:
		return 0, l.target.fail(Transport, PhaseOpen, c.why())
	case <-ctx.Done():
		return 0, l.target.fail(Transport, PhaseOpen, context.Cause(ctx))
	}
}

// take returns a connection that has had no session, and that nobody else gets.
func (l *link) take(ctx context.Context, u urgency) (*conn, error) {
	for {
		c, err := l.connect(ctx, u)
		if err != nil || l.claim(c) {
			return c, err
		}
	}
}

// claim takes a connection from the link, so that the next who needs one dials. It reports
// whether the caller may have it: somebody may have been faster, or it has been used before the
// host was known for what it is.
func (l *link) claim(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != c {
		return false
	}
	l.conn, l.retired = nil, append(l.retired, c)
	return c.isFresh()
}

// extra dials a connection for one kill, unless the link may not be dialled; nil means that it
// cannot be had. The caller must call giveBack.
func (l *link) extra(ctx context.Context) (c *conn, giveBack func()) {
	l.mu.Lock()
	early := time.Now().Before(l.retry)
	l.mu.Unlock()
	if early {
		return nil, func() {}
	}
	c, err := l.dial(ctx, newTurn(ordered))
	if err != nil {
		l.mu.Lock()
		_, tell := l.failed(err)
		l.mu.Unlock()
		tell()
		return nil, func() {}
	}
	l.mux.owners.Go(func() {
		c.serve()
		c.die()
	})
	return c, func() { c.close(errUnwanted) }
}

// askForLife asks the peer for a sign of life and waits for it. A refusal is as good an answer
// as any.
func (c *conn) askForLife() error {
	const name = "keepalive@openssh.com"
	if ch := c.only.Load(); ch != nil {
		_, err := (*ch).SendRequest(name, true, nil)
		return err
	}
	_, _, err := c.ssh.SendRequest(name, true, nil)
	return err
}

// isMute reports whether the peer cannot be asked for a sign of life, because there is no
// session to ask on.
func (c *conn) isMute() bool { return c.isOnce() && c.only.Load() == nil }

// unused returns why a connection on which no sign of life can be had is to be closed: nobody
// has taken it. Who has, waits for an answer to something else.
func (c *conn) unused() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.link.conn == c {
		return errSpent
	}
	return nil
}

// onceStats adds what is known of a link whose commands have a connection each. The caller
// holds mu.
func (l *link) onceStats(s *LinkStats) {
	if !l.once.Load() {
		return
	}
	s.InUse, s.Held, s.Queued = l.singles.state()
	s.RTT = time.Duration(l.rtt.Load())
	if s.State != Up {
		return
	}
	s.MaxSessions = l.singles.size()
	if n := len(l.retired); n > 0 {
		s.Since = l.retired[n-1].since
	}
}

// grouped returns the request so that the command leads a process group, as the kill needs it.
// OpenSSH makes it so (RULES S5); the commands of dropbear are in the group of their connection,
// and those of tinysshd in the one that all connections share.
func (c *conn) grouped(r *request) *request {
	if r.group || c.target.Gateway || strings.Contains(c.greeting, openSSH) {
		return r
	}
	g := *r
	g.group = true
	if g.line = line(g.script()); len(g.line) > maxLine {
		return r
	}
	return &g
}

// makeGroup is shell text that makes what follows $alf_group the leader of a session, if the
// shell is not the leader of a process group. There, setsid needs no new process, so that $$
// remains the PID of the command.
const makeGroup = "alf_group=; kill -0 -$$ 2>/dev/null || alf_group=$(command -v setsid); "
