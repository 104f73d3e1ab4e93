package checker

import (
	"time"

	"alf"
	"alf/state"
)

// Look implements [state.Known].
func (l *loop) Look(key alf.Key) (*alf.Service, alf.State) {
	it := l.items[key]
	if it == nil {
		return nil, alf.State{}
	}
	return it.service, it.state
}

// Period implements [state.Known].
func (l *loop) Period(name string) alf.Period { return l.checked.Period(name) }

// may reports whether it, which is due, may be run. What somebody ordered is; else
// what a dependency forbids is put off to its next interval. Meanwhile it is
// not late, for nobody expects it to be run.
func (l *loop) may(it *item, now time.Time) bool {
	if len(it.service.Dependencies) == 0 || !it.ordered.IsZero() && !now.Before(it.ordered) {
		return true
	}
	if _, ok := state.MayRun(it.service, l, now); ok {
		return true
	}
	l.stats.held.Add(1)
	it.since = now
	l.plan(it, it.laterDue(now))
	return false
}
