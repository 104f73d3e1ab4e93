// Package journaltest is the common test suite of the records: what every
// engine under state must do.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"alf"
	"alf/state"
)

// Record is all that an engine does.
type Record interface {
	state.Recorder
	state.Reader
	state.Feed
	state.Log
	state.Documents
	state.Ledger
}

// The bounds that the suite counts on.
const (
	History = 5   // results that are kept of a key
	Feed    = 100 // events that are kept for consumers, at least; twice as many at most
)

// Run runs the suite, or only some of it. Every call of open returns a new, empty
// Record with the bounds above.
func Run(t *testing.T, open func(t *testing.T) Record, only ...string) {
	all := map[string]func(*testing.T, Record){
		"AppendSetsIDs":        appendSetsIDs,
		"HeadsAreNewest":       headsAreNewest,
		"LastCountsResults":    lastCountsResults,
		"RemovedIsGone":        removedIsGone,
		"FollowGetsAllInOrder": followGetsAllInOrder,
		"ConsumeKeepsItsPlace": consumeKeepsItsPlace,
		"ConsumeRepeats":       consumeRepeats,
		"DroppedIsCounted":     droppedIsCounted,
		"OneConsumerPerName":   oneConsumerPerName,
		"AnyName":              anyName,
		"LogHoldsChanges":      logHoldsChanges,
		"LogInTime":            logInTime,
		"LogAt":                logAt,
		"LogOutlivesResults":   logOutlivesResults,
		"LogKeepsRemoved":      logKeepsRemoved,
		"DaemonHasNoHead":      daemonHasNoHead,
		"DocumentsAreCompared": documentsAreCompared,
		"DocumentsCompete":     documentsCompete,
		"DocumentsByPrefix":    documentsByPrefix,
		"LedgerKeepsLines":     ledgerKeepsLines,
		"LedgerKeepsTheLast":   ledgerKeepsTheLast,
		"LedgerAnyName":        ledgerAnyName,
		"LedgerWritersAtOnce":  ledgerWritersAtOnce,
	}
	if len(only) == 0 {
		only = slices.Collect(maps.Keys(all))
	}
	for _, name := range only {
		f := all[name]
		if f == nil {
			t.Fatalf("there is no test %q", name)
		}
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

var web = alf.Key{Host: "web1", Service: "disk /"}

func event(key alf.Key, n int) *alf.Event {
	return &alf.Event{Key: key, Kind: alf.KindResult, Time: time.Unix(int64(n), 0).UTC(),
		State:  alf.State{Status: alf.OK, Type: alf.Hard, Attempt: 1},
		Result: &alf.Result{Output: fmt.Sprint(n)}}
}

func fill(t *testing.T, r Record, key alf.Key, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := r.Append(t.Context(), []*alf.Event{event(key, n)}); err != nil {
			t.Fatalf("Append(%d) = %v", n, err)
		}
	}
}

func outputs(events []*alf.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Result.Output)
	}
	return out
}

func appendSetsIDs(t *testing.T, r Record) {
	events := []*alf.Event{event(web, 1), event(web, 2), event(web, 3)}
	if err := r.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.ID == 0 || i > 0 && e.ID <= events[i-1].ID {
			t.Errorf("event %d has ID %d after %d, want rising IDs from 1", i, e.ID, events[max(i-1, 0)].ID)
		}
	}
}

func headsAreNewest(t *testing.T, r Record) {
	db := alf.Key{Host: "db1"}
	fill(t, r, web, 1, 3)
	fill(t, r, db, 4, 4)
	got := map[alf.Key]string{}
	for e, err := range r.Heads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Key] = e.Result.Output
	}
	if len(got) != 2 || got[web] != "3" || got[db] != "4" {
		t.Errorf("Heads = %v, want 3 and 4", got)
	}
}

func lastCountsResults(t *testing.T, r Record) {
	fill(t, r, web, 1, 7)
	tick := event(web, 8)
	tick.Kind = alf.KindTick
	if err := r.Append(t.Context(), []*alf.Event{tick}); err != nil {
		t.Fatal(err)
	}
	f := func(n int, want ...string) {
		t.Helper()
		got, err := r.Last(t.Context(), web, n)
		if err != nil || !slices.Equal(outputs(got), want) {
			t.Errorf("Last(%d) = %v, %v, want %v", n, outputs(got), err, want)
		}
	}
	f(0)
	f(2, "7", "6")
	f(100, "7", "6", "5", "4", "3")
	got, err := r.Last(t.Context(), alf.Key{Host: "nobody"}, 3)
	if err != nil || len(got) != 0 {
		t.Errorf("Last of an unknown key = %v, %v, want nothing", got, err)
	}
}

func removedIsGone(t *testing.T, r Record) {
	fill(t, r, web, 1, 2)
	gone := &alf.Event{Key: web, Kind: alf.KindRemoved}
	if err := r.Append(t.Context(), []*alf.Event{gone}); err != nil {
		t.Fatal(err)
	}
	for e := range r.Heads(t.Context()) {
		t.Errorf("Heads yields %v after it was removed", e.Key)
	}
	fill(t, r, web, 3, 3)
	if got, _ := r.Last(t.Context(), web, 9); !slices.Equal(outputs(got), []string{"3"}) {
		t.Errorf("Last after removal and return = %v, want only the new one", outputs(got))
	}
}

