package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"alf"
	"alf/state"
	"alf/state/jetstream"
	"alf/state/journaltest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
		return
	}
	if file := os.Getenv(natsConfig); file != "" {
		serveNATS(file)
		return
	}
	goleak.VerifyTestMain(m)
}

// open opens a record and runs it until the test ends, or stop is called.
func open(t testing.TB, o jetstream.Options) (r *jetstream.Record, stop func()) {
	t.Helper()
	if o.Dir == "" && o.URL == "" {
		o.Dir = t.TempDir()
	}
	r, err := jetstream.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-done
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return r, stop
}

func suite(t *testing.T, o func(t *testing.T) jetstream.Options, only ...string) {
	journaltest.Run(t, func(t *testing.T) journaltest.Record {
		o := o(t)
		o.History, o.MaxBytes = journaltest.History, 30_000
		r, _ := open(t, o)
		return r
	}, only...)
}

func TestEmbedded(t *testing.T) {
	suite(t, func(*testing.T) jetstream.Options { return jetstream.Options{} })
}

// TestFromDisk is the suite for those who are too late for what is in memory.
func TestFromDisk(t *testing.T) {
	suite(t, func(*testing.T) jetstream.Options { return jetstream.Options{Recent: 1} })
}

func TestSyncAlways(t *testing.T) {
	suite(t, func(*testing.T) jetstream.Options { return jetstream.Options{SyncAlways: true} })
}

func TestExternal(t *testing.T) {
	suite(t, func(t *testing.T) jetstream.Options { return jetstream.Options{URL: external(t), Recent: 1} })
}

// external starts a NATS server with a port of its own.
func external(t *testing.T) string { return externalThatTakes(t, 0) }

// externalThatTakes starts one with that max_payload; 0: its default, 1 MB.
func externalThatTakes(t *testing.T, bytes int32) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), MaxPayload: bytes})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

func TestForeignWriter(t *testing.T) {
	url := external(t)
	first, _ := open(t, jetstream.Options{URL: url})
	second, _ := open(t, jetstream.Options{URL: url})
	put(t, first, result(web, 1))
	err := second.Append(t.Context(), []*alf.Event{result(web, 2)})
	if !errors.Is(err, jetstream.ErrForeign) {
		t.Errorf("the second writer's Append = %v, want ErrForeign", err)
	}
	put(t, first, result(web, 3))
}

