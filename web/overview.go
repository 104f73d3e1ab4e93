package web

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/internal/sanitize"
)

const (
	pageRows     = 100 // hosts and services on a page
	pageProblems = 50  // problems above them
)

// overview is the first page: the problems, then everything.
type overview struct {
	Counts   wire.Counts
	Text     string // of the filter
	Filtered bool   // not all is shown
	Problems []row  // that nobody takes care of
	Handled  []row  // that somebody does
	More     int    // problems that are not shown
	Groups   []group
	Total    int // hosts and services that the filter takes in
	Page     int // from 1
	Pages    int
	Previous string // link; "" on the first page
	Next     string // link; "" on the last page
	AllWrong string // link to the list of all problems
	Empty    bool   // nothing is configured
}

// group is a host and the services of it that are shown.
type group struct {
	Host     row
	Services []row
}

func (s *site) overview(r *http.Request) (page, error) {
	query := r.URL.Query()
	f, at, err := parse(query)
	if err != nil {
		return page{}, err
	}
	now := time.Now()
	found := s.query.Overview(f)
	body := overview{
		Counts:   found.Counts,
		Text:     sanitize.HTML(f.Text),
		Filtered: len(f.Values()) > 0,
		AllWrong: with(query, "problems", "true"),
		Empty:    found.Counts.Hosts.Total == 0,
	}
	if at == 1 {
		if err := s.problems(r, &body, found.Problems, now); err != nil {
			return page{}, err
		}
	}
	if err := s.everything(r, &body, found.Rows, at, now); err != nil {
		return page{}, err
	}
	if body.Page > 1 {
		body.Previous = with(query, "page", strconv.Itoa(body.Page-1))
	}
	if body.Page < body.Pages {
		body.Next = with(query, "page", strconv.Itoa(body.Page+1))
	}
	return page{"overview.html", title(body.Counts), body}, nil
}

// title counts what somebody should look at.
func title(c wire.Counts) string {
	what := "problem"
	if c.Handled > 0 {
		what = "unhandled problem"
	}
	if c.Unhandled != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", c.Unhandled, what)
}

// parse reads the filter of the API and the number of the page.
func parse(query url.Values) (f wire.Filter, at int, err error) {
	at = 1
	if text := query.Get("page"); text != "" {
		if at, err = strconv.Atoi(text); err != nil || at < 1 {
			return f, 0, mistake{http.StatusBadRequest, fmt.Sprintf("page %q is not a number from 1 on.", text)}
		}
	}
	rest := maps.Clone(query)
	delete(rest, "page")
	delete(rest, "refresh")
	f, err = wire.ParseFilter(rest, parameters, wire.AllStates)
	if err != nil {
		return f, 0, mistake{http.StatusBadRequest, err.Error()}
	}
	return f, at, nil
}

// parameters are those of the API's lists that the page takes, too.
var parameters = []string{"acknowledged", "check", "downtime", "flapping", "handled", "held", "host", "hostgroup", "problems", "q", "stale", "status"}

// with returns the link to the same page with another value of one parameter.
func with(query url.Values, name, value string) string {
	out := maps.Clone(query)
	out.Set(name, value)
	return "?" + out.Encode()
}

// problems shows the first of all, which has the unhandled ones first.
func (s *site) problems(r *http.Request, body *overview, all []api.Row, now time.Time) error {
	rows, err := s.rows(r.Context(), all[:min(len(all), pageProblems)], now)
	unhandled := 0
	for unhandled < len(rows) && !rows[unhandled].Handled {
		unhandled++
	}
	body.Problems, body.Handled = rows[:unhandled], rows[unhandled:]
	body.More = len(all) - len(rows)
	return err
}

func (s *site) everything(r *http.Request, body *overview, all []api.Row, at int, now time.Time) error {
	body.Total = len(all)
	body.Pages = max(1, (len(all)+pageRows-1)/pageRows)
	body.Page = min(at, body.Pages)
	from := (body.Page - 1) * pageRows
	part := all[from:min(from+pageRows, len(all))]
	rows, err := s.rows(r.Context(), part, now)
	for i, row := range rows {
		switch {
		case row.IsHost:
			body.Groups = append(body.Groups, group{Host: row})
			continue
		case len(body.Groups) == 0 || body.Groups[len(body.Groups)-1].Host.Host != row.Host:
			body.Groups = append(body.Groups, group{Host: s.above(part[i], now)})
		}
		last := &body.Groups[len(body.Groups)-1]
		last.Services = append(last.Services, row)
	}
	return err
}

// above returns the row of the host of a service whose host is not shown for
// its own sake.
func (s *site) above(r api.Row, now time.Time) row {
	host, found := s.query.Row(alf.Key{Host: r.Key().Host})
	if !found { // it has just left the configuration
		return row{IsHost: true, Host: sanitize.HTML(string(r.Key().Host))}
	}
	return s.row(host, now)
}
