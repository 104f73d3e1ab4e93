package actions

import (
	"context"
	"iter"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"alf"
	"alf/state"
)

// Options are what a Room reads from and writes to. All must be set.
type Options struct {
	Feed      state.Feed
	Ledger    state.Ledger
	Heads     Heads
	Inventory func() *alf.Inventory
	Log       *slog.Logger
	// HostDownDisablesChecks is as the checker was told.
	HostDownDisablesChecks bool
}

// Heads are the newest events of all keys.
type Heads interface {
	Head(key alf.Key) *alf.Event
	Heads() iter.Seq[*alf.Event]
	// Wait returns when the event of that ID is among them, or superseded.
	Wait(ctx context.Context, id alf.ID) error
}

// Room decides who is told, and tells. Its methods may be called at the same time.
type Room struct {
	o       Options
	decider *decider
	changed chan struct{} // there are other actions

	trying sync.Mutex // held by the test that is under way

	mu      sync.Mutex
	senders map[string]*sender // by action
	wanted  map[string]alf.ActionConfig
}

// New returns a Room without actions. It does no I/O.
func New(o Options) *Room {
	r := &Room{o: o, changed: make(chan struct{}, 1), senders: make(map[string]*sender), wanted: make(map[string]alf.ActionConfig)}
	r.decider = newDecider(o, r.hand)
	return r
}

// Adopt makes these the actions that there are. Those that are as they were go on
// with what they do. An action that cannot be made is left out: the error says why.
func (r *Room) Adopt(all []alf.ActionConfig) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var failed error
	wanted := make(map[string]alf.ActionConfig, len(all))
	for _, c := range all {
		wanted[c.Name] = c
		was, known := r.wanted[c.Name]
		if s := r.senders[c.Name]; s != nil && known && was.RetryFor == c.RetryFor && reflect.DeepEqual(was.Spec, c.Spec) {
			continue
		}
		action, err := c.Spec.New(c.Name)
		if err != nil {
			failed = err
			delete(wanted, c.Name)
			continue
		}
		if s := r.senders[c.Name]; s != nil {
			s.replace(action, c.RetryFor)
			continue
		}
		r.senders[c.Name] = newSender(c.Name, action, c.RetryFor, &r.o)
	}
	for name, s := range r.senders {
		if _, stays := wanted[name]; !stays {
			s.abandon()
			delete(r.senders, name)
		}
	}
	r.wanted = wanted
	r.poke()
	return failed
}

func (r *Room) poke() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// sender returns that of an action; nil: there is none.
func (r *Room) sender(action string) *sender {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.senders[action]
}

// hand hands over to the senders what is to be delivered of a line.
func (r *Room) hand(l *state.Line) {
	for i := range l.Decided.Notices {
		n := &l.Decided.Notices[i]
		for _, to := range n.To {
			d := &delivery{key: l.Key, notification: n.Notification.For(to.Contacts), decided: l.Time}
			if s := r.sender(to.Action); s != nil {
				s.add(d)
			} else {
				r.o.Log.Warn("nobody is told: the action is gone", "action", to.Action, "host", l.Key.Host, "service", l.Key.Service)
			}
		}
	}
}

