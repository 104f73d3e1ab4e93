package jetstream_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/perfdata"
	"alf/state"
	"alf/state/archive"
	"alf/state/jetstream"
)

// export returns what is in r, as a file.
func export(t testing.TB, r *jetstream.Record) string {
	t.Helper()
	var b bytes.Buffer
	dump := func(add func(archive.Item) error) error { return r.Dump(t.Context(), add) }
	if err := archive.Write(&b, archive.Header{Alf: "1.2.3"}, dump); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func restore(ctx context.Context, o jetstream.Options, text string) error {
	return jetstream.Restore(ctx, o, func(add func(archive.Item) error) error {
		return archive.Read(strings.NewReader(text), "export.jsonl", add)
	})
}

// whole is all that can be read of a record.
type whole struct {
	Heads     map[alf.Key]*alf.Event
	Last      map[alf.Key][]*alf.Event
	Log       []*alf.Event
	At        []*alf.Event
	Feed      []*alf.Event
	Places    []state.Place
	Documents map[string]string
	Ledger    []*state.Line
}

func contents(t testing.TB, r *jetstream.Record) whole {
	t.Helper()
	w := whole{Heads: map[alf.Key]*alf.Event{}, Last: map[alf.Key][]*alf.Event{}, Documents: map[string]string{}}
	var keys []alf.Key
	for e, err := range r.Heads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		w.Heads[e.Key] = e
		keys = append(keys, e.Key)
		if w.Last[e.Key], err = r.Last(t.Context(), e.Key, 1000); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(keys, alf.Key.Compare)
	for e, err := range r.Entries(t.Context(), state.Scope{}, time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		w.Log = append(w.Log, e)
	}
	var err, err2, err3 error
	w.At, err = r.At(t.Context(), time.Now().Add(time.Hour), keys...)
	w.Places, err2 = r.Places(t.Context())
	docs, err3 := r.Documents(t.Context(), "")
	for _, d := range docs {
		w.Documents[d.Name] = string(d.Data)
	}
	w.Feed = feed(t, r)
	for l, err := range r.Lines(t.Context(), alf.Key{}) {
		if err != nil {
			t.Fatal(err)
		}
		l.ID = 0 // it may be another one in another record
		w.Ledger = append(w.Ledger, l)
	}
	if err := cmp.Or(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	return w
}

// feed returns what Follow hands on within a moment of silence.
func feed(t testing.TB, r *jetstream.Record) (out []*alf.Event) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	silence := time.AfterFunc(2*time.Second, stop)
	err := r.Follow(ctx, 0, func(_ context.Context, events []*alf.Event) error {
		out = append(out, events...)
		silence.Reset(time.Second)
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return out
}

// same compares two records and says where they differ.
func same(t testing.TB, got, want whole) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%s: %d, want the same %d", g.Type().Field(i).Name, g.Field(i).Len(), w.Field(i).Len())
		}
	}
}

