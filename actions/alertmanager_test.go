package actions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
)

// program returns where a real program is. Under CI it must be there.
func program(t *testing.T, name, debian string) string {
	t.Helper()
	file, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v: apt-get install %s", err, debian)
	}
	return file
}

// freeAddress returns an address on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startProgram starts a program that ends with the test, and waits until ready says
// that it is there.
func startProgram(t *testing.T, ready func() bool, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	if !eventually(ready) {
		_ = cmd.Process.Kill()
		<-ended
		ended <- nil
		t.Fatalf("%s is not ready: %s", name, out.String())
	}
}

// eventually waits until f holds, and reports whether it does.
func eventually(f func() bool) bool {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if f() {
			return true
		}
	}
	return false
}

// received is an alert as Alertmanager has it.
type received struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	GeneratorURL        string
	Status              struct{ State string }
}

// realAlertmanager starts one whose messages about groups go to hook, and returns
// its URL.
func realAlertmanager(t *testing.T, hook string) string {
	t.Helper()
	dir, address := t.TempDir(), freeAddress(t)
	file := filepath.Join(dir, "am.yml")
	config := fmt.Sprintf(`route: {receiver: hook, group_by: [host], group_wait: 300ms, group_interval: 300ms, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: true}]}]
`, hook)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startProgram(t, func() bool {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	}, program(t, "prometheus-alertmanager", "prometheus-alertmanager"),
		"--config.file="+file, "--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=")
	return "http://" + address
}

