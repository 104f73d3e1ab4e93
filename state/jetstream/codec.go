package jetstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"alf"
	"alf/perfdata"
)

// The encoding of events: a version, then fields in a fixed order, numbers as
// varints. It is compact because it is most of what a result costs: encoding
// the same events as JSON takes three times the CPU and twice the disk.
//
// A newer Alf reads all versions up to its own. A version is raised when a
// field is added at the end of an event; each event is preceded by its length,
// so an addition needs no reader of its own beyond "if there is more".
//
// Version 2 added the author and the text; version 3 what people and time do to a
// state: acknowledgements, downtimes, comments, switches, flapping.
const version = 3

// ErrNewer is the error of reading what a newer Alf wrote.
var ErrNewer = errors.New("was written by a newer version of Alf")

var errShort = errors.New("ends in the middle of an event")

// appendBatch appends the encoding of events, the first of which has the ID
// first and the others those after it.
func appendBatch(dst []byte, first alf.ID, events []*alf.Event) []byte {
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(first))
	dst = binary.AppendUvarint(dst, uint64(len(events)))
	for _, e := range events {
		dst = appendEvent(dst, e)
	}
	return dst
}

// decodeBatch returns the events that appendBatch encoded.
func decodeBatch(data []byte) ([]*alf.Event, error) {
	d := &decoder{data: data}
	first, n, err := d.head()
	if err != nil {
		return nil, err
	}
	events := make([]*alf.Event, 0, n)
	for i := range n {
		e := d.event()
		if d.err != nil {
			return nil, d.err
		}
		e.ID = first + alf.ID(i)
		events = append(events, e)
	}
	return events, nil
}

// span returns the ID of the first event of a batch and how many there are,
// without decoding them.
func span(data []byte) (first alf.ID, n int, err error) {
	return (&decoder{data: data}).head()
}

// head reads what stands before the events.
func (d *decoder) head() (first alf.ID, n int, err error) {
	switch v := d.byte(); {
	case d.err != nil:
		return 0, 0, d.err
	case v > version:
		return 0, 0, fmt.Errorf("a batch of version %d %w", v, ErrNewer)
	case v == 0:
		return 0, 0, errors.New("is no batch of events")
	}
	first, n = alf.ID(d.uint()), d.count(eventSize)
	if n == 0 && d.err == nil {
		d.fail()
	}
	return first, n, d.err
}

// The fewest bytes that something takes.
const (
	eventSize  = lengthSize + 19
	datumSize  = 3
	noteSize   = 4
	lengthSize = 4 // the length before an event; enough for 4 GB
)

// appendEvent appends the encoding of e, its length first.
func appendEvent(dst []byte, e *alf.Event) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, lengthSize)...)
	x := encoder{dst}
	x.event(e)
	binary.LittleEndian.PutUint32(x.b[start:], uint32(len(x.b)-start-lengthSize))
	return x.b
}

type encoder struct{ b []byte }

func (x *encoder) uint(n uint64)   { x.b = binary.AppendUvarint(x.b, n) }
func (x *encoder) int(n int64)     { x.b = binary.AppendVarint(x.b, n) }
func (x *encoder) float(f float64) { x.b = binary.LittleEndian.AppendUint64(x.b, math.Float64bits(f)) }

func (x *encoder) string(s string) {
	x.uint(uint64(len(s)))
	x.b = append(x.b, s...)
}

func (x *encoder) strings(list []string) {
	x.uint(uint64(len(list)))
	for _, s := range list {
		x.string(s)
	}
}

// time appends t in nanoseconds. 0 is the zero time, and 1970 a nanosecond later.
func (x *encoder) time(t time.Time) {
	switch n := t.UnixNano(); {
	case t.IsZero():
		x.int(0)
	case n == 0:
		x.int(1)
	default:
		x.int(n)
	}
}

func (x *encoder) event(e *alf.Event) {
	x.string(string(e.Key.Host))
	x.string(string(e.Key.Service))
	x.b = append(x.b, byte(e.Kind))
	x.uint(uint64(e.Change))
	x.time(e.Time)
	x.time(e.NextCheck)
	x.int(int64(e.Interval))
	x.state(&e.State)
	if e.Result == nil {
		x.b = append(x.b, 0)
	} else {
		x.b = append(x.b, 1)
		x.result(e.Result)
	}
	more := hasMore(&e.State)
	if e.Author != "" || e.Text != "" || more {
		x.string(e.Author)
		x.string(e.Text)
	}
	if more {
		x.more(&e.State)
	}
}

// hasMore reports whether there is anything in s for more; in most there is not.
func hasMore(s *alf.State) bool {
	return s.HostProblem || s.Off != 0 || s.Flap != alf.Flap{} || s.Ack != nil || len(s.Downtimes)+len(s.Comments) > 0
}

