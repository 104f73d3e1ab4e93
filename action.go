package alf

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Action tells people, or a machine that tells them.
type Action interface {
	// Do returns nil when the message has arrived. After an error the same
	// message, with the same ID, comes again later, unless the error is
	// [ErrPermanent]. Calls never overlap. An error says nothing that is secret.
	Do(ctx context.Context, m *Message) error
}

// Message is what an action hands over at a time.
type Message struct {
	// ID is the same whenever the same message is handed over to the same action,
	// so that who gets it twice can tell.
	ID           string
	Attempt      int // from 1
	Notification *Notification
	// Answered, unless it is nil, is called with what the target answers, for people to
	// read, whether or not Do then returns an error. It says nothing that is secret.
	Answered func(text string)
}

// ErrPermanent is in the error of a Do that would fail again and again.
var ErrPermanent = errors.New("it would fail again")

// RetryAfter is in the error of a Do whose target said when to come again.
type RetryAfter struct{ Wait time.Duration }

// Error implements error.
func (r *RetryAfter) Error() string { return fmt.Sprintf("told to come again in %v", r.Wait) }

// Partly is in the error of a Do whose message has arrived, but not everywhere. It
// does not come again.
type Partly struct{ Err error }

// Error implements error.
func (p *Partly) Error() string { return p.Err.Error() }

// Unwrap returns why it has not arrived where it has not.
func (p *Partly) Unwrap() error { return p.Err }

// Refresher is an Action whose target takes a problem for over when it has not heard
// of it for a while.
type Refresher interface {
	Action
	// Refresh returns how often the target is to hear of all problems that last.
	Refresh() time.Duration
	// Again tells what Do told before: problems that last, and for a while some that
	// are over. Of each key there is one at most. It never overlaps with Do.
	Again(ctx context.Context, told []*Notification) error
}

// ActionSpec is what [action.NAME] says of one kind of actions: a pointer to a
// struct. Its fields with a tag `alf:"KEY"` are filled in by the configuration;
// two that are deeply equal make the same action.
type ActionSpec interface {
	// Validate reports what is wrong with it; a [*KeyError] says with which key.
	// What is joined with errors.Join is told apart. Secrets may be [Redacted].
	Validate() error
	// New makes the action of that name. It does no I/O.
	New(name string) (Action, error)
}

// File is a file that a spec names, as it was when the configuration was read.
type File struct {
	Name string
	Data Secret // "": nobody opened it
}

// KeyError is what is wrong with the value of a key.
type KeyError struct {
	Key string
	Err error
}

// Error implements error.
func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *KeyError) Unwrap() error { return e.Err }

// ActionConfig is what [action.NAME] says.
type ActionConfig struct {
	Name string
	Type string // its kind
	// RetryFor is for how long a message is tried to be handed over.
	RetryFor time.Duration
	Spec     ActionSpec
	Where    Position
}
