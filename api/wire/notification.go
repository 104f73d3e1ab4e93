package wire

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"alf"
)

// Notices are notifications, the newest first.
type Notices struct {
	XMLName xml.Name `json:"-" xml:"notifications"`
	Page
	Notices []Notice `json:"notifications" xml:"notification"`
}

// Notice is something that people were told of a host or service, or were not.
type Notice struct {
	XMLName    xml.Name         `json:"-" xml:"notification"`
	ID         string           `json:"id" xml:"id"`
	Time       time.Time        `json:"time" xml:"time"`
	Host       string           `json:"host" xml:"host"`
	Service    string           `json:"service" xml:"service"`
	Type       string           `json:"type" xml:"type"`
	Number     int              `json:"number" xml:"number"` // of a problem's notifications
	State      string           `json:"state" xml:"state"`
	StateType  string           `json:"state_type" xml:"state_type"`
	Output     Text             `json:"output" xml:"output"`
	Escalated  bool             `json:"escalated" xml:"escalated"`
	Held       *Holding         `json:"held" xml:"held"` // why nobody was told; null: somebody was
	Deliveries []NoticeDelivery `json:"deliveries" xml:"deliveries>delivery"`
}

// Holding is what kept people from being told.
type Holding struct {
	Rule       string     `json:"rule" xml:"rule"`
	Why        string     `json:"why" xml:"why"`
	Until      *time.Time `json:"until" xml:"until"`           // null: nobody knew
	Dependency string     `json:"dependency" xml:"dependency"` // that withheld it; empty: none
}

// NoticeDelivery is what became of a notification by one action.
type NoticeDelivery struct {
	Action   string     `json:"action" xml:"action"`
	Contacts []string   `json:"contacts" xml:"contacts>contact"` // none: the action itself is named
	Result   string     `json:"result" xml:"result"`             // waiting, delivered, retrying, failed or superseded
	Attempts int        `json:"attempts" xml:"attempts"`
	Error    Text       `json:"error" xml:"error"` // of the last attempt
	Time     *time.Time `json:"time" xml:"time"`   // of it
	Next     *time.Time `json:"next" xml:"next"`   // when it is tried again
}

// resultHeld is the word for what nobody was told.
const resultHeld = "held"

// NoticeResults are the words that may be asked for.
var NoticeResults = []string{"waiting", "delivered", "retrying", "failed", "superseded", resultHeld}

// Key returns whom n is about.
func (n *Notice) Key() alf.Key {
	return alf.Key{Host: alf.HostName(n.Host), Service: alf.ServiceName(n.Service)}
}

// NoticeParameters are the parameters of the query of notifications.
var NoticeParameters = []string{"host", "limit", "result", "service"}

// NoticeFilter says which notifications are asked for. The zero NoticeFilter takes in
// all.
type NoticeFilter struct {
	Host, Service string   // a host without a service: with all its services
	Results       []string // of NoticeResults, of any delivery; none: all
	Limit         int      // 0: as many as Alf sees fit
}

// ParseNoticeFilter reads a query. Its error names all that cannot be read.
func ParseNoticeFilter(query url.Values) (NoticeFilter, error) {
	p := filterParser{query: query}
	p.known(NoticeParameters)
	f := NoticeFilter{Host: p.one("host"), Service: p.one("service"), Limit: p.number("limit")}
	for _, list := range query["result"] {
		for word := range strings.SplitSeq(list, ",") {
			if !slices.Contains(NoticeResults, word) {
				p.fail("result %q is none of %s", word, strings.Join(NoticeResults, ", "))
			}
			f.Results = append(f.Results, word)
		}
	}
	if f.Service != "" && f.Host == "" {
		p.fail("a service without its host")
	}
	return f, errors.Join(p.errs...)
}

// Values returns the query that ParseNoticeFilter reads as f.
func (f NoticeFilter) Values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"host": f.Host, "service": f.Service, "result": strings.Join(f.Results, ",")} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if f.Limit > 0 {
		v.Set("limit", strconv.Itoa(f.Limit))
	}
	return v
}

// About reports whether f takes in what is about key.
func (f NoticeFilter) About(key alf.Key) bool {
	return (f.Host == "" || f.Host == string(key.Host)) && (f.Service == "" || f.Service == string(key.Service))
}

// Takes reports whether f takes in n, as far as results go.
func (f NoticeFilter) Takes(n *Notice) bool {
	if len(f.Results) == 0 || n.Held != nil && slices.Contains(f.Results, resultHeld) {
		return true
	}
	return slices.ContainsFunc(n.Deliveries, func(d NoticeDelivery) bool { return slices.Contains(f.Results, d.Result) })
}

// Telling says of a contact, or of the actions that the host or service names itself,
// what it was told, and whether and when it will be.
type Telling struct {
	Contact string     `json:"contact" xml:"contact"` // empty: none
	Actions []string   `json:"actions" xml:"actions>action"`
	Last    *LastTold  `json:"last" xml:"last"` // what it was told last; null: nothing that is kept
	Type    string     `json:"type" xml:"type"` // what it would be told now
	Number  int        `json:"number" xml:"number"`
	Next    *time.Time `json:"next" xml:"next"` // when it will be told that, if nothing changes; null: nobody knows, or never
	Rule    string     `json:"rule" xml:"rule"` // what holds it back now
	Why     string     `json:"why" xml:"why"`
}

// LastTold is what somebody was told last.
type LastTold struct {
	Time    time.Time `json:"time" xml:"time"`
	Type    string    `json:"type" xml:"type"`
	Number  int       `json:"number" xml:"number"`
	Results []string  `json:"results" xml:"results>result"` // what became of it, by the actions that told it
}

// Name names whom t is about.
func (t *Telling) Name() string {
	if t.Contact == "" {
		return "action " + strings.Join(t.Actions, ", ")
	}
	return fmt.Sprintf("%s (%s)", t.Contact, strings.Join(t.Actions, ", "))
}

// telling says what t says in sentences.
func (s *story) telling(t *Telling) {
	if l := t.Last; l != nil {
		number := ""
		if l.Number > 0 {
			number = fmt.Sprintf(" %d", l.Number)
		}
		s.say("%s was told %s%s at %s: %s.", t.Name(), l.Type, number, s.time(l.Time), strings.Join(l.Results, ", "))
	}
	rule := ""
	if t.Rule != "" {
		rule = " (" + t.Rule + ")"
	}
	switch {
	case t.Why == "" && t.Next != nil:
		s.say("%s is told %s %d now.", t.Name(), t.Type, t.Number)
	case t.Next != nil:
		s.say("%s is told %s %d at %s, if nothing changes: %s%s.", t.Name(), t.Type, t.Number, s.time(*t.Next), t.Why, rule)
	default:
		s.say("%s is not told anything now: %s%s.", t.Name(), t.Why, rule)
	}
}
