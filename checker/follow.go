package checker

import (
	"maps"
	"slices"
	"time"

	"alf"
	"alf/state"
)

// around is what package state needs to know besides it.
func (l *loop) around(it *item, now time.Time) state.Around {
	a := state.Around{Now: now, Started: it.since, Times: it.times, Running: it.busy}
	if it.times.Scheduled() {
		a.Result = it.result
	}
	bastion := l.bastion(it)
	a.CutOff = bastion != nil && bastion.state.Status != alf.Up
	if !it.service.Key.IsHost() {
		if host := l.items[alf.Key{Host: it.service.Key.Host}]; host != nil {
			a.Host = &host.state
			a.Started = l.lookedSince(it, host, now)
		}
		return a
	}
	for _, name := range it.service.Host.Parents {
		if parent := l.items[alf.Key{Host: name}]; parent != nil {
			a.Parents = append(a.Parents, parent.state)
		}
	}
	return a
}

// bastion returns that of a host whose link is all that is checked. There is no
// way around it, whichever other parents are UP.
func (l *loop) bastion(it *item) *item {
	if it.service.Builtin != alf.CheckSSH {
		return nil
	}
	for via := it.service.Host.SSH.Via; via != nil; via = via.SSH.Via {
		parent := l.items[alf.Key{Host: via.Name}]
		if parent != nil && slices.Contains(it.service.Host.Parents, via.Name) {
			return parent
		}
	}
	return nil
}

// lookedSince returns since when it could have been checked: what is not run
// because of its host is not late either (RULES H5).
func (l *loop) lookedSince(it, host *item, now time.Time) time.Time {
	switch {
	case !l.o.HostDownDisablesChecks || !it.service.Scheduled():
		return it.since
	case state.HostHolds(it.service, l):
		return now
	}
	return later(it.since, host.state.LastHardChange)
}

// react does what follows from a new result of it.
func (l *loop) react(it *item, change alf.Change, now time.Time) {
	if !it.service.Key.IsHost() {
		l.askLink(it, change, now)
		l.askBastion(it, now)
		l.askHost(it, change, now)
		l.calmHost(it, now)
	}
	l.follow(it, change, now)
}

// follow does what follows from a new state of it: others are asked, downtimes
// begin with one of it, and time may do something.
func (l *loop) follow(it *item, change alf.Change, now time.Time) {
	if it.service.Key.IsHost() {
		l.askFamily(it, change, now)
	}
	if change.Has(alf.ChangeDowntime) {
		l.trigger(it, now)
	}
	l.watch(it, now)
}

// hostHorizon is how long the last check of a host answers for it, as Nagios'
// cached_host_check_horizon does (RULES R11).
const hostHorizon = 15 * time.Second

// askHost has the host of a service checked at once, if the service's last
// result says that what is known of the host may be wrong: a problem is new, or
// it answers though the host was not UP (RULES R11).
func (l *loop) askHost(it *item, change alf.Change, now time.Time) {
	host := l.items[alf.Key{Host: it.service.Key.Host}]
	if host == nil || !state.Judges(it.service, it.result) {
		return
	}
	ok := it.state.Status == alf.OK
	if ok && !host.fine() || !ok && change.Has(alf.ChangeStatus) {
		l.ask(host, false, now)
	}
}

// askLink has the link checked at once over which a service runs, if that says
// otherwise than what is known of it: it is lost, or there again. What the
// service knew before counts only after the horizon.
func (l *loop) askLink(it *item, change alf.Change, now time.Time) {
	link := l.link(it.service.On)
	if link == nil || link == it {
		return
	}
	cause := it.result.Cause
	if fine := link.fine(); fine && cause.OfLink() || !fine && cause.Judges() {
		l.ask(link, change&(alf.ChangeStale|alf.ChangeFresh) != 0, now)
	}
}

// askBastion has the bastion checked at once through which a link is lost.
func (l *loop) askBastion(it *item, now time.Time) {
	bastion := l.bastion(it)
	if bastion != nil && bastion.fine() && it.result.Cause == alf.CauseTransport {
		l.ask(bastion, false, now)
	}
}

// link returns what is judged by the link of a host, nil if nothing is: its own
// check, or the service beside that (RULES T2).
func (l *loop) link(on *alf.Host) *item {
	if on == nil {
		return nil
	}
	for _, name := range [...]alf.ServiceName{"", alf.LinkService} {
		it := l.items[alf.Key{Host: on.Name, Service: name}]
		if it != nil && it.service.Builtin == alf.CheckSSH {
			return it
		}
	}
	return nil
}

// fine reports whether it is known to be UP or OK.
func (it *item) fine() bool {
	st := it.state
	return st.Status == alf.OK && !st.Pending() && st.Stale.IsZero()
}

