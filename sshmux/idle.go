package sshmux

import "time"

// enter begins a use of the connection: a command, or a question whether the host is there.
// Without it, the connection has been closed because nobody used it.
func (c *conn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle {
		return false
	}
	c.uses++
	return true
}

// leave ends a use.
func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uses--
	c.used = time.Now()
}

// watchIdle has the connection closed once nobody has used it for the target's IdleTimeout. The
// caller holds link.mu, and has just made it the link's.
func (c *conn) watchIdle() {
	if c.target.IdleTimeout <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = time.Now()
	c.idler = time.AfterFunc(c.target.IdleTimeout, c.rest)
}

// rest closes the connection if nobody has used it for so long, and else looks again later. The
// link has no failure by that: who needs it dials again. Whoever has got hold of it meanwhile
// learns from enter that it is not to be used.
func (c *conn) rest() {
	l := c.link
	l.mu.Lock()
	defer l.mu.Unlock()
	c.mu.Lock()
	left := c.target.IdleTimeout
	if c.uses == 0 && c.tunnels == 0 {
		left -= time.Since(c.used)
	}
	switch {
	case l.conn != c: // it ends anyway
		c.mu.Unlock()
		return
	case left > 0:
		c.idler.Reset(left)
		c.mu.Unlock()
		return
	}
	c.idle = true
	c.mu.Unlock()
	l.conn, l.idle = nil, true
	c.mux.counters.idle.Add(1)
	c.close(errIdle)
}

// stopIdle is called when the connection has ended.
func (c *conn) stopIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idler != nil {
		c.idler.Stop()
	}
}
