package state

import (
	"time"

	"alf"
)

// NotifyFrom returns from when on people may be told of s, as far as its
// notification_period goes (RULES N4): now, if that holds; zero: never.
func NotifyFrom(s *alf.Service, known Known, now time.Time) time.Time {
	return opens(known.Period(s.NotificationPeriod), now)
}

// opens returns the first time from now on that is in p; zero: there is none.
func opens(p alf.Period, now time.Time) time.Time {
	if holds(p, now) {
		return now
	}
	return p.Next(now)
}

// Memory is what is remembered of telling people of a key. The zero Memory:
// nothing was told since all was well.
type Memory struct {
	Event  alf.ID    // the newest one that was decided
	Number int       // of the problem's notifications (RULES N18)
	On     uint8     // the statuses that were told, a bit for each
	Told   time.Time // when the last of them was
	Next   time.Time // when the next one may be
	NoMore bool      // there is no next one, unless something else is told (RULES N15)
	Since  time.Time // since when the problem of which Next and NoMore speak is what it is
	Held   Why       // what kept people from being told, when that was last noted
}

// toldOf reports whether any problem was told, of those that o names.
func (m Memory) toldOf(o alf.NotifyOptions) bool {
	for status, wanted := range o.Status {
		if wanted && m.On&(1<<status) != 0 {
			return true
		}
	}
	return false
}

// facing returns what m is worth when the state is st. A problem after another one
// is told at once, but goes on being counted (RULES R5); after OK or UP all begins
// anew, whether or not somebody was told of that.
func (m Memory) facing(st *alf.State) Memory {
	if st.Pending() || st.Status == alf.OK {
		return m
	}
	if m.Number > 0 && st.Type == alf.Hard && st.LastOK.After(m.Told) {
		m.Number, m.On, m.Told = 0, 0, time.Time{}
	}
	if since := later(st.LastChange, st.LastHardChange); !since.Equal(m.Since) {
		m.Since, m.Next, m.NoMore = since, time.Time{}, false
	}
	return m
}

// Matter is what people may be told of: a key, and what is known around it.
type Matter struct {
	Service *alf.Service
	State   *alf.State
	At      time.Time // of the event that is asked about; zero: time has passed, no more
	Judged  bool      // that event judged the key
	Now     time.Time
	Memory  Memory
	Known   Known
}

// Decision says whether people are told, and if not, why. It is of the host or
// service, or of one contact.
type Decision struct {
	Type   alf.NotificationType
	Why    Why       // Tell: they are
	Number int       // that the notification has, or would have
	Until  time.Time // when that is no reason any more; zero: nobody knows
	By     *alf.Dependency
}

// Notify decides at the level of the host or service whether people are told
// (RULES N1 to N16), of a problem or its end, or of something else that has
// happened. The time that it returns is when it has to be asked again if nothing
// happens before; zero: not for the sake of time.
func Notify(m *Matter, t alf.NotificationType) (Decision, time.Time) {
	m.Memory = m.Memory.facing(m.State)
	d := Decision{Type: t, Number: m.Memory.Number}
	if t == alf.TypeProblem || t == alf.TypeRecovery {
		return m.normal()
	}
	if why, until := m.closed(); why != Tell {
		d.Why, d.Until = why, until
		return d, time.Time{} // what has happened is no news later
	}
	o := m.options()
	switch {
	case t == alf.TypeAcknowledgement && m.State.Status == alf.OK:
		d.Why = NoProblem
	case t.OfFlapping() && !o.Flapping, t.OfDowntime() && !o.Downtime:
		d.Why = NotAnOption
	case (t.OfFlapping() || t.OfDowntime()) && m.otherDowntime(t):
		d.Why = InDowntime
	}
	return d, time.Time{}
}

func (m *Matter) options() alf.NotifyOptions {
	if m.Service.Policy == nil {
		return alf.NotifyOptions{}
	}
	return m.Service.Policy.Options
}

// closed reports whether nothing at all is told now (RULES N4, N5).
func (m *Matter) closed() (Why, time.Time) {
	if m.Service.NotificationPeriod != "" {
		if from := NotifyFrom(m.Service, m.Known, m.Now); !from.Equal(m.Now) {
			return OutsidePeriod, from
		}
	}
	if m.State.Off.Has(alf.SwitchNotifications) {
		return SwitchedOff, time.Time{}
	}
	return Tell, time.Time{}
}

