package api

import (
	"net/http"

	"alf/api/wire"
)

func (a *API) services(w http.ResponseWriter, r *http.Request) error {
	f, err := filter(r, wire.ServiceParameters, wire.ServiceStates)
	if err != nil {
		return err
	}
	return a.answer(w, r, func() (any, error) { return services("services", a.query.Services(f), f), nil })
}

// services returns the part of rows that f asks for as a list of services.
func services(name string, rows []Row, f wire.Filter) list {
	rows, page := Cut(rows, f)
	return list{name, page, func(yield func(any) bool) {
		for _, row := range rows {
			if !yield(wireService(row)) {
				return
			}
		}
	}}
}
