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

// Calendar holds what an inventory's hosts and services name of times.
type Calendar struct {
	Periods map[string]Period // by name ([timeperiod.NAME])
}
