// Package view keeps the newest event of every key in memory, for all who read
// the current state. It learns of events from the feed alone.
package view

import (
	"context"
	"iter"
	"sync"

	"alf"
	"alf/state"
)

// View holds the newest event of every key. The events are immutable and
// shared. Its methods may be called at the same time as Run.
type View struct {
	mu    sync.RWMutex
	heads map[alf.Key]*alf.Event
	last  alf.ID
	grown chan struct{} // closed when last moves
}

// New returns an empty View.
func New() *View {
	return &View{heads: make(map[alf.Key]*alf.Event), grown: make(chan struct{})}
}

// Load fills v with the heads of a record. Run goes on from there.
func (v *View) Load(ctx context.Context, r state.Reader) error {
	for e, err := range r.Heads(ctx) {
		if err != nil {
			return err
		}
		v.take([]*alf.Event{e})
	}
	return nil
}

// Run follows f until ctx ends.
func (v *View) Run(ctx context.Context, f state.Feed) error {
	v.mu.RLock()
	after := v.last
	v.mu.RUnlock()
	return f.Follow(ctx, after, func(_ context.Context, events []*alf.Event) error {
		v.take(events)
		return nil
	})
}

func (v *View) take(events []*alf.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range events {
		v.last = max(v.last, e.ID)
		switch e.Kind {
		case alf.KindRemoved:
			delete(v.heads, e.Key)
		case alf.KindDaemon:
		default:
			v.heads[e.Key] = e
		}
	}
	close(v.grown)
	v.grown = make(chan struct{})
}

// Head returns the newest event of key, or nil.
func (v *View) Head(key alf.Key) *alf.Event {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.heads[key]
}

// Heads yields the newest event of every key, in no order. It sees one moment;
// what comes in meanwhile is left out.
func (v *View) Heads() iter.Seq[*alf.Event] {
	v.mu.RLock()
	heads := make([]*alf.Event, 0, len(v.heads))
	for _, e := range v.heads {
		heads = append(heads, e)
	}
	v.mu.RUnlock()
	return func(yield func(*alf.Event) bool) {
		for _, e := range heads {
			if !yield(e) {
				return
			}
		}
	}
}

// Last returns the ID of the newest event that v has seen.
func (v *View) Last() alf.ID {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.last
}

// Wait returns when v holds the event id, so that a writer reads what it wrote,
// or when ctx ends.
func (v *View) Wait(ctx context.Context, id alf.ID) error {
	for {
		v.mu.RLock()
		last, grown := v.last, v.grown
		v.mu.RUnlock()
		if last >= id {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}