// otherDowntime reports whether a downtime is in effect besides those that have
// just begun.
func (m *Matter) otherDowntime(t alf.NotificationType) bool {
	for _, d := range m.State.Downtimes {
		if !d.Began.IsZero() && (t != alf.TypeDowntimeStart || d.Began.Before(m.At)) {
			return true
		}
	}
	return false
}

// normal decides about a problem or its end.
func (m *Matter) normal() (Decision, time.Time) {
	st, mem := m.State, &m.Memory
	d := Decision{Type: alf.TypeProblem, Number: mem.Number + 1}
	if st.Status == alf.OK {
		d.Type, d.Number = alf.TypeRecovery, mem.Number
	}
	if d.Why = m.nothing(); d.Why != Tell {
		return d, time.Time{}
	}
	if d.Why, d.Until = m.closed(); d.Why != Tell {
		return d, d.Until
	}
	o := m.options()
	by, may := MayNotify(m.Service, m.Known, m.Now)
	switch {
	case st.Ack != nil:
		d.Why, d.Until = Acknowledged, st.Ack.Expires
		return d, time.Time{} // its end is an event
	case !may:
		d.Why, d.By = DependencyFailed, by
		return d, m.later()
	case d.Type == alf.TypeRecovery && !o.Recovery, d.Type == alf.TypeProblem && !o.Status[st.Status&3]:
		d.Why = NotAnOption
		return d, time.Time{}
	}
	if delayed := st.LastHardChange.Add(m.delay()); d.Number == 1 && d.Type == alf.TypeProblem && m.Now.Before(delayed) {
		d.Why, d.Until = TooEarly, delayed
		return d, delayed
	}
	switch d.Why = m.restless(); {
	case d.Why == HostInDowntime, d.Why == HostNotUpToTell:
		return d, m.later()
	case d.Why == InDowntime:
		return d, m.unused()
	case d.Why != Tell, d.Type == alf.TypeRecovery:
		return d, time.Time{}
	}
	return m.again(d)
}

// nothing returns why there is nothing to tell, which is most often so.
func (m *Matter) nothing() Why {
	switch st := m.State; {
	case st.Pending():
		return NoResult
	case m.Service.Policy == nil:
		return Nobody
	case st.Status == alf.OK && m.Memory.On == 0:
		return NeverTold
	case st.Type == alf.Soft:
		return NotHard
	case !st.Stale.IsZero():
		return NothingNew
	}
	return Tell
}

func (m *Matter) delay() time.Duration { return m.Service.Policy.Delay }

// later returns when it is asked again about what nobody says when it ends: the
// next result will come before, if there is one.
func (m *Matter) later() time.Time {
	const least = time.Minute
	return m.Now.Add(max(m.Service.Interval, least))
}

// restless returns what holds back a problem or its end: that there is no rest
// yet, nobody expects any, or the host is the problem (RULES N12 to N14).
func (m *Matter) restless() Why {
	if m.State.Flap.On {
		return Flapping
	}
	if m.expected(m.State) {
		return InDowntime
	}
	if m.Service.Key.IsHost() {
		return Tell
	}
	host, st := m.Known.Look(alf.Key{Host: m.Service.Key.Host})
	switch {
	case host == nil:
	case m.expected(&st):
		return HostInDowntime
	case st.Type == alf.Hard && st.Status != alf.Up && !st.Pending():
		return HostNotUpToTell
	}
	return Tell
}

// expected reports whether problems are expected in st: a downtime is in effect, or
// a flexible one may begin any time.
func (m *Matter) expected(st *alf.State) bool {
	for _, d := range st.Downtimes {
		if !d.Began.IsZero() || d.Flexible() && d.Trigger == "" && open(d, m.Now) {
			return true
		}
	}
	return false
}

// unused returns when the window of a flexible downtime ends that may not begin
// before; zero: there is none. The end of one in effect is an event.
func (m *Matter) unused() time.Time {
	var at time.Time
	for _, d := range m.State.Downtimes {
		if d.Began.IsZero() && open(d, m.Now) {
			at = earlier(at, d.End)
		}
	}
	return at
}

// again decides about a problem of which people may have been told before (RULES
// N15, N16).
func (m *Matter) again(d Decision) (Decision, time.Time) {
	mem := &m.Memory
	begins, begun := m.escalates()
	switch {
	case begun:
	case mem.NoMore, mem.Number > 0 && mem.Next.Equal(mem.Told) && !m.Judged: // the latter is volatile: only a result is news
		d.Why, d.Until = OnlyOnce, begins
		return d, begins
	case m.Now.Before(mem.Next) && !(m.Service.Volatile && m.Judged):
		d.Why, d.Until = NotYet, earlier(mem.Next, begins)
		return d, d.Until
	}
	return d, time.Time{}
}

