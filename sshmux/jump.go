package sshmux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// bastionError says that a target cannot be reached, or is no longer, because of the bastion
// that it is behind.
type bastionError struct {
	bastion Target
	err     error
}

// Error names the bastion.
func (e *bastionError) Error() string { return fmt.Sprintf("%s: %v", label(e.bastion), e.err) }

// Unwrap returns what is wrong with the bastion.
func (e *bastionError) Unwrap() error { return e.err }

// label returns what to call a bastion in errors about what is behind it.
func label(t Target) string {
	if t.name() == t.Addr {
		return "bastion " + t.Addr
	}
	return fmt.Sprintf("bastion %s (%s)", t.name(), t.Addr)
}

// ofBastion reports whether an error is a bastion's fault.
func ofBastion(err error) bool {
	_, ok := errors.AsType[*bastionError](err)
	return ok
}

// bastion returns the connection of the bastion that the target is behind, nil if it is behind
// none. All that are behind it wait for the same dial and get the same error.
func (l *link) bastion(ctx context.Context) (*conn, error) {
	if l.via == nil {
		return nil, nil
	}
	c, err := l.via.connect(ctx)
	if err == nil {
		return c, nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return nil, l.target.fail(Transport, PhaseDial, &bastionError{l.via.target, err})
	}
	out := l.target.fail(e.Kind, PhaseDial, &bastionError{l.via.target, fmt.Errorf("%s: %w", e.Phase, e.Err)})
	out.Retry = e.Retry
	return nil, out
}

// tunnel opens a connection from a bastion to a target that is behind it. The error is an
// *Error, and is errLost if the bastion's connection has ended before.
func (c *conn) tunnel(ctx context.Context, t Target) (net.Conn, error) {
	host, port, err := net.SplitHostPort(t.Addr)
	if err != nil {
		return nil, t.fail(Config, PhaseDial, err)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, t.fail(Config, PhaseDial, err)
	}
	c.enlist()
	answered := c.openChannel("direct-tcpip", ssh.Marshal(forward{host, uint32(number), "127.0.0.1", 0}))
	select {
	case a := <-answered:
		if a.err == nil {
			return c.pipe(a.ch, a.asks), nil
		}
		c.discharge()
		return nil, c.refuses(t, a.err)
	case <-c.dead:
		c.discharge()
		return nil, t.fail(Transport, PhaseDial, errLost)
	case <-ctx.Done():
		c.nudge()
		c.mux.owners.Go(func() { c.forget(answered) })
		return nil, t.fail(Transport, PhaseDial, fmt.Errorf("through %s: %w", label(c.target), context.Cause(ctx)))
	}
}

// forward is what a request for a channel to elsewhere says (RFC 4254, 7.2).
type forward struct {
	Host       string
	Port       uint32
	Origin     string
	OriginPort uint32
}

// refuses says why a bastion has not opened a connection to a target.
func (c *conn) refuses(t Target, err error) error {
	e, ok := errors.AsType[*ssh.OpenChannelError](err)
	if !ok {
		c.close(nil) // its own end says more
		return t.fail(Transport, PhaseDial, errLost)
	}
	said := clean([]byte(e.Message))
	switch {
	case e.Reason == ssh.Prohibited:
		return t.fail(Auth, PhaseDial, fmt.Errorf("%s does not let %s connect to %s (%q): see AllowTcpForwarding and PermitOpen in its sshd_config, and the key's options",
			label(c.target), c.target.User, t.Addr, said))
	case isLookup(said):
		return t.fail(Transport, PhaseResolve, fmt.Errorf("through %s: %s", label(c.target), said))
	}
	return t.fail(Transport, PhaseDial, fmt.Errorf("through %s: %s", label(c.target), said))
}

// isLookup reports whether sshd says that it could not look up a name. It says what
// getaddrinfo does.
func isLookup(said string) bool {
	for _, text := range [...]string{"Name or service not known", "name resolution", "No address associated", "Name does not resolve", "not known"} {
		if strings.Contains(said, text) {
			return true
		}
	}
	return false
}

