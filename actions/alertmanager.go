package actions

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"
	"unicode/utf8"

	"alf"
)

// Alertmanager is the spec of an action that tells the members of an Alertmanager.
// They decide whom to tell what together.
type Alertmanager struct {
	URLs        []string              `alf:"urls"`
	Labels      map[string]string     `alf:"labels"`
	Annotations map[string]string     `alf:"annotations"`
	ExternalURL string                `alf:"external_url"`
	Interval    time.Duration         `alf:"refresh"`
	Username    string                `alf:"username"`
	Password    alf.Secret            `alf:"password"`
	Token       alf.Secret            `alf:"token"`
	Headers     map[string]alf.Secret `alf:"headers"`
	HTTP
}

const (
	defaultRefresh = time.Minute
	minRefresh     = time.Second
	maxRefresh     = 10 * time.Minute
	maxMembers     = 20
	alertsPath     = "/api/v2/alerts"
	// rest is how long a member is left alone that has not answered in time. What it
	// misses it hears with the next refresh.
	rest = 30 * time.Second
)

// labelName is what all versions of Alertmanager take.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// ownLabels say of what an alert is. There are no others but those of the
// configuration: an alert of which one changed would be another one, and the first
// would never be resolved.
var ownLabels = []string{"alertname", "host", "service"}

// hostAlert is the alertname of hosts.
const hostAlert = "Host"

// Validate implements alf.ActionSpec.
func (a *Alertmanager) Validate() error {
	var errs []error
	wrong := func(key string, err error) { errs = append(errs, &alf.KeyError{Key: key, Err: err}) }
	errs = append(errs, a.HTTP.validate())
	if len(a.URLs) == 0 {
		wrong("urls", errors.New("is missing"))
	}
	if len(a.URLs) > maxMembers {
		wrong("urls", fmt.Errorf("%d members are more than %d", len(a.URLs), maxMembers))
	}
	for i, member := range a.URLs {
		if err := checkBase(member); err != nil {
			wrong("urls", err)
		} else if slices.Contains(a.URLs[:i], member) {
			wrong("urls", fmt.Errorf("%q is there twice", member))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		if err := checkLabel(name, a.Labels[name]); err != nil {
			wrong("labels", err)
		}
	}
	if _, err := a.templates(); err != nil {
		wrong("annotations", err)
	}
	if a.ExternalURL != "" {
		if err := checkBase(a.ExternalURL); err != nil {
			wrong("external_url", err)
		}
	}
	if a.Interval != 0 && (a.Interval < minRefresh || a.Interval > maxRefresh) {
		wrong("refresh", fmt.Errorf("%v is not between %v and %v", a.Interval, minRefresh, maxRefresh))
	}
	return errors.Join(append(errs, a.checkAccess())...)
}

// checkAccess refuses what says in two ways who Alf is.
func (a *Alertmanager) checkAccess() error {
	var errs []error
	wrong := func(key, text string) { errs = append(errs, &alf.KeyError{Key: key, Err: errors.New(text)}) }
	switch {
	case a.Username == "" && a.Password != "":
		wrong("password", "there is no username for it")
	case a.Username != "" && a.Password == "":
		wrong("username", "there is no password for it")
	case a.Username != "" && a.Token != "":
		wrong("token", "there is a username, too")
	}
	if strings.Contains(a.Username, ":") {
		wrong("username", `has a ":", which none may have`)
	}
	if !headerValue(string(a.Token)) {
		wrong("token", "holds what no header may")
	}
	for name, value := range a.Headers {
		if err := checkHeader(name, value); err != nil {
			wrong("headers", err.Error())
		}
		if http.CanonicalHeaderKey(name) == "Authorization" && (a.Username != "" || a.Token != "") {
			wrong("headers", "Authorization is set by username and password, or by token")
		}
	}
	return errors.Join(errs...)
}

// checkBase refuses what is no address to which a path can be added.
func checkBase(base string) error {
	if err := checkURL(alf.Secret(base)); err != nil {
		return err
	}
	switch u, _ := url.Parse(base); {
	case u.User != nil:
		return errors.New("holds a user: use username and password")
	case u.RawQuery != "":
		return fmt.Errorf("%q has a query", base)
	}
	return nil
}

func checkLabel(name, value string) error {
	switch {
	case !labelName.MatchString(name):
		return fmt.Errorf("%q is no name of a label: letters, digits and _, and no digit first", name)
	case slices.Contains(ownLabels, name):
		return fmt.Errorf("%s is set by Alf itself", name)
	case value == "":
		return fmt.Errorf("%s is empty", name)
	case !utf8.ValidString(value):
		return fmt.Errorf("%s is not UTF-8", name)
	}
	return nil
}

// templates returns those of the annotations, each tried out.
func (a *Alertmanager) templates() (map[string]*template.Template, error) {
	out := make(map[string]*template.Template, len(a.Annotations))
	for _, name := range slices.Sorted(maps.Keys(a.Annotations)) {
		if !labelName.MatchString(name) {
			return nil, fmt.Errorf("%q is no name of an annotation: letters, digits and _, and no digit first", name)
		}
		t, err := template.New("body").Option("missingkey=error").Funcs(functions).Parse(a.Annotations[name])
		if err == nil {
			_, err = fill(t, newDocument(sample()))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, plainError(err))
		}
		out[name] = t
	}
	return out, nil
}