// collect returns a handler that takes events until it has the one with that
// output, and the outputs that it took.
func collect(until string, stop func()) (state.Handler, func() []string) {
	var mu sync.Mutex
	var got []string
	h := func(_ context.Context, events []*alf.Event) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, outputs(events)...)
		if got[len(got)-1] == until {
			stop()
		}
		return nil
	}
	return h, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) }
}

func within(t *testing.T) (context.Context, func()) {
	return context.WithTimeout(t.Context(), 10*time.Second)
}

func numbers(from, to int) []string {
	var out []string
	for n := from; n <= to; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

func followGetsAllInOrder(t *testing.T, r Record) {
	fill(t, r, web, 1, 10)
	ctx, stop := within(t)
	h, got := collect("60", stop)
	done := make(chan error)
	go func() { done <- r.Follow(ctx, 0, h) }()
	fill(t, r, web, 11, 60)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow = %v, want context.Canceled", err)
	}
	if !slices.Equal(got(), numbers(1, 60)) {
		t.Errorf("Follow got %v, want 1 to 60", got())
	}
}

func consumeUntil(t *testing.T, r Record, name string, from state.Start, until string) []string {
	t.Helper()
	ctx, stop := within(t)
	defer stop()
	h, got := collect(until, stop)
	if err := r.Consume(ctx, name, from, h); !errors.Is(err, context.Canceled) {
		t.Fatalf("Consume = %v, want context.Canceled; got %v", err, got())
	}
	return got()
}

func consumeKeepsItsPlace(t *testing.T, r Record) {
	fill(t, r, web, 1, 10)
	if got := consumeUntil(t, r, "sink.a b", state.Oldest, "10"); !slices.Equal(got, numbers(1, 10)) {
		t.Errorf("the first time got %v, want 1 to 10", got)
	}
	fill(t, r, web, 11, 12)
	if got := consumeUntil(t, r, "sink.a b", state.Oldest, "12"); !slices.Equal(got, numbers(11, 12)) {
		t.Errorf("the second time got %v, want 11 and 12", got)
	}
	places, err := r.Places(t.Context())
	if err != nil || len(places) != 1 || places[0].Name != "sink.a b" || places[0].Lag != 0 {
		t.Errorf("Places = %+v, %v, want one without lag", places, err)
	}
	if err := r.Forget(t.Context(), "sink.a b"); err != nil {
		t.Fatal(err)
	}
	if got := consumeUntil(t, r, "sink.a b", state.Oldest, "12"); !slices.Equal(got, numbers(1, 12)) {
		t.Errorf("once forgotten got %v, want 1 to 12", got)
	}
}

func consumeRepeats(t *testing.T, r Record) {
	fill(t, r, web, 1, 3)
	refuse := errors.New("not now")
	err := r.Consume(t.Context(), "sink", state.Oldest, func(context.Context, []*alf.Event) error { return refuse })
	if !errors.Is(err, refuse) {
		t.Errorf("Consume = %v, want the handler's error", err)
	}
	if got := consumeUntil(t, r, "sink", state.Oldest, "3"); !slices.Equal(got, numbers(1, 3)) {
		t.Errorf("after an error got %v, want 1 to 3 again", got)
	}
}

func droppedIsCounted(t *testing.T, r Record) {
	fill(t, r, web, 1, 1)
	consumeUntil(t, r, "slow", state.Oldest, "1")
	const last = 5 * Feed
	fill(t, r, web, 2, last)
	got := consumeUntil(t, r, "slow", state.Oldest, fmt.Sprint(last))
	places, err := r.Places(t.Context())
	if err != nil || len(places) != 1 {
		t.Fatalf("Places = %v, %v", places, err)
	}
	if sum := uint64(len(got)) + places[0].Dropped; sum != last-1 {
		t.Errorf("got %d and dropped %d, want %d in all", len(got), places[0].Dropped, last-1)
	}
	if len(got) < Feed {
		t.Errorf("got %d, want at least the %d that are kept", len(got), Feed)
	}
}

func oneConsumerPerName(t *testing.T, r Record) {
	ctx, stop := within(t)
	defer stop()
	fill(t, r, web, 1, 1)
	started, done := make(chan struct{}), make(chan error)
	go func() {
		done <- r.Consume(ctx, "sink", state.Oldest, func(context.Context, []*alf.Event) error { close(started); return nil })
	}()
	<-started
	if err := r.Consume(ctx, "sink", state.Oldest, nil); err == nil || ctx.Err() != nil {
		t.Errorf("a second Consume = %v, want an error at once", err)
	}
	stop()
	<-done
}

// names are hard on subjects, files and protocols.
func names() []string {
	return []string{"disk C:\\", "a.b.c", "*", ">", "ü ☃", "tab\tinside", "$JS.API", "x/y z", "%2e", "=", "=41", "A",
		"new\nline\r\n", "\xff\x00", strings.Repeat("ü", 300), strings.Repeat("long ", 2000)}
}

func anyName(t *testing.T, r Record) {
	for i, s := range names() {
		key := alf.Key{Host: alf.HostName("h" + s), Service: alf.ServiceName(s)}
		fill(t, r, key, i, i)
		got, err := r.Last(t.Context(), key, 1)
		if err != nil || len(got) != 1 || got[0].Key != key || got[0].Result.Output != fmt.Sprint(i) {
			t.Errorf("Last(%q) = %v, %v", key, got, err)
		}
	}
}
