package memory

import (
	"context"
	"iter"

	"alf"
	"alf/state"
)

// Enter implements state.Ledger.
func (r *Record) Enter(ctx context.Context, lines []*state.Line) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range lines {
		r.lines++
		l.ID = r.lines
		r.ledger = append(r.within(l), l)
	}
	return nil
}

// within returns the ledger with room for l among its kind: who reads the old one
// goes on doing so.
func (r *Record) within(l *state.Line) []*state.Line {
	n, first := 0, -1
	for i, was := range r.ledger {
		if sameKind(was, l) {
			if n++; first < 0 {
				first = i
			}
		}
	}
	if n < state.LedgerLines {
		return r.ledger
	}
	kept := make([]*state.Line, 0, len(r.ledger))
	return append(append(kept, r.ledger[:first]...), r.ledger[first+1:]...)
}

// sameKind reports whether both are decisions about a key, or outcomes of the same
// action there.
func sameKind(a, b *state.Line) bool {
	switch {
	case a.Key != b.Key || (a.Outcome == nil) != (b.Outcome == nil):
		return false
	case a.Outcome == nil:
		return true
	}
	return a.Outcome.Action == b.Outcome.Action
}

// Lines implements state.Ledger.
func (r *Record) Lines(ctx context.Context, key alf.Key) iter.Seq2[*state.Line, error] {
	return func(yield func(*state.Line, error) bool) {
		r.mu.Lock()
		lines := r.ledger
		r.mu.Unlock()
		for _, l := range lines {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if (key == alf.Key{} || l.Key == key) && !yield(l, nil) {
				return
			}
		}
	}
}
