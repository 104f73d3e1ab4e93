package state

import (
	"time"

	"alf"
)

// Hold is what keeps a service from being run by itself. The zero Hold: nothing
// does.
type Hold struct {
	Reason HoldReason
	By     *alf.Dependency // of DependencyFails: the first that does
}

// HoldReason says which kind of thing holds a service back.
type HoldReason uint8

// The reasons, those that come first being asked first.
const (
	NotHeld         HoldReason = iota
	ChecksOff                  // somebody switched its checks off
	HostNotUp                  // its host is HARD and not UP, and that counts (RULES H5)
	DependencyFails            // RULES N26
)

// Held returns what keeps s, of which people switched off what off says, from
// being run by itself at now. What is never run by itself, nothing keeps from it.
func Held(s *alf.Service, off alf.Switch, known Known, now time.Time) Hold {
	switch {
	case !s.Scheduled():
		return Hold{}
	case off.Has(alf.SwitchChecks):
		return Hold{Reason: ChecksOff}
	case HostHolds(s, known):
		return Hold{Reason: HostNotUp}
	}
	if by, ok := MayRun(s, known, now); !ok {
		return Hold{DependencyFails, by}
	}
	return Hold{}
}

// HostHolds reports whether s is not run because its host is HARD and not UP
// (RULES H5).
func HostHolds(s *alf.Service, known Known) bool {
	if s.Key.IsHost() || !known.HostDownDisablesChecks() {
		return false
	}
	host, st := known.Look(alf.Key{Host: s.Key.Host})
	return host != nil && st.LastHard != alf.Up
}
