package api

import (
	"context"
	"fmt"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
)

// searchedOrders is how many orders are looked at for who switched something off.
const searchedOrders = 20

// circumstances returns what people, time and others did to st, besides results.
func (q *question) circumstances(ctx context.Context, st alf.State) ([]wire.Circumstance, error) {
	host := q.hostState()
	out := wire.Circumstances(st, host)
	if st.Flap.On {
		began, err := q.search(ctx, alf.ChangeFlapping, 1)
		if err != nil {
			return nil, err
		}
		c := wire.NewCircumstance(wire.Flaps, fmt.Sprintf("%.1f %%", st.Flap.Percent), time.Time{}, time.Time{})
		if len(began) > 0 {
			c.Since = utc(began[0].Time)
		}
		out = append(out, c)
	}
	out = append(out, q.hostProblem(st, host)...)
	if st.Off == 0 {
		return out, nil
	}
	orders, err := q.search(ctx, alf.ChangeSwitch, searchedOrders)
	return append(out, switchedOff(st.Off, orders)...), err
}

// hostState returns the state of the host of a service, now; the zero State: it is
// not that, or not asked for.
func (q *question) hostState() alf.State {
	if !q.now || !q.configured || q.key.IsHost() {
		return alf.State{}
	}
	own, _ := q.Row(alf.Key{Host: q.key.Host})
	return own.State()
}

// search returns the newest entries up to q.at with that change.
func (q *question) search(ctx context.Context, change alf.Change, most int) ([]*alf.Event, error) {
	return q.Newest(ctx, Span{Scope: state.Scope{Key: q.key}, Until: q.at.Add(1), Limit: most,
		Takes: func(e *alf.Event) bool { return e.Change.Has(change) }})
}

// hostProblem says that another host is the problem, if it is.
func (q *question) hostProblem(st, host alf.State) []wire.Circumstance {
	is := "is"
	if !q.now {
		is = "was"
	}
	what, since := "", time.Time{}
	switch {
	case q.key.IsHost() && !st.Pending() && st.Status == alf.Unreachable:
		what, since = fmt.Sprintf("No parent of it %s UP, so that it %s UNREACHABLE (H2)", is, is), st.LastChange
	case !host.Pending() && host.Status != alf.Up:
		what, since = "The problem is its host, which is "+wire.StateName(alf.Key{Host: q.key.Host}, host), host.LastChange
	case st.HostProblem:
		what = "The problem is its host, which was not UP when it was last judged"
	default:
		return nil
	}
	return []wire.Circumstance{wire.NewCircumstance(wire.BehindHost, what, since, time.Time{})}
}

// switchedOff says who switched off each of off, by orders, the newest first.
func switchedOff(off alf.Switch, orders []*alf.Event) []wire.Circumstance {
	var out []wire.Circumstance
	for one := alf.SwitchChecks; one <= alf.SwitchFlapping; one <<= 1 {
		if !off.Has(one) {
			continue
		}
		c := wire.NewCircumstance(wire.Off, one.String(), time.Time{}, time.Time{})
		for i, e := range orders {
			if !e.State.Off.Has(one) {
				break
			}
			if i+1 == len(orders) || !orders[i+1].State.Off.Has(one) {
				c.Since, c.Author = utc(e.Time), wire.Text(e.Author)
			}
		}
		out = append(out, c)
	}
	return out
}

// unplanned says that results of what is only submitted are refused, as somebody
// switched that off.
func (q *question) unplanned(x *wire.Explanation, st alf.State) {
	if q.row.Service.Passive && st.Off.Has(alf.SwitchPassive) {
		x.NextWhy = "nothing is run, and results that are submitted are refused: that was switched off"
	}
}
