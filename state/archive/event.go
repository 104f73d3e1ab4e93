package archive

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"alf"
	"alf/perfdata"
	"alf/state"
)

// packed is any string as JSON can carry it: as it is, or, if it is not UTF-8, as
// base64 behind a mark. What looks like the mark is written so, too.
type packed string

// packedMark begins what is written as base64.
const packedMark = "\x00base64:"

// text returns s as it is written.
func text[S ~string | ~[]byte](s S) packed {
	plain := string(s)
	if utf8.ValidString(plain) && !strings.HasPrefix(plain, packedMark) {
		return packed(plain)
	}
	return packed(packedMark + base64.StdEncoding.EncodeToString([]byte(plain)))
}

type document struct {
	Name packed `json:"name"`
	Data packed `json:"data"`
}

type place struct {
	Name    packed `json:"name"`
	Done    alf.ID `json:"done"`
	Dropped uint64 `json:"dropped,omitempty"`
}

type event struct {
	ID        alf.ID    `json:"id"`
	Time      time.Time `json:"time,omitzero"`
	Host      packed    `json:"host,omitempty"`
	Service   packed    `json:"service,omitempty"`
	Kind      string    `json:"kind"`
	Changes   []string  `json:"changes,omitempty"`
	Author    packed    `json:"author,omitempty"`
	Text      packed    `json:"text,omitempty"`
	State     believed  `json:"state"`
	Result    *result   `json:"result,omitempty"`
	NextCheck time.Time `json:"next_check,omitzero"`
	Interval  string    `json:"check_interval,omitempty"`
}

type believed struct {
	Status         string    `json:"status"`
	Type           string    `json:"type"`
	Attempt        int       `json:"attempt"`
	MaxAttempts    int       `json:"max_check_attempts"`
	LastHard       string    `json:"last_hard_status"`
	Output         packed    `json:"output,omitempty"`
	LastCheck      time.Time `json:"last_check,omitzero"`
	LastChange     time.Time `json:"last_change,omitzero"`
	LastHardChange time.Time `json:"last_hard_change,omitzero"`
	LastOK         time.Time `json:"last_ok,omitzero"`
	Stale          *stale    `json:"stale,omitempty"`

	HostProblem bool       `json:"host_problem,omitempty"`
	Off         uint8      `json:"off,omitempty"` // a bit for each thing that is switched off
	Flap        *flap      `json:"flap,omitempty"`
	Ack         *ack       `json:"acknowledgement,omitempty"`
	Downtimes   []downtime `json:"downtimes,omitempty"`
	Comments    []note     `json:"comments,omitempty"`
}

type flap struct {
	History uint64    `json:"history"`
	Percent float32   `json:"percent"`
	On      bool      `json:"on,omitempty"`
	Updated time.Time `json:"updated,omitzero"`
}

// note is what people's orders have in common.
type note struct {
	ID     packed    `json:"id"`
	Author packed    `json:"author"`
	Text   packed    `json:"text"`
	Time   time.Time `json:"time,omitzero"`
}

