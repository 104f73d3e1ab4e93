// Package api answers over HTTP what Alf knows, as JSON and as XML, and takes
// orders there.
//
// It has two faces. Public is for a port on loopback and only reads. Private is
// for the Unix socket, where the kernel says who is calling: what writes or runs
// is served there and nowhere else.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
	"alf/state/view"
)

// Options are what an API reads from and hands orders to. View, Reader, Past,
// Inventory, Submit, Reload and Log must be set.
type Options struct {
	View      *view.View
	Reader    state.Reader
	Past      state.Log
	Inventory func() *alf.Inventory

	// Submit hands a command to the checker and returns the ID of the event
	// that it led to, or 0 if that is still to come. If ctx ends while the
	// command is under way, it is carried out all the same, and the error is
	// ctx's.
	Submit func(context.Context, alf.Command) (alf.ID, error)
	// Reload reads the configuration again. Its error is shown to the caller.
	Reload func(context.Context, ReloadOrder) error
	// Diff says what Reload would change, and changes nothing. Its error is shown to
	// the caller, too. Nil: nobody can ask.
	Diff func(context.Context) (*wire.ConfigDiff, error)
	// Ready says why Alf is not ready; nil: it is. A nil Ready: always.
	Ready func() error

	Metrics http.Handler // serves /metrics; nil: nobody does
	Pages   http.Handler // serves all other paths; nil: nobody does
	Levels  Levels       // of the logs; nil: they cannot be changed
	Journal Journal      // nil: nobody can ask for it
	Sources Sources      // of hosts; nil: nobody can ask for them
	Ledger  Ledger       // nil: nobody is ever told of anything

	// Try sends a test by an action; nil: nobody can. Its error says why nothing was sent.
	Try func(context.Context, Trial) (*wire.Tried, error)
	// Runner runs what a person wants to have run on hosts once; nil: nobody can have anything
	// run. Remark, which must be set with either, writes a line of the author's into the log.
	Runner alf.Runner
	Remark func(ctx context.Context, author, text string) (alf.ID, error)
	// Paused says why nothing tries to connect to a host now, with an *alf.RunError, or nil. A
	// nil Paused: nobody can ask.
	Paused func(*alf.Host) error
	Links  func() wire.Links // the connections to hosts; nil: nobody can ask for them

	HostDownDisablesChecks bool // as the checker was told

	AllowedHosts []string // names, besides those of loopback, by which Public may be called
	History      int      // results in an answer unless it is asked for more or fewer; default 20
	Version      string
	Started      time.Time
	Log          *slog.Logger
}

// ReloadOrder says who wants the configuration to be read again, and how.
type ReloadOrder struct {
	Author string
	Force  bool // however much disappears
}

// Levels are the log levels of the rooms. Calls may overlap.
type Levels interface {
	Levels() map[string]slog.Level
	SetLevel(room, level string) error
}

// API serves the API. Its handlers may be used at the same time.
type API struct {
	o     Options
	query Query
	tags  tagger
	runs  *runs
}

// New returns an API. It does no I/O.
func New(o Options) *API {
	if o.History <= 0 {
		o.History = 20
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	query := Query{View: o.View, Inventory: o.Inventory, Past: o.Past, HostDownDisablesChecks: o.HostDownDisablesChecks}
	return &API{o: o, query: query, tags: tagger{started: o.Started}, runs: newRuns()}
}

// Public returns the handler for TCP on loopback. It refuses whatever writes,
// requests for names that are not its own, which is how DNS rebinding shows,
// and those that another site's page makes.
func (a *API) Public() http.Handler {
	return secure(sameHost(a.o.AllowedHosts, sameOrigin(a.routes(readOnly))))
}

// Private returns the handler for the Unix socket. It refuses requests without
// peer credentials, which ConnContext provides.
func (a *API) Private() http.Handler {
	return secure(knownPeer(a.routes(readWrite)))
}

// Server returns an http.Server for one of the handlers, with all its limits
// set. The caller serves and closes it.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ConnContext:       ConnContext,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
