package sinks_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"alf"
	"alf/internal/sanitize/hostile"
	"alf/perfdata"
	"alf/sinks"
)

func event(host, service, data string) *alf.Event {
	at := time.Unix(1_700_000_000, 500e6)
	parsed, _ := perfdata.Parse(data)
	return &alf.Event{
		Key: alf.Key{Host: alf.HostName(host), Service: alf.ServiceName(service)}, Time: at, Kind: alf.KindResult,
		State:  alf.State{Status: alf.Critical, Type: alf.Hard, Attempt: 3, MaxAttempts: 3, LastCheck: at},
		Result: &alf.Result{Status: alf.Critical, Metric: "disk", Perfdata: parsed, Start: at.Add(-time.Second), End: at},
	}
}

func page(t testing.TB, p *sinks.Prometheus) string {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func of(events ...*alf.Event) *sinks.Prometheus {
	return sinks.NewPrometheus("1.2.3", func() iter.Seq[*alf.Event] { return slices.Values(events) })
}

func TestSeries(t *testing.T) {
	down := event("db1", "", "")
	down.State.Status = alf.Down
	pending := event("web1", "never", "")
	pending.State = alf.State{}
	stale := event("web1", "lost", "used=1")
	stale.State.Stale = alf.Stale{Cause: alf.CauseTransport, Since: time.Now()}
	stale.Result.Cause = alf.CauseTransport
	never := event("web1", "never reached", "")
	never.State = alf.State{Stale: stale.State.Stale}
	never.Result.Cause = alf.CauseTransport
	got := page(t, of(down, pending, stale, never,
		event("web1", "disk /", "/=5KB;~:8;@9:10;0;12 time=12ms;10:;:20 rate=U c=7c /=9KB")))
	for _, want := range []string{
		`alf_host_state{host="db1"} 1`,
		`alf_host_last_check_timestamp_seconds{host="db1"} 1.7000000005e+09`,
		`alf_service_state{host="web1",service="disk /"} 2`,
		`alf_service_state_type{host="web1",service="disk /"} 1`,
		`alf_service_attempt{host="web1",service="disk /"} 3`,
		`alf_service_stale{host="web1",service="disk /"} 0`,
		`alf_service_state{host="web1",service="lost"} 2`,
		`alf_service_stale{host="web1",service="lost"} 1`,
		`alf_service_stale{host="web1",service="never reached"} 1`,
		`alf_perfdata_value{host="web1",service="disk /",command="disk",label="/",unit="bytes"} 5000`,
		`alf_perfdata_warn{host="web1",service="disk /",command="disk",label="/",unit="bytes"} 8000`,
		`alf_perfdata_crit{host="web1",service="disk /",command="disk",label="/",unit="bytes"} 10000`,
		`alf_perfdata_min{host="web1",service="disk /",command="disk",label="/",unit="bytes"} 0`,
		`alf_perfdata_max{host="web1",service="disk /",command="disk",label="/",unit="bytes"} 12000`,
		`alf_perfdata_value{host="web1",service="disk /",command="disk",label="time",unit="seconds"} 0.012`,
		`alf_perfdata_warn{host="web1",service="disk /",command="disk",label="time",unit="seconds"} 0.01`,
		`alf_perfdata_crit{host="web1",service="disk /",command="disk",label="time",unit="seconds"} 0.02`,
		`alf_perfdata_value{host="web1",service="disk /",command="disk",label="c",unit="counter"} 7`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, not := range []string{`service="never"}`, `label="rate"`, `label="used"`, `alf_service_state{host="web1",service="never reached"}`} {
		if strings.Contains(got, not) {
			t.Errorf("the page holds %s", not)
		}
	}
	if n := strings.Count(got, `alf_perfdata_value{host="web1",service="disk /",command="disk",label="/"`); n != 1 {
		t.Errorf("a repeated label has %d series, want 1", n)
	}
	lint(t, got)
}

// TestHandling: what people and time did to a state has series of its own.
func TestHandling(t *testing.T) {
	began, waits := &alf.Downtime{Began: time.Now()}, &alf.Downtime{}
	host, disk, load, never := event("web1", "", ""), event("web1", "disk", ""), event("web1", "load", ""), event("web1", "never", "")
	host.State.Downtimes = []*alf.Downtime{began, waits, began}
	disk.State.Ack = &alf.Ack{}
	load.State.Flap.On = true
	never.State = alf.State{Stale: alf.Stale{Since: time.Now()}, Downtimes: []*alf.Downtime{began}}
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	of(host, disk, load, never).WriteServices(w)
	w.Flush()
	var got []string
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "acknowledged") || strings.Contains(line, "downtime") || strings.Contains(line, "flapping") {
			got = append(got, line)
		}
	}
	want := `# HELP alf_host_acknowledged 1 while a problem of the host is acknowledged, else 0.
# TYPE alf_host_acknowledged gauge
alf_host_acknowledged{host="web1"} 0
# HELP alf_host_downtime_depth How many downtimes of the host are in effect.
# TYPE alf_host_downtime_depth gauge
alf_host_downtime_depth{host="web1"} 2
# HELP alf_host_flapping 1 while the host is flapping, else 0.
# TYPE alf_host_flapping gauge
alf_host_flapping{host="web1"} 0
# HELP alf_service_acknowledged 1 while a problem of the service is acknowledged, else 0.
# TYPE alf_service_acknowledged gauge
alf_service_acknowledged{host="web1",service="disk"} 1
alf_service_acknowledged{host="web1",service="load"} 0
# HELP alf_service_downtime_depth How many downtimes of the service are in effect, those of its host not counted.
# TYPE alf_service_downtime_depth gauge
alf_service_downtime_depth{host="web1",service="disk"} 0
alf_service_downtime_depth{host="web1",service="load"} 0
alf_service_downtime_depth{host="web1",service="never"} 1
# HELP alf_service_flapping 1 while the service is flapping, else 0.
# TYPE alf_service_flapping gauge
alf_service_flapping{host="web1",service="disk"} 0
alf_service_flapping{host="web1",service="load"} 1
`
	if text := strings.Join(got, ""); text != want {
		t.Errorf("the page says\n%s, want\n%s", text, want)
	}
	lint(t, out.String())
}

