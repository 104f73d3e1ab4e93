package config

import (
	"cmp"
	"fmt"
	"strings"

	"alf"
)

// On-demand macros speak of another host or service, or of all hosts of a group
// (RULES M4). What is known of hosts stands in the text when it is loaded; for
// states, the text names each host and service, and the checker looks them up.

// demand returns the value of an on-demand macro that is known by now.
func (s *scope) demand(base, of string) (alf.Value, bool) {
	custom := strings.HasPrefix(base, hostVar)
	if hostMacros[base] == nil && !custom {
		return alf.Value{}, false
	}
	hosts, delimiter, ok := s.demanded(base, of)
	if !ok {
		return alf.Value{}, true
	}
	var out alf.Value
	var texts []string
	for _, h := range hosts {
		v, ok := alf.Value{}, true
		if custom {
			v, ok = s.customOf(h, base[len(hostVar):])
		} else {
			v.Text = hostMacros[base](h.made)
		}
		if !ok {
			return alf.Value{}, false
		}
		out.Secret = out.Secret || v.Secret
		texts = append(texts, v.Reveal())
	}
	out.Text = strings.Join(texts, delimiter)
	return out, true
}

// customOf returns the value of a variable of another host.
func (s *scope) customOf(h *host, name string) (alf.Value, bool) {
	other := &scope{r: s.r, h: h, what: s.what, dirs: s.r.defaults.pluginDir.v, at: s.at, open: s.open, steps: s.steps}
	v, ok := other.custom(name, h.all, s.r.defaults.vars)
	s.steps = other.steps
	s.failures = append(s.failures, other.failures...)
	return v, ok
}

// demanded returns the hosts that a macro speaks of: one, or those of a group and
// what stands between them. ok: it is not a mistake, which is added.
func (s *scope) demanded(base, of string) (hosts []*host, delimiter string, ok bool) {
	if h := s.r.byName[alf.HostName(of)]; h != nil {
		return []*host{h}, "", true
	}
	for i := range len(of) {
		if g := s.r.byGroup[of[:i]]; g != nil && of[i] == ':' {
			return g.hosts, of[i+1:], true
		}
	}
	name, _, group := strings.Cut(of, ":")
	if group {
		s.missOnDemand(base+":"+of, func() string {
			return fmt.Sprintf("there is neither a host %q nor a hostgroup %q%s", of, name, didYouMean(name, s.r.groupNames()))
		})
		return nil, "", false
	}
	s.missOnDemand(base+":"+of, func() string {
		return fmt.Sprintf("there is no host %q%s", of, didYouMean(of, s.r.hostNames()))
	})
	return nil, "", false
}

// missOnDemand adds what is wrong with a macro. To find what was meant takes time,
// so it is done once for all hosts.
func (s *scope) missOnDemand(macro string, why func() string) {
	text, known := s.r.undemanded[macro]
	if !known {
		text = why()
		s.r.undemanded[macro] = text
	}
	s.miss(s.at, "macro $%s$: %s", macro, text)
}

// spell returns t with each host and service named that the macros of states in it
// speak of.
func (s *scope) spell(t alf.Template) alf.Template {
	if !onDemand(t) {
		return t
	}
	var out alf.Template
	for _, p := range t {
		base, of, ok := strings.Cut(p.Macro, ":")
		switch {
		case !ok || !s.r.Runtime(base):
			out = append(out, p)
		case strings.Contains(base, "SERVICE"):
			out = append(out, s.spellService(p, base, of))
		default:
			hosts, delimiter, _ := s.demanded(base, of)
			for i, h := range hosts {
				if i > 0 && delimiter != "" {
					out = append(out, alf.Part{Text: p.Quote.Apply(delimiter)})
				}
				out = append(out, alf.Part{Macro: base + ":" + string(h.name), Quote: p.Quote})
			}
		}
	}
	return out
}

func onDemand(t alf.Template) bool {
	for _, p := range t {
		if strings.Contains(p.Macro, ":") {
			return true
		}
	}
	return false
}

// spellService returns p with the host named. Whether there is such a service, only
// all checks together will tell.
func (s *scope) spellService(p alf.Part, base, of string) alf.Part {
	for i := range len(of) {
		if of[i] != ':' {
			continue
		}
		name := cmp.Or(alf.HostName(of[:i]), s.h.name)
		if s.r.byName[name] != nil {
			key := alf.Key{Host: name, Service: alf.ServiceName(of[i+1:])}
			s.r.demands = append(s.r.demands, demand{s.what, s.h, s.at, p.Macro, key})
			return alf.Part{Macro: fmt.Sprintf("%s:%s:%s", base, key.Host, key.Service), Quote: p.Quote}
		}
	}
	name, _, both := strings.Cut(of, ":")
	s.missOnDemand(p.Macro, func() string {
		if !both {
			return "a host and a service are named as in $SERVICESTATE:HOST:SERVICE$"
		}
		return fmt.Sprintf("there is no host %q%s", name, didYouMean(name, s.r.hostNames()))
	})
	return alf.Part{}
}

// demand is a macro that speaks of a service.
type demand struct {
	what  string // as addOn has it
	host  *host
	at    alf.Position
	macro string
	key   alf.Key
}

// checkDemands refuses macros of services that are not there.
func (r *resolver) checkDemands() {
	if r.unsure() {
		return
	}
	for _, d := range r.demands {
		if !d.key.IsHost() && r.service(d.key) != nil || d.host.unsure {
			continue
		}
		text, known := r.undemanded["!"+d.key.String()]
		if !known {
			var names []string
			for _, s := range r.servicesOn(d.key.Host) {
				names = append(names, string(s.Key.Service))
			}
			text = fmt.Sprintf("host %q has no service %q%s", d.key.Host, d.key.Service, didYouMean(string(d.key.Service), names))
			r.undemanded["!"+d.key.String()] = text
		}
		r.addOn(d.what, d.host.name, d.at, fmt.Sprintf("macro $%s$: %s", d.macro, text))
	}
}
