package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"alf"
)

// dependency is what [dependency.NAME] says.
type dependency struct {
	name              string
	at                alf.Position
	hosts             opt[[]selector] // of the masters
	services          opt[[]reference]
	dependentHosts    opt[[]selector] // not set: each master's own
	dependentServices opt[[]reference]
	run, notify       opt[[]string]
	inherits, soft    opt[bool]
	period            opt[string]

	broken   bool // with a mistake in it
	circular bool // which is a mistake that is known
	proto    alf.Dependency
}

func newDependency(_ *loader, name string, at alf.Position) thing {
	return &dependency{name: name, at: at}
}

func (d *dependency) keys(*loader) keys {
	return keys{
		"hosts":                         set(&d.hosts, readSelectors),
		"services":                      set(&d.services, readPatterns),
		"dependent_hosts":               set(&d.dependentHosts, readSelectors),
		"dependent_services":            set(&d.dependentServices, readPatterns),
		"execution_failure_criteria":    set(&d.run, listOf(word)),
		"notification_failure_criteria": set(&d.notify, listOf(word)),
		"inherits_parent":               set(&d.inherits, boolean),
		"soft_state_dependencies":       set(&d.soft, boolean),
		"dependency_period":             set(&d.period, word),
	}
}

// readPatterns reads names or patterns of services.
func readPatterns(v value) ([]reference, error) {
	all, err := listOf(readReference)(v)
	if err == nil && len(all) == 0 {
		err = errEmpty
	}
	return all, err
}

func (d *dependency) loaded(l *loader, ok bool) {
	before := len(l.errors)
	if ok {
		d.complain(l)
	}
	d.proto = alf.Dependency{
		Name:     d.name,
		Run:      d.criteria(l, "execution_failure_criteria", d.run),
		Notify:   d.criteria(l, "notification_failure_criteria", d.notify),
		Inherits: d.inherits.v,
		Soft:     d.soft.or(some(l.daemon.SoftStateDependencies)).v,
		Period:   d.period.v,
	}
	d.broken = !ok || len(l.errors) > before
	l.dependencies = append(l.dependencies, d)
}

// complain adds the mistakes that lie between keys.
func (d *dependency) complain(l *loader) {
	if !d.hosts.set {
		l.add(d.at, "dependency %q: no hosts", d.name)
	}
	if !d.dependentHosts.set && !d.dependentServices.set {
		l.add(d.at, "dependency %q: neither dependent_hosts nor dependent_services", d.name)
	}
	if !d.run.set && !d.notify.set {
		l.add(d.at, "dependency %q: neither execution_failure_criteria nor notification_failure_criteria", d.name)
	}
}

// criteria returns the states that a list names: those of a host, if the masters
// are hosts.
func (d *dependency) criteria(l *loader, key string, list opt[[]string]) alf.Criteria {
	names, letters := serviceStatuses, serviceLetters
	if !d.services.set {
		names, letters = hostStatuses, hostLetters
	}
	var out alf.Criteria
	for _, s := range list.v {
		i := max(slices.Index(names, s), slices.Index(letters, s))
		switch {
		case i >= 0:
			out.Status[i] = true
		case s == "pending" || s == "p":
			out.Pending = true
		case s != "none" && s != "n":
			known := slices.Concat(names, []string{"pending", "none"}, letters, []string{"p", "n"})
			l.add(list.at, "%s: %q is none of %s%s", key, s, quoted(known), didYouMean(s, known))
		}
	}
	return out
}

// joinDependencies gives every service what it depends on. Nothing depends on
// itself, whatever stands between.
func (r *resolver) joinDependencies() {
	slices.SortFunc(r.dependencies, func(a, b *dependency) int { return cmp.Compare(a.name, b.name) })
	byName := make(map[string]*dependency)
	for _, d := range r.dependencies {
		byName[d.name] = d
		r.checkPeriod(d.period)
		r.depend(d)
	}
	done := make(map[alf.Key]bool)
	for _, s := range r.services {
		if len(s.Dependencies) > 0 {
			r.refuseLoop(byName, s.Key, nil, done)
		}
	}
}