// escalates returns when the next escalation begins by time, and whether one has
// since the last notification: those that it names are told at once.
func (m *Matter) escalates() (next time.Time, begun bool) {
	if m.Memory.Number == 0 {
		return time.Time{}, false
	}
	for _, e := range m.Service.Policy.Escalations {
		at := m.State.LastHardChange.Add(e.Begin)
		if e.Begin == 0 || !at.After(m.Memory.Told) || !e.Options.Status[m.State.Status&3] {
			continue
		}
		if m.Now.Before(at) {
			next = earlier(next, at)
		} else if m.escalated(e, m.Memory.Number+1) {
			begun = true
		}
	}
	return next, begun
}

// escalated reports whether e applies to the notification of that number. At a
// recovery it is asked who was told of the problem last.
func (m *Matter) escalated(e *alf.Escalation, number int) bool {
	lasts := m.Now.Sub(m.State.LastHardChange)
	wanted := e.Options.Status[m.State.Status&3]
	if m.State.Status == alf.OK {
		lasts, wanted = m.Memory.Told.Sub(m.Memory.Since), e.Options.Recovery
	}
	switch {
	case !wanted, number < e.First, e.Last > 0 && number > e.Last:
		return false
	case lasts < e.Begin, e.End > 0 && lasts >= e.End:
		return false
	}
	return e.Period == "" || holds(m.Known.Period(e.Period), m.Now)
}

// audience is who is to be told at the level of the host or service.
type audience struct {
	contacts, actions []string
	escalated         bool
	interval          time.Duration
}

// audience returns it for the notification of that number. What escalations name
// takes the place of what the policy names (RULES N19).
func (m *Matter) audience(number int) audience {
	p := m.Service.Policy
	a := audience{p.Contacts, p.Actions, false, p.Interval}
	shortest := time.Duration(-1)
	for _, e := range p.Escalations {
		if !m.escalated(e, number) {
			continue
		}
		if e.Interval >= 0 && (shortest < 0 || e.Interval < shortest) {
			shortest, a.interval = e.Interval, e.Interval
		}
		contacts, actions := e.Contacts, e.Actions
		if len(contacts)+len(actions) == 0 {
			contacts, actions = p.Contacts, p.Actions
		}
		if !a.escalated {
			a.contacts, a.actions, a.escalated = nil, nil, true
		}
		a.contacts, a.actions = union(a.contacts, contacts), union(a.actions, actions)
	}
	return a
}

