package config

import (
	"cmp"
	"slices"
	"time"

	"alf"
)

// escalation is what [escalation.NAME] says.
type escalation struct {
	name     string
	at       alf.Position
	hosts    opt[[]selector]
	services opt[[]reference] // not set: the hosts' own checks
	people
	first, last opt[int]
	begin, end  opt[time.Duration]
	interval    opt[time.Duration] // notification_interval
	period      opt[string]        // escalation_period
	options     opt[[]string]      // escalation_options

	broken bool // with a mistake in it
	made   *alf.Escalation
}

// maxNotifications bounds the numbers of notifications.
const maxNotifications = 1_000_000

func newEscalation(_ *loader, name string, at alf.Position) thing {
	return &escalation{name: name, at: at}
}

func (e *escalation) keys(*loader) keys {
	return keys{
		"hosts":                 set(&e.hosts, readSelectors),
		"services":              set(&e.services, readPatterns),
		"contacts":              set(&e.contacts, listOf(readReference)),
		"actions":               set(&e.actions, listOf(readReference)),
		"first_notification":    set(&e.first, number(1, maxNotifications)),
		"last_notification":     set(&e.last, number(0, maxNotifications)),
		"begin":                 set(&e.begin, duration(0, maxInterval)),
		"end":                   set(&e.end, duration(0, maxInterval)),
		"notification_interval": set(&e.interval, notifyInterval),
		"escalation_period":     set(&e.period, word),
		"escalation_options":    set(&e.options, listOf(word)),
	}
}

func (e *escalation) loaded(l *loader, ok bool) {
	before := len(l.errors)
	if ok {
		e.complain(l)
	}
	e.made = &alf.Escalation{
		Name: e.name, First: e.first.or(some(1)).v, Last: e.last.v, Begin: e.begin.v, End: e.end.v, Interval: e.interval.or(some(time.Duration(-1))).v,
		Period: e.period.v, Options: e.wanted(l), Contacts: namesOf(e.contacts.v), Actions: namesOf(e.actions.v),
	}
	e.broken = !ok || len(l.errors) > before
	l.escalations = append(l.escalations, e)
}

// complain adds the mistakes that lie between keys.
func (e *escalation) complain(l *loader) {
	if !e.hosts.set {
		l.add(e.at, "escalation %q: no hosts", e.name)
	}
	if len(e.contacts.v)+len(e.actions.v) == 0 && !e.interval.set {
		l.add(e.at, "escalation %q changes nothing: neither contacts, actions nor notification_interval", e.name)
	}
	if e.last.v > 0 && e.last.v < e.first.v {
		l.add(e.last.at, "last_notification %d is before first_notification %d", e.last.v, e.first.v)
	}
	if e.end.v > 0 && e.end.v <= e.begin.v {
		l.add(e.end.at, "end %q is not after begin %q", formatDuration(e.end.v), formatDuration(e.begin.v))
	}
}

// wanted returns the states that escalation_options name: those of hosts, if there
// are no services.
func (e *escalation) wanted(l *loader) alf.NotifyOptions {
	if !e.options.set {
		return alf.AllOptions()
	}
	names, letters := serviceStatuses, serviceLetters
	if !e.services.set {
		names, letters = hostStatuses, hostLetters
	}
	var out alf.NotifyOptions
	for _, s := range e.options.v {
		switch i := max(slices.Index(names, s), slices.Index(letters, s)); {
		case s == onRecovery || s == "r":
			out.Recovery = true
		case i > 0:
			out.Status[i] = true
		default:
			known := slices.Concat(names[1:], []string{onRecovery}, letters[1:], []string{"r"})
			l.add(e.options.at, "escalation_options: %q is none of %s%s", s, quoted(known), didYouMean(s, known))
		}
	}
	return out
}

// joinEscalations gives every host and service its escalations.
func (r *resolver) joinEscalations() {
	slices.SortFunc(r.escalations, func(a, b *escalation) int { return cmp.Compare(a.name, b.name) })
	all := make(map[*alf.Service][]*alf.Escalation)
	for _, e := range r.escalations {
		r.checkPeriod(e.period)
		hosts := r.choose(e.hosts)
		if e.broken {
			continue
		}
		for _, s := range r.find(hosts, e.services) {
			all[s] = append(all[s], e.made)
		}
	}
	type joined struct {
		base  *alf.Policy
		names string
	}
	made := make(map[joined]*alf.Policy)
	for s, escalations := range all {
		key := joined{base: s.Policy}
		for _, e := range escalations {
			key.names += e.Name + "\x00"
		}
		if made[key] == nil {
			p := *s.Policy
			p.Escalations = escalations
			made[key] = &p
		}
		s.Policy = made[key]
	}
}
