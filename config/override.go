package config

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"alf"
)

// overrideKey is the table of a host or a hostgroup that says what is different
// for single checks there.
const overrideKey = "check"

// override is what [host.NAME.check.ID] or [hostgroup.NAME.check.ID] says.
type override struct {
	id    string // of a check, or a pattern
	table *table
	index int
	used  bool // it changes a check of some host
}

// readOverrides reads what hosts say of single checks. It is put together with
// the checks when it is known which hosts they select (see resolver.variant).
func (l *loader) readOverrides(dst *[]*override) reader {
	return func(m *mistakes, key string, v value) {
		looks := func() *shape { return mapping(l.overrideKeys().shape()) }
		t, ok := v.any.(*table)
		if !ok {
			m.take(key, v.at, v.want("tables [host.NAME.check.ID]", looks))
			return
		}
		for _, id := range t.keys {
			v := t.values[id]
			sub, ok := v.any.(*table)
			switch {
			case !ok:
				m.take(key+"."+id, v.at, v.want("a table", looks))
			case id == "":
				m.take(key, v.at, errors.New("the ID of a check is empty"))
			default:
				*dst = append(*dst, l.override(m, key, id, sub))
			}
		}
	}
}

// amendment is a [host.NAME.check.ID] of the files for a host that is defined
// elsewhere: by a source.
type amendment struct {
	at        alf.Position
	overrides []*override
}

// overridesOnly reports whether all that is said of t is what is different for
// single checks. Such a table defines nothing by itself.
func (t *table) overridesOnly() bool {
	return !t.header && len(t.keys) == 1 && t.keys[0] == overrideKey
}

// addAmendment reads the table of a host that speaks of single checks only.
func (l *loader) addAmendment(name string, t *table) {
	a := &amendment{at: t.at}
	l.fill(t, "", keys{overrideKey: l.readOverrides(&a.overrides)})
	if host := alf.HostName(name); l.amendments[host] == nil {
		l.amendments[host] = a
	}
}

// override reads one of them, or knows it: many may inherit it.
func (l *loader) override(m *mistakes, key, id string, t *table) *override {
	if o := l.overrides[t]; o != nil {
		return o
	}
	o := &override{id: id, table: own(t), index: len(l.overrides)}
	l.overrides[t] = o
	m.fill(o.table, key+"."+id+".", l.overrideKeys())
	return o
}

// overrideKeys are those of a check, but for what says where it is and which
// services it makes.
func (l *loader) overrideKeys() keys {
	k := new(check).keys(l)
	for _, key := range []string{"hosts", "service", "for_each", useKey} {
		delete(k, key)
	}
	return k
}

// speaksOf reports whether o is about a check.
func (o *override) speaksOf(id string) bool { return alf.Match(o.id, id) }

// collectOverrides says which overrides each host has: those of files before its
// own, these before those of its groups, and those that name a check before
// patterns.
func (r *resolver) collectOverrides() {
	byName := func(all []*override) []*override {
		slices.SortStableFunc(all, func(a, b *override) int { return pattern(a.id) - pattern(b.id) })
		for _, o := range all {
			r.checkOverride(o)
		}
		return all
	}
	for _, g := range r.groups {
		g.overrides = byName(g.overrides)
	}
	for _, h := range r.hosts {
		if len(h.amended) > 0 {
			h.layers = append(h.layers, byName(h.amended))
		}
		if len(h.overrides) > 0 {
			h.layers = append(h.layers, byName(h.overrides))
		}
		for _, g := range h.groups {
			if len(g.overrides) > 0 {
				h.layers = append(h.layers, g.overrides)
			}
		}
	}
}

// checkAmendments refuses those of hosts that nothing defines.
func (r *resolver) checkAmendments() {
	for name, a := range r.amendments {
		if _, ok := r.byName[name]; !ok {
			r.absentHost(a.at, string(name))
		}
		for _, o := range a.overrides {
			r.checkOverride(o)
		}
	}
}

// checkPhantoms refuses hostgroups of which only overrides are said, and that
// nobody names. A host of a source may.
func (r *resolver) checkPhantoms() {
	for _, g := range r.groups {
		if g.phantom && len(g.hosts) == 0 && len(r.sources) == 0 {
			r.unknownGroup(g.at, g.name)
		}
	}
}

// checkOverride refuses one of a check that is not there.
func (r *resolver) checkOverride(o *override) {
	if o.used || r.checkIDs[o.id] || alf.IsPattern(o.id) || r.partial {
		return
	}
	o.used = true
	r.add(o.table.at, "there is no [check.%v]%s", toml.Key{o.id}, didYouMean(o.id, slices.Sorted(maps.Keys(r.checkIDs))))
}

// variantKey names a check as some hosts have it.
type variantKey struct {
	check     *check
	overrides string
}

// variant returns c as a host has it.
func (r *resolver) variant(c *check, h *host) *check {
	if len(h.layers) == 0 {
		return c
	}
	var layers []*override
	var name strings.Builder
	for _, all := range h.layers {
		for _, o := range all {
			if o.speaksOf(c.id) {
				o.used = true
				layers = append(layers, o)
				name.WriteString(strconv.Itoa(o.index) + " ")
			}
		}
	}
	if len(layers) == 0 {
		return c
	}
	key := variantKey{c, name.String()}
	v := r.variants[key]
	if v == nil {
		v = r.makeVariant(c, layers)
		r.variants[key] = v
	}
	return v
}

// makeVariant puts c together with what overrides it, the first one first. What
// is wrong in either is known; what is wrong only in both together is added.
func (r *resolver) makeVariant(c *check, layers []*override) *check {
	var known mistakes
	v := &check{id: c.id, at: c.at}
	t := ownAt(newTable(layers[0].table.path, layers[0].table.at), nil)
	for _, o := range layers {
		r.under(t, o.table, nil)
		v.overridden = append(v.overridden, o.table.at)
	}
	k := v.keys(r.loader)
	if vars, ok := t.values["vars"]; ok {
		r.readVars(&v.above)(&known, "vars", vars)
	}
	said := t.clone()
	t.drop("vars")
	r.under(t, c.table, nil)
	v.table = t
	v.finish(r.loader, known.fill(t, "", k))
	v.share(c, said)
	r.prepare(v)
	r.brokenVariant = r.brokenVariant || v.broken
	return v
}

// share lets v have what c has where said does not speak of it.
func (c *check) share(base *check, said *table) {
	says := func(key string) bool {
		_, set := said.values[key]
		_, gone := said.gone[key]
		return set || gone
	}
	if c.vars = base.vars; !says("thresholds") {
		c.thresholds = base.thresholds
	}
	if !says("expect") {
		c.expect = base.expect
	}
}

// drop makes t as if it had never spoken of key.
func (t *table) drop(key string) {
	t.keys = slices.DeleteFunc(t.keys, func(k string) bool { return k == key })
	delete(t.values, key)
	delete(t.gone, key)
	delete(t.inherited, key)
}

// warnOverrides warns of those that change nothing.
func (r *resolver) warnOverrides() {
	if r.unsure() {
		return
	}
	whose := map[string]string{
		"host":          "this host",
		"hostgroup":     "a host of this hostgroup",
		templateSection: "a host that uses this template",
	}
	warn := func(all []*override) {
		for _, o := range all {
			if !o.used {
				r.warn(o.table.at, "%v changes nothing: no check %q selects %s", o.table, o.id, whose[o.table.path[0]])
			}
		}
	}
	for _, h := range r.hosts {
		warn(h.amended)
		warn(h.overrides)
	}
	for _, g := range r.groups {
		warn(g.overrides)
	}
}
