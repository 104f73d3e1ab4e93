package api

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
	"alf/state/view"
)

// Query reads what is configured and what is known of it. The API and the pages
// answer from the same queries.
type Query struct {
	View      *view.View
	Inventory func() *alf.Inventory
	Past      state.Log
	// HostDownDisablesChecks says that the checker was told so.
	HostDownDisablesChecks bool
}

// Row is a host or a service with what is known of it.
type Row struct {
	Service *alf.Service // for a host, its own check
	Head    *alf.Event   // nil: there is none yet

	host  hostState // of a service
	known *known    // when it was read
}

// hostState is what the state of a host means for its services.
type hostState struct {
	told     bool // somebody tells of a broken link: the host, or its link's service
	problem  bool // it is not UP
	settled  bool // and that is HARD
	downtime bool // it is in downtime, which covers them (RULES N22)
}

// Key returns the key of r.
func (r Row) Key() alf.Key { return r.Service.Key }

// State returns the state of r.
func (r Row) State() alf.State { return wire.StateOf(r.Service, r.Head) }

// StateName returns the name of the state of r, such as DOWN or PENDING.
func (r Row) StateName() string { return wire.StateName(r.Key(), r.State()) }

// Output returns the first line of the last output that judged r.
func (r Row) Output() string { return r.State().Output }

// Problem reports whether people should look at r: its state is hard and not
// OK, or nothing new is known of it. What is wrong with a link is one problem:
// that of the host or of the service that the link judges, not of the services
// that run over it; and of a host that is HARD and not UP rather than of its link.
func (r Row) Problem() bool {
	st := r.State()
	switch {
	case r.Service.IsLink() && r.host.settled:
		return false
	case st.Problem():
		return true
	}
	return !st.Stale.IsZero() && (st.Stale.Cause == alf.CauseConfig || !r.host.told)
}

// Handled reports whether a problem of r needs nobody's attention any more.
func (r Row) Handled() bool { return r.host.downtime || r.State().Handled() }

// HostDowntime reports whether the downtime of its host covers r, a service.
func (r Row) HostDowntime() bool { return r.host.downtime }

// HostProblem reports whether another host is the problem: that of r, a service,
// is not UP or was not when r was last judged, or r is a host that is
// UNREACHABLE.
func (r Row) HostProblem() bool {
	st := r.State()
	return r.host.problem || st.HostProblem || r.Key().IsHost() && st.Status == alf.Unreachable
}

// Retried reports whether r has a problem that is still being retried.
func (r Row) Retried() bool {
	st := r.State()
	return !st.Pending() && st.Type == alf.Soft && st.Status != alf.OK
}

// All returns the hosts and services that f takes in, every host, by name,
// before its services.
func (q Query) All(f wire.Filter) []Row { return slices.Collect(q.some(f, matching(f))) }

// Services returns the services that f takes in, by host and name.
func (q Query) Services(f wire.Filter) []Row {
	match := matching(f)
	return slices.Collect(q.some(f, func(r Row) bool { return !r.Key().IsHost() && match(r) }))
}

// Hosts returns the hosts that f takes in, by name.
func (q Query) Hosts(f wire.Filter) []Row {
	match := matching(f)
	k := q.known(time.Now())
	var out []Row
	for _, h := range named(k.inventory, f.Hosts) {
		if r := q.host(k, h); match(r) {
			out = append(out, r)
		}
	}
	return out
}

// Problems returns the problems of hosts and services that f takes in, those
// that nobody handles first, of them the worst, and of those that are equally
// bad, the newest. With f.Soft it
// includes those that are still being retried.
func (q Query) Problems(f wire.Filter) []Row {
	f.Problems = true
	return worstFirst(q.All(f))
}

// Overview is how everything is, and what of it a filter takes in.
type Overview struct {
	Counts   wire.Counts // of everything
	Rows     []Row       // what All returns
	Problems []Row       // what Problems returns, those still being retried included
}

// Overview returns the overview of f. It reads everything once.
func (q Query) Overview(f wire.Filter) Overview {
	var out Overview
	match := matching(f)
	f.Problems, f.Soft = true, true
	wrong := matching(f)
	for r := range q.all(nil) {
		count(&out.Counts, r)
		if match(r) {
			out.Rows = append(out.Rows, r)
		}
		if wrong(r) {
			out.Problems = append(out.Problems, r)
		}
	}
	out.Problems = worstFirst(out.Problems)
	return out
}