// depend makes the dependents of d depend on its masters.
func (r *resolver) depend(d *dependency) {
	before, same := len(r.errors), !d.dependentHosts.set
	here := r.choose(d.hosts)
	there := here
	if !same {
		there = r.choose(d.dependentHosts)
	}
	if d.broken {
		return
	}
	masters, dependents := r.find(here, d.services), r.find(there, d.dependentServices)
	on := make(map[alf.HostName][]*alf.Service)
	for _, m := range masters {
		on[m.Key.Host] = append(on[m.Key.Host], m)
	}
	var links int
	for _, s := range dependents {
		if same {
			masters = on[s.Key.Host]
		}
		links += bind(s, masters, d.proto)
	}
	if links == 0 && len(r.errors) == before && !r.unsure() {
		r.warn(d.at, "dependency %q: nothing depends on anything by it", d.name)
	}
}

// bind makes s depend on masters, except on itself, and returns on how many.
func bind(s *alf.Service, masters []*alf.Service, d alf.Dependency) int {
	before := len(s.Dependencies)
	for _, m := range masters {
		if d.Master = m.Key; m != s {
			s.Dependencies = append(s.Dependencies, d)
		}
	}
	return len(s.Dependencies) - before
}

// choice is what selectors choose.
type choice struct {
	hosts []*host
	sure  bool // there is no mistake in it, and there are any
}

func (r *resolver) choose(hosts opt[[]selector]) choice {
	if len(hosts.v) == 0 {
		return choice{} // which is a mistake that is known
	}
	before := len(r.errors)
	var c choice
	for _, m := range r.pick(hosts.v) {
		c.hosts = append(c.hosts, m.host)
	}
	c.sure = len(c.hosts) > 0 && len(r.errors) == before
	return c
}

// find returns the services on hosts that patterns match; without patterns the
// hosts' own checks.
func (r *resolver) find(on choice, patterns opt[[]reference]) []*alf.Service {
	var found []*alf.Service
	met := make([]bool, len(patterns.v))
	for _, h := range on.hosts {
		for _, s := range r.servicesOn(h.name) {
			if !patterns.set && s.Key.IsHost() || !s.Key.IsHost() && matches(patterns.v, s.Key.Service, met) {
				found = append(found, s)
			}
		}
	}
	for i, p := range patterns.v {
		r.missService(p, met[i] || !on.sure)
	}
	return found
}

// matches reports whether one of patterns takes in name, and notes in met which.
func matches(patterns []reference, name alf.ServiceName, met []bool) (any bool) {
	for i, p := range patterns {
		if alf.Match(p.name, string(name)) {
			met[i], any = true, true
		}
	}
	return any
}

// missService says that no host there has such a service, unless it was found or
// a mistake elsewhere may be all there is to it.
func (r *resolver) missService(p reference, found bool) {
	switch {
	case found || r.unsure():
	case alf.IsPattern(p.name):
		r.warn(p.at, "%q matches no service of these hosts", p.name)
	default:
		r.add(p.at, "none of these hosts has a service %q", p.name)
	}
}

// unsure reports whether services may be missing because of another mistake.
func (r *resolver) unsure() bool {
	return r.partial || r.brokenVariant || len(r.onHosts) > 0 || slices.ContainsFunc(r.checks, func(c *check) bool { return c.broken })
}

// refuseLoop refuses services that depend on themselves. below are those that led
// to key.
func (r *resolver) refuseLoop(byName map[string]*dependency, key alf.Key, below []alf.Key, done map[alf.Key]bool) (loop []alf.Key) {
	if i := slices.Index(below, key); i >= 0 {
		return append(slices.Clone(below[i:]), key)
	}
	if done[key] {
		return nil
	}
	done[key] = true
	for _, dep := range r.service(key).Dependencies {
		loop := r.refuseLoop(byName, dep.Master, append(below, key), done)
		if d := byName[dep.Name]; loop != nil && !d.circular {
			d.circular = true
			r.add(d.at, "dependencies go round in a circle: %s", way(loop))
		}
	}
	return nil
}

func way(keys []alf.Key) string {
	var texts []string
	for _, k := range keys {
		texts = append(texts, fmt.Sprintf("%q", k))
	}
	return strings.Join(texts, " depends on ")
}