// union returns a with what only b has, and leaves both as they are.
func union(a, b []string) []string {
	out := a[:len(a):len(a)]
	for _, s := range b {
		if !contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// NotifyContact decides whether c is told of what Notify lets pass (RULES N17). The
// time is when it has to be asked again.
func NotifyContact(m *Matter, d Decision, c *alf.Contact) (Decision, time.Time) {
	key := m.Service.Key
	if name := c.Period(key); name != "" {
		if from := opens(m.Known.Period(name), m.Now); !from.Equal(m.Now) {
			d.Why, d.Until = ContactPeriod, from
			return d, from
		}
	}
	o := c.Options(key)
	switch {
	case d.Type.OfFlapping() && !o.Flapping, d.Type.OfDowntime() && !o.Downtime,
		d.Type == alf.TypeProblem && !o.Status[m.State.Status&3],
		d.Type == alf.TypeRecovery && !o.Recovery:
		d.Why = ContactOption
	case d.Type == alf.TypeRecovery && !m.Memory.toldOf(o):
		d.Why = ContactNotTold
	}
	return d, time.Time{}
}

// Recipient is an action that is carried out, and the contacts for whom it is:
// none if the host or service names it itself.
type Recipient struct {
	Action   string
	Contacts []string
}

// Said is what is decided about one contact, or about the actions that the host or
// service names itself.
type Said struct {
	Contact *alf.Contact // nil: none
	Actions []string
	Decision
}

// Verdict is what is done about a matter.
type Verdict struct {
	Decision              // if nobody is told: why, or why not the first one
	To        []Recipient // nil: nobody is told
	Escalated bool
	Memory    Memory    // what is to be remembered
	Next      time.Time // when it has to be asked again; zero: not for the sake of time
}

// Decide decides whom of those that can be told are told of a matter. If each is
// not nil, it is called with what is decided about each of them.
func Decide(m *Matter, t alf.NotificationType, contact func(name string) *alf.Contact, each func(Said)) Verdict {
	d, next := Notify(m, t)
	v := Verdict{Decision: d, Memory: m.Memory, Next: next}
	if d.Why != Tell && (each == nil || m.Service.Policy == nil) {
		return v
	}
	number := d.Number
	a := m.audience(number)
	told := d.Why == Tell
	first := Decision{Type: d.Type, Number: d.Number, Why: Nobody}
	var when time.Time
	for _, name := range a.contacts {
		c := contact(name)
		if c == nil {
			continue // the configuration has just changed
		}
		one := d
		if told {
			var at time.Time
			if one, at = NotifyContact(m, d, c); one.Why == Tell {
				v.To = address(v.To, c.Actions, c.Name)
			} else {
				when = earlier(when, at)
				if first.Why == Nobody {
					first = one
				}
			}
		}
		if each != nil {
			each(Said{c, c.Actions, one})
		}
	}
	if len(a.actions) > 0 {
		if told {
			v.To = address(v.To, a.actions, "")
		}
		if each != nil {
			each(Said{nil, a.actions, d})
		}
	}
	if !told {
		return v
	}
	v.Escalated = a.escalated
	if len(v.To) == 0 {
		v.Decision = first
		if d.Type == alf.TypeProblem || d.Type == alf.TypeRecovery {
			v.Next = when
		}
		return v
	}
	v.Memory, v.Next = m.remember(d, a)
	return v
}

// address adds actions to those that are carried out, for a contact if there is
// one.
func address(to []Recipient, actions []string, contact string) []Recipient {
next:
	for _, action := range actions {
		for i := range to {
			if to[i].Action == action {
				if contact != "" {
					to[i].Contacts = append(to[i].Contacts, contact)
				}
				continue next
			}
		}
		r := Recipient{Action: action}
		if contact != "" {
			r.Contacts = []string{contact}
		}
		to = append(to, r)
	}
	return to
}

// remember returns what is remembered when people have been told, and when they
// are told again (RULES N15, N18).
func (m *Matter) remember(d Decision, a audience) (Memory, time.Time) {
	mem := m.Memory
	switch d.Type {
	case alf.TypeRecovery:
		return Memory{Event: mem.Event}, time.Time{}
	case alf.TypeProblem:
	default:
		return mem, time.Time{}
	}
	mem.Number, mem.Told, mem.Held = d.Number, m.Now, Tell
	mem.On |= 1 << (m.State.Status & 3)
	mem.Next = m.Now.Add(a.interval)
	mem.NoMore = a.interval == 0 && !m.Service.Volatile
	m.Memory = mem
	next, _ := m.escalates()
	if !mem.NoMore && a.interval > 0 {
		next = earlier(mem.Next, next)
	}
	return mem, next
}

// Occasions are the types of notifications that an event may lead to, in the order
// in which Nagios tells of them. They end with the problem itself, or its end.
type Occasions struct {
	types [4]alf.NotificationType
	n     int
}

// OccasionsOf returns those of e.
func OccasionsOf(e *alf.Event) Occasions {
	var o Occasions
	add := func(t alf.NotificationType) { o.types[o.n] = t; o.n++ }
	c := e.Change
	switch {
	case c.Has(alf.ChangeCancelled | alf.ChangeDowntimeEnd):
		add(alf.TypeDowntimeCancelled)
	case c.Has(alf.ChangeDowntime):
		add(alf.TypeDowntimeStart)
	case c.Has(alf.ChangeDowntimeEnd):
		add(alf.TypeDowntimeEnd)
	}
	switch {
	case c.Has(alf.ChangeFlapping):
		add(alf.TypeFlappingStart)
	case c.Has(alf.ChangeCalm | alf.ChangeSwitch):
		add(alf.TypeFlappingDisabled)
	case c.Has(alf.ChangeCalm):
		add(alf.TypeFlappingStop)
	}
	if c.Has(alf.ChangeAck) {
		add(alf.TypeAcknowledgement)
	}
	add(alf.TypeProblem)
	return o
}

// Types returns them. The slice is that of o.
func (o *Occasions) Types() []alf.NotificationType { return o.types[:o.n] }
