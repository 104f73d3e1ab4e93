// Package jetstream is the record on NATS JetStream: embedded in the process
// without a port, or a cluster elsewhere, through the same code.
//
// The feed is one stream, with one message for each batch that the checker
// appends; its acknowledgement is the commit. IDs count events, so a consumer's
// place is the ID of the last event that it took, and what it missed is a
// difference. The last N events of every key are kept in further streams, one
// for each class of check intervals, because a stream whose keys turn over at
// different speeds is full of holes. They are a view of the feed, written behind
// it by Run; what they do not hold yet is in memory, and so is the newest event
// of every key.
//
// When the embedded server cannot write any more, because the disk is full, it
// gives up for good. Reading goes on, Append refuses, and Run starts the server
// anew as soon as there is room.
package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
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
	Cert, Key   string // files with a certificate of Alf's own, for a server that asks for it
	Replicas    int    // of each stream there; default 1

	History  int           // results that are kept of each key; default 20
	MaxAge   time.Duration // of the feed and of histories; 0: no bound
	MaxBytes int64         // of the feed; default 1 GiB
	LogAge   time.Duration // of the log; 0: no bound
	LogBytes int64         // of the log; default 2 GiB
	Recent   int           // events that are kept decoded for those who are up to date; default 20,000
	// SyncAlways makes Append wait until the disk has the events, so that a
	// power cut costs nothing. Otherwise it costs up to a second; a kill of the
	// process costs nothing either way. Only an embedded server can do it.
	SyncAlways bool

	// ReadOnly opens a record to look into it: nothing is made or changed, but by
	// an embedded server that starts. Only Info, Dump, Places and the documents can
	// be read then, and Run is not needed.
	ReadOnly bool

	Version string       // of this Alf, for people who open the record with an older one
	Log     *slog.Logger // nil: discard
}

// The streams.
const (
	feedStream    = "ALF_FEED"
	placesStream  = "ALF_PLACES"
	logStream     = "ALF_LOG"
	docsStream    = "ALF_DOCS"
	ledgerStream  = "ALF_LEDGER"
	resultsStream = "ALF_RESULTS_" // and the class
)

const (
	defaultHistory  = 20
	defaultMaxBytes = 1 << 30
	defaultLogBytes = 2 << 30
	defaultRecent   = 20_000
	recentBytes     = 64 << 20  // of the events that are kept decoded
	maxEvents       = 200       // in one message
	maxMessage      = 256 << 10 // bytes in one message, unless one event is larger
	maxPending      = 100_000   // events that wait for the histories
	pendingBytes    = 128 << 20 // of them, about
	ackFor          = 5 * time.Second
	placeEvery      = 200 * time.Millisecond
)

// Record keeps events in JetStream. It implements state.Recorder, state.Reader,
// state.Feed, state.Log, state.Documents and state.Ledger. Its methods may be called at the same time, but Append.
type Record struct {
	o      Options
	log    *slog.Logger
	server *embedded // nil: elsewhere
	conn   *nats.Conn
	deny   context.CancelCauseFunc // ends open when the user may not do something
	js     jetstream.JetStream
	feed   jetstream.Stream
	keep   map[string]jetstream.Stream // by class
	logs   jetstream.Stream
	docs   documents
	ledger sync.Mutex // held by who writes into the ledger, until the disk has it
	writer string     // marks the messages of this Record
	mended bool       // it was opened without the server's indexes, which were wrong
	stats  counters

	found     stamp // in the data directory, when it was opened
	shaped    stamp // of the feed, when it was opened
	importing bool  // into this record, which is not to be used before that is done

	half []*alf.Event // those that an Append kept before it failed; Append's own

	mu      sync.Mutex
	last    alf.ID // the newest event's
	lastSeq uint64 // of the newest message of the feed
	recent  []batch
	held    int                      // events in recent
	size    int                      // bytes of them, about
	heads   map[alf.Key]*alf.Event   // the newest of every key
	pending map[alf.Key][]*alf.Event // not yet in keep, oldest first
	waiting int                      // events in pending
	weight  int                      // bytes of them, about
	spots   map[alf.Key]spot         // where a key's history is
	places  map[string]*place
	grown   chan struct{} // closed at the next Append
	trouble string        // with the connection, as it was logged last
}

// batch is a message of the feed.
type batch struct {
	seq    uint64
	first  alf.ID
	events []*alf.Event
	size   int // bytes, about
}

var (
	_ state.Recorder  = (*Record)(nil)
	_ state.Reader    = (*Record)(nil)
	_ state.Feed      = (*Record)(nil)
	_ state.Log       = (*Record)(nil)
	_ state.Documents = (*Record)(nil)
	_ state.Ledger    = (*Record)(nil)
)

