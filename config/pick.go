package config

import (
	"slices"

	"github.com/BurntSushi/toml"

	"alf"
)

// matched is a host that selectors have picked.
type matched struct {
	host   *host
	direct bool // by its own name
}

// What pick notes of a host.
const (
	picked uint8 = 1 << iota
	direct
)

// pick returns the hosts that selectors pick, in order.
func (r *resolver) pick(selectors []selector) []matched {
	var touched []*host
	for _, exclude := range []bool{false, true} {
		for _, s := range selectors {
			if s.exclude != exclude {
				continue
			}
			for _, h := range r.reach(s) {
				if r.marks[h.index] == 0 && !exclude {
					touched = append(touched, h)
				}
				r.note(h, s)
			}
		}
	}
	slices.SortFunc(touched, func(a, b *host) int { return a.index - b.index })
	out := make([]matched, 0, len(touched))
	for _, h := range touched {
		if r.marks[h.index]&picked != 0 {
			out = append(out, matched{h, r.marks[h.index]&direct != 0})
		}
		r.marks[h.index] = 0
	}
	return out
}

// note writes down that s picks h, or takes it away.
func (r *resolver) note(h *host, s selector) {
	switch {
	case s.exclude:
		r.marks[h.index] = 0
	case s.group || s.glob():
		r.marks[h.index] |= picked
	default:
		r.marks[h.index] |= picked | direct
	}
}

// reach returns the hosts that one selector speaks of.
func (r *resolver) reach(s selector) []*host {
	switch {
	case s.group:
		return r.reachGroups(s)
	case s.glob():
		hosts := r.glob(s.pattern)
		if len(hosts) == 0 {
			r.warn(s.at, "%q matches no host", s.text)
		}
		return hosts
	}
	h, ok := r.byName[alf.HostName(s.pattern)]
	if !ok {
		r.absentHost(s.at, s.pattern)
		return nil
	}
	return []*host{h}
}

// absentHost adds the mistake of a host that is not there, or a warning if there
// are sources: their hosts come and go by themselves.
func (r *resolver) absentHost(at alf.Position, name string) {
	if len(r.sources) == 0 {
		r.unknownHost(at, name)
		return
	}
	r.warn(at, "there is no [host.%v], nor has a source such a host%s", toml.Key{name}, didYouMean(name, r.hostNames()))
}

func (r *resolver) reachGroups(s selector) []*host {
	if !s.glob() {
		g, ok := r.byGroup[s.pattern]
		if !ok {
			r.unknownGroup(s.at, s.pattern)
			return nil
		}
		g.phantom = false
		if len(g.hosts) == 0 {
			r.warn(s.at, "hostgroup %q has no hosts", g.name)
		}
		return g.hosts
	}
	var hosts []*host
	for _, g := range r.groups {
		if alf.Match(s.pattern, g.name) {
			hosts = append(hosts, g.hosts...)
		}
	}
	if len(hosts) == 0 {
		r.warn(s.at, "%q matches no hostgroup with hosts", s.text)
	}
	return hosts
}

// glob returns the hosts whose names match pattern.
func (r *resolver) glob(pattern string) []*host {
	hosts, ok := r.globs[pattern]
	if ok {
		return hosts
	}
	for _, h := range r.hosts {
		if alf.Match(pattern, string(h.name)) {
			hosts = append(hosts, h)
		}
	}
	r.globs[pattern] = hosts
	return hosts
}

// pickFor returns the hosts of a check.
func (r *resolver) pickFor(c *check) []matched {
	if len(c.hosts.v) == 0 {
		return nil // which is a mistake that is known
	}
	mistakes, warnings := len(r.errors), len(r.warnings)
	hosts := r.pick(c.hosts.v)
	if len(hosts) == 0 && len(r.errors) == mistakes && len(r.warnings) == warnings {
		r.warn(c.hosts.at, "check %q selects no host", c.id)
	}
	return hosts
}
