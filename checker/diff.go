package checker

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"alf"
)

// Difference is what another inventory would change. A reload goes by it, and so
// does whoever asks before.
type Difference struct {
	Added, Removed []alf.Key // by key, hosts before their services
	Renamed        []Renamed // by the new key
	Changed        []Changed // by key
	Kept           int       // what is as it was

	prev, next *alf.Inventory
	family     family // of next, found here rather than where checks wait for it

	kept  []bool // of the services of the other inventory
	added []*alf.Service
	gone  []alf.Key           // all that next has not, renamed or not
	from  map[alf.Key]alf.Key // what was renamed, by the new key
	to    map[alf.Key]alf.Key // the same by the old key
}

// Renamed is a host or a service with another name, which goes on as it was.
type Renamed struct{ From, To alf.Key }

// Changed is a host or a service with other settings.
type Changed struct {
	Key     alf.Key
	was, is *alf.Service
}

// Setting is one that differs, named as the configuration does. A secret is never
// in it: From and To are then the same.
type Setting struct{ Name, From, To string }

// Compare returns what becomes of the services of prev when next takes its place.
// Where something stands in the files is no part of it, nor is what Alf itself
// adds to them.
func Compare(prev, next *alf.Inventory) *Difference {
	d := &Difference{prev: prev, next: next, family: kin(next), kept: make([]bool, len(next.Services())), from: make(map[alf.Key]alf.Key), to: make(map[alf.Key]alf.Key)}
	hosts := sameHosts(prev, next)
	rest := prev.Services() // both are sorted: what stands before the next one of next is gone
	for i, s := range next.Services() {
		for len(rest) > 0 && rest[0].Key != s.Key && rest[0].Key.Compare(s.Key) < 0 {
			d.gone, rest = append(d.gone, rest[0].Key), rest[1:]
		}
		if len(rest) == 0 || rest[0].Key != s.Key {
			d.add(s)
			continue
		}
		d.kept[i] = hosts[s.Host] && (s.On == nil || s.On == s.Host || hosts[s.On]) && same(rest[0], s)
		switch {
		case s.Own():
		case d.kept[i]:
			d.Kept++
		default:
			d.Changed = append(d.Changed, Changed{s.Key, rest[0], s})
		}
		rest = rest[1:]
	}
	for _, s := range rest {
		d.gone = append(d.gone, s.Key)
	}
	for _, key := range d.gone {
		if _, renamed := d.to[key]; !renamed && !prev.Service(key).Own() {
			d.Removed = append(d.Removed, key)
		}
	}
	return d
}

// add notes one that prev has not under its key.
func (d *Difference) add(s *alf.Service) {
	d.added = append(d.added, s)
	from, renamed := predecessor(s, d.prev, d.next)
	switch {
	case s.Own():
	case renamed && d.to[from] == alf.Key{}:
		d.from[s.Key], d.to[from] = from, s.Key
		d.Renamed = append(d.Renamed, Renamed{from, s.Key})
	default:
		d.Added = append(d.Added, s.Key)
	}
}

// predecessor returns what s was called in prev, if that is gone in next.
func predecessor(s *alf.Service, prev, next *alf.Inventory) (alf.Key, bool) {
	for _, key := range s.Former() {
		if prev.Service(key) != nil && next.Service(key) == nil {
			return key, true
		}
	}
	return alf.Key{}, false
}

// Empty reports whether nothing would change.
func (d *Difference) Empty() bool {
	return len(d.Added)+len(d.Removed)+len(d.Renamed)+len(d.Changed) == 0
}

// Counts returns how many there are of each.
func (d *Difference) Counts() Diff {
	return Diff{Added: len(d.Added), Removed: len(d.Removed), Changed: len(d.Changed), Renamed: len(d.Renamed), Kept: d.Kept}
}

// sameHosts says which hosts of next are as they were in prev. They are compared
// once each, and not again with each of their services.
func sameHosts(prev, next *alf.Inventory) map[*alf.Host]bool {
	hosts := make(map[*alf.Host]bool, len(next.Hosts()))
	for _, h := range next.Hosts() {
		was := prev.Host(h.Name)
		hosts[h] = was != nil && reflect.DeepEqual(plainHost(was), plainHost(h))
	}
	return hosts
}

