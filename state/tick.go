package state

import (
	"fmt"
	"time"

	"alf"
)

// Tick returns the state that time leads to from prev, what is new in it, and
// when time will do something again, if nothing else happens before; zero:
// never. Downtimes begin and end, acknowledgements expire, and what nobody hears
// of any more becomes stale.
func Tick(s *alf.Service, prev alf.State, around Around) (alf.State, alf.Change, time.Time) {
	next, change, at := timed(prev, around.Now)
	if a := next.Ack; a != nil && !a.Expires.IsZero() {
		if around.Now.Before(a.Expires) {
			at = earlier(at, a.Expires)
		} else {
			next.Ack = nil
			change |= alf.ChangeUnack
		}
	}
	next, aged, old := age(s, next, around)
	return next, change | aged, earlier(at, old)
}

// age looks at how old the last result is. If freshness is wanted, an old one
// turns UNKNOWN through the ordinary rules (RULES T3, N27). A check that Alf
// should have run is marked as late after twice its interval. Neither befalls one
// that is being run: Nagios leaves it alone, too.
func age(s *alf.Service, st alf.State, around Around) (alf.State, alf.Change, time.Time) {
	last := later(st.LastCheck, around.Started)
	switch {
	case s.Freshness > 0 && !st.Off.Has(alf.SwitchPassive):
		old := last.Add(s.Freshness)
		if around.Now.Before(old) {
			return st, 0, old
		}
		if around.Running {
			return st, 0, around.Now.Add(s.Freshness)
		}
		next, change := Next(s, st, missing(fmt.Sprintf("No result for %v", s.Freshness), around.Now), around)
		return next, change, around.Now.Add(s.Freshness)
	case s.Scheduled() && s.Interval > 0 && st.Stale.IsZero() && !st.Off.Has(alf.SwitchChecks):
		late := last.Add(2*s.Interval + s.Timeout)
		if around.Now.Before(late) {
			return st, 0, late
		}
		if around.Running {
			return st, 0, around.Now.Add(s.Interval)
		}
		next, change := stale(st, alf.CauseLate, fmt.Sprintf("not checked since %v", last.Format(time.RFC3339)), around.Now)
		return next, change, time.Time{}
	}
	return st, 0, time.Time{}
}

// missing is the result that stands for one that did not come.
func missing(output string, now time.Time) *alf.Result {
	return &alf.Result{
		Status: alf.Unknown, ReturnCode: int(alf.Unknown), Source: alf.Passive,
		Output: output, Due: now, Start: now, End: now,
	}
}

// Missing returns the result that stands for one that did not come, if Tick led
// from prev to next by it; else nil. It is what next shows: what was measured
// before is not so any more.
func Missing(prev, next alf.State) *alf.Result {
	if next.LastCheck.Equal(prev.LastCheck) {
		return nil
	}
	return missing(next.Output, next.LastCheck)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
