package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
)

const (
	someNotices = 100    // in an answer unless it is asked for more or fewer
	maxNotices  = 10_000 // that an answer may hold
)

// Ledger is what was decided about telling people, and what became of it.
type Ledger interface {
	state.Ledger
	// Memory returns what is remembered of telling people of a service.
	Memory(s *alf.Service) state.Memory
}

// notifications answers with what people were told, or were not, the newest first.
func (a *API) notifications(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, wire.NoticeParameters...)
	if err != nil {
		return err
	}
	f, err := wire.ParseNoticeFilter(query)
	if err != nil {
		return wire.NewError(http.StatusBadRequest, "%s", err)
	}
	if f.Limit > maxNotices {
		return wire.NewError(http.StatusBadRequest, "limit %d is not a number from 1 to %d", f.Limit, maxNotices)
	}
	if f.Limit == 0 {
		f.Limit = someNotices
	}
	return untagged(w, r, func() (any, error) {
		all, err := a.notices(r.Context(), f)
		if err == nil && len(all) == 0 && f.Host != "" {
			_, err = a.rowOf(alf.Key{Host: alf.HostName(f.Host), Service: alf.ServiceName(f.Service)})
		}
		return list{"notifications", wire.Page{Total: len(all)}, func(yield func(any) bool) {
			for _, n := range all {
				if !yield(n) {
					return
				}
			}
		}}, err
	})
}

// notices returns those that f takes in, the newest first.
func (a *API) notices(ctx context.Context, f wire.NoticeFilter) ([]*wire.Notice, error) {
	key := alf.Key{}
	if f.Service != "" {
		key = alf.Key{Host: alf.HostName(f.Host), Service: alf.ServiceName(f.Service)}
	}
	read := reading{most: f.Limit, byID: make(map[string]*wire.Notice)}
	if len(f.Results) > 0 {
		read.most = maxNotices // which of them are wanted shows at the end
	}
	for l, err := range a.o.Ledger.Lines(ctx, key) {
		if err != nil {
			return nil, err
		}
		if f.About(l.Key) {
			read.take(l)
		}
	}
	all := slices.DeleteFunc(read.all, func(n *wire.Notice) bool { return !f.Takes(n) })
	slices.Reverse(all)
	return all[:min(len(all), f.Limit)], nil
}

// oldestNotices returns those of key, the oldest first.
func (a *API) oldestNotices(ctx context.Context, key alf.Key) ([]*wire.Notice, error) {
	read := reading{most: maxNotices, byID: make(map[string]*wire.Notice)}
	for l, err := range a.o.Ledger.Lines(ctx, key) {
		if err != nil {
			return nil, err
		}
		read.take(l)
	}
	return read.all, nil
}

// reading collects the newest notices of a ledger, with what became of them.
type reading struct {
	most int
	all  []*wire.Notice
	byID map[string]*wire.Notice
}

func (r *reading) take(l *state.Line) {
	if l.Outcome != nil {
		if n := r.byID[l.Outcome.ID]; n != nil {
			becomes(n, l)
		}
		return
	}
	for i := range l.Decided.Notices {
		n := newNotice(l, &l.Decided.Notices[i])
		if r.byID[n.ID] != nil {
			continue // it was written twice
		}
		r.all = append(r.all, &n)
		r.byID[n.ID] = &n
	}
	for len(r.all) > r.most {
		delete(r.byID, r.all[0].ID)
		r.all = r.all[1:]
	}
}

// newNotice returns n, which stands in l, as it stands in a body.
func newNotice(l *state.Line, n *state.Notice) wire.Notice {
	t := n.Notification
	out := wire.Notice{
		ID: t.ID, Time: l.Time.UTC(), Host: string(l.Key.Host), Service: string(l.Key.Service), Type: t.Type.String(), Number: t.Number,
		State: l.Key.StatusName(t.Status), StateType: t.StateType.String(), Output: wire.Text(t.Output), Escalated: t.Escalated, Deliveries: []wire.NoticeDelivery{},
	}
	if n.Why != state.Tell {
		out.Held = &wire.Holding{Rule: n.Why.Rule(t.Type), Why: n.Why.String(), Dependency: n.By}
		if !n.Until.IsZero() {
			out.Held.Until = utc(n.Until)
		}
	}
	for _, to := range n.To {
		out.Deliveries = append(out.Deliveries, wire.NoticeDelivery{Action: to.Action, Contacts: append([]string{}, to.Contacts...), Result: state.Waiting.String()})
	}
	return out
}

// becomes notes in n what became of it.
func becomes(n *wire.Notice, l *state.Line) {
	o := l.Outcome
	for i := range n.Deliveries {
		d := &n.Deliveries[i]
		if d.Action != o.Action {
			continue
		}
		d.Result, d.Attempts, d.Error, d.Time, d.Next = o.Result.String(), o.Attempt, wire.Text(o.Err), utc(l.Time), nil
		if !o.Next.IsZero() {
			d.Next = utc(o.Next)
		}
	}
}

