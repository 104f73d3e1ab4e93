package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"alf"
	"alf/state"
)

// cursor is how far somebody has read the feed.
type cursor struct {
	done alf.ID
	seq  uint64 // of the message that ends with done; 0: not known
}

// next returns events after c, and how many before them are gone. Neither: there
// is nothing yet, and grown is closed when there is. It moves c, but for c.done.
func (r *Record) next(ctx context.Context, c *cursor) (events []*alf.Event, dropped uint64, grown <-chan struct{}, err error) {
	r.mu.Lock()
	grown, last := r.grown, r.last
	if b, ok := r.inMemory(c.done + 1); ok {
		events = b.events[c.done+1-b.first:]
		c.seq = b.seq
	}
	r.mu.Unlock()
	if events != nil || c.done >= last {
		return events, 0, grown, nil
	}
	if events, err = r.load(ctx, c); err != nil {
		return nil, 0, nil, fmt.Errorf("%w: %w", errReadFeed, err)
	}
	if len(events) == 0 {
		return nil, uint64(last - c.done), grown, nil
	}
	return events, uint64(events[0].ID - c.done - 1), grown, nil
}

// errReadFeed is what next was doing when it failed.
var errReadFeed = errors.New("read the feed")

// passes reports whether err is one of reading the feed elsewhere that is over as
// soon as the servers there have found each other again.
func (r *Record) passes(err error) bool {
	if r.server != nil || !errors.Is(err, errReadFeed) {
		return false
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503
	}
	for _, e := range []error{context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionReconnecting} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// inMemory returns the batch that holds id, if it is a recent one.
func (r *Record) inMemory(id alf.ID) (batch, bool) {
	i, _ := slices.BinarySearchFunc(r.recent, id, func(b batch, id alf.ID) int {
		if b.first+alf.ID(len(b.events)) <= id {
			return -1
		}
		return 1
	})
	if i == len(r.recent) || r.recent[i].first > id {
		return batch{}, false
	}
	return r.recent[i], true
}

// load reads the events after c that one message of the stream holds, or none if
// there are no such messages. c.seq moves on.
func (r *Record) load(ctx context.Context, c *cursor) ([]*alf.Event, error) {
	seq := c.seq + 1
	if _, lastSeq := r.end(); c.seq == 0 || c.seq > lastSeq {
		var err error
		if seq, err = r.search(ctx, c.done+1); err != nil {
			return nil, err
		}
	}
	for {
		msg, err := r.message(ctx, seq)
		if msg == nil || err != nil {
			return nil, err
		}
		events, err := decodeBatch(msg.Data)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", msg.Sequence, err)
		}
		i := slices.IndexFunc(events, func(e *alf.Event) bool { return e.ID > c.done })
		if i >= 0 {
			c.seq = msg.Sequence
			return events[i:], nil
		}
		seq = msg.Sequence + 1
	}
}

