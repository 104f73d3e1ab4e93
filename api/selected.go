package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"alf"
	"alf/api/wire"
	"alf/internal/sanitize"
	"alf/state"
)

const (
	atOnce   = 64          // targets of an order that are ordered at a time, so that the record gets batches
	orderFor = time.Minute // for all targets of an order
)

// orders carries out one order for all whom it selects.
func (a *API) orders(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	f, err := negotiate(r)
	if err != nil {
		return err
	}
	var body wire.Order
	if err := read(w, r, &body); err != nil {
		return err
	}
	out, err := a.carryOut(r.Context(), body, a.targets)
	if err != nil {
		return err
	}
	return f.write(w, http.StatusOK, f.media, out)
}

// orderOf returns what carries out one kind of order for the host or service
// that the path names.
func (a *API) orderOf(order string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := parameters(r); err != nil {
			return err
		}
		f, err := negotiate(r)
		if err != nil {
			return err
		}
		row, err := a.row(r)
		if err != nil {
			return err
		}
		var body wire.Order
		if err := read(w, r, &body); err != nil {
			return err
		}
		if !selectorOf(body).IsZero() || len(body.States) > 0 || body.Later || body.Order != "" && body.Order != order {
			return wire.NewError(http.StatusBadRequest, "the path says what is ordered, and for whom")
		}
		body.Order = order
		out, err := a.carryOut(r.Context(), body, func(o wire.Order, c alf.Command) ([]*target, error) { return a.only(row, o, c) })
		if err != nil {
			return err
		}
		if len(out.Targets) == 1 && out.Refused == 1 {
			return wire.NewError(http.StatusConflict, "%s", out.Targets[0].Error)
		}
		return f.write(w, http.StatusOK, f.media, out)
	}
}

// carryOut says what has come of an order for the targets that find finds. What is
// wrong with it as such is the error; then nothing has been done.
func (a *API) carryOut(ctx context.Context, o wire.Order, find func(wire.Order, alf.Command) ([]*target, error)) (*wire.Ordered, error) {
	command, err := newCommand(o, time.Now().UTC())
	if err != nil {
		return nil, wire.NewError(http.StatusBadRequest, "%s", err)
	}
	command.Author = author(ctx, o.Author)
	targets, err := find(o, command)
	if err != nil {
		return nil, err
	}
	if err := a.o.Ready(); err != nil && !o.DryRun {
		return nil, wire.NewError(http.StatusServiceUnavailable, "the order was not taken: %v", err)
	}
	if o.DryRun {
		a.tryAll(targets)
	} else {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), orderFor)
		defer cancel()
		a.orderAll(ctx, targets)
	}
	out := ordered(o, command.ID, targets)
	if !o.DryRun {
		a.o.Log.Info("order taken", "order", o.Order, "id", sanitize.Log(command.ID), "targets", len(targets),
			"refused", out.Refused, "author", sanitize.Log(command.Author))
	}
	return out, nil
}

// ordered says what came of each target.
func ordered(o wire.Order, id string, targets []*target) *wire.Ordered {
	out := &wire.Ordered{ID: id, Order: o.Order, DryRun: o.DryRun, Targets: []wire.Target{}}
	for _, t := range targets {
		answer := wire.Target{Host: string(t.Key.Host), Service: string(t.Key.Service)}
		if t.err == nil {
			out.Taken++
		} else {
			out.Refused++
			answer.Error = wire.Text(t.err.Error())
		}
		out.Targets = append(out.Targets, answer)
	}
	return out
}

// tryAll finds out what would be refused, without doing anything.
func (a *API) tryAll(targets []*target) {
	now := time.Now()
	for _, t := range targets {
		row, found := a.query.Row(t.Key)
		switch {
		case !found:
			t.err = fmt.Errorf("%q is gone", t.Key)
		case t.Verb == alf.Recheck && !row.Service.Scheduled():
			t.err = fmt.Errorf("%q has nothing to run: its results are submitted", t.Key)
		case t.Verb != alf.Recheck:
			if _, _, err := state.Apply(row.Service, row.State(), t.Command, state.Around{Now: now}); err != nil {
				t.err = fmt.Errorf("%q: %w", t.Key, err)
			}
		}
	}
}

// target is a command for one key, and what came of it.
type target struct {
	alf.Command
	err error
}

// orderAll hands the commands to the checker, many at a time, and returns when
// what they wrote is seen by those who read. Downtimes that wait for another one
// are there before that may begin.
func (a *API) orderAll(ctx context.Context, targets []*target) {
	slices.SortStableFunc(targets, func(a, b *target) int { return cmp.Compare(b.Trigger, a.Trigger) })
	n := slices.IndexFunc(targets, func(t *target) bool { return t.Trigger == "" })
	if n < 0 {
		n = len(targets)
	}
	last := max(a.orderSome(ctx, targets[:n]), a.orderSome(ctx, targets[n:]))
	seen, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = a.o.View.Wait(seen, last) // who reads too early sees the state before
}

// orderSome returns the ID of the last event that was written.
func (a *API) orderSome(ctx context.Context, targets []*target) alf.ID {
	var (
		mu    sync.Mutex
		last  alf.ID
		group sync.WaitGroup
		next  = make(chan *target)
	)
	for range min(atOnce, len(targets)) {
		group.Go(func() { // ends when next is closed
			for t := range next {
				id := a.orderTarget(ctx, t)
				mu.Lock()
				last = max(last, id)
				mu.Unlock()
			}
		})
	}
	for _, t := range targets {
		next <- t
	}
	close(next)
	group.Wait()
	return last
}

// orderTarget does not begin while nothing is recorded, and does not wait for that
// to change.
func (a *API) orderTarget(ctx context.Context, t *target) (id alf.ID) {
	if t.err = a.o.Ready(); t.err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if id, t.err = a.o.Submit(ctx, t.Command); errors.Is(t.err, context.DeadlineExceeded) {
		t.err = errors.New("it is ordered, but not recorded yet, and forgotten if Alf ends before it is")
	}
	return id
}