// firing returns what an Alertmanager takes for a problem.
func firing(t *testing.T, base string) []received {
	t.Helper()
	resp, err := http.Get(base + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []received
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// group is a message of an Alertmanager about a group.
type group struct {
	Status string
	Alerts []struct {
		Status string
		Labels map[string]string
	}
}

// groups receives them.
func groups(t *testing.T) (string, <-chan group) {
	t.Helper()
	all := make(chan group, 100)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var g group
		if json.NewDecoder(r.Body).Decode(&g) == nil {
			all <- g
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, all
}

// about returns a message of some type about a key.
func about(key alf.Key, kind alf.NotificationType, status alf.Status, text string) *alf.Message {
	n := sample()
	n.Key, n.Type, n.Status, n.Output, n.Time, n.Since = key, kind, status, text, time.Now(), time.Now().Add(-time.Minute)
	if kind == alf.TypeRecovery {
		n.Since = n.Time
	}
	return &alf.Message{ID: "0123456789abcdef", Attempt: 1, Notification: n}
}

// TestRealAlertmanager: both members receive a problem, group it with another one of
// the same host, take a change of it for the same, and resolve it when an Alf that
// was started anew tells of its end.
func TestRealAlertmanager(t *testing.T) {
	hook, told := groups(t)
	members := []string{realAlertmanager(t, hook), realAlertmanager(t, hook)}
	spec := &Alertmanager{URLs: []string{members[0] + "/", members[1]}, Labels: map[string]string{"site": "münster"},
		Annotations: map[string]string{"runbook": "https://wiki/{{.Service}}"}, ExternalURL: "http://alf.example.com/alf/"}
	a := made(t, spec)
	c := alf.Key{Host: "web1", Service: `disk C:\ "x" é`}
	for _, m := range []*alf.Message{about(c, alf.TypeProblem, alf.Warning, "92% full \xff"), about(load, alf.TypeProblem, alf.Critical, "load is 90"),
		about(c, alf.TypeProblem, alf.Critical, "99% full"), about(c, alf.TypeAcknowledgement, alf.Critical, "mine"), about(alf.Key{Host: "db1"}, alf.TypeProblem, alf.Critical, "no answer")} {
		if err := a.Do(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, base := range members {
		all := firing(t, base)
		i := slices.IndexFunc(all, func(r received) bool { return r.Labels["alertname"] == string(c.Service) })
		if len(all) != 3 || i < 0 {
			t.Fatalf("%s has %+v", base, all)
		}
		r := all[i]
		if want := map[string]string{"alertname": string(c.Service), "service": string(c.Service), "host": "web1", "site": "münster"}; !reflect.DeepEqual(r.Labels, want) {
			t.Errorf("labels %v, want %v", r.Labels, want)
		}
		if r.Annotations["description"] != "99% full" || r.Annotations["state"] != "CRITICAL" || r.Annotations["runbook"] != "https://wiki/"+string(c.Service) ||
			r.GeneratorURL != "http://alf.example.com/alf/services/web1/disk%20C:%5C%20%22x%22%20%C3%A9" {
			t.Errorf("%+v", r)
		}
		if since := time.Since(r.StartsAt); since < time.Minute || since > 10*time.Minute {
			t.Errorf("it began %v ago", since)
		}
		if until := time.Until(r.EndsAt); until > expiry*defaultRefresh || until < (expiry-1)*defaultRefresh {
			t.Errorf("it ends by itself in %v", until)
		}
	}
	grouped := func(status string, n int) func(group) bool {
		return func(g group) bool {
			return g.Status == status && len(g.Alerts) == n && !slices.ContainsFunc(g.Alerts, func(a struct {
				Status string
				Labels map[string]string
			}) bool {
				return a.Labels["host"] != "web1" || a.Status != status
			})
		}
	}
	await(t, told, "a group of two problems", grouped("firing", 2))

	a = made(t, spec) // as after a restart
	for _, key := range []alf.Key{c, load} {
		if err := a.Do(t.Context(), about(key, alf.TypeRecovery, alf.OK, "all is well")); err != nil {
			t.Fatal(err)
		}
	}
	for _, base := range members {
		if !eventually(func() bool { return len(firing(t, base)) == 1 }) {
			t.Errorf("%s still has %+v", base, firing(t, base))
		}
	}
	await(t, told, "a group of which all is over", grouped("resolved", 2))
}

func await(t *testing.T, told <-chan group, what string, f func(group) bool) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case g := <-told:
			if f(g) {
				return
			}
		case <-timeout:
			t.Fatalf("Alertmanager tells of no %s", what)
		}
	}
}

// TestRealAlertmanagerForgets: what is not told again ends by itself, what is does
// not, and a member that was away hears of it.
func TestRealAlertmanagerForgets(t *testing.T) {
	hook, _ := groups(t)
	base := realAlertmanager(t, hook)
	spec := &Alertmanager{URLs: []string{base}, Interval: time.Second}
	a := made(t, spec).(alf.Refresher)
	m := about(disk, alf.TypeProblem, alf.Critical, "full")
	if err := a.Do(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	first := firing(t, base)[0].EndsAt
	if !eventually(func() bool {
		if err := a.Again(t.Context(), []*alf.Notification{m.Notification}); err != nil {
			t.Fatal(err)
		}
		return time.Now().After(first)
	}) {
		t.Fatal("the clock stands still")
	}
	if n := len(firing(t, base)); n != 1 {
		t.Fatalf("it has %d alerts, want the one that is told again", n)
	}
	if !eventually(func() bool { return len(firing(t, base)) == 0 }) {
		t.Error("what is not told again lasts")
	}

	other := realAlertmanager(t, hook)
	a = made(t, &Alertmanager{URLs: []string{base, other}}).(alf.Refresher)
	if err := a.Again(t.Context(), []*alf.Notification{m.Notification, about(load, alf.TypeProblem, alf.Critical, "high").Notification}); err != nil {
		t.Fatal(err)
	}
	if len(firing(t, base)) != 2 || len(firing(t, other)) != 2 {
		t.Error("not all members heard of all")
	}
}

// TestAlertmanagerMembers: one that takes it is enough, all are tried, and one that
// does not answer in time is left alone for a while.
func TestAlertmanagerMembers(t *testing.T) {
	good, all := target(t, nil)
	bad, _ := target(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	busy, _ := target(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	slow, asked := target(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f := func(members ...string) error {
		t.Helper()
		s := &Alertmanager{URLs: members}
		s.Timeout = 300 * time.Millisecond
		a := made(t, s)
		err := a.Do(t.Context(), message())
		if again := a.Do(t.Context(), message()); fmt.Sprint(again) != fmt.Sprint(err) {
			t.Errorf("%v: then %v, first %v", members, again, err)
		}
		return err
	}
	if err := f(bad.URL, slow.URL, good.URL); err == nil || !strings.Contains(err.Error(), "400") || !strings.Contains(err.Error(), "no answer within 300ms") {
		t.Errorf("one of three: %v", err)
	} else if _, ok := errors.AsType[*alf.Partly](err); !ok {
		t.Errorf("one of three: %v has not arrived", err)
	}
	if len(all) != 2 || len(asked) != 1 {
		t.Errorf("%d times told, and the slow one %d times, want 2 and 1", len(all), len(asked))
	}
	if err := f(bad.URL); !errors.Is(err, alf.ErrPermanent) {
		t.Errorf("refused by all: %v", err)
	}
	err := f(bad.URL, busy.URL)
	if after, ok := errors.AsType[*alf.RetryAfter](err); !ok || after.Wait != time.Minute || errors.Is(err, alf.ErrPermanent) {
		t.Errorf("refused by one, and the other one is busy: %v", err)
	}
	if _, ok := errors.AsType[*alf.Partly](err); ok {
		t.Errorf("%v has arrived", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := made(t, &Alertmanager{URLs: []string{good.URL}}).Do(ctx, message()); !errors.Is(err, context.Canceled) {
		t.Errorf("when Alf stops: %v", err)
	}
}

// TestAlertmanagerAccess: who Alf is, is said as the member wants it.
func TestAlertmanagerAccess(t *testing.T) {
	s, all := target(t, nil)
	f := func(a *Alertmanager, header, want string) {
		t.Helper()
		a.URLs = []string{s.URL + "/am/"}
		if err := made(t, a).Do(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
		if r := <-all; r.header.Get(header) != want || r.path != "/am/api/v2/alerts" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v, want %s: %s", r.path, r.header, header, want)
		}
	}
	f(&Alertmanager{Username: "alf", Password: "s3cret"}, "Authorization", "Basic YWxmOnMzY3JldA==")
	f(&Alertmanager{Token: "s3cret"}, "Authorization", "Bearer s3cret")
	f(&Alertmanager{Headers: map[string]alf.Secret{"X-Scope-OrgID": "web"}}, "X-Scope-Orgid", "web")
}

// TestAlertmanagerTrial: what is a test is an alert of its own, and its answer is told.
func TestAlertmanagerTrial(t *testing.T) {
	s, all := target(t, nil)
	a := made(t, &Alertmanager{URLs: []string{s.URL}})
	labels := func(m *alf.Message) string {
		t.Helper()
		if err := a.Do(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		r := <-all
		var alerts []struct{ Labels map[string]string }
		if err := json.Unmarshal([]byte(r.body), &alerts); err != nil || len(alerts) != 1 {
			t.Fatalf("%s: %v", r.body, err)
		}
		return fmt.Sprint(alerts[0].Labels)
	}
	var said string
	trial := message()
	trial.Notification.Test, trial.Answered = true, func(text string) { said = text }
	if got, real := labels(trial), labels(message()); !strings.Contains(got, "test:true") || strings.Contains(real, "test:") || got == real {
		t.Errorf("a test is %s, a problem %s", got, real)
	}
	if said != "taken by all members" {
		t.Errorf("said = %q", said)
	}
	trial.Notification.Type = alf.TypeAcknowledgement
	if err := a.Do(t.Context(), trial); err != nil || !strings.HasPrefix(said, "nothing is sent") || len(all) != 0 {
		t.Errorf("an acknowledgement: %v, said %q, %d sent", err, said, len(all))
	}
}

// TestAlertmanagerMistakes: each is found before it is too late.
func TestAlertmanagerMistakes(t *testing.T) {
	f := func(key string, change func(*Alertmanager)) {
		t.Helper()
		a := &Alertmanager{URLs: []string{"http://127.0.0.1:9093"}}
		change(a)
		err := a.Validate()
		if wrong, ok := errors.AsType[*alf.KeyError](err); !ok || wrong.Key != key {
			t.Errorf("%+v: %v, want what is wrong with %s", a, err, key)
		}
	}
	f("urls", func(a *Alertmanager) { a.URLs = nil })
	f("urls", func(a *Alertmanager) { a.URLs = slices.Repeat(a.URLs, 2) })
	f("urls", func(a *Alertmanager) { a.URLs = []string{"am:9093"} })
	f("urls", func(a *Alertmanager) { a.URLs = []string{"http://u:p@am:9093"} })
	f("urls", func(a *Alertmanager) { a.URLs = []string{"http://am:9093/?x=y"} })
	f("urls", func(a *Alertmanager) { a.URLs = make([]string, maxMembers+1) })
	f("labels", func(a *Alertmanager) { a.Labels = map[string]string{"host": "x"} })
	f("labels", func(a *Alertmanager) { a.Labels = map[string]string{"1st": "x"} })
	f("labels", func(a *Alertmanager) { a.Labels = map[string]string{"site": ""} })
	f("labels", func(a *Alertmanager) { a.Labels = map[string]string{"site": "\xff"} })
	f("annotations", func(a *Alertmanager) { a.Annotations = map[string]string{"a-b": "x"} })
	f("annotations", func(a *Alertmanager) { a.Annotations = map[string]string{"a": "{{.Outptu}}"} })
	f("annotations", func(a *Alertmanager) { a.Annotations = map[string]string{"a": "{{"} })
	f("external_url", func(a *Alertmanager) { a.ExternalURL = "alf.example.com" })
	f("refresh", func(a *Alertmanager) { a.Interval = time.Hour })
	f("refresh", func(a *Alertmanager) { a.Interval = time.Millisecond })
	f("username", func(a *Alertmanager) { a.Username = "alf" })
	f("username", func(a *Alertmanager) { a.Username, a.Password = "a:b", "x" })
	f("password", func(a *Alertmanager) { a.Password = "x" })
	f("token", func(a *Alertmanager) { a.Username, a.Password, a.Token = "alf", "x", "y" })
	f("token", func(a *Alertmanager) { a.Token = "a\nb" })
	f("headers", func(a *Alertmanager) { a.Headers, a.Token = map[string]alf.Secret{"authorization": "x"}, "y" })
	f("timeout", func(a *Alertmanager) { a.Timeout = time.Hour })
}

// TestAlertmanagerPages: where an alert says that more is to be read.
func TestAlertmanagerPages(t *testing.T) {
	f := func(base, notes string, key alf.Key, want string) {
		t.Helper()
		n := sample()
		n.Key, n.NotesURL = key, notes
		a := &alertmanager{spec: &Alertmanager{ExternalURL: base}}
		if got := a.page(n); got != want {
			t.Errorf("page(%q, %q, %v) = %q, want %q", base, notes, key, got, want)
		}
	}
	f("", "", disk, "")
	f("", "the wiki", disk, "")
	f("", "javascript://x", disk, "")
	f("", "https://wiki/disk", disk, "https://wiki/disk")
	f("https://alf/", "https://wiki/disk", disk, "https://alf/services/web1/disk")
	f("https://alf", "", alf.Key{Host: "a/b?"}, "https://alf/hosts/a%2Fb%3F")
}

// BenchmarkAlertmanager tells a target on loopback again of 200 problems.
func BenchmarkAlertmanager(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	a, err := (&Alertmanager{URLs: []string{s.URL}}).New("x")
	if err != nil {
		b.Fatal(err)
	}
	told := make([]*alf.Notification, atOnce)
	for i := range told {
		told[i] = sample()
	}
	for b.Loop() {
		if err := a.(alf.Refresher).Again(b.Context(), told); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*atOnce)/b.Elapsed().Seconds(), "alerts/s")
}
