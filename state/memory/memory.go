// Package memory is a record that keeps its events in memory only: for tests,
// for commands that run once, and for an Alf that need not remember.
package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"alf"
	"alf/state"
)

// Options bound what a Record keeps. The zero value is useful.
type Options struct {
	History int // results per key; default 20
	Feed    int // events of all keys for consumers that lag; default 100,000
	Log     int // entries of the log; default 100,000
}

// Record keeps events in memory. It implements state.Recorder, state.Reader,
// state.Feed, state.Log, state.Documents and state.Ledger.
type Record struct {
	history int
	feed    int
	most    int // entries of the log

	mu      sync.Mutex
	last    alf.ID                   // the newest event's
	events  []*alf.Event             // the newest ones, in order, at most twice feed
	heads   map[alf.Key]*alf.Event   // the newest of every key
	results map[alf.Key][]*alf.Event // at most history of each, oldest first
	log     []*alf.Event             // oldest first, at most twice most
	places  map[string]*place
	grown   chan struct{} // closed at the next Append

	documents map[string]state.Document
	revision  state.Revision // the newest one

	ledger []*state.Line // by number
	lines  uint64        // the newest number
}

type place struct {
	done    alf.ID
	dropped uint64
	taken   bool // a Consume is running
}

var (
	_ state.Recorder  = (*Record)(nil)
	_ state.Reader    = (*Record)(nil)
	_ state.Feed      = (*Record)(nil)
	_ state.Log       = (*Record)(nil)
	_ state.Documents = (*Record)(nil)
	_ state.Ledger    = (*Record)(nil)
)

// New returns an empty Record.
func New(o Options) *Record {
	if o.History <= 0 {
		o.History = 20
	}
	if o.Feed <= 0 {
		o.Feed = 100_000
	}
	if o.Log <= 0 {
		o.Log = 100_000
	}
	return &Record{
		history: o.History,
		feed:    o.Feed,
		most:    o.Log,
		heads:   make(map[alf.Key]*alf.Event),
		results: make(map[alf.Key][]*alf.Event),
		places:  make(map[string]*place),
		grown:   make(chan struct{}),

		documents: make(map[string]state.Document),
	}
}

// Run waits for the end of ctx: nothing is to be done behind the scenes here, as
// there is in other engines.
func (r *Record) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// Append implements state.Recorder.
func (r *Record) Append(ctx context.Context, events []*alf.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		r.last++
		e.ID = r.last
		r.keep(e)
	}
	if len(r.events) >= 2*r.feed {
		r.events = slices.Clone(r.events[len(r.events)-r.feed:])
	}
	close(r.grown)
	r.grown = make(chan struct{})
	return nil
}

func (r *Record) keep(e *alf.Event) {
	r.events = append(r.events, e)
	if e.Logged() {
		r.log = append(r.log, e.Entry())
	}
	if len(r.log) >= 2*r.most {
		r.log = slices.Clone(r.log[len(r.log)-r.most:])
	}
	if e.Kind == alf.KindDaemon {
		return
	}
	if e.Kind == alf.KindRemoved {
		delete(r.heads, e.Key)
		delete(r.results, e.Key)
		return
	}
	r.heads[e.Key] = e
	if e.Kind != alf.KindResult {
		return
	}
	kept := r.results[e.Key]
	if len(kept) == r.history {
		copy(kept, kept[1:])
		kept = kept[:len(kept)-1]
	}
	r.results[e.Key] = append(kept, e)
}

