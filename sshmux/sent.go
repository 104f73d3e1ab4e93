package sshmux

import (
	"context"
	"errors"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// maxUnsent is how often a command is sent to a host that closes the session before it has taken
// it. dropbear does so with some of the sessions that it opens while others end (measured: up to
// one in ten of those that run five at a time).
const maxUnsent = 20

// send sends the command, and reports whether the host may have taken it.
//
// The host is asked for no reply: whether the command has started is seen by what it says. Only of
// dropbear it is wanted, since it comes before all else that there is to say about the command: a
// session that is closed without one has not run it.
func (s *session) send() bool {
	defer s.sent.shut()
	reply := strings.Contains(s.conn.greeting, "dropbear")
	taken, err := s.ch.SendRequest("exec", reply, ssh.Marshal(struct{ Line string }{s.request.line}))
	if err != nil {
		// So says x/crypto of a channel that is closed, before it begins to send, or for want of
		// a reply; it says the same when the whole connection has ended.
		s.unsent = errors.Is(err, io.EOF) && !s.conn.wire.gone.Load()
		if s.unsent && s.early {
			s.conn.link.bar()
		}
		return false
	}
	if reply && !taken {
		s.ch.Close() // the host may leave it open for ever
	}
	return true
}

// isUnsent reports whether the host has closed the session without having taken the command.
func (s *session) isUnsent() bool { return s.sent.isShut() && s.unsent }

// isUnsentAt waits until that is known.
func (s *session) isUnsentAt(ctx context.Context) bool {
	select {
	case <-s.sent.whenShut():
		return s.unsent
	case <-ctx.Done():
		return false
	}
}
