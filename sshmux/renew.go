package sshmux

import "time"

// renew begins to replace a connection of which the host keeps at least half of the slots. Until
// another one is up, commands go on over it; and those that run then end on it.
func (l *link) renew(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == c {
		l.renewWorn()
	}
}

// renewWorn is renew for the connection that is up. The caller holds mu.
func (l *link) renewWorn() {
	if l.closed || l.dialling != nil || time.Now().Before(l.retry) || !l.conn.slots.worn() {
		return
	}
	l.begin()
}

// replaced is called when another connection has taken the place of c. Who waits there for a
// slot comes over.
func (l *link) replaced(c *conn) {
	_, held, _ := c.slots.state()
	l.mux.options.Log.Warn("connection replaced", "host", l.target.name(), "held", held)
	c.retire()
}
