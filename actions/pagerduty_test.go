package actions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"alf"
)

const pagerKey = "0123456789abcdefABCDEF0123456789"

// fakePager is PagerDuty as far as the Events API v2 goes, and refuses what that
// refuses.
type fakePager struct {
	mu        sync.Mutex
	incidents []*fakeIncident // in the order in which they were opened
	last      pagerEventTaken
	taken     int
}

type fakeIncident struct {
	key, summary, severity string
	triggers               int
	acknowledged, resolved bool
}

// pagerEventTaken is what PagerDuty's documents say that an event may have.
type pagerEventTaken struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Client      string `json:"client"`
	ClientURL   string `json:"client_url"`
	Payload     *struct {
		Summary       string         `json:"summary"`
		Source        string         `json:"source"`
		Severity      string         `json:"severity"`
		Timestamp     string         `json:"timestamp"`
		Component     string         `json:"component"`
		Group         string         `json:"group"`
		Class         string         `json:"class"`
		CustomDetails map[string]any `json:"custom_details"`
	} `json:"payload"`
	Links []struct {
		Href string `json:"href"`
		Text string `json:"text"`
	} `json:"links"`
	Images []struct {
		Src  string `json:"src"`
		Href string `json:"href"`
		Alt  string `json:"alt"`
	} `json:"images"`
}

// ServeHTTP implements http.Handler.
func (f *fakePager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e, err := f.read(r, body)
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": []string{err.Error()}})
		return
	}
	f.take(e)
	w.WriteHeader(http.StatusAccepted)
	json.NewEncoder(w).Encode(map[string]any{"status": "success", "message": "Event processed", "dedup_key": e.DedupKey})
}

func (f *fakePager) read(r *http.Request, body []byte) (e pagerEventTaken, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v2/enqueue":
		return e, fmt.Errorf("%s %s", r.Method, r.URL.Path)
	case r.Header.Get("Content-Type") != "application/json":
		return e, fmt.Errorf("Content-Type %q", r.Header.Get("Content-Type"))
	case len(body) > 512_000:
		return e, fmt.Errorf("%d bytes", len(body))
	case !utf8.Valid(body):
		return e, errors.New("no UTF-8")
	}
	if err := d.Decode(&e); err != nil || d.More() {
		return e, fmt.Errorf("no event: %w", err)
	}
	switch {
	case e.RoutingKey != pagerKey:
		return e, errors.New("'routing_key' is invalid")
	case !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.EventAction):
		return e, fmt.Errorf("'event_action' is %q", e.EventAction)
	case len(e.DedupKey) > 255, e.DedupKey == "" && e.EventAction != "trigger":
		return e, fmt.Errorf("'dedup_key' is %q", e.DedupKey)
	case e.EventAction == "trigger":
		return e, checkPayload(&e)
	}
	return e, nil
}

func checkPayload(e *pagerEventTaken) error {
	p := e.Payload
	if p == nil {
		return errors.New("'payload' is missing")
	}
	if _, err := time.Parse(time.RFC3339, p.Timestamp); err != nil {
		return fmt.Errorf("'timestamp': %w", err)
	}
	switch n := utf8.RuneCountInString(p.Summary); {
	case n == 0 || n > 1024:
		return fmt.Errorf("'summary' has %d characters", n)
	case p.Source == "":
		return errors.New("'source' is missing")
	case !slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity):
		return fmt.Errorf("'severity' is %q", p.Severity)
	}
	for _, l := range e.Links {
		if u, err := url.Parse(l.Href); err != nil || u.Host == "" || l.Text == "" {
			return fmt.Errorf("a link is %+v", l)
		}
	}
	return nil
}

// take joins the incident that is open, or opens one.
func (f *fakePager) take(e pagerEventTaken) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = e
	f.taken++
	var open *fakeIncident
	for _, i := range f.incidents {
		if i.key == e.DedupKey && !i.resolved {
			open = i
		}
	}
	if open == nil {
		if e.EventAction != "trigger" {
			return // accepted and ignored
		}
		open = &fakeIncident{key: e.DedupKey, summary: e.Payload.Summary, severity: e.Payload.Severity}
		f.incidents = append(f.incidents, open)
	}
	switch e.EventAction {
	case "trigger":
		open.triggers++
	case "acknowledge":
		open.acknowledged = true
	case "resolve":
		open.resolved = true
	}
}