// New implements alf.ActionSpec.
func (a *Alertmanager) New(string) (alf.Action, error) {
	templates, err := a.templates()
	if err != nil {
		return nil, fmt.Errorf("annotations: %w", err)
	}
	secrets := []alf.Secret{a.Password, a.Token}
	header := http.Header{contentType: {"application/json"}}
	for name, value := range a.Headers {
		secrets = append(secrets, value)
		header.Set(name, string(value))
	}
	switch {
	case a.Username != "":
		basic := base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + string(a.Password)))
		secrets = append(secrets, alf.Secret(basic))
		header.Set("Authorization", "Basic "+basic)
	case a.Token != "":
		header.Set("Authorization", "Bearer "+string(a.Token))
	}
	p, err := a.HTTP.poster(secrets...)
	if err != nil {
		return nil, err
	}
	out := &alertmanager{spec: a, templates: templates, poster: p, header: header}
	for _, base := range a.URLs {
		u, err := url.Parse(base)
		if err != nil {
			return nil, errors.New("urls: one is no URL")
		}
		out.members = append(out.members, &member{name: u.Host, url: alf.Secret(strings.TrimSuffix(base, "/") + alertsPath)})
	}
	return out, nil
}

// alertmanager implements alf.Refresher.
type alertmanager struct {
	spec      *Alertmanager
	templates map[string]*template.Template
	poster    *poster
	header    http.Header
	members   []*member
}

type member struct {
	name  string // host and port
	url   alf.Secret
	until time.Time // it is left alone
	err   error     // of its last answer
}

// alert is one as the API has it.
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt,omitzero"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Do implements alf.Action. An Alertmanager knows of nothing but problems and their
// ends.
func (a *alertmanager) Do(ctx context.Context, m *alf.Message) error {
	answered := func(text string) {
		if m.Answered != nil {
			m.Answered(text)
		}
	}
	if t := m.Notification.Type; t != alf.TypeProblem && t != alf.TypeRecovery {
		answered("nothing is sent: Alertmanager knows of problems and their ends only")
		return nil
	}
	err := a.Again(ctx, []*alf.Notification{m.Notification})
	if err == nil {
		answered("taken by all members")
	}
	return err
}

// Refresh implements alf.Refresher.
func (a *alertmanager) Refresh() time.Duration {
	if a.spec.Interval == 0 {
		return defaultRefresh
	}
	return a.spec.Interval
}

// Again implements alf.Refresher. All members hear it, so that each knows all.
func (a *alertmanager) Again(ctx context.Context, told []*alf.Notification) error {
	now := time.Now()
	alerts := make([]alert, len(told))
	for i, n := range told {
		var err error
		if alerts[i], err = a.alert(n, now); err != nil {
			return fmt.Errorf("write the annotations: %w (%w)", err, alf.ErrPermanent)
		}
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		return fmt.Errorf("write the alerts: %w (%w)", err, alf.ErrPermanent)
	}
	rested := func(m *member) bool { return now.After(m.until) }
	some := slices.ContainsFunc(a.members, rested)
	var all sync.WaitGroup
	for _, m := range a.members {
		if rested(m) || !some {
			all.Go(func() { a.tell(ctx, m, body) })
		}
	}
	all.Wait()
	return a.verdict(ctx)
}

