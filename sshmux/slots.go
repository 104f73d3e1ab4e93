package sshmux

import (
	"context"
	"slices"
	"sync"
)

// slots counts the sessions of a connection: at most limit in use, the others wait in the
// order in which they came.
type slots struct {
	mu      sync.Mutex
	limit   int
	used    int
	waiting []chan struct{} // each is closed when it is handed a slot
}

// acquire waits for a slot. It returns the context's cause, or errLost when dead is closed.
func (s *slots) acquire(ctx context.Context, dead <-chan struct{}) error {
	s.mu.Lock()
	if s.used < s.limit && len(s.waiting) == 0 {
		s.used++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
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
	if i := slices.Index(s.waiting, turn); i >= 0 {
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

// pass hands a slot to the first in the queue, if any. The caller holds mu.
func (s *slots) pass() {
	if len(s.waiting) == 0 {
		s.used--
		return
	}
	close(s.waiting[0])
	s.waiting = slices.Delete(s.waiting, 0, 1)
}

// state returns how many slots are in use, and how many callers wait for one.
func (s *slots) state() (used, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, len(s.waiting)
}
