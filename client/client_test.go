package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/client"
	"alf/state/memory"
	"alf/state/view"
)

var odd = alf.Key{Host: "web1", Service: "a/b?c#d%2F e;ü"}

// levels are the log levels of one room.
type levels struct{ level slog.Level }

func (l *levels) Levels() map[string]slog.Level { return map[string]slog.Level{"api": l.level} }

func (l *levels) SetLevel(room, level string) error {
	if room != "api" {
		return errors.New("there is no room " + room)
	}
	return l.level.UnmarshalText([]byte(level))
}

// serve serves an API with one service, which is critical, on a Unix socket and
// returns its path. Orders come over the channel.
func serve(t *testing.T) (path string, orders <-chan alf.Command) {
	t.Helper()
	host := &alf.Host{Name: "web1"}
	own := &alf.Service{Key: alf.Key{Host: "web1"}, Host: host, Builtin: alf.CheckSSH, MaxAttempts: 3}
	service := &alf.Service{Key: odd, Host: host, Check: "odd", MaxAttempts: 3}
	inventory := alf.NewInventory([]*alf.Host{host}, []*alf.Service{own, service})
	record, v, taken := memory.New(memory.Options{}), view.New(), make(chan alf.Command, 1)
	event := &alf.Event{Key: odd, Time: time.Unix(1, 0), Change: alf.ChangeStatus, Result: &alf.Result{Status: alf.Critical, Output: "broken"},
		State: alf.State{Status: alf.Critical, Type: alf.Hard, Attempt: 3}}
	if err := errors.Join(record.Append(t.Context(), []*alf.Event{event}), v.Load(t.Context(), record)); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	server := api.Server(api.New(api.Options{
		View: v, Reader: record, Past: record, Inventory: func() *alf.Inventory { return inventory },
		Submit:  func(_ context.Context, c alf.Command) (alf.ID, error) { taken <- c; return 0, nil },
		Reload:  func(context.Context, api.ReloadOrder) error { return errors.New("alf.toml:3: no such key") },
		Levels:  &levels{},
		Version: "1.2.3", Log: log,
	}).Private(), log)
	path = filepath.Join(t.TempDir(), "alf.sock")
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	return path, taken
}

func TestReads(t *testing.T) {
	path, _ := serve(t)
	c := client.New(path)
	ctx := t.Context()
	if s, err := c.Status(ctx); err != nil || s.Version != "1.2.3" || s.Services.Critical != 1 {
		t.Errorf("Status = %+v, %v", s, err)
	}
	if l, err := c.Hosts(ctx, wire.Filter{}); err != nil || l.Total != 1 || l.Hosts[0].Name != "web1" {
		t.Errorf("Hosts = %+v, %v", l, err)
	}
	if h, err := c.Host(ctx, "web1"); err != nil || h.Services.Total != 1 {
		t.Errorf("Host = %+v, %v", h, err)
	}
	if l, err := c.Services(ctx, wire.Filter{States: []string{"CRITICAL"}}); err != nil || l.Total != 1 || l.Services[0].Output != "broken" {
		t.Errorf("Services = %+v, %v", l, err)
	}
	if l, err := c.Services(ctx, wire.Filter{Text: "nothing"}); err != nil || l.Total != 0 {
		t.Errorf("Services of a filter that takes in none = %+v, %v", l, err)
	}
	if s, err := c.Service(ctx, odd); err != nil || s.Key() != odd || s.State != "CRITICAL" {
		t.Errorf("Service = %+v, %v", s, err)
	}
	if l, err := c.Results(ctx, odd, 1); err != nil || len(l.Results) != 1 {
		t.Errorf("Results = %+v, %v", l, err)
	}
	if l, err := c.Events(ctx, wire.LogFilter{Host: "web1"}); err != nil || l.Total != 1 || l.Events[0].Service != string(odd.Service) {
		t.Errorf("Events = %+v, %v", l, err)
	}
	if x, err := c.Explain(ctx, odd, time.Time{}); err != nil || x.State != "CRITICAL" || len(x.Sentences) == 0 {
		t.Errorf("Explain = %+v, %v", x, err)
	}
	if x, err := c.Explain(ctx, odd, time.Unix(0, 0)); err != nil || x.State != "" {
		t.Errorf("Explain, of before = %+v, %v", x, err)
	}
	if a, err := c.Availability(ctx, wire.AvailabilityFilter{Host: "web1", From: time.Unix(0, 0)}); err != nil || len(a.Services) != 1 {
		t.Errorf("Availability = %+v, %v", a, err)
	}
	if l, err := c.Problems(ctx, wire.Filter{Soft: true}); err != nil || l.Total != 1 {
		t.Errorf("Problems = %+v, %v", l, err)
	}
}

