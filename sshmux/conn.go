package sshmux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// conn is one SSH connection. Its owner, the goroutine in serve, is all that it needs while
// idle, beside the three of x/crypto.
type conn struct {
	mux      *Mux
	link     *link   // whose connection it is
	over     *conn   // the bastion's, through which it goes; nil: it goes through none
	target   *Target // the link's
	ssh      ssh.Conn
	opens    <-chan ssh.NewChannel
	asks     <-chan *ssh.Request
	wire     *meter
	slots    slots
	since    time.Time
	greeting string                    // of the host: the version of its server
	pings    chan chan<- time.Duration // who wants to know the next round trip; channels of size 1
	nudges   chan struct{}             // size 1: ask for a sign of life now
	shut     chan struct{}             // closed when no command may begin any more
	dead     chan struct{}             // closed when the connection has ended; then cause says why

	shutOnce sync.Once
	running  atomic.Int32 // commands that run
	rtt      atomic.Int64 // the newest round trip, in nanoseconds
	ahead    atomic.Pointer[ahead]
	only     atomic.Pointer[ssh.Channel] // of the one session, where the host opens no more

	mu      sync.Mutex
	cause   error
	tunnels int         // to those who are behind it
	retired bool        // it is left to them
	uses    int         // commands and pings
	used    time.Time   // when the last of these, or of the tunnels, ended
	idle    bool        // it is closed because there was none for so long
	idler   *time.Timer // looks for that; nil: nobody does
}

// close ends the connection. It waits for nothing: dead tells the end. The first cause given
// is kept; with nil, the connection's own end will be the cause.
func (c *conn) close(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	c.wire.Close() // the Close of x/crypto waits for those who take what has arrived, us among them
}

// why returns the cause of the connection's end.
func (c *conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// ping waits for a sign of life. It returns errLost when the connection ends.
func (c *conn) ping(ctx context.Context) (time.Duration, error) {
	if !c.enter() {
		return 0, errLost
	}
	defer c.leave()
	answer := make(chan time.Duration, 1)
	asks := c.pings
	for {
		select {
		case asks <- answer:
			asks = nil
		case rtt := <-answer:
			return rtt, nil
		case <-c.dead:
			return 0, errLost
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// nudge asks the peer for a sign of life soon.
func (c *conn) nudge() {
	select {
	case c.nudges <- struct{}{}:
	default:
	}
}

// serve owns the connection until it ends, by itself or by close: it refuses what the server
// wants to open, answers what it asks, and sends keepalives.
func (c *conn) serve() {
	k := newKeepalive(c)
	defer k.timer.Stop()
	for c.opens != nil || c.asks != nil {
		select {
		case ch, ok := <-c.opens:
			if !ok {
				c.opens = nil
				continue
			}
			ch.Reject(ssh.Prohibited, "not offered")
		case ask, ok := <-c.asks:
			if !ok {
				c.asks = nil
				continue
			}
			if ask.WantReply {
				ask.Reply(false, nil)
			}
		case who := <-c.pings:
			k.waiting = append(k.waiting, who)
			k.ask()
		case <-c.nudges:
			k.ask()
		case rtt := <-k.answer:
			k.answered(rtt)
		case <-k.timer.C:
			if err := k.check(); err != nil {
				c.close(err)
			}
		}
	}
	end := lost(c.end())
	if cause := c.over.gone(); cause != nil {
		end = cause
	}
	c.close(end)
}

// die is called by the owner when serve has returned.
func (c *conn) die() {
	c.stopIdle()
	c.shutOnce.Do(func() { close(c.shut) })
	close(c.dead)
}

// end returns how x/crypto says that the connection ended. It has ended; but where the host
// broke the protocol and talks on, x/crypto may never say so.
func (c *conn) end() error {
	end := make(chan error, 1)
	go func() { end <- c.ssh.Wait() }()
	select {
	case err := <-end:
		return err
	case <-time.After(closeGrace):
		return errors.New("the host broke the protocol")
	}
}

// lost returns the reason for the end of a connection in words.
func lost(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return errors.New("connection closed by the host")
	}
	return fmt.Errorf("connection lost: %w", err)
}

// keepalive finds out whether the peer of a connection still lives. It belongs to the owner.
type keepalive struct {
	conn    *conn
	timer   *time.Timer
	answer  chan time.Duration     // size 1
	waiting []chan<- time.Duration // those to tell the answer
	asked   time.Time              // when the request that is under way was sent; zero: none is
	missed  int                    // how often its time has passed
}

func newKeepalive(c *conn) *keepalive {
	return &keepalive{
		conn:   c,
		timer:  time.NewTimer(c.mux.options.KeepaliveInterval),
		answer: make(chan time.Duration, 1),
	}
}

// ask sends a request unless one is under way. SSH answers global requests in order and
// without a number, so there is never more than one; its goroutine ends with the answer or
// with the connection.
func (k *keepalive) ask() {
	if !k.asked.IsZero() || k.conn.isMute() {
		return
	}
	k.asked, k.missed = time.Now(), 0
	k.timer.Reset(k.conn.mux.options.KeepaliveTimeout)
	start := k.asked
	k.conn.mux.owners.Go(func() {
		if k.conn.askForLife() == nil {
			k.answer <- time.Since(start)
		}
	})
}

func (k *keepalive) answered(rtt time.Duration) {
	k.asked, k.missed = time.Time{}, 0
	k.conn.measured(rtt)
	for _, who := range k.waiting {
		who <- rtt
	}
	k.waiting = nil
	k.timer.Reset(k.conn.mux.options.KeepaliveInterval)
}

// check is called when the timer fires. Its error says that the peer is to be given up.
func (k *keepalive) check() error {
	o := k.conn.mux.options
	silent := time.Since(k.conn.wire.heard())
	if k.asked.IsZero() {
		if silent < o.KeepaliveInterval {
			k.timer.Reset(o.KeepaliveInterval - silent)
			return nil
		}
		if k.conn.isMute() {
			k.timer.Reset(o.KeepaliveInterval)
			return k.conn.unused()
		}
		k.ask()
		return nil
	}
	k.missed++
	if silent < o.KeepaliveTimeout {
		k.missed = 0 // it talks, only not to us
	}
	if k.missed >= o.KeepaliveCount {
		err := fmt.Errorf("%w for %v: %d keepalives unanswered", errSilent, silent.Round(time.Millisecond), k.missed)
		if over := k.conn.over; over != nil && time.Since(over.wire.heard()) >= o.KeepaliveTimeout {
			over.nudge()
			err = fmt.Errorf("%w; %s is silent, too", err, label(*over.target))
		}
		return err
	}
	k.timer.Reset(o.KeepaliveTimeout)
	return nil
}
