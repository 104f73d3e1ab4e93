package state

import (
	"fmt"
	"strings"
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
	case around.Times.Scheduled():
		return overdue(s, st, around)
	case s.Freshness > 0 && !st.Off.Has(alf.SwitchPassive):
		old := around.Times.expected(last, s.Freshness)
		if old.IsZero() || around.Now.Before(old) {
			return st, 0, old
		}
		if around.Running {
			return st, 0, around.Now.Add(s.Freshness)
		}
		next, change := Next(s, st, missing(fmt.Sprintf("No result for %v", s.Freshness), around.Now), around)
		return next, change, around.Now.Add(s.Freshness)
	case s.Scheduled() && s.Interval > 0 && st.Stale.IsZero() && !st.Off.Has(alf.SwitchChecks):
		late := around.Times.expected(last, 2*s.Interval+s.Timeout)
		if late.IsZero() || around.Now.Before(late) {
			return st, 0, late
		}
		if around.Running {
			return st, 0, around.Now.Add(s.Interval)
		}
		next, change := stale(st, alf.CauseLate, "not checked since "+local(last), around.Now)
		return next, change, time.Time{}
	}
	return st, 0, time.Time{}
}

// expected returns until when a result may take that is due within so long after
// the last one. Where that is outside check_period, it may take as long from
// when the period begins again; zero: it is never missed.
func (t *Times) expected(last time.Time, within time.Duration) time.Time {
	at := last.Add(within)
	if t.Open(at) {
		return at
	}
	open := t.Opens(at)
	if open.IsZero() || !t.Open(open.Add(within)) {
		return time.Time{}
	}
	return open.Add(within)
}

// overdue makes a problem of a slot of the schedule that has passed, and its
// grace with it, while no result came of a run that began then or later. What
// people have switched off is not expected.
func overdue(s *alf.Service, st alf.State, around Around) (alf.State, alf.Change, time.Time) {
	off := alf.SwitchChecks
	if s.Passive {
		off = alf.SwitchPassive
	}
	if s.Freshness == 0 || st.Off.Has(off) {
		return st, 0, time.Time{}
	}
	slot := around.Times.Slot(later(began(st, around.Result), around.Started))
	if slot.IsZero() {
		return st, 0, slot
	}
	if due := later(slot, around.Times.Up).Add(s.Freshness); around.Now.Before(due) {
		return st, 0, due
	}
	if around.Running {
		return st, 0, around.Now.Add(s.Freshness)
	}
	next, change := Next(s, st, missing(missed(st, around.Result, slot), around.Now), around)
	if slot = around.Times.Slot(around.Now); slot.IsZero() {
		return next, change, slot
	}
	return next, change, slot.Add(s.Freshness)
}

// began returns when the run began whose result judged st last; zero: none did.
func began(st alf.State, last *alf.Result) time.Time {
	if last != nil && last.Cause.Judges() && last.End.Equal(st.LastCheck) {
		return last.Start
	}
	return st.LastCheck
}

// missed says which result did not come, and since when none has. What stands for
// one that did not come before is none.
func missed(st alf.State, last *alf.Result, slot time.Time) string {
	const then = ", one was due at "
	since, _, again := strings.Cut(st.Output, then)
	switch {
	case again && strings.HasPrefix(since, "no result "):
	case last == nil:
		since = "no result yet"
	default:
		since = "no result since " + local(last.End)
	}
	return since + then + local(slot)
}

// local writes t as people read it where Alf runs.
func local(t time.Time) string { return t.Local().Format(time.DateTime) }

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
