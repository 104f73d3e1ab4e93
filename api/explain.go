package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
)

// shownChanges is how many entries of the log stand below an explanation.
const shownChanges = 20

// explain answers with how the state of a host or service came to be what it is
// or was.
func (a *API) explain(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, "at")
	if err != nil {
		return err
	}
	q := question{Query: a.query, ledger: a.o.Ledger, key: keyOf(r), at: time.Now(), now: !query.Has("at")}
	if !q.now {
		if q.at, err = past(query.Get("at"), q.at); err != nil {
			return wire.NewError(http.StatusBadRequest, "at: %v", err)
		}
	}
	return untagged(w, r, func() (any, error) {
		if err := a.find(r.Context(), &q); err != nil {
			return nil, err
		}
		return q.answer(), nil
	})
}

// past reads a time that is not after now.
func past(text string, now time.Time) (time.Time, error) {
	t, err := wire.ParseTime(text, now)
	if err == nil && t.After(now) {
		err = fmt.Errorf("%s is in the future", text)
	}
	return t, err
}

// find fills in what is known of what q asks for.
func (a *API) find(ctx context.Context, q *question) error {
	row, missing := a.rowOf(q.key)
	q.row, q.configured = row, missing == nil
	var err error
	if q.log, err = q.Newest(ctx, Span{Scope: state.Scope{Key: q.key}, Until: q.at.Add(1), Limit: shownChanges}); err != nil {
		return err
	}
	if !q.configured && len(q.log) == 0 {
		return missing
	}
	if q.gaps, err = q.Gaps(ctx); err != nil {
		return err
	}
	if q.now && q.ledger != nil {
		if q.notices, err = a.oldestNotices(ctx, q.key); err != nil {
			return err
		}
	}
	if err := q.lookBack(ctx); err != nil {
		return err
	}
	if st, known := q.state(); known {
		q.around, err = q.circumstances(ctx, st)
	}
	return err
}

// lookBack finds the entry that made the state what it is, and the one before,
// behind those that are shown: there may be many more of orders and of time.
func (q *question) lookBack(ctx context.Context) error {
	st, _ := q.state()
	since := st.LastChange
	if st.LastHardChange.After(since) {
		since = st.LastHardChange
	}
	if len(q.log) < shownChanges || since.IsZero() {
		return nil
	}
	changed, err := q.Past.At(ctx, since, q.key)
	if err != nil {
		return err
	}
	before, err := q.Past.At(ctx, since.Add(-1), q.key)
	if err != nil {
		return err
	}
	q.changed, q.before = changed[0], before[0]
	return nil
}

// question is what is asked for, and what is known of it.
type question struct {
	Query
	ledger     Ledger         // nil: nobody is ever told
	notices    []*wire.Notice // that there were, the oldest first; now only
	key        alf.Key
	at         time.Time
	now        bool // at is now
	configured bool // now
	row        Row  // if so
	log        []*alf.Event
	before     *alf.Event // what came before the change to the state, if the log is longer than shown; nil: nothing
	changed    *alf.Event // that change, if so
	around     []wire.Circumstance
	gaps       []state.Gap
}

func (q *question) answer() wire.Explanation {
	st, known := q.state()
	x := wire.NewExplanation(q.key, st, q.at)
	x.Now = q.now
	if !known {
		x.State, x.StateType = "", ""
		if len(q.log) > 0 {
			x.Removed = utc(q.log[0].Time)
		}
	}
	for _, g := range q.gaps {
		if g.Has(q.at) {
			x.NotRunning = wire.NewGap(g.From, g.Until)
		}
	}
	if known {
		x.Rule, x.Why = q.reason(st)
	}
	if known && q.now && q.configured {
		q.plan(&x, st)
		q.unplanned(&x, st)
	}
	x.Circumstances = append([]wire.Circumstance{}, q.around...)
	x.Changes = []wire.Event{}
	for _, e := range q.log {
		x.Changes = append(x.Changes, wire.NewEvent(e))
	}
	x.Write(time.UTC)
	return x
}

