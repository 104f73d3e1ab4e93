package actions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"alf"
	"alf/internal/sanitize"
)

// PagerDuty is the spec of an action that opens, acknowledges and resolves incidents
// by the Events API v2.
type PagerDuty struct {
	RoutingKey alf.Secret `alf:"routing_key"`
	Region     string     `alf:"region"`
	URL        alf.Secret `alf:"url,plain"`
	Instance   string     `alf:"instance"`
	Warning    string     `alf:"severity_warning"`
	Critical   string     `alf:"severity_critical"`
	Unknown    string     `alf:"severity_unknown"`
	Downtime   bool       `alf:"resolve_in_downtime"`
	Flapping   bool       `alf:"resolve_while_flapping"`
	HTTP
}

// pagerRegions are the addresses of the API.
var pagerRegions = map[string]alf.Secret{
	"us": "https://events.pagerduty.com/v2/enqueue",
	"eu": "https://events.eu.pagerduty.com/v2/enqueue",
}

// What an event may be.
const (
	pagerTrigger     = "trigger"
	pagerAcknowledge = "acknowledge"
	pagerResolve     = "resolve"
)

// The limits of the API.
const (
	pagerKeyLength   = 32
	pagerMostSummary = 1024    // characters
	pagerMostEvent   = 512_000 // bytes; the API says 512 KB
	pagerMostName    = 100     // of instance; less than what dedup_key has
)

var severities = []string{"critical", "error", "warning", "info"}

// Validate implements alf.ActionSpec.
func (p *PagerDuty) Validate() error {
	var errs []error
	wrong := func(key string, err error) { errs = append(errs, &alf.KeyError{Key: key, Err: err}) }
	errs = append(errs, p.HTTP.validate())
	if err := checkRoutingKey(p.RoutingKey); err != nil {
		wrong("routing_key", err)
	}
	if _, ok := pagerRegions[p.region()]; !ok {
		wrong("region", fmt.Errorf(`%q is neither "us" nor "eu"`, p.Region))
	}
	if p.URL != "" {
		if err := checkURL(p.URL); err != nil {
			wrong("url", err)
		}
		if p.Region != "" {
			wrong("url", errors.New("says where to, and region does, too: leave one out"))
		}
	}
	for key, severity := range map[string]string{"severity_warning": p.Warning, "severity_critical": p.Critical, "severity_unknown": p.Unknown} {
		if severity != "" && !slices.Contains(severities, severity) {
			wrong(key, fmt.Errorf("%q is none of %s", severity, strings.Join(severities, ", ")))
		}
	}
	if len(p.Instance) > pagerMostName {
		wrong("instance", fmt.Errorf("has more than %d bytes", pagerMostName))
	}
	return errors.Join(errs...)
}

// checkRoutingKey refuses what is no key of an integration, such as one of the REST
// API. Its error does not show it.
func checkRoutingKey(key alf.Secret) error {
	switch {
	case key == alf.Redacted:
		return nil // nobody has opened it
	case key == "":
		return errors.New("is missing")
	case len(key) != pagerKeyLength:
		return fmt.Errorf("has %d characters, and not the %d of the integration key of an integration of type Events API v2", len(key), pagerKeyLength)
	case strings.ContainsFunc(string(key), func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }):
		return errors.New("holds other characters than letters and digits")
	}
	return nil
}

func (p *PagerDuty) region() string {
	if p.Region == "" {
		return "us"
	}
	return p.Region
}

// New implements alf.ActionSpec.
func (p *PagerDuty) New(string) (alf.Action, error) {
	post, err := p.HTTP.poster(p.RoutingKey, p.URL)
	if err != nil {
		return nil, err
	}
	url := p.URL
	if url == "" {
		url = pagerRegions[p.region()]
	}
	return &pagerDuty{spec: p, url: url, poster: post}, nil
}

type pagerDuty struct {
	spec   *PagerDuty
	url    alf.Secret
	poster *poster
}

