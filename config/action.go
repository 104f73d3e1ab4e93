package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"alf"
)

// action is what [action.NAME] says. Which keys there are besides those of all
// kinds, the spec of its kind tells.
type action struct {
	name     string
	at       alf.Position
	kind     opt[string] // type
	retryFor opt[time.Duration]

	spec   alf.ActionSpec          // nil: the kind is not known
	places map[string]alf.Position // of the keys of spec
	used   bool
}

const (
	typeKey         = "type"
	defaultRetryFor = day
)

func newAction(_ *loader, name string, at alf.Position) thing {
	return &action{name: name, at: at, places: make(map[string]alf.Position)}
}

// from implements heir: the kind says how the table is read.
func (a *action) from(t *table) {
	a.kind.v, _ = t.values[typeKey].any.(string)
}

func (a *action) keys(l *loader) keys {
	kinds := slices.Sorted(maps.Keys(l.Actions))
	k := keys{}
	if make, ok := l.Actions[a.kind.v]; ok {
		if a.spec == nil {
			a.spec = make()
		}
		maps.Copy(k, a.specKeys(l, a.spec))
	} else if a.kind.v == "" { // whoever asks for the keys wants those of all kinds
		for _, kind := range kinds {
			maps.Copy(k, a.specKeys(l, l.Actions[kind]()))
		}
	} else {
		k[others] = func(*mistakes, string, value) {} // nobody knows what they are
	}
	k[typeKey] = set(&a.kind, oneOf(kinds...))
	k["retry_for"] = set(&a.retryFor, duration(0, 30*day))
	return k
}

func (a *action) loaded(l *loader, ok bool) {
	l.actions[a.name] = a
	if !a.kind.set {
		l.add(a.at, "action %q: no type; it is one of %s", a.name, quoted(slices.Sorted(maps.Keys(l.Actions))))
		return
	}
	if ok && a.spec != nil {
		a.complain(l, a.spec.Validate())
	}
}

// complain adds what the kind finds wrong.
func (a *action) complain(l *loader, err error) {
	switch e := err.(type) {
	case nil:
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			a.complain(l, one)
		}
	case *alf.KeyError:
		if at, ok := a.places[e.Key]; ok {
			l.add(at, "%v", e)
			return
		}
		l.add(a.at, "action %q: %v", a.name, e)
	default:
		l.add(a.at, "action %q: %v", a.name, err)
	}
}

func (a *action) made() alf.ActionConfig {
	return alf.ActionConfig{Name: a.name, Type: a.kind.v, RetryFor: a.retryFor.or(some(defaultRetryFor)).v, Spec: a.spec, Where: a.at}
}

// actionsMade returns all actions by name.
func (r *resolver) actionsMade() []alf.ActionConfig {
	var out []alf.ActionConfig
	for _, name := range slices.Sorted(maps.Keys(r.actions)) {
		out = append(out, r.actions[name].made())
	}
	return out
}

// specKeys says how the fields of a spec are read: by their types, and what their
// tags say beyond that.
func (a *action) specKeys(l *loader, spec alf.ActionSpec) keys {
	k := keys{}
	for name, field := range specFields(spec) {
		read := l.specReader(field)
		k[name] = func(m *mistakes, key string, v value) {
			if o, asked := v.any.(*origin); asked {
				o.at, o.set = a.places[name]
				return
			}
			if _, asked := v.any.(*shape); !asked {
				a.places[name] = v.at
			}
			read(m, key, v)
		}
	}
	return k
}

// specField is a field of a spec. how is what its tag says beyond the key.
type specField struct {
	value reflect.Value
	how   string
}

const specTag = "alf"

// specFields returns the fields of a spec by their keys.
func specFields(spec alf.ActionSpec) map[string]specField {
	all := make(map[string]specField)
	addFields(all, reflect.ValueOf(spec).Elem())
	return all
}

// addFields adds those of v, and of the structs that are embedded in it.
func addFields(all map[string]specField, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if key, how, _ := strings.Cut(f.Tag.Get(specTag), ","); key != "" {
			all[key] = specField{v.Field(i), how}
		} else if f.Anonymous && f.Type.Kind() == reflect.Struct {
			addFields(all, v.Field(i))
		}
	}
}

