package api

import (
	"net/http"
	"slices"

	"alf/api/wire"
)

// links answers with the links of the hosts that are asked for, or all. A host that
// nothing has logged in to has none.
func (a *API) links(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, "host")
	if err != nil {
		return err
	}
	links := a.o.Links()
	if hosts, some := query["host"]; some {
		links.Links = slices.DeleteFunc(links.Links, func(l wire.Link) bool { return !slices.Contains(hosts, string(l.Host)) })
	}
	w.Header().Add("Vary", "Accept")
	return render(w, r, links)
}
