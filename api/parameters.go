package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"alf"
	"alf/api/wire"
)

// parameters returns the query of r, in which only known may stand besides
// format.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, wire.NewError(http.StatusBadRequest, "query: %v", err)
	}
	delete(query, "format")
	for name := range query {
		if !slices.Contains(known, name) {
			return nil, wire.NewError(http.StatusBadRequest, "parameter %q is none of %s", name,
				strings.Join(append(known, "format"), ", "))
		}
	}
	return query, nil
}

// filter returns the filter in the query of r, in which only known may stand
// besides format.
func filter(r *http.Request, known, states []string) (wire.Filter, error) {
	query, err := parameters(r, known...)
	if err != nil {
		return wire.Filter{}, err
	}
	f, err := wire.ParseFilter(query, known, states)
	if err != nil {
		return wire.Filter{}, wire.NewError(http.StatusBadRequest, "%s", err)
	}
	return f, nil
}

// row returns the host or service that the path of r names.
func (a *API) row(r *http.Request) (Row, error) {
	return a.rowOf(keyOf(r))
}

// keyOf returns the key that the path of r names.
func keyOf(r *http.Request) alf.Key {
	return alf.Key{Host: alf.HostName(r.PathValue("host")), Service: alf.ServiceName(r.PathValue("service"))}
}

func (a *API) rowOf(key alf.Key) (Row, error) {
	row, found := a.query.Row(key)
	switch {
	case found:
		return row, nil
	case key.IsHost() || a.o.Inventory().Host(key.Host) == nil:
		return Row{}, wire.NewError(http.StatusNotFound, "there is no host %q", key.Host)
	}
	return Row{}, wire.NewError(http.StatusNotFound, "there is no service %q on host %q", key.Service, key.Host)
}