// specReader reads a value into a field. The tag says "text" of a string that may
// have several lines, "path" of the name of a file, and "plain" of a secret that
// may stand in the configuration as it is.
func (l *loader) specReader(f specField) reader {
	switch dst := f.value.Addr().Interface().(type) {
	case *string:
		if f.how == "text" {
			return to(dst, text)
		}
		return to(dst, word)
	case *alf.Secret:
		if f.how == "plain" {
			return to(dst, l.plainOrSecret)
		}
		return to(dst, l.secret)
	case *bool:
		return to(dst, boolean)
	case *time.Duration:
		return to(dst, duration(time.Millisecond, maxInterval))
	case *[]int:
		return to(dst, listOf(number(0, 1_000_000)))
	case *[]string:
		return to(dst, oneOrMore(word))
	case *map[string]string:
		return readTexts(dst)
	case *map[string]alf.Secret:
		return l.readSecrets(dst)
	case *alf.File:
		return to(dst, l.specFile(f.how))
	}
	panic(fmt.Sprintf("a spec has a field of type %v", f.value.Type()))
}

// maxSpecFile bounds the certificates and the like that a spec may name.
const maxSpecFile = 1 << 20

// specFile reads a file that a spec names.
func (l *loader) specFile(how string) func(value) (alf.File, error) {
	return func(v value) (alf.File, error) {
		name, err := l.path(v)
		f := alf.File{Name: name}
		if err != nil || l.NoSecrets && how == "private" {
			return f, err
		}
		check := notWritable
		if how == "private" {
			check = notReadable
		}
		data, err := readOwn(name, maxSpecFile, check)
		f.Data = alf.Secret(data)
		return f, err
	}
}

// plainOrSecret reads a text, or where a secret is.
func (l *loader) plainOrSecret(v value) (alf.Secret, error) {
	if _, ok := v.any.(*table); ok {
		return l.secret(v)
	}
	s, ok := v.any.(string)
	if !ok {
		return "", v.want(`a string or a table such as { file = "..." }`, secrets)
	}
	if strings.ContainsAny(s, "\x00\r\n") || s == "" {
		return "", errors.New("is empty, or more than a line")
	}
	return alf.Secret(s), nil
}

// readTexts reads a table of texts, of which each may have several lines.
func readTexts(dst *map[string]string) reader {
	return func(m *mistakes, key string, v value) {
		t, ok := v.any.(*table)
		if !ok {
			m.take(key, v.at, v.want(`a table such as { team = "web" }`, func() *shape { return mapping(shapeOf(text)) }))
			return
		}
		*dst = make(map[string]string, len(t.keys))
		for _, name := range t.keys {
			s, err := text(t.values[name])
			if err != nil {
				m.take(key+"."+name, t.values[name].at, err)
			}
			(*dst)[name] = s
		}
	}
}

// readSecrets reads a table of texts and secrets.
func (l *loader) readSecrets(dst *map[string]alf.Secret) reader {
	return func(m *mistakes, key string, v value) {
		t, ok := v.any.(*table)
		if !ok {
			m.take(key, v.at, v.want(`a table such as { Authorization = { file = "..." } }`, func() *shape { return mapping(secrets()) }))
			return
		}
		*dst = make(map[string]alf.Secret, len(t.keys))
		for _, name := range t.keys {
			s, err := l.plainOrSecret(t.values[name])
			if err != nil {
				m.take(key+"."+name, t.values[name].at, err)
			}
			(*dst)[name] = s
		}
	}
}

// actions prints them, and who can be told by them.
func (p *printer) actions(c *Config) {
	for _, a := range c.Actions {
		p.origins = nil
		if p.from != nil {
			p.origins = p.from.actions[a.Name].keys(p.from.loader).origins()
		}
		p.place(a.Where)
		p.table("action", a.Name)
		p.set(typeKey, a.Type)
		p.set("retry_for", a.RetryFor)
		fields := specFields(a.Spec)
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			p.field(key, fields[key].value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Inventory.Contacts())) {
		p.contact(c.Inventory.Contact(name))
	}
	p.origins = nil
}

