package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/BurntSushi/toml"

	"alf"
)

// contact is what [contact.NAME] says.
type contact struct {
	name           string
	at             alf.Position
	alias          opt[string]
	actions        opt[[]reference]
	period         opt[string] // notification_period
	hostPeriod     opt[string]
	servicePeriod  opt[string]
	hostOptions    opt[alf.NotifyOptions]
	serviceOptions opt[alf.NotifyOptions]

	used bool
}

func newContact(_ *loader, name string, at alf.Position) thing { return &contact{name: name, at: at} }

func (c *contact) keys(*loader) keys {
	return keys{
		"alias":                        set(&c.alias, word),
		"actions":                      set(&c.actions, listOf(readReference)),
		"notification_period":          set(&c.period, word),
		"host_notification_period":     set(&c.hostPeriod, word),
		"service_notification_period":  set(&c.servicePeriod, word),
		"host_notification_options":    set(&c.hostOptions, readOptions(hostStatuses, hostLetters)),
		"service_notification_options": set(&c.serviceOptions, readOptions(serviceStatuses, serviceLetters)),
	}
}

func (c *contact) loaded(l *loader, ok bool) {
	if ok && len(c.actions.v) == 0 {
		l.add(c.at, "contact %q: no actions, so that it could never be told", c.name)
	}
	l.contacts[c.name] = c
}

func (c *contact) made() *alf.Contact {
	return &alf.Contact{
		Name: c.name, Alias: c.alias.v, Actions: namesOf(c.actions.v), Where: c.at,
		HostPeriod: c.hostPeriod.or(c.period).v, ServicePeriod: c.servicePeriod.or(c.period).v,
		HostOptions:    c.hostOptions.or(some(alf.AllOptions())).v,
		ServiceOptions: c.serviceOptions.or(some(alf.AllOptions())).v,
	}
}

func namesOf(all []reference) []string {
	var names []string
	for _, r := range all {
		if !slices.Contains(names, r.name) {
			names = append(names, r.name)
		}
	}
	return names
}

// The words of notification options besides statuses, and Nagios' letters for them.
const (
	onRecovery = "recovery"
	onFlapping = "flapping"
	onDowntime = "downtime"
	onNothing  = "none"
)

// readOptions reads of what people are told: statuses by name or by Nagios'
// letters, and the like.
func readOptions(names, letters []string) func(value) (alf.NotifyOptions, error) {
	words := slices.Concat(names[1:], []string{onRecovery, onFlapping, onDowntime, onNothing}, letters[1:], []string{"r", "f", "s", "n"})
	return func(v value) (alf.NotifyOptions, error) {
		var out alf.NotifyOptions
		all, err := listOf(oneOf(words...))(v)
		for _, s := range all {
			switch s {
			case onRecovery, "r":
				out.Recovery = true
			case onFlapping, "f":
				out.Flapping = true
			case onDowntime, "s":
				out.Downtime = true
			case onNothing, "n":
			default:
				out.Status[max(slices.Index(names, s), slices.Index(letters, s), 0)] = true
			}
		}
		out.Status[alf.OK] = false
		return out, err
	}
}

// people are those whom a table names.
type people struct {
	contacts opt[[]reference]
	actions  opt[[]reference]
}

// set reports whether the table names any, or says that there are none.
func (p people) set() bool { return p.contacts.set || p.actions.set }

// over returns p, or base if the table of p names nobody: who names some names all.
func (p people) over(base people) people {
	if p.set() {
		return p
	}
	return base
}

// telling says who is told of a host or service, and how often.
type telling struct {
	people
	interval opt[time.Duration] // notification_interval
	delay    opt[time.Duration] // first_notification_delay
}

func (t *telling) keys() keys {
	return keys{
		"contacts":                 set(&t.contacts, listOf(readReference)),
		"actions":                  set(&t.actions, listOf(readReference)),
		"notification_interval":    set(&t.interval, notifyInterval),
		"first_notification_delay": set(&t.delay, duration(0, maxInterval)),
	}
}

// notifyInterval reads a notification_interval: "0s" means once.
func notifyInterval(v value) (time.Duration, error) { return duration(0, maxInterval)(v) }

func (t telling) over(base telling) telling {
	return telling{people: t.people.over(base.people), interval: t.interval.or(base.interval), delay: t.delay.or(base.delay)}
}