// same compares two services without their hosts. Reflection would take long: most
// of many are as they were. That no field is forgotten, a test sees to.
func same(a, b *alf.Service) bool {
	return a.Check == b.Check && a.Builtin == b.Builtin && a.Passive == b.Passive && spot(a) == spot(b) &&
		sameCommand(a, b) && sameTimes(a, b) && sameJudging(a, b) &&
		a.Metric == b.Metric && a.NotesURL == b.NotesURL && slices.Equal(a.Overridden, b.Overridden)
}

func sameCommand(a, b *alf.Service) bool {
	return slices.EqualFunc(a.Argv, b.Argv, slices.Equal) && slices.Equal(a.Shell, b.Shell) && a.Script == b.Script &&
		slices.Equal(a.Path, b.Path) && slices.EqualFunc(a.Env, b.Env, sameVariable) && a.Dir == b.Dir && slices.Equal(a.Stdin, b.Stdin) &&
		a.Timeout == b.Timeout && a.MaxOutput == b.MaxOutput
}

func sameTimes(a, b *alf.Service) bool {
	return a.Interval == b.Interval && a.Retry == b.Retry && a.Schedule == b.Schedule && a.CheckPeriod == b.CheckPeriod &&
		a.NotificationPeriod == b.NotificationPeriod && a.Freshness == b.Freshness && slices.Equal(a.Recurring, b.Recurring) &&
		slices.Equal(a.Dependencies, b.Dependencies) && samePolicy(a.Policy, b.Policy)
}

func samePolicy(a, b *alf.Policy) bool {
	if a == nil || b == nil || a == b {
		return a == b
	}
	return a.Options == b.Options && a.Interval == b.Interval && a.Delay == b.Delay && slices.Equal(a.Contacts, b.Contacts) &&
		slices.Equal(a.Actions, b.Actions) && slices.EqualFunc(a.Escalations, b.Escalations, func(a, b *alf.Escalation) bool { return reflect.DeepEqual(a, b) })
}

func sameJudging(a, b *alf.Service) bool {
	return a.MaxAttempts == b.MaxAttempts && a.Volatile == b.Volatile && a.Flapping == b.Flapping && a.Stalking == b.Stalking &&
		a.SoftPassive == b.SoftPassive && a.TimeoutStatus == b.TimeoutStatus && a.BadExitStatus == b.BadExitStatus &&
		(len(a.Thresholds)+len(b.Thresholds) == 0 || reflect.DeepEqual(a.Thresholds, b.Thresholds)) &&
		(a.Expect == b.Expect || reflect.DeepEqual(a.Expect, b.Expect))
}

func sameVariable(a, b alf.EnvVar) bool { return a.Name == b.Name && slices.Equal(a.Value, b.Value) }

// plainHost returns h without what makes no difference.
func plainHost(h *alf.Host) *alf.Host {
	plain := *h
	plain.Where, plain.RenamedFrom = alf.Position{}, ""
	return &plain
}

// plainService returns s without what makes no difference, and without its hosts.
func plainService(s *alf.Service) *alf.Service {
	plain := *s
	plain.Where, plain.RenamedFrom, plain.Host, plain.On = alf.Position{}, "", nil, nil
	return &plain
}

// Settings returns the settings that differ, by name. Of a service that has the
// same ones on a host that has others there are none.
func (x Changed) Settings() []Setting {
	was, is := x.was, x.is
	var c comparison
	if is.Key.IsHost() {
		c.fields("", reflect.ValueOf(*plainHost(was.Host)), reflect.ValueOf(*plainHost(is.Host)))
	}
	c.fields("", reflect.ValueOf(*plainService(was)), reflect.ValueOf(*plainService(is)))
	if from, to := runsOn(was), runsOn(is); from != to {
		c.settings = append(c.settings, Setting{"run", from, to})
	}
	slices.SortStableFunc(c.settings, func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) })
	return slices.Compact(c.settings)
}

func runsOn(s *alf.Service) string {
	switch {
	case s.On == nil:
		return "local"
	case s.On.Name == s.Key.Host:
		return "remote"
	}
	return string(s.On.Name)
}

// comparison collects settings that differ.
type comparison struct{ settings []Setting }

