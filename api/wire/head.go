package wire

import (
	"time"

	"alf"
)

// Pending is the state of what has never been checked.
const Pending = "PENDING"

// Head is what is known of a host or a service.
type Head struct {
	State               string     `json:"state" xml:"state"`           // CRITICAL, UP ... or PENDING
	StateCode           *int       `json:"state_code" xml:"state_code"` // 0 to 3, of a host 0 to 2; null while pending
	StateType           string     `json:"state_type" xml:"state_type"` // SOFT or HARD
	Attempt             int        `json:"attempt" xml:"attempt"`
	MaxCheckAttempts    int        `json:"max_check_attempts" xml:"max_check_attempts"`
	Pending             bool       `json:"pending" xml:"pending"`
	LastCheck           *time.Time `json:"last_check" xml:"last_check"`
	LastStateChange     *time.Time `json:"last_state_change" xml:"last_state_change"`
	LastHardStateChange *time.Time `json:"last_hard_state_change" xml:"last_hard_state_change"`
	NextCheck           *time.Time `json:"next_check" xml:"next_check"`
	Held                *Held      `json:"held" xml:"held"`                 // what keeps it from being run by itself; null: nothing
	Schedule            string     `json:"schedule" xml:"schedule"`         // cron expressions and their zone; empty: it is due every check_interval
	CheckPeriod         string     `json:"check_period" xml:"check_period"` // timeperiod outside which it is not checked by itself; empty: always
	Stale               *Stale     `json:"stale" xml:"stale"`
	Handling
	Outcome
}

// Stale says why and since when nothing new is known.
type Stale struct {
	Cause  string    `json:"cause" xml:"cause"` // transport, auth, hostkey, config or late
	Since  time.Time `json:"since" xml:"since"`
	Output Text      `json:"output" xml:"output"` // what was seen instead of an answer
}

// StateOf returns the state of s, whose newest event is head, or nil. A host
// that nothing checks is assumed to be UP.
func StateOf(s *alf.Service, head *alf.Event) alf.State {
	var st alf.State
	if head != nil {
		st = head.State
	}
	switch {
	case !st.Pending():
	case s.Builtin == alf.CheckNone:
		st.Status, st.Type, st.Attempt, st.MaxAttempts = alf.Up, alf.Hard, 1, 1
	default:
		st.MaxAttempts = s.MaxAttempts
	}
	return st
}

// StateName returns the name of st for the kind of object that key names, or
// Pending.
func StateName(key alf.Key, st alf.State) string {
	if st.Pending() {
		return Pending
	}
	return key.StatusName(st.Status)
}

func newHead(s *alf.Service, head *alf.Event) Head {
	st := StateOf(s, head)
	h := Head{
		State:               StateName(s.Key, st),
		StateCode:           stateCode(st),
		StateType:           st.Type.String(),
		Attempt:             st.Attempt,
		MaxCheckAttempts:    st.MaxAttempts,
		Pending:             st.Pending(),
		LastCheck:           moment(st.LastCheck),
		LastStateChange:     moment(st.LastChange),
		LastHardStateChange: moment(st.LastHardChange),
		Schedule:            s.Schedule,
		CheckPeriod:         s.CheckPeriod,
		Stale:               newStale(st.Stale),
		Handling:            newHandling(s.Key, st),
		Outcome:             newOutcome(nil),
	}
	if head != nil {
		h.NextCheck = moment(head.NextCheck)
		h.Outcome = newOutcome(head.Result)
	}
	if h.Stale != nil { // the last result is the failed link's, or from before
		h.Outcome.Output = Text(st.Output)
	}
	return h
}

// Hold says what keeps h from being run by itself, or nil: then no check is planned.
func (h *Head) Hold(by *Held) {
	if h.Held = by; by != nil {
		h.NextCheck = nil
	}
}

func stateCode(st alf.State) *int {
	if st.Pending() {
		return nil
	}
	code := int(st.Status)
	return &code
}

func newStale(s alf.Stale) *Stale {
	if s.IsZero() {
		return nil
	}
	return &Stale{s.Cause.String(), s.Since.UTC(), Text(s.Output)}
}
