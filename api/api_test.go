package api_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"alf"
	"alf/api"
	"alf/perfdata"
	"alf/state/memory"
	"alf/state/view"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// house is an Alf without a checker: what is ordered is carried out at once.
type house struct {
	options api.Options
	record  *memory.Record
	view    *view.View

	mu       sync.Mutex
	orders   []alf.Command
	ready    error
	levels   map[string]slog.Level
	reloaded error
	forced   bool
}

func open(t testing.TB, inventory *alf.Inventory, events ...*alf.Event) *house {
	t.Helper()
	h := &house{record: memory.New(memory.Options{}), view: view.New(), levels: map[string]slog.Level{"api": slog.LevelInfo}}
	if err := h.record.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if err := h.view.Load(t.Context(), h.record); err != nil {
		t.Fatal(err)
	}
	h.options = api.Options{
		View: h.view, Reader: h.record, Past: h.record, Inventory: func() *alf.Inventory { return inventory },
		Submit: h.submit, Reload: func(_ context.Context, o api.ReloadOrder) error { h.forced = o.Force; return h.reloaded }, Ready: func() error { return h.ready },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "alf_build_info 1\n") }),
		Levels:  h, Version: "1.2.3", Started: epoch, Log: slog.New(slog.DiscardHandler),
	}
	return h
}

func (h *house) submit(ctx context.Context, c alf.Command) (alf.ID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orders = append(h.orders, c)
	if c.Verb != alf.Submit {
		return 0, nil
	}
	status := alf.Unknown
	if c.ReturnCode < 4 {
		status = alf.Status(c.ReturnCode)
	}
	e := &alf.Event{Time: c.Time, Key: c.Key, Kind: alf.KindResult, Result: &alf.Result{Status: status, Output: c.Output},
		State: alf.State{Status: status, Type: alf.Hard, Attempt: 1, MaxAttempts: 1, LastCheck: c.Time}}
	err := h.record.Append(ctx, []*alf.Event{e})
	return e.ID, err
}

// follow lets the view learn what is appended until the test ends.
func (h *house) follow(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.view.Run(ctx, h.record) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (h *house) Levels() map[string]slog.Level { return h.levels }

func (h *house) SetLevel(room, level string) error {
	if _, ok := h.levels[room]; !ok {
		return errors.New("there is no room " + room)
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return err
	}
	h.levels[room] = l
	return nil
}

// get asks Public, whose answer must have that status, with pairs of headers.
func (h *house) get(t testing.TB, path string, status int, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, api.New(h.options).Public(), request("GET", path, "", headers...), status)
}

func request(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://localhost:5690"+path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func ask(t testing.TB, to http.Handler, r *http.Request, status int) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	to.ServeHTTP(w, r)
	if w.Code != status {
		t.Errorf("%s %s = %d, want %d: %s", r.Method, r.URL, w.Code, status, w.Body)
	}
	return w
}

// both asks for path as JSON and as XML and returns what each decodes to.
func both[T any](t *testing.T, h *house, path string) (asJSON, asXML T) {
	t.Helper()
	body := h.get(t, path, 200).Body
	if err := json.Unmarshal(body.Bytes(), &asJSON); err != nil {
		t.Errorf("GET %s: %v in %s", path, err, body)
	}
	w := h.get(t, path, 200, "Accept", "application/xml")
	if err := xml.Unmarshal(w.Body.Bytes(), &asXML); err != nil {
		t.Errorf("GET %s as XML: %v in %s", path, err, w.Body)
	}
	if media := w.Header().Get("Content-Type"); media != "application/xml" {
		t.Errorf("GET %s as XML has the type %q", path, media)
	}
	xmllint(t, w.Body.String())
	return asJSON, asXML
}

// xmllint lets another program say whether text is well-formed XML.
func xmllint(t testing.TB, text string) {
	t.Helper()
	program, err := exec.LookPath("xmllint")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("xmllint (libxml2-utils) is not installed")
		}
		return
	}
	c := exec.Command(program, "--noout", "--nonet", "--huge", "-")
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("xmllint: %v: %s", err, out)
	}
}

func ssh(h *alf.Host) *alf.Service {
	return &alf.Service{Key: alf.Key{Host: h.Name}, Host: h, Builtin: alf.CheckSSH, MaxAttempts: 3}
}

func service(h *alf.Host, name alf.ServiceName, check string) *alf.Service {
	return &alf.Service{Key: alf.Key{Host: h.Name, Service: name}, Host: h, Check: check, MaxAttempts: 3,
		Metric: check, NotesURL: "https://wiki/" + check, BadExitStatus: alf.Unknown}
}

func result(key alf.Key, status alf.Status, kind alf.StateType, attempt int, at time.Time, output string) *alf.Event {
	return &alf.Event{
		Time: at, Key: key, Kind: alf.KindResult, Change: alf.ChangeStatus | alf.ChangeType,
		State: alf.State{Status: status, Type: kind, Attempt: attempt, MaxAttempts: 3, Output: output, LastCheck: at, LastChange: at},
		Result: &alf.Result{Status: status, ReturnCode: int(status), Output: output, Command: "check_it -w 10",
			Due: at.Add(-3 * time.Second), Start: at.Add(-2 * time.Second), End: at},
		NextCheck: at.Add(time.Minute),
	}
}

// office is two hosts: web1 has a critical disk, a load that is fine and a
// passive backup of which nothing is known; db1 is down, its load is stale and
// its name is hard on paths.
func office(t testing.TB) *house {
	web := &alf.Host{Name: "web1", Alias: "shop", Address: "10.0.0.7", Hostgroups: []string{"web", "paris"}, NotesURL: "https://wiki/web1"}
	db := &alf.Host{Name: "db1", Address: "db1", Hostgroups: []string{"paris"}}
	disk, load, backup := service(web, "disk /", "disk"), service(web, "load", "load"), service(web, "backup", "backup")
	backup.Passive = true
	odd, dbLoad := service(db, "a/b?c#d%2F e;ü", "odd"), service(db, "load", "load")
	inventory := alf.NewInventory([]*alf.Host{web, db}, []*alf.Service{ssh(web), ssh(db), disk, load, backup, odd, dbLoad})

	critical := result(disk.Key, alf.Critical, alf.Hard, 3, epoch.Add(2*time.Minute), "DISK CRITICAL - free space: / 1%")
	critical.State.LastHardChange = critical.Time
	critical.Result.LongOutput = "first\nsecond"
	critical.Result.Perfdata, _ = perfdata.Parse("/=99%;80;@90:100;0;100 used=U")
	stale := result(dbLoad.Key, alf.OK, alf.Hard, 1, epoch.Add(4*time.Minute), "dial db1:22: timed out")
	stale.State.Stale = alf.Stale{Cause: alf.CauseTransport, Since: epoch.Add(4 * time.Minute), Output: "dial db1:22: timed out"}
	return open(t, inventory,
		result(disk.Key, alf.OK, alf.Hard, 1, epoch, "DISK OK"),
		critical,
		result(load.Key, alf.OK, alf.Hard, 1, epoch, "OK - load average: 0.1"),
		result(alf.Key{Host: "web1"}, alf.Up, alf.Hard, 1, epoch, "connected"),
		result(alf.Key{Host: "db1"}, alf.Down, alf.Hard, 3, epoch.Add(3*time.Minute), "dial db1:22: timed out"),
		stale,
		result(odd.Key, alf.Warning, alf.Soft, 2, epoch.Add(time.Minute), "odd"),
	)
}