// message returns the first message of the feed from that sequence number on, or
// nil if there is none.
func (r *Record) message(ctx context.Context, seq uint64) (*jetstream.RawStreamMsg, error) {
	msg, err := r.feed.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(feedSubject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return msg, err
}

// search returns a sequence number from which on the messages hold id and all
// after it, and little before it.
func (r *Record) search(ctx context.Context, id alf.ID) (uint64, error) {
	info, err := r.feed.Info(ctx)
	if err != nil {
		return 0, err
	}
	low, high := info.State.FirstSeq, info.State.LastSeq
	for low < high {
		middle := low + (high-low+1)/2
		msg, err := r.message(ctx, middle)
		if err != nil {
			return 0, err
		}
		if msg == nil {
			high = middle - 1
			continue
		}
		first, _, err := span(msg.Data)
		if err != nil {
			return 0, fmt.Errorf("message %d: %w", msg.Sequence, err)
		}
		if first > id {
			high = middle - 1
		} else {
			low = middle
		}
	}
	return max(low, 1), nil
}

// Follow implements state.Feed.
func (r *Record) Follow(ctx context.Context, after alf.ID, h state.Handler) error {
	return r.read(ctx, &cursor{done: after}, func(ctx context.Context, events []*alf.Event, _ uint64) error {
		if len(events) == 0 {
			return nil
		}
		return h(ctx, events)
	})
}

// taker takes events, and the number of those before them that are gone. There
// is one or the other.
type taker func(ctx context.Context, events []*alf.Event, dropped uint64) error

// read hands all events after c to take, until ctx ends or take fails. It waits
// for servers elsewhere that do not answer.
func (r *Record) read(ctx context.Context, c *cursor, take taker) error {
	for {
		grown, err := r.step(ctx, c, take)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r.passes(err) {
			r.warn(err)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(250 * time.Millisecond):
			}
			continue
		}
		if err != nil {
			return err
		}
		if grown == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}

// step hands the next events after c to take, if there are any; otherwise it
// returns what is closed when there are.
func (r *Record) step(ctx context.Context, c *cursor, take taker) (grown <-chan struct{}, err error) {
	events, dropped, grown, err := r.next(ctx, c)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 && dropped == 0 {
		return grown, nil
	}
	if err := take(ctx, events, dropped); err != nil {
		return nil, err
	}
	c.done += alf.ID(dropped) + alf.ID(len(events))
	return nil, nil
}

// place is where a consumer stands, as it is stored.
type place struct {
	Name    string `json:"name"`
	Done    alf.ID `json:"done"`
	Dropped uint64 `json:"dropped"`
	// Histories has the newest ID of every class; only Run's own place does.
	Histories map[string]alf.ID `json:"histories,omitempty"`

	mark   alf.ID // Done when it was last stored; only of Run's own
	taken  bool
	stored time.Time
	broken bool // it could not be stored the last time
}

// ErrTaken is the error of a second Consume under a name that is in use.
var ErrTaken = errors.New("another consumer of that name is running")

// Consume implements state.Feed. A place is stored a moment after it was
// reached, so that a crash hands the last events on once more.
func (r *Record) Consume(ctx context.Context, name string, from state.Start, h state.Handler) error {
	p, err := r.takePlace(ctx, name, from)
	if err != nil {
		return fmt.Errorf("consume %q: %w", name, err)
	}
	defer r.leavePlace(p)
	return r.read(ctx, &cursor{done: p.Done}, func(ctx context.Context, events []*alf.Event, dropped uint64) error {
		if dropped > 0 {
			r.log.Warn("a consumer was away for too long", "sink", name, "dropped", dropped)
		}
		if len(events) > 0 {
			if err := h(ctx, events); err != nil {
				return err
			}
		}
		r.moveOn(ctx, p, len(events), dropped)
		return nil
	})
}

// moveOn notes that so many more events were taken and dropped, and stores the
// place now and then. A consumer goes on when its place cannot be stored.
func (r *Record) moveOn(ctx context.Context, p *place, taken int, dropped uint64) {
	r.mu.Lock()
	p.Done += alf.ID(taken) + alf.ID(dropped)
	p.Dropped += dropped
	due := time.Since(p.stored) >= placeEvery || dropped > 0
	r.mu.Unlock()
	if due && r.broken() == nil {
		r.tryStorePlace(ctx, p)
	}
}

// tryStorePlace stores a place, or logs the first time that it cannot. When ctx
// ends, leavePlace stores it.
func (r *Record) tryStorePlace(ctx context.Context, p *place) {
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := r.storePlace(short, p)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	known := p.broken
	p.broken, p.stored = err != nil, time.Now()
	r.mu.Unlock()
	if err != nil && !known {
		r.log.Warn("a place is not stored; after a restart, events come again", "sink", p.Name, "err", err)
	}
}

func (r *Record) takePlace(ctx context.Context, name string, from state.Start) (*place, error) {
	r.mu.Lock()
	p := r.places[name]
	isNew := p == nil
	if isNew {
		p = &place{Name: name, Done: r.last}
		r.places[name] = p
	}
	if p.taken {
		r.mu.Unlock()
		return nil, ErrTaken
	}
	p.taken = true
	r.mu.Unlock()
	if !isNew {
		return p, nil
	}
	if err := r.begin(ctx, p, from); err != nil {
		r.mu.Lock()
		delete(r.places, name)
		r.mu.Unlock()
		return nil, err
	}
	return p, nil
}

// begin puts a new place where it starts.
func (r *Record) begin(ctx context.Context, p *place, from state.Start) error {
	start, err := r.beginning(ctx, from)
	if err != nil {
		return err
	}
	r.mu.Lock()
	p.Done = start
	r.mu.Unlock()
	return r.storePlace(ctx, p)
}

// beginning returns the ID before the first one that a new consumer gets.
func (r *Record) beginning(ctx context.Context, from state.Start) (alf.ID, error) {
	last, _ := r.end()
	if from == state.Now || last == 0 {
		return last, nil
	}
	msg, err := r.message(ctx, 1)
	if msg == nil || err != nil {
		return last, err
	}
	first, _, err := span(msg.Data)
	return first - 1, err
}

// leavePlace stores where the consumer stopped, also when its context has ended.
func (r *Record) leavePlace(p *place) {
	r.tryStorePlace(context.Background(), p)
	r.mu.Lock()
	p.taken = false
	r.mu.Unlock()
}

// While a cluster chooses who leads a stream, nobody answers for it. That takes it a few seconds.
const (
	electionPause = 250 * time.Millisecond
	electionTries = 30
)

func (r *Record) storePlace(ctx context.Context, p *place) error {
	r.mu.Lock()
	text, err := json.Marshal(p)
	r.mu.Unlock()
	if err == nil {
		_, err = r.js.Publish(ctx, placeSubject+token(p.Name), text, jetstream.WithRetryWait(electionPause), jetstream.WithRetryAttempts(electionTries))
	}
	if err != nil {
		return fmt.Errorf("store the place of %q: %w", p.Name, err)
	}
	r.mu.Lock()
	p.stored = time.Now()
	r.mu.Unlock()
	return nil
}

// readPlaces reads the places of all consumers.
func (r *Record) readPlaces(ctx context.Context) error {
	s, err := r.js.Stream(ctx, placesStream)
	if err != nil {
		return fmt.Errorf("read the places: %w", err)
	}
	return r.newest(ctx, s, func(subject string, data []byte) error {
		p := new(place)
		if err := json.Unmarshal(data, p); err != nil {
			return fmt.Errorf("the place at %s: %w", subject, err)
		}
		r.places[p.Name] = p
		r.last = max(r.last, p.Done)
		return nil
	})
}

// newest hands the newest message of every subject of s to f.
func (r *Record) newest(ctx context.Context, s jetstream.Stream, f func(subject string, data []byte) error) error {
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy})
	if err != nil {
		return err
	}
	info, err := consumer.Info(ctx)
	if err != nil || info.NumPending == 0 {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		msg, err := nextWithin(ctx, messages)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			// The messages that were to come may have aged away meanwhile.
			if info, err := consumer.Info(ctx); err != nil || info.NumPending == 0 {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if err := f(msg.Subject(), msg.Data()); err != nil {
			return err
		}
		if meta.NumPending == 0 {
			return nil
		}
	}
}

func nextWithin(ctx context.Context, m jetstream.MessagesContext) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return m.Next(jetstream.NextContext(ctx))
}

// Places implements state.Feed.
func (r *Record) Places(context.Context) ([]state.Place, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []state.Place
	for name, p := range r.places {
		if name != indexer {
			out = append(out, state.Place{Name: name, Done: p.Done, Lag: uint64(r.last - p.Done), Dropped: p.Dropped})
		}
	}
	slices.SortFunc(out, func(a, b state.Place) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Forget implements state.Feed.
func (r *Record) Forget(ctx context.Context, name string) error {
	r.mu.Lock()
	p := r.places[name]
	if p != nil && p.taken {
		r.mu.Unlock()
		return fmt.Errorf("forget %q: %w", name, ErrTaken)
	}
	delete(r.places, name)
	r.mu.Unlock()
	s, err := r.js.Stream(ctx, placesStream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(placeSubject+token(name)))
	}
	if err != nil {
		return fmt.Errorf("forget %q: %w", name, err)
	}
	return nil
}
