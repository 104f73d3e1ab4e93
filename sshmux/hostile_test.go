package sshmux

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// hostile is a server that tries to open channels to its client, and asks it for things.
type hostile struct {
	t       *testing.T
	addr    string
	hostKey ssh.PublicKey

	opened   chan string // what the client has opened
	refused  chan ssh.RejectionReason
	answered chan bool // what it said to global requests
	asked    chan string
}

// startHostile serves one client at a time on loopback, whoever has that key.
func startHostile(t *testing.T, admit ssh.PublicKey) *hostile {
	t.Helper()
	signer, _ := sshdtest.NewKey(t)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !sameKey(key, admit) {
			return nil, ssh.ErrNoAuth
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{
		t: t, addr: l.Addr().String(), hostKey: signer.PublicKey(),
		opened: make(chan string, 100), refused: make(chan ssh.RejectionReason, 100),
		answered: make(chan bool, 100), asked: make(chan string, 100),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.serve(c, config)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return h
}

// serve asks for what no client should give, and then runs what the client wants run.
func (h *hostile) serve(nc net.Conn, config *ssh.ServerConfig) {
	defer nc.Close()
	c, channels, asks, err := ssh.NewServerConn(nc, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(asks)
	h.demand(c)
	for n := range channels {
		if n.ChannelType() != "session" {
			h.opened <- n.ChannelType()
		}
		ch, asks, err := n.Accept()
		if err != nil {
			return
		}
		go h.session(c, ch, asks)
	}
}

// demand opens channels of all kinds, and asks for all that a client may be asked for.
func (h *hostile) demand(c ssh.Conn) {
	origin := ssh.Marshal(forward{"127.0.0.1", 22, "127.0.0.1", 1})
	for _, open := range []struct {
		kind  string
		extra []byte
	}{
		{"session", nil},
		{"forwarded-tcpip", origin},
		{"direct-tcpip", origin},
		{"forwarded-streamlocal@openssh.com", ssh.Marshal(struct{ Path, Reserved string }{"/x", ""})},
		{"auth-agent@openssh.com", nil},
		{"auth-agent", nil},
		{"x11", ssh.Marshal(struct {
			Origin string
			Port   uint32
		}{"127.0.0.1", 1})},
		{"tun@openssh.com", ssh.Marshal(struct{ Mode, Unit uint32 }{1, 0})},
	} {
		_, _, err := c.OpenChannel(open.kind, open.extra)
		if e, ok := err.(*ssh.OpenChannelError); ok {
			h.refused <- e.Reason
		} else {
			h.opened <- open.kind
		}
	}
	for _, name := range []string{"tcpip-forward", "hostkeys-00@openssh.com", "no-more-sessions@openssh.com", "what@example.com"} {
		ok, _, err := c.SendRequest(name, true, nil)
		h.answered <- ok || err != nil
	}
	c.SendRequest("hostkeys-00@openssh.com", false, []byte("nonsense"))
}

// session plays a command, and notes what else the client asks for, such as the forwarding of an
// agent.
func (h *hostile) session(c ssh.Conn, ch ssh.Channel, asks <-chan *ssh.Request) {
	defer ch.Close()
	for ask := range asks {
		if ask.Type != "exec" {
			h.asked <- ask.Type
			continue
		}
		h.demand(c)
		for _, name := range []string{"keepalive@openssh.com", "exec", "shell", "auth-agent-req@openssh.com", "x11-req", "env"} {
			ok, err := ch.SendRequest(name, true, nil)
			h.answered <- ok || err != nil
		}
		ch.Write([]byte(nonceIn.FindStringSubmatch(string(ask.Payload))[1] + " 4242\nOK\n"))
		ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{0}))
		return
	}
}

// A host can open nothing at its client, gets nothing that it asks for, and no agent is ever
// forwarded to it, also if an agent has logged us in. The checks go on all the while.
func TestHostileServerGetsNothing(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	var dialled atomic.Int32
	socket := socketOf(t, func(c net.Conn) {
		dialled.Add(1)
		agent.ServeAgent(ring, c)
	})
	h := startHostile(t, key.PublicKey())
	target := Target{
		Name: "web1", Addr: h.addr, User: "monitor", Agent: true, AgentSocket: socket,
		KnownHosts: []string{writeKnown(t, "web1,["+"127.0.0.1]:"+portOf(t, h.addr)+" "+sshdtest.AuthorizedKey(h.hostKey))},
	}
	m := newMux(t, Options{})
	for range 3 {
		exit, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"check"}})
		if err != nil || exit.Code != 0 {
			t.Fatalf("Run = %+v, %v", exit, err)
		}
	}
	if len(h.opened) > 0 {
		t.Errorf("opened: %q", <-h.opened)
	}
	if len(h.asked) > 0 {
		t.Errorf("the client has asked for %q", <-h.asked)
	}
	if n := len(h.refused); n != 4*8 {
		t.Errorf("%d channels were refused, want all 32", n)
	}
	for range len(h.refused) {
		if reason := <-h.refused; reason != ssh.Prohibited {
			t.Errorf("refused with %v, want %v", reason, ssh.Prohibited)
		}
	}
	for range len(h.answered) {
		if <-h.answered {
			t.Error("a request was granted, or not answered")
		}
	}
	if got := dialled.Load(); got != 1 {
		t.Errorf("the agent was dialled %d times, want once, for the login", got)
	}
	if s := m.Stats(); s.Dials != 1 || s.Lost != 0 {
		t.Errorf("Stats() = %+v, want one connection that has stayed", s)
	}
}

// portOf returns the port of an address.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