// forget closes a channel that is opened when nobody waits for it any more.
func (c *conn) forget(answered <-chan opening) {
	defer c.discharge()
	select {
	case a := <-answered:
		if a.err == nil {
			a.ch.Close()
			ssh.DiscardRequests(a.asks)
		}
	case <-c.dead:
	}
}

// enlist counts a tunnel, before it is asked for.
func (c *conn) enlist() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tunnels++
}

// discharge ends what enlist has begun. The last one takes a connection along that has been
// given up.
func (c *conn) discharge() {
	c.mu.Lock()
	c.tunnels--
	c.mu.Unlock()
	c.leaveIfRetired()
}

// retire gives the connection up for commands: the next one dials again. For those that are
// behind it, and for commands that run, it lives on.
func (c *conn) retire() {
	c.mu.Lock()
	c.retired = true
	c.mu.Unlock()
	if c.leaveIfRetired() {
		return
	}
	c.link.retire(c)
	c.shutOnce.Do(func() { close(c.shut) })
}

// leaveIfRetired closes a connection that was given up and that nobody uses any more, which it
// reports.
func (c *conn) leaveIfRetired() bool {
	c.mu.Lock()
	last := c.retired && c.tunnels == 0
	c.mu.Unlock()
	if !last || c.slots.busy() {
		return false
	}
	c.close(errSpent)
	return true
}

// gone returns that the connection has ended, and why, to those who are behind it; nil if it
// lives. c may be nil.
func (c *conn) gone() error {
	if c == nil || !c.wire.gone.Load() {
		return nil
	}
	select {
	case <-c.dead: // soon: its owner has nothing to do but to end
	case <-time.After(2 * closeGrace):
	}
	cause := c.why()
	if cause == nil {
		cause = errLost
	}
	return &bastionError{c.target, cause}
}

// tunnelBuffer is the size of each of the two buffers of a tunnel.
const tunnelBuffer = 4 << 10

// pipe makes a network connection of a channel. A channel has no deadlines, and its Close lets
// nobody go who reads or writes; so it ends in a pipe, which does both.
//
// Three goroutines carry the bytes and watch the channel. They end when the bastion has closed
// it, or with the bastion's connection.
func (c *conn) pipe(ch ssh.Channel, asks <-chan *ssh.Request) net.Conn {
	near, far := net.Pipe()
	t := &tunnel{Conn: near, closed: make(chan struct{})}
	c.mux.owners.Go(func() {
		copyTo(ch, far)
		t.Close()
	})
	c.mux.owners.Go(func() {
		copyTo(far, ch)
		far.Close() // what was sent is read first: a pipe holds nothing back
	})
	c.mux.owners.Go(func() {
		defer c.discharge()
		t.watch(ch, asks)
	})
	return t
}

// copyTo copies from one to the other until either ends.
func copyTo(to interface{ Write([]byte) (int, error) }, from interface{ Read([]byte) (int, error) }) {
	buf := make([]byte, tunnelBuffer)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// tunnel is a connection to a target, through a channel of its bastion's.
type tunnel struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

// Close ends the tunnel. It waits for nothing.
func (t *tunnel) Close() error {
	t.once.Do(func() {
		close(t.closed)
		t.Conn.Close()
	})
	return nil
}

// watch closes the channel when the tunnel is closed, and returns when the bastion has closed
// it, too.
func (t *tunnel) watch(ch ssh.Channel, asks <-chan *ssh.Request) {
	closed := t.closed
	for {
		select {
		case ask, ok := <-asks:
			if !ok {
				return
			}
			if ask.WantReply {
				ask.Reply(false, nil)
			}
		case <-closed:
			closed = nil
			ch.Close()
		}
	}
}

// retire takes a connection from the link that commands shall no longer use.
func (l *link) retire(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == c {
		l.conn = nil
		l.retired = append(l.retired, c)
		if l.closed {
			c.close(ErrClosed)
		}
	}
}

// askForOthers drops the pause before the next dial for a host behind, as askAgain does, but
// seldom: there may be hundreds who ask.
func (l *link) askForOthers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last != nil && l.last.Kind == Transport && time.Since(l.lastAt) >= hurryEvery {
		l.retry = time.Time{}
	}
}
