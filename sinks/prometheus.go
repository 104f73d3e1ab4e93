// Package sinks writes events in the formats of other systems.
package sinks

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"iter"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"alf"
	"alf/internal/sanitize"
	"alf/perfdata"
)

// Prometheus serves /metrics: the state of every service, its perfdata, and how
// Alf itself is doing. As a sink it counts the checks.
//
// Alf's own metrics come from a registry. The families with a series per
// service are written directly from the heads: gathering 300,000 of them
// through a registry takes a second and 700 MB.
type Prometheus struct {
	heads    func() iter.Seq[*alf.Event]
	registry *prometheus.Registry
	scratch  sync.Pool // of *exposition

	checks     *prometheus.CounterVec
	rejected   prometheus.Counter
	duplicates prometheus.Counter
	capped     prometheus.Counter
	latency    prometheus.Histogram
	duration   prometheus.Histogram
}

var _ alf.Sink = (*Prometheus)(nil)

// NewPrometheus returns a Prometheus that shows the newest events, which heads
// yields, and the version of Alf.
func NewPrometheus(version string, heads func() iter.Seq[*alf.Event]) *Prometheus {
	p := &Prometheus{
		heads:    heads,
		registry: prometheus.NewRegistry(),
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "alf_checks_total",
			Help: "Results that were recorded, by status, by the cause of the answer or of its absence, and by source."},
			[]string{"status", "cause", "source"}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{Name: "alf_perfdata_rejected_total",
			Help: "Pieces of perfdata that could not be read."}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{Name: "alf_perfdata_duplicates_total",
			Help: "Perfdata items whose label was already there in the same output; only the first is exported."}),
		capped: prometheus.NewCounter(prometheus.CounterOpts{Name: "alf_perfdata_capped_total",
			Help: "Perfdata items that are not exported because their output had more than 500."}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "alf_check_latency_seconds",
			Help:    "How late checks started.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 30, 60, 300}}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "alf_check_duration_seconds",
			Help:    "How long plugins ran.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "alf_build_info", Help: "1, with the version of Alf and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	p.registry.MustRegister(p.checks, p.rejected, p.duplicates, p.capped, p.latency, p.duration, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return p
}

// Gauge adds a metric that f is asked for at every scrape.
func (p *Prometheus) Gauge(name, help string, f func() float64) {
	p.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// Counter adds a metric that only rises, which f is asked for at every scrape.
func (p *Prometheus) Counter(name, help string, f func() float64) {
	p.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
}

// GaugeBy adds a metric with a series for each key of what f returns; label is
// the name of that label.
func (p *Prometheus) GaugeBy(name, help, label string, f func() map[string]float64) {
	p.registry.MustRegister(byLabel{prometheus.NewDesc(name, help, []string{label}, nil), prometheus.GaugeValue, f})
}

// CounterBy is GaugeBy for a metric that only rises.
func (p *Prometheus) CounterBy(name, help, label string, f func() map[string]float64) {
	p.registry.MustRegister(byLabel{prometheus.NewDesc(name, help, []string{label}, nil), prometheus.CounterValue, f})
}

// Distribution is how often something was how large.
type Distribution struct {
	Count  uint64
	Sum    float64
	AtMost map[float64]uint64 // by upper bound, which are always the same: how often it was no larger
}

// Histogram adds a histogram that f is asked for at every scrape.
func (p *Prometheus) Histogram(name, help string, f func() Distribution) {
	p.registry.MustRegister(distribution{prometheus.NewDesc(name, help, nil, nil), f})
}

type distribution struct {
	desc *prometheus.Desc
	now  func() Distribution
}

// Describe implements prometheus.Collector.
func (d distribution) Describe(to chan<- *prometheus.Desc) { to <- d.desc }

// Collect implements prometheus.Collector.
func (d distribution) Collect(to chan<- prometheus.Metric) {
	now := d.now()
	to <- prometheus.MustNewConstHistogram(d.desc, now.Count, now.Sum, now.AtMost)
}

type byLabel struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	values func() map[string]float64
}

// Describe implements prometheus.Collector.
func (b byLabel) Describe(to chan<- *prometheus.Desc) { to <- b.desc }

// Collect implements prometheus.Collector.
func (b byLabel) Collect(to chan<- prometheus.Metric) {
	for value, n := range b.values() {
		to <- prometheus.MustNewConstMetric(b.desc, b.kind, n, value)
	}
}

// Write implements alf.Sink. It never fails.
func (p *Prometheus) Write(_ context.Context, events []*alf.Event) error {
	for _, e := range events {
		if e.Kind == alf.KindResult && e.Result != nil {
			p.count(e)
		}
	}
	return nil
}

func (p *Prometheus) count(e *alf.Event) {
	r := e.Result
	p.checks.WithLabelValues(strings.ToLower(r.Status.String()), r.Cause.String(), r.Source.String()).Inc()
	p.rejected.Add(float64(len(r.PerfdataErrors)))
	data := exported(r.Perfdata)
	p.capped.Add(float64(len(r.Perfdata) - len(data)))
	p.duplicates.Add(float64(len(repeats(data))))
	if r.Source == alf.Active && r.Cause.Judges() {
		p.latency.Observe(r.Latency().Seconds())
		p.duration.Observe(r.Duration().Seconds())
	}
}

// ServeHTTP answers in the text format, version 0.0.4.
func (p *Prometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	own, err := p.registry.Gather()
	if err != nil {
		http.Error(w, "gather: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if r.Method == http.MethodHead {
		return
	}
	var to io.Writer = w
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		defer z.Close()
		to = z
	}
	// An error from here on is that of a reader who went away.
	encoder := expfmt.NewEncoder(to, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range own {
		if encoder.Encode(family) != nil {
			return
		}
	}
	out := bufio.NewWriterSize(to, 64<<10)
	if p.WriteServices(out) == nil {
		out.Flush()
	}
}

// WriteServices writes the families that have a series per host, service or
// perfdata item, until w fails. Keys that are pending have none.
func (p *Prometheus) WriteServices(w *bufio.Writer) error {
	x, _ := p.scratch.Get().(*exposition)
	if x == nil {
		x = new(exposition)
	}
	defer p.scratch.Put(x)
	defer x.reset()
	x.w = w
	// The first family, which nearly every item has a value for, is written
	// while the event is at hand.
	x.header(perfdataFamilies[0].name, perfdataFamilies[0].help)
	for e := range p.heads() {
		if e.State.Pending() && e.State.Stale.IsZero() {
			continue
		}
		x.add(e)
		x.items(0, &x.heads[len(x.heads)-1])
		if x.err != nil {
			return x.err
		}
	}
	for _, f := range families {
		x.family(f)
	}
	for n := range perfdataFamilies[1:] {
		x.perfdata(n + 1)
	}
	return x.err
}

// family is one metric with at most one series per key.
type family struct {
	name, help string
	host       bool // of hosts, else of services
	pending    bool // also for keys that no result has judged
	value      func(*head) float64
}

var families = []family{
	{"alf_host_state", "State of the host: 0 UP, 1 DOWN, 2 UNREACHABLE.", true, false, status},
	{"alf_host_stale", "1 while nothing new is known of the host, else 0.", true, true, staleness},
	{"alf_host_acknowledged", "1 while a problem of the host is acknowledged, else 0.", true, false, acknowledged},
	{"alf_host_downtime_depth", "How many downtimes of the host are in effect.", true, true, downtimes},
	{"alf_host_flapping", "1 while the host is flapping, else 0.", true, false, flapping},
	{"alf_host_last_check_timestamp_seconds", "When the host was last judged.", true, false, lastCheck},
	{"alf_service_state", "State of the service: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.", false, false, status},
	{"alf_service_state_type", "0 while the state is SOFT, 1 when it is HARD.", false, false,
		func(h *head) float64 { return float64(h.kind) }},
	{"alf_service_attempt", "Check attempt, from 1 to max_check_attempts.", false, false,
		func(h *head) float64 { return float64(h.attempt) }},
	{"alf_service_stale", "1 while nothing new is known of the service, else 0.", false, true, staleness},
	{"alf_service_acknowledged", "1 while a problem of the service is acknowledged, else 0.", false, false, acknowledged},
	{"alf_service_downtime_depth", "How many downtimes of the service are in effect, those of its host not counted.", false, true, downtimes},
	{"alf_service_flapping", "1 while the service is flapping, else 0.", false, false, flapping},
	{"alf_service_last_check_timestamp_seconds", "When the service was last judged.", false, false, lastCheck},
}

func status(h *head) float64       { return float64(h.status) }
func staleness(h *head) float64    { return yes(h.stale) }
func acknowledged(h *head) float64 { return yes(h.acknowledged) }
func downtimes(h *head) float64    { return float64(h.downtimes) }
func flapping(h *head) float64     { return yes(h.flapping) }
func lastCheck(h *head) float64    { return h.lastCheck }

func yes(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// perfdataFamily is one metric with at most one series per perfdata item.
type perfdataFamily struct {
	name, help string
	value      func(*perfdata.Datum) (float64, bool)
}

var perfdataFamilies = []perfdataFamily{
	{"alf_perfdata_value", "Value of a perfdata item, in base units.",
		func(d *perfdata.Datum) (float64, bool) { return d.Value.V, d.Value.Set }},
	{"alf_perfdata_warn", "Upper end of the warning range, or its lower end if it has no upper one.",
		func(d *perfdata.Datum) (float64, bool) { return bound(d.Warn) }},
	{"alf_perfdata_crit", "Upper end of the critical range, or its lower end if it has no upper one.",
		func(d *perfdata.Datum) (float64, bool) { return bound(d.Crit) }},
	{"alf_perfdata_min", "Least possible value of a perfdata item.",
		func(d *perfdata.Datum) (float64, bool) { return d.Min.V, d.Min.Set }},
	{"alf_perfdata_max", "Greatest possible value of a perfdata item.",
		func(d *perfdata.Datum) (float64, bool) { return d.Max.V, d.Max.Set }},
}

// bound returns the end of a range that a single line in a graph stands for.
func bound(r perfdata.Range) (float64, bool) {
	switch {
	case !r.Set:
	case !math.IsInf(r.End, 0):
		return r.End, true
	case !math.IsInf(r.Start, 0):
		return r.Start, true
	}
	return 0, false
}

// maxItems bounds the series that one service can make.
const maxItems = 500

// exported returns the items that are exported, repeated ones included.
func exported(data []perfdata.Datum) []perfdata.Datum { return data[:min(len(data), maxItems)] }

// repeats returns the indices of the items that an earlier one has the label of,
// as it is written.
func repeats(data []perfdata.Datum) []int {
	var out []int
	seen := make(map[string]bool) // without a size: a small one needs no allocation
	for i := range data {
		label := sanitize.Label(data[i].Label)
		if seen[label] {
			out = append(out, i)
			continue
		}
		seen[label] = true
	}
	return out
}

// having returns which families an item has a value for: bit n is that of
// perfdataFamilies[n].
func having(data []perfdata.Datum) (has uint) {
	for i := range data {
		for n, f := range perfdataFamilies {
			if _, ok := f.value(&data[i]); ok {
				has |= 1 << n
			}
		}
	}
	return has
}

// exposition writes the text format, and nothing more after an error.
//
// The format wants family after family, and the events lie all over the memory,
// so that coming back to them is what takes time. Each is therefore read once,
// but for the perfdata items that a later family has values for. What is kept
// grows with the keys, not with the items, of which there may be far more.
type exposition struct {
	w     *bufio.Writer
	err   error
	heads []head
	names []byte // the labels of all heads, one after the other
	line  []byte
	base  perfdata.Datum // the item in hand
}

// head is of an event what the families need.
type head struct {
	host, pending, stale   bool
	acknowledged, flapping bool
	status                 alf.Status
	kind                   alf.StateType
	attempt, downtimes     int
	lastCheck              float64

	from, command, to int              // where in names its labels stand, those of its key first
	data              []perfdata.Datum // of a result that judged
	repeats           []int            // indices in data
	has               uint             // bit n: an item has a value for perfdataFamilies[n]
}

// reset keeps nothing but the room.
func (x *exposition) reset() {
	clear(x.heads) // so that the events can go
	*x = exposition{heads: x.heads[:0], names: x.names[:0], line: x.line}
}

// add keeps what the families need of e.
func (x *exposition) add(e *alf.Event) {
	h := head{
		host: e.Key.IsHost(), pending: e.State.Pending(), stale: !e.State.Stale.IsZero(),
		status: e.State.Status, kind: e.State.Type, attempt: e.State.Attempt, lastCheck: Timestamp(e.State.LastCheck),
		acknowledged: e.State.Ack != nil, downtimes: e.State.DowntimeDepth(), flapping: e.State.Flap.On,
	}
	h.from = len(x.names)
	x.names = appendLabel(x.names, `host="`, string(e.Key.Host))
	if !h.host {
		x.names = appendLabel(x.names, `,service="`, string(e.Key.Service))
	}
	h.command = len(x.names)
	if e.Result != nil && e.Result.Cause.Judges() {
		h.data = exported(e.Result.Perfdata)
		h.repeats = repeats(h.data)
		h.has = having(h.data)
		x.names = appendLabel(x.names, `,command="`, e.Result.Metric)
	}
	h.to = len(x.names)
	x.heads = append(x.heads, h)
}

func (x *exposition) family(f family) {
	x.header(f.name, f.help)
	for i := range x.heads {
		h := &x.heads[i]
		if h.host != f.host || h.pending && !f.pending {
			continue
		}
		x.begin(f.name, x.names[h.from:h.command])
		x.value(f.value(h))
		if x.err != nil {
			return
		}
	}
}

func (x *exposition) perfdata(n int) {
	f := perfdataFamilies[n]
	x.header(f.name, f.help)
	for i := range x.heads {
		x.items(n, &x.heads[i])
		if x.err != nil {
			return
		}
	}
}

// items writes the items of h that perfdataFamilies[n] has a value for.
func (x *exposition) items(n int, h *head) {
	if h.has&(1<<n) == 0 {
		return
	}
	f := perfdataFamilies[n]
	x.begin(f.name, x.names[h.from:h.to])
	same, repeats := len(x.line), h.repeats
	for i := range h.data {
		if len(repeats) > 0 && repeats[0] == i {
			repeats = repeats[1:]
			continue
		}
		if _, ok := f.value(&h.data[i]); !ok {
			continue // before it is scaled, which most families can do without
		}
		x.base = h.data[i].Base()
		v, ok := f.value(&x.base)
		if !ok {
			continue
		}
		x.line = appendLabel(x.line[:same], `,label="`, x.base.Label)
		x.line = appendLabel(x.line, `,unit="`, x.base.UOM)
		x.value(v)
	}
}

func (x *exposition) header(name, help string) {
	if x.err == nil {
		_, x.err = x.w.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " gauge\n")
	}
}

// begin begins a line with labels, its braces left open.
func (x *exposition) begin(name string, labels []byte) {
	x.line = append(x.line[:0], name...)
	x.line = append(x.line, '{')
	x.line = append(x.line, labels...)
}

func appendLabel(to []byte, name, value string) []byte {
	to = append(to, name...)
	to = sanitize.AppendLabel(to, value)
	return append(to, '"')
}

// value ends the line.
func (x *exposition) value(v float64) {
	x.line = append(x.line, `} `...)
	x.line = strconv.AppendFloat(x.line, v, 'g', -1, 64)
	x.line = append(x.line, '\n')
	_, x.err = x.w.Write(x.line)
}

// Timestamp returns t as a metric has it, 0 for never.
func Timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