// Open opens the record, or makes a new one. Run must run as long as the Record
// is used, and Close be called after it.
func Open(ctx context.Context, o Options) (*Record, error) {
	r := newRecord(o)
	err := r.open(ctx, r.all()...)
	if errors.Is(err, errBlock) {
		if err = forgetIndexes(o.Dir); err == nil {
			r = newRecord(o)
			r.mended = true
			err = r.open(ctx, r.all()...)
		}
	}
	if err != nil {
		return nil, err
	}
	// All that there is has been read, and most of it is garbage by now. What the
	// server holds in pools goes at the second time.
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	return r, nil
}

// all returns the steps that make a record ready.
func (r *Record) all() []step {
	if r.o.ReadOnly {
		return []step{r.bind, r.readEnd, r.readPlaces}
	}
	return []step{r.streams, r.writeStampFile, r.readEnd, r.readPlaces, r.readHeads, r.checkBlocks, r.catchUp}
}

func newRecord(o Options) *Record {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.History <= 0 {
		o.History = defaultHistory
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.LogBytes <= 0 {
		o.LogBytes = defaultLogBytes
	}
	if o.Recent <= 0 {
		o.Recent = defaultRecent
	}
	o.Replicas = max(o.Replicas, 1)
	return &Record{
		o: o, log: o.Log, writer: rand.Text(),
		keep:    make(map[string]jetstream.Stream),
		heads:   make(map[alf.Key]*alf.Event),
		pending: make(map[alf.Key][]*alf.Event),
		spots:   make(map[alf.Key]spot),
		places:  make(map[string]*place),
		grown:   make(chan struct{}),
	}
}

// step is a step of opening a record.
type step func(context.Context) error

// open takes the first steps, which change nothing, and then those. When one
// fails, all is closed again.
func (r *Record) open(ctx context.Context, then ...step) error {
	ctx, r.deny = context.WithCancelCause(ctx)
	defer r.deny(nil)
	for _, step := range append([]step{r.readStampFile, r.connect, r.readStamp}, then...) {
		if err := step(ctx); err != nil {
			if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
				err = fmt.Errorf("%s: %w", r.o.where(), cause)
			}
			return errors.Join(err, r.Close())
		}
	}
	return nil
}