// Run decides and tells until ctx ends and all that it started has ended.
func (r *Room) Run(ctx context.Context) error {
	if err := r.recall(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	started := make(map[*sender]bool)
	running.Go(func() { stop(r.decider.run(ctx)) })
	for ctx.Err() == nil {
		r.mu.Lock()
		for _, s := range r.senders {
			if !started[s] {
				started[s] = true
				running.Go(func() { s.run(ctx) })
			}
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-r.changed:
			if err := r.decider.ask(ctx, r.decider.known()); err != nil {
				stop(err)
			}
		}
	}
	running.Wait()
	return context.Cause(ctx)
}

// recall reads from the ledger what was told before, and what is still to be
// delivered.
func (r *Room) recall(ctx context.Context) error {
	q := newQueue()
	for l, err := range r.o.Ledger.Lines(ctx, alf.Key{}) {
		if err != nil {
			return err
		}
		if l.Decided != nil {
			r.decider.recall(l)
		}
		q.take(l)
	}
	for at, n := range q.told {
		if s := r.sender(at.action); s != nil {
			s.told.take(n, time.Now())
		}
	}
	for _, w := range q.waiting() {
		if s := r.sender(w.action); s != nil {
			s.add(w.delivery)
			continue
		}
		o := &state.Line{Time: time.Now(), Key: w.key, Outcome: &state.Outcome{
			ID: w.notification.ID, Action: w.action, Result: state.Failed, Attempt: w.attempt, Err: "there is no such action any more"}}
		if err := r.o.Ledger.Enter(ctx, []*state.Line{o}); err != nil {
			return err
		}
	}
	return nil
}

// Memory returns what is remembered of telling people of a service.
func (r *Room) Memory(s *alf.Service) state.Memory { return r.decider.memory(s) }

// Stats are those of an action.
type Stats struct {
	Waiting                             int
	Delivered, Retried, Failed, Skipped uint64
	Refreshed, Stale                    uint64    // rounds in which the target heard again of all that lasts, and in which it did not
	Oldest                              time.Time // when what waits longest was decided; zero: nothing waits
}

// Stats returns those of all actions by name.
func (r *Room) Stats() map[string]Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]Stats, len(r.senders))
	for name, s := range r.senders {
		out[name] = s.stats()
	}
	return out
}

// Told returns how many notifications there were since the start, by type.
func (r *Room) Told() map[string]uint64 { return r.decider.counts() }

// queue finds in the ledger what is still to be delivered.
type queue struct {
	order []recipient
	all   map[recipient][]*delivery
	told  map[recipient]*alf.Notification // the last problem that was delivered, if no end of it was
}

type recipient struct {
	key    alf.Key
	action string
}

// waiting is a delivery that is to be made, and by which action.
type waiting struct {
	action string
	*delivery
}

func newQueue() *queue {
	return &queue{all: make(map[recipient][]*delivery), told: make(map[recipient]*alf.Notification)}
}

// take takes the next line. An outcome says something of its own notification, and
// that those before it are settled, too: they are delivered in their order.
func (q *queue) take(l *state.Line) {
	if l.Outcome != nil {
		q.settle(recipient{l.Key, l.Outcome.Action}, l.Outcome)
		return
	}
	for i := range l.Decided.Notices {
		n := &l.Decided.Notices[i]
		for _, to := range n.To {
			at := recipient{l.Key, to.Action}
			if slices.ContainsFunc(q.all[at], func(d *delivery) bool { return d.notification.ID == n.Notification.ID }) {
				continue // it was written twice, since nobody heard of the first time
			}
			if q.all[at] == nil {
				q.order = append(q.order, at)
			}
			q.all[at] = append(q.all[at], &delivery{key: l.Key, notification: n.Notification.For(to.Contacts), decided: l.Time})
		}
	}
}

func (q *queue) settle(at recipient, o *state.Outcome) {
	all := q.all[at]
	for i, d := range all {
		if d.notification.ID != o.ID {
			continue
		}
		switch {
		case o.Result == state.Superseded:
			q.all[at] = append(all[:i:i], all[i+1:]...)
		case o.Result.Over():
			if o.Result == state.Delivered {
				q.tell(at, all[:i+1])
			}
			q.all[at] = all[i+1:]
		default:
			d.attempt, d.next = o.Attempt, o.Next
			q.all[at] = all[i:]
		}
		return
	}
}

// tell remembers what was delivered.
func (q *queue) tell(at recipient, all []*delivery) {
	for _, d := range all {
		switch d.notification.Type {
		case alf.TypeProblem:
			q.told[at] = d.notification
		case alf.TypeRecovery:
			delete(q.told, at)
		}
	}
}

// waiting returns what nothing was settled of, for each action in the order in which
// it was decided.
func (q *queue) waiting() []waiting {
	var out []waiting
	for _, at := range q.order {
		for _, d := range q.all[at] {
			out = append(out, waiting{at.action, d})
		}
		q.all[at] = nil // it may stand in order twice
	}
	return out
}
