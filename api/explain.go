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
	q := question{Query: a.query, key: keyOf(r), at: time.Now(), now: !query.Has("at")}
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
	held := q.row.Held()
	if held != nil {
		x.NextCheck = nil
	}
	switch {
	case held != nil:
		x.NextWhy = string(held.Why)
	case s.Builtin == alf.CheckNone:
		x.NextWhy = "nothing checks this host (H1)"
	case s.Passive:
		x.NextWhy = "nothing is run, its results are submitted"
	case head == nil:
		x.NextWhy = "its first result is still to come"
	case !st.Stale.IsZero():
		x.NextWhy = "every " + span(s.Retry) + " (retry_interval) while nothing new is known"
	case st.Type == alf.Soft && !st.Pending():
		x.NextWhy = "every " + span(s.Retry) + " (retry_interval) while it is SOFT (R2)"
	case s.Interval == 0:
		x.NextWhy = "check_interval is 0, so that it is run when somebody orders it (R13)"
	default:
		x.NextWhy = "every " + span(s.Interval) + " (check_interval)"
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