// furnish fills a record with all that there can be.
func furnish(t testing.TB, r *jetstream.Record) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	odd := alf.Key{Host: "h\xff\x00", Service: alf.ServiceName(strings.Repeat("long ", 200))}
	put(t, r, &alf.Event{Kind: alf.KindDaemon, Time: now, Text: "started"})
	for n := 1; n <= 30; n++ { // 1970 itself is kept as a nanosecond later
		for i, interval := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour, 0} {
			e := result(alf.Key{Host: alf.HostName(fmt.Sprint("host", i)), Service: "disk C:\\ *"}, n)
			e.Interval, e.Time = interval, now.Add(time.Duration(n)*time.Second)
			e.Result.Perfdata, _ = perfdata.Parse("/=99%;80;@90:100;0;100 used=U 'a b'=1.5s;~:10;-5:")
			if n%10 == 0 {
				e.Change, e.State.Status = alf.ChangeStatus, alf.Critical
			}
			tick := *e
			tick.Kind = alf.KindTick
			put(t, r, e, &tick, result(odd, n))
		}
	}
	gone, moved := alf.Key{Host: "gone"}, alf.Key{Host: "moved"}
	slow := result(moved, 2)
	slow.Interval = time.Hour
	put(t, r, result(gone, 1), result(moved, 1), &alf.Event{Key: gone, Kind: alf.KindRemoved, Time: now}, slow)
	many := make([]*alf.Event, 450) // more than a message holds
	for n := range many {
		many[n] = result(web, n+1)
	}
	put(t, r, many...)
	for _, name := range []string{"keys/a", "\xff", strings.Repeat("long ", 200)} {
		if _, err := r.PutDocument(t.Context(), name, []byte(name+"\x00\xfe"), 0); err != nil {
			t.Fatal(err)
		}
	}
	for n := range state.LedgerLines + 2 {
		told := &state.Line{Time: now, Key: web, Decided: &state.Decided{
			Memory:  state.Memory{Event: alf.ID(n), Number: n, Told: now, Since: now},
			Notices: []state.Notice{{Notification: &alf.Notification{ID: fmt.Sprint(n), Time: now, Key: web, Output: "é\n\x00"}, To: []state.Recipient{{Action: "chat"}}}},
		}}
		became := &state.Line{Time: now, Key: web, Outcome: &state.Outcome{ID: fmt.Sprint(n), Action: "chat", Result: state.Delivered, Attempt: 1}}
		if err := r.Enter(t.Context(), []*state.Line{told, became}); err != nil {
			t.Fatal(err)
		}
	}
	consume(t, r, "carbon", "450")
	put(t, r, result(web, 451))
	for r.Stats().Behind > 0 { // a history that has moved is dropped a moment later
		time.Sleep(time.Millisecond)
	}
}

// TestDumpIsLossless: what is exported and imported is the same, whichever engine
// it comes from and goes to, and goes on from there.
func TestDumpIsLossless(t *testing.T) {
	r, stop := open(t, jetstream.Options{History: 7})
	furnish(t, r)
	want, text := contents(t, r), export(t, r)
	stop()
	for name, o := range map[string]jetstream.Options{
		"embedded": {Dir: t.TempDir(), History: 7, SyncAlways: true},
		"external": {URL: external(t), History: 7},
	} {
		t.Run(name, func(t *testing.T) {
			if err := restore(t.Context(), o, text); err != nil {
				t.Fatal(err)
			}
			r, stop := open(t, o)
			same(t, contents(t, r), want)
			next := result(web, 1)
			put(t, r, next)
			if last := want.Feed[len(want.Feed)-1].ID; next.ID != last+1 {
				t.Errorf("the next ID is %d, want %d", next.ID, last+1)
			}
			now := contents(t, r)
			stop()
			o.ReadOnly = true
			r, err := jetstream.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			again := export(t, r)
			r.Close()
			if err := restore(t.Context(), o, again); !errors.Is(err, jetstream.ErrNotEmpty) {
				t.Errorf("Restore into what is there = %v, want ErrNotEmpty", err)
			}
			third := jetstream.Options{Dir: t.TempDir(), History: 7}
			if err := restore(t.Context(), third, again); err != nil {
				t.Fatal(err)
			}
			r, _ = open(t, third)
			same(t, contents(t, r), now)
		})
	}
}

// TestDumpWhileRunning exports again and again while much is appended: all that
// was acknowledged before is in it, and what is in it agrees with itself.
func TestDumpWhileRunning(t *testing.T) {
	const keys, history = 20, 5
	r, stop := open(t, jetstream.Options{History: history})
	ctx, cancel := context.WithCancel(t.Context())
	acknowledged, done := make(chan alf.ID, 1), make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ctx.Err() == nil; n++ {
			var events []*alf.Event
			for k := range keys {
				e := result(alf.Key{Host: alf.HostName(fmt.Sprint("host", k%(n%keys+1)))}, n)
				if n%17 == 0 && k == 3 {
					e = &alf.Event{Key: e.Key, Kind: alf.KindRemoved}
				}
				if n%23 > 11 && k%4 == 0 {
					e.Interval = time.Hour
				}
				events = append(events, e)
			}
			if err := r.Append(ctx, events); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			select {
			case <-acknowledged:
			default:
			}
			acknowledged <- events[keys-1].ID
			time.Sleep(5 * time.Millisecond)
		}
	}()
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		before := <-acknowledged
		text := export(t, r)
		o := jetstream.Options{Dir: t.TempDir(), History: history}
		if err := restore(t.Context(), o, text); err != nil {
			t.Fatal(err)
		}
		copied, stop := open(t, o)
		agrees(t, contents(t, copied), before, history)
		stop()
	}
	cancel()
	<-done
	stop()
}