// more appends what versions before 3 did not know of a state.
func (x *encoder) more(s *alf.State) {
	x.bits(s.HostProblem, s.Flap.On, s.Ack != nil)
	x.b = append(x.b, byte(s.Off))
	x.uint(s.Flap.History)
	x.uint(uint64(math.Float32bits(s.Flap.Percent)))
	x.time(s.Flap.Updated)
	if a := s.Ack; a != nil {
		x.note(a.ID, a.Author, a.Text, a.Time)
		x.bits(a.Sticky)
		x.time(a.Expires)
	}
	x.uint(uint64(len(s.Downtimes)))
	for _, d := range s.Downtimes {
		x.note(d.ID, d.Author, d.Text, d.Time)
		x.time(d.Start)
		x.time(d.End)
		x.int(int64(d.Duration))
		x.string(d.Trigger)
		x.time(d.Began)
		x.bits(d.For.All)
		for _, list := range [...][]string{d.For.Hosts, d.For.Hostgroups, d.For.Services} {
			x.strings(list)
		}
	}
	x.uint(uint64(len(s.Comments)))
	for _, c := range s.Comments {
		x.note(c.ID, c.Author, c.Text, c.Time)
	}
}

// note appends what people's orders have in common.
func (x *encoder) note(id, author, text string, t time.Time) {
	for _, s := range [...]string{id, author, text} {
		x.string(s)
	}
	x.time(t)
}

func (x *encoder) state(s *alf.State) {
	x.b = append(x.b, byte(s.Status), byte(s.Type), byte(s.LastHard))
	x.uint(uint64(s.Attempt))
	x.uint(uint64(s.MaxAttempts))
	x.string(s.Output)
	for _, t := range [...]time.Time{s.LastCheck, s.LastChange, s.LastHardChange, s.LastOK, s.Stale.Since} {
		x.time(t)
	}
	if !s.Stale.IsZero() {
		x.b = append(x.b, byte(s.Stale.Cause))
		x.string(s.Stale.Output)
	}
}

func (x *encoder) result(r *alf.Result) {
	x.b = append(x.b, byte(r.Status), byte(r.Cause), byte(r.Source))
	x.int(int64(r.ReturnCode))
	for _, s := range [...]string{r.Signal, r.Output, r.LongOutput, r.Stderr, r.PerfdataText, r.Command, r.Metric} {
		x.string(s)
	}
	x.uint(uint64(r.Cut))
	x.bits(r.Repaired)
	for _, t := range [...]time.Time{r.Due, r.Start, r.End} {
		x.time(t)
	}
	x.strings(r.PerfdataErrors)
	x.uint(uint64(len(r.Perfdata)))
	for i := range r.Perfdata {
		x.datum(&r.Perfdata[i])
	}
}

// bits appends up to eight flags as a byte.
func (x *encoder) bits(flags ...bool) {
	var b byte
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	x.b = append(x.b, b)
}

func (x *encoder) datum(d *perfdata.Datum) {
	x.string(d.Label)
	x.string(d.UOM)
	x.bits(d.Value.Set, d.Min.Set, d.Max.Set, d.Warn.Set, d.Warn.Inside, d.Crit.Set, d.Crit.Inside)
	for _, n := range [...]perfdata.Number{d.Value, d.Min, d.Max} {
		if n.Set {
			x.float(n.V)
		}
	}
	for _, r := range [...]perfdata.Range{d.Warn, d.Crit} {
		if r.Set {
			x.float(r.Start)
			x.float(r.End)
		}
	}
}

// decoder reads what encoder wrote. After an error it returns zeros.
type decoder struct {
	data []byte
	err  error
}

func (d *decoder) fail() {
	d.data = nil
	if d.err == nil {
		d.err = errShort
	}
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.fail()
		return nil
	}
	out := d.data[:n]
	d.data = d.data[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.data)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.data)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[size:]
	return n
}

func (d *decoder) float() float64 {
	if b := d.take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) string() string { return string(d.take(d.uint())) }

func (d *decoder) strings() []string {
	var list []string
	for range d.count(1) {
		list = append(list, d.string())
	}
	return list
}

func (d *decoder) time() time.Time {
	if n := d.int(); n != 0 {
		return time.Unix(0, n).UTC()
	}
	return time.Time{}
}

// event reads an event, which stands behind its length.
func (d *decoder) event() *alf.Event {
	e := new(alf.Event)
	b := d.take(lengthSize)
	if b == nil {
		return e
	}
	one := &decoder{data: d.take(uint64(binary.LittleEndian.Uint32(b)))}
	one.fill(e)
	if one.err != nil {
		d.fail()
	}
	return e
}

