package wire

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The names of the states, as a Filter takes them.
var (
	HostStates    = []string{"UP", "DOWN", "UNREACHABLE", Pending}
	ServiceStates = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN", Pending}
	AllStates     = []string{"UP", "DOWN", "UNREACHABLE", "OK", "WARNING", "CRITICAL", "UNKNOWN", Pending}
)

// The parameters of the lists' queries.
var (
	HostParameters = []string{"acknowledged", "downtime", "flapping", "handled", "held", "hostgroup", "limit", "offset",
		"problems", "q", "stale", "status"}
	ServiceParameters = []string{"acknowledged", "check", "downtime", "flapping", "handled", "held", "host", "hostgroup", "limit", "offset",
		"problems", "q", "stale", "status"}
	ProblemParameters = []string{"acknowledged", "check", "downtime", "flapping", "handled", "held", "host", "hostgroup", "limit", "offset",
		"q", "soft", "stale", "status"}
	DowntimeParameters = []string{"host", "hostgroup", "limit", "offset", "service", "state"}
	CommentParameters  = []string{"host", "hostgroup", "limit", "offset", "service"}
)

// Filter says which hosts or services are asked for: those that every field
// takes in. The zero Filter takes in all.
type Filter struct {
	Hosts      []string // any of these
	Hostgroups []string // in any of these
	Services   []string // any of these
	Checks     []string // from any of these
	States     []string // in any of these: CRITICAL, DOWN, PENDING ...
	Problems   bool     // only problems
	Soft       bool     // count problems as such that are still being retried
	Stale      bool     // only what is stale
	Text       string   // stands in the name or the output, in any case
	Offset     int      // members to leave out
	Limit      int      // members at most; 0: all

	// What must be so, or must not be; nil: either.
	Acknowledged *bool
	Downtime     *bool // in downtime, or on a host that is
	Flapping     *bool
	Handled      *bool
	Held         *bool // kept from being run by itself

	Phase string // of downtimes: Planned or Active; empty: either
}

// The phases of a downtime.
const (
	Planned = "planned"
	Active  = "active"
)

// ParseFilter reads a query, in which only parameters and states may stand.
// Its error names all that cannot be read.
func ParseFilter(query url.Values, parameters, states []string) (Filter, error) {
	p := filterParser{query: query}
	p.known(parameters)
	f := Filter{
		Hosts:        query["host"],
		Hostgroups:   query["hostgroup"],
		Services:     query["service"],
		Checks:       query["check"],
		States:       p.states(states),
		Problems:     p.flag("problems"),
		Soft:         p.flag("soft"),
		Stale:        p.flag("stale"),
		Text:         p.one("q"),
		Offset:       p.number("offset"),
		Limit:        p.number("limit"),
		Acknowledged: p.either("acknowledged"),
		Downtime:     p.either("downtime"),
		Flapping:     p.either("flapping"),
		Handled:      p.either("handled"),
		Held:         p.either("held"),
		Phase:        p.phase(),
	}
	return f, errors.Join(p.errs...)
}

// Values returns the query that ParseFilter reads as f.
func (f Filter) Values() url.Values {
	v := url.Values{}
	list := func(name string, values []string) {
		if len(values) > 0 {
			v[name] = slices.Clone(values)
		}
	}
	set := func(name, value string, is bool) {
		if is {
			v.Set(name, value)
		}
	}
	either := func(name string, value *bool) {
		if value != nil {
			v.Set(name, strconv.FormatBool(*value))
		}
	}
	list("host", f.Hosts)
	list("hostgroup", f.Hostgroups)
	list("service", f.Services)
	list("check", f.Checks)
	set("status", strings.ToLower(strings.Join(f.States, ",")), len(f.States) > 0)
	set("problems", "true", f.Problems)
	set("soft", "true", f.Soft)
	set("stale", "true", f.Stale)
	either("acknowledged", f.Acknowledged)
	either("downtime", f.Downtime)
	either("flapping", f.Flapping)
	either("handled", f.Handled)
	either("held", f.Held)
	set("state", f.Phase, f.Phase != "")
	set("q", f.Text, f.Text != "")
	set("offset", strconv.Itoa(f.Offset), f.Offset > 0)
	set("limit", strconv.Itoa(f.Limit), f.Limit > 0)
	return v
}

// filterParser gathers what is wrong with a query.
type filterParser struct {
	query url.Values
	errs  []error
}

func (p *filterParser) fail(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *filterParser) known(parameters []string) {
	for name := range p.query {
		if !slices.Contains(parameters, name) {
			p.fail("parameter %q is none of %s", name, strings.Join(parameters, ", "))
		}
	}
}

func (p *filterParser) one(name string) string {
	values := p.query[name]
	if len(values) > 1 {
		p.fail("parameter %s stands %d times", name, len(values))
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (p *filterParser) states(allowed []string) []string {
	var out []string
	for _, list := range p.query["status"] {
		for word := range strings.SplitSeq(list, ",") {
			word = strings.ToUpper(strings.TrimSpace(word))
			switch {
			case word == "":
			case slices.Contains(allowed, word):
				out = append(out, word)
			default:
				p.fail("status %q is none of %s", word, strings.ToLower(strings.Join(allowed, ", ")))
			}
		}
	}
	return out
}

func (p *filterParser) flag(name string) bool {
	is := p.either(name)
	return is != nil && *is
}

// either returns nil for what is not said.
func (p *filterParser) either(name string) *bool {
	switch text := p.one(name); text {
	case "true", "1":
		return new(true)
	case "false", "0":
		return new(false)
	case "":
	default:
		p.fail("%s %q is neither true nor false", name, text)
	}
	return nil
}

func (p *filterParser) phase() string {
	text := p.one("state")
	if text != "" && text != Planned && text != Active {
		p.fail("state %q is neither %s nor %s", text, Planned, Active)
	}
	return text
}

func (p *filterParser) number(name string) int {
	text := p.one(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		p.fail("%s %q is not a number from 0 on", name, text)
	}
	return int(n)
}
