package alf

import "slices"

// Selector says which hosts and services an order is about. It stands, so that
// it can be asked about a host that is added later.
type Selector struct {
	Hosts      []string // names or patterns; with no Hosts and no Hostgroups: all
	Hostgroups []string // or in any of these
	Services   []string // names or patterns of services; none: the hosts themselves
	All        bool     // the hosts themselves and all services on them; no Services
}

// IsZero reports whether nothing is said.
func (s Selector) IsZero() bool {
	return len(s.Hosts)+len(s.Hostgroups)+len(s.Services) == 0 && !s.All
}

// Takes reports whether the order is about key, which is on host.
func (s Selector) Takes(key Key, host *Host) bool {
	return s.takesHost(host) && (s.All || key.IsHost() && len(s.Services) == 0 ||
		!key.IsHost() && matchAny(s.Services, string(key.Service)))
}

func (s Selector) takesHost(host *Host) bool {
	if len(s.Hosts)+len(s.Hostgroups) == 0 || matchAny(s.Hosts, string(host.Name)) {
		return true
	}
	return slices.ContainsFunc(host.Hostgroups, func(g string) bool { return slices.Contains(s.Hostgroups, g) })
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return Match(p, name) })
}
