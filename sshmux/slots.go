package sshmux

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// maxOvertaken is how many times in a row who has waited longest is overtaken by those of a
// higher priority.
const maxOvertaken = 3

// forgetFull is how long a refusal counts. It may have had another reason than the number of
// sessions, or the host may have had more of them than we knew.
const forgetFull = time.Hour

// slots counts the sessions of a connection: at most limit in use, the others wait by priority,
// and within one in the order in which they came.
type slots struct {
	mu      sync.Mutex
	most    int // what limit never exceeds
	used    int
	held    int      // of those in use: by no command any more, but the host keeps them
	waiting []waiter // in the order in which they came

	overtaken int // how many times in a row the first of them was

	open int       // sessions that the host has, as far as we know; kills have some beside the slots
	peak int       // the most of them at once: so many it allows
	full time.Time // when it last refused one more; zero: never, or long ago
}

// limit returns how many slots there are. Of the sessions that a host is known to allow, it is
// half: the host frees one a little after it has said so, and a kill may need one. The caller
// holds mu.
func (s *slots) limit() int {
	if s.full.IsZero() || s.peak == 0 {
		return s.most // a host that has opened no session yet tells nothing of their number
	}
	return min(s.most, max(1, s.peak/2))
}

// began notes that the host has opened a session.
func (s *slots) began() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	if s.open > s.peak {
		s.peak = s.open
		s.wake()
	}
}

// ended notes that the host has closed a session.
func (s *slots) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// refused notes that the host has opened no further session.
func (s *slots) refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = time.Now()
}

// yield gives a slot back if too many are in use, and returns the turn to await instead, which
// comes before all others; nil: the slot is kept. It reports whether the host holds all slots
// that are left.
func (s *slots) yield() (turn chan struct{}, spent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used <= s.limit() {
		return nil, false
	}
	s.used--
	turn = make(chan struct{})
	s.waiting = slices.Insert(s.waiting, 0, waiter{turn, math.MaxInt})
	return turn, s.spent()
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
	if !s.full.IsZero() && time.Since(s.full) > forgetFull {
		s.full, s.peak = time.Time{}, s.open
		s.wake()
	}
	if s.used < s.limit() && len(s.waiting) == 0 {
		s.used++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, waiter{turn, priority})
	s.mu.Unlock()
	return s.await(ctx, dead, limit, turn)
}

// await waits for a turn for as long as limit. Without a turn, there is no slot.
func (s *slots) await(ctx context.Context, dead <-chan struct{}, limit time.Duration, turn chan struct{}) error {
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

// release gives a slot back. It reports whether all slots that are left are held by the host.
func (s *slots) release() (spent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass()
	return s.spent()
}

// hold notes that the host keeps a slot that no command uses any more. It reports whether that
// has become of all slots.
func (s *slots) hold() (spent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
	return s.spent()
}

// spent reports whether no command runs, and none can begin, because the host keeps all slots.
// The caller holds mu.
func (s *slots) spent() bool {
	return s.held > 0 && s.held >= s.used && s.held >= s.limit()
}

// worn reports whether the host keeps at least half of the slots, so that another connection
// would serve better.
func (s *slots) worn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held > 0 && 2*s.held >= s.limit()
}

// busy reports whether a command has a slot.
func (s *slots) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used > s.held
}

// unhold ends a hold.
func (s *slots) unhold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
}

// pass hands a slot to whose turn it is, if anybody waits. The caller holds mu.
func (s *slots) pass() {
	s.used--
	s.wake()
}

// wake hands all slots that are free to those who wait. The caller holds mu.
func (s *slots) wake() {
	for s.used < s.limit() && len(s.waiting) > 0 {
		i := s.next()
		close(s.waiting[i].turn)
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.used++
	}
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

// size returns how many slots there are.
func (s *slots) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit()
}

// state returns how many slots are in use, how many of these the host keeps, and how many
// callers wait for one.
func (s *slots) state() (used, held, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.held, len(s.waiting)
}
