package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/internal/sanitize"
	"alf/perfdata"
	"alf/state"
)

// object is the page about one host or service.
type object struct {
	row
	handling
	Name    string // host, or service on host
	API     string // path of the same in the API
	Attempt string

	LastCheck, NextCheck, LastHard moment
	Held                           string // why no check is planned; "" if nothing keeps it from being run

	Check      string
	NotesURL   string // http or https
	Plugin     *plugin
	Results    []result
	Changes    []change
	Services   []row // of a host
	TryCommand string
}

// plugin is what the last run of the plugin came to.
type plugin struct {
	Command, Output, Long, Stderr string
	Ended                         string // how
	Source                        string
	Cut                           int
	Latency, Duration             string
	Perfdata                      []datum
	PerfdataErrors                []string
}

type datum struct {
	Label, Value, UOM, Warn, Crit, Min, Max string
}

type result struct {
	Time    moment
	State   badge
	Attempt string
	Output  string
	Took    string
}

// change is an entry of the log.
type change struct {
	Time    moment
	State   badge
	Attempt string
	What    string
}

// shownChanges is how many of them a page shows.
const shownChanges = 20

func (s *site) object(r *http.Request) (page, error) {
	key := alf.Key{Host: alf.HostName(r.PathValue("host")), Service: alf.ServiceName(r.PathValue("service"))}
	found, ok := s.query.Row(key)
	if !ok {
		return page{}, mistake{http.StatusNotFound, fmt.Sprintf("There is no %q.", key)}
	}
	now := time.Now()
	body := s.describe(found, now)
	events, err := s.o.Reader.Last(r.Context(), key, s.o.History)
	if err != nil {
		return page{}, err
	}
	body.Runs = newRuns(events[:min(len(events), shownRuns)])
	for _, e := range events {
		body.Results = append(body.Results, newResult(e, now))
	}
	if body.Changes, err = s.changes(r, key, now); err != nil {
		return page{}, err
	}
	if key.IsHost() {
		services := s.query.Services(wire.Filter{Hosts: []string{string(key.Host)}})
		if body.Services, err = s.rows(r.Context(), services, now); err != nil {
			return page{}, err
		}
	}
	return page{"object.html", body.State.Word + " " + body.Name, body}, nil
}

// changes returns the last entries of the log about key, newest first.
func (s *site) changes(r *http.Request, key alf.Key, now time.Time) ([]change, error) {
	events, err := s.query.Newest(r.Context(), api.Span{Scope: state.Scope{Key: key}, Limit: shownChanges})
	var out []change
	for _, e := range events {
		word, class := outcome(e)
		c := change{Time: newMoment(e.Time, now), State: badge{word, class}, What: sanitize.HTML(what(e))}
		if !e.State.Pending() {
			c.Attempt = attempt(e.State)
		}
		out = append(out, c)
	}
	return out, err
}

// what says what an entry of the log is about.
func what(e *alf.Event) string {
	text := e.Text
	switch {
	case e.Kind == alf.KindRemoved:
		return "left the configuration"
	case e.Judged():
		text = wire.Brief(e.State.Output)
	case e.Kind == alf.KindResult, e.Change.Has(alf.ChangeStale):
		text = wire.Brief(e.State.Stale.Output)
	}
	if e.Author != "" {
		text += " (" + e.Author + ")"
	}
	return text
}

func (s *site) describe(r api.Row, now time.Time) object {
	key, st := r.Key(), r.State()
	o := object{
		row:        s.row(r, now),
		handling:   newHandling(st, now),
		Name:       sanitize.HTML(name(key)),
		API:        "/api/v1/" + wire.Path(key),
		Attempt:    attempt(st),
		LastCheck:  newMoment(st.LastCheck, now),
		LastHard:   newMoment(st.LastHardChange, now),
		Check:      sanitize.HTML(r.Service.Check),
		NotesURL:   webLink(notes(r.Service)),
		TryCommand: sanitize.HTML(tryCommand(key)),
	}
	if held := r.Held(); held != nil {
		o.Held = sanitize.HTML(string(held.Why))
	}
	if r.Head != nil {
		o.NextCheck = newMoment(r.Head.NextCheck, now)
		o.Plugin = newPlugin(r.Head.Result)
	}
	return o
}

func name(key alf.Key) string {
	if key.IsHost() {
		return string(key.Host)
	}
	return string(key.Service) + " on " + string(key.Host)
}

func notes(s *alf.Service) string {
	if s.Key.IsHost() {
		return s.Host.NotesURL
	}
	return s.NotesURL
}

// webLink returns text if it is a link that may be shown as one.
func webLink(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return text
}

// tryCommand is what to type to see what key says now.
func tryCommand(key alf.Key) string {
	if key.IsHost() {
		return "alf status " + shellWord(string(key.Host))
	}
	return "alf check " + shellWord(string(key.Host)) + " " + shellWord(string(key.Service))
}

// shellWord quotes s for a shell if it needs to be.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return alf.Unquoted.Apply(s)
}

func newPlugin(r *alf.Result) *plugin {
	if r == nil {
		return nil
	}
	p := &plugin{
		Command:  sanitize.HTML(r.Command),
		Output:   sanitize.HTML(r.Output),
		Long:     sanitize.HTML(r.LongOutput),
		Stderr:   sanitize.HTML(r.Stderr),
		Ended:    ended(r),
		Source:   r.Source.String(),
		Cut:      r.Cut,
		Latency:  seconds(r.Latency()),
		Duration: seconds(r.Duration()),
	}
	for _, d := range r.Perfdata {
		p.Perfdata = append(p.Perfdata, newDatum(d))
	}
	for _, text := range r.PerfdataErrors {
		p.PerfdataErrors = append(p.PerfdataErrors, sanitize.HTML(text))
	}
	return p
}

// ended says how the plugin ended, or why it did not.
func ended(r *alf.Result) string {
	switch {
	case !r.Cause.Judges():
		return "no answer: " + r.Cause.String()
	case r.Signal != "":
		return "killed by SIG" + sanitize.HTML(r.Signal)
	case r.ReturnCode < 0:
		return r.Cause.String()
	}
	return fmt.Sprintf("return code %d", r.ReturnCode)
}

func newDatum(d perfdata.Datum) datum {
	value := d.Value.String()
	if !d.Value.Set {
		value = "unknown"
	}
	return datum{
		Label: sanitize.HTML(d.Label),
		Value: value,
		UOM:   sanitize.HTML(d.UOM),
		Warn:  d.Warn.String(),
		Crit:  d.Crit.String(),
		Min:   d.Min.String(),
		Max:   d.Max.String(),
	}
}

func newResult(e *alf.Event, now time.Time) result {
	word, class := outcome(e)
	out := result{Time: newMoment(e.Time, now), State: badge{word, class}, Attempt: attempt(e.State)}
	if e.Result != nil {
		out.Output = sanitize.HTML(wire.Brief(e.Result.Output))
		out.Took = seconds(e.Result.Duration())
	}
	return out
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }
