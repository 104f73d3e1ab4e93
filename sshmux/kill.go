package sshmux

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// killLimit bounds all that is done to end a command.
	killLimit = 3800 * time.Millisecond
	// termGrace is the time between TERM and KILL.
	termGrace = time.Second
	// sessionGrace is how long a session for the kill may be refused before a second
	// connection is made for it.
	sessionGrace = 300 * time.Millisecond
)

// killScript ends a process group: TERM, and KILL most of a second later. It exits with 0 only
// if nothing of the group is left. Who may not signal any of a group's processes gets another
// answer than who finds none, and a process that is dead but not yet reaped still answers; so
// both are told apart. Where sleep knows no fractions, there is one nap of a second.
const killScript = `LC_ALL=C; export LC_ALL; ` +
	`gone() { case "$(kill -0 -PGID 2>&1)" in *"o such process"*) exit 0;; esac; }; ` +
	`nap() { sleep 0.1 2>/dev/null || { sleep 1; n=9; }; n=$((n+1)); }; ` +
	`kill -TERM -PGID 2>/dev/null; n=0; while [ $n -lt 7 ]; do gone; nap; done; ` +
	`kill -KILL -PGID 2>/dev/null; n=0; while [ $n -lt 5 ]; do gone; nap; done; ` +
	`states=$(ps -A -o pgid= -o stat= 2>/dev/null) || exit 1; ` +
	`echo "$states" | grep -q "^ *PGID  *[^ZX ]" && exit 1; exit 0`

// kill ends the command's process group and reports whether nothing of it is left. It returns
// within killLimit. The caller is the one of wait, and goes on noting what the host says.
func (s *session) kill() bool {
	ctx, cancel := context.WithTimeout(context.Background(), killLimit)
	defer cancel()
	done := make(chan bool, 1)
	s.conn.mux.owners.Go(func() { done <- s.killer(ctx) })
	asks := s.asks
	var settled <-chan time.Time // a moment after the kill, for the exit status and the end of the channel
	proven := false
	for {
		select {
		case ask, ok := <-asks:
			if !ok {
				s.gone()
				asks = nil
				if settled != nil {
					return proven
				}
				continue
			}
			s.note(ask)
		case proven = <-done:
			if s.closed || !proven {
				return proven
			}
			settled = time.After(100 * time.Millisecond)
		case <-settled:
			return proven
		case <-ctx.Done():
			return proven
		}
	}
}

// killer signals the command over its channel, which sshd ignores for root (RULES S4), and
// then makes sure over another.
func (s *session) killer(ctx context.Context) bool {
	s.signal("TERM")
	insist := time.AfterFunc(termGrace, func() { s.signal("KILL") })
	defer insist.Stop()
	select {
	case <-s.begun:
	case <-s.outputs:
	case <-ctx.Done():
		return false
	}
	if s.hasBegun() {
		// The exit of the group's leader says nothing about the others, whatever came first.
		return s.pid == 0 || s.conn.killGroup(ctx, s.pid)
	}
	// A login that ends before it runs the command has told no PID.
	select {
	case <-s.exited:
		return true
	case <-ctx.Done():
		return false
	}
}

// signal asks sshd to signal the command. There is no answer.
func (s *session) signal(name string) {
	s.ch.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{name}))
}

// killGroup runs the killScript. It needs no slot; but if the host has no session left, it
// needs another connection.
func (c *conn) killGroup(ctx context.Context, pid int) bool {
	r := &request{line: line(strings.ReplaceAll(killScript, "PGID", fmt.Sprint(pid)))}
	s, err := c.spare(ctx, r, sessionGrace)
	if isRefusal(err) {
		second, giveBack := c.link.borrow(ctx)
		defer giveBack()
		if second == nil {
			return false
		}
		s, err = second.spare(ctx, r, killLimit)
	}
	return err == nil && s.succeeds(ctx)
}

// spare opens a session beside the slots, and asks again for so long if it is refused.
func (c *conn) spare(ctx context.Context, r *request, grace time.Duration) (*session, error) {
	for start := time.Now(); ; {
		s, err := c.try(ctx, r, nil, nil)
		if err == nil && s.isUnsentAt(ctx) {
			c.mux.owners.Go(s.drop)
			continue
		}
		if !isRefusal(err) {
			return s, err
		}
		c.slots.refused() // the kills to come should find one
		c.learnOnce(err)
		if time.Since(start) > grace || c.isOnce() {
			return s, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// succeeds waits for the end of a command of our own and reports whether its exit status is 0.
func (s *session) succeeds(ctx context.Context) bool {
	for {
		select {
		case ask, ok := <-s.asks:
			if !ok {
				s.gone()
				return s.exit.Code == 0
			}
			s.note(ask)
		case <-ctx.Done():
			s.conn.mux.owners.Go(s.reap)
			return false
		}
	}
}

// signalNumber returns the number of a signal on the systems that have sshd, or 0 if it is not
// one that SSH has a name for.
func signalNumber(name string) int {
	return map[string]int{
		"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9,
		"USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15,
	}[name]
}
