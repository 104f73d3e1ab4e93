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

// renewAll renews what is to be renewed.
func (l *loop) renewAll(now time.Time) {
	for _, s := range l.checked.Services() {
		l.renew(l.items[s.Key], now)
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
		l.carryOutAsOne(it, state.Renewals(name, r, it.state, now), now)
	}
	l.recur(it, now)
}

// succeed plans the occurrence after one that somebody is about to cancel before
// it starts: that a later one is planned says that this one is not wanted. So it
// comes first, that a kill in between forgets the order rather than its mark.
func (l *loop) succeed(it *item, id string, now time.Time) {
	i := slices.IndexFunc(it.state.Downtimes, func(d *alf.Downtime) bool { return d.ID == id })
	if i < 0 {
		return
	}
	cancelled := it.state.Downtimes[i]
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

// carryOutAsOne gives orders that nobody waits for, with one event for all of
// them: it says what the last one does.
func (l *loop) carryOutAsOne(it *item, orders []alf.Command, now time.Time) {
	var changes alf.Change
	next := it.state
	for i := range orders {
		orders[i].Time = now
		var change alf.Change
		next, change, _ = state.Apply(it.service, next, orders[i], l.around(it, now))
		changes |= change
	}
	if changes == 0 {
		return
	}
	it.state = next
	l.note(it, orders[len(orders)-1], changes, now)
	l.follow(it, changes, now)
}
