package config

import (
	"cmp"
	"slices"
	"time"

	"alf"
)

// downtime is what [downtime.NAME] says.
type downtime struct {
	name        string
	at          alf.Position
	hosts       opt[[]selector]
	children    opt[bool] // the hosts behind them, too
	services    opt[[]reference]
	allServices opt[bool]
	schedule    opt[[]reference] // cron expressions
	zone        opt[*time.Location]
	duration    opt[time.Duration]
	flexible    opt[time.Duration]
	comment     opt[string]

	broken bool // with a mistake in it
	made   *alf.Recurring
}

func newDowntime(_ *loader, name string, at alf.Position) thing {
	return &downtime{name: name, at: at}
}

func (d *downtime) keys(*loader) keys {
	return keys{
		"hosts":        set(&d.hosts, readSelectors),
		"children":     set(&d.children, boolean),
		"services":     set(&d.services, readPatterns),
		"all_services": set(&d.allServices, boolean),
		"schedule":     set(&d.schedule, readSchedule),
		"timezone":     set(&d.zone, zone),
		"duration":     set(&d.duration, duration(time.Second, maxInterval)),
		"flexible":     set(&d.flexible, duration(time.Second, maxInterval)),
		"comment":      set(&d.comment, word),
	}
}

func (d *downtime) loaded(l *loader, ok bool) {
	before := len(l.errors)
	if ok {
		d.complain(l)
	}
	d.made = &alf.Recurring{
		Name: d.name, Schedule: l.crons(d.schedule.v, d.zone), Duration: d.duration.v, Flexible: d.flexible.v, Text: d.comment.v,
	}
	if ok && len(l.errors) == before {
		d.apart(l)
	}
	d.broken = !ok || len(l.errors) > before
	l.downtimes = append(l.downtimes, d)
}

// complain adds the mistakes that lie between keys.
func (d *downtime) complain(l *loader) {
	for key, set := range map[string]bool{"hosts": d.hosts.set, "schedule": d.schedule.set, "duration": d.duration.set} {
		if !set {
			l.add(d.at, "downtime %q: no %s", d.name, key)
		}
	}
	if d.services.set && d.allServices.v {
		l.add(d.allServices.at, "downtime %q has both services and all_services", d.name)
	}
}

// apart adds the mistake that one is still there when the next one starts, which
// would make ever more of them. The years that it looks at are always the same
// ones, so that what was fine stays fine.
func (d *downtime) apart(l *loader) {
	const enough = 1000
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	end, length := start.AddDate(4, 0, 0), max(d.duration.v, d.flexible.v)
	start = d.made.Schedule.Next(start)
	for range enough {
		next := d.made.Schedule.Next(start)
		if start.IsZero() || next.IsZero() || next.After(end) {
			return
		}
		if length > d.distance(start, next) {
			l.add(d.schedule.at, "downtime %q lasts %v, but the next one may start %v after it: one has to be over before that",
				d.name, length, d.distance(start, next))
			return
		}
		start = next
	}
}

// distance returns how far two times lie apart, by whatever clock that is more:
// a day in which the clock on the wall is changed has less than 24 hours.
func (d *downtime) distance(a, b time.Time) time.Duration {
	at := d.zone.or(some(time.Local)).v
	_, before := a.In(at).Zone()
	_, after := b.In(at).Zone()
	return max(b.Sub(a), b.Sub(a)+time.Duration(after-before)*time.Second)
}

// joinDowntimes gives every host and service the recurring downtimes that it has.
func (r *resolver) joinDowntimes() {
	slices.SortFunc(r.downtimes, func(a, b *downtime) int { return cmp.Compare(a.name, b.name) })
	r.calendar.Recurring = make(map[string]*alf.Recurring)
	for _, d := range r.downtimes {
		hosts := r.choose(d.hosts)
		if d.broken {
			continue
		}
		if d.children.v {
			hosts.hosts = r.withChildren(hosts.hosts)
		}
		r.calendar.Recurring[d.name] = d.made
		for _, s := range r.covered(d, hosts) {
			s.Recurring = append(s.Recurring, d.name)
		}
	}
}

// covered returns who on hosts has the downtime.
func (r *resolver) covered(d *downtime, hosts choice) []*alf.Service {
	if !d.allServices.v {
		return r.find(hosts, d.services)
	}
	var all []*alf.Service
	for _, h := range hosts.hosts {
		all = append(all, r.servicesOn(h.name)...)
	}
	return all
}

// withChildren adds the hosts that are behind those, however many stand between.
func (r *resolver) withChildren(hosts []*host) []*host {
	children := make(map[alf.HostName][]*host)
	for _, h := range r.hosts {
		for _, p := range h.made.Parents {
			children[p] = append(children[p], h)
		}
	}
	seen := make(map[*host]bool)
	for _, h := range hosts {
		seen[h] = true
	}
	for i := 0; i < len(hosts); i++ {
		for _, c := range children[hosts[i].name] {
			if !seen[c] {
				seen[c] = true
				hosts = append(hosts, c)
			}
		}
	}
	return hosts
}
