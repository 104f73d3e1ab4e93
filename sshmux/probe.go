package sshmux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Step is one part of what Probe has tried.
type Step struct {
	Name string        // "bastion", "ping" or a Phase
	Took time.Duration // until the next one began
	Said string        // what is known of it
	Err  *Error        // why it is the last one; nil: it went well
}

// probe watches one attempt to connect.
type probe struct {
	mu         sync.Mutex
	began      time.Time // when the newest step did
	steps      []Step
	key        *Shown
	algorithms ssh.NegotiatedAlgorithms
	allowed    []string // the methods that the host allows
	tried      []string // the methods that were refused
	signed     string   // the newest key that the host wanted a signature of
}

// Probe connects to a host over a connection of its own, which it ends, and runs a harmless
// command there. It returns what happened, step by step; if something failed, in the last one. It
// logs in once, also if another login was refused just now. Bastions are reached over their
// links.
func (m *Mux) Probe(ctx context.Context, t Target) []Step {
	p := &probe{began: time.Now()}
	err := m.probe(ctx, t, p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		return p.steps
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = t.fail(Transport, PhaseDial, err)
	}
	name := e.Phase.String()
	if ofBastion(e) {
		name = "bastion"
	}
	return append(p.steps, Step{Name: name, Took: time.Since(p.began), Said: p.said(e.Phase), Err: e})
}

func (m *Mux) probe(ctx context.Context, t Target, p *probe) error {
	ctx, call, err := m.join(ctx, t)
	if err != nil {
		return err
	}
	defer m.leave(call)
	c, err := m.probeDial(ctx, call.link, p)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	m.owners.Go(func() {
		defer close(done)
		c.serve()
		c.die()
	})
	defer func() {
		c.close(errUnwanted)
		<-done
	}()
	return p.use(ctx, c)
}

// probeDial connects and logs in.
func (m *Mux) probeDial(ctx context.Context, l *link, p *probe) (*conn, error) {
	t := l.target
	over, err := l.bastion(ctx)
	if err != nil {
		return nil, err
	}
	if over != nil {
		p.done("bastion", label(over.target))
	}
	timeout := or(t.ConnectTimeout, m.options.ConnectTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	if err := p.resolve(ctx, t, over); err != nil {
		return nil, err
	}
	known, err := m.hostKeys.trust(t)
	if err != nil {
		return nil, t.fail(Config, PhaseHostKey, err)
	}
	login, err := m.newCredentials(ctx, t)
	if err != nil {
		return nil, t.fail(Config, PhaseAuth, err)
	}
	defer login.close()
	d := &dialer{mux: m, target: t, over: over, trust: known, probe: p, phase: PhaseDial}
	wire, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	p.done(PhaseDial.String(), p.reached(wire, t, over))
	c, err := d.handshake(ctx, wire, login)
	p.shake(wire.version())
	if err != nil {
		return nil, err
	}
	p.done(PhaseAuth.String(), p.said(PhaseAuth)+p.worked(login))
	c.link = l
	l.recognize(c)
	return c, nil
}

// resolve looks up the host's name, if it is one and not the bastion's to look up.
func (p *probe) resolve(ctx context.Context, t Target, over *conn) error {
	host, _, err := net.SplitHostPort(t.Addr)
	if err != nil || over != nil || net.ParseIP(host) != nil {
		return nil
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return t.fail(Transport, PhaseResolve, err)
	}
	p.done(PhaseResolve.String(), strings.Join(addrs, ", "))
	return nil
}

// reached says where a connection ends.
func (p *probe) reached(wire *meter, t Target, over *conn) string {
	if over != nil {
		return t.Addr
	}
	return wire.RemoteAddr().String()
}

// use tries what commands need.
func (p *probe) use(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*probeTimeout, errors.New("no answer"))
	defer cancel()
	if err := p.ping(ctx, c); err != nil {
		return c.target.fail(Transport, PhaseOpen, err)
	}
	var out head
	r, err := newRequest(Command{Shell: `uname -srm; echo "login shell $SHELL"`, Stdout: &out, Stderr: io.Discard, Timeout: probeTimeout})
	if err != nil {
		return c.target.fail(Config, PhaseExec, err)
	}
	if _, err := c.run(ctx, r); err != nil {
		return err
	}
	p.done(PhaseExec.String(), clean([]byte(strings.Join(strings.Split(strings.TrimSpace(string(out)), "\n"), ", "))))
	return nil
}

// ping asks for a sign of life, unless that would take the one session that the command needs.
func (p *probe) ping(ctx context.Context, c *conn) error {
	if c.isOnce() {
		p.done("ping", "not asked: "+errOnce.Error())
		return nil
	}
	if _, err := c.ping(ctx); err != nil {
		return err
	}
	p.done("ping", "")
	return nil
}

