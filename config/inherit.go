package config

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"alf"
)

// Templates are put together as trees, before anything is decoded, so that
// every key can be inherited, and a value keeps the place where it stands.

const (
	useKey = "use"  // names the templates of a table
	null   = "null" // takes away what is inherited, as in Nagios (RULES O1)
	adding = "+"    // begins a list that is added to what is inherited
)

// heritage is what a table says of what it inherits.
type heritage struct {
	gone      map[string]value // keys that it has not, whoever has them
	adds      map[string]bool  // lists that are added to those inherited
	inherited map[string]bool  // keys that others have set
	lacks     bool             // some template of it is not there
	apart     bool             // gone and adds are no longer among its values
}

// usage is that of a template by a kind of tables, by itself or by another one.
type usage struct{ template, kind string }

// inherit gives every host and check what its templates have.
func (l *loader) inherit() {
	trees := append([]*table{l.root}, l.again...)
	for _, tree := range trees {
		for name, t := range tree.tables(templateSection) {
			if _, again := l.templates[name]; !again {
				l.templates[name] = t
				l.order = append(l.order, name)
			}
			tree.values[templateSection].any.(*table).replace(name, own(t))
		}
	}
	for _, name := range l.order {
		l.template(reference{name: name})
	}
	for _, kind := range []string{"host", "check"} {
		for _, tree := range trees {
			for name, t := range tree.tables(kind) {
				if _, ok := t.values[useKey]; ok {
					tree.values[kind].any.(*table).replace(name, l.heir(t, kind))
				}
			}
		}
	}
}

// tables yields the tables [kind.NAME] of a tree.
func (t *table) tables(kind string) iter.Seq2[string, *table] {
	return func(yield func(string, *table) bool) {
		all, ok := t.values[kind].any.(*table)
		if !ok {
			return
		}
		for _, name := range all.keys {
			if sub, ok := all.values[name].any.(*table); ok && !yield(name, sub) {
				return
			}
		}
	}
}

// replace puts another table in the place of one.
func (t *table) replace(key string, sub *table) {
	t.values[key] = value{t.values[key].at, sub}
}

// heir returns t with what its templates have.
func (l *loader) heir(t *table, kind string) *table {
	out := own(t)
	l.inheritFrom(out)
	for _, name := range usedBy(t) {
		l.noteUser(name.name, kind, t.path[1])
	}
	return out
}

func (l *loader) inheritFrom(out *table) {
	for _, name := range usedBy(out) {
		base := l.template(name)
		if base == nil {
			out.lacks = true
			continue
		}
		out.lacks = out.lacks || base.lacks
		l.under(out, base, nil)
	}
}

// template returns a template with what it inherits itself. For one that is not
// there, the one that is meant stands in, if one can tell; else it is nil.
func (l *loader) template(name reference) *table {
	if whole, ok := l.whole[name.name]; ok {
		return whole
	}
	if i := slices.Index(l.opening, name.name); i >= 0 {
		l.add(name.at, "templates go round in a circle: %s", strings.Join(append(slices.Clone(l.opening[i:]), name.name), " uses "))
		return newTable(nil, name.at)
	}
	t, ok := l.templates[name.name]
	if !ok {
		meant := nearest(name.name, l.order)
		if meant == "" || slices.Contains(l.opening, meant) {
			return nil
		}
		return l.template(reference{name.at, meant})
	}
	l.opening = append(l.opening, name.name)
	whole := own(t)
	l.inheritFrom(whole)
	l.opening = l.opening[:len(l.opening)-1]
	l.whole[name.name] = whole
	return whole
}

// noteUser notes that a table of that kind and name uses a template, and so those
// that this one uses.
func (l *loader) noteUser(template, kind, name string) {
	t, by := l.templates[template], usage{template, kind}
	if t == nil || l.users[by][name] {
		return
	}
	if l.users[by] == nil {
		l.users[by] = make(map[string]bool)
	}
	l.users[by][name] = true
	for _, next := range usedBy(t) {
		l.noteUser(next.name, kind, name)
	}
}