// lint holds a page against the parser and the linter of Prometheus.
func lint(t *testing.T, page string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Errorf("lint: %v", err)
	}
	for _, p := range problems {
		t.Errorf("lint: %s: %s", p.Metric, p.Text)
	}
}

func TestCounts(t *testing.T) {
	p := of()
	p.Gauge("alf_test_things", "Things.", func() float64 { return 4 })
	p.CounterBy("alf_test_total", "Things by kind.", "kind", func() map[string]float64 { return map[string]float64{"a": 1, "b": 2} })
	late := event("web1", "disk", "a=1 a=2")
	late.Result.Due = late.Result.Start.Add(-2 * time.Second)
	late.Result.PerfdataErrors = []string{"bad", "worse"}
	lost := event("web1", "disk", "")
	lost.Result.Status, lost.Result.Cause = alf.Unknown, alf.CauseTransport
	many := event("web1", "many", strings.Repeat("x=1 ", 600))
	tick := event("web1", "disk", "")
	tick.Kind = alf.KindTick
	if err := p.Write(t.Context(), []*alf.Event{late, lost, many, tick}); err != nil {
		t.Fatal(err)
	}
	got := page(t, p)
	for _, want := range []string{
		`alf_checks_total{cause="plugin",source="active",status="critical"} 2`,
		`alf_checks_total{cause="transport",source="active",status="unknown"} 1`,
		`alf_perfdata_rejected_total 2`,
		`alf_perfdata_duplicates_total 500`,
		`alf_perfdata_capped_total 100`,
		`alf_check_latency_seconds_sum 2`,
		`alf_check_duration_seconds_count 2`,
		`alf_test_things 4`,
		`alf_test_total{kind="b"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("the page lacks %s", want)
		}
	}
	if !strings.Contains(got, `alf_build_info{goversion="go`) || !strings.Contains(got, `version="1.2.3"} 1`) {
		t.Error("the page lacks alf_build_info")
	}
	lint(t, got)
}

// TestHostileLabels: whatever a host says, every line can be read, and the
// values that come back hold nothing hostile.
func TestHostileLabels(t *testing.T) {
	for _, c := range hostile.Outputs() {
		e := event("web1", "disk", "")
		e.Result.Metric = c.Text
		e.Result.Perfdata = []perfdata.Datum{{Label: c.Text, UOM: c.Text, Value: perfdata.Number{V: 1, Set: true}}}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		of(e).WriteServices(w)
		w.Flush()
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(&out)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		for _, label := range families["alf_perfdata_value"].GetMetric()[0].GetLabel() {
			if err := hostile.Check("label", label.GetValue()); err != nil {
				t.Errorf("%s: label %s: %v", c.Name, label.GetName(), err)
			}
		}
	}
}

// TestRepeatedLabels: two labels that are written alike are one series.
func TestRepeatedLabels(t *testing.T) {
	f := func(data string, want int, labels ...string) {
		t.Helper()
		e := event("web1", "disk", data)
		p := of(e)
		got := page(t, p)
		for _, label := range labels {
			if n := strings.Count(got, `alf_perfdata_value{host="web1",service="disk",command="disk",label="`+label+`",`); n != 1 {
				t.Errorf("%q: label %s has %d series, want 1", data, label, n)
			}
		}
		if n := strings.Count(got, "alf_perfdata_value{"); n != len(labels) {
			t.Errorf("%q has %d series, want %d", data, n, len(labels))
		}
		if err := p.Write(t.Context(), []*alf.Event{e}); err != nil {
			t.Fatal(err)
		}
		if count := fmt.Sprintf("alf_perfdata_duplicates_total %d\n", want); !strings.Contains(page(t, p), count) {
			t.Errorf("%q: the page lacks %s", data, count)
		}
	}
	f("a=1 b=2 a=3 c=4 a=5 b=6", 3, "a", "b", "c")
	f("'b\x01'=1 'b\\x01'=2", 1, `b\\x01`)
	f("a=U a=2 b=1", 1, "b")
	var long strings.Builder
	for i := range 40 {
		fmt.Fprintf(&long, "x=%d y=%d ", i, i)
	}
	f(long.String(), 78, "x", "y")
}

// gone is a reader who has left.
type gone struct{}

func (gone) Header() http.Header       { return http.Header{} }
func (gone) WriteHeader(int)           {}
func (gone) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestReaderGone: for a reader who has left, nothing is worked out.
func TestReaderGone(t *testing.T) {
	events := many(5000, 1, "a%d=1 ")
	if err := of(events...).WriteServices(bufio.NewWriter(gone{})); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("WriteServices = %v, want %v", err, io.ErrClosedPipe)
	}
	p := sinks.NewPrometheus("1.2.3", func() iter.Seq[*alf.Event] {
		t.Error("the events are read")
		return slices.Values(events)
	})
	for _, encoding := range []string{"", "gzip"} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept-Encoding", encoding)
		p.ServeHTTP(gone{}, r)
	}
}

