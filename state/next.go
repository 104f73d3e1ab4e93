package state

import (
	"time"

	"alf"
)

// Around is what a judgement needs to know besides the service itself.
type Around struct {
	Now time.Time
	// Host is the state of a service's host; nil: not known, which counts as UP.
	Host *alf.State
	// Parents are the states of a host's parents.
	Parents []alf.State
	// CutOff says that the only way to what is checked leads through a host that is not UP: a
	// bastion, which tells of it.
	CutOff bool
	// Started is when Alf began to look; nothing was late before.
	Started time.Time
	// Running says that the check is being run, or waits for its host: a new result
	// comes soon, and until then the last one is not too old.
	Running bool
	Times   *Times      // nil: it is due whenever its interval is over
	Result  *alf.Result // the last one that there was, if Times has a schedule; nil: none yet
}

// Times is when a service is checked, if not all the time.
type Times struct {
	Schedule alf.Schedule // nil: every interval
	Period   alf.Period   // check_period; nil: always
	// Up is since when Alf runs. A result that was due before may have waited
	// for that.
	Up time.Time
}

// Open reports whether a service may be run at now as far as its check_period
// goes.
func (t *Times) Open(now time.Time) bool {
	return t == nil || t.Period == nil || t.Period.Contains(now)
}

// Opens returns the first time from at on at which it may be; zero: never.
func (t *Times) Opens(at time.Time) time.Time {
	if t.Open(at) {
		return at
	}
	return t.Period.Next(at)
}

// Scheduled reports whether there is a schedule.
func (t *Times) Scheduled() bool { return t != nil && t.Schedule != nil }

// Slot returns the first slot of the schedule after a time, and within
// check_period; zero: none.
func (t *Times) Slot(after time.Time) time.Time {
	return alf.NextWithin(t.Schedule, t.Period, after)
}

// hostUp reports whether the host of a service can run its plugin.
func (a Around) hostUp() bool { return a.Host == nil || a.Host.Status == alf.Up }

// reachable reports whether the network lets Alf see the host: it has no
// parents, or one of them is UP (RULES H2).
func (a Around) reachable() bool {
	for _, p := range a.Parents {
		if p.Status == alf.Up {
			return true
		}
	}
	return len(a.Parents) == 0
}

// Next returns the state that r leads to from prev, and what is new in it. It
// follows Nagios (RULES 1 to 3); a result that does not judge only marks the
// state stale (RULES T1), and so does the loss of a link of which a bastion tells
// (RULES T2).
func Next(s *alf.Service, prev alf.State, r *alf.Result, around Around) (alf.State, alf.Change) {
	if !Judges(s, r) || s.IsLink() && r.Cause == alf.CauseTransport && around.CutOff {
		return stale(prev, r.Cause, r.Output, around.Now)
	}
	next := prev
	next.Status = status(s, r, around)
	next.MaxAttempts = s.MaxAttempts
	next.LastCheck, next.Output = r.End, r.Output
	next.Stale = alf.Stale{}
	next.HostProblem = false
	switch {
	case next.Status == alf.OK:
		next.Type, next.Attempt, next.LastOK = alf.Hard, 1, r.End
	case !s.Key.IsHost() && !around.hostUp():
		// Retrying would tell nothing: the host is the problem (RULES R10).
		next.Type, next.Attempt, next.HostProblem = alf.Hard, behindHost(s, prev), true
	case s.Key.IsHost() && r.Source == alf.Passive && !s.SoftPassive:
		next.Type, next.Attempt = alf.Hard, 1 // RULES H4
	default:
		next.Type, next.Attempt = problem(s, prev)
	}
	next, change := settle(prev, next, around.Now)
	if s.Volatile && next.Problem() {
		change |= alf.ChangeHard
	}
	if change == 0 && s.Stalking[next.Status&3] && next.Output != prev.Output {
		change = alf.ChangeOutput
	}
	next, dropped := unacknowledged(next, change)
	change |= dropped
	flap, flapping := flap(s, next, around.Now)
	next.Flap = flap
	next, began := flexible(next, change, around.Now)
	return next, change | flapping | began
}

// Judges reports whether r says anything about s (RULES T1, T2). A plugin's
// answer always does. What is checked by the link itself is also judged by what
// is wrong with that: a host by a link that is lost, but not by a refused login
// or key, which are no fault of the host and leave it stale; the service that
// stands for the link beside another host check by all three, for nobody else
// would tell of them. What Alf could not even try judges nothing.
func Judges(s *alf.Service, r *alf.Result) bool {
	switch {
	case r.Cause.Judges():
		return true
	case s.IsLink():
		return r.Cause.OfLink()
	}
	return s.Builtin == alf.CheckSSH && r.Cause == alf.CauseTransport
}

// status is what r says: of a host, return codes 0 and 1 mean UP (RULES H1),
// and DOWN is UNREACHABLE behind parents that are not UP (RULES H2).
func status(s *alf.Service, r *alf.Result, around Around) alf.Status {
	switch {
	case !s.Key.IsHost():
		return r.Status
	case r.Source == alf.Passive && r.Status <= alf.Unreachable:
		return r.Status // who submits it says what the host is
	case r.Status <= alf.Warning:
		return alf.Up
	case around.CutOff || !around.reachable():
		return alf.Unreachable
	}
	return alf.Down
}

// problem returns type and attempt of a state that is not OK (RULES R2 to R5).
func problem(s *alf.Service, prev alf.State) (alf.StateType, int) {
	attempt := 1
	switch {
	case prev.Pending() || prev.Status == alf.OK:
	case prev.Type == alf.Hard: // stays hard, whichever problem it is now
		return alf.Hard, hardAttempt(s, prev)
	default:
		attempt = prev.Attempt + 1
	}
	if attempt >= s.MaxAttempts {
		return alf.Hard, s.MaxAttempts
	}
	return alf.Soft, attempt
}

// behindHost returns the attempt of a problem behind a host that is not UP. As
// Nagios has it, that of a problem which is new is 1, though it is HARD.
func behindHost(s *alf.Service, prev alf.State) int {
	switch {
	case prev.Pending() || prev.Status == alf.OK:
		return 1
	case prev.Type == alf.Soft:
		return s.MaxAttempts
	}
	return hardAttempt(s, prev)
}

// hardAttempt returns the attempt of a problem that goes on being HARD: the last,
// whatever max_check_attempts is by now, unless it never was retried.
func hardAttempt(s *alf.Service, prev alf.State) int {
	if prev.Attempt == 1 {
		return 1
	}
	return s.MaxAttempts
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
func stale(prev alf.State, cause alf.Cause, output string, now time.Time) (alf.State, alf.Change) {
	next := prev
	next.Stale = alf.Stale{Cause: cause, Since: prev.Stale.Since, Output: output}
	if next.Stale.Since.IsZero() {
		next.Stale.Since = now
	}
	if prev.Stale.IsZero() || prev.Stale.Cause != cause {
		return next, alf.ChangeStale
	}
	return next, 0
}

// unacknowledged drops an acknowledgement that a change makes void: a sticky one
// at OK or UP, another at any change of the status (RULES N21).
func unacknowledged(next alf.State, change alf.Change) (alf.State, alf.Change) {
	if next.Ack == nil || next.Status != alf.OK && (next.Ack.Sticky || !change.Has(alf.ChangeStatus)) {
		return next, 0
	}
	next.Ack = nil
	return next, alf.ChangeUnack
}