// ask has a host, or its link, checked now. Without news, its last check answers
// for it for a while.
func (l *loop) ask(host *item, news bool, now time.Time) {
	last := later(host.asked, host.state.LastCheck)
	if host.busy || !host.service.Scheduled() || host.state.Off.Has(alf.SwitchChecks) || !host.times.Open(now) || !news && now.Sub(last) < hostHorizon {
		return
	}
	host.asked = now
	l.agenda.set(&host.check, now)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// askFamily has those hosts checked on which the state of a host depends, and
// those that depend on it (RULES H3): what is DOWN may be behind something that
// is, and what was behind it may be back.
func (l *loop) askFamily(it *item, change alf.Change, now time.Time) {
	if !change.Has(alf.ChangeStatus) || it.state.Pending() {
		return
	}
	up := it.state.Status == alf.Up
	for _, name := range it.service.Host.Parents {
		if parent := l.items[alf.Key{Host: name}]; parent != nil && (parent.state.Status == alf.Up) != up {
			l.ask(parent, false, now)
		}
	}
	for _, name := range l.children[it.service.Key.Host] {
		child := l.items[alf.Key{Host: name}]
		if child != nil && (up && child.state.Status != alf.Up || !up && child.state.Status != alf.Unreachable) {
			l.ask(child, true, now)
		}
	}
}

// calmHost lets the history of a host age with the results of its services, so
// that one that is seldom checked does not flap for ever (RULES F3).
func (l *loop) calmHost(it *item, now time.Time) {
	host := l.items[alf.Key{Host: it.service.Key.Host}]
	if host == nil || !host.service.Flapping.Enabled {
		return
	}
	prev := host.state
	next, change := state.Calm(host.service, prev, l.mean[host.service.Key.Host], l.around(host, now))
	if next.Flap == prev.Flap {
		return
	}
	host.state = next
	l.record(host.event(alf.KindTick, change, now))
}

// family is what hosts have to do with each other and with their services.
type family struct {
	children map[alf.HostName][]alf.HostName
	mean     map[alf.HostName]time.Duration // check interval of the services of a host that may flap
}

// kin finds the families of an inventory.
func kin(inventory *alf.Inventory) family {
	f := family{make(map[alf.HostName][]alf.HostName), make(map[alf.HostName]time.Duration)}
	for _, h := range inventory.Hosts() {
		for _, p := range h.Parents {
			f.children[p] = append(f.children[p], h.Name)
		}
		own := inventory.Service(alf.Key{Host: h.Name})
		if own == nil || !own.Flapping.Enabled {
			continue
		}
		services := inventory.On(h.Name)
		for _, s := range services {
			f.mean[h.Name] += s.Interval / time.Duration(len(services))
		}
	}
	return f
}

// trigger begins the downtimes that wait for those of it that are in effect.
func (l *loop) trigger(it *item, now time.Time) {
	for _, d := range it.state.Downtimes {
		if d.Began.IsZero() {
			continue
		}
		for other := range l.waiters[d.ID] {
			next, change := state.Triggered(other.state, d.ID, l.around(other, now))
			delete(l.waiters[d.ID], other)
			if change == 0 || other.gone {
				continue
			}
			other.state = next
			l.record(other.event(alf.KindTick, change, now))
			l.follow(other, change, now)
		}
		delete(l.waiters, d.ID)
	}
}

func (l *loop) enrolAll(added []*item, now time.Time) {
	if len(added) == 0 {
		return
	}
	standing := l.standing()
	for _, it := range added {
		l.enrol(it, standing, now)
	}
}

// enrol gives it, which is new, the downtimes that are for it, too.
func (l *loop) enrol(it *item, standing []*alf.Downtime, now time.Time) {
	for _, d := range standing {
		if !d.For.Takes(it.service.Key, it.service.Host) {
			continue
		}
		c := alf.Command{Verb: alf.ScheduleDowntime, ID: d.ID, Author: d.Author, Text: d.Text, Time: d.Time,
			Start: d.Start, End: d.End, Duration: d.Duration, Trigger: d.Trigger, For: d.For}
		if !d.Began.IsZero() {
			c.Trigger = "" // what it would wait for is over
		}
		l.carryOut(it, []alf.Command{c}, now)
	}
}

// standing returns the downtimes that are also for those who come later.
func (l *loop) standing() []*alf.Downtime {
	seen := make(map[string]*alf.Downtime)
	for _, it := range l.items {
		for _, d := range it.state.Downtimes {
			if !d.For.IsZero() {
				seen[d.ID] = d
			}
		}
	}
	return slices.Collect(maps.Values(seen))
}

// watch sees to it that time is let do its part with it. An alarm that rings
// too early costs little; one that would ring too late is set anew.
func (l *loop) watch(it *item, now time.Time) {
	for _, d := range it.state.Downtimes {
		if d.Trigger != "" && d.Began.IsZero() {
			l.await(d.Trigger, it)
		}
	}
	_, change, at := state.Tick(it.service, it.state, l.around(it, now))
	if change != 0 {
		at = now
	}
	if at.IsZero() || !it.alarm.due.IsZero() && !at.Before(it.alarm.due) {
		return
	}
	l.alarms.set(&it.alarm, at)
}

func (l *loop) await(id string, it *item) {
	if l.waiters[id] == nil {
		l.waiters[id] = make(map[*item]bool)
	}
	l.waiters[id][it] = true
}

// ring lets time do what it does to those whose alarm is due.
func (l *loop) ring() {
	now := time.Now()
	for len(l.queue) < maxQueued {
		e := l.alarms.take(now)
		if e == nil {
			return
		}
		e.due = time.Time{}
		l.tick(e.item, now)
		l.recur(e.item, now)
	}
}

func (l *loop) tick(it *item, now time.Time) {
	next, change, _ := state.Tick(it.service, it.state, l.around(it, now))
	missing := state.Missing(it.state, next)
	if change == 0 && missing == nil {
		l.watch(it, now)
		return
	}
	prev := it.state
	if it.state = next; missing != nil {
		it.result = missing
	}
	l.log(it, prev, change)
	l.record(it.event(alf.KindTick, change, now))
	l.follow(it, change, now)
}