// probeTimeout bounds the command of a probe.
const probeTimeout = 10 * time.Second

// head keeps the first bytes of what is written to it.
type head []byte

// Write never fails.
func (h *head) Write(b []byte) (int, error) {
	*h = append(*h, b[:min(len(b), 1024-len(*h))]...)
	return len(b), nil
}

// done ends a step.
func (p *probe) done(name, said string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.steps = append(p.steps, Step{Name: name, Took: now.Sub(p.began), Said: said})
	p.began = now
}

// watch has a login tell what happens.
func (p *probe) watch(config *ssh.ClientConfig, login *credentials) {
	check := config.HostKeyCallback
	config.HostKeyCallback = func(name string, addr net.Addr, key ssh.PublicKey) error {
		p.done(PhaseHandshake.String(), "")
		return check(name, addr, key)
	}
	config.AuthCallback = func(a *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.algorithms, p.allowed, p.tried = a.Algorithms, a.AllowedMethods, a.TriedMethods
		return nil, nil
	}
	if len(login.keys) > 0 {
		keys := make([]ssh.Signer, len(login.keys))
		for i, key := range login.keys {
			keys[i] = p.noting(key)
		}
		config.Auth = append([]ssh.AuthMethod{ssh.PublicKeys(keys...)}, login.methods[1:]...)
	}
}

// judged notes what the check of the host's key said.
func (p *probe) judged(s *Shown, err error) {
	p.mu.Lock()
	p.key = s
	p.mu.Unlock()
	switch {
	case err != nil:
	case s.New():
		p.done(PhaseHostKey.String(), p.said(PhaseHostKey)+" and remembered from now on")
	default:
		p.done(PhaseHostKey.String(), p.said(PhaseHostKey))
	}
}

// shake adds to the key exchange what is known of it only now.
func (p *probe) shake(version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := []string{version}
	if a := p.algorithms; a.KeyExchange != "" {
		said = append(said, a.KeyExchange, a.HostKey, a.Write.Cipher)
		if a.Write.MAC != "" {
			said = append(said, a.Write.MAC)
		}
	}
	for i, s := range p.steps {
		if s.Name == PhaseHandshake.String() {
			p.steps[i].Said = strings.Join(said, ", ")
		}
	}
}

// said returns what is known of a phase.
func (p *probe) said(phase Phase) string {
	switch {
	case phase == PhaseHostKey && p.key != nil:
		return p.key.Type + " " + p.key.Fingerprint + ", " + p.key.where()
	case phase == PhaseAuth && p.allowed != nil:
		text := "the host allows " + strings.Join(p.allowed, ", ")
		if tried := slices.DeleteFunc(slices.Clone(p.tried), func(s string) bool { return s == "none" }); len(tried) > 0 {
			text += "; it refused " + strings.Join(tried, ", ")
		}
		return text
	}
	return ""
}

// worked says what the host has let us in with.
func (p *probe) worked(login *credentials) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.allowed == nil {
		return "let in without a question"
	}
	for _, name := range login.names {
		if slices.Contains(p.tried, name) || !slices.Contains(p.allowed, name) {
			continue
		}
		if name == "publickey" {
			name += " " + p.signed
		}
		return "; let in by " + name
	}
	return ""
}

// where says how a key is known.
func (s *Shown) where() string {
	_, certified := s.key.(*ssh.Certificate)
	l := s.trust.knows(s.key)
	switch {
	case s.New():
		return "new"
	case s.Problem != nil:
		return "not trusted"
	case certified:
		return "certificate of a known authority"
	case l != nil:
		return "known from " + l.at()
	}
	return "known"
}

// noting returns a key that notes when it signs.
func (p *probe) noting(s ssh.Signer) ssh.Signer {
	n := noting{s, p}
	a, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return n
	}
	na := notingAlgorithm{n, a}
	if m, ok := s.(ssh.MultiAlgorithmSigner); ok {
		return notingMulti{na, m}
	}
	return na
}

type noting struct {
	ssh.Signer
	probe *probe
}

func (n noting) note() {
	n.probe.mu.Lock()
	defer n.probe.mu.Unlock()
	n.probe.signed = fingerprint(n.PublicKey())
}

// Sign signs.
func (n noting) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	n.note()
	return n.Signer.Sign(rand, data)
}

type notingAlgorithm struct {
	noting
	algorithm ssh.AlgorithmSigner
}

// SignWithAlgorithm signs.
func (n notingAlgorithm) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	n.note()
	return n.algorithm.SignWithAlgorithm(rand, data, algorithm)
}

type notingMulti struct {
	notingAlgorithm
	multi ssh.MultiAlgorithmSigner
}

// Algorithms returns those that the key can sign with.
func (n notingMulti) Algorithms() []string { return n.multi.Algorithms() }
