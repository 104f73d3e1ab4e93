package web_test

import (
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/api/wire"
	"alf/internal/sanitize/hostile"
	"alf/perfdata"
	"alf/state/memory"
	"alf/state/view"
	"alf/web"
)

// open returns the pages about inventory, once events have happened.
func open(t testing.TB, inventory *alf.Inventory, events ...*alf.Event) web.Options {
	t.Helper()
	record, v := memory.New(memory.Options{}), view.New()
	if err := record.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if err := v.Load(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	return web.Options{
		View: v, Reader: record, Past: record, Inventory: func() *alf.Inventory { return inventory },
		Hints:   []web.Hint{{Command: "alf problems", Text: "says what is wrong"}, {Text: "Put TOML files into /etc/alf/conf.d."}},
		Version: "1.2.3", Log: slog.New(slog.DiscardHandler),
	}
}

// get returns the page at path, which must have that status.
func get(t testing.TB, o web.Options, path string, status int) string {
	t.Helper()
	w := httptest.NewRecorder()
	web.New(o).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if w.Code != status {
		t.Errorf("GET %s = %d, want %d: %s", path, w.Code, status, w.Body)
	}
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'self';") {
		t.Errorf("GET %s has the policy %q", path, got)
	}
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("GET %s has the type %q", path, got)
	}
	return w.Body.String()
}

func service(h *alf.Host, name alf.ServiceName) *alf.Service {
	return &alf.Service{Key: alf.Key{Host: h.Name, Service: name}, Host: h, Check: "disk", MaxAttempts: 3, NotesURL: "https://wiki/disk"}
}

func result(key alf.Key, status alf.Status, kind alf.StateType, attempt int, at time.Time, output string) *alf.Event {
	return &alf.Event{
		Key: key, Time: at, NextCheck: at.Add(time.Hour),
		State: alf.State{Status: status, Type: kind, Attempt: attempt, MaxAttempts: 3, Output: output, LastCheck: at, LastChange: at, LastHardChange: at},
		Result: &alf.Result{Status: status, ReturnCode: int(status), Output: output, Command: "check_disk -w <secret>",
			Start: at.Add(-1500 * time.Millisecond), End: at},
	}
}

// office has a critical disk, a load that is being retried, a stale mailer and
// a printer that was never checked.
func office(t testing.TB) web.Options {
	now := time.Now()
	host := &alf.Host{Name: "web1"}
	own := &alf.Service{Key: alf.Key{Host: "web1"}, Host: host, Builtin: alf.CheckSSH, MaxAttempts: 3}
	disk, load, mail, printer := service(host, "disk /"), service(host, "load"), service(host, "mail"), service(host, "printer")
	critical := result(disk.Key, alf.Critical, alf.Hard, 3, now.Add(-65*time.Minute), "DISK CRITICAL - 1% <free>")
	critical.Result.LongOutput = "first\nsecond"
	critical.Result.Perfdata, _ = perfdata.Parse("/=99%;80;@90:100;0;100 used=U")
	critical.Result.PerfdataErrors = []string{"no number in \"x\""}
	critical.Result.Stderr = "cannot stat"
	stale := result(mail.Key, alf.OK, alf.Hard, 1, now.Add(-50*time.Hour), "no route to host")
	stale.State.Stale = alf.Stale{Cause: alf.CauseTransport, Since: now.Add(-30 * time.Second), Output: "no route to host"}
	return open(t, alf.NewInventory([]*alf.Host{host}, []*alf.Service{own, disk, load, mail, printer}),
		result(own.Key, alf.Up, alf.Hard, 1, now, "connected"),
		result(disk.Key, alf.OK, alf.Hard, 1, now.Add(-70*time.Minute), "DISK OK"),
		critical,
		result(load.Key, alf.Warning, alf.Soft, 2, now, "load 9"),
		stale,
	)
}

func contains(t *testing.T, page string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(page, w) {
			t.Errorf("the page has no %q:\n%s", w, page)
		}
	}
}

