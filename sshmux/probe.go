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
	Name string        // "bastion", "ping", "profile", "clock", "sessions" or a Phase
	Took time.Duration // until the next one began
	Said string        // what is known of it
	List string        // of the gateway, see GatewayScript; "": there is none
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
	offered    []string // the keys that there are
	banner     string   // what the host says before the login
}

// Probe connects to a host over a connection of its own, which it ends, runs a harmless
// command there and finds out how many sessions it allows. It returns what happened, step by step; if something failed, in the last one. It
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

// Paused returns the newest failure to connect to a host if commands do not try again yet, with
// the time when they will; nil: they may. Who logs in besides should not before then either: a
// host locks out those whose login is refused too often (RULES S1).
func (m *Mux) Paused(t Target) *Error {
	m.mu.Lock()
	l := m.links[t.Key()]
	m.mu.Unlock()
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil || l.last == nil || !time.Now().Before(l.retry) {
		return nil
	}
	again := *l.last
	again.Retry = l.retry
	return &again
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
	config.BannerCallback = func(said string) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.banner = clean([]byte(said))
		return nil
	}
	for _, key := range login.keys {
		p.offered = append(p.offered, fingerprint(key.PublicKey()))
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
	said := []string{version, "Alf is " + clientVersion}
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

// shownKeys are named where a login was refused.
const shownKeys = 4

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
		if slices.Contains(p.tried, "publickey") && len(p.offered) > 0 {
			text += " with " + strings.Join(p.offered[:min(shownKeys, len(p.offered))], ", ")
			if more := len(p.offered) - shownKeys; more > 0 {
				text += fmt.Sprintf(" and %d more", more)
			}
		}
		if p.banner != "" {
			text += fmt.Sprintf("; it says %q", p.banner)
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