func TestGzip(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	of(event("web1", "disk", "a=1")).ServeHTTP(w, r)
	if w.Header().Get("Content-Encoding") != "gzip" || !bytes.HasPrefix(w.Body.Bytes(), []byte("\x1f\x8b")) {
		t.Errorf("headers %v", w.Header())
	}
}

// BenchmarkServices writes what a reader scrapes: first many services with a
// few perfdata items, then few with as many as are exported.
func BenchmarkServices(b *testing.B) {
	f := func(services, items int, item string) {
		b.Run(fmt.Sprintf("%dx%d%s", services, items, strings.ReplaceAll(item, "%d", "")), func(b *testing.B) {
			p := of(many(services, items, item)...)
			b.ReportAllocs()
			for b.Loop() {
				w := bufio.NewWriter(io.Discard)
				p.WriteServices(w)
				w.Flush()
			}
		})
	}
	f(100_000, 3, "time%d=0.1s ")
	f(100_000, 3, "time%d=0.1s;1;2;0;9 ")
	f(200, 500, "time%d=0.1s;1;2;0;9 ")
}

// many returns events of services with that many items each, in no order, as
// the view yields them.
func many(services, items int, item string) []*alf.Event {
	events := make([]*alf.Event, services)
	for i := range events {
		var data strings.Builder
		for n := range items {
			fmt.Fprintf(&data, item, n)
		}
		events[i] = event(fmt.Sprint("host", i/10), fmt.Sprint("service", i%10), data.String())
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events
}