func TestOrders(t *testing.T) {
	path, orders := serve(t)
	c := client.New(path)
	if err := c.Recheck(t.Context(), alf.Key{Host: "web1"}); err != nil {
		t.Error(err)
	} else if o := <-orders; o.Verb != alf.Recheck || o.Key.Host != "web1" {
		t.Errorf("ordered %+v, want a recheck", o)
	}
	// Nothing records it here.
	if err := c.Submit(t.Context(), odd, wire.Submission{Status: "OK", Output: "fine | a=1"}); !errors.Is(err, client.ErrWaits) {
		t.Errorf("Submit = %v, want ErrWaits", err)
	} else if o := <-orders; o.Verb != alf.Submit || o.Key != odd || o.ReturnCode != 0 || o.Output != "fine | a=1" {
		t.Errorf("ordered %+v, want the result", o)
	}
}

func TestOrder(t *testing.T) {
	path, orders := serve(t)
	c := client.New(path)
	selected := wire.Order{Order: wire.OrderDowntime, Hosts: []string{"w*"}, Services: []string{"a/*"}, ID: "move", Text: "new", Duration: wire.Duration(48 * time.Hour)}
	if out, err := c.Order(t.Context(), selected); err != nil || out.ID != "move" || out.Taken != 1 || out.Targets[0].Service != string(odd.Service) {
		t.Errorf("Order = %+v, %v", out, err)
	} else if o := <-orders; o.Verb != alf.ScheduleDowntime || o.Key != odd || o.Text != "new" || o.End.Sub(o.Start) != 48*time.Hour {
		t.Errorf("ordered %+v", o)
	}
	one := wire.Order{Order: wire.OrderAcknowledge, Sticky: true}
	if out, err := c.OrderOne(t.Context(), odd, one); err != nil || out.ID == "" || out.Taken != 1 {
		t.Errorf("OrderOne = %+v, %v", out, err)
	} else if o := <-orders; o.Verb != alf.Acknowledge || o.Key != odd || !o.Sticky || o.ID != out.ID {
		t.Errorf("ordered %+v", o)
	}
	one.DryRun = true
	if out, err := c.OrderOne(t.Context(), odd, one); err != nil || !out.DryRun || out.Taken != 1 || len(orders) != 0 {
		t.Errorf("OrderOne, only to look = %+v, %v, and %d orders", out, err, len(orders))
	}
	var e *wire.Error
	if _, err := c.Order(t.Context(), wire.Order{Order: wire.OrderRecheck}); !errors.As(err, &e) || e.Status != 400 || !strings.Contains(err.Error(), "nobody is selected") {
		t.Errorf("Order for nobody = %v", err)
	}
	if _, err := c.OrderOne(t.Context(), alf.Key{Host: "web9"}, one); !errors.As(err, &e) || e.Status != 404 {
		t.Errorf("OrderOne for a host that is not there = %v", err)
	}
}