// state returns the state at that time; false: it is not known, or what is asked
// for was not configured.
func (q *question) state() (alf.State, bool) {
	switch {
	case q.configured && q.now:
		return q.row.State(), true
	case len(q.log) > 0 && q.log[0].Kind != alf.KindRemoved && q.assumed(q.log[0].State):
		return wire.StateOf(q.row.Service, q.log[0]), true
	case len(q.log) > 0:
		return q.log[0].State, q.log[0].Kind != alf.KindRemoved
	case q.configured && q.row.Head != nil && lasts(q.row.State(), q.at):
		return q.row.State(), true
	case q.assumed(alf.State{}):
		return wire.StateOf(q.row.Service, nil), true
	}
	return alf.State{}, false
}

// assumed reports whether a state is that of a host that nothing checks, of which
// nobody ever submitted a result.
func (q *question) assumed(recorded alf.State) bool {
	return q.configured && q.row.Service.Builtin == alf.CheckNone && recorded.LastCheck.IsZero()
}

// lasts reports whether st has been as it is since at: it may have come about
// before the log begins.
func lasts(st alf.State, at time.Time) bool {
	if st.Type != alf.Hard || st.LastHardChange.IsZero() || !st.Stale.IsZero() {
		return false
	}
	return !st.LastChange.After(at) && !st.LastHardChange.After(at)
}

// reason returns by which rule st came to be, as far as the log tells.
func (q *question) reason(st alf.State) (rule, why string) {
	switch {
	case q.assumed(st):
		return "H1", "nothing checks this host, so that it is assumed to be UP"
	case q.configured && q.row.Service.Builtin == alf.CheckNone:
		return "H4", "nothing checks this host, and a submitted result said so"
	case st.Pending():
		return state.Reason(q.key, alf.State{}, st)
	}
	came := st
	for _, e := range q.log {
		was := e.State
		if e.Kind == alf.KindRemoved {
			return state.Reason(q.key, alf.State{}, came)
		}
		if was.Status != st.Status || was.Type != st.Type || was.Attempt != st.Attempt {
			return state.Reason(q.key, was, came)
		}
		came = was
	}
	first := q.changed
	if n := len(q.log); n > 0 && n < shownChanges {
		first = q.log[n-1]
	}
	if first == nil {
		return "", ""
	}
	if came = first.State; st.Type == alf.Soft {
		came = st // further attempts are no such change
	}
	switch {
	case q.before != nil && q.before.Kind != alf.KindRemoved:
		return state.Reason(q.key, q.before.State, came)
	// From pending, both change; and only then nothing stands before it.
	case q.before != nil, first.Change.Has(alf.ChangeStatus | alf.ChangeType):
		return state.Reason(q.key, alf.State{}, came)
	}
	return "", ""
}

// plan says when the next check is due, and why then.
func (q *question) plan(x *wire.Explanation, st alf.State) {
	s, head := q.row.Service, q.row.Head
	if head != nil && !st.LastCheck.IsZero() {
		x.LastCheck = utc(st.LastCheck)
	}
	if head != nil && !head.NextCheck.IsZero() && s.Scheduled() {
		x.NextCheck = utc(head.NextCheck)
	}
	if head == nil && s.Scheduled() {
		if at := q.slot(x.At); !at.IsZero() {
			x.NextCheck = utc(at)
		}
	}
	held := q.row.Held()
	if held != nil {
		x.NextCheck = nil
	}
	q.notifications(x, st)
	switch {
	case held != nil:
		x.NextWhy = string(held.Why)
	case s.Builtin == alf.CheckNone:
		x.NextWhy = "nothing checks this host (H1)"
	case s.Passive && s.Schedule != "":
		x.NextWhy = "nothing is run, its results are submitted, each by its schedule " + s.Schedule + q.nextSlot(x.At)
	case s.Passive:
		x.NextWhy = "nothing is run, its results are submitted"
	default:
		x.NextWhy = q.due(head, st) + q.closed(x.At)
	}
}