// all returns the incidents in short.
func (f *fakePager) all() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, i := range f.incidents {
		text := i.severity
		if i.acknowledged {
			text += " acknowledged"
		}
		if i.resolved {
			text += " resolved"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func (f *fakePager) took() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.taken
}

func (f *fakePager) event() pagerEventTaken {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// pager makes an action that speaks to a handler over the network.
func pager(t *testing.T, h http.Handler, spec PagerDuty) alf.Action {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	spec.RoutingKey, spec.URL, spec.Proxy = pagerKey, alf.Secret(s.URL+"/v2/enqueue"), noProxy
	return made(t, &spec)
}

// made makes an action of a spec that must be right.
func made(t *testing.T, spec alf.ActionSpec) alf.Action {
	t.Helper()
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	a, err := spec.New("it")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// tell hands a notification to an action that must take it.
func tell(t *testing.T, a alf.Action, n *alf.Notification) {
	t.Helper()
	if err := a.Do(t.Context(), &alf.Message{ID: "x", Attempt: 1, Notification: n}); err != nil {
		t.Errorf("%v: %v", n.Type, err)
	}
}

// of returns a notification of disk.
func of(kind alf.NotificationType, status alf.Status) *alf.Notification {
	return &alf.Notification{ID: "x", Type: kind, Number: 1, Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Key: disk, Status: status, StateType: alf.Hard,
		Attempt: 3, Attempts: 3, Output: "4% free"}
}

// TestPagerDuty: an incident is opened, acknowledged and resolved by one key, which
// nothing that Alf remembers is in.
func TestPagerDuty(t *testing.T) {
	f := new(fakePager)
	f2 := func(spec PagerDuty, want string, told ...*alf.Notification) {
		t.Helper()
		a := pager(t, f, spec)
		f.incidents = nil
		for _, n := range told {
			tell(t, a, n)
		}
		if got := f.all(); got != want {
			t.Errorf("the incidents are %q, want %q", got, want)
		}
	}
	bare := PagerDuty{}
	f2(bare, "critical acknowledged resolved", of(alf.TypeProblem, alf.Critical), of(alf.TypeProblem, alf.Warning), of(alf.TypeAcknowledgement, alf.Critical), of(alf.TypeRecovery, alf.OK))
	f2(bare, "warning resolved, error", of(alf.TypeProblem, alf.Warning), of(alf.TypeRecovery, alf.OK), of(alf.TypeProblem, alf.Unknown))
	f2(bare, "", of(alf.TypeRecovery, alf.OK), of(alf.TypeAcknowledgement, alf.Critical))
	f2(PagerDuty{Warning: "info", Critical: "error", Unknown: "critical"}, "info resolved, error resolved, critical", of(alf.TypeProblem, alf.Warning), of(alf.TypeRecovery, alf.OK),
		of(alf.TypeProblem, alf.Critical), of(alf.TypeRecovery, alf.OK), of(alf.TypeProblem, alf.Unknown))
	host := func(status alf.Status) *alf.Notification {
		n := of(alf.TypeProblem, status)
		n.Key.Service = ""
		return n
	}
	f2(bare, "critical, error", of(alf.TypeProblem, alf.Critical), func() *alf.Notification { n := host(alf.Unreachable); n.Key.Host = "web2"; return n }())
	f2(bare, "critical", host(alf.Down), of(alf.TypeRecovery, alf.OK)) // of a service

	// What hides a problem resolves its incident only if that is wanted, and what
	// people were told of is there again afterwards.
	soft := of(alf.TypeDowntimeEnd, alf.Critical)
	soft.StateType = alf.Soft
	untold := of(alf.TypeDowntimeEnd, alf.Critical)
	untold.Number = 0
	f2(bare, "critical", of(alf.TypeProblem, alf.Critical), of(alf.TypeDowntimeStart, alf.Critical), of(alf.TypeFlappingStart, alf.Critical))
	f2(PagerDuty{Downtime: true}, "critical resolved, critical", of(alf.TypeProblem, alf.Critical), of(alf.TypeFlappingStart, alf.Critical),
		of(alf.TypeDowntimeStart, alf.Critical), of(alf.TypeDowntimeEnd, alf.Critical))
	f2(PagerDuty{Downtime: true}, "critical resolved", of(alf.TypeProblem, alf.Critical), of(alf.TypeDowntimeStart, alf.Critical), soft, untold, of(alf.TypeDowntimeCancelled, alf.OK))
	f2(PagerDuty{Flapping: true}, "critical resolved, warning", of(alf.TypeProblem, alf.Critical), of(alf.TypeDowntimeStart, alf.Critical),
		of(alf.TypeFlappingStart, alf.Critical), of(alf.TypeFlappingStop, alf.Warning))
}

// TestPagerDutyKeys: the key is the same for ever, and another for every host,
// service and instance.
func TestPagerDutyKeys(t *testing.T) {
	one := (&PagerDuty{}).dedupKey(disk)
	if want := "alf-bfda004c21ec9a48"; !strings.HasPrefix(one, want) || len(one) != 68 {
		t.Errorf("the key is %q, want %q…: incidents that are open now would stay so", one, want)
	}
	seen := map[string]bool{one: true}
	for _, other := range []string{(&PagerDuty{Instance: "b"}).dedupKey(disk), (&PagerDuty{}).dedupKey(alf.Key{Host: "web1"}), (&PagerDuty{}).dedupKey(alf.Key{Host: "web1disk"}),
		(&PagerDuty{}).dedupKey(alf.Key{Host: "web", Service: "1disk"}), (&PagerDuty{Instance: "web1"}).dedupKey(alf.Key{Host: "disk"})} {
		if seen[other] {
			t.Errorf("%q is the key of two", other)
		}
		seen[other] = true
	}
}

// TestPagerDutyRenamed: the incident of a service that was renamed is acknowledged and
// resolved, whatever it was opened as.
func TestPagerDutyRenamed(t *testing.T) {
	f := new(fakePager)
	a := pager(t, f, PagerDuty{})
	renamed := func(kind alf.NotificationType, status alf.Status) *alf.Notification {
		n := of(kind, status)
		n.Key, n.Former = alf.Key{Host: "www1", Service: "disk"}, []alf.Key{disk}
		return n
	}
	tell(t, a, of(alf.TypeProblem, alf.Critical))
	tell(t, a, renamed(alf.TypeAcknowledgement, alf.Critical))
	tell(t, a, renamed(alf.TypeRecovery, alf.OK))
	if got := f.all(); got != "critical acknowledged resolved" {
		t.Errorf("the incidents are %q", got)
	}
	tell(t, a, of(alf.TypeProblem, alf.Critical))
	tell(t, a, renamed(alf.TypeProblem, alf.Critical))
	tell(t, a, renamed(alf.TypeRecovery, alf.OK))
	if got := f.all(); got != "critical acknowledged resolved, critical resolved, critical resolved" {
		t.Errorf("the incidents are %q", got)
	}
}

// TestPagerDutyLimits: whatever is in a notification, PagerDuty takes it.
func TestPagerDutyLimits(t *testing.T) {
	f := new(fakePager)
	a := pager(t, f, PagerDuty{})
	tell(t, a, sample())
	if e := f.event(); e.Payload.Summary != `disk C:\ on web"1 is CRITICAL: a "quoted" \ text, {{.}} <b>&amp;</b> é\n\twith lines` || e.Payload.Source != `web"1` ||
		e.Payload.Component != `disk C:\` || e.Payload.CustomDetails["output"] != sample().Output || e.Links != nil {
		t.Errorf("%+v %+v", e, e.Payload)
	}
	n := sample()
	n.NotesURL = "https://wiki.example.com/disk?a=b|c"
	tell(t, a, n)
	if e := f.event(); len(e.Links) != 1 || e.Links[0].Href != n.NotesURL {
		t.Errorf("links: %+v", e.Links)
	}
	for _, text := range []string{"", strings.Repeat("é", 8<<10), strings.Repeat("\x00\xff<", 2<<10), strings.Repeat("\U0001F600", 2<<10)} {
		n := sample()
		n.Output, n.LongOutput, n.Text, n.Author, n.HostAlias = text, text, text, text, text
		tell(t, a, n)
		n.Hostgroups = slices.Repeat([]string{text}, 10)
		tell(t, a, n)
		n.Hostgroups = slices.Repeat([]string{"a group of hosts"}, 100_000)
		n.Contacts = n.Hostgroups
		tell(t, a, n)
		if e := f.event(); text == "" && e.Payload.CustomDetails["host_address"] != n.HostAddress {
			t.Errorf("more is gone than has to: %v", e.Payload.CustomDetails)
		}
		n.HostAlias = strings.Repeat("x", 600_000)
		tell(t, a, n)
		if e := f.event(); e.Payload.CustomDetails != nil {
			t.Error("the details are still there")
		}
	}
}

// TestCutLetters: a text is cut between characters, and only if it has to be.
func TestCutLetters(t *testing.T) {
	for _, c := range []struct{ text, want string }{{"", ""}, {"abc", "abc"}, {"éàü", "éàü"}, {"éàüx", "éà\u2026"}, {"\U0001F600\U0001F600\U0001F600\U0001F600", "\U0001F600\U0001F600\u2026"}} {
		if got := cutLetters(c.text, 3); got != c.want {
			t.Errorf("cutLetters(%q, 3) = %q, want %q", c.text, got, c.want)
		}
	}
}

// TestPagerDutyFaults: through every fault there is one incident.
func TestPagerDutyFaults(t *testing.T) {
	f := new(fakePager)
	u := &unreliable{Handler: f}
	a := pager(t, u, PagerDuty{HTTP: HTTP{Timeout: 300 * time.Millisecond}})
	testFaults(t, a, u, f.took)
	if got := f.all(); got != "critical" {
		t.Errorf("the incidents are %q", got)
	}
}

// TestPagerDutyRefused: what PagerDuty finds invalid is not tried again.
func TestPagerDutyRefused(t *testing.T) {
	f := new(fakePager)
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	other := strings.ToLower(pagerKey)
	a := made(t, &PagerDuty{RoutingKey: alf.Secret(other), URL: alf.Secret(s.URL + "/v2/enqueue")})
	err := a.Do(t.Context(), message())
	if !errors.Is(err, alf.ErrPermanent) || !strings.Contains(err.Error(), "'routing_key' is invalid") {
		t.Errorf("%v", err)
	}
}

// TestPagerDutyRegions: where events go to.
func TestPagerDutyRegions(t *testing.T) {
	for region, want := range map[string]string{"": "https://events.pagerduty.com/v2/enqueue", "us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"} {
		a := made(t, &PagerDuty{RoutingKey: pagerKey, Region: region}).(*pagerDuty)
		var to string
		f := new(fakePager)
		a.poster.client.HTTPClient.Transport = direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			to = r.URL.String()
			f.ServeHTTP(w, r)
		})}
		tell(t, a, of(alf.TypeProblem, alf.Critical))
		if to != want {
			t.Errorf("region %q: %s, want %s", region, to, want)
		}
	}
}

// TestPagerDutyWrong: what is wrong with a configuration is said, and shows no key.
func TestPagerDutyWrong(t *testing.T) {
	for want, p := range map[string]PagerDuty{
		"routing_key: is missing":                                   {},
		"routing_key: has 20 characters":                            {RoutingKey: "s3cret-abcdefghijklm"},
		"routing_key: holds other characters":                       {RoutingKey: "s3cret-abcdefghijklmnopqrstuvwxy"},
		`region: "asia" is neither "us" nor "eu"`:                   {RoutingKey: pagerKey, Region: "asia"},
		"url: says where to, and region does, too":                  {RoutingKey: pagerKey, Region: "eu", URL: "https://example.com/"},
		"url: begins with neither":                                  {RoutingKey: pagerKey, URL: "ftp://s3cret"},
		`severity_unknown: "bad" is none of critical, error, warni`: {RoutingKey: pagerKey, Unknown: "bad"},
		"instance: has more than 100 bytes":                         {RoutingKey: pagerKey, Instance: strings.Repeat("x", 101)},
		"timeout: 1h0m0s is more than 5m0s":                         {RoutingKey: pagerKey, HTTP: HTTP{Timeout: time.Hour}},
	} {
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Validate = %v, want %s", err, want)
		}
	}
	if err := (&PagerDuty{RoutingKey: alf.Redacted}).Validate(); err != nil {
		t.Errorf("a key that nobody has opened: %v", err)
	}
}

// TestIncidents ends everything at random moments, while PagerDuty answers as it
// likes: every problem is one incident, which is opened and resolved.
func TestIncidents(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			random, theirs := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
			f := new(fakePager)
			u := &unreliable{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Duration(theirs.IntN(300)) * time.Millisecond)
				f.ServeHTTP(w, r)
			})}
			for range 20 {
				u.faults = append(u.faults, []string{"", "", "429", "500", "reset", "taken, reset", "page", "slow", "taken, slow"}[theirs.IntN(9)])
			}
			a := made(t, &PagerDuty{RoutingKey: pagerKey}).(*pagerDuty)
			a.poster.client.HTTPClient.Transport = direct{u}
			s := newScene(t, everything("pager"))
			broken := &brokenLedger{Ledger: s.record}
			s.ledger = broken
			const problems = 5
			for i := range 2 * problems {
				s.start(map[string]alf.Action{"pager": a})
				s.result(disk, []alf.Status{alf.Critical, alf.OK}[i%2])
				time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
				broken.set(errors.New("killed"))
				s.stop()
				broken.set(nil)
			}
			s.start(map[string]alf.Action{"pager": a})
			time.Sleep(2 * time.Hour)
			s.stop()
			want := strings.TrimSuffix(strings.Repeat("critical resolved, ", problems), ", ")
			if got := f.all(); got != want {
				t.Errorf("seed %d: the incidents are %q, want %q", seed, got, want)
			}
		})
	}
}

// TestIncidentOfBefore: an Alf that has forgotten everything resolves what it opened.
func TestIncidentOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fakePager)
		for _, statuses := range [][]alf.Status{{alf.Critical}, {alf.Critical, alf.OK}} {
			a := made(t, &PagerDuty{RoutingKey: pagerKey}).(*pagerDuty)
			a.poster.client.HTTPClient.Transport = direct{f}
			s := newScene(t, everything("pager")) // nothing is in its ledger
			s.start(map[string]alf.Action{"pager": a})
			for _, status := range statuses {
				s.result(disk, status)
			}
			s.stop()
		}
		if got := f.all(); got != "critical resolved" || f.incidents[0].triggers != 2 {
			t.Errorf("the incidents are %q", got)
		}
	})
}

// TestFormerNames: a notification says what its service was called before, but nothing
// that another one is called now.
func TestFormerNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, everything("chat"))
		s.inventory.Service(disk).RenamedFrom = "fs"
		s.inventory.Service(alf.Key{Host: "web1", Service: "load"}).RenamedFrom = "disk"
		former := make(map[alf.Key][]alf.Key)
		s.start(map[string]alf.Action{"chat": actionFunc(func(_ context.Context, m *alf.Message) error {
			former[m.Notification.Key] = m.Notification.Former
			return nil
		})})
		s.result(disk, alf.Critical)
		s.result(alf.Key{Host: "web1", Service: "load"}, alf.Critical)
		s.stop()
		if got := fmt.Sprint(former); got != "map[web1!disk:[web1!fs] web1!load:[]]" {
			t.Error(got)
		}
	})
}
