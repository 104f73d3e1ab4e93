package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"alf"
	"alf/api/wire"
	"alf/state"
)

// only returns a command for row alone, and for the hosts behind it, if they are
// wanted.
func (a *API) only(row Row, o wire.Order, c alf.Command) ([]*target, error) {
	if o.Children != "" && !row.Key().IsHost() {
		return nil, wire.NewError(http.StatusBadRequest, "%s", noChildren)
	}
	if err := a.checkTrigger(c); err != nil {
		return nil, err
	}
	c.Key = row.Key()
	if o.Order == wire.OrderCancel {
		return a.cancelOn(row, o, c)
	}
	return append([]*target{{Command: c}}, a.children(map[alf.HostName]bool{c.Key.Host: true}, o, c)...), nil
}

// cancelOn returns the commands that cancel for row, and for the services on it if
// it is a host: what was ordered for a host may have covered them.
func (a *API) cancelOn(row Row, o wire.Order, c alf.Command) ([]*target, error) {
	var out []*target
	for r := range a.query.all([]string{string(row.Key().Host)}) {
		if c.Key = r.Key(); row.Key().IsHost() || c.Key == row.Key() {
			out = append(out, cancels(o, c, r.State())...)
		}
	}
	return found(o, append(out, a.inVain(c, out)...))
}

const noChildren = "children: only hosts have others behind them"

// found returns targets, if there are any.
func found(o wire.Order, targets []*target) ([]*target, error) {
	if len(targets) == 0 {
		return nil, wire.NewError(http.StatusNotFound, "%s", nobody(o))
	}
	return targets, nil
}

// children returns a command for each host behind those, if they are wanted.
func (a *API) children(hosts map[alf.HostName]bool, o wire.Order, c alf.Command) []*target {
	var out []*target
	if o.Children == "" {
		return nil
	}
	if o.Children == wire.ChildrenTriggered {
		c.Trigger = c.ID
	}
	for _, host := range a.behind(hosts) {
		c.Key = alf.Key{Host: host}
		out = append(out, &target{Command: c})
	}
	return out
}

// checkTrigger refuses a downtime that would wait in vain for another one.
func (a *API) checkTrigger(c alf.Command) error {
	if c.Trigger == "" {
		return nil
	}
	there := false
	for row := range a.query.all(nil) {
		for _, d := range row.State().Downtimes {
			switch {
			case d.ID == c.ID || d.ID == c.Trigger && d.Began.IsZero():
				return nil // it was ordered before, or what it waits for is to come
			case d.ID == c.Trigger:
				there = true
			}
		}
	}
	if there {
		return wire.NewError(http.StatusConflict, "the downtime %s has begun already: nothing can begin with it any more", quote(c.Trigger))
	}
	return wire.NewError(http.StatusBadRequest, "there is no downtime %s to begin with", quote(c.Trigger))
}

func selectorOf(o wire.Order) alf.Selector {
	return alf.Selector{Hosts: o.Hosts, Hostgroups: o.Hostgroups, Services: o.Services, All: o.AllServices}
}

// targets returns a command for each whom an order selects.
func (a *API) targets(o wire.Order, c alf.Command) ([]*target, error) {
	if err := a.checkSelector(o); err != nil {
		return nil, err
	}
	if err := a.checkTrigger(c); err != nil {
		return nil, err
	}
	var out []*target
	hosts := make(map[alf.HostName]bool)
	for row := range a.query.all(nil) {
		c.Key = row.Key()
		switch {
		case !selects(o, row):
		case o.Order == wire.OrderCancel:
			out = append(out, cancels(o, c, row.State())...)
		case one(o) || able(o, row):
			out = append(out, &target{Command: c})
			if c.Key.IsHost() {
				hosts[c.Key.Host] = true
			}
		}
	}
	if o.Order == wire.OrderCancel {
		out = append(out, a.inVain(c, out)...)
	}
	if o.Children != "" && len(out) > 0 && len(hosts) == 0 {
		return nil, wire.NewError(http.StatusBadRequest, "%s", noChildren)
	}
	return found(o, append(out, a.children(hosts, o, c)...))
}

// anybody reports whether nothing in o says whom it is about.
func anybody(o wire.Order) bool {
	return len(o.Hosts)+len(o.Hostgroups)+len(o.Services)+len(o.States) == 0
}

// selects reports whether o is about row. To cancel is about whoever has what is
// cancelled, services too, unless they are named; so are states alone.
func selects(o wire.Order, row Row) bool {
	selector := selectorOf(o)
	if (o.Order == wire.OrderCancel || len(o.States) > 0) && len(o.Services) == 0 {
		selector.All = true
	}
	return selector.Takes(row.Key(), row.Service.Host) && (len(o.States) == 0 || slices.Contains(o.States, row.StateName()))
}

// able reports whether o means something for row; where it is for many, the
// others are left out.
func able(o wire.Order, row Row) bool {
	switch st := row.State(); o.Order {
	case wire.OrderAcknowledge:
		return !st.Pending() && st.Status != alf.OK
	case wire.OrderUnacknowledge:
		return st.Ack != nil
	case wire.OrderRecheck:
		return row.Service.Scheduled()
	}
	return true
}

