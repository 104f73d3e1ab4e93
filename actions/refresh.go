package actions

import (
	"context"
	"errors"
	"time"

	"alf"
)

const (
	// expiry is after how many times of its Refresh the target of an alf.Refresher
	// may take what it has not heard of for over. As long it is told of what is over:
	// who missed that believes no longer that it lasts.
	expiry = 4
	// atOnce bounds what is told again in one call.
	atOnce = 200
)

// standings are the problems that were told by an action, of which its target is to
// hear again as long as they last. A sender guards them.
type standings struct {
	heads     Heads
	inventory func() *alf.Inventory
	all       map[alf.Key]*standing
	next      time.Time // when it hears of them; zero: at once
	failures  int       // in a row
	trouble   string    // what the last round ended with, as it was logged
}

type standing struct {
	notification *alf.Notification
	over         time.Time // when its end was told; zero: it lasts
}

func newStandings(o *Options) standings {
	return standings{heads: o.Heads, inventory: o.Inventory, all: make(map[alf.Key]*standing)}
}

// begin puts off the next round if there was nothing to tell in it: what is told now
// has just been heard.
func (t *standings) begin(action alf.Action, now time.Time) {
	if r, ok := action.(alf.Refresher); ok && len(t.all) == 0 {
		t.next = now.Add(r.Refresh())
	}
}

// take notes that n has arrived.
func (t *standings) take(n *alf.Notification, now time.Time) {
	switch n.Type {
	case alf.TypeProblem:
		t.all[n.Key] = &standing{notification: n}
	case alf.TypeRecovery:
		if t.all[n.Key] != nil {
			t.all[n.Key] = &standing{notification: n, over: now}
		}
	}
}

// due returns what is to be told again at now, and forgets what is not any more. Not
// all ends are told: some are held back, and of some nobody wants to hear.
func (t *standings) due(every time.Duration, now time.Time) []*alf.Notification {
	var out []*alf.Notification
	for key, s := range t.all {
		if s.over.IsZero() && !t.lasts(s.notification) || !s.over.IsZero() && now.Sub(s.over) > expiry*every {
			delete(t.all, key)
			continue
		}
		// A host that comes from a source may not be there yet after a start.
		if service := t.inventory().Service(key); !s.over.IsZero() || service != nil && service.Policy != nil {
			out = append(out, s.notification)
		}
	}
	return out
}

// lasts reports whether the problem of n is still there.
func (t *standings) lasts(n *alf.Notification) bool {
	e := t.heads.Head(n.Key)
	return e != nil && e.State.Status != alf.OK && !e.State.LastOK.After(n.Time)
}

// calm returns how long there is nothing to refresh.
func (s *sender) calm(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.action.(alf.Refresher); !ok || len(s.told.all) == 0 {
		return idle
	}
	return max(s.told.next.Sub(now), 0)
}

// refresh tells the target again of all that lasts, when it is time.
func (s *sender) refresh(ctx context.Context) {
	s.mu.Lock()
	r, ok := s.action.(alf.Refresher)
	now := time.Now()
	if !ok {
		clear(s.told.all)
	}
	if !ok || len(s.told.all) == 0 || now.Before(s.told.next) || ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	all := s.told.due(r.Refresh(), now)
	s.mu.Unlock()
	var err error
	for len(all) > 0 && err == nil {
		n := min(len(all), atOnce)
		err = r.Again(ctx, all[:n])
		if _, ok := errors.AsType[*alf.Partly](err); ok && n < len(all) {
			err = nil // the last one says the same
		}
		all = all[n:]
	}
	if ctx.Err() == nil {
		s.refreshed(r, now, err)
	}
}

// refreshed notes how a round has ended, and when the next one is.
func (s *sender) refreshed(r alf.Refresher, began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.told.trouble
	s.told.trouble, s.told.next = "", began.Add(r.Refresh())
	if err == nil {
		s.told.failures = 0
		s.count.Refreshed++
		if was != "" {
			s.log.Info("problems that last are told again")
		}
		return
	}
	s.told.failures++
	s.count.Stale++
	s.told.trouble = err.Error()
	if s.told.trouble != was {
		s.log.Warn("not all of the target heard again of problems that last", "err", err)
	}
	if _, ok := errors.AsType[*alf.Partly](err); !ok {
		s.told.next = later(time.Now(), began).Add(min(r.Refresh(), backoff(s.told.failures)))
	}
}
