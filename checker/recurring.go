package checker

import (
	"slices"
	"time"

	"alf"
	"alf/state"
)

// recur plans what is to be planned of the recurring downtimes of it.
func (l *loop) recur(it *item, now time.Time) {
	for _, name := range it.service.Recurring {
		if r := l.checked.Recurring(name); r != nil {
			l.carryOut(it, state.Occurrences(r, it.state, now), now)
		}
	}
}

// renew does the same after a start or a reload, when what was planned may not be
// as the configuration has it.
func (l *loop) renew(it *item, now time.Time) {
	for _, d := range it.state.Downtimes {
		name, ok := state.Recurs(d)
		if !ok || !d.Began.IsZero() {
			continue
		}
		var r *alf.Recurring
		if slices.Contains(it.service.Recurring, name) {
			r = l.checked.Recurring(name)
		}
		if state.Outdated(d, r) {
			l.carryOut(it, []alf.Command{{Verb: alf.CancelDowntime, ID: d.ID, Author: d.Author}}, now)
		}
	}
	l.recur(it, now)
}

// succeed plans the occurrence after one that somebody cancels before it starts:
// that a later one is planned says that this one is not wanted.
func (l *loop) succeed(it *item, cancelled *alf.Downtime, now time.Time) {
	name, ok := state.Recurs(cancelled)
	if !ok || !cancelled.Start.After(now) || !slices.Contains(it.service.Recurring, name) {
		return
	}
	if r := l.checked.Recurring(name); r != nil {
		l.carryOut(it, state.Following(r, cancelled.Start), now)
	}
}

// carryOut gives orders that nobody waits for.
func (l *loop) carryOut(it *item, orders []alf.Command, now time.Time) {
	for _, c := range orders {
		if c.Time.IsZero() {
			c.Time = now
		}
		next, change, err := state.Apply(it.service, it.state, c, l.around(it, now))
		if err != nil || change == 0 {
			continue
		}
		it.state = next
		l.note(it, c, change, now)
		l.follow(it, change, now)
	}
}
