package api

import (
	"net/http"

	"alf/api/wire"
)

func (a *API) status(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	s := wire.Status{Version: a.o.Version, Started: a.o.Started.UTC(), Ready: true, Counts: a.query.Counts()}
	if err := a.o.Ready(); err != nil {
		s.Ready, s.NotReady = false, wire.Text(err.Error())
	}
	w.Header().Add("Vary", "Accept")
	return render(w, r, s)
}