// usedBy returns the templates that t names, each once, as far as they can be read.
func usedBy(t *table) []reference {
	v, ok := t.values[useKey]
	if !ok {
		return nil
	}
	list, ok := v.any.([]value)
	if !ok {
		list = []value{v}
	}
	var names []reference
	for _, v := range list {
		name, ok := v.any.(string)
		if ok && !slices.ContainsFunc(names, func(r reference) bool { return r.name == name }) {
			names = append(names, reference{v.at, name})
		}
	}
	return names
}

// own returns a copy of t, a table that inherits or is inherited from, with what
// it says of that taken apart from what it sets.
func own(t *table) *table {
	if t.apart {
		return t
	}
	return ownAt(t, nil)
}

func ownAt(t *table, path []string) *table {
	out := newTable(t.path, t.at)
	out.header, out.apart = t.header, true
	for _, key := range t.keys {
		v := t.values[key]
		switch x := v.any.(type) {
		case string:
			if x == null && !isUse(path, key) {
				out.takeAway(key, v)
				continue
			}
		case []value:
			if rest, ok := additive(x); ok && !isUse(path, key) {
				out.addTo(key, true)
				v.any = rest
			}
		case *table:
			if path := append(slices.Clone(path), key); joins(path) {
				v.any = ownAt(x, path)
			}
		}
		out.set(key, v)
	}
	return out
}

func isUse(path []string, key string) bool { return len(path) == 0 && key == useKey }

// joins reports whether a table in a table is put together key by key with an
// inherited one. Others, such as { file = "..." }, are values.
func joins(path []string) bool {
	if path[0] == overrideKey {
		return len(path) <= 2 || joins(path[2:])
	}
	return len(path) == 1 || len(path) == 2 && path[0] == "thresholds"
}

// additive returns a list that begins with "+" without that.
func additive(list []value) ([]value, bool) {
	if len(list) == 0 {
		return nil, false
	}
	first, ok := list[0].any.(string)
	if !ok || !strings.HasPrefix(first, adding) {
		return nil, false
	}
	rest := slices.Clone(list)
	if rest[0].any = first[len(adding):]; first == adding {
		rest = rest[1:]
	}
	return rest, true
}

func (t *table) takeAway(key string, v value) {
	if t.gone == nil {
		t.gone = make(map[string]value)
	}
	t.gone[key] = v
}

func (t *table) addTo(key string, more bool) {
	if t.adds == nil {
		t.adds = make(map[string]bool)
	}
	t.adds[key] = more
}

// inherits sets what another table has.
func (t *table) inherits(key string, v value, more bool) {
	t.noteInherited(key)
	t.set(key, v)
	if more {
		t.addTo(key, true)
	}
}

// clone returns a copy of t that can be added to.
func (t *table) clone() *table {
	out := *t
	out.keys, out.values = slices.Clone(t.keys), maps.Clone(t.values)
	out.gone, out.adds, out.inherited = maps.Clone(t.gone), maps.Clone(t.adds), maps.Clone(t.inherited)
	return &out
}

// under gives t what it does not have itself, and base does. path is where both
// are in the tables that inherit.
func (m *mistakes) under(t, base *table, path []string) {
	for _, key := range base.keys {
		v := base.values[key]
		_, gone := t.gone[key]
		mine, has := t.values[key]
		switch {
		case gone || isUse(path, key):
		case has:
			m.join(t, key, mine, base, path)
		default:
			t.inherits(key, v, base.adds[key])
		}
	}
	for key, v := range base.gone {
		_, gone := t.gone[key]
		if _, has := t.values[key]; has {
			delete(t.adds, key)
		} else if !gone {
			t.takeAway(key, v)
			t.noteInherited(key)
		}
	}
}

// noteInherited notes that somebody else says something of key.
func (t *table) noteInherited(key string) {
	if t.inherited == nil {
		t.inherited = make(map[string]bool)
	}
	t.inherited[key] = true
}

