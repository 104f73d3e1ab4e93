// Package web shows what Alf knows as plain pages: what is wrong first, then
// all services. They need no script, and whatever a host has written is shown
// as text and nothing else.
package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"alf"
	"alf/api"
	"alf/internal/sanitize"
	"alf/state"
	"alf/state/view"
)

// Options are what the pages read from. View, Reader, Past, Inventory and Log
// must be set.
type Options struct {
	View      *view.View
	Reader    state.Reader
	Past      state.Log
	Inventory func() *alf.Inventory

	HostDownDisablesChecks bool // as the checker was told

	Hints   []Hint        // how to go on, at the foot of every page
	History int           // results that a page about one service lists; default 20
	Refresh time.Duration // after which a page loads itself again; 0: never
	Version string
	Log     *slog.Logger
}

// Hint tells a reader of the pages how to go on.
type Hint struct {
	Command string // to type, or a path; may be empty
	Text    string
}

// policy lets a page load its own style sheet and send its form, and no more.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed templates static/alf.css
var files embed.FS

// site serves the pages.
type site struct {
	o     Options
	query api.Query
	pages *template.Template
	css   []byte
	tag   string // of css
}

// New returns the handler of the pages: /, /hosts/{host}, /services/{host}/{service}
// and /static/. It does no I/O.
func New(o Options) http.Handler {
	if o.History <= 0 {
		o.History = 20
	}
	css, err := files.ReadFile("static/alf.css")
	if err != nil {
		panic(err) // it is embedded
	}
	s := &site{
		o:     o,
		query: api.Query{View: o.View, Inventory: o.Inventory, Past: o.Past, HostDownDisablesChecks: o.HostDownDisablesChecks},
		pages: template.Must(template.ParseFS(files, "templates/*.html")),
		css:   css,
		tag:   fmt.Sprintf("%x", sha256.Sum256(css))[:16],
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.serve(s.overview))
	mux.HandleFunc("GET /hosts/{host}", s.serve(s.object))
	mux.HandleFunc("GET /services/{host}/{service}", s.serve(s.object))
	mux.HandleFunc("GET /static/alf.css", s.style)
	mux.HandleFunc("GET /", s.serve(nothing))
	return mux
}

// page is what stands on a page inside its frame.
type page struct {
	template string
	title    string
	body     any
}

// frame is what templates see.
type frame struct {
	Title   string
	Version string
	Style   string // tag of the style sheet
	Refresh int    // seconds; 0: never
	Stop    string // link to the same page, to stay as it is
	Hints   []Hint
	Body    any
}

// mistake is an error that the reader of a page can do something about.
type mistake struct {
	status int
	text   string
}

func (m mistake) Error() string { return m.text }

func nothing(*http.Request) (page, error) {
	return page{}, mistake{http.StatusNotFound, "There is no such page."}
}

func (s *site) serve(read func(*http.Request) (page, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		p, err := read(r)
		refresh, badRefresh := s.refresh(r)
		if err = cmp.Or(err, badRefresh); err != nil {
			status, p = s.oops(r, err)
		}
		s.write(w, status, frame{
			Title:   p.title,
			Version: s.o.Version,
			Style:   s.tag,
			Refresh: int(refresh.Seconds()),
			Stop:    with(r.URL.Query(), "refresh", "0"),
			Hints:   s.o.Hints,
			Body:    p.body,
		}, p.template)
	}
}

// oops returns the page that stands where err left none.
func (s *site) oops(r *http.Request, err error) (int, page) {
	var m mistake
	if !errors.As(err, &m) {
		s.o.Log.Error("page failed", "path", r.URL.Path, "err", err)
		m = mistake{http.StatusInternalServerError, "Alf could not make this page; its log says why."}
	}
	return m.status, page{"oops.html", http.StatusText(m.status), sanitize.HTML(m.text)}
}

func (s *site) write(w http.ResponseWriter, status int, f frame, name string) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, f); err != nil {
		s.o.Log.Error("page failed", "template", name, "err", err)
		http.Error(w, "Alf could not make this page; its log says why.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	w.Write(b.Bytes()) // an error here means that the reader has left
}

// refresh returns after which time the page loads itself again. A reader may
// set or stop it.
func (s *site) refresh(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("refresh")
	if text == "" {
		return s.o.Refresh, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, mistake{http.StatusBadRequest, fmt.Sprintf("refresh %q is not a number of seconds.", text)}
	}
	return time.Duration(n) * time.Second, nil
}

func (s *site) style(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/css; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=31536000, immutable") // its URL changes when it does
	h.Set("Content-Length", strconv.Itoa(len(s.css)))
	w.Write(s.css)
}
