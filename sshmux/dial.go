package sshmux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// clientVersion is how Alf greets.
const clientVersion = "SSH-2.0-Alf"

// loginGrace bounds a login, whatever ConnectTimeout says: sshd ends one after two minutes, and
// punishes that more than all else.
const loginGrace = 110 * time.Second

// dialer is one attempt to connect to a target and to log in.
type dialer struct {
	mux    *Mux
	target *Target
	over   *conn // the bastion's connection; nil: there is none
	trust  *trust
	probe  *probe // who wants to know how it goes; nil: nobody

	mu      sync.Mutex
	phase   Phase
	refused error // what the check of the host key said
}

// dial connects, through the bastion whose connection is over if that is not nil, and logs in.
// What is wrong on our side is found before anything is sent. The error is an *Error.
func (m *Mux) dial(ctx context.Context, t *Target, over *conn, p *pass) (*conn, error) {
	timeout := or(t.ConnectTimeout, m.options.ConnectTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	known, err := m.hostKeys.trust(t)
	if err != nil {
		return nil, t.fail(Config, PhaseHostKey, err)
	}
	login, err := m.newCredentials(ctx, *t)
	if err != nil {
		return nil, t.fail(Config, PhaseAuth, err)
	}
	defer login.close()
	d := &dialer{mux: m, target: t, over: over, trust: known, phase: PhaseDial}
	wire, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer wire.forget()
	if err := p.reached(ctx, wire.RemoteAddr()); err != nil {
		wire.Close()
		return nil, err
	}
	return d.handshake(ctx, wire, login)
}

// prepared returns what is wrong on our side, where nothing is to be sent.
func (m *Mux) prepared(ctx context.Context, t Target) error {
	if _, err := m.hostKeys.trust(&t); err != nil {
		return t.fail(Config, PhaseHostKey, err)
	}
	login, err := m.newCredentials(ctx, t)
	if err != nil {
		return t.fail(Config, PhaseAuth, err)
	}
	login.close()
	return nil
}

// connect opens the network connection.
func (d *dialer) connect(ctx context.Context) (*meter, error) {
	if d.over != nil {
		return d.tunnel(ctx)
	}
	raw, err := d.mux.options.Dial(ctx, "tcp", d.target.Addr)
	if err == nil {
		tune(raw)
		return newMeter(raw, &d.mux.counters), nil
	}
	phase := PhaseDial
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		phase = PhaseResolve
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		err = op.Err // the address is told anyway
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, d.target.fail(Transport, phase, err)
}

// tunnel has the bastion open it.
func (d *dialer) tunnel(ctx context.Context) (*meter, error) {
	raw, err := d.over.tunnel(ctx, *d.target)
	if err != nil {
		return nil, err
	}
	return newMeter(raw, &d.mux.counters), nil
}

// handshake speaks SSH until the login is done.
func (d *dialer) handshake(ctx context.Context, wire *meter, login *credentials) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, loginGrace, fmt.Errorf("no login within %v", loginGrace))
	defer cancel()
	if deadline, ok := ctx.Deadline(); ok {
		wire.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { wire.Close() })()
	d.enter(PhaseBanner)
	config := &ssh.ClientConfig{
		User:              d.target.User,
		Auth:              login.methods,
		ClientVersion:     clientVersion,
		HostKeyAlgorithms: d.trust.algorithms(),
		HostKeyCallback:   d.checkHostKey,
	}
	if d.probe != nil {
		d.probe.watch(config, login)
	}
	s, opens, asks, err := ssh.NewClientConn(wire, d.target.Addr, config)
	if err != nil {
		return nil, d.charged(ctx, wire, d.explain(ctx, wire, login, err))
	}
	for _, problem := range login.problems { // a failure would tell them itself
		d.mux.options.Log.Warn("key not usable", "host", d.target.name(), "err", problem)
	}
	wire.SetDeadline(time.Time{})
	wire.up.Store(true)
	c := &conn{
		mux: d.mux, over: d.over, target: d.target, ssh: s, opens: opens, asks: asks, wire: wire, since: time.Now(), greeting: string(s.ServerVersion()),
		pings:  make(chan chan<- time.Duration),
		nudges: make(chan struct{}, 1),
		shut:   make(chan struct{}),
		dead:   make(chan struct{}),
	}
	c.slots.most = or(d.target.MaxSessions, defaultSessions)
	return c, nil
}

