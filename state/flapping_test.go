package state_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/state"
)

func flapping(s *alf.Service, low, high float64) *alf.Service {
	s.Flapping = alf.FlapDetection{Enabled: true, Low: low, High: high}
	return s
}

// TestFlapPercent is RULES F5.
func TestFlapPercent(t *testing.T) {
	f := func(results string, want float64) {
		t.Helper()
		if st, _ := judge(service(1), results); math.Abs(float64(st.Flap.Percent)-want) > 0.005 {
			t.Errorf("%s: %.2f %%, want %.2f %%", results, st.Flap.Percent, want)
		}
	}
	f("O", 0)
	f("C", 6.25)
	f("C"+strings.Repeat("C", 19), 3.75)
	f("C"+strings.Repeat("C", 20), 0)
	f(strings.Repeat("OC", 11), 100)
	f(strings.Repeat("OWC", 10), 100)
	f("OCC", 6.12) // (1.25 - 0.5/19) * 5
}

// TestSoftIsNotRecorded is RULES F3: a service that is being retried does not
// flap, but its recovery counts as a status.
func TestSoftIsNotRecorded(t *testing.T) {
	if st, _ := judge(service(3), strings.Repeat("CO", 20)); st.Flap.Percent != 0 {
		t.Errorf("soft problems make %v %%", st.Flap.Percent)
	}
	s := service(1)
	s.Flapping.Ignore[alf.Unknown] = true
	if st, _ := judge(s, strings.Repeat("UO", 20)); st.Flap.Percent != 0 {
		t.Errorf("statuses that do not count make %v %%", st.Flap.Percent)
	}
}

// TestFlappingStartsAndStops is RULES F2: there is room between the thresholds.
func TestFlappingStartsAndStops(t *testing.T) {
	s, now := flapping(service(1), 20, 30), epoch
	var st alf.State
	var got []string
	for i := range 60 {
		status := alf.OK
		if i < 12 && i%2 == 0 {
			status = alf.Critical
		}
		now = now.Add(time.Minute)
		var change alf.Change
		st, change = state.Next(s, st, &alf.Result{Status: status, End: now}, state.Around{Now: now})
		on := change.Has(alf.ChangeFlapping)
		if on && (st.Flap.Percent < 30 || !st.Flap.On) || change.Has(alf.ChangeCalm) && (st.Flap.Percent > 20 || st.Flap.On) {
			t.Errorf("%v at %v %%", change, st.Flap.Percent)
		}
		if on {
			got = append(got, "start")
		}
		if change.Has(alf.ChangeCalm) {
			got = append(got, "stop")
		}
	}
	if strings.Join(got, " ") != "start stop" {
		t.Errorf("flapping %q, want one start and one stop", got)
	}
}

// TestFlappingSwitchedOff: who switches it off ends it.
func TestFlappingSwitchedOff(t *testing.T) {
	s := flapping(service(1), 20, 30)
	st, _ := judge(s, "COCOCOCO")
	if !st.Flap.On {
		t.Fatal("is not flapping")
	}
	off, change, err := state.Apply(s, st, alf.Command{Verb: alf.SwitchOff, Switch: alf.SwitchFlapping}, state.Around{Now: epoch})
	if err != nil || off.Flap.On || !change.Has(alf.ChangeCalm|alf.ChangeSwitch) {
		t.Errorf("switching off: %+v, %v, %v", off.Flap, change, err)
	}
}

// TestCalm is RULES F3: the results of its services age a host's history.
func TestCalm(t *testing.T) {
	s := flapping(&alf.Service{Key: alf.Key{Host: "web1"}, MaxAttempts: 1}, 20, 30)
	st, _ := judge(s, "COCOCOCO")
	if !st.Flap.On {
		t.Fatal("is not flapping")
	}
	now, n := epoch.Add(8*time.Minute), 0
	if same, change := state.Calm(s, st, time.Hour, state.Around{Now: now}); change != 0 || same.Flap != st.Flap {
		t.Errorf("too soon: %v", change)
	}
	for change := alf.Change(0); !change.Has(alf.ChangeCalm) && n < 50; n++ {
		now = now.Add(time.Minute)
		st, change = state.Calm(s, st, time.Minute, state.Around{Now: now})
	}
	if st.Flap.On || n > 25 {
		t.Errorf("after %d results: %+v", n, st.Flap)
	}
}
