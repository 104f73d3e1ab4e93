package alf

import "time"

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

	Stale Stale
}

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