func (d *decoder) fill(e *alf.Event) {
	e.Key = alf.Key{Host: alf.HostName(d.string()), Service: alf.ServiceName(d.string())}
	e.Kind = alf.Kind(d.byte())
	e.Change = alf.Change(d.uint())
	e.Time, e.NextCheck = d.time(), d.time()
	e.Interval = time.Duration(d.int())
	d.state(&e.State)
	if d.byte() == 1 {
		e.Result = new(alf.Result)
		d.result(e.Result)
		if e.State.Output == e.Result.Output { // as a rule: kept once
			e.State.Output = e.Result.Output
		}
	}
	if len(d.data) > 0 {
		e.Author, e.Text = d.string(), d.string()
	}
	if len(d.data) > 0 {
		d.more(&e.State)
	}
}

func (d *decoder) more(s *alf.State) {
	var acked bool
	d.bits(&s.HostProblem, &s.Flap.On, &acked)
	s.Off = alf.Switch(d.byte())
	s.Flap.History = d.uint()
	s.Flap.Percent = math.Float32frombits(uint32(d.uint()))
	s.Flap.Updated = d.time()
	if acked {
		a := new(alf.Ack)
		d.note(&a.ID, &a.Author, &a.Text, &a.Time)
		d.bits(&a.Sticky)
		a.Expires = d.time()
		s.Ack = a
	}
	for range d.count(noteSize) {
		t := new(alf.Downtime)
		d.note(&t.ID, &t.Author, &t.Text, &t.Time)
		t.Start, t.End, t.Duration = d.time(), d.time(), time.Duration(d.int())
		t.Trigger, t.Began = d.string(), d.time()
		d.bits(&t.For.All)
		t.For.Hosts, t.For.Hostgroups, t.For.Services = d.strings(), d.strings(), d.strings()
		s.Downtimes = append(s.Downtimes, t)
	}
	for range d.count(noteSize) {
		c := new(alf.Comment)
		d.note(&c.ID, &c.Author, &c.Text, &c.Time)
		s.Comments = append(s.Comments, c)
	}
}

func (d *decoder) note(id, author, text *string, t *time.Time) {
	*id, *author, *text, *t = d.string(), d.string(), d.string(), d.time()
}

func (d *decoder) state(s *alf.State) {
	s.Status, s.Type, s.LastHard = alf.Status(d.byte()), alf.StateType(d.byte()), alf.Status(d.byte())
	s.Attempt, s.MaxAttempts = int(d.uint()), int(d.uint())
	s.Output = d.string()
	for _, t := range [...]*time.Time{&s.LastCheck, &s.LastChange, &s.LastHardChange, &s.LastOK, &s.Stale.Since} {
		*t = d.time()
	}
	if !s.Stale.IsZero() {
		s.Stale.Cause = alf.Cause(d.byte())
		s.Stale.Output = d.string()
	}
}

func (d *decoder) result(r *alf.Result) {
	r.Status, r.Cause, r.Source = alf.Status(d.byte()), alf.Cause(d.byte()), alf.Source(d.byte())
	r.ReturnCode = int(d.int())
	for _, s := range [...]*string{&r.Signal, &r.Output, &r.LongOutput, &r.Stderr, &r.PerfdataText, &r.Command, &r.Metric} {
		*s = d.string()
	}
	r.Cut = int(d.uint())
	d.bits(&r.Repaired)
	for _, t := range [...]*time.Time{&r.Due, &r.Start, &r.End} {
		*t = d.time()
	}
	r.PerfdataErrors = d.strings()
	if n := d.count(datumSize); n > 0 {
		r.Perfdata = make([]perfdata.Datum, n)
		for i := range r.Perfdata {
			d.datum(&r.Perfdata[i])
		}
	}
}

// count reads how many of something follow, each of which takes that many bytes
// at least.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.data)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) bits(flags ...*bool) {
	b := d.byte()
	for i, f := range flags {
		*f = b&(1<<i) != 0
	}
}

func (d *decoder) datum(x *perfdata.Datum) {
	x.Label, x.UOM = d.string(), d.string()
	d.bits(&x.Value.Set, &x.Min.Set, &x.Max.Set, &x.Warn.Set, &x.Warn.Inside, &x.Crit.Set, &x.Crit.Inside)
	for _, n := range [...]*perfdata.Number{&x.Value, &x.Min, &x.Max} {
		if n.Set {
			n.V = d.float()
		}
	}
	for _, r := range [...]*perfdata.Range{&x.Warn, &x.Crit} {
		if r.Set {
			r.Start, r.End = d.float(), d.float()
		}
	}
}
