package api

import (
	"net/http"
	"net/url"
	"strconv"

	"alf/api/wire"
)

// maxResults is how many results an answer may hold.
const maxResults = 10_000

func (a *API) results(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, "limit")
	if err != nil {
		return err
	}
	n, err := a.limit(query)
	if err != nil {
		return err
	}
	return a.answer(w, r, func() (any, error) { return a.last(r, n) })
}

func (a *API) limit(query url.Values) (int, error) {
	if !query.Has("limit") {
		return a.o.History, nil
	}
	n, err := strconv.Atoi(query.Get("limit"))
	if err != nil || n < 1 || n > maxResults {
		return 0, wire.NewError(http.StatusBadRequest, "limit %q is not a number from 1 to %d", query.Get("limit"), maxResults)
	}
	return n, nil
}

// last returns the list of the last n results of what the path of r names.
func (a *API) last(r *http.Request, n int) (any, error) {
	row, err := a.row(r)
	if err != nil {
		return nil, err
	}
	events, err := a.o.Reader.Last(r.Context(), row.Key(), n)
	if err != nil {
		return nil, err
	}
	return list{"results", wire.Page{Total: len(events)}, func(yield func(any) bool) {
		for _, e := range events {
			if !yield(wire.NewResult(e)) {
				return
			}
		}
	}}, nil
}
