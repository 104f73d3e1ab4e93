package api

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"alf/api/wire"
)

// handler answers a request or says why not. An error that is no *wire.Error is
// a fault of Alf's own.
type handler func(w http.ResponseWriter, r *http.Request) error

// methods are the handlers of one path by method. That of GET takes HEAD, too.
type methods map[string]handler

// access says whether a face of the API may write.
type access int

const (
	readOnly access = iota
	readWrite
)

// table is all that the API serves, by path.
func (a *API) table() map[string]methods {
	const (
		v1      = "/api/v1/"
		host    = v1 + "hosts/{host}"
		service = v1 + "services/{host}/{service}"
	)
	t := map[string]methods{
		"/ping":      {"GET": a.ping},
		"/-/healthy": {"GET": a.healthy},
		"/-/ready":   {"GET": a.ready},
		"/-/reload":  {"POST": a.reload},

		v1 + "status":   {"GET": a.status},
		v1 + "hosts":    {"GET": a.hosts},
		v1 + "services": {"GET": a.services},
		v1 + "problems": {"GET": a.problems},
		v1 + "events":   {"GET": a.events},
		v1 + "orders":   {"POST": a.orders},

		v1 + "downtimes": {"GET": a.downtimes},
		v1 + "comments":  {"GET": a.comments},

		v1 + "availability":             {"GET": a.availability},
		v1 + "explain/{host}":           {"GET": a.explain},
		v1 + "explain/{host}/{service}": {"GET": a.explain},

		host:                 {"GET": a.object},
		host + "/recheck":    {"POST": a.recheck},
		host + "/result":     {"POST": a.submit},
		service:              {"GET": a.object},
		service + "/results": {"GET": a.results},
		service + "/recheck": {"POST": a.recheck},
		service + "/result":  {"POST": a.submit},
	}
	for _, order := range []string{wire.OrderAcknowledge, wire.OrderUnacknowledge, wire.OrderDowntime, wire.OrderComment,
		wire.OrderCancel, wire.OrderDisable, wire.OrderEnable} {
		t[host+"/"+order] = methods{"POST": a.orderOf(order)}
		t[service+"/"+order] = methods{"POST": a.orderOf(order)}
	}
	if a.o.Levels != nil {
		t["/-/log-levels"] = methods{"GET": a.levels, "PUT": a.setLevel}
	}
	if a.o.Diff != nil {
		t[v1+"config/diff"] = methods{"GET": onSocket(a.configDiff)}
	}
	if a.o.Ledger != nil {
		t[v1+"notifications"] = methods{"GET": a.notifications}
	}
	if a.o.Try != nil {
		t[v1+"actions/{action}/test"] = methods{"POST": a.tryAction}
	}
	if a.o.Journal != nil {
		t[v1+"journal"] = methods{"GET": onSocket(a.journalInfo)}
		t[v1+"journal/export"] = methods{"GET": onSocket(a.journalExport)}
	}
	if a.o.Sources != nil {
		t[v1+"sources"] = methods{"GET": onSocket(a.sources)}
		t[v1+"sources/refresh"] = methods{"POST": a.refreshSources}
	}
	if a.o.Paused != nil {
		t[host+"/link"] = methods{"GET": a.link}
	}
	if a.o.Runner != nil {
		t[v1+"run"] = methods{"POST": a.run}
		t[v1+"run/{id}"] = methods{"DELETE": a.cancelRun}
	}
	if a.o.Links != nil {
		t[v1+"links"] = methods{"GET": onSocket(a.links)}
	}
	if a.o.Metrics != nil {
		t["/metrics"] = methods{"GET": foreign(a.o.Metrics)}
	}
	return t
}

func (a *API) routes(may access) http.Handler {
	mux := http.NewServeMux()
	for path, m := range a.table() {
		mux.Handle(path, a.serve(m, may))
	}
	mux.HandleFunc("/api/", nothing)
	if a.o.Pages == nil {
		mux.HandleFunc("/", nothing)
	} else {
		mux.Handle("/", a.serve(methods{"GET": foreign(a.o.Pages)}, may))
	}
	return mux
}

func nothing(w http.ResponseWriter, r *http.Request) {
	refuse(w, r, wire.NewError(http.StatusNotFound, "nothing is served at %q", r.URL.Path))
}

// foreign makes h, which answers its errors itself, a handler.
func foreign(h http.Handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

// serve calls the handler for the request's method and answers its error.
func (a *API) serve(m methods, may access) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, err := m.find(r.Method, may)
		if err == nil {
			err = h(w, r)
		}
		if err == nil {
			return
		}
		var answer *wire.Error
		if !errors.As(err, &answer) {
			a.o.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
			answer = wire.NewError(http.StatusInternalServerError, "Alf could not answer; its log says why")
		}
		if answer.Status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", m.allow())
		}
		refuse(w, r, answer)
	})
}

func (m methods) find(method string, may access) (handler, error) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	h := m[method]
	switch {
	case h == nil:
		return nil, wire.NewError(http.StatusMethodNotAllowed, "%s is not served here, only %s", method, m.allow())
	case method != http.MethodGet && may == readOnly:
		return nil, wire.NewError(http.StatusForbidden,
			"what writes or runs is served on the Unix socket only: use the alf command, or curl --unix-socket")
	}
	return h, nil
}

// allow returns the methods as the header of that name lists them.
func (m methods) allow() string {
	names := slices.Sorted(maps.Keys(m))
	if m[http.MethodGet] != nil {
		names = append(names, http.MethodHead)
	}
	return strings.Join(names, ", ")
}
