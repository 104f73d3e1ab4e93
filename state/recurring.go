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

// Renewals returns the orders that make what is planned of the recurring downtime
// of that name as r has it now; nil: it is to have none. They belong together: in
// between, nothing would say what somebody cancelled. What is planned keeps its
// start, if r still has it, and otherwise gives way to the next one: a change
// begins nothing whose start is past.
func Renewals(name string, r *alf.Recurring, st alf.State, now time.Time) []alf.Command {
	var orders []alf.Command
	dropped, planned := false, false // of what is to come
	for _, d := range st.Downtimes {
		if n, ok := Recurs(d); !ok || n != name || !d.Began.IsZero() {
			continue
		}
		future, outdated := d.Start.After(now), Outdated(d, r)
		if outdated {
			orders = append(orders, alf.Command{Verb: alf.CancelDowntime, ID: d.ID, Author: d.Author})
		}
		switch kept := r != nil && starts(r, d.Start); {
		case kept && outdated && now.Before(occurrence(r, d.Start).End):
			orders = append(orders, occurrence(r, d.Start))
			fallthrough
		case kept:
			planned = planned || future
		default:
			dropped = dropped || future
		}
	}
	if dropped && !planned && r != nil {
		orders = append(orders, Following(r, now)...)
	}
	return orders
}

// starts reports whether an occurrence of r starts then.
func starts(r *alf.Recurring, at time.Time) bool {
	return r.Schedule.Next(at.Add(-time.Nanosecond)).Equal(at)
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
func Recurs(d *alf.Downtime) (name string, ok bool) { return recurs(d.ID, d.Author) }

func recurs(id, by string) (name string, ok bool) {
	i := strings.LastIndexByte(id, '@')
	if i < 0 || by != author(id[:i]) {
		return "", false
	}
	return id[:i], true
}

// Outdated reports whether d, which has not begun, is an occurrence as r does not
// have it any more.
func Outdated(d *alf.Downtime, r *alf.Recurring) bool {
	if r == nil || !starts(r, d.Start) {
		return true
	}
	o := occurrence(r, d.Start)
	return !o.End.Equal(d.End) || o.Duration != d.Duration || o.Text != d.Text
}
