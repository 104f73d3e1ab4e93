package wire

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"alf"
)

// LogParameters are the parameters of the query of events.
var LogParameters = []string{"after", "audit", "before", "host", "hostgroup", "kind", "limit", "order", "service", "since", "until"}

// LogFilter says which entries of the log are asked for: those that every field
// takes in. The zero LogFilter takes in all.
type LogFilter struct {
	Host, Service string // a service without a host: on every host
	Hostgroup     string
	Kinds         []alf.Kind
	Audit         bool      // only what people ordered and what Alf itself did
	Since, Until  time.Time // from then on, and before then
	Before, After alf.ID    // 0: no bound
	OldestFirst   bool
	Limit         int // entries at most; 0: as many as Alf sees fit
}

// ParseLogFilter reads a query, at that time. Its error names all that cannot
// be read.
func ParseLogFilter(query url.Values, now time.Time) (LogFilter, error) {
	p := filterParser{query: query}
	p.known(LogParameters)
	f := LogFilter{
		Host:        p.one("host"),
		Service:     p.one("service"),
		Hostgroup:   p.one("hostgroup"),
		Kinds:       p.kinds(),
		Audit:       p.flag("audit"),
		Since:       p.moment("since", now),
		Until:       p.moment("until", now),
		Before:      alf.ID(p.number("before")),
		After:       alf.ID(p.number("after")),
		OldestFirst: p.order(),
		Limit:       p.number("limit"),
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since) {
		p.fail("until is before since")
	}
	return f, errors.Join(p.errs...)
}

// Values returns the query that ParseLogFilter reads as f.
func (f LogFilter) Values() url.Values {
	v := url.Values{}
	set := func(name, value string, is bool) {
		if is {
			v.Set(name, value)
		}
	}
	var kinds []string
	for _, k := range f.Kinds {
		kinds = append(kinds, k.String())
	}
	set("host", f.Host, f.Host != "")
	set("service", f.Service, f.Service != "")
	set("hostgroup", f.Hostgroup, f.Hostgroup != "")
	set("kind", strings.Join(kinds, ","), len(kinds) > 0)
	set("audit", "true", f.Audit)
	set("since", f.Since.UTC().Format(time.RFC3339Nano), !f.Since.IsZero())
	set("until", f.Until.UTC().Format(time.RFC3339Nano), !f.Until.IsZero())
	set("before", strconv.FormatUint(uint64(f.Before), 10), f.Before > 0)
	set("after", strconv.FormatUint(uint64(f.After), 10), f.After > 0)
	set("order", "oldest", f.OldestFirst)
	set("limit", strconv.Itoa(f.Limit), f.Limit > 0)
	return v
}

// Takes reports whether f takes in e, as far as it is not about time.
func (f LogFilter) Takes(e *alf.Event) bool {
	switch {
	case f.Host != "" && string(e.Key.Host) != f.Host:
	case f.Service != "" && string(e.Key.Service) != f.Service:
	case len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind):
	case f.Audit && e.Kind == alf.KindResult && e.Author == "":
	case f.Audit && e.Kind == alf.KindTick:
	case f.Before > 0 && e.ID >= f.Before:
	case e.ID <= f.After:
	default:
		return true
	}
	return false
}

func (p *filterParser) kinds() []alf.Kind {
	var out []alf.Kind
	for _, list := range p.query["kind"] {
		for word := range strings.SplitSeq(list, ",") {
			kind, ok := alf.ParseKind(strings.ToLower(strings.TrimSpace(word)))
			if !ok {
				p.fail("kind %q is none of result, command, tick, removed, daemon", word)
				continue
			}
			out = append(out, kind)
		}
	}
	return out
}

func (p *filterParser) moment(name string, now time.Time) time.Time {
	text := p.one(name)
	if text == "" {
		return time.Time{}
	}
	t, err := ParseTime(text, now)
	if err != nil {
		p.fail("%s: %w", name, err)
	}
	return t
}

func (p *filterParser) order() bool {
	switch text := p.one("order"); text {
	case "oldest":
		return true
	case "", "newest":
	default:
		p.fail("order %q is neither newest nor oldest", text)
	}
	return false
}
