package api

import (
	"context"
	"net/http"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
)

// availability answers with how long hosts and services were in which state.
func (a *API) availability(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, wire.AvailabilityParameters...)
	if err != nil {
		return err
	}
	f, err := wire.ParseAvailability(query, time.Now())
	if err != nil {
		return wire.NewError(http.StatusBadRequest, "%s", err)
	}
	return untagged(w, r, func() (any, error) {
		rows, err := a.reported(f)
		if err != nil {
			return nil, err
		}
		gaps, err := a.query.Gaps(r.Context())
		if err != nil {
			return nil, err
		}
		p := state.Period{From: f.From, Until: f.Until, Gaps: gaps, Soft: f.Soft}
		sums, err := a.query.Availability(r.Context(), rows, scope(f.Host, f.Service), p)
		return report(p, rows, sums), err
	})
}

// reported returns what f asks for. A host that nothing checks, and of which nobody
// submitted a result, is left out.
func (a *API) reported(f wire.AvailabilityFilter) ([]Row, error) {
	filter := wire.Filter{Hostgroups: []string{f.Hostgroup}}
	if f.Host != "" {
		filter = wire.Filter{Hosts: []string{f.Host}}
		if _, err := a.rowOf(alf.Key{Host: alf.HostName(f.Host), Service: alf.ServiceName(f.Service)}); err != nil {
			return nil, err
		}
	} else if len(a.query.members(f.Hostgroup)) == 0 {
		return nil, wire.NewError(http.StatusNotFound, "there is no hostgroup %q, or no host is in it", f.Hostgroup)
	}
	var rows []Row
	for _, row := range a.query.All(filter) {
		wanted := f.Service == "" || string(row.Key().Service) == f.Service
		told := row.Service.Builtin != alf.CheckNone || row.Head != nil && !row.Head.State.Pending()
		if wanted && told {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil, wire.NewError(http.StatusNotFound, "nothing is checked there of which an availability could be told")
	}
	return rows, nil
}

// Gaps returns when Alf did not run, as far back as the log goes.
func (q Query) Gaps(ctx context.Context) ([]state.Gap, error) {
	entries, err := q.Oldest(ctx, Span{Scope: state.Scope{Self: true}})
	return state.Gaps(entries), err
}

// Availability returns the availability of each of rows, all of which are in
// scope.
func (q Query) Availability(ctx context.Context, rows []Row, scope state.Scope, p state.Period) ([]state.Availability, error) {
	keys := make([]alf.Key, len(rows))
	tallies := make(map[alf.Key]*state.Tally, len(rows))
	for i, row := range rows {
		keys[i] = row.Key()
		tallies[keys[i]] = state.NewTally(p)
	}
	before, err := q.Past.At(ctx, p.From, keys...)
	if err != nil {
		return nil, err
	}
	for _, e := range before {
		if e != nil {
			tallies[e.Key].Add(e)
		}
	}
	for e, err := range q.Past.Entries(ctx, scope, p.From, p.Until) {
		if err != nil {
			return nil, err
		}
		if t := tallies[e.Key]; t != nil {
			t.Add(e)
		}
	}
	out := make([]state.Availability, len(rows))
	for i, row := range rows {
		t := tallies[keys[i]]
		if row.Head != nil {
			t.Add(row.Head)
		}
		out[i] = t.Sum()
	}
	return out, ctx.Err()
}

func report(p state.Period, rows []Row, sums []state.Availability) wire.Availability {
	out := wire.Availability{
		From: p.From.UTC(), Until: p.Until.UTC(), Seconds: p.Until.Sub(p.From).Seconds(), Soft: p.Soft,
		Hosts: []wire.HostAvailability{}, Services: []wire.ServiceAvailability{},
	}
	var hosts, services []state.Availability
	for i, sum := range sums {
		key := rows[i].Key()
		if key.IsHost() {
			hosts = append(hosts, sum)
			out.Hosts = append(out.Hosts, wire.HostAvailability{Host: string(key.Host), HostShares: mean(sum).host()})
			continue
		}
		services = append(services, sum)
		out.Services = append(out.Services, wire.ServiceAvailability{
			Host: string(key.Host), Service: string(key.Service), ServiceShares: mean(sum).service()})
	}
	if len(hosts) > 0 {
		average := mean(hosts...).host()
		out.HostAverage = &average
	}
	if len(services) > 0 {
		average := mean(services...).service()
		out.ServiceAverage = &average
	}
	return out
}

// parts are those of an availability in seconds.
type parts struct {
	in                 [len(state.Availability{}.In)]float64
	notRunning, noData float64
}

// mean returns the mean of all. Sums of durations would be too long for one.
func mean(all ...state.Availability) parts {
	var p parts
	n := float64(len(all))
	for _, a := range all {
		for status, d := range a.In {
			p.in[status] += d.Seconds() / n
		}
		p.notRunning += a.NotRunning.Seconds() / n
		p.noData += a.NoData.Seconds() / n
	}
	return p
}

func (p parts) host() wire.HostShares {
	return wire.HostShares{
		Up: p.share(alf.Up), Down: p.share(alf.Down), Unreachable: p.share(alf.Unreachable), Undetermined: p.undetermined(),
	}
}

func (p parts) service() wire.ServiceShares {
	return wire.ServiceShares{
		OK: p.share(alf.OK), Warning: p.share(alf.Warning), Critical: p.share(alf.Critical), Unknown: p.share(alf.Unknown),
		Undetermined: p.undetermined(),
	}
}

func (p parts) known() float64 {
	var sum float64
	for _, seconds := range p.in {
		sum += seconds
	}
	return sum
}

func (p parts) whole() float64 { return p.known() + p.notRunning + p.noData }

func (p parts) share(status alf.Status) wire.Share {
	seconds := p.in[status]
	out := wire.Share{Seconds: seconds, Percent: 100 * (seconds / p.whole())}
	if known := p.known(); known > 0 {
		percent := 100 * (seconds / known)
		out.PercentKnown = &percent
	}
	return out
}

func (p parts) undetermined() wire.Undetermined {
	share := func(seconds float64) wire.Share {
		return wire.Share{Seconds: seconds, Percent: 100 * (seconds / p.whole())}
	}
	return wire.Undetermined{NotRunning: share(p.notRunning), NoData: share(p.noData)}
}