func lacks(t *testing.T, page string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(page, w) {
			t.Errorf("the page has %q:\n%s", w, page)
		}
	}
}

func TestOverview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := office(t)
		page := get(t, o, "/", 200)
		contains(t, page, "<title>1 problem – Alf</title>",
			`<span class="state s-critical">CRITICAL</span>`, "DISK CRITICAL - 1% &lt;free&gt;", `href="/services/web1/disk%20%2F"`, ">1h 5m</time>",
			`<span class="note">SOFT 2/3</span>`, "stale: transport", "PENDING",
			`aria-label="last results, oldest first: 1 OK, 1 CRITICAL"`, `aria-label="last results, oldest first: 1 no answer"`,
			"alf problems", "says what is wrong", "/etc/alf/conf.d", `href="/metrics"`, `href="/api/v1/status?format=json"`, "Page 1 of 1, 5 hosts and services")
		if critical, warning := strings.Index(page, "DISK CRITICAL"), strings.Index(page, "load 9"); critical > warning {
			t.Error("a warning stands above what is critical")
		}
		lacks(t, page, "<script", "http-equiv", "style=")
	})
}

func TestNothingWrong(t *testing.T) {
	host := &alf.Host{Name: "web1"}
	page := get(t, open(t, alf.NewInventory([]*alf.Host{host}, nil)), "/", 200)
	contains(t, page, "<p>None.</p>", "UP", "web1")
	page = get(t, open(t, alf.NewInventory(nil, nil)), "/", 200)
	contains(t, page, "no host is configured", "alf problems")
}

func TestFilter(t *testing.T) {
	o := office(t)
	f := func(query, want, not string) {
		t.Helper()
		page := get(t, o, "/?"+query, 200)
		contains(t, page, want, "show all")
		lacks(t, page, not)
	}
	f("q=LOAD", "load 9", "DISK CRITICAL")
	f("status=critical", "DISK CRITICAL", "load 9")
	f("stale=true", "no route to host", "DISK CRITICAL")
	f("q=nowhere", "None that this filter shows", "DISK CRITICAL")
	f("q=%22%3E%3Cb%3E", `value="&#34;&gt;&lt;b&gt;"`, "<b>&#34;")
	for _, query := range []string{"colour=red", "status=bad", "page=0", "page=x", "refresh=x", "refresh=-1"} {
		contains(t, get(t, o, "/?"+query, 400), "Bad Request", query[strings.IndexByte(query, '=')-3:strings.IndexByte(query, '=')])
	}
}

func TestRefresh(t *testing.T) {
	o := office(t)
	contains(t, get(t, o, "/?refresh=10&q=load", 200), `<meta http-equiv="refresh" content="10">`, `href="?q=load&amp;refresh=0"`)
	o.Refresh = 30 * time.Second
	contains(t, get(t, o, "/", 200), `content="30"`)
	lacks(t, get(t, o, "/?refresh=0", 200), "http-equiv")
}

func TestService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := get(t, office(t), "/services/web1/disk%20%2F", 200)
		contains(t, page, "<title>CRITICAL disk / on web1 – Alf</title>", `<a href="/hosts/web1">web1</a>`,
			"DISK CRITICAL - 1% &lt;free&gt;\nfirst\nsecond</pre>", "HARD 3/3", "return code 2", "1.500 s",
			"<code>check_disk -w &lt;secret&gt;</code>", `<td>99</td><td>%</td><td data-of="warning">80</td><td data-of="critical">@90:100</td><td data-of="minimum">0</td><td data-of="maximum">100</td>`,
			"<td>unknown</td>", "Not read: no number in", "cannot stat", "1h 5m", `href="https://wiki/disk"`,
			"alf check web1 &#39;disk /&#39;", "DISK OK", `href="/api/v1/services/web1/disk%20%2F?format=xml"`)
	})
}

