package actions

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"alf"
	"alf/state"
)

// Trial is the wish to see what becomes of a notification that is marked as a test.
type Trial struct {
	Action string
	Key    alf.Key // what it is about; the zero Key: something that there is not
	Type   alf.NotificationType
	Author string // who wants it
}

// Tried is what became of a Trial.
type Tried struct {
	Kind   string // of the action
	Answer string // of the target, as people read it; "": the kind knows none, or there was none
	Took   time.Duration
	Err    error // what it ended with; nil: the message has arrived
}

// Why there was no attempt.
var (
	ErrNoAction  = errors.New("there is no such action")
	ErrNoService = errors.New("there is no such host or service")
	ErrTrying    = errors.New("another test is under way")
)

// Try sends a notification that is marked as a test, once, beside those that wait. It
// is not in the ledger. An error says why nothing was tried.
func (r *Room) Try(ctx context.Context, t Trial) (*Tried, error) {
	if !r.trying.TryLock() {
		return nil, ErrTrying
	}
	defer r.trying.Unlock()
	r.mu.Lock()
	c, known := r.wanted[t.Action]
	r.mu.Unlock()
	if !known {
		return nil, ErrNoAction
	}
	n, err := r.trialOf(t, time.Now())
	if err != nil {
		return nil, err
	}
	action, err := c.Spec.New(c.Name) // of its own: calls of one never overlap
	if err != nil {
		return nil, err
	}
	out := &Tried{Kind: c.Type}
	m := &alf.Message{ID: messageID(n.ID, c.Name), Attempt: 1, Notification: n, Answered: func(text string) { out.Answer = text }}
	began := time.Now()
	out.Err = action.Do(ctx, m)
	out.Took = time.Since(began)
	return out, nil
}

// trialService returns what a test is about that is about nothing.
func trialService() *alf.Service {
	return &alf.Service{Key: alf.Key{Host: alf.OwnHost, Service: "test"}, Host: &alf.Host{Name: alf.OwnHost}, MaxAttempts: 1}
}

// trialOf returns the notification of a test. It is about a state that its type is
// told of, whether or not it is so.
func (r *Room) trialOf(t Trial, now time.Time) (*alf.Notification, error) {
	inventory := r.o.Inventory()
	s, e := trialService(), (*alf.Event)(nil)
	if t.Key != (alf.Key{}) {
		if s = inventory.Service(t.Key); s == nil {
			return nil, ErrNoService
		}
		e = r.o.Heads.Head(t.Key)
	}
	if e == nil {
		e = &alf.Event{Key: s.Key, State: alf.State{LastChange: now}}
	}
	turn := turn{d: r.decider, inventory: inventory, service: s, event: e, now: now}
	n := turn.notification(state.Verdict{Decision: state.Decision{Type: t.Type, Number: 1}})
	n.ID, n.Test, n.StateType, n.Attempt, n.Attempts = rand.Text(), true, alf.Hard, s.MaxAttempts, s.MaxAttempts
	switch {
	case t.Type == alf.TypeRecovery:
		n.Status = alf.OK
	case n.Status == alf.OK && s.Key.IsHost():
		n.Status = alf.Down
	case n.Status == alf.OK:
		n.Status = alf.Critical
	}
	n.Output = cut(fmt.Sprintf("this is a test by %s, and nothing has happened", t.Author), mostOutput)
	n.LongOutput = ""
	if t.Type == alf.TypeAcknowledgement || t.Type.OfDowntime() {
		n.Author, n.Text = t.Author, "a test"
	}
	return n, nil
}
