package alf

import (
	"strings"
	"time"
)

// StateType tells a problem that is still being retried from a settled one.
type StateType uint8

// The state types (RULES 1).
const (
	Soft StateType = iota
	Hard
)

// String returns "SOFT" or "HARD".
func (t StateType) String() string {
	if t == Hard {
		return "HARD"
	}
	return "SOFT"
}

// State is what Alf believes of a Key. The zero State is pending: no result has
// judged it yet. Only package state makes new ones, from old ones.
type State struct {
	Status      Status
	Type        StateType
	Attempt     int    // 1..MaxAttempts; 0: pending
	MaxAttempts int    // max_check_attempts when it was judged
	LastHard    Status // the last hard status; OK or UP before the first one
	Output      string // the first line of the last result that judged

	LastCheck      time.Time // end of the last result that judged
	LastChange     time.Time // when Status last changed
	LastHardChange time.Time // when a hard status last changed
	LastOK         time.Time // end of the last result that was OK or UP

	Stale       Stale
	HostProblem bool   // of a service: its host was not UP when it was last judged (RULES R10)
	Off         Switch // what people have switched off

	Flap      Flap
	Ack       *Ack        // nil: not acknowledged
	Downtimes []*Downtime // all that are planned or in effect, in the order of their entry
	Comments  []*Comment  // oldest first
}

// Switch is a set of things that people can switch off for a key.
type Switch uint8

// The switches.
const (
	SwitchChecks        Switch = 1 << iota // it is not run by itself
	SwitchPassive                          // submitted results are refused
	SwitchNotifications                    // nobody is told
	SwitchFlapping                         // flapping is not looked for
)

var switches = [...]string{"checks", "passive results", "notifications", "flap detection"}

// Strings returns the names of what is in s, in a fixed order.
func (s Switch) Strings() []string {
	var names []string
	for i, name := range switches {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names of what is in s, joined by commas.
func (s Switch) String() string { return strings.Join(s.Strings(), ", ") }

// Has reports whether all of o is in s.
func (s Switch) Has(o Switch) bool { return s&o == o }

// Flap is what is known of how restless a key is (RULES 3).
type Flap struct {
	// History has the last 21 statuses that count, two bits each, the newest
	// lowest. Before the first one all were OK.
	History uint64
	Percent float32   // of changes in History, the newer ones weighing more
	On      bool      // it is flapping
	Updated time.Time // when History last grew; only hosts need it
}

// Ack is the acknowledgement of a problem: somebody takes care of it. It is
// immutable.
type Ack struct {
	ID      string // of the command
	Author  string
	Text    string
	Time    time.Time
	Sticky  bool      // it stays until the state is OK or UP; else until the status changes (RULES N21)
	Expires time.Time // zero: never
}

// Downtime is a time in which problems are expected. It is immutable.
type Downtime struct {
	ID     string // of the command that ordered it, for all keys that it covers
	Author string
	Text   string
	Time   time.Time // when it was ordered
	Start  time.Time
	End    time.Time
	// Duration is for how long a flexible downtime lasts once a problem begins
	// it between Start and End; 0: it is fixed, from Start to End.
	Duration time.Duration
	Trigger  string    // ID of the downtime that it begins with; then Start and End are its window
	Began    time.Time // when it came into effect; zero: not yet
	// For is whom it is for, if hosts and services that are added later shall have it,
	// too; else zero.
	For Selector
}

// Flexible reports whether a problem, or another downtime, begins d.
func (d *Downtime) Flexible() bool { return d.Duration > 0 }

// Until returns when d ends: for one that waits for a problem, when it ends in
// vain.
func (d *Downtime) Until() time.Time {
	if d.Flexible() && !d.Began.IsZero() {
		return d.Began.Add(d.Duration)
	}
	return d.End
}

// Comment is what somebody noted. It is immutable.
type Comment struct {
	ID     string
	Author string
	Text   string
	Time   time.Time
}

// DowntimeDepth returns how many downtimes are in effect.
func (s State) DowntimeDepth() int {
	n := 0
	for _, d := range s.Downtimes {
		if !d.Began.IsZero() {
			n++
		}
	}
	return n
}

// Handled reports whether a problem needs nobody's attention any more: it is
// acknowledged or in downtime.
func (s State) Handled() bool { return s.Ack != nil || s.DowntimeDepth() > 0 }

// Stale says why and since when nothing new is known. The zero Stale: all is fresh.
type Stale struct {
	Cause  Cause
	Since  time.Time
	Output string // what was seen instead of an answer
}

// IsZero reports whether nothing is stale.
func (s Stale) IsZero() bool { return s.Since.IsZero() }

// Pending reports whether no result has judged the key yet.
func (s State) Pending() bool { return s.Attempt == 0 }

// Problem reports whether the state is hard and not OK or UP.
func (s State) Problem() bool { return s.Type == Hard && s.Status != OK && !s.Pending() }