// field prints a field of a spec that says something.
func (p *printer) field(key string, v reflect.Value) {
	if v.IsZero() {
		return
	}
	switch x := v.Interface().(type) {
	case []int:
		p.numbers(key, x)
	case alf.Secret:
		p.set(key, x.String())
	case alf.File:
		p.set(key, x.Name)
	case []string:
		p.list(key, x)
	case map[string]string:
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(x)) {
			pairs = append(pairs, quote(name)+" = "+quote(x[name]))
		}
		fmt.Fprintf(p.w, "%s = { %s }", key, strings.Join(pairs, ", "))
		p.end(key)
	case map[string]alf.Secret:
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(x)) {
			pairs = append(pairs, quote(name)+" = "+quote(x[name].String()))
		}
		fmt.Fprintf(p.w, "%s = { %s }", key, strings.Join(pairs, ", "))
		p.end(key)
	default:
		p.set(key, x)
	}
}

func (p *printer) contact(c *alf.Contact) {
	p.origins = nil
	if p.from != nil {
		p.origins = p.from.contacts[c.Name].keys(p.from.loader).origins()
	}
	p.place(c.Where)
	p.table("contact", c.Name)
	p.optional("alias", c.Alias)
	p.list("actions", c.Actions)
	if c.HostPeriod == c.ServicePeriod {
		p.optional("notification_period", c.HostPeriod)
	} else {
		p.optional("host_notification_period", c.HostPeriod)
		p.optional("service_notification_period", c.ServicePeriod)
	}
	p.options("host_notification_options", hostStatuses, c.HostOptions)
	p.options("service_notification_options", serviceStatuses, c.ServiceOptions)
}

// options prints of what people are told, if that is not everything.
func (p *printer) options(key string, names []string, o alf.NotifyOptions) {
	all := alf.AllOptions()
	all.Status[3] = len(names) > 3
	if shown := o; shown == all || o == alf.AllOptions() {
		return
	}
	list := []string{}
	for i, name := range names {
		if o.Status[i] {
			list = append(list, name)
		}
	}
	for _, more := range []struct {
		is   bool
		name string
	}{{o.Recovery, onRecovery}, {o.Flapping, onFlapping}, {o.Downtime, onDowntime}} {
		if more.is {
			list = append(list, more.name)
		}
	}
	p.list(key, list)
}

// telling prints who is told of s, and how often.
func (p *printer) telling(s *alf.Service) {
	t := s.Policy
	if t == nil {
		return
	}
	names := serviceStatuses
	if s.Key.IsHost() {
		names = hostStatuses
	}
	if len(t.Contacts) > 0 {
		p.list("contacts", t.Contacts)
	}
	if len(t.Actions) > 0 {
		p.list("actions", t.Actions)
	}
	p.set("notification_interval", t.Interval)
	if t.Delay > 0 {
		p.set("first_notification_delay", t.Delay)
	}
	p.options("notification_options", names, t.Options)
	var escalations []string
	for _, e := range t.Escalations {
		escalations = append(escalations, describeEscalation(e))
	}
	if len(escalations) > 0 {
		p.list("escalations", escalations)
	}
}

// describeEscalation says what e does, and when, in short.
func describeEscalation(e *alf.Escalation) string {
	text := e.Name + ": from " + strconv.Itoa(e.First)
	if e.Last > 0 {
		text += " to " + strconv.Itoa(e.Last)
	}
	if e.Begin > 0 {
		text += ", after " + formatDuration(e.Begin)
	}
	if e.End > 0 {
		text += ", until " + formatDuration(e.End)
	}
	if e.Period != "" {
		text += ", in " + e.Period
	}
	if who := slices.Concat(e.Contacts, e.Actions); len(who) > 0 {
		text += ", tells " + strings.Join(who, ", ")
	}
	if e.Interval >= 0 {
		text += ", every " + formatDuration(e.Interval)
	}
	return text
}
