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
	if dropped {
		it.state, it.result = next, result
		l.log(it, prev, change)
		l.record(it.event(alf.KindTick, change, now))
		l.follow(it, change, now)
		return
	}
	if !it.busy && !it.untold && it.surprises(now) {
		it.untold, l.untold = true, append(l.untold, it)
	}
}

// surprises reports whether the record is to be told what is next of it: when it is
// due, unless that is soon, for then its result tells; and of a schedule that is
// new, that there is something to be missed from now on.
func (it *item) surprises(now time.Time) bool {
	due := it.check.due
	if due.Equal(it.told) {
		return it.times.Scheduled() && !it.noted
	}
	return due.IsZero() || it.told.After(now) || due.Sub(now) > firstWithin
}

// tellEvery is the pause between two batches of tellNext.
const tellEvery = 100 * time.Millisecond

// tellNext tells the record when some are due next that a reload or a start has
// planned anew. That may be all there are: so it is done bit by bit, when nothing
// else waits for the record, and not for those whose result has told it meanwhile.
func (l *loop) tellNext() {
	if len(l.untold) == 0 || len(l.queue) > 0 {
		return
	}
	now := time.Now()
	if now.Before(l.tell) {
		return
	}
	for len(l.untold) > 0 && len(l.queue) < maxBatch {
		it := l.untold[0]
		l.untold, it.untold = l.untold[1:], false
		if !it.gone && !it.busy && (!it.noted || !it.check.due.Equal(it.told)) {
			l.record(it.event(alf.KindTick, 0, now))
		}
	}
	if len(l.untold) == 0 {
		l.untold = nil
	}
	l.tell = now.Add(tellEvery)
}
