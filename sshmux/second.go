package sshmux

import (
	"context"
	"errors"
	"time"
)

// errLate is the cause of a dial that ends because no kill waits for it any more.
var errLate = errors.New("not in time for the kill")

// second is a link's second connection, for kills that find no session on the first. There is
// one at a time; all who need one at the same time share it, and it ends with the last of them.
type second struct {
	cancel context.CancelCauseFunc
	users  int           // guarded by link.mu
	done   chan struct{} // closed when conn is set, or has failed to be
	conn   *conn
}

// borrow returns the second connection, and dials if there is none and the link may be
// dialled; nil means that it cannot be had. The caller must call giveBack.
func (l *link) borrow(ctx context.Context) (c *conn, giveBack func()) {
	if l.once.Load() {
		return l.extra(ctx)
	}
	s := l.seekSecond()
	if s == nil {
		return nil, func() {}
	}
	select {
	case <-s.done:
		c = s.conn
	case <-ctx.Done():
	}
	return c, func() { l.giveBack(s) }
}

// seekSecond returns the second connection or the dial for it; nil: it is not the time for one.
func (l *link) seekSecond() *second {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.second == nil {
		if time.Now().Before(l.retry) {
			return nil
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		s := &second{cancel: cancel, done: make(chan struct{})}
		l.second = s
		l.mux.owners.Go(func() { l.ownSecond(ctx, s) })
	}
	l.second.users++
	return l.second
}

// ownSecond is the goroutine of a second connection, from the dial to the end.
func (l *link) ownSecond(ctx context.Context, s *second) {
	defer s.cancel(nil)
	c, err := l.dial(ctx, newTurn(ordered))
	if err != nil {
		l.mu.Lock()
		_, tell := l.failed(err)
		l.mu.Unlock()
		tell()
		close(s.done)
		return
	}
	s.conn = c
	stop := context.AfterFunc(ctx, func() { c.close(errUnwanted) })
	defer stop()
	close(s.done)
	c.serve()
	c.die()
	l.drop(s)
}

// drop makes that nobody borrows a connection that has ended.
func (l *link) drop(s *second) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.second == s {
		l.second = nil
	}
}

// giveBack ends a loan.
func (l *link) giveBack(s *second) {
	l.mu.Lock()
	s.users--
	last := s.users == 0
	l.mu.Unlock()
	if last {
		l.drop(s)
		s.cancel(errLate)
	}
}
