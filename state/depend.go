package state

import (
	"time"

	"alf"
)

// Known is what is known of all that is checked.
type Known interface {
	// Look returns a service and its state; nil: there is none of that key.
	Look(key alf.Key) (*alf.Service, alf.State)
	// Period returns the timeperiod of that name; nil: there is none.
	Period(name string) alf.Period
	// HostDownDisablesChecks reports whether services are not run while their host
	// is HARD and not UP (host_down_disable_service_checks, RULES H5).
	HostDownDisablesChecks() bool
}

// MayRun reports whether the dependencies of s let it be run at now, and if not,
// by is the first that does not (RULES N26).
func MayRun(s *alf.Service, known Known, now time.Time) (by *alf.Dependency, ok bool) {
	by = failed(s, known, now, func(d *alf.Dependency) alf.Criteria { return d.Run })
	return by, by == nil
}

// MayNotify is MayRun for telling people of a problem of s or its end. What a
// service's host depends on counts for the service, too.
func MayNotify(s *alf.Service, known Known, now time.Time) (by *alf.Dependency, ok bool) {
	criteria := func(d *alf.Dependency) alf.Criteria { return d.Notify }
	by = failed(s, known, now, criteria)
	if host, _ := known.Look(alf.Key{Host: s.Key.Host}); by == nil && host != nil {
		by = failed(host, known, now, criteria)
	}
	return by, by == nil
}

// failed returns the first dependency of s, or of a master from which it
// inherits, whose criteria are met; nil: none.
func failed(s *alf.Service, known Known, now time.Time, criteria func(*alf.Dependency) alf.Criteria) *alf.Dependency {
	for i := range s.Dependencies {
		d := &s.Dependencies[i]
		master, st := known.Look(d.Master)
		if master == nil || d.Period != "" && !holds(known.Period(d.Period), now) {
			continue
		}
		if meets(st, criteria(d), d.Soft) {
			return d
		}
		if d.Inherits {
			if by := failed(master, known, now, criteria); by != nil {
				return by
			}
		}
	}
	return nil
}

// holds reports whether now is in p; one that is not there always holds.
func holds(p alf.Period, now time.Time) bool { return p == nil || p.Contains(now) }

// meets reports whether a master is in a state that c names: its last HARD one,
// unless soft ones count.
func meets(st alf.State, c alf.Criteria, soft bool) bool {
	status := st.Status
	if st.Type == alf.Soft && !st.Pending() && !soft {
		status = st.LastHard
	}
	return c.Status[status&3] || c.Pending && st.Pending()
}
