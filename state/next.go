package state

import (
	"time"

	"alf"
)

// Around is what a judgement needs to know besides the service itself.
type Around struct {
	Now time.Time
}

// Next returns the state that r leads to from prev, and what is new in it. It
// follows Nagios (RULES R1 to R9, for hosts H1) in whether a state is SOFT or
// HARD and in the attempts; a result that does not judge only marks the state
// stale (RULES T1).
func Next(s *alf.Service, prev alf.State, r *alf.Result, around Around) (alf.State, alf.Change) {
	if !Judges(s, r) {
		return stale(prev, r, around.Now)
	}
	next := prev
	next.Status = status(s, r)
	next.MaxAttempts = s.MaxAttempts
	next.LastCheck, next.Output = r.End, r.Output
	next.Stale = alf.Stale{}
	if next.Status == alf.OK {
		next.Type, next.Attempt, next.LastOK = alf.Hard, 1, r.End
	} else {
		next.Type, next.Attempt = problem(s, prev)
	}
	next, change := settle(prev, next, around.Now)
	if s.Volatile && next.Problem() {
		change |= alf.ChangeHard
	}
	return next, change
}

// Judges reports whether r says anything about s. Besides a plugin's answer, a
// host that is checked by its link is judged by that link's failures, but not
// by a refused login or key: those are no fault of the host (RULES T2).
func Judges(s *alf.Service, r *alf.Result) bool {
	return r.Cause.Judges() || s.Builtin == alf.CheckSSH && r.Cause == alf.CauseTransport
}

// status is what r says: of a host, return codes 0 and 1 mean UP (RULES H1).
func status(s *alf.Service, r *alf.Result) alf.Status {
	switch {
	case !s.Key.IsHost():
		return r.Status
	case r.Status <= alf.Warning:
		return alf.Up
	}
	return alf.Down
}

// problem returns type and attempt of a state that is not OK (RULES R2 to R5).
func problem(s *alf.Service, prev alf.State) (alf.StateType, int) {
	attempt := 1
	switch {
	case prev.Pending() || prev.Status == alf.OK:
	case prev.Type == alf.Hard: // stays hard, whichever problem it is now
		return alf.Hard, s.MaxAttempts
	default:
		attempt = prev.Attempt + 1
	}
	if attempt >= s.MaxAttempts {
		return alf.Hard, s.MaxAttempts
	}
	return alf.Soft, attempt
}

// settle fills in the times and says what changed.
func settle(prev, next alf.State, now time.Time) (alf.State, alf.Change) {
	var change alf.Change
	if prev.Pending() || next.Status != prev.Status {
		change |= alf.ChangeStatus
		next.LastChange = now
	}
	if prev.Pending() || next.Type != prev.Type {
		change |= alf.ChangeType
	}
	if next.Type == alf.Hard {
		if next.Status != prev.LastHard {
			change |= alf.ChangeHard
		}
		if change.Has(alf.ChangeHard) || prev.LastHardChange.IsZero() {
			next.LastHardChange = now
		}
		next.LastHard = next.Status
	}
	if !prev.Stale.IsZero() {
		change |= alf.ChangeFresh
	}
	return next, change
}

// stale keeps all that prev says and notes why nothing new is known.
func stale(prev alf.State, r *alf.Result, now time.Time) (alf.State, alf.Change) {
	next := prev
	next.Stale = alf.Stale{Cause: r.Cause, Since: prev.Stale.Since, Output: r.Output}
	if next.Stale.Since.IsZero() {
		next.Stale.Since = now
	}
	if prev.Stale.IsZero() || prev.Stale.Cause != r.Cause {
		return next, alf.ChangeStale
	}
	return next, 0
}
