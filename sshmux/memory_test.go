package sshmux

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
)

// half is one direction of a connection in memory. Unlike net.Pipe, it takes bytes that nobody
// reads yet, as the kernel does.
type half struct {
	mu       sync.Mutex
	changed  *sync.Cond
	buf      bytes.Buffer
	closed   bool
	frozen   bool // bytes are taken, but do not arrive
	deadline time.Time
	timer    *time.Timer
}

func newHalf() *half {
	h := new(half)
	h.changed = sync.NewCond(&h.mu)
	return h
}

func (h *half) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.changed.Broadcast()
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.buf.Len() > 0 && !h.frozen:
			return h.buf.Read(p)
		case h.closed:
			return 0, io.EOF
		case !h.deadline.IsZero() && !time.Now().Before(h.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, io.ErrClosedPipe
	}
	h.changed.Broadcast()
	return h.buf.Write(p)
}

func (h *half) setDeadline(t time.Time) {
	h.set(func() {
		h.deadline = t
		if h.timer != nil {
			h.timer.Stop()
			h.timer = nil
		}
		if !t.IsZero() {
			h.timer = time.AfterFunc(time.Until(t), func() { h.set(func() {}) })
		}
	})
}

// memory is one end of a connection in memory.
type memory struct{ in, out *half }

func (c memory) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c memory) Write(p []byte) (int, error) { return c.out.write(p) }
func (c memory) Close() error {
	c.setDeadline(time.Time{})
	c.in.set(func() { c.in.closed = true })
	c.out.set(func() { c.out.closed = true })
	return nil
}
func (c memory) setDeadline(t time.Time)            { c.in.setDeadline(t) }
func (c memory) SetDeadline(t time.Time) error      { c.setDeadline(t); return nil }
func (c memory) SetReadDeadline(t time.Time) error  { c.setDeadline(t); return nil }
func (c memory) SetWriteDeadline(t time.Time) error { return nil } // it never blocks
func (c memory) LocalAddr() net.Addr                { return memoryAddr{} }
func (c memory) RemoteAddr() net.Addr               { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "memory" }

// host is an SSH server in memory.
type host struct {
	config ssh.ServerConfig
	// handle takes a channel request for a session; nil answers each command with exit status
	// 0.
	handle func(ssh.NewChannel)
	// each makes the handle of a connection; nil: all have the same.
	each func() func(ssh.NewChannel)

	mu         sync.Mutex
	dials      []time.Time // of all attempts to connect
	keepalives int
	down       error   // what a dial gets
	silent     bool    // the server does not speak
	wires      []*half // from the server, of all connections
}

// newHost returns a server, and a target that may log in with a password.
func newHost(t *testing.T) (*host, Target) {
	t.Helper()
	h := new(host)
	h.config.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if string(password) != "hunter2" {
			return nil, ssh.ErrNoAuth
		}
		return nil, nil
	}
	signer, _ := sshdtest.NewKey(t)
	h.config.AddHostKey(signer)
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte("web1 "+sshdtest.AuthorizedKey(signer.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h, Target{Name: "web1", Addr: "192.0.2.1:22", User: "monitor", Password: "hunter2", KnownHosts: []string{known}}
}

// set changes the host under its lock.
func (h *host) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *host) freeze() {
	h.set(func() {
		for _, w := range h.wires {
			w.set(func() { w.frozen = true })
		}
	})
}

// Dial is an Options.Dial that connects to the host.
func (h *host) Dial(context.Context, string, string) (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dials = append(h.dials, time.Now())
	if h.down != nil {
		return nil, h.down
	}
	up, down := newHalf(), newHalf()
	h.wires = append(h.wires, down)
	if !h.silent {
		go h.serve(memory{in: up, out: down})
	}
	return memory{in: down, out: up}, nil
}

func (h *host) serve(c net.Conn) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, &h.config)
	if err != nil {
		return
	}
	go func() {
		for r := range requests {
			h.set(func() { h.keepalives++ })
			if r.WantReply {
				r.Reply(false, nil)
			}
		}
	}()
	handle := h.handle
	if h.each != nil {
		handle = h.each()
	}
	for ch := range channels {
		if handle != nil {
			handle(ch)
			continue
		}
		go answerOK(ch)
	}
}

var nonceIn = regexp.MustCompile(`echo ([A-Z0-9]+) (?:\$\$|\\0044\\0044)`)

// answerOK plays a command that prints OK and exits with 0.
func answerOK(n ssh.NewChannel) { answerAfter(n, 0) }

// answerAfter plays one that takes a while for that.
func answerAfter(n ssh.NewChannel, d time.Duration) {
	ch, requests, err := n.Accept()
	if err != nil {
		return
	}
	for r := range requests {
		if r.Type != "exec" {
			continue
		}
		if r.WantReply {
			r.Reply(true, nil)
		}
		ch.Write([]byte(nonceIn.FindStringSubmatch(string(r.Payload))[1] + " 4242\nOK\n"))
		<-time.After(d)
		ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{0}))
		ch.Close()
	}
}