// pagerEvent is the body of a request.
type pagerEvent struct {
	RoutingKey string        `json:"routing_key"`
	Action     string        `json:"event_action"`
	DedupKey   string        `json:"dedup_key"`
	Client     string        `json:"client,omitempty"`
	Payload    *pagerPayload `json:"payload,omitempty"`
	Links      []pagerLink   `json:"links,omitempty"`
}

type pagerPayload struct {
	Summary   string        `json:"summary"`
	Source    string        `json:"source"`
	Severity  string        `json:"severity"`
	Timestamp string        `json:"timestamp"`
	Component string        `json:"component,omitempty"`
	Group     string        `json:"group,omitempty"`
	Details   *pagerDetails `json:"custom_details,omitempty"`
}

type pagerLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// pagerDetails are what an incident shows besides its summary.
type pagerDetails struct {
	State       string   `json:"state"`
	StateType   string   `json:"state_type"`
	Attempt     string   `json:"attempt"`
	Since       string   `json:"since,omitempty"`
	Output      string   `json:"output"`
	LongOutput  string   `json:"long_output,omitempty"`
	HostAlias   string   `json:"host_alias,omitempty"`
	HostAddress string   `json:"host_address,omitempty"`
	Hostgroups  []string `json:"hostgroups,omitempty"`
	Contacts    []string `json:"contacts,omitempty"`
	Number      int      `json:"notification_number"`
	Escalated   bool     `json:"escalated,omitempty"`
	NotesURL    string   `json:"notes_url,omitempty"`
}

// Do implements alf.Action. What is sent twice changes nothing: an event joins the
// incident that its key has open, and one that has none open is not resolved again.
func (p *pagerDuty) Do(ctx context.Context, m *alf.Message) error {
	n := m.Notification
	does := p.spec.does(n)
	if does == "" {
		if m.Answered != nil {
			m.Answered("nothing is sent: this changes no incident")
		}
		return nil
	}
	if err := p.send(ctx, m, n.Key, does); err != nil {
		return err
	}
	// What was opened under a former name is the same incident: it is acknowledged
	// and ended, too, and the one that is open under the new name takes its place.
	if does == pagerTrigger {
		does = pagerResolve
	}
	for _, key := range n.Former {
		if err := p.send(ctx, m, key, does); err != nil {
			return err
		}
	}
	return nil
}

// does returns what a notification does to an incident; "": nothing.
func (p *PagerDuty) does(n *alf.Notification) string {
	// Of a problem that people were told of, and that is still there, an incident
	// has to be open when it is no longer hidden: it may not be told again.
	back := pagerResolve
	if n.Status != alf.OK {
		back = ""
		if n.Number > 0 && n.StateType == alf.Hard {
			back = pagerTrigger
		}
	}
	switch {
	case n.Type == alf.TypeProblem:
		return pagerTrigger
	case n.Type == alf.TypeAcknowledgement:
		return pagerAcknowledge
	case n.Type == alf.TypeRecovery:
		return pagerResolve
	case n.Type == alf.TypeDowntimeStart && p.Downtime, n.Type == alf.TypeFlappingStart && p.Flapping:
		return pagerResolve
	case n.Type.OfDowntime() && p.Downtime, n.Type.OfFlapping() && p.Flapping:
		return back
	}
	return ""
}

func (p *pagerDuty) send(ctx context.Context, m *alf.Message, key alf.Key, does string) error {
	n := m.Notification
	e := &pagerEvent{RoutingKey: string(p.spec.RoutingKey), Action: does, DedupKey: p.spec.dedupKey(key)}
	if n.Test {
		e.DedupKey = "test-" + e.DedupKey // an incident that is really open stays as it is
	}
	if does == pagerTrigger {
		p.spec.describe(e, n)
	}
	body, err := e.marshal()
	if err != nil {
		return fmt.Errorf("write the body: %w (%w)", err, alf.ErrPermanent)
	}
	header := http.Header{}
	header.Set(contentType, "application/json")
	return p.poster.send(ctx, request{method: http.MethodPost, url: p.url, header: header, body: body, expected: []int{http.StatusAccepted}, answered: m.Answered})
}

