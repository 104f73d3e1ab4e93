package api

import (
	"net/http"

	"alf/api/wire"
)

func (a *API) problems(w http.ResponseWriter, r *http.Request) error {
	f, err := filter(r, wire.ProblemParameters, wire.AllStates)
	if err != nil {
		return err
	}
	return a.answer(w, r, func() (any, error) { return services("problems", a.query.Problems(f), f), nil })
}
