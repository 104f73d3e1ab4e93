package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"alf"
	"alf/api/wire"
	"alf/internal/sanitize"
)

const (
	maxText  = 10_000          // bytes in the comment of an order
	maxID    = 100             // bytes in its ID
	atOnce   = 64              // targets of an order that are ordered at a time, so that the record gets batches
	orderFor = 5 * time.Minute // for all targets of an order
)

// orders carries out one order for all whom it selects.
func (a *API) orders(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	f, err := negotiate(r)
	if err != nil {
		return err
	}
	var body wire.Order
	if err := read(w, r, &body); err != nil {
		return err
	}
	out, err := a.carryOut(r.Context(), body, a.targets)
	if err != nil {
		return err
	}
	return f.write(w, http.StatusOK, f.media, out)
}

// orderOf returns what carries out one kind of order for the host or service
// that the path names.
func (a *API) orderOf(order string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := parameters(r); err != nil {
			return err
		}
		f, err := negotiate(r)
		if err != nil {
			return err
		}
		row, err := a.row(r)
		if err != nil {
			return err
		}
		var body wire.Order
		if err := read(w, r, &body); err != nil {
			return err
		}
		if !selectorOf(body).IsZero() || len(body.States) > 0 || body.Later || body.Order != "" && body.Order != order {
			return wire.NewError(http.StatusBadRequest, "the path says what is ordered, and for whom")
		}
		body.Order = order
		out, err := a.carryOut(r.Context(), body, func(o wire.Order, c alf.Command) ([]*target, error) { return a.only(row, o, c) })
		if err != nil {
			return err
		}
		if len(out.Targets) == 1 && out.Refused == 1 {
			return wire.NewError(http.StatusConflict, "%s", out.Targets[0].Error)
		}
		return f.write(w, http.StatusOK, f.media, out)
	}
}

// only returns a command for row alone, and for the hosts behind it, if they are
// wanted.
func (a *API) only(row Row, o wire.Order, c alf.Command) ([]*target, error) {
	c.Key = row.Key()
	if o.Order == wire.OrderCancel {
		verb, found := cancels(row.State(), c.ID)
		if !found {
			return nil, wire.NewError(http.StatusNotFound, "%s", nobody(o))
		}
		c.Verb = verb
	}
	return append([]*target{{Command: c}}, a.children(map[alf.HostName]bool{c.Key.Host: c.Key.IsHost()}, o, c)...), nil
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

// carryOut says what has come of an order for the targets that find finds. What is
// wrong with it as such is the error; then nothing has been done.
func (a *API) carryOut(ctx context.Context, o wire.Order, find func(wire.Order, alf.Command) ([]*target, error)) (*wire.Ordered, error) {
	now := time.Now().UTC()
	command, err := newCommand(o, now)
	if err != nil {
		return nil, wire.NewError(http.StatusBadRequest, "%s", err)
	}
	command.Author = author(ctx, o.Author)
	targets, err := find(o, command)
	if err != nil {
		return nil, err
	}
	// Downtimes that wait for another one must be there when that begins.
	slices.SortStableFunc(targets, func(a, b *target) int { return cmp.Compare(b.Trigger, a.Trigger) })
	out := &wire.Ordered{ID: command.ID, Order: o.Order, DryRun: o.DryRun, Targets: []wire.Target{}}
	if !o.DryRun {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), orderFor)
		defer cancel()
		a.orderAll(ctx, targets)
		a.o.Log.Info("order taken", "order", o.Order, "id", sanitize.Log(command.ID), "targets", len(targets), "author", sanitize.Log(command.Author))
	}
	for _, t := range targets {
		target := wire.Target{Host: string(t.Key.Host), Service: string(t.Key.Service)}
		if out.Taken++; t.err != nil {
			target.Error = wire.Text(t.err.Error())
			out.Taken--
			out.Refused++
		}
		out.Targets = append(out.Targets, target)
	}
	return out, nil
}

// target is a command for one key, and what came of it.
type target struct {
	alf.Command
	err error
}

