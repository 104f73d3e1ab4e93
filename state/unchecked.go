package state

import (
	"time"

	"alf"
)

// Unchecked returns what is left of prev, and of the last result that there was,
// under the settings of s, which may be other ones than those that led to it; what
// is new in it; and whether anything was dropped. That nothing new is known does
// not hold of what is not run any more, nor that a link is lost of what needs none.
// A host that nothing checks any more is assumed to be UP (RULES H1), unless
// somebody submitted what is known.
func Unchecked(s *alf.Service, prev alf.State, last *alf.Result, now time.Time) (alf.State, *alf.Result, alf.Change, bool) {
	next, change := prev, alf.Change(0)
	beside := s.On == nil && s.Builtin == ""
	if !prev.Stale.IsZero() && (!s.Scheduled() || beside && prev.Stale.Cause.OfLink()) {
		next.Stale, change = alf.Stale{}, alf.ChangeFresh
	}
	if s.Builtin == alf.CheckNone && !prev.Pending() && last != nil && last.Source == alf.Active {
		next, cleared := assumed(next, now)
		return next, nil, change | cleared, true
	}
	if change != 0 && last != nil && !last.Cause.Judges() {
		last = judged(prev)
	}
	return next, last, change, change != 0
}

// assumed returns the state of a host that is taken to be UP from now on.
func assumed(prev alf.State, now time.Time) (alf.State, alf.Change) {
	next := prev
	next.Status, next.Type, next.Attempt, next.MaxAttempts = alf.Up, alf.Hard, 1, 1
	next.Output, next.LastCheck, next.Flap = "", time.Time{}, alf.Flap{}
	next, change := settle(prev, next, now)
	next, dropped := unacknowledged(next, change)
	change |= dropped
	if prev.Flap.On {
		change |= alf.ChangeCalm
	}
	return next, change
}

// judged returns a result that stands for the one that led to st, of which no more
// is known; nil: there was none.
func judged(st alf.State) *alf.Result {
	if st.Pending() {
		return nil
	}
	at := st.LastCheck
	return &alf.Result{Status: st.Status, ReturnCode: int(st.Status), Output: st.Output, Due: at, Start: at, End: at}
}