// agrees makes from the feed what heads and histories should be.
func agrees(t *testing.T, got whole, before alf.ID, history int) {
	t.Helper()
	if last := got.Feed[len(got.Feed)-1].ID; last < before {
		t.Errorf("the feed ends with %d, want %d, which was acknowledged before", last, before)
	}
	heads, results := map[alf.Key]*alf.Event{}, map[alf.Key][]*alf.Event{}
	for i, e := range got.Feed {
		if e.ID != alf.ID(i+1) {
			t.Fatalf("event %d has ID %d", i+1, e.ID)
		}
		if e.Kind == alf.KindRemoved {
			delete(results, e.Key)
			delete(heads, e.Key)
			continue
		}
		heads[e.Key] = e
		results[e.Key] = slices.Insert(results[e.Key], 0, e)
		results[e.Key] = results[e.Key][:min(len(results[e.Key]), history)]
	}
	if !reflect.DeepEqual(got.Heads, heads) {
		t.Errorf("%d heads, want %d, as in the feed", len(got.Heads), len(heads))
	}
	for key, want := range results {
		if !reflect.DeepEqual(got.Last[key], want) {
			t.Errorf("Last(%v) = %d results from %v, want %d from %v", key, len(got.Last[key]), got.Last[key][0].ID, len(want), want[0].ID)
		}
	}
}

// TestBrokenImport: what is imported in part is never taken for a record, and
// stands in nobody's way.
func TestBrokenImport(t *testing.T) {
	r, _ := open(t, jetstream.Options{})
	furnish(t, r)
	text := export(t, r)
	for name, o := range map[string]jetstream.Options{"embedded": {Dir: t.TempDir()}, "external": {URL: external(t)}} {
		t.Run(name, func(t *testing.T) {
			if err := restore(t.Context(), o, text[:len(text)/2]); !errors.Is(err, archive.ErrCut) {
				t.Errorf("Restore = %v, want ErrCut", err)
			}
			o.ReadOnly = true
			if _, err := jetstream.Open(t.Context(), o); !errors.Is(err, jetstream.ErrNoRecord) {
				t.Errorf("Open of what is left = %v, want ErrNoRecord", err)
			}
			o.ReadOnly = false
			killed := o
			if o.URL == "" {
				killed.Dir = filepath.Join(t.TempDir(), "killed")
			}
			err := jetstream.Restore(t.Context(), o, func(add func(archive.Item) error) error {
				err := archive.Read(strings.NewReader(text), "export.jsonl", add)
				if o.URL == "" { // as it is when Alf is killed now
					err = errors.Join(err, os.CopyFS(killed.Dir, os.DirFS(o.Dir)))
				} else if _, open := jetstream.Open(t.Context(), killed); !errors.Is(open, jetstream.ErrHalf) {
					t.Errorf("Open during an import = %v, want ErrHalf", open)
				}
				return errors.Join(err, errors.New("power cut"))
			})
			if err == nil || !strings.Contains(err.Error(), "power cut") {
				t.Errorf("Restore = %v", err)
			}
			if o.URL == "" {
				if _, err := jetstream.Open(t.Context(), killed); !errors.Is(err, jetstream.ErrHalf) {
					t.Errorf("Open after a killed import = %v, want ErrHalf", err)
				}
			}
			if err := restore(t.Context(), killed, text); err != nil {
				t.Errorf("Restore once more = %v", err)
			}
			again, _ := open(t, killed)
			same(t, contents(t, again), contents(t, r))
		})
	}
}