// orderAll hands the commands to the checker, many at a time, and returns when
// what they wrote is seen by those who read.
func (a *API) orderAll(ctx context.Context, targets []*target) {
	var (
		mu    sync.Mutex
		last  alf.ID
		group sync.WaitGroup
		next  = make(chan *target)
	)
	for range min(atOnce, len(targets)) {
		group.Go(func() { // ends when next is closed
			for t := range next {
				id, err := a.o.Submit(ctx, t.Command)
				t.err = err
				mu.Lock()
				last = max(last, id)
				mu.Unlock()
			}
		})
	}
	for _, t := range targets {
		next <- t
	}
	close(next)
	group.Wait()
	seen, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = a.o.View.Wait(seen, last) // who reads too early sees the state before
}

// newCommand returns the command of an order, without its key. It reads what
// belongs to that order, and nothing else may stand there.
func newCommand(o wire.Order, now time.Time) (alf.Command, error) {
	c := alf.Command{ID: o.ID, Time: now, Text: strings.TrimSpace(o.Text)}
	var errs []error
	fail := func(text string) { errs = append(errs, errors.New(text)) }
	only := func(set bool, what, orders string) {
		if set && !slices.Contains(strings.Fields(orders), o.Order) {
			fail(what + " has no meaning for " + o.Order)
		}
	}
	if !slices.Contains(wire.Orders, o.Order) {
		return c, errors.New("order " + quote(o.Order) + " is none of " + strings.Join(wire.Orders, ", "))
	}
	only(o.Text != "", "comment", "acknowledge downtime comment")
	only(o.Sticky, "sticky", "acknowledge")
	only(o.Expires != nil, "expires", "acknowledge")
	for what, set := range map[string]bool{"start": o.Start != nil, "end": o.End != nil, "duration": o.Duration != 0,
		"flexible": o.Flexible, "trigger": o.Trigger != "", "children": o.Children != "", "later": o.Later} {
		only(set, what, wire.OrderDowntime)
	}
	only(len(o.What) > 0, "what", "disable enable")
	if len(o.ID) > maxID || len(o.Text) > maxText || len(o.Author) > maxID {
		fail("id, author or comment is too long")
	}
	switch o.Order {
	case wire.OrderAcknowledge:
		c.Verb, c.Sticky = alf.Acknowledge, o.Sticky
		if o.Expires != nil {
			c.Expires = o.Expires.UTC()
			if !c.Expires.After(now) {
				fail("expires is not in the future")
			}
		}
	case wire.OrderUnacknowledge:
		c.Verb, c.ID = alf.Unacknowledge, ""
	case wire.OrderDowntime:
		c.Verb = alf.ScheduleDowntime
		if err := window(o, &c); err != nil {
			errs = append(errs, err)
		}
	case wire.OrderComment:
		c.Verb = alf.AddComment
		if c.Text == "" {
			fail("comment is empty")
		}
	case wire.OrderCancel:
		if c.ID == "" {
			fail("cancel needs the id of what is to be cancelled")
		}
	case wire.OrderRecheck:
		c.Verb = alf.Recheck
	case wire.OrderDisable, wire.OrderEnable:
		c.Verb = map[string]alf.Verb{wire.OrderDisable: alf.SwitchOff, wire.OrderEnable: alf.SwitchOn}[o.Order]
		for _, what := range o.What {
			i := slices.Index(wire.Switches, what)
			if i < 0 {
				fail("what: " + quote(what) + " is none of " + strings.Join(wire.Switches, ", "))
				continue
			}
			c.Switch |= 1 << i
		}
		if len(o.What) == 0 {
			fail("what is missing: " + strings.Join(wire.Switches, ", "))
		}
	}
	if o.Order != wire.OrderUnacknowledge {
		c.ID = cmp.Or(c.ID, strings.ToLower(rand.Text()[:12]))
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return c, errors.Join(errs...)
}

func quote(s string) string { return "\"" + sanitize.JSON(s) + "\"" }

// window reads when a downtime is.
func window(o wire.Order, c *alf.Command) error {
	c.Start, c.Trigger = c.Time, o.Trigger
	if o.Start != nil {
		c.Start = o.Start.UTC()
	}
	duration := time.Duration(o.Duration)
	if o.End != nil {
		c.End = o.End.UTC()
	}
	switch {
	case duration < 0:
		return errors.New("duration is negative")
	case o.Flexible && (duration == 0 || o.End == nil):
		return errors.New("a flexible downtime needs end, until when a problem can begin it, and duration")
	case o.Flexible:
		c.Duration = duration
	case o.End != nil && duration != 0:
		return errors.New("end and duration exclude each other, unless flexible")
	case duration != 0:
		c.End = c.Start.Add(duration)
	case o.End == nil:
		return errors.New("a downtime needs end or duration")
	}
	if !c.Start.Before(c.End) {
		return errors.New("the downtime ends before it starts")
	}
	if o.Children != "" && o.Children != wire.ChildrenToo && o.Children != wire.ChildrenTriggered {
		return errors.New("children " + quote(o.Children) + " is neither " + wire.ChildrenToo + " nor " + wire.ChildrenTriggered)
	}
	if o.Later {
		if len(o.States) > 0 {
			return errors.New("later and states exclude each other: nobody knows what state a host will have")
		}
		c.For = selectorOf(o)
		if c.For.IsZero() {
			c.For.Hosts = []string{"*"}
		}
	}
	return nil
}

func selectorOf(o wire.Order) alf.Selector {
	return alf.Selector{Hosts: o.Hosts, Hostgroups: o.Hostgroups, Services: o.Services, All: o.AllServices}
}

// targets returns a command for each whom an order selects.
func (a *API) targets(o wire.Order, c alf.Command) ([]*target, error) {
	if err := a.checkSelector(o); err != nil {
		return nil, err
	}
	var out []*target
	add := func(key alf.Key, c alf.Command) {
		c.Key = key
		out = append(out, &target{Command: c})
	}
	selector := selectorOf(o)
	if len(o.States) > 0 && len(o.Services) == 0 {
		selector.All = true
	}
	selected := make(map[alf.HostName]bool)
	for row := range a.query.all(nil) {
		key := row.Key()
		wanted := selector.Takes(key, row.Service.Host) && (len(o.States) == 0 || slices.Contains(o.States, row.StateName()))
		switch {
		case !wanted && (o.Order != wire.OrderCancel || !selector.IsZero()):
		case o.Order == wire.OrderCancel:
			if verb, found := cancels(row.State(), c.ID); found {
				c.Verb = verb
				add(key, c)
			}
		case o.Order == wire.OrderAcknowledge && !one(o) && (row.State().Pending() || row.State().Status == alf.OK):
		case o.Order == wire.OrderUnacknowledge && !one(o) && row.State().Ack == nil:
		case o.Order == wire.OrderRecheck && !one(o) && !row.Service.Scheduled():
		default:
			add(key, c)
			selected[key.Host] = selected[key.Host] || key.IsHost()
		}
	}
	out = append(out, a.children(selected, o, c)...)
	if len(out) == 0 {
		return nil, wire.NewError(http.StatusNotFound, "%s", nobody(o))
	}
	return out, nil
}

func nobody(o wire.Order) string {
	switch o.Order {
	case wire.OrderCancel:
		return "nothing was ordered under the id " + quote(o.ID) + ", or it is over"
	case wire.OrderAcknowledge:
		return "there is no problem to acknowledge among what is selected"
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
	if selectorOf(o).IsZero() && len(o.States) == 0 && o.Order != wire.OrderCancel {
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

// cancels returns the verb that undoes what was ordered under an ID.
func cancels(st alf.State, id string) (alf.Verb, bool) {
	switch {
	case slices.ContainsFunc(st.Downtimes, func(d *alf.Downtime) bool { return d.ID == id }):
		return alf.CancelDowntime, true
	case st.Ack != nil && st.Ack.ID == id:
		return alf.Unacknowledge, true
	case slices.ContainsFunc(st.Comments, func(c *alf.Comment) bool { return c.ID == id }):
		return alf.DeleteComment, true
	}
	return 0, false
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
	for h, is := range hosts {
		if is {
			next = append(next, h)
		}
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
