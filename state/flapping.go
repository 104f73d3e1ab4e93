package state

import (
	"time"

	"alf"
)

// Nagios weighs a change by its age: the 20 possible changes between 21
// statuses count from 0.75, the oldest, to 1.25, the newest (RULES F1).
const (
	flapStates = 21
	flapOldest = 0.75
	flapNewest = 1.25
	flapMask   = 1<<(2*flapStates) - 1
	flapLow    = flapMask / 3 // the lower bit of every status
)

// flap notes the newest status in the history and says whether the key flaps
// now (RULES F1 to F3). A service that is SOFT and not OK does not count.
func flap(s *alf.Service, next alf.State, now time.Time) (alf.Flap, alf.Change) {
	f := next.Flap
	counts := s.Key.IsHost() || next.Type == alf.Hard || next.Status == alf.OK
	if counts && !s.Flapping.Ignore[next.Status&3] {
		f.History = f.History<<2&flapMask | uint64(next.Status&3)
		f.Updated = now
	}
	return flaps(s, next.Off, f)
}

// flaps says whether a history means flapping. Between the thresholds all stays
// as it was (RULES F2).
func flaps(s *alf.Service, off alf.Switch, f alf.Flap) (alf.Flap, alf.Change) {
	percent := flapPercent(f.History)
	f.Percent = float32(percent)
	on := f.On
	switch {
	case !s.Flapping.Enabled || off.Has(alf.SwitchFlapping), percent <= s.Flapping.Low:
		on = false
	case percent >= s.Flapping.High:
		on = true
	}
	was := f.On
	f.On = on
	switch {
	case on && !was:
		return f, alf.ChangeFlapping
	case was && !on:
		return f, alf.ChangeCalm
	}
	return f, 0
}

// flapPercent returns how much of a history is changes, in percent.
func flapPercent(history uint64) float64 {
	differs := history ^ history>>2
	differs = (differs | differs>>1) & flapLow &^ (3 << (2 * (flapStates - 1)))
	if differs == 0 {
		return 0
	}
	sum := 0.0
	for i := range flapStates - 1 { // from the newest change to the oldest
		if differs>>(2*i)&1 != 0 {
			sum += flapNewest - float64(i)*(flapNewest-flapOldest)/(flapStates-2)
		}
	}
	return sum * 100 / (flapStates - 1)
}

// Calm notes that a host is as it was, though it was not checked itself: a
// result of one of its services came in. Nagios does so at most once in the
// mean interval of the host's services, so that a host that is seldom checked
// stops flapping (RULES F3).
func Calm(s *alf.Service, prev alf.State, mean time.Duration, around Around) (alf.State, alf.Change) {
	if !s.Flapping.Enabled || prev.Pending() || prev.Flap.History == 0 || around.Now.Sub(prev.Flap.Updated) < mean {
		return prev, 0
	}
	next := prev
	var change alf.Change
	next.Flap, change = flap(s, next, around.Now)
	return next, change
}
