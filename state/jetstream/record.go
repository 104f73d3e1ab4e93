// Package jetstream is the record on NATS JetStream: embedded in the process
// without a port, or a cluster elsewhere, through the same code.
//
// The feed is one stream, with one message for each batch that the checker
// appends; its acknowledgement is the commit. IDs count events without gaps, so
// a consumer's place is the ID of the last event that it took, and what it
// missed is a difference. The last N events of every key are kept in further
// streams, one for each class of check intervals, because a stream whose keys
// turn over at different speeds is full of holes. They are a view of the feed,
// written behind it by Run; what they do not hold yet is in memory.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"alf"
	"alf/state"
)

// Options say where the record is and what it keeps.
type Options struct {
	Dir string // of the embedded server; created if missing

	URL         string // of a NATS server or cluster, instead of Dir
	Credentials string // file with the user's credentials there
	CA          string // file with the certificate authority there
	Replicas    int    // of each stream there; default 1

	History  int           // events that are kept of each key; default 20
	MaxAge   time.Duration // of the feed and of histories; 0: no bound
	MaxBytes int64         // of the feed; default 1 GiB
	// SyncAlways makes Append wait until the disk has the events, so that a
	// power cut costs nothing. Otherwise it costs up to a second; a kill of the
	// process costs nothing either way. Only an embedded server can do it.
	SyncAlways bool

	Log *slog.Logger // nil: discard
}

const (
	defaultHistory  = 20
	defaultMaxBytes = 1 << 30
	recentEvents    = 20_000    // that are kept decoded for those who are up to date
	maxEvents       = 200       // in one message
	maxMessage      = 256 << 10 // bytes in one message, unless one event is larger
	placeEvery      = 200 * time.Millisecond
)

// Record keeps events in JetStream. It implements state.Recorder, state.Reader
// and state.Feed. Its methods may be called at the same time, but Append.
type Record struct {
	o      Options
	log    *slog.Logger
	server *embedded // nil: elsewhere
	conn   *nats.Conn
	js     jetstream.JetStream
	feed   jetstream.Stream
	keep   map[string]jetstream.Stream // by class
	stats  counters

	mu      sync.Mutex
	last    alf.ID // the newest event's
	lastSeq uint64 // of the message that holds it
	recent  []batch
	held    int                      // events in recent
	pending map[alf.Key][]*alf.Event // not yet in keep, oldest first
	class   map[alf.Key]string       // where a key's history is, as far as known
	places  map[string]*place
	grown   chan struct{} // closed at the next Append
}

// batch is a message of the feed.
type batch struct {
	seq    uint64
	first  alf.ID
	events []*alf.Event
}

var (
	_ state.Recorder = (*Record)(nil)
	_ state.Reader   = (*Record)(nil)
	_ state.Feed     = (*Record)(nil)
)

