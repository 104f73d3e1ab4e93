package state_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/calendar"
	"alf/state"
)

// cron returns a schedule in UTC.
func cron(t testing.TB, text string) alf.Schedule {
	t.Helper()
	c, err := calendar.Parse(text, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// officeHours returns a timeperiod from 09:00 to 17:00.
func officeHours(t testing.TB) alf.Period {
	t.Helper()
	all := make(map[string]string)
	for d := time.Sunday; d <= time.Saturday; d++ {
		all[d.String()] = "09:00-17:00"
	}
	periods, err := calendar.NewPeriods(map[string]calendar.Definition{"office": {Ranges: all}})
	if err != nil {
		t.Fatal(err)
	}
	return periods["office"]
}

// TestOverdue: a slot of a schedule that passed without a result is a problem.
func TestOverdue(t *testing.T) {
	midnight := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	clock := func(h, m int) time.Time {
		return midnight.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
	}
	ran := func(from, to time.Time) *alf.Result { return &alf.Result{Start: from, End: to} }
	f := func(what string, around state.Around, change func(*alf.Service, *alf.State), want string, wantNext time.Time) {
		t.Helper()
		s := service(1)
		s.Passive, s.Freshness = true, time.Hour
		st := alf.State{}
		if r := around.Result; r != nil {
			st, _ = state.Next(s, st, r, state.Around{Now: r.End})
		}
		if change != nil {
			change(s, &st)
		}
		if around.Times == nil {
			around.Times = &state.Times{Schedule: cron(t, "0 3 * * *")}
		}
		next, what2, when := state.Tick(s, st, around)
		got := ""
		if what2 != 0 {
			got = next.Status.String() + " " + next.Type.String() + ": " + next.Output
		}
		want = regexp.MustCompile("<.*?>").ReplaceAllStringFunc(want, func(at string) string { // the wall clock of whoever reads it
			h, _ := time.Parse("<15:04>", at)
			return clock(h.Hour(), h.Minute()).Local().Format("2006-01-02 15:04:05")
		})
		if got != want || !when.Equal(wantNext) {
			t.Errorf("%s: %q, next %v, want %q, %v", what, got, when, want, wantNext)
		}
	}
	tomorrow, never := clock(28, 0), time.Time{}
	f("never run, in its grace", state.Around{Now: clock(3, 59), Started: midnight}, nil, "", clock(4, 0))
	f("never run", state.Around{Now: clock(4, 0), Started: midnight}, nil,
		"UNKNOWN HARD: no result yet, one was due at <03:00>", tomorrow)
	f("asked late", state.Around{Now: clock(30, 0), Started: midnight}, nil,
		"UNKNOWN HARD: no result yet, one was due at <03:00>", clock(52, 0))
	f("run on time", state.Around{Now: clock(4, 0), Result: ran(clock(3, 0), clock(3, 10))}, nil, "", tomorrow)
	f("run late, but in its grace", state.Around{Now: clock(4, 0), Result: ran(clock(3, 50), clock(3, 50))}, nil, "", tomorrow)
	f("run too early", state.Around{Now: clock(4, 0), Result: ran(clock(2, 50), clock(2, 51))}, nil,
		"UNKNOWN HARD: no result since <02:51>, one was due at <03:00>", tomorrow)
	f("one that began before and ended after", state.Around{Now: clock(4, 0), Result: ran(clock(2, 50), clock(3, 10))}, nil,
		"UNKNOWN HARD: no result since <03:10>, one was due at <03:00>", tomorrow)
	f("Alf did not look before", state.Around{Now: clock(4, 0), Started: clock(3, 30)}, nil, "", tomorrow)
	up := &state.Times{Schedule: cron(t, "0 3 * * *"), Up: clock(10, 0)}
	f("Alf did not run: what waited may come", state.Around{Now: clock(10, 59), Times: up, Result: ran(midnight, midnight)}, nil, "", clock(11, 0))
	f("and did not", state.Around{Now: clock(11, 0), Times: up, Result: ran(midnight, midnight)}, nil,
		"UNKNOWN HARD: no result since <00:00>, one was due at <03:00>", tomorrow)
	f("freshness is not wanted", state.Around{Now: clock(4, 0), Started: midnight}, func(s *alf.Service, _ *alf.State) { s.Freshness = 0 }, "", never)
	f("no results are taken", state.Around{Now: clock(4, 0), Started: midnight}, func(_ *alf.Service, st *alf.State) { st.Off = alf.SwitchPassive }, "", never)
	f("it is not run", state.Around{Now: clock(4, 0), Started: midnight}, func(s *alf.Service, st *alf.State) {
		s.Passive, st.Off = false, alf.SwitchChecks
	}, "", never)
	f("retried before it counts", state.Around{Now: clock(4, 0), Started: midnight}, func(s *alf.Service, _ *alf.State) { s.MaxAttempts = 3 },
		"UNKNOWN SOFT: no result yet, one was due at <03:00>", tomorrow)
	f("slots outside check_period", state.Around{Now: clock(4, 0), Started: midnight, Times: &state.Times{Schedule: cron(t, "0 3,16 * * *"), Period: officeHours(t)}}, nil,
		"", clock(17, 0))
	f("all slots outside check_period", state.Around{Now: clock(4, 0), Started: midnight, Times: &state.Times{Schedule: cron(t, "0 3 * * *"), Period: officeHours(t)}}, nil,
		"", never)
}

// TestFreshnessInPeriod: nothing grows old outside check_period.
func TestFreshnessInPeriod(t *testing.T) {
	times := &state.Times{Period: officeHours(t)}
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f := func(what string, passive bool, last, now time.Duration, want string, wantNext time.Duration) {
		t.Helper()
		s := service(1)
		s.Passive, s.Interval, s.Timeout = passive, 5*time.Minute, 0
		if passive {
			s.Freshness = 10 * time.Minute
		}
		st, _ := state.Next(s, alf.State{}, &alf.Result{End: day.Add(last)}, state.Around{Now: day.Add(last)})
		next, _, when := state.Tick(s, st, state.Around{Now: day.Add(now), Times: times})
		got := strings.TrimSpace(next.Status.String() + " " + next.Stale.Output)
		if got != want || !when.Equal(day.Add(wantNext)) {
			t.Errorf("%s: %q, next after %v, want %q, %v", what, got, when.Sub(day), want, wantNext)
		}
	}
	const h = time.Hour
	f("inside", true, 10*h, 10*h+9*time.Minute, "OK", 10*h+10*time.Minute)
	f("inside, and old", true, 10*h, 10*h+10*time.Minute, "UNKNOWN", 10*h+20*time.Minute)
	f("at night", true, 17*h-time.Minute, 20*h, "OK", 33*h+10*time.Minute)
	f("the next day", true, 17*h-time.Minute, 33*h+10*time.Minute, "UNKNOWN", 33*h+20*time.Minute)
	f("what is run, at night", false, 17*h-time.Minute, 20*h, "OK", 33*h+10*time.Minute)
}
