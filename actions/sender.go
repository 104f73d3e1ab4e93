package actions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"alf"
	"alf/state"
)

// The pauses between attempts to deliver.
const (
	firstBackoff = time.Second
	lastBackoff  = 5 * time.Minute
)

// grace is how long what is under way may take when Alf stops.
const grace = 3 * time.Second

// delivery is a notification that is to be handed over by one action.
type delivery struct {
	key          alf.Key
	notification *alf.Notification
	decided      time.Time
	attempt      int       // how often it was tried
	next         time.Time // not before then; zero: at once
}

// sender hands over what is to be delivered by one action: what is about one key in
// the order in which it was decided, and one thing at a time.
type sender struct {
	name   string
	ledger state.Ledger
	log    *slog.Logger
	wake   chan struct{}
	gone   chan struct{} // closed when the action is no more

	mu       sync.Mutex // guards what follows
	action   alf.Action
	retryFor time.Duration
	queues   map[alf.Key][]*delivery // what waits; of each key the first is tried first
	ready    []alf.Key               // in turn
	later    times                   // keys that wait for their time
	busy     *delivery               // what is under way
	failures int                     // in a row, of whatever
	failing  map[alf.Key]bool        // of what they were
	until    time.Time               // the target is left alone; zero: it is not
	trouble  string                  // what the last attempt ended with, as it was logged
	passed   []*delivery             // that newer ones have taken the place of, and nobody has noted yet
	told     standings               // what is told again as long as it lasts
	count    Stats
}

func newSender(name string, action alf.Action, retryFor time.Duration, o *Options) *sender {
	return &sender{name: name, action: action, retryFor: retryFor, ledger: o.Ledger, log: o.Log.With("action", name), told: newStandings(o),
		wake: make(chan struct{}, 1), gone: make(chan struct{}), queues: make(map[alf.Key][]*delivery), later: newTimes(), failing: make(map[alf.Key]bool)}
}

// replace makes s use another action from the next attempt on, which is made at
// once: it may be the repaired one.
func (s *sender) replace(action alf.Action, retryFor time.Duration) {
	s.mu.Lock()
	s.action, s.retryFor = action, retryFor
	s.told.next = time.Time{}
	s.well()
	for key, queue := range s.queues {
		if queue[0].next = (time.Time{}); queue[0] != s.busy && s.later.drop(key) {
			s.ready = append(s.ready, key)
		}
	}
	s.mu.Unlock()
	s.poke()
}

// abandon ends s: its action is no more.
func (s *sender) abandon() { close(s.gone) }

func (s *sender) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// add takes d behind what waits of the same key. A problem that is told again takes
// the place of the notification of it that still waits.
func (s *sender) add(d *delivery) {
	s.mu.Lock()
	queue := s.queues[d.key]
	first := len(queue) == 0
	s.count.Waiting++
	if n := len(queue); n > 0 && queue[n-1] != s.busy && d.notification.Type == alf.TypeProblem && queue[n-1].notification.Type == alf.TypeProblem {
		s.pass(queue[n-1])
		d.attempt, d.next = queue[n-1].attempt, queue[n-1].next
		queue[n-1] = d
	} else {
		queue = append(queue, d)
	}
	// The ledger keeps no more of them, either.
	if len(queue) > state.LedgerLines {
		at := 0
		if queue[0] == s.busy {
			at = 1
		}
		s.pass(queue[at])
		queue = append(queue[:at:at], queue[at+1:]...)
	}
	s.queues[d.key] = queue
	if first {
		s.enqueue(d)
	}
	s.mu.Unlock()
	s.poke()
}

// pass lets go of what a newer one has taken the place of. The caller has locked
// s.mu.
func (s *sender) pass(d *delivery) {
	s.passed = append(s.passed, d)
	s.count.Waiting--
	s.count.Skipped++
}

// notePassed notes what was let go of.
func (s *sender) notePassed(ctx context.Context) {
	s.mu.Lock()
	passed := s.passed
	s.passed = nil
	s.mu.Unlock()
	for _, d := range passed {
		if s.note(ctx, d, &state.Outcome{Result: state.Superseded, Attempt: d.attempt}) != nil {
			return
		}
	}
}

// enqueue lets the key of d have its turn, at once or later. The caller has locked
// s.mu.
func (s *sender) enqueue(d *delivery) {
	if d.next.IsZero() {
		s.ready = append(s.ready, d.key)
		return
	}
	s.later.set(d.key, d.next)
}

// run delivers until ctx ends, or the action is no more.
func (s *sender) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for {
		s.notePassed(ctx)
		s.refresh(ctx)
		d, action, wait := s.pick(time.Now())
		if d != nil {
			s.deliver(ctx, d, action)
		}
		if ctx.Err() == nil && d != nil && !s.isGone() {
			continue
		}
		timer := time.NewTimer(min(wait, s.calm(time.Now())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.gone:
			timer.Stop()
			s.drop(ctx)
			return
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *sender) isGone() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

const idle = time.Hour // until a look at the clock that nobody asked for

// pick returns what is delivered next, or how long there is nothing to do.
func (s *sender) pick(now time.Time) (*delivery, alf.Action, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.until) {
		return nil, nil, s.until.Sub(now)
	}
	s.ready = append(s.ready, s.later.take(now)...)
	if len(s.ready) == 0 {
		if at := s.later.first(); !at.IsZero() {
			return nil, nil, at.Sub(now)
		}
		return nil, nil, idle
	}
	key := s.ready[0]
	s.ready = s.ready[1:]
	s.busy = s.queues[key][0]
	return s.busy, s.action, 0
}

// deliver tries once to hand over d, and notes what becomes of it.
func (s *sender) deliver(ctx context.Context, d *delivery, action alf.Action) {
	d.attempt++
	trying, cancel := lasting(ctx)
	defer cancel()
	m := &alf.Message{ID: messageID(d.notification.ID, s.name), Attempt: d.attempt, Notification: d.notification}
	err := action.Do(trying, m)
	if err != nil && ctx.Err() != nil {
		s.put(d) // it is tried again after the next start
		return
	}
	o := s.outcome(d, err, time.Now())
	s.tell(d, o)
	if s.note(trying, d, o) != nil {
		return
	}
	s.settle(d, o)
}

// lasting returns a context that outlives ctx a little.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(out, func() { timer.Stop() })
	})
	return out, func() { stop(); cancel() }
}

