package alf

import "time"

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

// Calendar holds what an inventory's hosts and services name of times.
type Calendar struct {
	Periods   map[string]Period     // by name ([timeperiod.NAME])
	Recurring map[string]*Recurring // by name
}
