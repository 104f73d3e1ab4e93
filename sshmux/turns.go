package sshmux

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// urgency says who goes first of those that wait to dial.
type urgency uint8

const (
	scheduled urgency = iota
	ordered           // a person waits for it
)

// turns lets links dial at a bounded rate, and a bounded number of them at a time, each kind in
// the order in which they came.
type turns struct {
	every time.Duration // between one dial and the next
	most  int           // at a time

	mu        sync.Mutex
	running   int
	next      time.Time // no dial begins before
	timer     *time.Timer
	queues    [2]list.List // of *turn, by urgency
	overtaken int          // how many times in a row who is not urgent was
}

// turn is the place of a dial in the queue. The zero value waits nowhere.
type turn struct {
	begun   chan struct{} // closed when the dial may begin
	urgency urgency       // guarded by turns.mu from take on
	place   *list.Element // in queues[urgency]; nil: it waits no longer, or not yet
}

func newTurn(u urgency) *turn { return &turn{begun: make(chan struct{}), urgency: u} }

// take waits for the turn. Who has had it calls done at the end of the dial.
func (t *turns) take(ctx context.Context, w *turn) error {
	t.mu.Lock()
	w.place = t.queues[w.urgency].PushBack(w)
	t.wake()
	t.mu.Unlock()
	select {
	case <-w.begun:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.place == nil {
		return nil // it came meanwhile
	}
	t.queues[w.urgency].Remove(w.place)
	w.place = nil
	return fmt.Errorf("waiting for its turn: %w", context.Cause(ctx))
}

// urgencyOf returns who waits.
func (t *turns) urgencyOf(w *turn) urgency {
	t.mu.Lock()
	defer t.mu.Unlock()
	return w.urgency
}

// hurry puts who waits before those that are less urgent.
func (t *turns) hurry(w *turn, u urgency) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u <= w.urgency {
		return
	}
	if w.place != nil {
		t.queues[w.urgency].Remove(w.place)
		w.place = t.queues[u].PushBack(w)
	}
	w.urgency = u
}

// done ends a dial.
func (t *turns) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	t.wake()
}

// wake lets begin who may, and has itself called when the next one may. The caller holds mu.
func (t *turns) wake() {
	for t.running < t.most {
		w := t.first()
		if w == nil {
			return
		}
		now := time.Now()
		if wait := t.next.Sub(now); wait > 0 {
			t.again(wait)
			return
		}
		t.queues[w.urgency].Remove(w.place)
		w.place = nil
		t.overtaken++
		if w.urgency == scheduled || t.queues[scheduled].Len() == 0 {
			t.overtaken = 0
		}
		t.running++
		t.next = now.Add(t.every)
		close(w.begun)
	}
}

// first returns whose turn it is, nil if nobody waits.
func (t *turns) first() *turn {
	urgent, normal := t.queues[ordered].Front(), t.queues[scheduled].Front()
	if urgent != nil && (normal == nil || t.overtaken < maxOvertaken) {
		return urgent.Value.(*turn)
	}
	if normal != nil {
		return normal.Value.(*turn)
	}
	return nil
}

// again has wake called after a while, once for all.
func (t *turns) again(wait time.Duration) {
	if t.timer != nil {
		return
	}
	t.timer = time.AfterFunc(wait, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.timer = nil
		t.wake()
	})
}