func TestLevels(t *testing.T) {
	path, _ := serve(t)
	c := client.New(path)
	if err := c.SetLevel(t.Context(), "api", "WARN"); err != nil {
		t.Error(err)
	}
	if l, err := c.Levels(t.Context()); err != nil || len(l) != 1 || l[0].Room != "api" || l[0].Level != "WARN" {
		t.Errorf("Levels = %+v, %v", l, err)
	}
}

func TestRaw(t *testing.T) {
	path, _ := serve(t)
	body, err := client.New(path).Raw(t.Context(), "/api/v1/services?limit=1", "application/xml")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || !strings.HasPrefix(string(text), "<?xml") {
		t.Errorf("Raw = %s, %v, want XML", text, err)
	}
}

func TestProblemsAreErrors(t *testing.T) {
	path, _ := serve(t)
	c := client.New(path)
	f := func(err error, status int, want string) {
		t.Helper()
		var e *wire.Error
		if !errors.As(err, &e) || e.Status != status || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one of status %d that says %q", err, status, want)
		}
	}
	_, err := c.Host(t.Context(), "web9")
	f(err, 404, `there is no host "web9"`)
	f(c.Reload(t.Context()), 500, "alf.toml:3: no such key")
	f(c.Submit(t.Context(), odd, wire.Submission{}), 400, "return_code")
	_, err = c.Raw(t.Context(), "/api/v1/nothing", "application/xml")
	f(err, 404, "/api/v1/nothing")
}

func TestNobodyAnswers(t *testing.T) {
	f := func(addr string) {
		t.Helper()
		_, err := client.New(addr).Status(t.Context())
		if want := "no Alf answers at " + addr + ": is alf serve running?"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Status at %s = %v, want %q", addr, err, want)
		}
	}
	dir := t.TempDir()
	f(filepath.Join(dir, "missing.sock"))
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	f(stale)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp.Close()
	f("http://" + tcp.Addr().String())
}

func TestNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may use any socket")
	}
	path, _ := serve(t)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := client.New(path).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "group") {
		t.Errorf("Status = %v, want an error that says what is missing", err)
	}
}

func TestDeadline(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := client.New(server.URL).Status(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("Status = %v, want that there was no answer in time", err)
	}
}

func TestForeignServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go away", http.StatusTeapot) }))
	defer server.Close()
	_, err := client.New(server.URL).Status(t.Context())
	var e *wire.Error
	if !errors.As(err, &e) || e.Status != 418 || err.Error() != "go away" {
		t.Errorf("Status = %v, want the text of the server", err)
	}
}

// TestExportIsPatient: an export may take longer than other calls, and one that
// breaks off is no whole one.
func TestExportIsPatient(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "{}\n")
		http.NewResponseController(w).Flush()
		<-release
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	body, err := client.New(server.URL).Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	close(release)
	if text, err := io.ReadAll(body); string(text) != "{}\n" || err == nil {
		t.Errorf("the export is %q, %v, want an error behind the first line", text, err)
	}
	_, err = client.New(filepath.Join(t.TempDir(), "none.sock")).Export(t.Context())
	if !errors.Is(err, client.ErrAbsent) {
		t.Errorf("Export where nobody is = %v, want ErrAbsent", err)
	}
}

// TestRunBrokenOff: an answer that ends early is not taken for the whole.
func TestRunBrokenOff(t *testing.T) {
	f := func(answer string, want error, events int) {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
		defer server.Close()
		n := 0
		err := client.New(server.URL).Run(t.Context(), wire.Run{}, func(wire.RunEvent) error { n++; return nil })
		if !errors.Is(err, want) || n != events {
			t.Errorf("%q: %v after %d events, want %v after %d", answer, err, n, want, events)
		}
	}
	f("{\"event\":\"begin\"}\n{\"event\":\"done\"}\n", nil, 2)
	f("{\"event\":\"begin\"}\n", client.ErrBrokenOff, 1)
	f("{\"event\":\"begin\"}\n{\"event\":", client.ErrBrokenOff, 1)
}
