package sshmux

import (
	"context"
	"errors"
	"fmt"
)

// passages is how many handshakes are under way through one bastion: fewer than the ten at
// which sshd begins to refuse connections, where those behind it are one host.
const passages = 8

// admission is the right to dial once. It must be given back.
type admission struct {
	link *link
	pass *pass
}

// admit waits until the link may dial. In the queue there is no time that counts as the host's:
// its ConnectTimeout begins after it.
func (l *link) admit(ctx context.Context, w *turn) (*admission, error) {
	m := l.mux
	limit := m.options.TurnTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it has not come within %v", limit))
	defer cancel()
	m.counters.waiting.Add(1)
	defer m.counters.waiting.Add(-1)
	pass, err := m.lockout.enter(ctx, l.target, m.turns.urgencyOf(w) == ordered || l.good.Load())
	if _, ok := errors.AsType[*spared](err); ok {
		if err := m.prepared(ctx, l.target); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	if l.via != nil {
		select {
		case l.via.passages <- struct{}{}:
		case <-ctx.Done():
			pass.giveBack(nil)
			return nil, l.target.fail(Transport, PhaseDial, fmt.Errorf("waiting for its turn through %s: %w", label(l.via.target), context.Cause(ctx)))
		}
	}
	a := &admission{l, pass}
	if err := m.turns.take(ctx, w); err != nil {
		a.leave()
		pass.giveBack(nil)
		return nil, l.target.fail(Transport, PhaseDial, err)
	}
	return a, nil
}

// leave lets the next one through the bastion.
func (a *admission) leave() {
	if a.link.via != nil {
		<-a.link.via.passages
	}
}

// giveBack ends the dial; err is an *Error, or nil.
func (a *admission) giveBack(err *Error) {
	a.link.mux.turns.done()
	a.leave()
	a.pass.giveBack(err)
}
