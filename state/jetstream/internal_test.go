package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"alf"
)

func openBare(t *testing.T, dir string) *Record {
	t.Helper()
	r, err := Open(t.Context(), Options{Dir: dir, History: 3})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func outputs(t *testing.T, r *Record, key alf.Key) string {
	t.Helper()
	events, err := r.Last(t.Context(), key, 100)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		out = append(out, e.Result.Output)
	}
	return fmt.Sprint(out)
}

func event(host string, n int) *alf.Event {
	return &alf.Event{Key: alf.Key{Host: alf.HostName(host)}, Interval: time.Minute, Result: &alf.Result{Output: fmt.Sprint(n)}}
}

// TestUnacknowledged appends after an Append that gave up though what it sent
// arrived: the same events and more, or others.
func TestUnacknowledged(t *testing.T) {
	r := openBare(t, t.TempDir())
	defer r.Close()
	send := func(events ...*alf.Event) {
		last, _ := r.end()
		msg := &nats.Msg{Subject: feedSubject, Data: appendBatch(nil, last+1, events), Header: nats.Header{writerHeader: {r.writer}}}
		if _, err := r.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	add := func(events ...*alf.Event) {
		t.Helper()
		if err := r.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	add(event("a", 1))
	again := []*alf.Event{event("a", 2), event("a", 3)}
	send(again...)
	add(append(again, event("a", 4))...)
	if got := outputs(t, r, again[0].Key); got != "[4 3 2]" || again[1].ID != 3 {
		t.Errorf("Last = %v, IDs %d and %d: want each event once", got, again[0].ID, again[1].ID)
	}
	send(event("b", 1), event("b", 2))
	add(event("b", 3))
	if got := outputs(t, r, alf.Key{Host: "b"}); got != "[3 2 1]" {
		t.Errorf("Last = %v, want the given up ones, too", got)
	}
	add(event("b", 4))
}

// TestPartlyAppended appends again what an Append has kept in part.
func TestPartlyAppended(t *testing.T) {
	r := openBare(t, t.TempDir())
	defer r.Close()
	var events []*alf.Event
	for n := range 2*maxEvents + 10 {
		events = append(events, event("a", n))
	}
	if _, err := r.append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	r.half = slices.Clone(events[:maxEvents])
	if err := r.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if last, _ := r.end(); last != alf.ID(len(events)) || events[len(events)-1].ID != last {
		t.Errorf("%d events are kept, want %d", last, len(events))
	}
}

// TestReplay writes the histories again from the beginning of the feed, as after
// a power cut: what is there is neither doubled nor dropped.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	r := openBare(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	slow := event("moved", 3)
	slow.Interval = time.Hour
	var all []*alf.Event
	for n := range 5 {
		all = append(all, event("a", n), event("back", n), event("moved", n), event("to and fro", n))
	}
	fro := event("to and fro", 6)
	fro.Interval = time.Hour
	all = append(all, slow, &alf.Event{Key: alf.Key{Host: "back"}, Kind: alf.KindRemoved}, event("back", 7), fro, event("to and fro", 8),
		event("gone", 1), &alf.Event{Key: alf.Key{Host: "gone"}, Kind: alf.KindRemoved})
	for _, e := range all { // one by one, so that the histories keep up, or not
		if err := r.Append(t.Context(), []*alf.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	for r.Stats().Behind > 0 {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
	for range 3 {
		if err := r.storePlace(t.Context(), &place{Name: indexer}); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = openBare(t, dir)
		for host, want := range map[string]string{"a": "[4 3 2]", "back": "[7]", "moved": "[3 4 3]", "to and fro": "[8 6 4]", "gone": "[]"} {
			if got := outputs(t, r, alf.Key{Host: alf.HostName(host)}); got != want {
				t.Errorf("Last(%q) = %v, want %v", host, got, want)
			}
		}
		n := 0
		for range r.Heads(t.Context()) {
			n++
		}
		if n != 4 {
			t.Errorf("%d heads, want 4", n)
		}
	}
	r.Close()
}

// TestKilledWhileMoving ends Alf at every step of taking a history over to
// another class. Each result is kept, once.
func TestKilledWhileMoving(t *testing.T) {
	a := alf.Key{Host: "a"}
	for steps := range 6 { // 1 to 3: copies, 4: the event itself, 5: and the old ones are gone
		dir := t.TempDir()
		reopen := func(r *Record) *Record {
			if r != nil {
				r.Close()
			}
			return openBare(t, dir)
		}
		r := reopen(nil)
		for n := range 5 {
			if err := r.Append(t.Context(), []*alf.Event{event("a", n), event("b", n)}); err != nil {
				t.Fatal(err)
			}
		}
		r = reopen(r)
		slow := event("a", 5)
		slow.Interval = time.Hour
		if err := r.Append(t.Context(), []*alf.Event{event("b", 5), slow, event("b", 6)}); err != nil {
			t.Fatal(err)
		}
		old, err := r.history(t.Context(), "2M", a)
		if err != nil || len(old) != 3 {
			t.Fatalf("history = %d events, %v", len(old), err)
		}
		var w written
		for i, e := range append(old, slow)[:min(steps, 4)] {
			header := nats.Header{movedHeader: {"2M"}}
			if i == len(old) {
				header = nil
			}
			if err := errors.Join(r.publish(&w, "2H", e, header), w.wait(t.Context(), r)); err != nil {
				t.Fatal(err)
			}
		}
		if steps == 5 {
			if err := r.purge(t.Context(), "2M", a, slow.ID); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			r = reopen(r)
			for key, want := range map[alf.Key]string{a: "[5 4 3]", {Host: "b"}: "[6 5 4]"} {
				if got := outputs(t, r, key); got != want {
					t.Errorf("killed after %d steps: Last(%v) = %v, want %v", steps, key, got, want)
				}
			}
			for class, want := range map[string]int{"2M": 0, "2H": 3} {
				if got, err := r.history(t.Context(), class, a); len(got) != want || err != nil {
					t.Errorf("killed after %d steps: %d messages in %s, %v, want %d", steps, len(got), class, err, want)
				}
			}
			if err := r.storePlace(t.Context(), &place{Name: indexer}); err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
	}
}

// TestLastWhileMoving reads a history all the time while its interval changes.
func TestLastWhileMoving(t *testing.T) {
	r := openBare(t, t.TempDir())
	defer r.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	intervals := []time.Duration{time.Minute, time.Hour, 10 * time.Minute}
	for n := range 60 {
		e := event("a", n)
		e.Interval = intervals[n%len(intervals)]
		if err := r.Append(t.Context(), []*alf.Event{e}); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint([]int{n, n - 1, n - 2})
		for until := time.Now().Add(5 * time.Millisecond); n >= 2 && (time.Now().Before(until) || r.Stats().Behind > 0); {
			if got := outputs(t, r, e.Key); got != want {
				t.Fatalf("Last = %v, want %v", got, want)
			}
		}
	}
}

// TestLostHistory loses what the histories held: it comes from the feed again.
func TestLostHistory(t *testing.T) {
	dir := t.TempDir()
	r := openBare(t, dir)
	for n := range 4 {
		if err := r.Append(t.Context(), []*alf.Event{event("a", n)}); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	r = openBare(t, dir)
	p := r.indexerPlace()
	p.mark = p.Done
	known, err := r.newestIDs(t.Context())
	if err != nil || known["2M"] != 4 {
		t.Fatalf("the newest are %v, %v", known, err)
	}
	r.storeIndexer(t.Context(), p, known)
	if err := r.keep["2M"].Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Close()
	r = openBare(t, dir)
	defer r.Close()
	if got := outputs(t, r, alf.Key{Host: "a"}); got != "[3 2 1]" {
		t.Errorf("Last = %v", got)
	}
}

// TestRecentIsBoundedByBytes: plugins that write much fill no memory with what
// nobody waits for.
func TestRecentIsBoundedByBytes(t *testing.T) {
	r := &Record{o: Options{Recent: 1_000_000}, pending: map[alf.Key][]*alf.Event{}, heads: map[alf.Key]*alf.Event{}, grown: make(chan struct{})}
	long := strings.Repeat("x", 1<<20)
	for seq := range uint64(200) {
		r.take(seq+1, []*alf.Event{{Key: alf.Key{Host: "web1"}, Result: &alf.Result{LongOutput: long}}})
	}
	if r.size > recentBytes || len(r.recent) < 60 || len(r.recent) > 64 {
		t.Errorf("%d batches of %d bytes are kept", len(r.recent), r.size)
	}
	if b, ok := r.inMemory(200); !ok || len(b.events) != 1 {
		t.Error("the newest one is not kept")
	}
}

// TestPendingIsBoundedByBytes: nor with what waits for the histories. Append
// refuses until they are written.
func TestPendingIsBoundedByBytes(t *testing.T) {
	r := openBare(t, t.TempDir())
	defer r.Close()
	n, long := 0, strings.Repeat("x", 4<<20)
	add := func() error {
		e := event("a", n)
		e.Result.LongOutput = long
		err := r.Append(t.Context(), []*alf.Event{e})
		if err == nil {
			n++
		}
		return err
	}
	for range 40 {
		if err := add(); err != nil {
			break
		}
	}
	if err := add(); !errors.Is(err, ErrBehind) || n != 32 {
		t.Errorf("after %d large events Append = %v, want ErrBehind after 32", n, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	for began := time.Now(); r.Stats().Behind > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%d events are not in the histories", r.Stats().Behind)
		}
	}
	if err := add(); err != nil {
		t.Errorf("Append = %v once the histories are written", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.weight < 0 || r.weight > 5<<20 {
		t.Errorf("%d bytes count as waiting", r.weight)
	}
}

// TestLastOfLargeResults reads a history of which the server does not send all at
// a time.
func TestLastOfLargeResults(t *testing.T) {
	dir := t.TempDir()
	r := openBare(t, dir)
	for n := range 4 {
		e := event("a", n)
		e.Result.LongOutput = strings.Repeat("x", 6<<20)
		if err := r.Append(t.Context(), []*alf.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	r = openBare(t, dir)
	defer r.Close()
	a := alf.Key{Host: "a"}
	events, next, err := r.historyFrom(t.Context(), "2M", a, 1)
	if err != nil || next == 0 {
		t.Fatalf("one request got all: %d events, %v", len(events), err)
	}
	if got := outputs(t, r, a); got != "[3 2 1]" {
		t.Errorf("Last = %v", got)
	}
}

// TestFeedTurnsOver: what the feed lets go before it is in the histories comes
// there from memory.
func TestFeedTurnsOver(t *testing.T) {
	o := Options{Dir: t.TempDir(), History: 3, MaxBytes: 20_000, Recent: 1}
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 500 {
		host := "a"
		if n < 3 {
			host = "early"
		}
		if err := r.Append(t.Context(), []*alf.Event{event(host, n)}); err != nil {
			t.Fatal(err)
		}
	}
	if msg, err := r.message(t.Context(), 1); err != nil || msg.Sequence < 10 {
		t.Fatalf("the feed begins with %+v, %v", msg, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	for began := time.Now(); r.Stats().Behind > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d events are not in the histories", r.Stats().Behind)
		}
	}
	stop()
	<-done
	r.Close()
	if r, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := outputs(t, r, alf.Key{Host: "early"}); got != "[2 1 0]" {
		t.Errorf("Last = %v", got)
	}
}
