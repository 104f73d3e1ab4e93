package sshmux

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// maxOvertaken is how many times in a row who has waited longest is overtaken by those of a
// higher priority.
const maxOvertaken = 3

// slots counts the sessions of a connection: at most limit in use, the others wait by priority,
// and within one in the order in which they came.
type slots struct {
	mu      sync.Mutex
	limit   int
	used    int
	held    int      // of those in use: by no command any more, but the host keeps them
	waiting []waiter // in the order in which they came

	overtaken int // how many times in a row the first of them was
}

// waiter is a command in the queue.
type waiter struct {
	turn     chan struct{} // closed when it is handed a slot
	priority int
}

// acquire waits for a slot for as long as limit. It returns the context's cause, or errLost
// when dead is closed.
func (s *slots) acquire(ctx context.Context, dead <-chan struct{}, limit time.Duration, priority int) error {
	s.mu.Lock()
	if s.used < s.limit && len(s.waiting) == 0 {
		s.used++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, waiter{turn, priority})
	s.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
		s.forget(turn)
		return fmt.Errorf("no session was free within %v", limit)
	case <-ctx.Done():
		s.forget(turn)
		return context.Cause(ctx)
	case <-dead:
		s.forget(turn)
		return errLost
	}
}

// forget leaves the queue. A slot that was handed over meanwhile is passed on.
func (s *slots) forget(turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.waiting, func(w waiter) bool { return w.turn == turn }); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		return
	}
	s.pass()
}

// release gives a slot back.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass()
}

// hold notes that the host keeps a slot that no command uses any more. It reports whether that
// has become of all slots.
func (s *slots) hold() (spent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
	return s.held >= s.limit
}

// unhold ends a hold.
func (s *slots) unhold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
}

// pass hands a slot to whose turn it is, if anybody waits. The caller holds mu.
func (s *slots) pass() {
	if len(s.waiting) == 0 {
		s.used--
		return
	}
	i := s.next()
	close(s.waiting[i].turn)
	s.waiting = slices.Delete(s.waiting, i, i+1)
}

// next returns whose turn it is.
func (s *slots) next() int {
	best := 0
	for i, w := range s.waiting {
		if w.priority > s.waiting[best].priority {
			best = i
		}
	}
	if best == 0 || s.overtaken >= maxOvertaken {
		s.overtaken = 0
		return 0
	}
	s.overtaken++
	return best
}

// state returns how many slots are in use, how many of these the host keeps, and how many
// callers wait for one.
func (s *slots) state() (used, held, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.held, len(s.waiting)
}
