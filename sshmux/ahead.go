package sshmux

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/crypto/ssh"
)

// aheadAge is how long a session is kept ahead that no command comes for. The next command then
// opens its own, and one ahead.
const aheadAge = 10 * time.Minute

// barAhead is for how long a host is asked for no session ahead after it has refused one, or
// closed one that nobody used, or hung up instead of an answer.
const barAhead = 10 * time.Minute

// ahead is a session that was asked for before there is a command for it, which then is sent at
// once. A connection has one at most. Its goroutine ends when a command, or a kill, takes it,
// when the host closes it, after aheadAge, and with the connection.
type ahead struct {
	conn     *conn
	answered <-chan opening
	wanted   chan struct{} // closed by who takes it
	done     chan struct{} // closed when its goroutine has ended; what is below is set before

	opening
	open bool // the host has opened it; else the answer is still to come
	gone bool // there is nothing to take
}

// refill asks for a session ahead if the target wants one and there is room for it.
func (c *conn) refill() {
	if !c.target.Prefetch || c.isAverse() || c.isOnce() || c.wire.gone.Load() || c.isShut() || c.link.isBarred() || !c.slots.reserve() {
		return
	}
	a := &ahead{conn: c, wanted: make(chan struct{}), done: make(chan struct{})}
	a.answered = c.openChannel("session", nil)
	c.ahead.Store(a)
	c.mux.owners.Go(a.keep)
}

// isAverse reports whether the host is known to make no use of a session ahead: dropbear closes
// it when another one ends, and tinysshd has one for each connection.
func (c *conn) isAverse() bool {
	version := c.ssh.ServerVersion()
	return bytes.Contains(version, []byte("dropbear")) || bytes.Contains(version, []byte("tinyssh"))
}

func (c *conn) isShut() bool {
	select {
	case <-c.shut:
		return true
	default:
		return false
	}
}

// bar notes that the host is not to be asked for sessions ahead for a while.
func (l *link) bar() {
	now := time.Now()
	l.barred.Store(&now)
}

func (l *link) isBarred() bool {
	at := l.barred.Load()
	return at != nil && time.Since(*at) < barAhead
}

// takeAhead returns the session that is kept ahead, or the request for it that the host has
// still to answer; nil: there is none.
func (c *conn) takeAhead() *ahead {
	a := c.ahead.Swap(nil)
	if a == nil {
		return nil
	}
	close(a.wanted)
	<-a.done
	c.slots.unreserve()
	if a.gone {
		return nil
	}
	return a
}

// keep looks after the session until it is taken: sshd asks on it whether we live
// (ClientAliveInterval), and x/crypto reads no further as long as that is not taken. A host may
// also close it; sshd does not, whatever its ChannelTimeout.
func (a *ahead) keep() {
	defer close(a.done)
	if !a.arrives() {
		return
	}
	limit := time.NewTimer(aheadAge)
	defer limit.Stop()
	for {
		select {
		case ask, ok := <-a.asks:
			if !ok {
				a.conn.slots.ended()
				if !a.conn.wire.gone.Load() { // else it ended with its connection, whose loss is not about it
					a.conn.link.bar()
				}
				a.end()
				return
			}
			if ask.WantReply {
				ask.Reply(false, nil)
			}
		case <-limit.C:
			a.expire()
			return
		case <-a.wanted:
			return
		}
	}
}

// arrives waits for the answer of the host. It reports whether there is a session to keep.
func (a *ahead) arrives() bool {
	select {
	case a.opening = <-a.answered:
	case <-a.wanted: // who takes it waits for the answer
		return false
	case <-a.conn.dead:
		a.refused()
		a.end()
		return false
	}
	if a.err == nil {
		a.open = true
		a.conn.slots.began()
		return true
	}
	a.refused()
	a.end()
	return false
}

// refused is called when the host did not open the session: it refused, or hung up, unless it is
// known that the network is to blame for that.
func (a *ahead) refused() {
	if cause := a.conn.why(); !errors.Is(cause, errSilent) && !ofBastion(cause) {
		a.conn.link.bar()
	}
}

// end is called when there is nothing to take any more.
func (a *ahead) end() {
	a.gone = true
	if a.conn.ahead.CompareAndSwap(a, nil) {
		a.conn.slots.unreserve()
	}
}

// expire closes a session that nobody takes, and waits until the host has closed it, too.
func (a *ahead) expire() {
	if !a.conn.ahead.CompareAndSwap(a, nil) {
		return // somebody does
	}
	a.ch.Close()
	ssh.DiscardRequests(a.asks)
	a.conn.slots.ended()
	a.conn.slots.unreserve()
}
