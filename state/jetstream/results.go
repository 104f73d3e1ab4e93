package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
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
// tries again; the events wait in memory.
func (r *Record) Run(ctx context.Context) error {
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		err := r.index(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.stats.indexErrors.Add(1)
		r.log.Error("histories are not written", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (r *Record) index(ctx context.Context) error {
	p := r.indexerPlace()
	return r.read(ctx, &cursor{done: p.Done, seq: p.Seq}, func(ctx context.Context, events []*alf.Event, _ uint64) error {
		return r.copyOut(ctx, p, events)
	})
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

// catchUp writes the histories up to the end of the feed, before anybody reads
// them.
func (r *Record) catchUp(ctx context.Context) error {
	p := r.indexerPlace()
	known, err := r.newestIDs(ctx)
	if err != nil {
		return fmt.Errorf("read the histories: %w", err)
	}
	c := &cursor{done: p.Done, seq: p.Seq}
	for c.done < r.last {
		events, _, _, err := r.next(ctx, c)
		if err != nil {
			return err
		}
		missing := slices.DeleteFunc(slices.Clone(events), func(e *alf.Event) bool { return e.ID <= known[classOf(e.Interval)] })
		if err := r.copyOut(ctx, p, missing); err != nil {
			return fmt.Errorf("write the histories: %w", err)
		}
		c.done = events[len(events)-1].ID
	}
	return nil
}

// newestIDs returns the ID of the newest event in the history of each class.
// They are written in order, so all before are there, too.
func (r *Record) newestIDs(ctx context.Context) (map[string]alf.ID, error) {
	out := make(map[string]alf.ID)
	for name, s := range r.keep {
		info, err := s.Info(ctx)
		if err != nil {
			return nil, err
		}
		if info.State.Msgs == 0 {
			continue
		}
		msg, err := s.GetMsg(ctx, info.State.LastSeq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // the newest one's key was removed; its events are told apart by their IDs
		}
		if err != nil {
			return nil, err
		}
		first, _, err := span(msg.Data)
		if err != nil {
			return nil, err
		}
		out[name] = first
	}
	return out, nil
}

// copyOut writes events into the histories and notes that it has.
func (r *Record) copyOut(ctx context.Context, p *place, events []*alf.Event) error {
	if len(events) == 0 {
		return nil
	}
	var futures []jetstream.PubAckFuture
	for _, e := range events {
		if err := r.move(ctx, e); err != nil {
			return err
		}
		if e.Kind == alf.KindRemoved {
			continue
		}
		kind := resultSubject
		if e.Kind != alf.KindResult {
			kind = tickSubject
		}
		f, err := r.js.PublishAsync(keySubject(kind, classOf(e.Interval), e.Key), appendBatch(nil, e.ID, []*alf.Event{e}))
		if err != nil {
			return err
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.copied(ctx, p, events)
}

// move drops the history of a key that was removed or has gone over to another
// class.
func (r *Record) move(ctx context.Context, e *alf.Event) error {
	to := classOf(e.Interval)
	r.mu.Lock()
	from, known := r.class[e.Key]
	if e.Kind == alf.KindRemoved {
		delete(r.class, e.Key)
	} else {
		r.class[e.Key] = to
	}
	r.mu.Unlock()
	switch {
	case e.Kind == alf.KindRemoved && !known:
		return r.purge(ctx, e.Key)
	case known && (from != to || e.Kind == alf.KindRemoved):
		return r.purge(ctx, e.Key, from)
	}
	return nil
}

// purge drops what the histories of these classes, or of all, hold of key.
func (r *Record) purge(ctx context.Context, key alf.Key, of ...string) error {
	for name, s := range r.keep {
		if len(of) > 0 && !slices.Contains(of, name) {
			continue
		}
		for _, kind := range []string{resultSubject, tickSubject} {
			if err := s.Purge(ctx, jetstream.WithPurgeSubject(keySubject(kind, name, key))); err != nil {
				return fmt.Errorf("drop the history of %q: %w", key, err)
			}
		}
	}
	return nil
}

// copied notes that the histories hold events.
func (r *Record) copied(ctx context.Context, p *place, events []*alf.Event) error {
	r.mu.Lock()
	for _, e := range events {
		left := slices.DeleteFunc(r.pending[e.Key], func(x *alf.Event) bool { return x.ID <= e.ID })
		if len(left) == 0 {
			delete(r.pending, e.Key)
		} else {
			r.pending[e.Key] = left
		}
	}
	p.Done = events[len(events)-1].ID
	due := time.Since(p.stored) >= placeEvery
	r.mu.Unlock()
	if due {
		return r.storePlace(ctx, p)
	}
	return nil
}

// Heads implements state.Reader.
func (r *Record) Heads(ctx context.Context) iter.Seq2[*alf.Event, error] {
	return func(yield func(*alf.Event, error) bool) {
		heads, err := r.heads(ctx)
		if err != nil {
			yield(nil, fmt.Errorf("read the newest events: %w", err))
			return
		}
		for _, e := range heads {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (r *Record) heads(ctx context.Context) (map[alf.Key]*alf.Event, error) {
	r.mu.Lock()
	waiting := make(map[alf.Key]*alf.Event, len(r.pending))
	for key, events := range r.pending {
		waiting[key] = events[len(events)-1]
	}
	r.mu.Unlock()
	heads := make(map[alf.Key]*alf.Event)
	for name, s := range r.keep {
		err := r.newest(ctx, s, func(subject string, data []byte) error {
			events, err := decodeBatch(data)
			if err != nil {
				return fmt.Errorf("the event at %s: %w", subject, err)
			}
			for _, e := range events {
				if was := heads[e.Key]; was == nil || was.ID < e.ID {
					heads[e.Key] = e
					r.learn(e.Key, name)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for key, e := range waiting {
		if heads[key] = e; e.Kind == alf.KindRemoved {
			delete(heads, key)
		}
	}
	return heads, nil
}

// learn notes where the history of a key is, unless that is known better.
func (r *Record) learn(key alf.Key, class string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.class[key]; !known {
		r.class[key] = class
	}
}

// Last implements state.Reader.
func (r *Record) Last(ctx context.Context, key alf.Key, n int) ([]*alf.Event, error) {
	if n <= 0 {
		return nil, nil
	}
	r.mu.Lock()
	waiting := slices.Clone(r.pending[key])
	name, known := r.class[key]
	r.mu.Unlock()
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
	request, err := json.Marshal(map[string]any{
		"next_by_subj": keySubject(resultSubject, class, key), "seq": 1, "batch": r.o.History,
	})
	if err != nil {
		return nil, err
	}
	inbox := r.conn.NewInbox()
	sub, err := r.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	if err := r.conn.PublishRequest("$JS.API.DIRECT.GET.ALF_RESULTS_"+class, inbox, request); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var all []*alf.Event
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		if status := msg.Header.Get("Status"); status != "" {
			return all, directError(status, msg)
		}
		events, err := decodeBatch(msg.Data)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
	}
}

// directError returns the error that ends a direct get: 204 is the end of the
// batch, 404 that there is nothing.
func directError(status string, msg *nats.Msg) error {
	if status == "204" || status == "404" {
		return nil
	}
	return fmt.Errorf("%s %s", status, msg.Header.Get("Description"))
}