func nobody(o wire.Order) string {
	switch o.Order {
	case wire.OrderCancel:
		if o.Downtimes {
			return "nothing that is selected has a downtime"
		}
		if o.Recurring != "" {
			return "nothing is there of a recurring downtime " + quote(o.Recurring)
		}
		return "nothing was ordered under the id " + quote(o.ID) + ", or it is over"
	case wire.OrderAcknowledge:
		return "there is no problem to acknowledge among what is selected"
	case wire.OrderUnacknowledge:
		return "nothing that is acknowledged is selected"
	case wire.OrderRecheck:
		return "nothing that can be run is selected"
	}
	return "nothing is selected"
}

// one reports whether o names one host or service, so that what cannot be done
// is an error rather than left out.
func one(o wire.Order) bool {
	single := func(list []string) bool { return len(list) == 1 && !alf.IsPattern(list[0]) }
	return single(o.Hosts) && len(o.Hostgroups) == 0 && (len(o.Services) == 0 && !o.AllServices || single(o.Services)) && len(o.States) == 0
}

// checkSelector refuses what selects everything without saying so, and names
// that are not there.
func (a *API) checkSelector(o wire.Order) error {
	var errs []error
	fail := func(text string) { errs = append(errs, errors.New(text)) }
	if anybody(o) && (o.Order != wire.OrderCancel || o.Downtimes) {
		fail(`nobody is selected: give hosts, hostgroups, services or states; "*" is all`)
	}
	if len(o.Services) > 0 && o.AllServices {
		fail("services and all_services exclude each other")
	}
	for _, s := range o.States {
		if !slices.Contains(wire.AllStates, s) {
			fail("state " + quote(s) + " is none of " + strings.Join(wire.AllStates, ", "))
		}
	}
	inventory := a.o.Inventory()
	for _, name := range o.Hosts {
		if !alf.IsPattern(name) && inventory.Host(alf.HostName(name)) == nil {
			fail("there is no host " + quote(name))
		}
	}
	for _, name := range o.Hostgroups {
		if !slices.ContainsFunc(inventory.Hosts(), func(h *alf.Host) bool { return slices.Contains(h.Hostgroups, name) }) {
			fail("there is no hostgroup " + quote(name) + ", or no host is in it")
		}
	}
	if err := errors.Join(errs...); err != nil {
		return wire.NewError(http.StatusBadRequest, "%s", err)
	}
	if one(o) && len(o.Services) == 1 {
		_, err := a.rowOf(alf.Key{Host: alf.HostName(o.Hosts[0]), Service: alf.ServiceName(o.Services[0])})
		return err
	}
	return nil
}

// cancels returns the commands that undo for c.Key what o is to cancel of st.
func cancels(o wire.Order, c alf.Command, st alf.State) []*target {
	var out []*target
	undo := func(verb alf.Verb, id string) {
		c.Verb, c.ID = verb, id
		out = append(out, &target{Command: c})
	}
	for _, d := range st.Downtimes {
		name, recurs := state.Recurs(d)
		if o.Downtimes || d.ID == o.ID || recurs && name == o.Recurring {
			undo(alf.CancelDowntime, d.ID)
		}
	}
	if o.ID == "" {
		return out
	}
	if st.Ack != nil && st.Ack.ID == o.ID {
		undo(alf.Unacknowledge, o.ID)
	}
	if slices.ContainsFunc(st.Comments, func(x *alf.Comment) bool { return x.ID == o.ID }) {
		undo(alf.DeleteComment, o.ID)
	}
	return out
}

// inVain returns commands that cancel the downtimes which wait for one that is
// nowhere any more once those are carried out, and the downtimes which wait for
// them.
func (a *API) inVain(c alf.Command, cancelled []*target) []*target {
	type entry struct {
		key alf.Key
		id  string
	}
	gone, left, waiting := make(map[entry]bool), make(map[string]int), make(map[string][]*target)
	for _, t := range cancelled {
		if t.Verb == alf.CancelDowntime {
			gone[entry{t.Key, t.ID}] = true
		}
	}
	for row := range a.query.all(nil) {
		for _, d := range row.State().Downtimes {
			if gone[entry{row.Key(), d.ID}] {
				continue
			}
			left[d.ID]++
			if d.Trigger != "" && d.Trigger != d.ID && d.Began.IsZero() {
				c.Verb, c.Key, c.ID = alf.CancelDowntime, row.Key(), d.ID
				waiting[d.Trigger] = append(waiting[d.Trigger], &target{Command: c})
			}
		}
	}
	var out []*target
	for all := cancelled; len(all) > 0; all = all[1:] {
		id := all[0].ID
		if left[id] > 0 {
			continue
		}
		for _, t := range waiting[id] {
			out, all = append(out, t), append(slices.Clip(all), t)
			left[t.ID]--
		}
		delete(waiting, id)
	}
	return out
}

// behind returns the hosts behind those, however many stand between, by name.
func (a *API) behind(hosts map[alf.HostName]bool) []alf.HostName {
	children := make(map[alf.HostName][]alf.HostName)
	for _, h := range a.o.Inventory().Hosts() {
		for _, p := range h.Parents {
			children[p] = append(children[p], h.Name)
		}
	}
	seen := make(map[alf.HostName]bool)
	var out, next []alf.HostName
	for h := range hosts {
		next = append(next, h)
	}
	for len(next) > 0 {
		h := next[0]
		next = next[1:]
		for _, child := range children[h] {
			if !seen[child] && !hosts[child] {
				seen[child] = true
				out, next = append(out, child), append(next, child)
			}
		}
	}
	slices.Sort(out)
	return out
}