// tell sends alerts to one member.
func (a *alertmanager) tell(ctx context.Context, m *member, body []byte) {
	began := time.Now()
	m.err = a.poster.send(ctx, request{method: http.MethodPost, url: m.url, header: a.header.Clone(), body: body})
	m.until = time.Time{}
	if m.err != nil && time.Since(began) >= a.poster.timeout {
		m.until = time.Now().Add(rest)
	}
}

// verdict says what the answers of the members mean: one that has taken it is enough.
func (a *alertmanager) verdict(ctx context.Context) error {
	var texts []string
	permanent, wait := true, time.Duration(0)
	for _, m := range a.members {
		if m.err == nil {
			continue
		}
		texts = append(texts, m.name+": "+m.err.Error())
		permanent = permanent && errors.Is(m.err, alf.ErrPermanent)
		if after, ok := errors.AsType[*alf.RetryAfter](m.err); ok && (wait == 0 || after.Wait < wait) {
			wait = after.Wait
		}
	}
	err := errors.New(strings.Join(texts, "; "))
	switch {
	case len(texts) == 0:
		return nil
	case len(texts) < len(a.members):
		return &alf.Partly{Err: err}
	case ctx.Err() != nil:
		return ctx.Err()
	case permanent:
		return fmt.Errorf("%w (%w)", err, alf.ErrPermanent)
	case wait > 0:
		return fmt.Errorf("%w; %w", err, &alf.RetryAfter{Wait: wait})
	}
	return err
}

// alert returns what is sent of n. A problem ends by itself when nobody has told of
// it again for a while.
func (a *alertmanager) alert(n *alf.Notification, now time.Time) (alert, error) {
	out := alert{Labels: a.labels(n.Key), GeneratorURL: a.page(n)}
	if n.Test {
		out.Labels["test"] = "true" // so that it is another alert than that of a real problem
	}
	if n.Type == alf.TypeRecovery {
		out.EndsAt = n.Time.UTC() // when it began, Alertmanager knows
	} else {
		out.EndsAt = now.Add(expiry * a.Refresh()).UTC()
		out.StartsAt = n.Time.UTC()
		if !n.Since.IsZero() && n.Since.Before(n.Time) {
			out.StartsAt = n.Since.UTC()
		}
	}
	var err error
	out.Annotations, err = a.annotations(n)
	return out, err
}

// labels returns those of a key, which are always the same.
func (a *alertmanager) labels(key alf.Key) map[string]string {
	out := map[string]string{"alertname": hostAlert, "host": valid(string(key.Host))}
	if !key.IsHost() {
		out["alertname"], out["service"] = valid(string(key.Service)), valid(string(key.Service))
	}
	maps.Copy(out, a.spec.Labels)
	return out
}

func (a *alertmanager) annotations(n *alf.Notification) (map[string]string, error) {
	d := newDocument(n)
	what := d.Host
	if d.Service != "" {
		what = d.Service + " on " + d.Host
	}
	out := map[string]string{
		"summary": what + " is " + d.State, "description": d.Output, "long_output": d.LongOutput, "state": d.State,
		"host_alias": d.HostAlias, "host_address": d.HostAddress, "hostgroups": strings.Join(d.Hostgroups, ", "), "notes_url": d.NotesURL,
	}
	for name, t := range a.templates {
		text, err := fill(t, d)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = string(text)
	}
	for name, text := range out {
		if out[name] = valid(text); text == "" {
			delete(out, name)
		}
	}
	return out, nil
}

// page returns where more is to be read of n: in Alf's own pages, else what its
// notes_url says.
func (a *alertmanager) page(n *alf.Notification) string {
	if base := strings.TrimSuffix(a.spec.ExternalURL, "/"); base != "" {
		host := url.PathEscape(string(n.Key.Host))
		if n.Key.IsHost() {
			return base + "/hosts/" + host
		}
		return base + "/services/" + host + "/" + url.PathEscape(string(n.Key.Service))
	}
	if u, err := url.Parse(n.NotesURL); err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return u.String()
	}
	return ""
}

// valid returns text as UTF-8, which is all that Alertmanager takes.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
