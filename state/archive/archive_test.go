package archive_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/perfdata"
	"alf/state"
	"alf/state/archive"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// fill sets every field below v to something else than zero, so that a field that
// is forgotten is missed.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(epoch.Add(time.Duration(*n) * time.Hour)))
		return
	case alf.Change:
		v.Set(reflect.ValueOf(alf.Change(1<<16 - 1)))
		return
	case perfdata.Range:
		v.Set(reflect.ValueOf(perfdata.Range{Start: float64(*n) / 3, End: float64(*n), Inside: true, Set: true}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d <&>\u2028\x1b\"\\", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(*n) / 7)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Uint64:
		v.SetUint(1<<63 + uint64(*n))
	default:
		v.SetInt(int64(*n))
	}
}

func full() *alf.Event {
	var e alf.Event
	n := 0
	fill(reflect.ValueOf(&e).Elem(), &n)
	return &e
}

func write(t testing.TB, items ...archive.Item) string {
	t.Helper()
	var b bytes.Buffer
	err := archive.Write(&b, archive.Header{Alf: "1.2.3", Time: epoch}, func(add func(archive.Item) error) error {
		for _, i := range items {
			if err := add(i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func read(text string) (items []archive.Item, err error) {
	err = archive.Read(strings.NewReader(text), "f.jsonl", func(i archive.Item) error { items = append(items, i); return nil })
	return items, err
}

// TestLossless: all that can be in a record comes back as it was.
func TestLossless(t *testing.T) {
	host := &alf.Event{ID: 7, Key: alf.Key{Host: "web1"}, State: alf.State{Status: alf.Unreachable, LastHard: alf.Down}}
	items := []archive.Item{{Type: archive.History, Event: full()}, {Type: archive.Feed, Event: host}, {Type: archive.Log, Event: &alf.Event{ID: 1, Kind: alf.KindDaemon}}}
	for i, s := range []string{"", "plain", "\xff\x00", "\x00base64:eA==", "\x00", "ü ☃\uFFFD", strings.Repeat("long ", 200_000)} {
		items = append(items,
			archive.Item{Type: archive.Document, Document: state.Document{Name: s, Data: []byte(s)}},
			archive.Item{Type: archive.Place, Place: state.Place{Name: s, Done: alf.ID(i), Dropped: uint64(i)}},
			archive.Item{Type: archive.Log, Event: &alf.Event{ID: 1, Key: alf.Key{Host: alf.HostName(s), Service: "x"}, Text: s}})
	}
	limits := full()
	for _, s := range []string{"10", "10:", "~:10", "-3.5:1e+30", "@10:20", "@~:0.1"} {
		r, err := perfdata.ParseRange(s)
		if err != nil {
			t.Fatal(err)
		}
		limits.Result.Perfdata = append(limits.Result.Perfdata, perfdata.Datum{Label: s, Warn: r, Value: perfdata.Number{V: 1e-300, Set: true}})
	}
	items = append(items, archive.Item{Type: archive.Feed, Event: limits})
	var decided, outcome state.Line
	n := 0
	fill(reflect.ValueOf(&decided).Elem(), &n)
	fill(reflect.ValueOf(&outcome).Elem(), &n)
	decided.ID, decided.Outcome, outcome.ID, outcome.Decided = 0, nil, 0, nil
	items = append(items, archive.Item{Type: archive.Ledger, Line: &decided}, archive.Item{Type: archive.Ledger, Line: &outcome})
	text := write(t, items...)
	got, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range items {
		if !reflect.DeepEqual(got[i], items[i]) {
			t.Errorf("line %d comes back as\n%+v, want\n%+v", i+2, got[i].Event, items[i].Event)
		}
	}
	for l := range strings.Lines(text) {
		if !json.Valid([]byte(l)) {
			t.Errorf("%.200s is no JSON", l)
		}
	}
}

// TestForm shows the form, on which people's tools rely.
func TestForm(t *testing.T) {
	e := &alf.Event{ID: 1, Time: epoch, Key: alf.Key{Host: "web1", Service: "disk"}, Change: alf.ChangeStatus,
		State:  alf.State{Status: alf.Critical, Attempt: 1, MaxAttempts: 3},
		Result: &alf.Result{Status: alf.Critical, Output: "<full>", Perfdata: []perfdata.Datum{{Label: "/", Value: perfdata.Number{V: 99.5, Set: true}, UOM: "%", Warn: perfdata.Range{End: 80, Set: true}}}},
	}
	got := write(t, archive.Item{Type: archive.Place, Place: state.Place{Name: "carbon", Done: 1}}, archive.Item{Type: archive.Feed, Event: e})
	const want = `{"type":"header","format":2,"alf":"1.2.3","time":"2026-03-01T12:00:00.123456789Z"}
{"type":"place","place":{"name":"carbon","done":1}}
{"type":"feed","event":{"id":1,"time":"2026-03-01T12:00:00.123456789Z","host":"web1","service":"disk","kind":"result","changes":["status"],` +
		`"state":{"status":"CRITICAL","type":"SOFT","attempt":1,"max_check_attempts":3,"last_hard_status":"OK"},` +
		`"result":{"status":"CRITICAL","cause":"plugin","source":"active","return_code":0,"output":"<full>","perfdata":[{"label":"/","value":99.5,"uom":"%","warn":"80"}]}}}
{"type":"trailer","lines":{"feed":1,"place":1}}
`
	if got != want {
		t.Errorf("Write =\n%s, want\n%s", got, want)
	}
}

// TestCut cuts a file off at every byte: never is a part taken for the whole.
func TestCut(t *testing.T) {
	text := write(t, archive.Item{Type: archive.Feed, Event: full()}, archive.Item{Type: archive.Place})
	for n := range len(text) - 1 { // without the last line break nothing is missing
		if _, err := read(text[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are read without an error", n, len(text))
		}
	}
	whole := strings.LastIndex(text[:len(text)-1], "\n") + 1
	for _, n := range []int{whole, whole - 1, whole + 5, whole - 20} {
		if _, err := read(text[:n]); !errors.Is(err, archive.ErrCut) || !strings.Contains(err.Error(), "f.jsonl is cut off") {
			t.Errorf("Read of %d bytes = %v, want ErrCut", n, err)
		}
	}
}

func TestBad(t *testing.T) {
	lines := strings.SplitAfter(write(t, archive.Item{Type: archive.Feed, Event: full()}, archive.Item{Type: archive.Place}), "\n")
	header, feed, place, trailer := lines[0], lines[1], lines[2], lines[3]
	f := func(text, want string) {
		t.Helper()
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read = %v, want an error with %q", err, want)
		}
	}
	f("", "f.jsonl is empty")
	f("host,service\n", `f.jsonl:1: "host,service" is not how an export of Alf begins`)
	f(feed, "is not how an export of Alf begins")
	f(`{"type":"header"}`+"\n", "is not how an export of Alf begins")
	f(`{"type":"header","format":9,"alf":"7.0","more":1}`+"\n", "f.jsonl:1: was written by a newer version of Alf (7.0, format 9; this one reads up to 2)")
	f(header+"{oops\n"+feed+trailer, `f.jsonl:2: "{oops": invalid character`)
	f(header+feed+place[:20]+"\n"+trailer, "f.jsonl:3: ")
	f(header+strings.Replace(feed, `"kind":"`, `"kind":"x`, 1)+place+trailer, `kind "xcommand": is not known`)
	f(header+`{"type":"feed","event":{"id":18446744073709551615,"kind":"daemon","state":{"status":"UP","type":"HARD","last_hard_status":"UP"}}}`+"\n"+place+trailer, `id "18446744073709551615": is not known`)
	f(header+feed+strings.Replace(place, `"done":0`, `"done":18446744073709551615`, 1)+trailer, `id "18446744073709551615": is not known`)
	f(header+strings.Replace(feed, `"kind":"`, `"kin":"`, 1)+place+trailer, `unknown field "kin"`)
	f(header+strings.Replace(feed, `"type":"feed"`, `"type":"fed"`, 1)+place+trailer, `a line of type "fed"`)
	f(header+strings.Replace(feed, `"type":"feed"`, `"type":"place"`, 1)+place+trailer, `a line of type "place" that holds no such thing`)
	f(header+strings.TrimSpace(feed)+" 1\n"+place+trailer, "something follows the object")
	f(header+feed+trailer, "f.jsonl:3: lines are missing")
	f(header+feed+place+trailer+place, "f.jsonl:5: something follows the trailer")
	f(header+feed+place+header+trailer, `a line of type "header"`)
	refuse := errors.New("not now")
	err := archive.Read(strings.NewReader(header+"\n"+feed), "f.jsonl", func(archive.Item) error { return refuse })
	if !errors.Is(err, refuse) || !strings.HasPrefix(err.Error(), "f.jsonl:3: ") {
		t.Errorf("Read = %v, want what add said, with the line", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, archive.Item{Type: archive.Feed, Event: &alf.Event{ID: 1, Result: &alf.Result{}}}))
	f.Add(write(f, archive.Item{Type: archive.Place}, archive.Item{Type: archive.Document}))
	f.Fuzz(func(t *testing.T, text string) {
		items, err := read(text)
		if err != nil {
			return
		}
		again, err := read(write(t, items...))
		if err != nil || !reflect.DeepEqual(again, items) {
			t.Errorf("%+v comes back as %+v, %v", items, again, err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	items := slices.Repeat([]archive.Item{{Type: archive.Feed, Event: full()}}, 1000)
	for b.Loop() {
		write(b, items...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/line")
}

func BenchmarkRead(b *testing.B) {
	text := write(b, slices.Repeat([]archive.Item{{Type: archive.Feed, Event: full()}}, 1000)...)
	for b.Loop() {
		if _, err := read(text); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/line")
}
