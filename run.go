package alf

import (
	"context"
	"io"
	"time"
)

// Execution asks for a command to be run somewhere.
type Execution struct {
	Host *Host // where; nil: beside Alf

	Argv   []string // never read by a shell; empty: only bring the link up and ask for a sign of life
	Shell  string   // instead of Argv: a command line for /bin/sh -c
	Script string   // a plugin of Alf's by name, or a file: sent over stdin, Argv are its arguments
	Path   []string // directories searched before PATH for the first word
	Env    []string // "NAME=value"; never seen in a process list
	Dir    string

	Stdin          io.Reader     // nil: empty
	Stdout, Stderr io.Writer     // must bound themselves; nil: dropped
	Limit          time.Duration // from the start of the command, not in a queue; 0: only ctx
	Ordered        bool          // by a person: try now, whatever pause a failure has called for
	Priority       Priority      // among those that wait for the same host
}

// Priority says who goes first where commands have to wait. Those that are
// overtaken get their turn all the same.
type Priority uint8

// The priorities, the lowest first.
const (
	Scheduled Priority = iota // by a schedule of Alf's
	Gateway                   // another program waits for the answer
	AdHoc                     // a person does
)

// Exit is how a command ended by itself.
type Exit struct {
	Code   int
	Signal string // that killed it, without SIG; "" if it exited
	Start  time.Time
	End    time.Time
}

// Runner runs commands. Calls may overlap. The error is nil when the command
// ended by itself, whatever its return code; else it is a *RunError, whose
// Cause is never CausePlugin. When Run returns, the command has ended or its
// end could not be proven, which the error says.
type Runner interface {
	Run(ctx context.Context, e Execution) (Exit, error)
}

// RunError says why a command gave no answer.
type RunError struct {
	Cause Cause
	Phase string // dial, auth, exec ...; "" where there is only one
	Err   error  // says all of it

	Orphan bool // processes of the command may live on: it could not be proven that all have ended
}

// Error returns what went wrong.
func (e *RunError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *RunError) Unwrap() error { return e.Err }