// implied is over for what a service has of its host, if its check says nothing of
// it (RULES O3).
func (t telling) implied(host telling) telling {
	return telling{people: t.people.over(host.people), interval: t.interval.or(host.interval), delay: t.delay}
}

// policyKey names a policy while the configuration is put together. Lists are told
// apart by where they are.
type policyKey struct {
	contacts, actions *reference
	interval, delay   time.Duration
	options           alf.NotifyOptions
	escalations       string
}

func firstOf(list []reference) *reference {
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

// policy returns what t and options say; nil: nobody is told.
func (r *resolver) policy(t telling, options opt[alf.NotifyOptions]) *alf.Policy {
	if len(t.contacts.v)+len(t.actions.v)+len(r.escalations) == 0 {
		return nil
	}
	key := policyKey{firstOf(t.contacts.v), firstOf(t.actions.v), t.interval.v, t.delay.v, options.or(some(alf.AllOptions())).v, ""}
	p := r.policies[key]
	if p == nil {
		p = &alf.Policy{Options: key.options, Interval: key.interval, Delay: key.delay, Contacts: namesOf(t.contacts.v), Actions: namesOf(t.actions.v)}
		r.policies[key] = p
	}
	return p
}

// dropPolicies takes away those by which nobody is told.
func (r *resolver) dropPolicies() {
	for _, s := range r.services {
		if p := s.Policy; p != nil && len(p.Contacts)+len(p.Actions)+len(p.Escalations) == 0 {
			s.Policy = nil
		}
	}
}

// joinPeople refuses contacts and actions that are not there, and warns of those
// that nobody names.
func (r *resolver) joinPeople() {
	all := []people{r.defaults.telling.people}
	for _, h := range r.hosts {
		all = append(all, h.own.telling.people)
	}
	for _, g := range r.groups {
		all = append(all, g.own.telling.people)
	}
	for _, c := range r.checks {
		all = append(all, c.telling.people)
	}
	for _, c := range r.variants {
		all = append(all, c.telling.people)
	}
	for _, e := range r.escalations {
		all = append(all, e.people)
	}
	for _, p := range all {
		for _, name := range p.contacts.v {
			r.checkContact(name)
		}
		for _, name := range p.actions.v {
			r.checkAction(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.contacts)) {
		c := r.contacts[name]
		for _, action := range c.actions.v {
			r.checkAction(action)
		}
		r.checkPeriod(c.period)
		r.checkPeriod(c.hostPeriod)
		r.checkPeriod(c.servicePeriod)
		if !c.used && !r.unsure() && !r.unanswered {
			r.warn(c.at, "contact %q is told of nothing: neither a host nor a check, an escalation or [defaults] names it", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.actions)) {
		if a := r.actions[name]; !a.used && !r.unsure() && !r.unanswered {
			r.warn(a.at, "action %q tells nobody: neither a contact nor a host, a check, an escalation or [defaults] names it", name)
		}
	}
}

func (r *resolver) checkContact(name reference) {
	if c := r.contacts[name.name]; c != nil {
		c.used = true
	} else if !r.partial {
		r.addOnce(name.at, fmt.Sprintf("there is no [contact.%v]%s", toml.Key{name.name}, didYouMean(name.name, slices.Sorted(maps.Keys(r.contacts)))))
	}
}

func (r *resolver) checkAction(name reference) {
	if a := r.actions[name.name]; a != nil {
		a.used = true
	} else if !r.partial {
		r.addOnce(name.at, fmt.Sprintf("there is no [action.%v]%s", toml.Key{name.name}, didYouMean(name.name, slices.Sorted(maps.Keys(r.actions)))))
	}
}

// peopleMade returns those who can be told.
func (r *resolver) peopleMade() alf.People {
	p := alf.People{Contacts: make(map[string]*alf.Contact, len(r.contacts))}
	for name, c := range r.contacts {
		p.Contacts[name] = c.made()
	}
	return p
}

// ownPolicy returns what [defaults] says, for what Alf tells of itself.
func (r *resolver) ownPolicy() *alf.Policy {
	t := r.defaults.telling
	if len(t.contacts.v)+len(t.actions.v) == 0 {
		return nil
	}
	return r.policy(t, opt[alf.NotifyOptions]{})
}
