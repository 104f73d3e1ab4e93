// Package sshserver is the SSH server of the demo: it lets Alf run plugins over real SSH on a machine where nothing is
// installed or configured. It listens on loopback only, takes only the key that was made for it, and runs commands as
// the current user. Towards a client it behaves as OpenSSH's sshd in all that Alf relies on; unlike sshd it leaves
// no process behind.
package sshserver

import (
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const (
	// defaultMaxSessions is MaxSessions of sshd.
	defaultMaxSessions = 10
	// maxStartups is how many connections may be logging in at a time. More are closed at once.
	maxStartups = 10
	// acceptRetry is the wait after a failed accept, which is mostly a lack of file descriptors.
	acceptRetry = 100 * time.Millisecond
)

// errNotLoopback is why Run refuses a listener.
var errNotLoopback = errors.New("listens elsewhere than on loopback")

// Options are the settings of a Server. The zero value is usable.
type Options struct {
	Log         *slog.Logger // default: nowhere
	MaxSessions int          // channels per connection, default 10
	Shell       string       // runs the commands, default /bin/sh
}

// Server is an SSH server on loopback that executes commands as the current user, for whoever has its ClientKey.
type Server struct {
	log         *slog.Logger
	maxSessions int
	shell       string
	loginGrace  time.Duration
	hostKey     ssh.PublicKey
	clientKey   []byte
	config      *ssh.ServerConfig
}

// New returns a Server with new keys. It does no I/O.
func New(o Options) (*Server, error) {
	s := &Server{log: o.Log, maxSessions: o.MaxSessions, shell: o.Shell, loginGrace: 10 * time.Second}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.maxSessions <= 0 {
		s.maxSessions = defaultMaxSessions
	}
	if s.shell == "" {
		s.shell = "/bin/sh"
	}
	host, _, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make host key: %w", err)
	}
	client, private, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make client key: %w", err)
	}
	s.hostKey, s.clientKey = host.PublicKey(), private
	s.config = &ssh.ServerConfig{
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519},
		PublicKeyCallback:       accept(client.PublicKey()),
		ServerVersion:           "SSH-2.0-Alf",
	}
	s.config.AddHostKey(host)
	return s, nil
}

// newKey makes an ed25519 key, and its private half as OpenSSH writes it to a file.
func newKey() (ssh.Signer, []byte, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "alf demo")
	if err != nil {
		return nil, nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	return signer, pem.EncodeToMemory(block), err
}

// accept lets in the holder of key, under any user name: the commands run as the current user all the same.
func accept(key ssh.PublicKey) func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
	want := key.Marshal()
	return func(_ ssh.ConnMetadata, got ssh.PublicKey) (*ssh.Permissions, error) {
		if subtle.ConstantTimeCompare(got.Marshal(), want) != 1 {
			return nil, errors.New("unknown public key")
		}
		return nil, nil
	}
}

// ClientKey returns the private key that the server accepts, the only one, as the content of an OpenSSH key file.
// The caller owns the slice and keeps it secret.
func (s *Server) ClientKey() []byte {
	return append([]byte(nil), s.clientKey...)
}

// HostKeyLine returns the line of known_hosts for the server at host and port, without a line break.
func (s *Server) HostKeyLine(host string, port int) string {
	return knownhosts.Line([]string{net.JoinHostPort(host, strconv.Itoa(port))}, s.hostKey)
}

// Run serves l until ctx ends or l fails, and closes it in any case; it refuses a listener that is not on loopback.
// When it returns, all connections are closed, and of all commands the whole process group has been killed. The end
// of ctx is no error.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	defer l.Close()
	if addr, ok := l.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		return fmt.Errorf("serve ssh on %s: %w", l.Addr(), errNotLoopback)
	}
	ctx, cancel := context.WithCancel(ctx)
	var connections sync.WaitGroup
	defer connections.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()

	env := environment(s.shell)
	startups := make(chan struct{}, maxStartups)
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept ssh connection: %w", err)
		case err != nil:
			s.log.Warn("accept failed", "room", "sshserver", "err", err)
			wait(ctx, acceptRetry)
			continue
		}
		select {
		case startups <- struct{}{}:
			connections.Go(func() { s.serve(ctx, conn, env, func() { <-startups }) })
		default:
			s.log.Warn("too many connections are logging in", "room", "sshserver")
			conn.Close()
		}
	}
}

// wait returns after d or at the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// serve serves one connection to its end. It calls loggedIn when the login has succeeded or failed.
func (s *Server) serve(ctx context.Context, nc net.Conn, env []string, loggedIn func()) {
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()

	// As LoginGraceTime of sshd: key exchange and authentication share one deadline.
	_ = nc.SetDeadline(time.Now().Add(s.loginGrace))
	conn, channels, requests, err := ssh.NewServerConn(nc, s.config)
	loggedIn()
	if err != nil {
		s.log.Info("login failed", "room", "sshserver", "err", err)
		return
	}
	_ = nc.SetDeadline(time.Time{})
	s.log.Debug("logged in", "room", "sshserver")

	var rest sync.WaitGroup
	// Refuses all global requests. To keepalive@openssh.com that is the answer of sshd, too: any answer will do.
	rest.Go(func() { ssh.DiscardRequests(requests) })
	places := make(chan struct{}, s.maxSessions)
	for c := range channels {
		if channel, requests, ok := s.open(c, places); ok {
			rest.Go(func() { s.session(channel, requests, env, func() { <-places }) })
		}
	}
	_ = conn.Wait()
	rest.Wait()
}

// open accepts a channel if it is a session and one of the places is left. What takes the place gives it back.
func (s *Server) open(c ssh.NewChannel, places chan struct{}) (ssh.Channel, <-chan *ssh.Request, bool) {
	switch c.ChannelType() {
	case "session":
	case "direct-tcpip", "direct-streamlocal@openssh.com":
		_ = c.Reject(ssh.Prohibited, "open failed")
		return nil, nil, false
	default:
		_ = c.Reject(ssh.ConnectionFailed, "open failed")
		return nil, nil, false
	}
	select {
	case places <- struct{}{}:
	default:
		_ = c.Reject(ssh.ConnectionFailed, "open failed")
		return nil, nil, false
	}
	channel, requests, err := c.Accept()
	if err != nil {
		<-places
		return nil, nil, false
	}
	return channel, requests, true
}
