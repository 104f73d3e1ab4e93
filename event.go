package alf

import (
	"slices"
	"strings"
	"time"
)

// ID numbers events in the order of the journal, from 1. 0 is before the first.
type ID uint64

// Kind says what made an event.
type Kind uint8

// The kinds of events.
const (
	KindResult  Kind = iota // a check ended, or a result was submitted
	KindCommand             // a person or a script ordered something
	KindTick                // time passed: something began, ended or became stale
	KindRemoved             // the key left the configuration
	KindDaemon              // Alf itself started, stopped, read its configuration or ran what a person wanted; the Key is empty
)

var kinds = [...]string{"result", "command", "tick", "removed", "daemon"}

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, bool) {
	i := slices.Index(kinds[:], name)
	return Kind(max(i, 0)), i >= 0
}

// String returns the kind as the API writes it.
func (k Kind) String() string { return kinds[k%Kind(len(kinds))] }

// Change is the set of what is new in an event's State.
type Change uint16

// What may change.
const (
	ChangeStatus      Change = 1 << iota // another status
	ChangeType                           // soft became hard, or hard soft
	ChangeHard                           // another hard status: what people are told about
	ChangeStale                          // nothing new is known any more, or for another cause
	ChangeFresh                          // no longer stale
	ChangeAck                            // acknowledged
	ChangeUnack                          // no longer acknowledged
	ChangeFlapping                       // flapping
	ChangeCalm                           // no longer flapping
	ChangePlanned                        // a downtime was ordered
	ChangeDowntime                       // a downtime began
	ChangeDowntimeEnd                    // a downtime came to its end
	ChangeCancelled                      // a downtime was cancelled; with ChangeDowntimeEnd, one that had begun
	ChangeComment                        // a comment was added or deleted
	ChangeSwitch                         // something was switched off or on
	ChangeOutput                         // another output, though nothing else is new (stalking_options)
)

var changes = [...]string{"status", "type", "hard", "stale", "fresh", "acknowledged", "unacknowledged", "flapping", "calm",
	"downtime planned", "downtime", "downtime end", "downtime cancelled", "comment", "switch", "output"}

// Has reports whether all of o is in c.
func (c Change) Has(o Change) bool { return c&o == o }

// Strings returns the names of what changed, in a fixed order.
func (c Change) Strings() []string {
	var out []string
	for i, name := range changes {
		if c&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// String returns the names of what changed, joined by commas.
func (c Change) String() string { return strings.Join(c.Strings(), ",") }

// Event is one line of the journal: what happened and the State it led to.
// Events are immutable and shared by pointer.
type Event struct {
	ID     ID // set by the record
	Time   time.Time
	Key    Key
	Kind   Kind
	Change Change
	State  State
	Result *Result // the last one that there was, so that a head is whole; nil: none yet

	NextCheck time.Time     // when the key is due next, as known at the time; zero: not planned
	Interval  time.Duration // check_interval of the key at the time

	Author string // who ordered it; empty: nobody did
	Text   string // what a command or Alf itself has to say, in one line
}

// Judged reports whether the key was judged anew: by a result, or, at that very
// moment, because none had come for too long.
func (e *Event) Judged() bool {
	switch e.Kind {
	case KindResult:
		return e.State.Stale.IsZero() && !e.State.Pending()
	case KindTick:
		return e.State.LastCheck.Equal(e.Time)
	}
	return false
}

// Logged reports whether e belongs into the log, which is kept much longer than
// results: it says more than that all is as it was. Every attempt of a problem
// that is still being retried does, as in the log of Nagios; not that there still
// is no answer, or no result.
func (e *Event) Logged() bool {
	if e.Change == 0 && e.Text == "" && (e.Kind == KindResult || e.Kind == KindTick) {
		return e.State.Type == Soft && e.Judged()
	}
	return true
}

// The first words of what Alf says of itself when it starts and stops. Between a
// stop, or else the State.LastCheck of a start, and that start it did not run.
const (
	Started = "started" // and its version
	Stopped = "stopped"
)

// Starts reports whether e says that Alf started.
func (e *Event) Starts() bool { return e.says(Started) }

// Stops reports whether e says that Alf stopped.
func (e *Event) Stops() bool { return e.says(Stopped) }

func (e *Event) says(what string) bool {
	first, _, _ := strings.Cut(e.Text, " ")
	return e.Kind == KindDaemon && first == what
}

// Entry returns e as it stands in the log: without the result, unless it removes
// its key: then that is all that is left of it, should the key come back.
func (e *Event) Entry() *Event {
	entry := *e
	if e.Kind != KindRemoved {
		entry.Result = nil
	}
	return &entry
}
