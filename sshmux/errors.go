package sshmux

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says who has to act on an Error.
type Kind uint8

// The kinds of errors.
const (
	Transport Kind = iota + 1 // the host or the network between is unreachable, slow or gone; or the caller gave up waiting for it
	Auth                      // the account: the login was refused, or it does not run commands
	HostKey                   // the host's key is unknown, changed or revoked
	Timeout                   // the command was killed because its Timeout or the context's deadline had passed
	Config                    // what the caller gave: an unreadable key file, a bad known_hosts line, a command that is impossible or that the host's gateway does not allow
)

// String returns the kind in one lower-case word.
func (k Kind) String() string {
	names := [...]string{"unknown", "transport", "auth", "hostkey", "timeout", "config"}
	if int(k) < len(names) {
		return names[k]
	}
	return names[0]
}

// Phase says how far things had come when an Error happened.
type Phase string

// The phases, in their order.
const (
	PhaseResolve Phase = "resolve" // looking up the host's address
	PhaseDial    Phase = "dial"    // waiting for a turn, and opening the network connection
	PhaseBanner  Phase = "banner"  // waiting for the host to greet as an SSH server
	PhaseKex     Phase = "kex"     // key exchange
	PhaseHostKey Phase = "hostkey" // checking the host's key
	PhaseAuth    Phase = "auth"    // logging in
	PhaseQueue   Phase = "queue"   // waiting for one of the link's sessions
	PhaseOpen    Phase = "open"    // opening a session
	PhaseExec    Phase = "exec"    // starting the command
	PhaseOutput  Phase = "output"  // waiting for its output and its end
)

// String returns the phase.
func (p Phase) String() string { return string(p) }

// Phases lists all phases in their order.
func Phases() []Phase {
	return []Phase{PhaseResolve, PhaseDial, PhaseBanner, PhaseKex, PhaseHostKey, PhaseAuth, PhaseQueue, PhaseOpen, PhaseExec, PhaseOutput}
}

// Error says why a command has no result. It never holds a password, an environment or a
// command line.
type Error struct {
	Kind  Kind
	Phase Phase
	Name  string    // Target.Name
	Addr  string    // Target.Addr
	Retry time.Time // when the link may be dialled again, if that is not at once
	Err   error

	penalty int  // what sshd's PerSourcePenalties may charge for it, in seconds
	full    bool // the host had no room for one more connection
}

// Error returns the host, the phase and the cause, and when the next attempt may be made.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ssh %s", e.Name)
	if e.Name != e.Addr {
		fmt.Fprintf(&b, " (%s)", e.Addr)
	}
	fmt.Fprintf(&b, ": %s: %s", e.Phase, strings.ReplaceAll(e.Err.Error(), "\n", "; "))
	if !e.Retry.IsZero() {
		fmt.Fprintf(&b, "; next attempt at %s", e.Retry.Format(time.TimeOnly))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrClosed is the cause of an Error after Mux.Close.
var ErrClosed = errors.New("closed")

var (
	errSilent   = errors.New("no sign of life")
	errUnwanted = errors.New("no longer wanted")
	errSpent    = errors.New("the host keeps its sessions for commands that have ended or were never begun")
	errUnsent   = errors.New("the host closes each session before it takes the command")
	// errLost marks the loss of a connection before the command was sent, so that another
	// connection may be tried.
	errLost = errors.New("connection lost")
	errIdle = errors.New("no command has run over it for so long")
)

// SilenceError is the cause of an Error of PingWithin.
type SilenceError struct{ Limit time.Duration }

// Error says how long it was silent.
func (e *SilenceError) Error() string { return fmt.Sprintf("no sign of life within %s", e.Limit) }

// fail returns an Error about the target.
func (t Target) fail(k Kind, p Phase, err error) *Error {
	return &Error{Kind: k, Phase: p, Name: t.name(), Addr: t.Addr, Err: err}
}

// clean returns what a host has said as one printable line of at most 200 bytes.
func clean(said []byte) string {
	const limit = 200
	var b strings.Builder
	space := false
	for len(said) > 0 && b.Len() < limit {
		r, n := utf8.DecodeRune(said)
		said = said[n:]
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case r == utf8.RuneError || !unicode.IsPrint(r):
			r = '?'
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	if len(strings.TrimSpace(string(said))) > 0 {
		b.WriteString("...")
	}
	return b.String()
}
