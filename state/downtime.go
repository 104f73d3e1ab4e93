package state

import (
	"slices"
	"time"

	"alf"
)

// flexible begins the flexible downtimes that have waited for a problem, if one
// has become hard (RULES N22).
func flexible(st alf.State, change alf.Change, now time.Time) (alf.State, alf.Change) {
	if len(st.Downtimes) == 0 || !change.Has(alf.ChangeHard) || !st.Problem() {
		return st, 0
	}
	return begin(st, now, func(d *alf.Downtime) bool { return d.Flexible() && d.Trigger == "" && open(d, now) })
}

// open reports whether now is in the window of d.
func open(d *alf.Downtime, now time.Time) bool {
	return !now.Before(d.Start) && now.Before(d.End)
}

// begin begins those downtimes that are wanted and not yet in effect.
func begin(st alf.State, now time.Time, wanted func(*alf.Downtime) bool) (alf.State, alf.Change) {
	var change alf.Change
	for i, d := range st.Downtimes {
		if !d.Began.IsZero() || !wanted(d) {
			continue
		}
		if change == 0 {
			st.Downtimes = slices.Clone(st.Downtimes) // events share the other one
		}
		began := *d
		began.Began = now
		st.Downtimes[i] = &began
		change = alf.ChangeDowntime
	}
	return st, change
}

// Triggered begins the downtimes that wait for another one, which has begun.
func Triggered(prev alf.State, id string, around Around) (alf.State, alf.Change) {
	return begin(prev, around.Now, func(d *alf.Downtime) bool { return d.Trigger == id && around.Now.Before(d.End) })
}

// timed begins the fixed downtimes whose time has come and ends those that are
// over. It also returns when it must be asked again; zero: not for the sake of
// time.
func timed(st alf.State, now time.Time) (alf.State, alf.Change, time.Time) {
	st, change := begin(st, now, func(d *alf.Downtime) bool {
		return !d.Flexible() && d.Trigger == "" && open(d, now)
	})
	var next time.Time
	over := func(d *alf.Downtime) bool { return !now.Before(d.Until()) }
	for _, d := range st.Downtimes {
		switch {
		case over(d) && !d.Began.IsZero():
			change |= alf.ChangeDowntimeEnd
		case over(d):
		case d.Began.IsZero() && now.Before(d.Start):
			next = earlier(next, d.Start)
		default:
			next = earlier(next, d.Until())
		}
	}
	if slices.ContainsFunc(st.Downtimes, over) {
		st.Downtimes = without(st.Downtimes, over)
	}
	return st, change, next
}

// without returns list without those that match; nil if none are left. It
// leaves list as it is.
func without[T any](list []T, match func(T) bool) []T {
	var left []T
	for _, x := range list {
		if !match(x) {
			left = append(left, x)
		}
	}
	return left
}

// earlier returns the earlier of two times; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