// Open opens the record, or makes a new one. Run must run as long as the Record
// is used, and Close be called after it.
func Open(ctx context.Context, o Options) (*Record, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.History <= 0 {
		o.History = defaultHistory
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	o.Replicas = max(o.Replicas, 1)
	r := &Record{
		o: o, log: o.Log,
		keep:    make(map[string]jetstream.Stream),
		pending: make(map[alf.Key][]*alf.Event),
		class:   make(map[alf.Key]string),
		places:  make(map[string]*place),
		grown:   make(chan struct{}),
	}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Record) open(ctx context.Context) error {
	for _, step := range []func(context.Context) error{r.connect, r.streams, r.readEnd, r.readPlaces, r.catchUp} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// streams makes the streams, or brings them to what the Options say.
func (r *Record) streams(ctx context.Context) error {
	var err error
	r.feed, err = r.stream(ctx, jetstream.StreamConfig{
		Name: "ALF_FEED", Subjects: []string{feedSubject},
		MaxBytes: r.o.MaxBytes, MaxAge: r.o.MaxAge, Discard: jetstream.DiscardOld,
	})
	if err != nil {
		return err
	}
	if _, err = r.stream(ctx, jetstream.StreamConfig{
		Name: "ALF_PLACES", Subjects: []string{placeSubject + ">"}, MaxMsgsPerSubject: 1,
	}); err != nil {
		return err
	}
	for _, class := range classes {
		r.keep[class.name], err = r.stream(ctx, jetstream.StreamConfig{
			Name:              "ALF_RESULTS_" + class.name,
			Subjects:          []string{resultSubject + class.name + ".>", tickSubject + class.name + ".>"},
			MaxMsgsPerSubject: int64(r.o.History), MaxAge: r.o.MaxAge,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Record) stream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	c.Storage = jetstream.FileStorage
	c.Replicas = r.o.Replicas
	c.AllowDirect = true
	c.Duplicates = 100 * time.Millisecond // nothing here has a message ID
	s, err := r.js.CreateOrUpdateStream(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", c.Name, err)
	}
	return s, nil
}

// readEnd finds the newest event.
func (r *Record) readEnd(ctx context.Context) error {
	info, err := r.feed.Info(ctx)
	if err != nil {
		return fmt.Errorf("read the feed: %w", err)
	}
	r.lastSeq = info.State.LastSeq
	if info.State.Msgs == 0 {
		// All has aged away, or nothing was ever there. No ID is used twice as
		// long as a place or a history knows of it.
		return nil
	}
	msg, err := r.feed.GetMsg(ctx, r.lastSeq)
	if err != nil {
		return fmt.Errorf("read the end of the feed: %w", err)
	}
	first, n, err := span(msg.Data)
	if err != nil {
		return fmt.Errorf("message %d of the feed: %w", r.lastSeq, err)
	}
	r.last = first + alf.ID(n) - 1
	return nil
}

// Close ends the connection and the embedded server. Nothing else may be called
// after it.
func (r *Record) Close() error {
	if r.conn != nil {
		r.conn.Close()
	}
	if r.server != nil {
		return r.server.close()
	}
	return nil
}

// Append implements state.Recorder. It must not be called twice at a time.
func (r *Record) Append(ctx context.Context, events []*alf.Event) error {
	for len(events) > 0 {
		data, n := r.encode(events)
		if err := r.publish(ctx, data, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// encode returns a message with as many events as fit into one, and their
// number.
func (r *Record) encode(events []*alf.Event) ([]byte, int) {
	n := min(len(events), maxEvents)
	first := r.last + 1
	data := appendBatch(nil, first, events[:n])
	for len(data) > maxMessage && n > 1 {
		n /= 2
		data = appendBatch(data[:0], first, events[:n])
	}
	return data, n
}

func (r *Record) publish(ctx context.Context, data []byte, events []*alf.Event) error {
	began := time.Now()
	ack, err := r.js.Publish(ctx, feedSubject, data, jetstream.WithExpectLastSequence(r.lastSeq))
	if err != nil {
		return r.explain(ctx, data, events, err)
	}
	if err := r.sync(); err != nil {
		return fmt.Errorf("write the feed to disk: %w", err)
	}
	r.stats.appended(len(events), len(data), time.Since(began))
	r.take(ack.Sequence, events)
	return nil
}

// take makes events, which are durable, known to all who wait for them.
func (r *Record) take(seq uint64, events []*alf.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.last + 1
	kept := make([]*alf.Event, len(events))
	for i, e := range events {
		r.last++
		e.ID = r.last
		kept[i] = e
		r.pending[e.Key] = append(r.pending[e.Key], e)
	}
	r.lastSeq = seq
	r.recent = append(r.recent, batch{seq, first, kept})
	r.held += len(kept)
	for r.held > recentEvents && len(r.recent) > 1 {
		r.held -= len(r.recent[0].events)
		r.recent[0] = batch{}
		r.recent = r.recent[1:]
	}
	close(r.grown)
	r.grown = make(chan struct{})
}

// ErrForeign is the error of an Append to a feed that somebody else has
// appended to: one feed has one writer.
var ErrForeign = errors.New("another Alf writes to the same feed")

// explain finds out about a failed publish. After a time-out, what was sent may
// have arrived all the same: then it is what the feed ends with.
func (r *Record) explain(ctx context.Context, data []byte, events []*alf.Event, err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		return fmt.Errorf("append to the feed: %w", err)
	}
	msg, got := r.feed.GetMsg(ctx, r.lastSeq+1)
	if got != nil || string(msg.Data) != string(data) {
		return errors.Join(ErrForeign, err)
	}
	r.take(msg.Sequence, events)
	return nil
}
