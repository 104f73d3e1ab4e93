package sshmux

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// clocked is a connection that notes its deadlines of writes.
type clocked struct {
	net.Conn
	start time.Time
	set   []time.Duration
}

func (c *clocked) Write(p []byte) (int, error) { return len(p), nil }

func (c *clocked) SetWriteDeadline(t time.Time) error {
	c.set = append(c.set, t.Sub(c.start))
	return nil
}

// The deadline of writes follows them, but is not moved by each of a row.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clocked{start: time.Now()}
		m := newMeter(c, new(counters))
		m.Write([]byte("the handshake has a deadline of its own"))
		time.Sleep(time.Second)
		m.up.Store(true)
		for range 5 {
			m.Write([]byte("x"))
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		m.Write([]byte("x"))
		want := []time.Duration{time.Second + writeTimeout, 2200*time.Millisecond + writeTimeout, time.Hour + 2500*time.Millisecond + writeTimeout}
		if !slices.Equal(c.set, want) {
			t.Errorf("deadlines after %v, want %v", c.set, want)
		}
	})
}