// due says by what the next check of what is run is planned.
func (q *question) due(head *alf.Event, st alf.State) string {
	s, table := q.row.Service, ""
	if s.Schedule != "" {
		table = ", or by its schedule " + s.Schedule + " if that is earlier"
	}
	switch {
	case head == nil && s.Schedule != "":
		return "by its schedule " + s.Schedule
	case head == nil:
		return "its first result is still to come"
	case !st.Stale.IsZero():
		return "every " + span(s.Retry) + " (retry_interval) while nothing new is known" + table
	case st.Type == alf.Soft && !st.Pending():
		return "every " + span(s.Retry) + " (retry_interval) while it is SOFT (R2)" + table
	case s.Schedule != "":
		return "by its schedule " + s.Schedule
	case s.Interval == 0:
		return "check_interval is 0, so that it is run when somebody orders it (R13)"
	}
	return "every " + span(s.Interval) + " (check_interval)"
}

// nextSlot says when the next result is due of what is not run.
func (q *question) nextSlot(now time.Time) string {
	at := q.slot(now)
	if at.IsZero() {
		return fmt.Sprintf(", which never comes within check_period %q", q.row.Service.CheckPeriod)
	}
	return ", next at " + at.UTC().Format(time.RFC3339)
}

// slot returns when it is due next by its schedule; zero: never.
func (q *question) slot(now time.Time) time.Time {
	s, v := q.row.Service, q.Inventory()
	if table := v.Timetable(s.Schedule); table != nil {
		return alf.NextWithin(table, v.Period(s.CheckPeriod), now)
	}
	return time.Time{}
}

// closed says in which period it is checked, and whether that holds.
func (q *question) closed(now time.Time) string {
	name := q.row.Service.CheckPeriod
	p := q.Inventory().Period(name)
	switch {
	case name == "" || p == nil:
		return ""
	case p.Contains(now):
		return fmt.Sprintf(", within check_period %q", name)
	case p.Next(now).IsZero():
		return fmt.Sprintf(", within check_period %q, which never begins again", name)
	}
	return fmt.Sprintf(", within check_period %q, which begins at %s", name, p.Next(now).UTC().Format(time.RFC3339))
}

// notifications says whether people may be told now, and if not, from when on.
func (q *question) notifications(x *wire.Explanation, st alf.State) {
	s, all := q.row.Service, q.known(x.At)
	n := &wire.Notifications{}
	x.Notifications = n
	from := state.NotifyFrom(s, all, x.At)
	by, may := state.MayNotify(s, all, x.At)
	n.Allowed = may && from.Equal(x.At) && !st.Off.Has(alf.SwitchNotifications)
	switch {
	case st.Off.Has(alf.SwitchNotifications):
		n.Why = "that was switched off"
	case !from.Equal(x.At):
		n.Why = fmt.Sprintf("it is outside notification_period %q (N4)", s.NotificationPeriod)
		if !from.IsZero() {
			n.From = utc(from)
		}
	case !may:
		n.Why = fmt.Sprintf("dependency %q withholds it because of %q (N26)", by.Name, by.Master)
	case s.NotificationPeriod != "":
		n.Why = fmt.Sprintf("notification_period %q holds", s.NotificationPeriod)
	}
	n.People = append([]wire.Telling{}, q.tellings(st)...)
	if s.Policy == nil && q.ledger != nil && n.Allowed {
		n.Allowed, n.Why = false, "it has neither contacts nor actions (N17)"
	}
}

func utc(t time.Time) *time.Time {
	t = t.UTC()
	return &t
}

// span writes d without the units that are zero: 1h, 5m, 20s.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