// tellings says of everybody who can be told of what q asks for what was told, and
// what will be.
func (q *question) tellings(st alf.State) []wire.Telling {
	s := q.row.Service
	if q.ledger == nil || s.Policy == nil {
		return nil
	}
	var all []wire.Telling
	v := q.decide(st, q.at, func(said state.Said) { all = append(all, q.telling(said)) })
	until := v.Until
	if v.Why == state.Tell || !timed(v.Why) || !until.After(q.at) {
		return q.withFormer(all, st)
	}
	// What holds all of them back ends then, if nothing else happens. Each of them may
	// have a reason of his own, too.
	i := 0
	q.decide(st, until, func(said state.Said) {
		if i < len(all) && all[i].Contact == contactOf(said) {
			if said.Why == state.Tell {
				all[i].Next, all[i].Number = utc(until), said.Number
			} else if later := said.Until; timed(said.Why) && later.After(until) {
				all[i].Next, all[i].Rule, all[i].Why = utc(later), said.Why.Rule(said.Type), said.Why.String()
			} else {
				all[i].Rule, all[i].Why = said.Why.Rule(said.Type), said.Why.String()
			}
		}
		i++
	})
	return q.withFormer(all, st)
}

// withFormer adds to all those who were told of the problem that there is, and are not told any
// more: an escalation has others told in their place. What became of that counts all the same.
func (q *question) withFormer(all []wire.Telling, st alf.State) []wire.Telling {
	if st.Pending() || st.Status == alf.OK {
		return all
	}
	known := make(map[string]bool) // contacts, and actions that tell without any
	name := func(contact, action string) string { return contact + "\x00" + action }
	for _, t := range all {
		known[name(t.Contact, "")] = t.Contact != ""
		for _, action := range t.Actions {
			known[name("", action)] = known[name("", action)] || t.Contact == ""
		}
	}
	for _, n := range slices.Backward(q.notices) {
		if !n.Time.After(st.LastOK) {
			break
		}
		if n.Type != alf.TypeProblem.String() {
			continue
		}
		for _, d := range n.Deliveries {
			for _, contact := range d.Contacts {
				if !known[name(contact, "")] {
					known[name(contact, "")] = true
					all = append(all, q.former(contact, n))
				}
			}
			if len(d.Contacts) == 0 && !known[name("", d.Action)] {
				known[name("", d.Action)] = true
				all = append(all, q.former("", n, d.Action))
			}
		}
	}
	return all
}

// former says what somebody was told who was among those of n; the actions are needed
// where there is no contact.
func (q *question) former(contact string, n *wire.Notice, actions ...string) wire.Telling {
	for _, d := range n.Deliveries {
		if contact != "" && slices.Contains(d.Contacts, contact) {
			actions = append(actions, d.Action)
		}
	}
	return wire.Telling{
		Contact: contact, Actions: actions, Last: q.lastTold(contact, actions), Type: n.Type,
		Rule: "N19", Why: "others are told in its place",
	}
}

// decide asks what is decided at a time, and of each that can be told. Nothing comes of
// it.
func (q *question) decide(st alf.State, at time.Time, each func(state.Said)) state.Verdict {
	s := q.row.Service
	m := &state.Matter{Service: s, State: &st, Now: at, Memory: q.ledger.Memory(s), Known: q.known(at)}
	return state.Decide(m, alf.TypeProblem, q.Inventory().Contact, each)
}

// timed reports whether it is known when a reason ends.
func timed(w state.Why) bool {
	switch w {
	case state.OutsidePeriod, state.TooEarly, state.OnlyOnce, state.NotYet, state.ContactPeriod:
		return true
	}
	return false
}

func contactOf(said state.Said) string {
	if said.Contact == nil {
		return ""
	}
	return said.Contact.Name
}

// telling says what is decided about one that can be told.
func (q *question) telling(said state.Said) wire.Telling {
	t := wire.Telling{Contact: contactOf(said), Actions: append([]string{}, said.Actions...), Type: said.Type.String(), Number: said.Number}
	t.Last = q.lastTold(t.Contact, said.Actions)
	switch {
	case said.Why == state.Tell:
		t.Next = utc(q.at)
		return t
	case said.Why == state.ContactPeriod && said.Until.After(q.at):
		t.Next = utc(said.Until)
	}
	t.Rule, t.Why = said.Why.Rule(said.Type), said.Why.String()
	return t
}

// lastTold returns what a contact, or else actions, was told last.
func (q *question) lastTold(contact string, actions []string) *wire.LastTold {
	for _, n := range slices.Backward(q.notices) {
		var results []string
		for _, d := range n.Deliveries {
			mine := slices.Contains(d.Contacts, contact) || contact == "" && slices.Contains(actions, d.Action)
			if mine {
				text := d.Action + " " + d.Result
				if d.Error != "" {
					text += ", " + string(wire.Brief(d.Error))
				}
				results = append(results, text)
			}
		}
		if len(results) > 0 {
			return &wire.LastTold{Time: n.Time, Type: n.Type, Number: n.Number, Results: results}
		}
	}
	return nil
}
