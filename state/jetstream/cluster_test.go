package jetstream_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"alf"
	"alf/state"
	"alf/state/archive"
	"alf/state/jetstream"
)

// cluster is three NATS servers that know each other.
type cluster struct {
	servers []*natsServer
	names   []string
	url     string
	js      js.JetStream
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c, dir := new(cluster), t.TempDir()
	ports := freePorts(t, 3)
	var routes, urls []string
	for _, port := range ports {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i, port := range ports {
		name := fmt.Sprint("nats", i+1)
		c.names = append(c.names, name)
		c.servers = append(c.servers, startNATS(t, mkdir(t, dir, name), fmt.Sprintf(
			"server_name: %s\nlisten: 127.0.0.1:-1\ncluster { name: alf, listen: 127.0.0.1:%d, routes: [%s] }", name, port, strings.Join(routes, ", "))))
	}
	for _, s := range c.servers {
		s.ready(t)
		urls = append(urls, s.url)
	}
	c.url = strings.Join(urls, ",")
	conn, err := nats.Connect(c.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if c.js, err = js.New(conn, js.WithDefaultTimeout(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	within(t, "the cluster has a leader", func() error {
		_, err := c.js.AccountInfo(t.Context())
		return err
	})
	return c
}

func mkdir(t *testing.T, parent, name string) string {
	t.Helper()
	dir := filepath.Join(parent, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// streams returns what the cluster says of the streams that there are.
func (c *cluster) streams(t *testing.T) (all []*js.StreamInfo) {
	t.Helper()
	within(t, "the cluster lists its streams", func() error {
		all = nil
		list := c.js.ListStreams(t.Context())
		for info := range list.Info() {
			all = append(all, info)
		}
		return list.Err()
	})
	return all
}

// empty drops all streams.
func (c *cluster) empty(t *testing.T) {
	t.Helper()
	for _, info := range c.streams(t) {
		within(t, "a stream is dropped", func() error {
			err := c.js.DeleteStream(t.Context(), info.Config.Name)
			if errors.Is(err, js.ErrStreamNotFound) {
				return nil
			}
			return err
		})
	}
}

// leader returns the server that leads a stream.
func (c *cluster) leader(t *testing.T, stream string) (leader *natsServer) {
	t.Helper()
	within(t, "the stream has a leader", func() error {
		s, err := c.js.Stream(t.Context(), stream)
		if err != nil {
			return err
		}
		i := slices.Index(c.names, s.CachedInfo().Cluster.Leader)
		if i < 0 {
			return errors.New("it has none")
		}
		leader = c.servers[i]
		return nil
	})
	return leader
}

func TestReplicasNeedACluster(t *testing.T) {
	fails(t, jetstream.Options{URL: external(t), Replicas: 3}, "stream ALF_FEED", "replicas > 1 not supported in non-clustered mode")
}

// TestCluster runs those parts of the suite that read what was just written: each
// of its records takes the cluster a second to make.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	t.Run("Replicas", c.replicas)
	t.Run("WrongSequence", c.wrongSequence)
	t.Run("OwnWrites", c.ownWrites)
	t.Run("Suite", func(t *testing.T) {
		suite(t, func(t *testing.T) jetstream.Options {
			c.empty(t)
			return jetstream.Options{URL: c.url, Replicas: 3, Recent: 1}
		}, "LastCountsResults", "ConsumeKeepsItsPlace", "LogHoldsChanges", "DocumentsCompete", "LedgerKeepsTheLast", "LedgerWritersAtOnce")
	})
	t.Run("LeaderKilled", c.leaderKilled) // the last: one server less
}

func (c *cluster) replicas(t *testing.T) {
	c.empty(t)
	works(t, jetstream.Options{URL: c.url, Replicas: 3})
	all := c.streams(t)
	if len(all) != 9 {
		t.Errorf("there are %d streams, want 9", len(all))
	}
	for _, info := range all {
		if info.Config.Replicas != 3 || info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
			t.Errorf("stream %s has %d replicas: %+v", info.Config.Name, info.Config.Replicas, info.Cluster)
		}
	}
}

// wrongSequence has many write the same document at once, and two the feed.
// While a message is on its way to the replicas, the server has an error of its
// own for one that would follow the same one.
func (c *cluster) wrongSequence(t *testing.T) {
	c.empty(t)
	first, _ := open(t, jetstream.Options{URL: c.url, Replicas: 3})
	second, _ := open(t, jetstream.Options{URL: c.url, Replicas: 3})
	own := 0
	within(t, "the error of replicated streams is met", func() error {
		own += c.crowd(t)
		if own == 0 {
			return errors.New("not met")
		}
		return nil
	})
	rev, err := first.PutDocument(t.Context(), "crowd", nil, 0)
	for n := 0; n < 100 && err == nil; n++ {
		rev, err = race(t, rev, first, second)
	}
	if err != nil {
		t.Error(err)
	}
	put(t, first, result(web, 1))
	if err := second.Append(t.Context(), []*alf.Event{result(web, 2)}); !errors.Is(err, jetstream.ErrForeign) {
		t.Errorf("the second writer's Append = %v, want ErrForeign", err)
	}
	put(t, first, result(web, 3))
}

// race lets each of two write the same revision of a document. One wins, and the
// other is told of a conflict.
func race(t *testing.T, rev state.Revision, a, b *jetstream.Record) (state.Revision, error) {
	var all sync.WaitGroup
	var next [2]state.Revision
	var errs [2]error
	for i, r := range []*jetstream.Record{a, b} {
		all.Go(func() { next[i], errs[i] = r.PutDocument(t.Context(), "crowd", fmt.Append(nil, i), rev) })
	}
	all.Wait()
	for i := range 2 {
		if errs[i] == nil && errors.Is(errs[1-i], state.ErrConflict) {
			return next[i], nil
		}
	}
	return 0, fmt.Errorf("PutDocument = %v and %v, want one ErrConflict", errs[0], errs[1])
}

// crowd publishes the same revision of one document many times at once, and
// returns how many got the error of replicated streams.
func (c *cluster) crowd(t *testing.T) (own int) {
	t.Helper()
	var sent []js.PubAckFuture
	for range 50 {
		f, err := c.js.PublishAsync("alf.doc.raw", []byte{1, 0, 0}, js.WithExpectLastSequencePerSubject(0))
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, f)
	}
	for _, f := range sent {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			var api *js.APIError
			if errors.As(err, &api) && api.ErrorCode == js.JSErrCodeStreamWrongLastSequenceConstant {
				own++
			}
		}
	}
	s, err := c.js.Stream(t.Context(), "ALF_DOCS")
	if err == nil {
		err = s.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// ownWrites reads at once what was written, also where a replica that is asked
// may be behind.
func (c *cluster) ownWrites(t *testing.T) {
	c.empty(t)
	r, _ := open(t, jetstream.Options{URL: c.url, Replicas: 3})
	intervals := []time.Duration{time.Minute, time.Hour}
	var kept []alf.ID
	for n := range 45 {
		e := result(web, n)
		e.Interval = intervals[n/20%2] // now and then its history goes over to another stream
		e.Change = alf.ChangeHard
		put(t, r, e)
		kept = append(kept, e.ID)
		settle(t, r)
		got := last(t, r, web)
		if want := min(n+1, 20); len(got) != want || got[0] != fmt.Sprint(n) {
			t.Errorf("after %d: Last has %d: %v, want %d", n, len(got), got, want)
		}
		if got := logged(t, r); !slices.Equal(got, kept) {
			t.Errorf("after %d: the log has %v, want %v", n, got, kept)
		}
	}
	items := 0
	if err := r.Dump(t.Context(), func(archive.Item) error { items++; return nil }); err != nil || items < 20+2*45 {
		t.Errorf("Dump hands on %d items, %v, want 20 results, and the log and the feed whole", items, err)
	}
}

func logged(t *testing.T, r *jetstream.Record) (ids []alf.ID) {
	t.Helper()
	for e, err := range r.Entries(t.Context(), state.Scope{Key: web}, time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

// leaderKilled kills the server that leads the feed, to which Alf is connected,
// while Alf appends and somebody reads.
func (c *cluster) leaderKilled(t *testing.T) {
	c.empty(t)
	_, stop := open(t, jetstream.Options{URL: c.url, Replicas: 3})
	stop()
	leader := c.leader(t, "ALF_FEED")
	// It hears of the others, and reads everything from the servers.
	r, stop := open(t, jetstream.Options{URL: leader.url, Replicas: 3, History: 1000, Recent: 1})
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	through := make(chan error)
	var newest atomic.Uint64 // that is kept
	go func() {
		for ctx.Err() == nil {
			if err := readThrough(ctx, r, alf.ID(newest.Load())); err != nil {
				through <- err
				return
			}
		}
		through <- nil
	}()
	const before, after = 100, 100
	var kept []alf.ID
	refused := 0
	add := func(n int) {
		t.Helper()
		e := result(web, n)
		within(t, "Append", func() error {
			err := r.Append(t.Context(), []*alf.Event{e})
			if err != nil {
				refused++
			}
			return err
		})
		kept = append(kept, e.ID)
		newest.Store(uint64(e.ID))
	}
	for n := range before {
		add(n)
	}
	killed := make(chan struct{})
	go func() { defer close(killed); leader.kill() }()
	began := time.Now()
	for n := before; n < before+after || !isClosed(killed); n++ {
		add(n)
	}
	add(len(kept)) // the server is gone for sure
	t.Logf("%d events, refused %d times, took %v", len(kept), refused, time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); took > patience {
		t.Errorf("Alf went on after %v", took)
	}
	cancel()
	if err := <-through; err != nil {
		t.Error(err)
	}
	c.holds(t, r, kept)
	stop()
	again, _ := open(t, jetstream.Options{URL: c.url, Replicas: 3, History: 1000, Recent: 1})
	c.holds(t, again, kept)
}

// readThrough reads the feed from its begin up to the event last.
func readThrough(ctx context.Context, r *jetstream.Record, last alf.ID) error {
	var at alf.ID
	err := r.Follow(ctx, 0, func(_ context.Context, events []*alf.Event) error {
		for _, e := range events {
			if at++; e.ID != at {
				return fmt.Errorf("event %d comes after %d", e.ID, at-1)
			}
		}
		if at >= last {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("Follow = %w after event %d", err, at)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// holds compares what a record has with what was acknowledged: the results 0, 1, 2...
func (c *cluster) holds(t *testing.T, r *jetstream.Record, kept []alf.ID) {
	t.Helper()
	end := fmt.Sprint(len(kept) - 1)
	if got := follow(t, r, 0, end); !slices.Equal(got, kept) {
		t.Errorf("the feed has %v, want %v", got, kept)
	}
	if got := consume(t, r, "sink"+end+rand.Text(), end); !slices.Equal(got, kept) {
		t.Errorf("a consumer gets %v, want %v", got, kept)
	}
	within(t, "the histories are written", func() error {
		if n := r.Stats().Behind; n > 0 {
			return fmt.Errorf("%d events are not", n)
		}
		return nil
	})
	got := last(t, r, web)
	if len(got) != 100 || got[0] != end { // as many as last asks for
		t.Errorf("Last has %d: %v, want 100 from %s on", len(got), got, end)
	}
}
