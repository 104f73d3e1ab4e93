// Package runner runs a command somewhere: on a host over its shared SSH
// connection, or beside Alf; and says, if there is no answer, why.
//
// It is the only room that knows sshmux.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"alf"
	"alf/sshmux"
)

// Options are what a Runner works with.
type Options struct {
	Log *slog.Logger // nil: discard
	// LocalUser is the account that local plugins run as; "": Alf's own.
	// Another one needs root.
	LocalUser string
	// Dial makes the connections to hosts; nil: TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Runner implements alf.Runner. Use New, and Close at the end.
type Runner struct {
	mux   *sshmux.Mux
	local *local
}

var _ alf.Runner = (*Runner)(nil)

// New returns a Runner. It connects to nothing; the error is that of an
// unknown LocalUser.
func New(o Options) (*Runner, error) {
	l, err := newLocal(o.LocalUser)
	if err != nil {
		return nil, err
	}
	return &Runner{mux: sshmux.New(sshmux.Options{Dial: o.Dial, Log: o.Log}), local: l}, nil
}

// Close ends all connections and the commands that still run over them.
func (r *Runner) Close() error { return r.mux.Close() }

// Totals returns what the shared connections have done and how they stand.
func (r *Runner) Totals() sshmux.Totals { return r.mux.Totals() }

// Retain closes the connections that nothing in v uses any more, once their
// running commands have ended.
func (r *Runner) Retain(v *alf.Inventory) {
	keep := make(map[string]bool)
	for _, h := range v.Hosts() {
		keep[target(h).Key()] = true
	}
	r.mux.Retain(func(t sshmux.Target) bool { return keep[t.Key()] })
}

// Run implements alf.Runner.
func (r *Runner) Run(ctx context.Context, e alf.Execution) (alf.Exit, error) {
	if e.Script != "" {
		var err error
		if e, err = withScript(e); err != nil {
			return alf.Exit{}, &alf.RunError{Cause: alf.CauseConfig, Phase: "script", Err: fmt.Errorf("script: %w", err)}
		}
	}
	if e.Host == nil {
		return r.local.run(ctx, e)
	}
	return r.remote(ctx, e)
}

func (r *Runner) remote(ctx context.Context, e alf.Execution) (alf.Exit, error) {
	t := target(e.Host)
	if e.Ordered {
		r.mux.Hurry(t)
	}
	if len(e.Argv) == 0 && e.Shell == "" {
		return r.ping(ctx, t, e)
	}
	exit, err := r.mux.Run(ctx, t, sshmux.Command{
		Argv: e.Argv, Shell: e.Shell, Path: e.Path, Env: e.Env, Dir: e.Dir,
		Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr, Timeout: e.Limit,
		Priority: int(e.Priority),
	})
	return alf.Exit{Code: exit.Code, Signal: exit.Signal, Start: exit.Started, End: exit.Ended}, because(err, exit.Orphan)
}

// ping asks the link for a sign of life. There a timeout means that the host
// does not answer.
func (r *Runner) ping(ctx context.Context, t sshmux.Target, e alf.Execution) (alf.Exit, error) {
	pinged := ctx
	if e.Limit > 0 {
		var cancel context.CancelFunc
		pinged, cancel = context.WithTimeoutCause(ctx, e.Limit, fmt.Errorf("no sign of life within %s", e.Limit))
		defer cancel()
	}
	_, err := r.mux.Ping(pinged, t)
	if err != nil && ctx.Err() == nil && pinged.Err() != nil {
		return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Err: context.Cause(pinged)}
	}
	return alf.Exit{}, because(err, false)
}

// target says where h is and as whom to log in.
func target(h *alf.Host) sshmux.Target {
	return login(h).Seal()
}

func login(h *alf.Host) sshmux.Target {
	t := sshmux.Target{
		Name: string(h.Name),
		Addr: net.JoinHostPort(h.Address, strconv.Itoa(h.SSH.Port)),
		User: h.SSH.User, IdentityFiles: h.SSH.IdentityFiles, Agent: h.SSH.Agent,
		Passphrase: string(h.SSH.Passphrase), CertificateFiles: h.SSH.Certificates,
		Password: string(h.SSH.Password), HostKeyAlias: h.SSH.HostKeyAlias,
		KnownHosts: h.SSH.KnownHosts, HostKeyPolicy: sshmux.HostKeyPolicy(h.SSH.HostKeyPolicy),
		MaxSessions: h.SSH.MaxSessions, ConnectTimeout: h.SSH.ConnectTimeout,
		Gateway: h.SSH.Gateway,
	}
	if h.SSH.Via != nil {
		via := login(h.SSH.Via)
		t.Via = &via
	}
	return t
}

var causes = map[sshmux.Kind]alf.Cause{
	sshmux.Transport: alf.CauseTransport,
	sshmux.Auth:      alf.CauseAuth,
	sshmux.HostKey:   alf.CauseHostKey,
	sshmux.Timeout:   alf.CauseTimeout,
	sshmux.Config:    alf.CauseConfig,
}

// because turns an error of sshmux into Alf's words.
func because(err error, orphan bool) error {
	if err == nil {
		return nil
	}
	var e *sshmux.Error
	if !errors.As(err, &e) {
		return &alf.RunError{Cause: alf.CauseTransport, Err: err, Orphan: orphan}
	}
	return &alf.RunError{Cause: causes[e.Kind], Phase: e.Phase.String(), Err: e, Orphan: orphan}
}