// streams makes the streams, or brings them to what the Options say.
func (r *Record) streams(ctx context.Context) error {
	var err error
	r.feed, err = r.stream(ctx, jetstream.StreamConfig{
		Name: feedStream, Subjects: []string{feedSubject}, Metadata: map[string]string{stampKey: r.stamp().String()},
		MaxBytes: r.o.MaxBytes, MaxAge: r.o.MaxAge, Discard: jetstream.DiscardOld,
		// A follower may not have the newest message yet, and what is not found
		// counts as dropped.
		AllowDirect: r.o.Replicas == 1,
	})
	if err != nil {
		return err
	}
	if _, err = r.stream(ctx, jetstream.StreamConfig{
		Name: placesStream, Subjects: []string{placeSubject + ">"}, MaxMsgsPerSubject: 1, AllowDirect: true,
	}); err != nil {
		return err
	}
	if r.logs, err = r.stream(ctx, jetstream.StreamConfig{
		Name: logStream, Subjects: []string{logSubject + ">"},
		MaxBytes: r.o.LogBytes, MaxAge: r.o.LogAge, Discard: jetstream.DiscardOld, AllowDirect: true,
	}); err != nil {
		return err
	}
	if r.docs.stream, err = r.stream(ctx, r.docsConfig()); err != nil {
		return err
	}
	if _, err = r.stream(ctx, r.ledgerConfig()); err != nil {
		return err
	}
	for _, class := range classes {
		r.keep[class.name], err = r.stream(ctx, jetstream.StreamConfig{
			Name:              resultsStream + class.name,
			Subjects:          []string{resultSubject + class.name + ".>", tickSubject + class.name + ".>"},
			MaxMsgsPerSubject: int64(r.o.History), MaxAge: r.o.MaxAge, AllowDirect: true,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// codeStoreFailed is the server's error of a stream whose files it cannot make.
const codeStoreFailed = 10049

const (
	createTries = 5
	createPause = 200 * time.Millisecond
)

// stream makes a stream, or takes the one that is there. The server may still be
// removing the files of one of that name, and a cluster may just be choosing who
// leads it: then it is asked again.
func (r *Record) stream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	c.Storage = jetstream.FileStorage
	c.Replicas = r.o.Replicas
	c.Duplicates = 100 * time.Millisecond // nothing here has a message ID
	s, err := r.js.CreateOrUpdateStream(ctx, c)
	for tries := 1; tries < createTries && (storeFailed(err) || r.leaderless(err)) && ctx.Err() == nil; tries++ {
		time.Sleep(createPause)
		s, err = r.js.CreateOrUpdateStream(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: stream %s: %w", r.o.where(), c.Name, err)
	}
	return s, nil
}

func storeFailed(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == codeStoreFailed
}

// leaderless reports whether err may be that of a cluster that has no leader at
// the moment: the library has waited for an answer in vain.
func (r *Record) leaderless(err error) bool {
	return r.o.Replicas > 1 && errors.Is(err, context.DeadlineExceeded)
}

// readEnd finds the newest event of the feed. What places and histories know of
// is read after it: all may have aged away here, or been cut off by damage, and
// no ID is used twice.
func (r *Record) readEnd(ctx context.Context) error {
	info, err := r.feed.Info(ctx)
	if err != nil {
		return fmt.Errorf("read the feed: %w", err)
	}
	r.lastSeq = info.State.LastSeq
	msg, err := r.feed.GetLastMsgForSubject(ctx, feedSubject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the end of the feed: %w", err)
	}
	first, n, err := span(msg.Data)
	if err != nil {
		return fmt.Errorf("message %d of the feed: %w", msg.Sequence, err)
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

// ErrBehind is the error of an Append while too many events wait for the
// histories, which cannot be written.
var ErrBehind = errors.New("too many events wait to be written into the histories")

// Append implements state.Recorder. It must not be called twice at a time. When
// it fails, those of the events that have an ID are kept all the same; if the
// same events are appended again, they are not kept twice.
func (r *Record) Append(ctx context.Context, events []*alf.Event) error {
	if err := r.writable(ctx); err != nil {
		return fmt.Errorf("append to the feed: %w", err)
	}
	i := 0
	if n := len(r.half); n <= len(events) && slices.Equal(r.half, events[:n]) {
		i = n
	}
	for i < len(events) {
		n, err := r.append(ctx, events[i:])
		i += n
		if err != nil {
			r.half = slices.Clone(events[:i])
			return fmt.Errorf("append to the feed: %w", err)
		}
	}
	r.half = nil
	return nil
}

// writable waits a moment for the histories, if they are far behind, and reports
// why nothing can be appended.
func (r *Record) writable(ctx context.Context) error {
	if r.server != nil {
		r.server.check()
	}
	for began := time.Now(); ; {
		if err := r.broken(); err != nil {
			return err
		}
		if !r.behind() {
			return nil
		}
		if time.Since(began) > time.Second {
			return ErrBehind
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// behind reports whether as much waits for the histories as may.
func (r *Record) behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting >= maxPending || r.weight >= pendingBytes
}

// broken returns what broke the embedded server, or nil.
func (r *Record) broken() error {
	if r.server == nil {
		return nil
	}
	return r.server.broken()
}

// append makes a message of as many events as fit into one, and returns their
// number.
func (r *Record) append(ctx context.Context, events []*alf.Event) (int, error) {
	began := time.Now()
	last, lastSeq := r.end()
	data, n := r.encode(last+1, events)
	msg := &nats.Msg{Subject: feedSubject, Data: data, Header: nats.Header{writerHeader: {r.writer}}}
	future, err := r.js.PublishMsgAsync(msg, jetstream.WithExpectLastSequence(lastSeq))
	if err != nil {
		return 0, err
	}
	ack, err := r.wait(ctx, future)
	if wrongSequence(err) {
		return r.adopt(ctx, events)
	}
	if err != nil {
		return 0, err
	}
	if err := r.sync(); err != nil {
		return 0, err
	}
	r.stats.appended(n, len(data), time.Since(began))
	r.take(ack.Sequence, events[:n])
	return n, nil
}

func (r *Record) end() (alf.ID, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.lastSeq
}

// encode returns a message with as many events as fit into one, and their
// number. An event that does not fit into any is shortened.
func (r *Record) encode(first alf.ID, events []*alf.Event) ([]byte, int) {
	room := r.room()
	n := min(len(events), maxEvents)
	data := appendBatch(nil, first, events[:n])
	for len(data) > min(maxMessage, room) && n > 1 {
		n /= 2
		data = appendBatch(data[:0], first, events[:n])
	}
	if len(data) > room {
		e := events[0]
		r.log.Warn("an event is too large for the NATS server; a part of it is dropped", "host", e.Key.Host, "service", e.Key.Service, "bytes", len(data), "room", room)
		r.stats.shortened.Add(1)
		*e = *shorten(e, room-envelope)
		data = appendBatch(data[:0], first, events[:1])
	}
	return data, n
}

// wait returns the acknowledgement of a message, or why there is none. A server
// that cannot write does not answer.
func (r *Record) wait(ctx context.Context, f jetstream.PubAckFuture) (*jetstream.PubAck, error) {
	var broken <-chan struct{}
	if r.server != nil {
		broken = r.server.breaks()
	}
	select {
	case ack := <-f.Ok():
		return ack, nil
	case err := <-f.Err():
		if r.server != nil && (errors.Is(err, jetstream.ErrAsyncPublishTimeout) || errors.Is(err, jetstream.ErrNoStreamResponse)) {
			r.server.report(fmt.Errorf("the embedded NATS server does not answer: %w", err))
		}
		return nil, r.because(err)
	case <-broken:
		return nil, r.server.broken()
	case <-ctx.Done():
		return nil, r.because(ctx.Err())
	}
}

// take makes events, which are durable, known to all who wait for them.
func (r *Record) take(seq uint64, events []*alf.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.last + 1
	kept, size := make([]*alf.Event, len(events)), 0
	for i, e := range events {
		r.last++
		e.ID = r.last
		kept[i] = e
		size += sizeOf(e)
		r.head(e)
		r.pending[e.Key] = append(r.pending[e.Key], e)
	}
	r.waiting += len(kept)
	r.weight += size
	r.lastSeq = seq
	r.recent = append(r.recent, batch{seq, first, kept, size})
	r.held += len(kept)
	r.size += size
	for (r.held > r.o.Recent || r.size > recentBytes) && len(r.recent) > 1 {
		r.held -= len(r.recent[0].events)
		r.size -= r.recent[0].size
		r.recent[0] = batch{}
		r.recent = r.recent[1:]
	}
	close(r.grown)
	r.grown = make(chan struct{})
}

// sizeOf returns about how many bytes e takes: a plugin may write much.
func sizeOf(e *alf.Event) int {
	const fixed, item = 700, 150
	if e.Result == nil {
		return fixed
	}
	r, errors := e.Result, 0
	for _, s := range e.Result.PerfdataErrors {
		errors += 16 + len(s)
	}
	return fixed + errors + item*len(r.Perfdata) + 2*len(r.PerfdataText) + len(r.Output) + len(r.LongOutput) + len(r.Stderr) + len(r.Command)
}

// head notes that e is the newest event of its key, if it is. The caller has
// locked r.mu.
func (r *Record) head(e *alf.Event) {
	if e.Kind == alf.KindDaemon {
		return
	}
	if was := r.heads[e.Key]; was != nil && was.ID > e.ID {
		return
	}
	if e.Kind == alf.KindRemoved {
		delete(r.heads, e.Key)
		return
	}
	r.heads[e.Key] = e
}

// writerHeader says which Record has published a message.
const writerHeader = "Alf-Writer"

// ErrForeign is the error of an Append to a feed that somebody else has
// appended to: one feed has one writer.
var ErrForeign = errors.New("another Alf writes to the same feed")

// adopt takes the message that the feed ends with, though nobody acknowledged
// it: an Append before this one sent it and gave up too early. It returns how
// many of events were in it. If the caller has given up on those that were in
// it, they are in the feed nevertheless.
func (r *Record) adopt(ctx context.Context, events []*alf.Event) (int, error) {
	last, lastSeq := r.end()
	msg, err := r.feed.GetMsg(ctx, lastSeq+1)
	if errors.Is(err, jetstream.ErrMsgNotFound) && r.server != nil {
		return 0, r.realign(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("read the end of the feed: %w", err)
	}
	first, n, err := span(msg.Data)
	if err != nil || first != last+1 || msg.Header.Get(writerHeader) != r.writer {
		return 0, errors.Join(ErrForeign, err)
	}
	if err := r.sync(); err != nil {
		return 0, err
	}
	if n <= len(events) && slices.Equal(appendBatch(nil, first, events[:n]), msg.Data) {
		r.take(msg.Sequence, events[:n])
		return n, nil
	}
	theirs, err := decodeBatch(msg.Data)
	if err != nil {
		return 0, err
	}
	r.take(msg.Sequence, theirs)
	return 0, nil
}

var errDamaged = errors.New("the feed is damaged")

// realign makes Append go on where the feed ends now. A server that reads a
// damaged block gives up what stands behind the damage, and may not agree with
// itself about the end until it is started anew.
func (r *Record) realign(ctx context.Context) error {
	info, err := r.feed.Info(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	was := r.lastSeq
	r.lastSeq = info.State.LastSeq
	r.mu.Unlock()
	if was == info.State.LastSeq {
		r.server.report(errDamaged)
		return errDamaged
	}
	r.log.Error("the feed has lost its end", "last", info.State.LastSeq, "expected", was)
	return nil
}
