package jetstream

import (
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"alf"
	"alf/perfdata"
)

// filler sets all fields of a value, however deep, so that a field that is added
// one day and left out of the encoding is noticed.
type filler interface {
	uint() uint64
	text() string
	float() float64
	yes() bool
	some() int
}

func fill(f filler, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		if f.yes() {
			v.Set(reflect.ValueOf(time.Unix(0, int64(f.uint()>>1)|1).UTC()))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(f, v.Field(i))
		}
	case reflect.Pointer:
		if f.yes() {
			v.Set(reflect.New(v.Type().Elem()))
			fill(f, v.Elem())
		}
	case reflect.Slice:
		for range f.some() {
			e := reflect.New(v.Type().Elem()).Elem()
			if e.Kind() == reflect.Pointer { // a list holds no nil
				e.Set(reflect.New(e.Type().Elem()))
				fill(f, e.Elem())
			} else {
				fill(f, e)
			}
			v.Set(reflect.Append(v, e))
		}
	case reflect.String:
		v.SetString(f.text())
	case reflect.Bool:
		v.SetBool(f.yes())
	case reflect.Float64:
		v.SetFloat(f.float())
	case reflect.Float32:
		v.SetFloat(float64(float32(f.float())))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.uint()))
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(f.uint() % (1 << v.Type().Bits()))
	case reflect.Uint64:
		v.SetUint(f.uint())
	default:
		panic("no way to fill a " + v.Type().String())
	}
}

// event returns an event as fill makes it, without what no event holds: a value
// beside the word that there is none.
func newEvent(f filler) *alf.Event {
	e := new(alf.Event)
	fill(f, reflect.ValueOf(e).Elem())
	if e.State.Stale.IsZero() {
		e.State.Stale = alf.Stale{}
	}
	if e.Result == nil {
		return e
	}
	for i := range e.Result.Perfdata {
		d := &e.Result.Perfdata[i]
		for _, n := range []*perfdata.Number{&d.Value, &d.Min, &d.Max} {
			if !n.Set {
				*n = perfdata.Number{}
			}
		}
		for _, r := range []*perfdata.Range{&d.Warn, &d.Crit} {
			if !r.Set {
				r.Start, r.End = 0, 0
			}
		}
	}
	return e
}

// counting fills everything with something else.
type counting struct{ n uint64 }

func (c *counting) uint() uint64   { c.n++; return c.n }
func (c *counting) text() string   { return "text " + string(rune('a'+c.uint()%26)) + " ☃" }
func (c *counting) float() float64 { return float64(c.uint()) / 4 }
func (c *counting) yes() bool      { return true }
func (c *counting) some() int      { return 2 }

type drawing struct{ t *rapid.T }

func (d drawing) uint() uint64   { return rapid.Uint64().Draw(d.t, "n") }
func (d drawing) text() string   { return rapid.String().Draw(d.t, "s") }
func (d drawing) float() float64 { return rapid.Float64().Draw(d.t, "f") }
func (d drawing) yes() bool      { return rapid.Bool().Draw(d.t, "b") }
func (d drawing) some() int      { return rapid.IntRange(0, 3).Draw(d.t, "len") }

func roundTrip(t interface{ Fatalf(string, ...any) }, events []*alf.Event) {
	const first = 1 << 40
	data := appendBatch([]byte("before"), first, events)[len("before"):]
	if id, n, err := span(data); id != first || n != len(events) || err != nil {
		t.Fatalf("span = %d, %d, %v", id, n, err)
	}
	got, err := decodeBatch(data)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	for i, e := range events {
		e.ID = first + alf.ID(i)
	}
	if diff := cmp.Diff(events, got); diff != "" {
		t.Fatalf("an event changed on its way:\n%s", diff)
	}
	for n := range len(data) {
		if _, err := decodeBatch(data[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were decoded without an error", n, len(data))
		}
	}
}

func TestEveryFieldIsKept(t *testing.T) {
	roundTrip(t, []*alf.Event{newEvent(&counting{}), {}, {Result: new(alf.Result)}})
}

func TestAnyEventIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []*alf.Event
		for range rapid.IntRange(1, 4).Draw(t, "events") {
			events = append(events, newEvent(drawing{t}))
		}
		roundTrip(t, events)
	})
}

func TestTimes(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(0, -1), time.Unix(-5e8, 3), time.Unix(0, math.MaxInt64)} {
		got, err := decodeBatch(appendBatch(nil, 1, []*alf.Event{{Time: at}}))
		if err != nil || got[0].Time.IsZero() != at.IsZero() || got[0].Time.Sub(at).Abs() > 1 {
			t.Errorf("%v became %v, %v", at, got, err)
		}
	}
}

var update = flag.Bool("update", false, "write the golden files of the newest version")

// TestGolden reads what older versions wrote. A file is never changed: when the
// encoding changes, the version is raised, and -update writes one more.
func TestGolden(t *testing.T) {
	name := filepath.Join("testdata", "batch-v"+string(rune('0'+version)))
	if *update {
		events := []*alf.Event{newEvent(&counting{}), {Key: alf.Key{Host: "web1"}, Kind: alf.KindRemoved}}
		data := appendBatch(nil, 7, events)
		events[0].ID, events[1].ID = 7, 8
		text, err := json.MarshalIndent(events, "", "\t")
		if err := errors.Join(err, os.MkdirAll("testdata", 0o755),
			os.WriteFile(name+".bin", data, 0o644), os.WriteFile(name+".json", text, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob("testdata/batch-v*.bin")
	if err != nil || len(names) != version {
		t.Fatalf("%d golden files, %v; want one for each of %d versions", len(names), err, version)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name[:len(name)-len("bin")] + "json")
		if err != nil {
			t.Fatal(err)
		}
		var want []*alf.Event
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		got, err := decodeBatch(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is read as something else:\n%s", name, diff)
		}
	}
}

func TestNewerIsRefused(t *testing.T) {
	data := appendBatch(nil, 1, []*alf.Event{{}})
	data[0] = version + 1
	if _, err := decodeBatch(data); !errors.Is(err, ErrNewer) {
		t.Errorf("decode = %v, want ErrNewer", err)
	}
	if _, _, err := span(data); !errors.Is(err, ErrNewer) {
		t.Errorf("span = %v, want ErrNewer", err)
	}
	data[0] = 0
	if _, err := decodeBatch(data); err == nil {
		t.Error("version 0 was decoded")
	}
}

// FuzzDecode decodes anything without a panic and without asking for much more
// memory than it is long.
func FuzzDecode(f *testing.F) {
	whole := appendBatch(nil, 1, []*alf.Event{newEvent(&counting{}), {}})
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{version, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		events, err := decodeBatch(data)
		if took := allocated() - before; took > 1<<20+uint64(100*len(data)) {
			t.Fatalf("%d bytes took %d bytes of memory", len(data), took)
		}
		if err != nil {
			return
		}
		again, err := decodeBatch(appendBatch(nil, events[0].ID, events))
		if err != nil || len(again) != len(events) {
			t.Fatalf("encoded again: %v", err)
		}
	})
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func BenchmarkEncode(b *testing.B) {
	events := []*alf.Event{newEvent(&counting{})}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = appendBatch(dst[:0], 1, events)
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkDecode(b *testing.B) {
	data := appendBatch(nil, 1, []*alf.Event{newEvent(&counting{})})
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeBatch(data); err != nil {
			b.Fatal(err)
		}
	}
}