// some yields those of the hosts that f names, and of their services, that are
// wanted.
func (q Query) some(f wire.Filter, want func(Row) bool) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for r := range q.all(f.Hosts) {
			if want(r) && !yield(r) {
				return
			}
		}
	}
}

// Row returns the host or service of that key; false: it is not configured.
func (q Query) Row(key alf.Key) (Row, bool) {
	k := q.known(time.Now())
	h := k.inventory.Host(key.Host)
	if h == nil {
		return Row{}, false
	}
	own := q.host(k, h)
	if key.IsHost() {
		return own, true
	}
	s := k.inventory.Service(key)
	if s == nil {
		return Row{}, false
	}
	return q.service(k, s, q.forServices(own)), true
}

// Counts returns how many hosts and services are in which state.
func (q Query) Counts() wire.Counts {
	var c wire.Counts
	for r := range q.all(nil) {
		count(&c, r)
	}
	return c
}

func count(c *wire.Counts, r Row) {
	if r.Key().IsHost() {
		c.Hosts.Add(r.StateName())
	} else {
		c.Services.Add(r.StateName())
	}
	st := r.State()
	add := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	add(&c.Stale, !st.Stale.IsZero())
	add(&c.Acknowledged, st.Ack != nil)
	add(&c.Downtime, r.inDowntime())
	add(&c.Flapping, st.Flap.On)
	add(&c.Held, r.hold().Reason != state.NotHeld)
	if r.Problem() {
		c.Problems++
		add(&c.Handled, r.Handled())
		add(&c.Unhandled, !r.Handled())
	}
}

// On returns how many of the services of a host are in which state.
func (q Query) On(host alf.HostName) wire.ServiceCounts {
	var c wire.ServiceCounts
	for _, s := range q.Inventory().On(host) {
		c.Add(wire.StateName(s.Key, wire.StateOf(s, q.View.Head(s.Key))))
	}
	return c
}

// all yields the hosts of these names, or else every host, by name, each
// followed by its services.
func (q Query) all(names []string) iter.Seq[Row] {
	k := q.known(time.Now())
	return func(yield func(Row) bool) {
		for _, h := range named(k.inventory, names) {
			own := q.host(k, h)
			if !yield(own) {
				return
			}
			state := q.forServices(own)
			for _, s := range k.inventory.On(h.Name) {
				if !yield(q.service(k, s, state)) {
					return
				}
			}
		}
	}
}

// named returns the hosts of these names, or else every host, by name.
func named(inventory *alf.Inventory, names []string) []*alf.Host {
	if len(names) == 0 {
		return inventory.Hosts()
	}
	var out []*alf.Host
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if h := inventory.Host(alf.HostName(name)); h != nil {
			out = append(out, h)
		}
	}
	return out
}

func (q Query) host(k *known, h *alf.Host) Row {
	s := k.inventory.Service(alf.Key{Host: h.Name})
	if s == nil {
		s = &alf.Service{Key: alf.Key{Host: h.Name}, Host: h, Builtin: alf.CheckNone}
	}
	return Row{Service: s, Head: q.View.Head(s.Key), known: k}
}

// service returns the row of s. Of a link that it runs over elsewhere, that host
// tells.
func (q Query) service(k *known, s *alf.Service, host hostState) Row {
	if on := s.On; on != nil && on.Name != s.Key.Host {
		host.told = q.forServices(q.host(k, on)).told
	}
	return Row{Service: s, Head: q.View.Head(s.Key), host: host, known: k}
}

// forServices returns what the state of own, a host, means for its services.
func (q Query) forServices(own Row) hostState {
	st := own.State()
	problem := !st.Pending() && st.Status != alf.Up
	return hostState{
		told:     problem || !st.Stale.IsZero() || linkJudges(own.known.inventory, own.Service),
		problem:  problem,
		settled:  st.Problem(),
		downtime: st.DowntimeDepth() > 0,
	}
}