// TestProblemsLinkToHosts: from a problem one gets to its host, too.
func TestProblemsLinkToHosts(t *testing.T) {
	page := get(t, office(t), "/", 200)
	contains(t, page, `<td class="name"><a href="/hosts/web1">web1</a></td>
<th scope="row" class="name"><a href="/services/web1/disk%20%2F">disk /</a></th>`)
}

func TestHost(t *testing.T) {
	page := get(t, office(t), "/hosts/web1", 200)
	contains(t, page, "UP", "connected", "DISK CRITICAL", "PENDING", "alf status web1")
}

// TestChanges: below the last results stands what the log has from before them.
func TestChanges(t *testing.T) {
	host := &alf.Host{Name: "web1"}
	s := service(host, "load")
	var events []*alf.Event
	for i := range 25 {
		e := result(s.Key, alf.Warning, alf.Soft, 1, time.Now(), fmt.Sprintf("load <%d>", i))
		e.Change = alf.ChangeStatus
		events = append(events, e)
	}
	events = append(events, &alf.Event{Key: s.Key, Time: time.Now(), Kind: alf.KindCommand, Author: "alice", Text: "recheck"})
	o := open(t, alf.NewInventory([]*alf.Host{host}, []*alf.Service{s}), events...)
	o.History = 1
	page := get(t, o, "/services/web1/load", 200)
	contains(t, page, "<h2>What changed</h2>", `<td class="output">recheck (alice)</td>`, "load &lt;24&gt;", "load &lt;6&gt;")
	lacks(t, page, "load &lt;5&gt;", "SOFT 0/0")
	lacks(t, get(t, o, "/hosts/web1", 200), "What changed")
}

// TestChangesByTime: what time did is told in the words of the state.
func TestChangesByTime(t *testing.T) {
	s, now := service(&alf.Host{Name: "web1"}, "load"), time.Now()
	missing := result(s.Key, alf.Unknown, alf.Soft, 1, now, "No result for 10s")
	missing.Kind, missing.Change, missing.State.LastCheck = alf.KindTick, alf.ChangeStatus, now
	late := result(s.Key, alf.Unknown, alf.Soft, 1, now.Add(1), "No result for 10s")
	late.Kind, late.Change, late.State.LastCheck = alf.KindTick, alf.ChangeStale, now
	late.State.Stale = alf.Stale{Cause: alf.CauseLate, Since: now, Output: "not checked for long"}
	page := get(t, open(t, alf.NewInventory([]*alf.Host{s.Host}, []*alf.Service{s}), missing, late), "/services/web1/load", 200)
	contains(t, page, `<td class="output">No result for 10s</td>`, `<td class="output">not checked for long</td>`)
}

func TestPending(t *testing.T) {
	contains(t, get(t, office(t), "/services/web1/printer", 200), "PENDING", "There is no result yet.")
}

func TestStale(t *testing.T) {
	contains(t, get(t, office(t), "/services/web1/mail", 200), "Nothing new is known since", "transport", "no answer")
}

func TestNotFound(t *testing.T) {
	o := office(t)
	for _, path := range []string{"/nothing", "/hosts/web9", "/services/web1/nope", "/static/", "/static/other.css"} {
		contains(t, get(t, o, path, 404), "<h1>Not Found</h1>", `<a href="/">`)
	}
}

func TestNotesLinkIsSafe(t *testing.T) {
	host := &alf.Host{Name: "web1", NotesURL: "javascript:alert(1)"}
	lacks(t, get(t, open(t, alf.NewInventory([]*alf.Host{host}, nil)), "/hosts/web1", 200), "javascript:")
}