// refusal returns what to say of a login that was refused. The library reports a
// refusal in the middle of keyboard-interactive as a message it did not expect.
func refusal(user string, err error) error {
	err = bare(err)
	if strings.Contains(err.Error(), "unexpected message type 51 ") {
		err = errors.New("the password is wrong, or not enough")
	}
	return fmt.Errorf("login as %s refused: %w", user, err)
}

func (d *dialer) enter(p Phase) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phase = p
}

// checkHostKey is called in the middle of the key exchange, before any key or password of ours
// is sent.
func (d *dialer) checkHostKey(_ string, _ net.Addr, key ssh.PublicKey) error {
	d.enter(PhaseHostKey)
	err := d.trust.check(key)
	if e, ok := errors.AsType[*HostKeyError](err); ok && d.target.HostKeyPolicy == AcceptNew && e.unknown() {
		var added bool
		if added, err = d.trust.accept(key); added {
			d.mux.options.Log.Info("host key accepted", "host", d.target.name(), "key", fingerprint(key), "file", d.target.KnownHosts[0])
		}
	}
	if d.probe != nil {
		d.probe.judged(d.trust.show(key), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused = err
	if err == nil {
		d.phase = PhaseAuth
	}
	return err
}

// explain says what a failed handshake failed of.
func (d *dialer) explain(ctx context.Context, wire *meter, login *credentials, err error) *Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.target
	if d.phase == PhaseBanner && !wire.greetedAt().IsZero() {
		d.phase = PhaseKex
	}
	if _, ok := errors.AsType[*HostKeyError](d.refused); ok {
		return t.fail(HostKey, PhaseHostKey, d.refused)
	}
	if d.refused != nil {
		return t.fail(Config, PhaseHostKey, d.refused)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		<-ctx.Done() // the deadline is its own
	}
	if said := wire.greeting(); ctx.Err() != nil && said != "" {
		return t.fail(Transport, d.phase, fmt.Errorf("%w but %q", context.Cause(ctx), said))
	}
	if ctx.Err() != nil {
		return t.fail(Transport, d.phase, context.Cause(ctx))
	}
	if e, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok && e.What == "host key" {
		return t.fail(HostKey, PhaseHostKey, fmt.Errorf("the host has no key of a type that is known for it: want %q, it has %q", e.SupportedAlgorithms, e.RequestedAlgorithms))
	}
	if d.phase == PhaseAuth && !broken(err) {
		return t.fail(Auth, PhaseAuth, errors.Join(slices.Concat([]error{refusal(d.target.User, err)}, login.problems, login.doubts)...))
	}
	if cause := d.over.gone(); cause != nil {
		return t.fail(Transport, d.phase, cause)
	}
	said := wire.greeting()
	switch {
	case said != "" && broken(err):
		return t.fail(Transport, d.phase, fmt.Errorf("the host hung up and said %q", said))
	case said != "":
		return t.fail(Transport, d.phase, fmt.Errorf("the host does not greet as an SSH server, but says %q", said))
	case strings.HasPrefix(wire.version(), "SSH-1.") && !strings.HasPrefix(wire.version(), "SSH-1.99"):
		return t.fail(Transport, d.phase, fmt.Errorf("the host speaks only the first version of SSH, which is broken: it says %q", wire.version()))
	}
	return t.fail(Transport, d.phase, lost(bare(err)))
}

// charged notes what sshd's penalties make of a failed handshake. What they do not know is what
// we know better: that we hung up before we tried anything.
func (d *dialer) charged(ctx context.Context, wire *meter, e *Error) *Error {
	said := wire.greeting()
	switch {
	case strings.HasPrefix(said, "Exceeded MaxStartups"):
		e.full = true
	case strings.HasPrefix(said, "Not allowed at this time"): // the penalty for others, or for what we did before our start
	case e.Phase == PhaseBanner, e.Kind == Config, e.Phase == PhaseKex && ctx.Err() != nil:
		e.penalty = hangupPenalty
	default: // also what may be a crash of the host's, and a host key that we do not trust
		e.penalty = loginPenalty
	}
	return e
}

// broken reports whether a handshake ended because the connection did, and not because the
// host refused us.
func broken(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// bare takes off what x/crypto puts in front of each error of a handshake.
func bare(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
