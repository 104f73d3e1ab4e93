package state

import (
	"strings"
	"time"

	"alf"
)

// Occurrences returns the orders for what is to be planned of r at now, for
// whoever is in state st: the occurrence whose time it is, and the next one.
// Each has an ID of its own, NAME@START. While a later one is planned there is
// nothing to do, so that one that somebody cancelled does not come back.
func Occurrences(r *alf.Recurring, st alf.State, now time.Time) []alf.Command {
	var last time.Time
	for _, d := range st.Downtimes {
		if name, ok := Recurs(d); ok && name == r.Name {
			last = later(last, d.Start)
		}
	}
	if last.After(now) {
		return nil
	}
	var orders []alf.Command
	current := r.Schedule.Prev(now.Add(time.Nanosecond))
	if o := occurrence(r, current); current.After(last) && now.Before(o.End) {
		orders = append(orders, o)
	}
	return append(orders, Following(r, now)...)
}

// Following returns the order for the first occurrence of r after a time; none,
// if there is none any more.
func Following(r *alf.Recurring, after time.Time) []alf.Command {
	start := r.Schedule.Next(after)
	if start.IsZero() {
		return nil
	}
	return []alf.Command{occurrence(r, start)}
}

// occurrence returns the order for the downtime of r that starts then.
func occurrence(r *alf.Recurring, start time.Time) alf.Command {
	c := alf.Command{
		Verb: alf.ScheduleDowntime, ID: r.Name + "@" + start.UTC().Format(time.RFC3339),
		Author: author(r.Name), Text: r.Text, Start: start, End: start.Add(r.Duration),
	}
	if r.Flexible > 0 {
		c.End, c.Duration = start.Add(r.Flexible), r.Duration
	}
	return c
}

// author is who orders the occurrences: the table in the configuration.
func author(name string) string { return "[downtime." + name + "]" }

// Recurs returns the name of the recurring downtime that d is an occurrence of;
// false: it is none.
func Recurs(d *alf.Downtime) (name string, ok bool) {
	i := strings.LastIndexByte(d.ID, '@')
	if i < 0 || d.Author != author(d.ID[:i]) {
		return "", false
	}
	return d.ID[:i], true
}

// Outdated reports whether d, which has not begun, is an occurrence as r does not
// have it any more.
func Outdated(d *alf.Downtime, r *alf.Recurring) bool {
	if r == nil || !r.Schedule.Next(d.Start.Add(-time.Nanosecond)).Equal(d.Start) {
		return true
	}
	o := occurrence(r, d.Start)
	return !o.End.Equal(d.End) || o.Duration != d.Duration || o.Text != d.Text
}
