package sshmux

import (
	"sync"
	"time"
)

// alarms are for what has a limit that it seldom reaches, as each command has several. The
// runtime puts a timer into its heap and takes it out each time that somebody waits for it; here
// one timer serves all, and is moved only for who wants it earlier than it comes anyway. When it
// comes too early, it looks for the next.
type alarms struct {
	mu    sync.Mutex
	set   []*alarm
	timer *time.Timer // nil: none was ever set
	next  time.Time   // when the timer comes; zero: it does not
}

// alarm is one of them. It belongs to one goroutine.
type alarm struct {
	all  *alarms
	rang chan struct{} // size 1: its time has come

	at    time.Time // guarded by all.mu
	place int       // in all.set; negative: it is not set; guarded by all.mu
}

// in returns an alarm that is set.
func (a *alarms) in(d time.Duration) *alarm {
	w := &alarm{all: a, rang: make(chan struct{}, 1), place: -1}
	w.reset(d)
	return w
}

// reset sets the alarm anew. It does not ring for what it was set to before.
func (w *alarm) reset(d time.Duration) {
	a := w.all
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	w.hush()
	w.at = now.Add(d)
	if w.place < 0 {
		w.place = len(a.set)
		a.set = append(a.set, w)
	}
	if a.next.IsZero() || w.at.Before(a.next) {
		a.move(w.at, d)
	}
}

// stop makes that the alarm does not ring until it is set again.
func (w *alarm) stop() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	w.hush()
	if w.place >= 0 {
		w.all.remove(w)
	}
}

// hush takes back that the alarm has rung. The caller holds all.mu.
func (w *alarm) hush() {
	select {
	case <-w.rang:
	default:
	}
}

// remove takes an alarm that is set out of those. The caller holds mu.
func (a *alarms) remove(w *alarm) {
	last := len(a.set) - 1
	a.set[w.place], a.set[last].place = a.set[last], w.place
	a.set[last] = nil
	a.set, w.place = a.set[:last], -1
}

// move has the timer come at a time, which is in d. The caller holds mu.
func (a *alarms) move(at time.Time, d time.Duration) {
	a.next = at
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
		return
	}
	a.timer.Reset(d)
}

// ring rings those whose time has come, and moves the timer to the next of the others.
func (a *alarms) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.next = time.Time{}
	for i := len(a.set) - 1; i >= 0; i-- {
		w := a.set[i]
		switch {
		case !w.at.After(now):
			a.remove(w)
			w.rang <- struct{}{}
		case a.next.IsZero() || w.at.Before(a.next):
			a.next = w.at
		}
	}
	if !a.next.IsZero() {
		a.move(a.next, a.next.Sub(now))
	}
}