// names are what the configuration calls fields, where that is not their name in
// lower case.
var names = map[string]string{
	"SSH": "ssh", "Builtin": "check_command", "Argv": "command", "Shell": "command", "Path": "plugin_dir",
	"Interval": "check_interval", "Retry": "retry_interval", "MaxAttempts": "max_check_attempts", "Volatile": "is_volatile",
	"Flapping.Enabled": "flap_detection_enabled", "Flapping.Low": "low_flap_threshold", "Flapping.High": "high_flap_threshold",
	"Flapping.Ignore": "flap_detection_options", "Stalking": "stalking_options", "Freshness": "freshness_threshold",
	"SoftPassive": "passive_host_checks_are_soft", "Timeout": "check_timeout", "TimeoutStatus": "timeout_state",
	"Policy.Options.Status": "notification_options", "Policy.Options.Recovery": "notification_options.recovery",
	"Policy.Options.Flapping": "notification_options.flapping", "Policy.Options.Downtime": "notification_options.downtime",
	"Policy.Interval": "notification_interval", "Policy.Delay": "first_notification_delay", "Policy.Contacts": "contacts",
	"Policy.Actions": "actions", "Policy.Escalations": "escalation",
	"BadExitStatus": "compat", "Recurring": "downtime", "Dependencies": "dependency", "NotesURL": "notes_url",
}

// nameOf returns what the configuration calls the field at path.
func nameOf(path string) string {
	if name, ok := names[path]; ok {
		return name
	}
	before, field, nested := strings.Cut(path, ".")
	if nested {
		return nameOf(before) + "." + nameOf(field)
	}
	var b strings.Builder
	for i, r := range path {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// fields compares two structs field by field; path leads to them.
func (c *comparison) fields(path string, was, is reflect.Value) {
	for i := range is.NumField() {
		name := path + is.Type().Field(i).Name
		from, to := was.Field(i), is.Field(i)
		if reflect.DeepEqual(from.Interface(), to.Interface()) {
			continue
		}
		switch {
		case to.Kind() == reflect.Struct:
			c.fields(name+".", from, to)
		case name == "Policy":
			c.fields(name+".", policy(from), policy(to))
		case to.Kind() == reflect.Map:
			c.variables(nameOf(name), from, to)
		default:
			c.add(nameOf(name), from, to)
		}
	}
}

// policy returns the struct behind a *alf.Policy; for nil, an empty one.
func policy(v reflect.Value) reflect.Value {
	if v.IsNil() {
		return reflect.ValueOf(alf.Policy{})
	}
	return v.Elem()
}

// variables compares two maps whose keys are texts.
func (c *comparison) variables(name string, was, is reflect.Value) {
	keys := make(map[string]reflect.Value)
	for _, m := range []reflect.Value{was, is} {
		for _, key := range m.MapKeys() {
			keys[key.String()] = key
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		from, to := was.MapIndex(keys[key]), is.MapIndex(keys[key])
		if !from.IsValid() || !to.IsValid() || !reflect.DeepEqual(from.Interface(), to.Interface()) {
			c.add(name+"."+key, from, to)
		}
	}
}

func (c *comparison) add(name string, was, is reflect.Value) {
	c.settings = append(c.settings, Setting{name, show(was), show(is)})
}

// show prints a value for people, without the secrets in it.
func show(v reflect.Value) string {
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return showDuration(x)
	case [4]bool:
		return statuses(x)
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return show(v.Elem())
	case reflect.Slice:
		return showList(v)
	case reflect.Struct:
		return showStruct(v)
	}
	return fmt.Sprint(v.Interface())
}

// showDuration prints d without the units that say nothing: "1h", not "1h0m0s".
func showDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func showList(v reflect.Value) string {
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = show(v.Index(i))
		if k := v.Index(i).Kind(); k == reflect.String || k == reflect.Slice {
			parts[i] = fmt.Sprintf("%q", parts[i])
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func showStruct(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		if f := v.Field(i); f.CanInterface() && !f.IsZero() {
			parts = append(parts, nameOf(v.Type().Field(i).Name)+" = "+show(f))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func statuses(set [4]bool) string {
	var on []string
	for i, is := range set {
		if is {
			on = append(on, strings.ToLower(alf.Status(i).String()))
		}
	}
	return "[" + strings.Join(on, ", ") + "]"
}
