package checker

import (
	"cmp"
	"time"

	"alf"
	"alf/state"
)

// timesOf returns when s is checked, if it has a schedule or a check_period.
func (l *loop) timesOf(s *alf.Service) *state.Times {
	if s.Schedule == "" && s.CheckPeriod == "" {
		return nil
	}
	t := &state.Times{Up: l.up, Period: l.checked.Period(s.CheckPeriod)}
	if table := l.checked.Timetable(s.Schedule); table != nil {
		t.Schedule = table.Schedule
	}
	return t
}

// catchUp takes up a schedule where it was when Alf stopped: what was due since
// then is missed, unless people had switched it off.
func (l *loop) catchUp(it *item, head *alf.Event, now time.Time) {
	if !it.times.Scheduled() {
		return
	}
	// Of what never had a result, the record has since when Alf knows it.
	if it.since = it.state.LastCheck; it.since.IsZero() {
		it.since = head.Time
	}
	if head.Kind == alf.KindCommand && head.Change.Has(alf.ChangeSwitch) {
		it.since = head.Time
	}
	if it.service.Scheduled() && !head.NextCheck.IsZero() {
		l.stats.missed.Add(it.missed(head.NextCheck.Add(-1), now))
	}
}

// nextDue is nextDue for an item, within its times.
func (it *item) nextDue(end time.Time) time.Time {
	s := it.service
	switch {
	case !it.times.Scheduled():
		return it.within(nextDue(s, it.state, end), s.Interval)
	case !s.Scheduled():
		return time.Time{}
	}
	// A clock that was set back a little repeats no slot.
	if ahead := it.started.Sub(end); ahead > 0 && ahead < time.Hour {
		end = it.started
	}
	return it.slot(end, end.Add(s.Retry))
}

// firstDue is firstDue for an item, within its times. The slots of a schedule
// that have passed are not made up.
func (it *item) firstDue(planned, now time.Time) time.Time {
	s := it.service
	switch {
	case !it.times.Scheduled():
		return it.within(firstDue(s, it.state, planned, now), s.Interval)
	case !s.Scheduled():
		return time.Time{}
	}
	return it.slot(now, grid(s.Key, min(s.Retry, firstWithin), now))
}

// laterDue returns when it is due again that was not run at now.
func (it *item) laterDue(now time.Time) time.Time {
	s := it.service
	if it.times.Scheduled() {
		return it.times.Slot(now)
	}
	return it.within(grid(s.Key, cmp.Or(s.Interval, s.Retry), now), s.Interval)
}

// slot returns the first slot of the schedule after a time; of a SOFT or stale
// state, when it is retried, if that is earlier.
func (it *item) slot(after, retry time.Time) time.Time {
	st, slot := it.state, it.times.Slot(after)
	if soft := st.Type == alf.Soft && !st.Pending(); !soft && st.Stale.IsZero() {
		return slot
	}
	retry = it.within(retry, it.service.Retry)
	if retry.IsZero() || !slot.IsZero() && slot.Before(retry) {
		return slot
	}
	return retry
}

// within puts off what is due outside check_period to the first slot of its own
// when that begins again; zero: it never does. The slots that lie outside always
// become others in the first minutes, evenly spread.
func (it *item) within(due time.Time, interval time.Duration) time.Time {
	if due.IsZero() || it.times.Open(due) {
		return due
	}
	open := it.times.Opens(due)
	if open.IsZero() {
		return open
	}
	interval = cmp.Or(interval, firstWithin)
	for _, every := range [...]time.Duration{interval, min(interval, firstWithin)} {
		if at := grid(it.service.Key, every, open.Add(-1)); it.times.Open(at) {
			return at
		}
	}
	return open
}

// closed reports whether it, which is due, must wait for its check_period. What
// had to wait for others has a minute.
func (it *item) closed(due, now time.Time) bool {
	if it.times.Open(now) || it.times.Open(due) && now.Sub(due) < time.Minute {
		return false
	}
	return !it.forced || it.ordered.IsZero() || now.Before(it.ordered)
}

// orderedFor returns when it is to be run because somebody ordered that; zero:
// nobody did. What is not forced waits for check_period.
func (it *item) orderedFor() time.Time {
	if it.forced || it.ordered.IsZero() {
		return it.ordered
	}
	return it.times.Opens(it.ordered)
}

// maxMissed bounds how many missed slots of a schedule are counted at once.
const maxMissed = 1000

// missed returns how many slots of it passed between due and now.
func (it *item) missed(due, now time.Time) (n uint64) {
	if !it.times.Scheduled() {
		return missed(it.service, due, now)
	}
	for n < maxMissed {
		if due = it.times.Slot(due); due.IsZero() || due.After(now) {
			break
		}
		n++
	}
	return n
}
