package jetstream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
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
		return r.copyOut(ctx, p, events, dropped, known)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
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
		if out[name], err = newestID(ctx, s, info.State); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// newestID returns the ID of the newest event in s. The messages at the end may
// be gone, with a key that was removed.
func newestID(ctx context.Context, s jetstream.Stream, st jetstream.StreamState) (alf.ID, error) {
	const tries = 10_000
	for seq := st.LastSeq; seq >= st.FirstSeq && st.Msgs > 0 && st.LastSeq-seq < tries; seq-- {
		msg, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return 0, err
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
		if e.Logged() {
			if err := r.publish(&w, known, logView, logSubjectOf(e.Key), e.Entry()); err != nil {
				return err
			}
		}
		if e.Kind == alf.KindDaemon {
			continue
		}
		if err := r.move(ctx, &w, e); err != nil {
			return err
		}
		if e.Kind == alf.KindRemoved {
			continue
		}
		class, subject := historyOf(e)
		if err := r.publish(&w, known, class, subject, e); err != nil {
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

// publish writes e into a view, unless it is known to be there.
func (r *Record) publish(w *written, known map[string]alf.ID, view, subject string, e *alf.Event) error {
	if e.ID <= known[view] {
		return nil
	}
	f, err := r.js.PublishAsync(subject, appendBatch(nil, e.ID, []*alf.Event{e}))
	if err != nil {
		return err
	}
	w.futures = append(w.futures, f)
	known[view] = e.ID
	return nil
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

// move drops the history of a key that was removed or has gone over to another
// class.
func (r *Record) move(ctx context.Context, w *written, e *alf.Event) error {
	to := classOf(e.Interval)
	r.mu.Lock()
	from, known := r.class[e.Key]
	r.mu.Unlock()
	var of []string
	switch {
	case e.Kind == alf.KindRemoved && !known:
		of = slices.Collect(maps.Keys(r.keep))
	case known && (from != to || e.Kind == alf.KindRemoved):
		of = []string{from}
	}
	if len(of) > 0 {
		// The server purges at once, but stores what came before in its turn.
		if err := w.wait(ctx, r); err != nil {
			return err
		}
	}
	for _, class := range of {
		if err := r.purge(ctx, class, e.Key, e.ID); err != nil {
			return fmt.Errorf("drop the history of %q: %w", e.Key, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.class[e.Key] = to; e.Kind == alf.KindRemoved {
		delete(r.class, e.Key)
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
		seq, older, err := firstSince(ctx, s, subject, before)
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
func firstSince(ctx context.Context, s jetstream.Stream, subject string, id alf.ID) (seq uint64, older bool, err error) {
	msg, err := s.GetLastMsgForSubject(ctx, subject)
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
		msg, err := s.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
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
		left := slices.DeleteFunc(was, func(x *alf.Event) bool { return x.ID <= e.ID })
		r.waiting -= len(was) - len(left)
		if len(left) == 0 {
			delete(r.pending, e.Key)
		} else {
			r.pending[e.Key] = left
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
	was, in := r.heads[e.Key], r.class[e.Key]
	switch {
	case was == nil || was.ID < e.ID:
		r.heads[e.Key], r.class[e.Key] = e, class
		if was != nil && in != class {
			drop = in
		}
	case in != class:
		drop = class
	}
	newest := r.heads[e.Key].ID
	r.mu.Unlock()
	if drop == "" {
		return nil
	}
	return r.purge(ctx, drop, e.Key, newest)
}

// Last implements state.Reader.
func (r *Record) Last(ctx context.Context, key alf.Key, n int) ([]*alf.Event, error) {
	if n <= 0 {
		return nil, nil
	}
	r.mu.Lock()
	waiting := slices.Clone(r.pending[key])
	name, known := r.class[key]
	isThere := r.heads[key] != nil
	r.mu.Unlock()
	if !isThere {
		return nil, nil
	}
	var all []*alf.Event
	for _, c := range classes {
		if known && c.name != name {
			continue
		}
		events, err := r.history(ctx, c.name, key)
		if err != nil {
			return nil, fmt.Errorf("read the history of %q: %w", key, err)
		}
		all = append(all, events...)
	}
	return newestResults(append(all, waiting...), min(n, r.o.History)), nil
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

// history reads what one class keeps of a key's results, oldest first, in one
// request.
func (r *Record) history(ctx context.Context, class string, key alf.Key) ([]*alf.Event, error) {
	var all []*alf.Event
	request := directGet{NextBySubject: keySubject(resultSubject, class, key), Seq: 1, Batch: r.o.History}
	err := r.direct(ctx, resultsStream+class, request, func(msg *nats.Msg) error {
		events, err := decodeBatch(msg.Data)
		all = append(all, events...)
		return err
	})
	return all, err
}
