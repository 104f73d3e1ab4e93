package api

import (
	"net/http"

	"alf/api/wire"
)

func (a *API) hosts(w http.ResponseWriter, r *http.Request) error {
	f, err := filter(r, wire.HostParameters, wire.HostStates)
	if err != nil {
		return err
	}
	return a.answer(w, r, func() (any, error) {
		rows, page := Cut(a.query.Hosts(f), f)
		return list{"hosts", page, func(yield func(any) bool) {
			for _, row := range rows {
				if !yield(a.wireHost(row)) {
					return
				}
			}
		}}, nil
	})
}

func (a *API) wireHost(r Row) wire.Host {
	h := wire.NewHost(r.Service, r.Head, a.query.On(r.Key().Host))
	h.Hold(r.Held())
	return h
}

// wireService returns r, which may be a host's own check, with what its host
// does to it.
func wireService(r Row) wire.Service {
	s := wire.NewService(r.Service, r.Head)
	s.HostDowntime, s.HostProblem, s.Handled = r.HostDowntime(), r.HostProblem(), r.Handled()
	s.Hold(r.Held())
	return s
}

// object answers with the host or service that the path names.
func (a *API) object(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	return a.answer(w, r, func() (any, error) {
		row, err := a.row(r)
		if err != nil {
			return nil, err
		}
		return a.wire(row), nil
	})
}

// wire returns r as the API's bodies have it.
func (a *API) wire(r Row) any {
	if r.Key().IsHost() {
		return a.wireHost(r)
	}
	return wireService(r)
}
