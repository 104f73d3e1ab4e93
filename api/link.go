package api

import (
	"errors"
	"net/http"

	"alf"
	"alf/api/wire"
)

// link says whether Alf tries to connect to a host.
func (a *API) link(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	name := r.PathValue("host")
	h := a.o.Inventory().Host(alf.HostName(name))
	if h == nil {
		return wire.NewError(http.StatusNotFound, "there is no host %q", name)
	}
	out := &wire.Link{Host: name}
	if err := a.o.Paused(h); err != nil {
		out.Paused, out.Error = true, wire.Text(err.Error())
		var why *alf.RunError
		if errors.As(err, &why) {
			out.Cause, out.Phase = why.Cause.String(), why.Phase
		}
	}
	w.Header().Add("Vary", "Accept")
	return render(w, r, out)
}
