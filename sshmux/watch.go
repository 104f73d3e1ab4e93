package sshmux

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"time"
)

// A watchdog is a process beside a command that runs the kill script when it is told to, over
// the session's standard input. It is the way to end a command on a host that has no second
// session for the kill: there sshd's signals prove nothing, do nothing for root (RULES S4), and a
// second connection may be refused.
//
// It waits for a line, or for the end of its input, which comes with the end of the command:
// nothing of it stays behind, and no clock of the host is asked. It is no child of the command,
// and where there is a setsid, it is in a session of its own.

// sicLimit is how long the watchdog may take. Beyond it there is time for another way.
const sicLimit = 4800 * time.Millisecond

// watched returns the request with a watchdog, if the host is known to have but one session, and
// if the command leaves its standard input to us. A gateway is told no shell text.
func (c *conn) watched(r *request) *request {
	if r.Stdin != nil || c.target.Gateway || c.link == nil || !c.link.isAlone() {
		return r
	}
	w := *r
	w.dog = rand.Text()
	w.watchdog = c.watchdog(w.dog)
	w.line = line(w.script())
	if len(w.line) > maxLine {
		return r
	}
	return &w
}

// watchdog returns the shell text that starts one. The inner shell has ended before the command
// begins, so that this has no child that it does not know of.
func (c *conn) watchdog(word string) string {
	script := "IFS= read -r said; [ \"$said\" = " + word + " ] || exit 0; trap \"\" TERM HUP ALRM; " +
		"set -- " + c.killArgs(`"$1"`, `"$2"`, word) + "; " + killScript
	return "alf_run=; alf_group=; if command -v setsid >/dev/null 2>&1; then alf_run=setsid; alf_group=-$$; fi; " +
		"( $alf_run /bin/sh -c " + singleQuote(script) + ` sh $$ "$alf_group" <&3 3<&- 2>/dev/null & ) 3<&0; ` +
		"unset alf_run alf_group; "
}

// sic lets the watchdog loose, and reports whether it has proven that nothing is left.
func (s *session) sic(ctx context.Context) bool {
	limit := time.NewTimer(sicLimit)
	defer limit.Stop()
	if _, err := io.WriteString(s.ch, s.request.dog+"\n"); err != nil {
		return false
	}
	select {
	case proven := <-s.barked:
		return proven
	case <-s.outputs: // it is gone, and took its last words along
		select {
		case proven := <-s.barked:
			return proven
		default:
			return false
		}
	case <-limit.C:
	case <-ctx.Done():
	}
	return false
}

// bark takes what the watchdog has said.
func (s *session) bark(proven bool) { s.barked <- proven }

// epilogue is what the watchdog says behind the command's output: a newline, its word, a space
// and the exit status of the kill script.
type epilogue struct {
	mark  []byte // empty: there is no watchdog
	held  []byte // what may be the beginning of it
	ended bool
}

// newEpilogue returns the epilogue of a watchdog with that word.
func newEpilogue(word string) epilogue {
	if word == "" {
		return epilogue{}
	}
	return epilogue{mark: []byte("\n" + word + " ")}
}

// skip takes a piece of output and returns the part of it that is the command's. When the
// watchdog has spoken, tell is called.
func (e *epilogue) skip(data []byte, tell func(proven bool)) []byte {
	if len(e.mark) == 0 {
		return data
	}
	if e.ended {
		return nil
	}
	if len(e.held) > 0 {
		data = append(e.held, data...)
		e.held = nil
	}
	at := bytes.Index(data, e.mark)
	if end := at + len(e.mark); at >= 0 && end < len(data) {
		e.ended = true
		tell(data[end] == '0')
		return data[:at]
	}
	if at < 0 {
		at = len(data) - overlap(data, e.mark)
	}
	e.held = bytes.Clone(data[at:])
	return data[:at]
}

// overlap returns how many bytes at the end of data may be the beginning of mark.
func overlap(data, mark []byte) int {
	for n := min(len(data), len(mark)); n > 0; n-- {
		if bytes.HasSuffix(data, mark[:n]) {
			return n
		}
	}
	return 0
}

// refused notes that the host has opened no further session, and whether it has only one for a
// connection.
func (c *conn) refused() {
	if c.slots.refused(); c.link != nil && c.slots.single() {
		c.link.setAlone()
	}
}

// single reports whether the host has refused a second session.
func (s *slots) single() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak == 1 && !s.full.IsZero()
}

// setAlone notes that the host has no second session on a connection.
func (l *link) setAlone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone = time.Now()
}

// isAlone reports whether the host is known to have no second session. It forgets that as slots
// do.
func (l *link) isAlone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.alone.IsZero() && time.Since(l.alone) < forgetFull
}
