package state

import (
	"cmp"
	"time"

	"alf"
)

// Availability says how long a key was in which state. Its parts add up to the
// whole time.
type Availability struct {
	In         [alf.Unknown + 1]time.Duration // by alf.Status
	NotRunning time.Duration                  // Alf did not run
	NoData     time.Duration                  // not configured, pending, or before the log begins
}

// Known returns how long the state was known.
func (a Availability) Known() time.Duration {
	var sum time.Duration
	for _, d := range a.In {
		sum += d
	}
	return sum
}

// Whole returns the sum of all parts.
func (a Availability) Whole() time.Duration { return a.Known() + a.NotRunning + a.NoData }

// Gap is a time in which Alf did not run; with a zero Until, it goes on.
type Gap struct{ From, Until time.Time }

// Has reports whether t is in g.
func (g Gap) Has(t time.Time) bool {
	return !t.Before(g.From) && (g.Until.IsZero() || t.Before(g.Until))
}

// Gaps returns when Alf did not run, by its entries about itself, which come
// oldest first.
func Gaps(entries []*alf.Event) []Gap {
	var out []Gap
	var stopped, started time.Time
	for _, e := range entries {
		switch {
		case e.Stops():
			stopped = e.Time
		case e.Starts():
			from := cmp.Or(stopped, e.State.LastCheck)
			if from.Before(started) { // it was killed before it had any result
				from = started
			}
			if !from.IsZero() && from.Before(e.Time) {
				out = append(out, Gap{from, e.Time})
			}
			stopped, started = time.Time{}, e.Time
		}
	}
	if !stopped.IsZero() {
		out = append(out, Gap{From: stopped})
	}
	return out
}

// Period is a time to be reported on.
type Period struct {
	From, Until time.Time
	Gaps        []Gap // when Alf did not run, in order
	Soft        bool  // soft states count, too
}

// Tally adds up the Availability of one key. Use NewTally.
type Tally struct {
	Period
	sum    Availability
	last   alf.ID    // of the newest entry
	at     time.Time // all before is added up
	known  bool
	gone   bool       // the newest entry removed the key: the next one speaks for itself only
	status alf.Status // from at on, if known
}

// NewTally returns a Tally that knows nothing yet.
func NewTally(p Period) *Tally { return &Tally{Period: p} }

// Add takes the next entry about the key, or its newest event as the last one.
// The first one should be what the log has At the beginning of the period. An
// entry tells since when its state is what it is, which fills in for older ones
// that the log does not have any more. What is no newer than the last one is left
// out.
func (t *Tally) Add(e *alf.Event) {
	if e.ID != 0 && e.ID <= t.last {
		return
	}
	t.last = e.ID
	status, since, known := t.stateOf(e)
	if known && !t.known && !t.gone && since.Before(e.Time) {
		t.pass(since)
		t.status, t.known = status, true
	}
	t.pass(e.Time)
	t.status, t.known, t.gone = status, known, e.Kind == alf.KindRemoved
}

// Sum returns what has come together, the last state being that of the rest of
// the period. Nothing may be added afterwards.
func (t *Tally) Sum() Availability {
	t.pass(t.Until)
	return t.sum
}

// stateOf returns the state that counts, and since when it is so.
func (t *Tally) stateOf(e *alf.Event) (status alf.Status, since time.Time, known bool) {
	st := e.State
	switch {
	case e.Kind == alf.KindRemoved || st.Pending():
		return 0, time.Time{}, false
	case t.Soft:
		return st.Status, st.LastChange, true
	}
	return st.LastHard, st.LastHardChange, !st.LastHardChange.IsZero()
}

// pass adds up the time until then.
func (t *Tally) pass(then time.Time) {
	if !then.After(t.at) {
		return
	}
	from, until := later(t.at, t.From), earlier(then, t.Until)
	t.at = then
	if !from.Before(until) {
		return
	}
	gap := t.gap(from, until)
	rest := until.Sub(from) - gap
	t.sum.NotRunning += gap
	if t.known {
		t.sum.In[t.status] += rest
	} else {
		t.sum.NoData += rest
	}
}

// gap returns for how long Alf did not run in that time.
func (t *Tally) gap(from, until time.Time) time.Duration {
	var sum time.Duration
	for _, g := range t.Gaps {
		end := until
		if !g.Until.IsZero() {
			end = earlier(g.Until, until)
		}
		if start := later(g.From, from); start.Before(end) {
			sum += end.Sub(start)
		}
	}
	return sum
}
