// Package state says what a result, a command or time does to a state, and
// declares the interfaces of the record that keeps the events.
//
// Its functions are pure: no clock, no disk, no network. The rules are those of
// Nagios Core; RULES section 1 has them with their sources.
package state

import (
	"context"
	"iter"
	"time"

	"alf"
)

// Recorder makes events durable.
type Recorder interface {
	// Append makes events durable as one batch and sets their IDs. When it
	// returns nil, all of them are kept; on an error, only those with an ID are, and
	// the same events may be appended again, which doubles none. Only the checker
	// calls it.
	Append(ctx context.Context, events []*alf.Event) error
}

// Reader reads what Append has returned. Calls may overlap.
type Reader interface {
	// Heads yields the newest event of every key that is not removed, in no
	// order.
	Heads(ctx context.Context) iter.Seq2[*alf.Event, error]
	// Last returns the last n events of key that hold a new result, newest
	// first.
	Last(ctx context.Context, key alf.Key, n int) ([]*alf.Event, error)
}

// Log reads what changed, what people ordered and what Alf itself did: the events
// that are Logged. They are kept for much longer than results, and hold none, but
// for the last one of a key that was removed.
// Calls may overlap.
type Log interface {
	// Entries yields what scope takes in, oldest first, from since on and before
	// until; a zero time is no bound.
	Entries(ctx context.Context, scope Scope, since, until time.Time) iter.Seq2[*alf.Event, error]
	// At returns the newest entry of each of keys that is not newer than at, in
	// their order; nil where the log has none.
	At(ctx context.Context, at time.Time, keys ...alf.Key) ([]*alf.Event, error)
}

// Scope says whose entries are wanted. The zero Scope takes in all, those about
// Alf itself included.
type Scope struct {
	Key alf.Key
	// On takes in the services on the host Key.Host, too; Key.Service is empty.
	On bool
	// Self takes in only what is about Alf itself; Key is empty.
	Self bool
}

// Takes reports whether the entries of key are wanted.
func (s Scope) Takes(key alf.Key) bool {
	return s == Scope{} || s.Key == key || s.On && s.Key.Host == key.Host
}

// Start says where a consumer without a place begins.
type Start uint8

// The starts.
const (
	Now    Start = iota // with what is appended from now on
	Oldest              // with the oldest event that is kept
)

// Handler takes events in the order of the journal, all of them or none. It must
// not change them.
type Handler func(ctx context.Context, events []*alf.Event) error

// Feed hands events on. Calls may overlap; those of one handler never do.
type Feed interface {
	// Follow hands all events after the given one to h until ctx ends or h
	// returns an error, which it returns. It keeps no place.
	Follow(ctx context.Context, after alf.ID, h Handler) error
	// Consume hands events to h, going on where the consumer of that name
	// stopped; a new name starts at from. It returns when ctx ends, or the first
	// error of h: then its place is before the events that h did not take, which
	// the next call hands on again.
	Consume(ctx context.Context, name string, from Start, h Handler) error
	// Places returns the places of all consumers by name.
	Places(ctx context.Context) ([]Place, error)
	// Forget drops the place of a consumer that is gone for good.
	Forget(ctx context.Context, name string) error
}

// Place is how far a consumer has come.
type Place struct {
	Name    string
	Done    alf.ID // the last event that was taken
	Lag     uint64 // events that wait for it
	Dropped uint64 // events that the record let go before it came to them
}
