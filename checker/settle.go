package checker

import (
	"time"

	"alf"
	"alf/state"
)

// settle brings what the record knows of it in line with its settings, which may
// be other ones than before, once it is planned by them.
func (l *loop) settle(it *item, now time.Time) {
	prev := it.state
	next, result, change, dropped := state.Unchecked(it.service, prev, it.result, now)
	if !dropped {
		return
	}
	it.state, it.result = next, result
	l.log(it, prev, change)
	l.record(it.event(alf.KindTick, change, now))
	l.follow(it, change, now)
}