func TestSyncAlwaysNeedsEmbedded(t *testing.T) {
	_, err := jetstream.Open(t.Context(), jetstream.Options{URL: external(t), SyncAlways: true})
	if err == nil || !strings.Contains(err.Error(), "sync_interval") {
		t.Errorf("Open = %v, want an error that says what to do instead", err)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	_, stop := open(t, jetstream.Options{Dir: dir})
	_, err := jetstream.Open(t.Context(), jetstream.Options{Dir: dir})
	if !errors.Is(err, jetstream.ErrLocked) || !strings.Contains(fmt.Sprint(err), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second Open = %v, want ErrLocked with the process number %d", err, os.Getpid())
	}
	stop()
	open(t, jetstream.Options{Dir: dir})
}

var web = alf.Key{Host: "web1", Service: "disk /"}

// result is an event that holds n as its output.
func result(key alf.Key, n int) *alf.Event {
	return &alf.Event{Key: key, Kind: alf.KindResult, Interval: time.Minute, Time: time.Unix(int64(n), 0).UTC(),
		State:  alf.State{Status: alf.OK, Type: alf.Hard, Attempt: 1, MaxAttempts: 3, LastCheck: time.Unix(int64(n), 0).UTC()},
		Result: &alf.Result{Output: fmt.Sprint(n), Metric: "disk"}}
}

func put(t testing.TB, r *jetstream.Record, events ...*alf.Event) {
	t.Helper()
	if err := r.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

func last(t testing.TB, r *jetstream.Record, key alf.Key) []string {
	t.Helper()
	events, err := r.Last(t.Context(), key, 100)
	if err != nil {
		t.Errorf("Last(%v) = %v", key, err)
	}
	var out []string
	for _, e := range events {
		out = append(out, e.Result.Output)
	}
	return out
}

func heads(t testing.TB, r *jetstream.Record) map[alf.Key]string {
	t.Helper()
	out := map[alf.Key]string{}
	for e, err := range r.Heads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out[e.Key] = e.Kind.String()
		if e.Result != nil {
			out[e.Key] += " " + e.Result.Output
		}
	}
	return out
}

// follow returns what h got: the outputs of all events after that one, up to the
// one with the output until.
func follow(t testing.TB, r *jetstream.Record, after alf.ID, until string) (ids []alf.ID) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	err := r.Follow(ctx, after, func(_ context.Context, events []*alf.Event) error {
		for _, e := range events {
			ids = append(ids, e.ID)
			if e.Result != nil && e.Result.Output == until {
				stop()
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Follow = %v", err)
	}
	return ids
}

func consume(t testing.TB, r *jetstream.Record, name, until string) (ids []alf.ID) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	err := r.Consume(ctx, name, state.Oldest, func(_ context.Context, events []*alf.Event) error {
		for _, e := range events {
			ids = append(ids, e.ID)
			if e.Result != nil && e.Result.Output == until {
				stop()
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Consume = %v after %d events", err, len(ids))
	}
	return ids
}

// settle waits until all events are in the histories.
func settle(t testing.TB, r *jetstream.Record) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); r.Stats().Behind > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events are not in the histories", r.Stats().Behind)
		}
	}
}

func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestReopen opens a record again: after it was closed, and as a kill leaves it.
func TestReopen(t *testing.T) {
	for name, closed := range map[string]bool{"Closed": true, "Killed": false} {
		t.Run(name, func(t *testing.T) {
			o := jetstream.Options{Dir: t.TempDir(), History: 3}
			r, stop := open(t, o)
			db, gone, moved, back := alf.Key{Host: "db1"}, alf.Key{Host: "gone"}, alf.Key{Host: "moved"}, alf.Key{Host: "back"}
			for n := range 6 {
				put(t, r, result(web, n), result(db, n), result(gone, n), result(moved, n), result(back, n))
			}
			tick := result(db, 5)
			tick.Kind = alf.KindTick
			slow := result(moved, 6)
			slow.Interval = time.Hour
			put(t, r, &alf.Event{Key: gone, Kind: alf.KindRemoved}, &alf.Event{Key: back, Kind: alf.KindRemoved}, tick)
			put(t, r, slow, result(back, 7))
			got := consume(t, r, "sink", "7")
			if closed {
				stop()
			} else {
				settle(t, r) // what is not there yet comes from the feed
				o.Dir = copyOf(t, o.Dir)
			}
			r, _ = open(t, o)
			wantHeads := map[alf.Key]string{web: "result 5", db: "tick 5", moved: "result 6", back: "result 7"}
			if h := heads(t, r); fmt.Sprint(h) != fmt.Sprint(wantHeads) {
				t.Errorf("Heads = %v, want %v", h, wantHeads)
			}
			for key, want := range map[alf.Key][]string{web: {"5", "4", "3"}, db: {"5", "4", "3"}, gone: nil, moved: {"6", "5", "4"}, back: {"7"}} {
				if h := last(t, r, key); !slices.Equal(h, want) {
					t.Errorf("Last(%v) = %v, want %v", key, h, want)
				}
			}
			next := result(web, 8)
			put(t, r, next)
			if next.ID != got[len(got)-1]+1 {
				t.Errorf("the first ID is %d after %d", next.ID, got[len(got)-1])
			}
			more := consume(t, r, "sink", "8")
			if !slices.IsSorted(more) || more[0] > next.ID || more[len(more)-1] != next.ID || closed && len(more) != 1 {
				t.Errorf("the consumer gets %v after %d", more, got[len(got)-1])
			}
		})
	}
}

// TestKilledWhileWriting opens copies of a record that is being written.
func TestKilledWhileWriting(t *testing.T) {
	o := jetstream.Options{Dir: t.TempDir(), History: 3}
	r, _ := open(t, o)
	for n := range 5 {
		for i := range 200 {
			put(t, r, result(alf.Key{Host: "h", Service: alf.ServiceName(fmt.Sprint(i % 10))}, 1000*n+i), result(web, 1000*n+i))
		}
		c := o
		c.Dir = copyOf(t, o.Dir)
		other, stop := open(t, c)
		want := fmt.Sprint([]int{1000*n + 199, 1000*n + 198, 1000*n + 197})
		if got := fmt.Sprint(last(t, other, web)); got != want {
			t.Errorf("after %d: Last = %v, want %v", n, got, want)
		}
		if got := heads(t, other)[web]; got != fmt.Sprint("result ", 1000*n+199) {
			t.Errorf("after %d: the head is %v", n, got)
		}
		stop()
	}
}

// TestLastAtOnce reads what Append has returned while nobody writes histories.
func TestLastAtOnce(t *testing.T) {
	r, err := jetstream.Open(t.Context(), jetstream.Options{Dir: t.TempDir(), History: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := range 5 {
		put(t, r, result(web, n))
	}
	if got := last(t, r, web); !slices.Equal(got, []string{"4", "3", "2"}) {
		t.Errorf("Last = %v", got)
	}
	put(t, r, &alf.Event{Key: web, Kind: alf.KindRemoved}, result(web, 5))
	if got := last(t, r, web); !slices.Equal(got, []string{"5"}) {
		t.Errorf("after removal and return Last = %v", got)
	}
	if got := heads(t, r)[web]; got != "result 5" {
		t.Errorf("the head is %q", got)
	}
}

func TestFollowFromAnOldID(t *testing.T) {
	r, _ := open(t, jetstream.Options{Recent: 1})
	const n = 600
	for i := range n / 3 {
		put(t, r, result(web, 3*i), result(web, 3*i+1), result(web, 3*i+2))
	}
	for _, after := range []alf.ID{0, 1, 2, 3, 299, 300, 301, n - 4, n - 1} {
		got := follow(t, r, after, fmt.Sprint(n-1))
		if got[0] != after+1 || alf.ID(len(got)) != n-after {
			t.Errorf("after %d: %d events from %d on, want %d", after, len(got), got[0], n-after)
		}
	}
}

// TestDroppedWhileBehind has a consumer that is too slow for what the feed keeps
// and reads the oldest messages while they go.
func TestDroppedWhileBehind(t *testing.T) {
	r, _ := open(t, jetstream.Options{Recent: 1, MaxBytes: 20_000})
	const n = 3000
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var got []alf.ID
	done, turn := make(chan error), make(chan struct{})
	put(t, r, result(web, 0))
	go func() {
		done <- r.Consume(ctx, "slow", state.Oldest, func(_ context.Context, events []*alf.Event) error {
			<-turn
			for _, e := range events {
				if got = append(got, e.ID); e.ID == n {
					stop()
				}
			}
			return nil
		})
	}()
	for i := 1; i < n; i++ {
		put(t, r, result(web, i))
		if i%20 == 0 {
			turn <- struct{}{}
		}
	}
	close(turn)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("Consume = %v", err)
	}
	places, _ := r.Places(t.Context())
	if sum := uint64(len(got)) + places[0].Dropped; sum != n || places[0].Dropped == 0 || places[0].Lag != 0 {
		t.Errorf("got %d and %+v, want %d in all", len(got), places[0], n)
	}
	if !slices.IsSorted(got) || len(slices.Compact(got)) != len(got) {
		t.Error("events came twice or in another order")
	}
}

// TestAllAgedAway has a feed and histories of which nothing is left.
func TestAllAgedAway(t *testing.T) {
	o := jetstream.Options{Dir: t.TempDir(), MaxAge: 400 * time.Millisecond, Recent: 1}
	r, stop := open(t, o)
	put(t, r, result(web, 1))
	consume(t, r, "sink", "1")
	for n := 2; n <= 10; n++ {
		put(t, r, result(web, n))
	}
	settle(t, r)
	time.Sleep(time.Second)
	stop()
	r, _ = open(t, o)
	if h := heads(t, r); len(h) != 0 {
		t.Errorf("Heads = %v, want nothing", h)
	}
	next := result(web, 11)
	put(t, r, next)
	got := consume(t, r, "sink", "11")
	places, _ := r.Places(t.Context())
	if len(got) != 1 || next.ID != got[0] || alf.ID(places[0].Dropped) != next.ID-2 {
		t.Errorf("got %v, ID %d, %+v", got, next.ID, places[0])
	}
	if next.ID < 2 {
		t.Errorf("ID %d is used twice", next.ID)
	}
}

// A consumer that is told to stop while it takes something leaves its place
// without complaint.
func TestStoppedWhileTaking(t *testing.T) {
	var said safe
	r, stop := open(t, jetstream.Options{Dir: t.TempDir(), Log: logTo(&said)})
	defer stop()
	put(t, r, result(alf.Key{Host: "h"}, 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := r.Consume(ctx, "sink", state.Oldest, func(context.Context, []*alf.Event) error {
		time.Sleep(250 * time.Millisecond) // so that the place is stored at once
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	places, err := r.Places(t.Context())
	if err != nil || len(places) != 1 || places[0].Lag != 0 {
		t.Errorf("places %v, %v", places, err)
	}
	if strings.Contains(said.String(), "not stored") {
		t.Error(said.String())
	}
}

func TestForgottenAfterReopen(t *testing.T) {
	o := jetstream.Options{Dir: t.TempDir()}
	r, stop := open(t, o)
	put(t, r, result(web, 1))
	consume(t, r, "a.b *", "1")
	consume(t, r, "b", "1")
	if err := r.Forget(t.Context(), "a.b *"); err != nil {
		t.Fatal(err)
	}
	stop()
	r, _ = open(t, o)
	if places, _ := r.Places(t.Context()); len(places) != 1 || places[0].Name != "b" {
		t.Errorf("Places = %+v, want only b", places)
	}
}

// TestClockWasSet appends while the clock is set back and forth by hours: what
// counts is the order in which events came.
func TestClockWasSet(t *testing.T) {
	o := jetstream.Options{Dir: t.TempDir(), History: 4, MaxAge: 24 * time.Hour, Recent: 1}
	r, stop := open(t, o)
	var want []alf.ID
	for n, jump := range []time.Duration{0, -10 * time.Hour, 10 * time.Hour, -time.Hour, 1000 * time.Hour, -1000 * time.Hour} {
		for _, key := range []alf.Key{web, {Host: "db1"}} {
			e := result(key, n)
			e.Time = time.Now().Add(jump)
			e.State.LastCheck, e.Result.Start, e.Result.End = e.Time, e.Time, e.Time
			put(t, r, e)
			want = append(want, e.ID)
		}
	}
	check := func(r *jetstream.Record, consumer string) {
		t.Helper()
		if got := last(t, r, web); !slices.Equal(got, []string{"5", "4", "3", "2"}) {
			t.Errorf("Last = %v", got)
		}
		if got := heads(t, r); len(got) != 2 || got[web] != "result 5" {
			t.Errorf("Heads = %v", got)
		}
		if !slices.IsSorted(want) || len(want) != 12 {
			t.Errorf("the IDs are %v", want)
		}
		for what, got := range map[string][]alf.ID{"Follow": collect(t, want, func(h state.Handler) error { return r.Follow(t.Context(), 0, h) }),
			"Consume": collect(t, want, func(h state.Handler) error { return r.Consume(t.Context(), consumer, state.Oldest, h) })} {
			if !slices.Equal(got, want) {
				t.Errorf("%s got %v, want %v", what, got, want)
			}
		}
	}
	check(r, "one")
	settle(t, r)
	check(r, "two")
	stop()
	r, _ = open(t, o)
	check(r, "three")
}

var errEnough = errors.New("enough")

// collect returns the IDs that read hands to a handler that takes so many.
func collect(t *testing.T, want []alf.ID, read func(state.Handler) error) (got []alf.ID) {
	t.Helper()
	err := read(func(_ context.Context, events []*alf.Event) error {
		for _, e := range events {
			got = append(got, e.ID)
		}
		if len(got) >= len(want) {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("read = %v", err)
	}
	return got
}