// linkJudges reports whether a host of that own check, or a service beside it,
// is judged by the link (RULES T2).
func linkJudges(inventory *alf.Inventory, own *alf.Service) bool {
	if own.Builtin == alf.CheckSSH {
		return true
	}
	link := inventory.Service(alf.Key{Host: own.Key.Host, Service: alf.LinkService})
	return link != nil && link.IsLink()
}

// matching returns what reports whether f takes in a row.
func matching(f wire.Filter) func(Row) bool {
	f.Text = strings.ToLower(f.Text)
	return func(r Row) bool {
		switch {
		case !among(f.Hosts, string(r.Key().Host)):
		case !among(f.Hostgroups, r.Service.Host.Hostgroups...):
		case !among(f.Services, string(r.Key().Service)):
		case !among(f.Checks, r.Service.Check):
		case len(f.States) > 0 && !slices.Contains(f.States, r.StateName()):
		case f.Problems && !r.Problem() && !(f.Soft && r.Retried()):
		case f.Stale && r.State().Stale.IsZero():
		case f.Acknowledged != nil && *f.Acknowledged != (r.State().Ack != nil):
		case f.Downtime != nil && *f.Downtime != r.inDowntime():
		case f.Flapping != nil && *f.Flapping != r.State().Flap.On:
		case f.Handled != nil && *f.Handled != r.Handled():
		case f.Held != nil && *f.Held != (r.hold().Reason != state.NotHeld):
		case f.Text != "" && !r.contains(f.Text):
		default:
			return true
		}
		return false
	}
}

// among reports whether any of names is wanted. Nothing wanted means all.
func among(wanted []string, names ...string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(wanted, n) })
}

// inDowntime reports whether r is in downtime, or on a host that is.
func (r Row) inDowntime() bool { return r.host.downtime || r.State().DowntimeDepth() > 0 }

// contains reports whether lower stands in the names or the output of r.
func (r Row) contains(lower string) bool {
	key := r.Key()
	for _, s := range []string{string(key.Host), string(key.Service), r.Service.Host.Alias, r.Output()} {
		if strings.Contains(strings.ToLower(s), lower) {
			return true
		}
	}
	return false
}

// worstFirst sorts problems: those that nobody handles first, then by severity,
// a host before services, settled before retried, the newest first, and else as
// they are.
func worstFirst(rows []Row) []Row {
	type ranked struct {
		Row
		handled, severity, kind int
		settled                 alf.StateType
		change                  time.Time
	}
	// When all is broken there are many, and a State is large.
	order := make([]ranked, len(rows))
	for i, r := range rows {
		st := r.State()
		order[i] = ranked{r, rank(r.Handled()), r.severity(), rank(!r.Key().IsHost()), st.Type, st.LastChange}
	}
	slices.SortStableFunc(order, func(a, b ranked) int {
		return cmp.Or(
			cmp.Compare(a.handled, b.handled),
			cmp.Compare(b.severity, a.severity),
			cmp.Compare(a.kind, b.kind),
			cmp.Compare(b.settled, a.settled),
			b.change.Compare(a.change),
		)
	})
	for i := range order {
		rows[i] = order[i].Row
	}
	return rows
}

// rank puts what is so behind what is not.
func rank(is bool) int {
	if is {
		return 1
	}
	return 0
}

// severity orders rows from 0, all is well, as alf.Status.Severity does. A host
// that is DOWN is as bad as CRITICAL, one that is UNREACHABLE or of which
// nothing is known as UNKNOWN.
func (r Row) severity() int {
	st := r.State()
	status := st.Status
	if r.Key().IsHost() {
		status = [...]alf.Status{alf.Up: alf.OK, alf.Down: alf.Critical, alf.Unreachable: alf.Unknown}[min(status, alf.Unreachable)]
	}
	if !st.Stale.IsZero() {
		return max(status.Severity(), alf.Unknown.Severity())
	}
	return status.Severity()
}

// Cut returns the part of rows that f asks for, and which part that is.
func Cut[T any](rows []T, f wire.Filter) ([]T, wire.Page) {
	page := wire.Page{Total: len(rows), Offset: min(f.Offset, len(rows))}
	rows = rows[page.Offset:]
	if f.Limit > 0 && f.Limit < len(rows) {
		rows = rows[:f.Limit]
	}
	return rows, page
}
