package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"alf"
)

// origin is where the value of a key comes from.
//
// As with shapes, nobody writes that down key by key: a reader that is given an
// origin as its value writes into it where the setting stands that it would set.
type origin struct {
	set   bool
	at    alf.Position // zero: built in
	inner origins      // of a table
}

// origins are those of the keys of a table.
type origins map[string]*origin

// origins asks the readers of a table where the settings stand that they have set.
func (k keys) origins() origins {
	all := make(origins)
	for key, read := range k {
		o := new(origin)
		read(new(mistakes), key, value{any: o})
		if o.set || o.inner != nil {
			all[key] = o
		}
	}
	return all
}

// variables returns where those of v stand.
func (v vars) origins() origins {
	all := make(origins, len(v))
	for name, x := range v {
		all[name] = &origin{set: true, at: x.at}
	}
	return all
}

// provenance knows of every value where it comes from. It holds on to all that
// was loaded, so a configuration has one only if it was asked for.
type provenance struct {
	*resolver
	headers map[string][]*table // of each file, by line
	placed  map[alf.Key]*scope  // what each service was made in
}

func newProvenance(root *table) *provenance {
	p := &provenance{headers: make(map[string][]*table), placed: make(map[alf.Key]*scope)}
	p.collect(root)
	for _, all := range p.headers {
		slices.SortFunc(all, func(a, b *table) int { return cmp.Compare(a.at.Line, b.at.Line) })
	}
	return p
}

func (p *provenance) collect(t *table) {
	if t.header {
		p.headers[t.at.File] = append(p.headers[t.at.File], t)
	}
	for _, key := range t.keys {
		if sub, ok := t.values[key].any.(*table); ok {
			p.collect(sub)
		}
	}
}

// where says in which line, and in which table, something stands.
func (p *provenance) where(at alf.Position) string {
	if at == (alf.Position{}) {
		return "default"
	}
	all := p.headers[at.File]
	i, found := slices.BinarySearchFunc(all, at.Line, func(t *table, line int) int { return cmp.Compare(t.at.Line, line) })
	if !found {
		i--
	}
	if i < 0 {
		return where(at)
	}
	return fmt.Sprintf("%s %v", where(at), all[i])
}

// host returns where the settings of a host come from.
func (p *provenance) host(name alf.HostName) origins {
	h := p.byName[name]
	if h == nil {
		return nil
	}
	ssh, own := h.full, h.own
	own.schedule = p.ownSettings(h).schedule
	all := h.keys(p.loader).origins()
	for key, o := range own.keys().origins() {
		all[key] = o
	}
	all["address"] = &origin{set: true, at: h.place.at}
	p.lists(all, "hostgroups", h.hostgroups)
	p.lists(all, "parents", h.parents)
	if len(h.parents) == 0 && len(h.made.Parents) > 0 {
		all["parents"] = &origin{set: true, at: h.full.proxyJump.at}
	}
	all["ssh"] = &origin{inner: ssh.keys(p.loader).origins()}
	all["vars"] = &origin{inner: vars(p.varsOf(h)).origins()}
	return all
}

// lists adds where a list of names stands.
func (p *provenance) lists(all origins, key string, names []reference) {
	if len(names) > 0 {
		all[key] = &origin{set: true, at: names[0].at}
	}
}

// service returns where the settings of a service come from.
func (p *provenance) service(key alf.Key) origins {
	s := p.placed[key]
	if s == nil {
		return p.host(key.Host) // its link is checked as the host is
	}
	all := s.c.keys(p.loader).origins()
	if period := s.h.own.notifications; period.set && !s.c.notifiesOwn {
		all["notification_period"] = &origin{set: true, at: period.at}
	}
	own := s.c.tellsOwn.implied(s.h.own.telling).over(p.defaults.telling)
	maps.Copy(all, own.keys().origins())
	env := make(origins)
	for _, e := range s.c.env {
		env[e.name] = &origin{set: true, at: e.value.at}
	}
	all["env"] = &origin{inner: env}
	return all
}

// use is a variable that a service uses.
type use struct {
	name  string
	value alf.Value
	at    alf.Position
}

// used returns the variables that the command of a service, its environment and
// its folder use, and those that these use, by name.
func (p *provenance) used(key alf.Key) []use {
	s := p.placed[key]
	if s == nil {
		return nil
	}
	seen := make(map[string]bool)
	var all []use
	var follow func(t alf.Template)
	follow = func(t alf.Template) {
		for _, name := range t.Macros() {
			if seen[name] {
				continue
			}
			seen[name] = true
			if text, ok := s.each[name]; ok {
				i := slices.IndexFunc(s.c.forEach, func(l loop) bool { return l.name == name })
				all = append(all, use{name, alf.Value{Text: text}, s.c.forEach[i].at})
				continue
			}
			x := s.variable(name)
			if x == nil {
				continue
			}
			s.steps = 0
			all = append(all, use{name, s.expand(name, x), x.at})
			for _, inner := range x.texts {
				follow(inner)
			}
		}
	}
	c := s.c
	for _, t := range slices.Concat(c.command.v.argv, c.args.v, []template{c.command.v.shell, c.cwd.v, c.stdin.v}) {
		follow(t.Template)
	}
	for _, e := range c.env {
		follow(e.value.Template)
	}
	slices.SortFunc(all, func(a, b use) int { return strings.Compare(a.name, b.name) })
	return all
}
