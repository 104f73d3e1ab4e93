package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"alf"
)

// class is a range of check intervals. Keys of one class turn over at about the
// same speed.
type class struct {
	name string
	most time.Duration // 0: all that are longer
}

var classes = []class{
	{"2M", 2 * time.Minute}, {"15M", 15 * time.Minute}, {"2H", 2 * time.Hour}, {"LONG", 0},
}

// classOf returns the class of an interval. What is never due by itself counts
// as long.
func classOf(interval time.Duration) string {
	for _, c := range classes {
		if interval > 0 && interval <= c.most {
			return c.name
		}
	}
	return classes[len(classes)-1].name
}

// indexer is the place of Run, which copies events into the histories. No
// consumer's name begins with a space.
const indexer = " results"

// Run writes the histories behind the feed until ctx ends. When that fails, it
// tries again; the events wait in memory. It also starts an embedded server anew
// that cannot write any more.
func (r *Record) Run(ctx context.Context) error {
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		err := r.index(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.stats.indexErrors.Add(1)
		r.log.Error("histories are not written", "err", err)
		if r.broken() != nil {
			r.heal(ctx)
			pause = time.Second
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// index writes the histories until ctx ends, they cannot be written, or the
// server breaks.
func (r *Record) index(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.server != nil {
		go r.server.cancelBroken(ctx, cancel)
	}
	known, err := r.newestIDs(ctx)
	if err != nil {
		return fmt.Errorf("read the histories: %w", err)
	}
	p := r.indexerPlace()
	err = r.read(ctx, &cursor{done: p.Done}, func(ctx context.Context, events []*alf.Event, dropped uint64) error {
		if dropped > 0 { // by the feed; they still wait in memory
			missed := r.waitingUpTo(p.Done + alf.ID(dropped))
			if err := r.copyOut(ctx, p, missed, dropped-uint64(len(missed)), known); err != nil {
				return err
			}
			dropped = 0
		}
		return r.copyOut(ctx, p, events, dropped, known)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// waitingUpTo returns what waits for the histories, up to that event, in order.
func (r *Record) waitingUpTo(id alf.ID) []*alf.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*alf.Event
	for _, events := range r.pending {
		for _, e := range events {
			if e.ID <= id {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b *alf.Event) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (r *Record) indexerPlace() *place {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.places[indexer]
	if p == nil {
		p = &place{Name: indexer}
		r.places[indexer] = p
	}
	return p
}

// behind is by how much the stored place of Run is behind where it is, at least.
// After a power cut the histories may lack what the feed has: each stream goes
// to the disk by itself, within a second.
const behind = 2 * time.Second

// catchUp writes the histories up to the end of the feed, before anybody reads
// them.
func (r *Record) catchUp(ctx context.Context) error {
	known, err := r.newestIDs(ctx)
	if err != nil {
		return fmt.Errorf("read the histories: %w", err)
	}
	p := r.indexerPlace()
	for class, id := range p.Histories {
		if known[class] < id {
			r.log.Info("the end of a history is gone; it is written again from the feed", "class", class, "from", known[class], "to", id)
			p.Done = min(p.Done, known[class])
		}
	}
	if r.mended {
		r.log.Warn("a block is damaged; what the feed has that is newer than what is left of a history is written again")
		p.Done = 0
	}
	// What each key's history ends with has just been read, so that alone counts:
	// behind a damage may stand newer events of others.
	known = map[string]alf.ID{logView: known[logView]}
	p.mark, p.stored = p.Done, time.Now()
	c := &cursor{done: p.Done}
	for grown := (<-chan struct{})(nil); grown == nil && err == nil; {
		grown, err = r.step(ctx, c, func(ctx context.Context, events []*alf.Event, dropped uint64) error {
			r.mu.Lock()
			for _, e := range events {
				r.head(e)
			}
			r.mu.Unlock()
			return r.copyOut(ctx, p, events, dropped, known)
		})
	}
	if err != nil {
		return fmt.Errorf("write the histories: %w", err)
	}
	return nil
}

// views yields the streams that are written behind the feed: the history of each
// class, and the log.
func (r *Record) views() iter.Seq2[string, jetstream.Stream] {
	return func(yield func(string, jetstream.Stream) bool) {
		for name, s := range r.keep {
			if !yield(name, s) {
				return
			}
		}
		yield(logView, r.logs)
	}
}

// newestIDs returns the ID of the newest event in each view. They are written
// in order, so all before are there, too.
func (r *Record) newestIDs(ctx context.Context) (map[string]alf.ID, error) {
	out := make(map[string]alf.ID)
	for name, s := range r.views() {
		info, err := s.Info(ctx)
		if err != nil {
			return nil, err
		}
		if out[name], err = r.newestID(ctx, s, name, info.State); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// newestID returns the ID of the newest event in s. The messages at the end may
// be gone, with a key that was removed, or come from another class.
func (r *Record) newestID(ctx context.Context, s jetstream.Stream, view string, st jetstream.StreamState) (alf.ID, error) {
	const tries = 20_000
	stream := resultsStream + view
	if view == logView {
		stream = logStream
	}
	for seq := st.LastSeq; seq >= st.FirstSeq && st.Msgs > 0 && st.LastSeq-seq < tries; seq-- {
		msg, err := r.get(ctx, s, stream, directGet{Seq: seq})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if msg.Header.Get(movedHeader) != "" {
			continue
		}
		first, _, err := span(msg.Data)
		return first, err
	}
	return 0, nil
}

// copyOut writes events into the histories, except those that are known to be
// there, and notes that it has.
func (r *Record) copyOut(ctx context.Context, p *place, events []*alf.Event, dropped uint64, known map[string]alf.ID) error {
	var w written
	for _, e := range events {
		if err := r.writeLog(&w, e, known); err != nil {
			return err
		}
		if e.Kind == alf.KindDaemon {
			continue
		}
		if e.Kind == alf.KindRemoved {
			if err := r.drop(ctx, &w, e); err != nil {
				return err
			}
			continue
		}
		if err := r.write(ctx, &w, e, known); err != nil {
			return err
		}
	}
	if err := w.wait(ctx, r); err != nil {
		return err
	}
	return r.copied(ctx, p, events, dropped, known)
}

// historyOf returns the class into whose history e belongs, and its subject there.
func historyOf(e *alf.Event) (class, subject string) {
	kind, class := resultSubject, classOf(e.Interval)
	if e.Kind != alf.KindResult {
		kind = tickSubject
	}
	return class, keySubject(kind, class, e.Key)
}

// writeLog writes e into the log, if it belongs there and is not there yet.
func (r *Record) writeLog(w *written, e *alf.Event, known map[string]alf.ID) error {
	if !e.Logged() || e.ID <= known[logView] {
		return nil
	}
	known[logView] = e.ID
	return r.send(w, logSubjectOf(e.Key), e.Entry(), nil)
}

// encodeOne returns a message with e alone. The server may take less than it
// did when e was appended.
func (r *Record) encodeOne(e *alf.Event) []byte {
	data := appendBatch(nil, e.ID, []*alf.Event{e})
	if room := r.room(); len(data) > room {
		data = appendBatch(data[:0], e.ID, []*alf.Event{shorten(e, room-envelope)})
	}
	return data
}

// written are messages that are not yet acknowledged.
type written struct{ futures []jetstream.PubAckFuture }

func (w *written) wait(ctx context.Context, r *Record) error {
	for _, f := range w.futures {
		if _, err := r.wait(ctx, f); err != nil {
			return err
		}
	}
	w.futures = w.futures[:0]
	return nil
}

// spot is where the history of a key is.
type spot struct {
	class  string
	newest alf.ID // of the events that are there for sure
}

// write writes e into the history of its key. If that is in another class, all
// of it goes over to the one of e: copies first, oldest first, then e, and only
// when these are there the old ones are dropped. So e is the sign that all is
// copied, and whoever finds copies without it begins anew.
func (r *Record) write(ctx context.Context, w *written, e *alf.Event, known map[string]alf.ID) error {
	class := classOf(e.Interval)
	r.mu.Lock()
	at, there := r.spots[e.Key]
	r.mu.Unlock()
	if e.ID <= at.newest {
		return nil // this is done once more
	}
	moves, isNew := there && at.class != class, e.ID > known[class]
	if moves && isNew {
		if err := r.copyHistory(ctx, w, e, at.class); err != nil {
			return fmt.Errorf("copy the history of %q: %w", e.Key, err)
		}
	}
	if isNew {
		if err := r.publish(w, class, e, nil); err != nil {
			return err
		}
		known[class] = e.ID
	}
	if !moves {
		r.setSpot(e.Key, spot{class, at.newest})
		return nil
	}
	if err := w.wait(ctx, r); err != nil {
		return err
	}
	r.setSpot(e.Key, spot{class, e.ID})
	return r.purge(ctx, at.class, e.Key, e.ID)
}

func (r *Record) setSpot(key alf.Key, at spot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spots[key] = at
}

// movedHeader marks messages that come from the history of another class. They
// are older than those before them.
const movedHeader = "Alf-Moved"

// copyHistory copies what is kept of a key into the class of e.
func (r *Record) copyHistory(ctx context.Context, w *written, e *alf.Event, from string) error {
	to := classOf(e.Interval)
	// The server purges at once, but stores what came before in its turn.
	if err := w.wait(ctx, r); err != nil {
		return err
	}
	if err := r.purge(ctx, to, e.Key, e.ID); err != nil {
		return err
	}
	events, err := r.history(ctx, from, e.Key)
	if err != nil {
		return err
	}
	for _, old := range slices.Backward(newestResults(events, r.o.History)) {
		if err := r.publish(w, to, old, nats.Header{movedHeader: {from}}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Record) publish(w *written, class string, e *alf.Event, header nats.Header) error {
	kind := resultSubject
	if e.Kind != alf.KindResult {
		kind = tickSubject
	}
	return r.send(w, keySubject(kind, class, e.Key), e, header)
}

// send sends e under a subject; w has it until the server has stored it.
func (r *Record) send(w *written, subject string, e *alf.Event, header nats.Header) error {
	f, err := r.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: r.encodeOne(e), Header: header})
	if err != nil {
		return err
	}
	w.futures = append(w.futures, f)
	return nil
}

// drop drops the history of a key that was removed.
func (r *Record) drop(ctx context.Context, w *written, e *alf.Event) error {
	if err := w.wait(ctx, r); err != nil {
		return err
	}
	r.mu.Lock()
	at, there := r.spots[e.Key]
	r.mu.Unlock()
	of := []string{at.class}
	if !there {
		of = slices.Collect(maps.Keys(r.keep))
	}
	for _, class := range of {
		if err := r.purge(ctx, class, e.Key, e.ID); err != nil {
			return fmt.Errorf("drop the history of %q: %w", e.Key, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.newest < e.ID {
		delete(r.spots, e.Key)
	}
	return nil
}

// purge drops what a class holds of key from before that event. There may be
// newer ones: when this is done once more, because what Alf dropped comes back
// if it is killed at once.
func (r *Record) purge(ctx context.Context, class string, key alf.Key, before alf.ID) error {
	s := r.keep[class]
	for _, kind := range []string{resultSubject, tickSubject} {
		subject := keySubject(kind, class, key)
		seq, older, err := r.firstSince(ctx, class, subject, before)
		if err != nil {
			return err
		}
		if !older {
			continue
		}
		options := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(subject)}
		if seq > 0 {
			options = append(options, jetstream.WithPurgeSequence(seq))
		}
		if err := s.Purge(ctx, options...); err != nil {
			return err
		}
	}
	return nil
}

// firstSince returns the sequence number of the first message of a subject that
// holds id or a newer event, or 0, and whether there are any before it.
func (r *Record) firstSince(ctx context.Context, class, subject string, id alf.ID) (seq uint64, older bool, err error) {
	s, name := r.keep[class], resultsStream+class
	msg, err := r.get(ctx, s, name, directGet{LastBySubject: subject})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if newest, _, err := span(msg.Data); err != nil || newest < id {
		return 0, true, nil // as a rule
	}
	for from := uint64(1); ; {
		msg, err := r.get(ctx, s, name, directGet{NextBySubject: subject, Seq: from})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, older, nil
		}
		if err != nil {
			return 0, false, err
		}
		if first, _, err := span(msg.Data); err == nil && first >= id {
			return msg.Sequence, older, nil
		}
		older = true
		from = msg.Sequence + 1
	}
}

// copied notes that the histories hold events.
func (r *Record) copied(ctx context.Context, p *place, events []*alf.Event, dropped uint64, known map[string]alf.ID) error {
	r.mu.Lock()
	for _, e := range events {
		was := r.pending[e.Key]
		left := slices.DeleteFunc(was, func(x *alf.Event) bool {
			if x.ID <= e.ID {
				r.waiting--
				r.weight -= sizeOf(x)
			}
			return x.ID <= e.ID
		})
		if len(left) == 0 {
			delete(r.pending, e.Key)
		} else {
			r.pending[e.Key] = left
		}
		if at, ok := r.spots[e.Key]; ok && e.Kind != alf.KindRemoved {
			r.spots[e.Key] = spot{at.class, max(at.newest, e.ID)}
		}
	}
	p.Done += alf.ID(dropped) + alf.ID(len(events))
	due := time.Since(p.stored) >= behind
	r.mu.Unlock()
	if due {
		r.storeIndexer(ctx, p, known)
	}
	return nil
}

// storeIndexer stores the place where p was the last time, and what the
// histories hold now.
func (r *Record) storeIndexer(ctx context.Context, p *place, known map[string]alf.ID) {
	r.mu.Lock()
	stored := &place{Name: indexer, Done: p.mark, Histories: maps.Clone(known), broken: p.broken}
	p.mark = p.Done
	r.mu.Unlock()
	r.tryStorePlace(ctx, stored)
	r.mu.Lock()
	p.stored, p.broken = stored.stored, stored.broken
	r.mu.Unlock()
}

// Heads implements state.Reader.
func (r *Record) Heads(ctx context.Context) iter.Seq2[*alf.Event, error] {
	return func(yield func(*alf.Event, error) bool) {
		r.mu.Lock()
		heads := slices.Collect(maps.Values(r.heads))
		r.mu.Unlock()
		for _, e := range heads {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// readHeads reads the newest event of every key from the histories.
func (r *Record) readHeads(ctx context.Context) error {
	for name, s := range r.keep {
		err := r.newest(ctx, s, func(subject string, data []byte) error { return r.readHead(ctx, name, subject, data) })
		if err != nil {
			return fmt.Errorf("read the newest events: %w", err)
		}
	}
	for _, e := range r.heads {
		r.last = max(r.last, e.ID)
	}
	return nil
}

// readHead takes a message of a history. A key that is in two of them was about
// to move when Alf ended; what is left of the older one is dropped.
func (r *Record) readHead(ctx context.Context, class, subject string, data []byte) error {
	events, err := decodeBatch(data)
	if errors.Is(err, ErrNewer) {
		return fmt.Errorf("the event at %s: %w", subject, err)
	}
	if err != nil || len(events) != 1 {
		r.log.Warn("an event cannot be read", "subject", subject, "err", err)
		return nil
	}
	e, drop := events[0], ""
	r.mu.Lock()
	was := r.spots[e.Key]
	switch {
	case was.newest < e.ID:
		r.heads[e.Key], r.spots[e.Key] = e, spot{class, e.ID}
		if was.newest > 0 && was.class != class {
			drop = was.class
		}
	case was.class != class:
		drop = class
	}
	newest := r.spots[e.Key].newest
	r.mu.Unlock()
	if drop == "" {
		return nil
	}
	return r.purge(ctx, drop, e.Key, newest+1)
}

// Last implements state.Reader.
func (r *Record) Last(ctx context.Context, key alf.Key, n int) ([]*alf.Event, error) {
	if n <= 0 {
		return nil, nil
	}
	for {
		r.mu.Lock()
		waiting, at, isThere := slices.Clone(r.pending[key]), r.spots[key], r.heads[key] != nil
		r.mu.Unlock()
		if !isThere {
			return nil, nil
		}
		var all []*alf.Event
		if at.class != "" {
			var err error
			if all, err = r.history(ctx, at.class, key); err != nil {
				return nil, fmt.Errorf("read the history of %q: %w", key, err)
			}
		}
		r.mu.Lock()
		moved := r.spots[key].class != at.class
		r.mu.Unlock()
		if !moved {
			return newestResults(append(all, waiting...), min(n, r.o.History)), nil
		}
	}
}

// newestResults returns the last n results of events of one key, newest first,
// each once. What was before a removal is gone.
func newestResults(events []*alf.Event, n int) []*alf.Event {
	slices.SortFunc(events, func(a, b *alf.Event) int {
		switch {
		case a.ID > b.ID:
			return -1
		case a.ID < b.ID:
			return 1
		}
		return 0
	})
	var out []*alf.Event
	for i, e := range events {
		if e.Kind == alf.KindRemoved || len(out) == n {
			break
		}
		if e.Kind == alf.KindResult && (i == 0 || events[i-1].ID != e.ID) {
			out = append(out, e)
		}
	}
	return out
}

// historyBytes is how much one request of a history asks for: large results fill
// no buffer on the way.
const historyBytes = 8 << 20

// history reads what one class keeps of a key's results, oldest first: in one
// request, unless the server ends its answer early or has replicas.
func (r *Record) history(ctx context.Context, class string, key alf.Key) ([]*alf.Event, error) {
	from := r.historyFrom
	if r.replicated() {
		from = r.resultFrom
	}
	var all []*alf.Event
	for seq := uint64(1); ; {
		events, next, err := from(ctx, class, key, seq)
		all = append(all, events...)
		if err != nil || next == 0 {
			return all, err
		}
		seq = next
	}
}

// historyFrom makes one request, and returns where the next one begins; 0: there
// is no more.
func (r *Record) historyFrom(ctx context.Context, class string, key alf.Key, seq uint64) (events []*alf.Event, next uint64, err error) {
	request := directGet{NextBySubject: keySubject(resultSubject, class, key), Seq: seq, Batch: r.o.History, MaxBytes: historyBytes}
	err = r.direct(ctx, "ALF_RESULTS_"+class, request, func(msg *nats.Msg) error {
		some, err := decodeBatch(msg.Data)
		if err != nil {
			return err
		}
		events, next = append(events, some...), 0
		if left := msg.Header.Get(pendingHeader); left == "0" {
			return nil
		}
		next, err = strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
		next++
		return err
	})
	return events, next, err
}

// resultFrom is historyFrom for one result, which the leader is asked for.
func (r *Record) resultFrom(ctx context.Context, class string, key alf.Key, seq uint64) (events []*alf.Event, next uint64, err error) {
	msg, err := r.more(ctx, resultsStream+class, keySubject(resultSubject, class, key), seq)
	if msg == nil || err != nil {
		return nil, 0, err
	}
	events, err = decodeBatch(msg.Data)
	return events, msg.Sequence + 1, err
}

// pendingHeader says how many messages come behind one of a batch.
const pendingHeader = "Nats-Num-Pending"