// Heads implements state.Reader.
func (r *Record) Heads(ctx context.Context) iter.Seq2[*alf.Event, error] {
	return func(yield func(*alf.Event, error) bool) {
		r.mu.Lock()
		heads := make([]*alf.Event, 0, len(r.heads))
		for _, e := range r.heads {
			heads = append(heads, e)
		}
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

// Last implements state.Reader.
func (r *Record) Last(_ context.Context, key alf.Key, n int) ([]*alf.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.results[key]
	if n < len(kept) {
		kept = kept[len(kept)-max(n, 0):]
	}
	out := slices.Clone(kept)
	slices.Reverse(out)
	return out, nil
}

// Entries implements state.Log.
func (r *Record) Entries(_ context.Context, scope state.Scope, since, until time.Time) iter.Seq2[*alf.Event, error] {
	return func(yield func(*alf.Event, error) bool) {
		r.mu.Lock()
		log := r.log // what is in it stays
		r.mu.Unlock()
		for _, e := range log {
			wanted := scope.Takes(e.Key) && !e.Time.Before(since) && (until.IsZero() || e.Time.Before(until))
			if wanted && !yield(e, nil) {
				return
			}
		}
	}
}

// At implements state.Log.
func (r *Record) At(_ context.Context, at time.Time, keys ...alf.Key) ([]*alf.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := make(map[alf.Key]*alf.Event, len(keys))
	for _, e := range r.log {
		if !e.Time.After(at) {
			newest[e.Key] = e
		}
	}
	out := make([]*alf.Event, len(keys))
	for i, key := range keys {
		out[i] = newest[key]
	}
	return out, nil
}

// batch is how many events a handler gets at a time at most.
const batch = 500

// after returns the events after id, the number of those that are gone, and a
// channel that is closed when there are more.
func (r *Record) after(id alf.ID) (events []*alf.Event, dropped uint64, grown <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.last - alf.ID(len(r.events)) // the event before the oldest one
	if id < first {
		dropped = uint64(first - id)
		id = first
	}
	if id > r.last {
		id = r.last
	}
	events = r.events[id-first:]
	return events[:min(len(events), batch)], dropped, r.grown
}

// Follow implements state.Feed.
func (r *Record) Follow(ctx context.Context, after alf.ID, h state.Handler) error {
	for {
		events, _, grown := r.after(after)
		if len(events) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-grown:
			}
			continue
		}
		if err := h(ctx, events); err != nil {
			return err
		}
		after = events[len(events)-1].ID
	}
}

// ErrTaken is the error of a second Consume under a name that is in use.
var ErrTaken = errors.New("another consumer of that name is running")

// Consume implements state.Feed.
func (r *Record) Consume(ctx context.Context, name string, from state.Start, h state.Handler) error {
	p, err := r.take(name, from)
	if err != nil {
		return err
	}
	defer r.leave(p)
	for {
		events, dropped, grown := r.after(r.done(p, 0, 0))
		if len(events) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-grown:
			}
			continue
		}
		if err := h(ctx, events); err != nil {
			return err
		}
		r.done(p, events[len(events)-1].ID, dropped)
	}
}

func (r *Record) take(name string, from state.Start) (*place, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.places[name]
	if p == nil {
		p = &place{}
		if from == state.Now {
			p.done = r.last
		} else {
			p.done = r.last - alf.ID(len(r.events))
		}
		r.places[name] = p
	}
	if p.taken {
		return nil, fmt.Errorf("consume %q: %w", name, ErrTaken)
	}
	p.taken = true
	return p, nil
}

func (r *Record) leave(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.taken = false
}

// done moves p on and returns where it stands.
func (r *Record) done(p *place, id alf.ID, dropped uint64) alf.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.done = max(p.done, id)
	p.dropped += dropped
	return p.done
}

// Places implements state.Feed.
func (r *Record) Places(context.Context) ([]state.Place, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]state.Place, 0, len(r.places))
	for name, p := range r.places {
		out = append(out, state.Place{Name: name, Done: p.done, Lag: uint64(r.last - p.done), Dropped: p.dropped})
	}
	slices.SortFunc(out, func(a, b state.Place) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Forget implements state.Feed.
func (r *Record) Forget(_ context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.places[name]; p != nil && p.taken {
		return fmt.Errorf("forget %q: %w", name, ErrTaken)
	}
	delete(r.places, name)
	return nil
}