type ack struct {
	note
	Sticky  bool      `json:"sticky,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

type downtime struct {
	note
	Start    time.Time `json:"start,omitzero"`
	End      time.Time `json:"end,omitzero"`
	Duration string    `json:"duration,omitempty"`
	Trigger  packed    `json:"trigger,omitempty"`
	Began    time.Time `json:"began,omitzero"`
	For      *selector `json:"for,omitempty"`
}

type selector struct {
	Hosts      []packed `json:"hosts,omitempty"`
	Hostgroups []packed `json:"hostgroups,omitempty"`
	Services   []packed `json:"services,omitempty"`
	All        bool     `json:"all,omitempty"`
}

type stale struct {
	Cause  string    `json:"cause"`
	Since  time.Time `json:"since"`
	Output packed    `json:"output,omitempty"`
}

type result struct {
	Status         string    `json:"status"`
	Cause          string    `json:"cause"`
	Source         string    `json:"source"`
	ReturnCode     int       `json:"return_code"`
	Signal         packed    `json:"signal,omitempty"`
	Output         packed    `json:"output,omitempty"`
	LongOutput     packed    `json:"long_output,omitempty"`
	Stderr         packed    `json:"stderr,omitempty"`
	Cut            int       `json:"cut_bytes,omitempty"`
	Repaired       bool      `json:"repaired,omitempty"`
	PerfdataText   packed    `json:"perfdata_text,omitempty"`
	Perfdata       []datum   `json:"perfdata,omitempty"`
	PerfdataErrors []packed  `json:"perfdata_errors,omitempty"`
	Command        packed    `json:"command,omitempty"`
	Metric         packed    `json:"metric,omitempty"`
	Due            time.Time `json:"due,omitzero"`
	Start          time.Time `json:"start,omitzero"`
	End            time.Time `json:"end,omitzero"`
}

type datum struct {
	Label packed   `json:"label"`
	Value *float64 `json:"value"` // null: the plugin wrote U
	UOM   packed   `json:"uom,omitempty"`
	Warn  string   `json:"warn,omitempty"` // the text of the range
	Crit  string   `json:"crit,omitempty"`
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
}

func newEvent(e *alf.Event) *event {
	out := &event{
		ID: e.ID, Time: e.Time, Host: text(e.Key.Host), Service: text(e.Key.Service),
		Kind: e.Kind.String(), Changes: changes(e.Change), Author: text(e.Author), Text: text(e.Text),
		State: newState(e.Key, &e.State), Result: newResult(e.Result), NextCheck: e.NextCheck,
	}
	if e.Interval != 0 {
		out.Interval = e.Interval.String()
	}
	return out
}

func newState(key alf.Key, s *alf.State) believed {
	out := believed{
		Status: key.StatusName(s.Status), Type: s.Type.String(), Attempt: s.Attempt, MaxAttempts: s.MaxAttempts,
		LastHard: key.StatusName(s.LastHard), Output: text(s.Output),
		LastCheck: s.LastCheck, LastChange: s.LastChange, LastHardChange: s.LastHardChange, LastOK: s.LastOK,
	}
	if !s.Stale.IsZero() {
		out.Stale = &stale{s.Stale.Cause.String(), s.Stale.Since, text(s.Stale.Output)}
	}
	out.HostProblem, out.Off = s.HostProblem, uint8(s.Off)
	if s.Flap != (alf.Flap{}) {
		out.Flap = &flap{s.Flap.History, s.Flap.Percent, s.Flap.On, s.Flap.Updated}
	}
	if a := s.Ack; a != nil {
		out.Ack = &ack{note{text(a.ID), text(a.Author), text(a.Text), a.Time}, a.Sticky, a.Expires}
	}
	for _, d := range s.Downtimes {
		out.Downtimes = append(out.Downtimes, newDowntime(d))
	}
	for _, c := range s.Comments {
		out.Comments = append(out.Comments, note{text(c.ID), text(c.Author), text(c.Text), c.Time})
	}
	return out
}

func newDowntime(d *alf.Downtime) downtime {
	out := downtime{
		note: note{text(d.ID), text(d.Author), text(d.Text), d.Time}, Start: d.Start, End: d.End,
		Trigger: text(d.Trigger), Began: d.Began,
	}
	if d.Duration != 0 {
		out.Duration = d.Duration.String()
	}
	if !d.For.IsZero() {
		out.For = &selector{pack(d.For.Hosts), pack(d.For.Hostgroups), pack(d.For.Services), d.For.All}
	}
	return out
}

func pack(list []string) []packed {
	var out []packed
	for _, s := range list {
		out = append(out, text(s))
	}
	return out
}

func newResult(r *alf.Result) *result {
	if r == nil {
		return nil
	}
	out := &result{
		Status: r.Status.String(), Cause: r.Cause.String(), Source: r.Source.String(), ReturnCode: r.ReturnCode, Signal: text(r.Signal),
		Output: text(r.Output), LongOutput: text(r.LongOutput), Stderr: text(r.Stderr), Cut: r.Cut, Repaired: r.Repaired,
		PerfdataText: text(r.PerfdataText), Command: text(r.Command), Metric: text(r.Metric), Due: r.Due, Start: r.Start, End: r.End,
	}
	for _, d := range r.Perfdata {
		out.Perfdata = append(out.Perfdata, datum{
			Label: text(d.Label), Value: pointer(d.Value), UOM: text(d.UOM), Warn: d.Warn.String(), Crit: d.Crit.String(),
			Min: pointer(d.Min), Max: pointer(d.Max),
		})
	}
	for _, s := range r.PerfdataErrors {
		out.PerfdataErrors = append(out.PerfdataErrors, text(s))
	}
	return out
}

func pointer(n perfdata.Number) *float64 {
	if !n.Set {
		return nil
	}
	return &n.V
}

// mostID is the highest ID that an event may have: others come after it.
const mostID = 3 << 62

// changeBits are as many as a Change can have.
const changeBits = 16

// changes returns the names of what changed; a number stands for what has none.
func changes(c alf.Change) []string {
	var out []string
	for i := range changeBits {
		if bit := alf.Change(1) << i; c&bit != 0 {
			out = append(out, changeName(bit))
		}
	}
	return out
}

func changeName(bit alf.Change) string {
	if name := bit.String(); name != "" {
		return name
	}
	return strconv.Itoa(int(bit))
}

// parser reads what the functions above wrote, and keeps the first error.
type parser struct{ err error }

func (p *parser) fail(what, s string, err error) {
	if p.err == nil {
		p.err = fmt.Errorf("%s %q: %w", what, s, err)
	}
}

func (p *parser) text(s packed) string {
	coded, found := strings.CutPrefix(string(s), packedMark)
	if !found {
		return string(s)
	}
	plain, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		p.fail("text", coded, err)
	}
	return string(plain)
}

var errUnknown = errors.New("is not known")

// word returns the value of that name.
func word[T ~uint8](p *parser, what, s string, name func(T) string) T {
	for i := range 256 {
		if name(T(i)) == s {
			return T(i)
		}
	}
	p.fail(what, s, errUnknown)
	return 0
}

func (p *parser) changes(names []string) alf.Change {
	var out alf.Change
	for _, name := range names {
		was := out
		for i := range changeBits {
			if bit := alf.Change(1) << i; changeName(bit) == name {
				out |= bit
			}
		}
		if out == was {
			p.fail("change", name, errUnknown)
		}
	}
	return out
}

func (p *parser) interval(s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		p.fail("interval", s, errUnknown)
	}
	return d
}

func (p *parser) limits(s string) perfdata.Range {
	if s == "" {
		return perfdata.Range{}
	}
	r, err := perfdata.ParseRange(s)
	if err != nil && p.err == nil {
		p.err = err
	}
	return r
}

func number(n *float64) perfdata.Number {
	if n == nil {
		return perfdata.Number{}
	}
	return perfdata.Number{V: *n, Set: true}
}

func (d *document) document() (state.Document, error) {
	var p parser
	return state.Document{Name: p.text(d.Name), Data: []byte(p.text(d.Data))}, p.err
}

func (x *place) place() (state.Place, error) {
	var p parser
	if x.Done > mostID {
		p.fail("id", strconv.FormatUint(uint64(x.Done), 10), errUnknown)
	}
	return state.Place{Name: p.text(x.Name), Done: x.Done, Dropped: x.Dropped}, p.err
}

func (x *event) event() (*alf.Event, error) {
	p := new(parser)
	e := &alf.Event{
		ID: x.ID, Time: x.Time, Key: alf.Key{Host: alf.HostName(p.text(x.Host)), Service: alf.ServiceName(p.text(x.Service))},
		Kind: word(p, "kind", x.Kind, alf.Kind.String), Change: p.changes(x.Changes),
		Author: p.text(x.Author), Text: p.text(x.Text), NextCheck: x.NextCheck, Interval: p.interval(x.Interval),
	}
	e.State = x.State.state(p, e.Key)
	if x.Result != nil {
		e.Result = x.Result.result(p)
	}
	if x.ID == 0 || x.ID > mostID {
		p.fail("id", strconv.FormatUint(uint64(x.ID), 10), errUnknown)
	}
	return e, p.err
}

func (x *believed) state(p *parser, key alf.Key) alf.State {
	s := alf.State{
		Status: word(p, "status", x.Status, key.StatusName), Type: word(p, "state type", x.Type, alf.StateType.String),
		Attempt: x.Attempt, MaxAttempts: x.MaxAttempts, LastHard: word(p, "status", x.LastHard, key.StatusName), Output: p.text(x.Output),
		LastCheck: x.LastCheck, LastChange: x.LastChange, LastHardChange: x.LastHardChange, LastOK: x.LastOK,
	}
	if x.Stale != nil {
		s.Stale = alf.Stale{Cause: word(p, "cause", x.Stale.Cause, alf.Cause.String), Since: x.Stale.Since, Output: p.text(x.Stale.Output)}
	}
	s.HostProblem, s.Off = x.HostProblem, alf.Switch(x.Off)
	if f := x.Flap; f != nil {
		s.Flap = alf.Flap{History: f.History, Percent: f.Percent, On: f.On, Updated: f.Updated}
	}
	if a := x.Ack; a != nil {
		s.Ack = &alf.Ack{ID: p.text(a.ID), Author: p.text(a.Author), Text: p.text(a.Text), Time: a.Time, Sticky: a.Sticky, Expires: a.Expires}
	}
	for _, d := range x.Downtimes {
		s.Downtimes = append(s.Downtimes, d.downtime(p))
	}
	for _, c := range x.Comments {
		s.Comments = append(s.Comments, &alf.Comment{ID: p.text(c.ID), Author: p.text(c.Author), Text: p.text(c.Text), Time: c.Time})
	}
	return s
}

func (d *downtime) downtime(p *parser) *alf.Downtime {
	out := &alf.Downtime{
		ID: p.text(d.ID), Author: p.text(d.Author), Text: p.text(d.Text), Time: d.Time, Start: d.Start, End: d.End,
		Duration: p.interval(d.Duration), Trigger: p.text(d.Trigger), Began: d.Began,
	}
	if d.For != nil {
		out.For = alf.Selector{Hosts: p.texts(d.For.Hosts), Hostgroups: p.texts(d.For.Hostgroups), Services: p.texts(d.For.Services), All: d.For.All}
	}
	return out
}

func (p *parser) texts(list []packed) []string {
	var out []string
	for _, s := range list {
		out = append(out, p.text(s))
	}
	return out
}

func (x *result) result(p *parser) *alf.Result {
	r := &alf.Result{
		Status: word(p, "status", x.Status, alf.Status.String), Cause: word(p, "cause", x.Cause, alf.Cause.String),
		Source: word(p, "source", x.Source, alf.Source.String), ReturnCode: x.ReturnCode, Signal: p.text(x.Signal),
		Output: p.text(x.Output), LongOutput: p.text(x.LongOutput), Stderr: p.text(x.Stderr), Cut: x.Cut, Repaired: x.Repaired,
		PerfdataText: p.text(x.PerfdataText), Command: p.text(x.Command), Metric: p.text(x.Metric), Due: x.Due, Start: x.Start, End: x.End,
	}
	for _, d := range x.Perfdata {
		r.Perfdata = append(r.Perfdata, perfdata.Datum{
			Label: p.text(d.Label), Value: number(d.Value), UOM: p.text(d.UOM), Warn: p.limits(d.Warn), Crit: p.limits(d.Crit),
			Min: number(d.Min), Max: number(d.Max),
		})
	}
	for _, s := range x.PerfdataErrors {
		r.PerfdataErrors = append(r.PerfdataErrors, p.text(s))
	}
	return r
}
