package checker

import (
	"context"
	"strings"
	"testing"
	"time"

	"alf"
)

type runs func() alf.Exit

func (f runs) Run(context.Context, alf.Execution) (alf.Exit, error) { return f(), nil }

// TestDueDoesNotDependOnTheClock: the grid is a matter of the day, but once a
// check is due in so many seconds, it is, whatever is done to the clock.
func TestDueDoesNotDependOnTheClock(t *testing.T) {
	f := func(what string, at time.Time) {
		t.Helper()
		if s := at.String(); !strings.Contains(s, " m=") {
			t.Errorf("%s is %s, want a monotonic reading", what, s)
		}
	}
	h := &alf.Host{Name: "web1"}
	s := &alf.Service{Key: alf.Key{Host: "web1", Service: "load"}, Host: h, On: h, Argv: []alf.Template{alf.Text("true")},
		Interval: time.Minute, Retry: time.Second, MaxAttempts: 3, Timeout: time.Minute}
	soft := alf.State{Type: alf.Soft, Status: alf.Critical, Attempt: 1, LastCheck: time.Now()}
	hard := alf.State{Type: alf.Hard, Status: alf.OK, Attempt: 1, LastCheck: time.Now()}
	for name, st := range map[string]alf.State{"SOFT": soft, "HARD": hard, "PENDING": {}} {
		f("the first due time when "+name, firstDue(s, st, time.Time{}, time.Now()))
		f("the due time after a restart when "+name, firstDue(s, st, time.Now().Add(-time.Hour), time.Now()))
		for runner, exit := range map[string]runs{"silent": func() alf.Exit { return alf.Exit{} }, "exact": func() alf.Exit { return alf.Exit{Start: time.Now(), End: time.Now()} }} {
			r, err := Run(t.Context(), exit, s, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			f("the next due time when "+name+" after a run that is "+runner, nextDue(s, st, r.End))
		}
	}
}

// TestAnyClock: at whatever time of day, the next slot is within an interval.
func TestAnyClock(t *testing.T) {
	now := time.Now()
	for _, jump := range []time.Duration{0, time.Hour, -time.Hour, 26 * time.Hour, -100 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour} {
		at := now.Add(jump)
		if wait := grid(alf.Key{Host: "web1"}, time.Minute, at).Sub(at); wait <= 0 || wait > time.Minute {
			t.Errorf("at %v the next slot is in %v", at, wait)
		}
	}
}
