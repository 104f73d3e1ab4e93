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

// HostDownDisablesChecks implements [state.Known].
func (l *loop) HostDownDisablesChecks() bool { return l.o.HostDownDisablesChecks }

// held reports whether it, which is due, is not to be run now, and puts it off
// then. What somebody ordered is run all the same. What a dependency forbids is
// due again at its next interval, and meanwhile not late, for nobody expects it to
// be run.
func (l *loop) held(it *item, now time.Time) bool {
	if it.hurried(now) {
		return false
	}
	switch state.Held(it.service, it.state.Off, l, now).Reason {
	case state.NotHeld:
		return false
	case state.DependencyFails:
		l.stats.held.Add(1)
		it.since = now
		l.plan(it, it.laterDue(now))
	default:
		l.plan(it, it.firstDue(time.Time{}, now))
	}
	return true
}