// messageID returns the same for the same notification and action, without a
// character that a header could not have.
func messageID(notification, action string) string {
	sum := sha256.Sum256([]byte(notification + "\x00" + action))
	return hex.EncodeToString(sum[:16])
}

// outcome says what becomes of d after an attempt that ended with err.
func (s *sender) outcome(d *delivery, err error, now time.Time) *state.Outcome {
	o := &state.Outcome{Result: state.Delivered, Attempt: d.attempt}
	if err == nil {
		return o
	}
	o.Err = cut(err.Error(), mostOutput)
	if _, ok := errors.AsType[*alf.Partly](err); ok {
		return o
	}
	o.Result = state.Failed
	s.mu.Lock()
	retryFor := s.retryFor
	s.mu.Unlock()
	wait := backoff(d.attempt)
	if after, ok := errors.AsType[*alf.RetryAfter](err); ok {
		wait = max(wait, after.Wait)
	}
	switch {
	case errors.Is(err, alf.ErrPermanent):
	case now.Add(wait).Sub(d.decided) > retryFor:
		o.Err = fmt.Sprintf("%s; given up after %v (retry_for)", o.Err, retryFor)
	default:
		o.Result, o.Next = state.Retrying, now.Add(wait)
	}
	return o
}

// backoff returns the pause after the attempt of that number: twice as long each
// time, a fifth more or less.
func backoff(attempt int) time.Duration {
	d := lastBackoff
	if attempt < 20 {
		d = min(firstBackoff<<(attempt-1), lastBackoff)
	}
	return d*4/5 + rand.N(d*2/5+1)
}

// tell logs an attempt: what fails again for the same reason only once.
func (s *sender) tell(d *delivery, o *state.Outcome) {
	s.mu.Lock()
	was := s.trouble
	s.trouble = o.Err
	s.mu.Unlock()
	facts := []any{"host", d.key.Host, "service", d.key.Service, "type", d.notification.Type.String(), "attempt", d.attempt}
	switch {
	case o.Result == state.Failed:
		s.log.Error("a notification could not be delivered", append(facts, "err", o.Err)...)
	case o.Result == state.Delivered && o.Err != "" && o.Err != was:
		s.log.Warn("a notification did not arrive everywhere", append(facts, "err", o.Err)...)
	case o.Err != "" && o.Err != was:
		s.log.Warn("a notification could not be delivered yet", append(facts, "err", o.Err)...)
	case o.Err == "" && was != "":
		s.log.Info("notifications are delivered again", facts...)
	default:
		s.log.Debug("notification", append(facts, "result", o.Result.String())...)
	}
}

// note writes what becomes of d into the ledger.
func (s *sender) note(ctx context.Context, d *delivery, o *state.Outcome) error {
	o.ID, o.Action = d.notification.ID, s.name
	l := &state.Line{Time: time.Now(), Key: d.key, Outcome: o}
	return insist(ctx, s.ledger, s.log, []*state.Line{l})
}

// put ends the turn of d as if it had not been.
func (s *sender) put(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = nil
	d.attempt--
}

// settle lets go of d, or has it wait for its next turn.
func (s *sender) settle(d *delivery, o *state.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = nil
	switch o.Result {
	case state.Retrying:
		s.failures++
		s.failing[d.key] = true
		s.count.Retried++
		d.next = o.Next
		if len(s.failing) > 1 { // else it may be this one's own fault
			s.until = later(o.Next, time.Now().Add(backoff(s.failures)))
		}
		s.later.set(d.key, d.next)
		return
	case state.Failed:
		s.count.Failed++
	default:
		s.well()
		s.told.begin(s.action, time.Now())
		s.told.take(d.notification, time.Now())
		s.count.Delivered++
	}
	s.count.Waiting--
	queue := s.queues[d.key][1:]
	if len(queue) == 0 {
		delete(s.queues, d.key)
		return
	}
	s.queues[d.key] = queue
	s.enqueue(queue[0])
}

// well forgets what has failed. The caller has locked s.mu.
func (s *sender) well() {
	s.failures, s.until = 0, time.Time{}
	clear(s.failing)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// drop notes that what waits is told by nobody any more.
func (s *sender) drop(ctx context.Context) {
	s.mu.Lock()
	var all []*delivery
	for _, queue := range s.queues {
		all = append(all, queue...)
	}
	s.mu.Unlock()
	for _, d := range all {
		if s.note(ctx, d, &state.Outcome{Result: state.Failed, Attempt: d.attempt, Err: "the action is no more"}) != nil {
			return
		}
	}
}

func (s *sender) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.count
	for _, queue := range s.queues {
		if at := queue[0].decided; out.Oldest.IsZero() || at.Before(out.Oldest) {
			out.Oldest = at
		}
	}
	return out
}
