package state_test

import (
	"slices"
	"testing"
	"time"

	"alf"
	"alf/state"
)

// daily is due once a day, so long after midnight.
type daily time.Duration

func (d daily) Next(after time.Time) time.Time {
	at := after.Truncate(24 * time.Hour).Add(time.Duration(d))
	if !at.After(after) {
		at = at.Add(24 * time.Hour)
	}
	return at
}

func (d daily) Prev(before time.Time) time.Time {
	return d.Next(before.Add(-24*time.Hour - time.Nanosecond))
}

func TestOccurrences(t *testing.T) {
	r := &alf.Recurring{Name: "backup@night", Schedule: daily(2 * time.Hour), Duration: 3 * time.Hour, Text: "busy"}
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	f := func(what string, now time.Time, planned []int, want ...string) {
		t.Helper()
		var st alf.State
		for _, hour := range planned {
			for _, c := range state.Following(r, at(hour).Add(-time.Second)) {
				st.Downtimes = append(st.Downtimes, &alf.Downtime{ID: c.ID, Author: c.Author, Start: c.Start, End: c.End})
			}
		}
		// Somebody else's do not count.
		st.Downtimes = append(st.Downtimes, &alf.Downtime{ID: "backup@night@x", Author: "me", Start: at(100)})
		var got []string
		for _, c := range state.Occurrences(r, st, now) {
			got = append(got, c.ID)
			if c.End.Sub(c.Start) != 3*time.Hour || c.Text != "busy" || c.Duration != 0 {
				t.Errorf("%s: %+v", what, c)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	const first, second, third = "backup@night@2026-03-01T02:00:00Z", "backup@night@2026-03-02T02:00:00Z", "backup@night@2026-03-03T02:00:00Z"
	f("before", at(1), nil, first)
	f("as it starts", at(2), nil, first, second)
	f("in the middle", at(4), nil, first, second)
	f("as it ends", at(5), nil, second)
	f("the next is planned", at(1), []int{2})
	f("which starts now", at(2), []int{2}, second)
	f("the present one was cancelled", at(4), []int{26})
	f("after two days", at(27), []int{2}, second, third)
}

func TestOutdated(t *testing.T) {
	r := &alf.Recurring{Name: "backup", Schedule: daily(2 * time.Hour), Duration: time.Hour, Flexible: 4 * time.Hour}
	d := &alf.Downtime{Start: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC), End: time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC), Duration: time.Hour}
	f := func(what string, change func(*alf.Recurring), want bool) {
		t.Helper()
		now := *r
		change(&now)
		if got := state.Outdated(d, &now); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	f("the same", func(*alf.Recurring) {}, false)
	f("at another time", func(r *alf.Recurring) { r.Schedule = daily(3 * time.Hour) }, true)
	f("longer", func(r *alf.Recurring) { r.Duration = 2 * time.Hour }, true)
	f("in a longer time", func(r *alf.Recurring) { r.Flexible = 5 * time.Hour }, true)
	f("fixed", func(r *alf.Recurring) { r.Flexible = 0 }, true)
	f("with a text", func(r *alf.Recurring) { r.Text = "busy" }, true)
	if !state.Outdated(d, nil) {
		t.Error("one that is not defined any more")
	}
}
