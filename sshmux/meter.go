package sshmux

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// writeTimeout ends a connection whose peer takes no bytes for so long, or up to writeSlack less:
// to move the deadline costs a good part of a small write, and a command makes three in a row.
const (
	writeTimeout = 20 * time.Second
	writeSlack   = time.Second
)

// meter is a network connection that counts its bytes and notes when the peer was last heard
// of. After the handshake, which has a deadline as a whole, it bounds each write.
type meter struct {
	net.Conn
	counters *counters
	made     time.Time    // with a monotonic reading, because a clock may be set
	up       atomic.Bool  // the handshake is over
	gone     atomic.Bool  // it has ended, whoever did that
	last     atomic.Int64 // when bytes were last received, in nanoseconds since made
	extended atomic.Int64 // when the deadline of writes was last moved, in the same; 0: never

	mu      sync.Mutex
	first   []byte    // the first bytes received, for an error text
	greeted time.Time // when the first line of them that is SSH was complete
}

func newMeter(c net.Conn, counters *counters) *meter {
	return &meter{Conn: c, counters: counters, made: time.Now()}
}

// heard returns when the peer was last heard of.
func (m *meter) heard() time.Time { return m.made.Add(time.Duration(m.last.Load())) }

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if n > 0 {
		m.last.Store(int64(time.Since(m.made)))
		m.counters.in.Add(uint64(n))
		if !m.up.Load() {
			m.keep(p[:n])
		}
	}
	if err != nil {
		m.gone.Store(true)
	}
	return n, err
}

// Close ends the connection.
func (m *meter) Close() error {
	m.gone.Store(true)
	return m.Conn.Close()
}

func (m *meter) Write(p []byte) (int, error) {
	if m.up.Load() {
		m.extend()
	}
	n, err := m.Conn.Write(p)
	m.counters.out.Add(uint64(n))
	return n, err
}

// extend moves the deadline of writes, unless it was moved just now.
func (m *meter) extend() {
	now := time.Since(m.made)
	if last := m.extended.Load(); last == 0 || now-time.Duration(last) >= writeSlack {
		m.extended.Store(int64(now))
		m.Conn.SetWriteDeadline(m.made.Add(now + writeTimeout))
	}
}

func (m *meter) keep(p []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if room := 256 - len(m.first); room > 0 {
		m.first = append(m.first, p[:min(room, len(p))]...)
		if m.greeted.IsZero() && m.hasVersion() {
			m.greeted = time.Now()
		}
	}
}

// forget drops what the peer has said first, once nobody asks for it any more.
func (m *meter) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.first = nil
}

// greeting returns what the peer has said instead of beginning to speak SSH; sshd does so when
// it has too many connections.
func (m *meter) greeting() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes.HasPrefix(m.first, []byte("SSH-")) || bytes.Contains(m.first, []byte("\nSSH-")) {
		return ""
	}
	return clean(m.first)
}

// hasVersion reports whether the peer has said which SSH it speaks. The caller holds mu.
func (m *meter) hasVersion() bool {
	for line := range bytes.Lines(m.first) {
		if bytes.HasPrefix(line, []byte("SSH-")) && bytes.HasSuffix(line, []byte("\n")) {
			return true
		}
	}
	return false
}

// greetedAt returns when the peer had greeted; zero: it has not.
func (m *meter) greetedAt() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.greeted
}

// version returns how the peer's sshd calls itself, as far as it has.
func (m *meter) version() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for line := range bytes.Lines(m.first) {
		if bytes.HasPrefix(line, []byte("SSH-")) {
			return clean(bytes.TrimSpace(line))
		}
	}
	return ""
}
