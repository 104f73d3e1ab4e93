package api

import (
	"cmp"
	"net/http"
	"slices"

	"alf"
	"alf/api/wire"
)

// Downtimes returns the downtimes of the hosts and services that f takes in,
// each once with all of these that it covers, by start.
func (q Query) Downtimes(f wire.Filter) []*wire.DowntimeOrder {
	var out []*wire.DowntimeOrder
	orders := make(map[string]*wire.DowntimeOrder)
	for r := range q.some(f, matching(f)) {
		for _, d := range r.State().Downtimes {
			if f.Phase != "" && f.Phase != phase(d) {
				continue
			}
			o := orders[d.ID]
			if o == nil {
				o = new(wire.DowntimeOrder)
				orders[d.ID] = o
				out = append(out, o)
			}
			o.Add(r.Key(), d)
		}
	}
	slices.SortFunc(out, func(a, b *wire.DowntimeOrder) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func phase(d *alf.Downtime) string {
	if d.Began.IsZero() {
		return wire.Planned
	}
	return wire.Active
}

// Comments returns the comments on the hosts and services that f takes in, each
// once with all of these that it is about, the newest first.
func (q Query) Comments(f wire.Filter) []*wire.CommentOrder {
	var out []*wire.CommentOrder
	orders := make(map[string]*wire.CommentOrder)
	for r := range q.some(f, matching(f)) {
		for _, c := range r.State().Comments {
			o := orders[c.ID]
			if o == nil {
				o = &wire.CommentOrder{Comment: wire.NewComment(c)}
				orders[c.ID] = o
				out = append(out, o)
			}
			o.Keys = append(o.Keys, wire.NewKey(r.Key()))
		}
	}
	slices.SortFunc(out, func(a, b *wire.CommentOrder) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (a *API) downtimes(w http.ResponseWriter, r *http.Request) error {
	f, err := a.ordered(r, wire.DowntimeParameters)
	if err != nil {
		return err
	}
	return a.answer(w, r, func() (any, error) { return members("downtimes", a.query.Downtimes(f), f), nil })
}

func (a *API) comments(w http.ResponseWriter, r *http.Request) error {
	f, err := a.ordered(r, wire.CommentParameters)
	if err != nil {
		return err
	}
	return a.answer(w, r, func() (any, error) { return members("comments", a.query.Comments(f), f), nil })
}

// ordered returns the filter in the query of r. A host that it names must be
// there, and, if it names but one host and service, that service.
func (a *API) ordered(r *http.Request, known []string) (wire.Filter, error) {
	f, err := filter(r, known, nil)
	if err != nil {
		return f, err
	}
	for _, host := range f.Hosts {
		key := alf.Key{Host: alf.HostName(host)}
		if len(f.Hosts) == 1 && len(f.Services) == 1 {
			key.Service = alf.ServiceName(f.Services[0])
		}
		if _, err := a.rowOf(key); err != nil {
			return f, err
		}
	}
	return f, nil
}

// members returns the part of all that f asks for as a list.
func members[T any](name string, all []T, f wire.Filter) list {
	part, page := Cut(all, f)
	return list{name, page, func(yield func(any) bool) {
		for _, m := range part {
			if !yield(m) {
				return
			}
		}
	}}
}
