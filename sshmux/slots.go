package sshmux

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// slots counts the sessions of a connection: at most limit in use, the others wait in the
// order in which they came.
type slots struct {
	mu      sync.Mutex
	limit   int
	used    int
	held    int             // of those in use: by no command any more, but the host keeps them
	waiting []chan struct{} // each is closed when it is handed a slot
}

// acquire waits for a slot for as long as limit. It returns the context's cause, or errLost
// when dead is closed.
func (s *slots) acquire(ctx context.Context, dead <-chan struct{}, limit time.Duration) error {
	s.mu.Lock()
	if s.used < s.limit && len(s.waiting) == 0 {
		s.used++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
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

// pass hands a slot to the first in the queue, if any. The caller holds mu.
func (s *slots) pass() {
	if len(s.waiting) == 0 {
		s.used--
		return
	}
	close(s.waiting[0])
	s.waiting = slices.Delete(s.waiting, 0, 1)
}

// state returns how many slots are in use, how many of these the host keeps, and how many
// callers wait for one.
func (s *slots) state() (used, held, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.held, len(s.waiting)
}