// dedupKey returns the name of the incident of a host or service. There is nothing in
// it that Alf could forget: whatever became of its memory, it finds the one again
// that is open.
func (p *PagerDuty) dedupKey(key alf.Key) string {
	sum := sha256.Sum256([]byte(p.Instance + "\x00" + string(key.Host) + "\x00" + string(key.Service)))
	return "alf-" + hex.EncodeToString(sum[:])
}

// describe fills in what an incident is about.
func (p *PagerDuty) describe(e *pagerEvent, n *alf.Notification) {
	summary := headline(n)
	if n.Output != "" {
		summary += ": " + n.Output
	}
	e.Client = "Alf"
	e.Payload = &pagerPayload{
		Summary: cutLetters(sanitize.Log(summary), pagerMostSummary), Source: string(n.Key.Host), Severity: p.severity(n),
		Timestamp: n.Time.UTC().Format(time.RFC3339Nano), Component: string(n.Key.Service),
		Group: cutLetters(strings.Join(n.Hostgroups, ","), pagerMostSummary),
		Details: &pagerDetails{
			State: n.State(), StateType: n.StateType.String(), Attempt: fmt.Sprintf("%d/%d", n.Attempt, n.Attempts),
			Output: sanitize.JSON(n.Output), LongOutput: sanitize.JSON(n.LongOutput), HostAlias: n.HostAlias, HostAddress: n.HostAddress,
			Hostgroups: n.Hostgroups, Contacts: n.Contacts, Number: n.Number, Escalated: n.Escalated, NotesURL: n.NotesURL,
		},
	}
	if !n.Since.IsZero() {
		e.Payload.Details.Since = n.Since.UTC().Format(time.RFC3339)
	}
	if to := link(n.NotesURL); to != "" {
		e.Links = []pagerLink{{to, "Notes"}}
	}
}

// severity returns that of a status. A host that cannot be reached is as a service of
// which nothing is known: that it is down is another's problem.
func (p *PagerDuty) severity(n *alf.Notification) string {
	or := func(set, standard string) string {
		if set != "" {
			return set
		}
		return standard
	}
	host := n.Key.IsHost()
	switch {
	case host && n.Status == alf.Down, !host && n.Status == alf.Critical:
		return or(p.Critical, "critical")
	case !host && n.Status == alf.Warning:
		return or(p.Warning, "warning")
	}
	return or(p.Unknown, "error")
}

// errEvent is the error of an event that is too long.
var errEvent = fmt.Errorf("the event has more than the %d bytes that PagerDuty takes", pagerMostEvent)

// marshal returns the body. One that is too long loses what matters least, since it
// is better to know little of a problem than nothing.
func (e *pagerEvent) marshal() ([]byte, error) {
	for _, drop := range []func(){
		func() {},
		func() {
			e.Payload.Details.LongOutput, e.Payload.Details.Hostgroups, e.Payload.Details.Contacts = "", nil, nil
		},
		func() { e.Payload.Details, e.Links = nil, nil },
	} {
		drop()
		body, err := json.Marshal(e)
		if err != nil || len(body) <= pagerMostEvent {
			return body, err
		}
		if e.Payload == nil {
			break
		}
	}
	return nil, errEvent
}

// cutLetters returns the beginning of text: the most characters, the last of which
// says that it goes on.
func cutLetters(text string, most int) string {
	letters := 0
	last := 0 // where the last one begins that would have to go
	for i := range text {
		if letters == most-1 {
			last = i
		}
		if letters++; letters > most {
			return text[:last] + "\u2026"
		}
	}
	return text
}
