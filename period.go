package alf

import (
	"strings"
	"time"
)

// Period is a timeperiod: the times in which something holds. Whoever is bound to
// one keeps its name, and the [Inventory] knows the period, so that services
// stay small and are quickly compared.
type Period interface {
	// Contains reports whether t is in the period.
	Contains(t time.Time) bool
	// Next returns the first instant from t on that is in the period; zero: never.
	Next(t time.Time) time.Time
}

// Schedule is when something comes again and again.
type Schedule interface {
	// Next returns when it comes next, later than after; zero: never.
	Next(after time.Time) time.Time
	// Prev returns when it came last, earlier than before; zero: never.
	Prev(before time.Time) time.Time
}

// Recurring is a downtime that comes again and again ([downtime.NAME]). Each time
// it is an ordinary downtime, one of its occurrences.
type Recurring struct {
	Name     string
	Schedule Schedule      // when an occurrence starts
	Duration time.Duration // how long it lasts
	// Flexible is for how long after its start a problem may begin it; 0: it is
	// fixed, and begins when it starts.
	Flexible time.Duration
	Text     string
}

// Timetable is when a check that has a schedule is due. Checks with the same one
// share it.
type Timetable struct {
	Schedule
	Crons []string // as somebody wrote them
	Zone  string   // whose clock they follow; "": Alf's own
}

// String returns for example "30 2 * * *; @weekly (Europe/Berlin)", by which a
// Service names it.
func (t *Timetable) String() string {
	text := strings.Join(t.Crons, "; ")
	if t.Zone != "" {
		text += " (" + t.Zone + ")"
	}
	return text
}

// maxSlots bounds how many slots of a schedule are looked at for one in a period.
const maxSlots = 1000

// NextWithin returns when s comes next, later than after, in p; zero: never, or
// so seldom that nobody can mean it. A p that is nil holds always.
func NextWithin(s Schedule, p Period, after time.Time) time.Time {
	for range maxSlots {
		at := s.Next(after)
		if at.IsZero() || p == nil || p.Contains(at) {
			return at
		}
		open := p.Next(at)
		if open.IsZero() {
			return open
		}
		after = open.Add(-1)
	}
	return time.Time{}
}

// Calendar holds what an inventory's hosts and services name of times.
type Calendar struct {
	Periods    map[string]Period     // by name ([timeperiod.NAME])
	Timetables map[string]*Timetable // by their texts
	Recurring  map[string]*Recurring // by name
}
