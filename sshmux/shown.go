package sshmux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Shown is the key that a host has shown to somebody who has not logged in.
type Shown struct {
	Type        string // "ssh-ed25519"
	Fingerprint string // "SHA256:…", as ssh-keygen -l prints it
	// Problem says why the key is not trusted; nil: it is known.
	Problem *HostKeyError

	trust *trust
	key   ssh.PublicKey
}

// New reports whether nothing is known about the host, so that Trust would take its key.
func (s *Shown) New() bool { return s.Problem != nil && s.Problem.unknown() }

// errSeen ends a connection once the host has shown its key.
var errSeen = errors.New("seen")

// HostKey connects to a host, has it show and prove its key, and ends the connection before
// anything is told of who asks. The bastions that the host is behind are logged in to, whose
// keys must be known. The error is an *Error.
func (m *Mux) HostKey(ctx context.Context, t Target) (*Shown, error) {
	ctx, call, err := m.join(ctx, t)
	if err != nil {
		return nil, err
	}
	defer m.leave(call)
	t = call.link.target
	over, err := call.link.bastion(ctx, ordered)
	if err != nil {
		return nil, err
	}
	known, err := m.hostKeys.trust(&t)
	if err != nil {
		return nil, t.fail(Config, PhaseHostKey, err)
	}
	a, err := call.link.admit(ctx, newTurn(ordered))
	if err != nil {
		return nil, err
	}
	var end *Error
	defer func() { a.giveBack(end) }()
	timeout := or(t.ConnectTimeout, m.options.ConnectTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	d := &dialer{mux: m, target: &t, over: over, trust: known, phase: PhaseDial}
	wire, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer wire.Close()
	if err := a.pass.reached(ctx, wire.RemoteAddr()); err != nil {
		end, _ = errors.AsType[*Error](err)
		return nil, err
	}
	shown, err := d.look(ctx, wire)
	if err != nil {
		end, _ = errors.AsType[*Error](err)
		return nil, err
	}
	end = t.fail(Transport, PhaseHostKey, errors.New("its key was looked at too often"))
	end.penalty = hangupPenalty
	return shown, nil
}

// look speaks SSH until the host has shown its key.
func (d *dialer) look(ctx context.Context, wire *meter) (*Shown, error) {
	if deadline, ok := ctx.Deadline(); ok {
		wire.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { wire.Close() })()
	d.enter(PhaseBanner)
	seen := make(chan ssh.PublicKey, 1)
	_, _, _, err := ssh.NewClientConn(wire, d.target.Addr, &ssh.ClientConfig{
		ClientVersion:     clientVersion,
		HostKeyAlgorithms: d.trust.allAlgorithms(),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			seen <- key
			return errSeen
		},
	})
	select {
	case key := <-seen:
		return d.trust.show(key), nil
	default:
		return nil, d.charged(ctx, wire, d.explain(ctx, wire, new(credentials), err))
	}
}

// show says what is known about a key that the host has shown.
func (k *trust) show(key ssh.PublicKey) *Shown {
	s := &Shown{Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key), trust: k, key: key}
	s.Problem, _ = errors.AsType[*HostKeyError](k.check(key))
	return s
}

// Trust makes the key known if nothing is known about the host yet: it is appended to the first
// file of Target.KnownHosts, hashed if the last name there is. Otherwise the error is a
// *HostKeyError, or nil if the key is known.
func (s *Shown) Trust() error {
	switch {
	case s.Problem == nil:
		return nil
	case !s.New():
		return s.Problem
	}
	_, err := s.trust.accept(s.key)
	return err
}

// Replaced is what Replace has done.
type Replaced struct {
	File    string   // the file that has the new key
	Added   bool     // it was not there before
	Removed []string // what was in that file about the host before: type, fingerprint, file and line
	Left    []string // the same of what still stands for it elsewhere, or by a wildcard
}

// Replace makes the key known in the first file of Target.KnownHosts, in the place of all other
// keys that this file has for the host by its names. Lines with markers and all that is about other
// hosts stay as they are. It does nothing, and says so, if the key has another fingerprint, is
// revoked or is a certificate.
func (s *Shown) Replace(fingerprint string) (Replaced, error) {
	_, certified := s.key.(*ssh.Certificate)
	switch {
	case fingerprint != s.Fingerprint:
		return Replaced{}, fmt.Errorf("the host shows %s %s, which is not %s", s.Type, s.Fingerprint, fingerprint)
	case s.Problem != nil && s.Problem.Revoked:
		return Replaced{}, s.Problem
	case certified:
		return Replaced{}, errors.New("the host shows a certificate, which is trusted by its authority's key")
	}
	return s.trust.replace(s.key)
}

// Fingerprint reports whether s looks like the SHA256 fingerprint of a key.
func Fingerprint(s string) bool {
	return strings.HasPrefix(s, "SHA256:") && len(s) == len("SHA256:")+43
}
