package api

import (
	"context"
	"net/http"
	"time"

	"alf"
	"alf/api/wire"
)

const (
	someEvents = 100    // entries in an answer unless it is asked for more or fewer
	maxEvents  = 10_000 // that an answer may hold
)

// events answers with a part of the log.
func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, wire.LogParameters...)
	if err != nil {
		return err
	}
	f, err := wire.ParseLogFilter(query, time.Now())
	if err != nil {
		return wire.NewError(http.StatusBadRequest, "%s", err)
	}
	if f.Limit > maxEvents {
		return wire.NewError(http.StatusBadRequest, "limit %d is not a number from 1 to %d", f.Limit, maxEvents)
	}
	if f.Limit == 0 {
		f.Limit = someEvents
	}
	return untagged(w, r, func() (any, error) {
		events, err := a.query.Log(r.Context(), f)
		if err == nil && len(events) == 0 {
			err = a.known(r.Context(), f)
		}
		return eventList(events), err
	})
}

func eventList(events []*alf.Event) list {
	return list{"events", wire.Page{Total: len(events)}, func(yield func(any) bool) {
		for _, e := range events {
			if !yield(wire.NewEvent(e)) {
				return
			}
		}
	}}
}

// known returns an error if f names what neither the configuration nor the log
// knows.
func (a *API) known(ctx context.Context, f wire.LogFilter) error {
	if f.Hostgroup != "" && len(a.query.members(f.Hostgroup)) == 0 {
		return wire.NewError(http.StatusNotFound, "there is no hostgroup %q", f.Hostgroup)
	}
	if f.Host == "" {
		return nil
	}
	key := alf.Key{Host: alf.HostName(f.Host), Service: alf.ServiceName(f.Service)}
	_, err := a.rowOf(key)
	if err == nil {
		return nil
	}
	found, readErr := a.query.Oldest(ctx, Span{Scope: scope(f.Host, f.Service), Limit: 1})
	if readErr != nil || len(found) > 0 {
		return readErr
	}
	return err
}