// join puts together what both tables have.
func (m *mistakes) join(t *table, key string, mine value, base *table, path []string) {
	v := base.values[key]
	to, isTable := mine.any.(*table)
	from, both := v.any.(*table)
	if isTable && both {
		if path := append(slices.Clone(path), key); joins(path) {
			if t.inherited[key] { // it is another template's
				to = to.clone()
				t.replace(key, to)
			}
			m.under(to, from, path)
		}
		return
	}
	if !t.adds[key] {
		return
	}
	list, ok := v.any.([]value)
	if !ok {
		m.add(mine.at, `%s: "+" adds to a list, and what is inherited from %s is %s`, key, where(v.at), v.kind())
		return
	}
	t.values[key] = value{mine.at, slices.Concat(list, mine.any.([]value))}
	t.addTo(key, base.adds[key])
}

// readUse reads the names of templates. What they give is there already.
func (l *loader) readUse(v value) ([]reference, error) {
	names, err := oneOrMore(readReference)(v)
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, n := range names {
		switch _, ok := l.templates[n.name]; {
		case !ok && !l.partial:
			errs = append(errs, place(n.at, fmt.Errorf("there is no [template.%v]%s", toml.Key{n.name}, didYouMean(n.name, l.order))))
		case slices.ContainsFunc(names[:i], func(r reference) bool { return r.name == n.name }):
			errs = append(errs, place(n.at, fmt.Errorf("template %q is named twice", n.name)))
		}
	}
	return names, errors.Join(errs...)
}

// use is the reader of that key.
func (l *loader) use() reader { return to(new([]reference), l.readUse) }

const templateSection = "template"

// blueprint is what [template.NAME] says by itself. What becomes of it, those
// that use it say.
type blueprint struct {
	name string
	at   alf.Position
}

func newBlueprint(_ *loader, name string, at alf.Position) thing { return &blueprint{name, at} }

// keys are those of hosts and of checks. One that only either has is a mistake
// in a template that the other uses.
func (b *blueprint) keys(l *loader) keys {
	host, check := new(host).keys(l), new(check).keys(l)
	// Of a list that others add to, nobody can say that it takes too much away.
	check["hosts"] = to(new([]selector), listOf(readSelector))
	k := make(keys, len(host)+len(check))
	for key, read := range host {
		if other, both := check[key]; both {
			k[key] = anyOf(read, other)
		} else {
			k[key] = b.only(l, read, "check")
		}
	}
	for key, read := range check {
		if host[key] == nil {
			k[key] = b.only(l, read, "host")
		}
	}
	return k
}

// only refuses a key in a template that is used where there is none such.
func (b *blueprint) only(l *loader, read reader, not string) reader {
	return func(m *mistakes, key string, v value) {
		read(m, key, v)
		if wrong := l.users[usage{b.name, not}]; len(wrong) > 0 {
			names := slices.Sorted(maps.Keys(wrong))
			use := fmt.Sprintf("%s %q uses", not, names[0])
			if len(names) > 1 {
				use = fmt.Sprintf("%s %q and %s use", not, names[0], count(len(names)-1, "other"))
			}
			m.add(v.at, "%s: %ss have no such key, but %s this template", key, not, use)
		}
	}
}

// anyOf reads what any of two readers takes.
func anyOf(a, b reader) reader {
	return func(m *mistakes, key string, v value) {
		if s, ok := v.any.(*shape); ok {
			x, y := new(shape), new(shape)
			a(m, key, value{any: x})
			b(m, key, value{any: y})
			*s = *x.or(y)
			return
		}
		var first, second mistakes
		if a(&first, key, v); len(first.errors) == 0 {
			return
		}
		if b(&second, key, v); len(second.errors) > 0 {
			m.errors = append(m.errors, first.errors...)
		}
	}
}

func (b *blueprint) loaded(*loader, bool) {}

// warnTemplates warns of those that nothing uses, when it is known what hosts
// there are.
func (l *loader) warnTemplates() {
	used := make(map[string]bool)
	for by := range l.users {
		used[by.template] = true
	}
	for _, t := range l.templates {
		for _, name := range usedBy(t) {
			used[name.name] = true
		}
	}
	for _, name := range l.order {
		if !used[name] && !l.partial && !l.unanswered {
			l.warn(l.templates[name].at, "template %q is used by no host and no check", name)
		}
	}
}