func TestHostile(t *testing.T) {
	for _, c := range hostile.Outputs() {
		t.Run(c.Name, func(t *testing.T) {
			host := &alf.Host{Name: "h"}
			s := service(host, "s")
			e := result(s.Key, alf.Critical, alf.Hard, 3, time.Now(), c.Text)
			e.Result.LongOutput, e.Result.Stderr, e.Result.Command, e.Result.Signal = c.Text, c.Text, c.Text, c.Text
			e.Result.Perfdata = []perfdata.Datum{{Label: c.Text, UOM: c.Text}}
			e.Result.PerfdataErrors = []string{c.Text}
			e.State.Stale = alf.Stale{Cause: alf.CauseConfig, Since: time.Now(), Output: c.Text}
			e.Change = alf.ChangeStatus
			order := &alf.Event{Key: s.Key, Time: time.Now(), Kind: alf.KindCommand, Author: c.Text, Text: c.Text}
			o := open(t, alf.NewInventory([]*alf.Host{host}, []*alf.Service{s}), order, e)
			for path, status := range map[string]int{"/": 200, "/services/h/s": 200, "/hosts/h": 200,
				"/" + wire.Path(alf.Key{Host: alf.HostName("x" + c.Text[:min(len(c.Text), 1000)])}): 404} {
				checkPage(t, get(t, o, path, status))
			}
		})
	}
}

func checkPage(t *testing.T, page string) {
	t.Helper()
	for what, text := range map[string]string{"the page": page, "what a browser makes of it": html.UnescapeString(page)} {
		if err := hostile.Check("html", text); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	lacks(t, page, "<script", "<img", `" onmouseover`, `href="javascript:`, "<!--")
}

// large has n services on hosts of 50 each, every 40th of them critical.
func large(t testing.TB, n int) web.Options {
	var hosts []*alf.Host
	var services []*alf.Service
	var events []*alf.Event
	for i := range n {
		if i%50 == 0 {
			hosts = append(hosts, &alf.Host{Name: alf.HostName(fmt.Sprintf("host%04d", i/50))})
		}
		s := service(hosts[len(hosts)-1], alf.ServiceName(fmt.Sprintf("service %02d", i%50)))
		services = append(services, s)
		status := alf.OK
		if i%40 == 0 {
			status = alf.Critical
		}
		for range 20 {
			events = append(events, result(s.Key, status, alf.Hard, 3, time.Now(), "all is as it is"))
		}
	}
	return open(t, alf.NewInventory(hosts, services), events...)
}

func TestPaging(t *testing.T) {
	o := large(t, 5000)
	start := time.Now()
	page := get(t, o, "/", 200)
	if took := time.Since(start); took > time.Second {
		t.Errorf("the page took %v, want less than a second", took)
	}
	contains(t, page, "Page 1 of 51, 5100 hosts and services", `<a href="?page=2" rel="next">`, "And 75 more:", `<a href="?problems=true">`)
	lacks(t, page, `rel="prev"`)

	page = get(t, o, "/?page=2&problems=true", 200)
	contains(t, page, "Page 2 of 2", `<a href="?page=1&amp;problems=true" rel="prev">`)
	lacks(t, page, `rel="next"`, "<h1>Problems</h1>")

	page = get(t, o, "/?page=3", 200) // begins among the services of a host
	contains(t, page, "host0003")
	contains(t, get(t, o, "/?page=99999", 200), "Page 51 of 51")
}

func BenchmarkOverview(b *testing.B) {
	for _, n := range []int{5000, 100_000} {
		o := large(b, n)
		for _, path := range []string{"/", "/?page=20", "/?q=nowhere", "/hosts/host0050"} {
			b.Run(fmt.Sprintf("%d%s", n, path), func(b *testing.B) {
				for b.Loop() {
					get(b, o, path, 200)
				}
			})
		}
	}
}

func TestStyleSheet(t *testing.T) {
	o := office(t)
	page := get(t, o, "/", 200)
	_, after, _ := strings.Cut(page, `<link rel="stylesheet" href="`)
	link, _, _ := strings.Cut(after, `"`)
	w := httptest.NewRecorder()
	web.New(o).ServeHTTP(w, httptest.NewRequest("GET", link, nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("GET %s = %d, %v", link, w.Code, w.Header())
	}
}
