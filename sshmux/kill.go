package sshmux

import (
	"context"
	_ "embed"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// killLimit bounds all that is done to end a command. Behind sudo, that alone takes more than
	// two seconds. It is the killLimit of a Mux; only tests have another one.
	killLimit = 5800 * time.Millisecond
	// termGrace is the time between TERM and KILL.
	termGrace = time.Second
	// sessionGrace is how long a session for the kill may be refused before a second
	// connection is made for it.
	sessionGrace = 300 * time.Millisecond
)

//go:embed kill.sh
var killSource string

// killScript returns kill.sh as one line. Its arguments come from killArgs.
func killScript() string { return plain(killSource) }

// plain makes one line of a shell script, without its comments.
func plain(source string) string {
	var lines []string
	for line := range strings.Lines(source) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

// killRequest returns what ends a command that was sent as r: its tree, or at a gateway, the
// process group.
func (c *conn) killRequest(r *request, pid int) *request {
	if c.target.Gateway {
		return gatewayKill(r, pid)
	}
	leader := strconv.Itoa(pid)
	return &request{line: line("set -- " + c.killArgs(leader, "-"+leader, r.nonce) + "; " + killScript())}
}

// killArgs returns the arguments of the kill script.
func (c *conn) killArgs(pid, group, word string) string {
	leads := `""`
	if strings.Contains(string(c.ssh.ServerVersion()), "OpenSSH") {
		leads = "1" // dropbear's commands are in the group of the connection (RULES S5 holds for sshd)
	}
	return strings.Join([]string{pid, group, word, leads}, " ")
}

// ending says what came of a kill.
type ending struct {
	proven  bool // nothing of the command is left
	escaped bool // but for something that is none of its processes any more, and holds its output
}

// orphan says in words what may live on; empty: nothing.
func (e ending) orphan() string {
	switch {
	case !e.proven:
		return "it could not be proven that its processes have ended"
	case e.escaped:
		return "a process that it has detached lives on and holds its output open"
	}
	return ""
}

// kill ends all that the command runs. It returns within the Mux's killLimit. The caller is the one of
// wait, and goes on noting what the host says.
func (s *session) kill() ending {
	ctx, cancel := context.WithTimeout(context.Background(), s.conn.mux.killLimit)
	defer cancel()
	done := make(chan bool, 1)
	s.conn.mux.owners.Go(func() { done <- s.killer(ctx) })
	asks := s.asks
	var settled <-chan time.Time // when the exit status and the end of the channel must have come
	proven := false
	for {
		select {
		case ask, ok := <-asks:
			if !ok {
				s.gone()
				asks = nil
				if settled != nil {
					return ending{proven: proven}
				}
				continue
			}
			s.note(ask)
		case proven = <-done:
			if s.closed || !proven {
				return ending{proven: proven}
			}
			settled = time.After(closeGrace)
		case <-settled:
			return ending{proven: proven, escaped: true}
		case <-ctx.Done():
			return ending{proven: proven}
		}
	}
}

// killer makes the command end, and reports whether nothing of it is left.
func (s *session) killer(ctx context.Context) bool {
	if s.hasBegun() {
		return s.killTree(ctx)
	}
	// What is no command yet has no PID that we know: only sshd can signal it.
	stop := s.press()
	defer stop()
	select {
	case <-s.begun.whenShut():
	case <-s.outputs:
	case <-ctx.Done():
		return false
	}
	if s.hasBegun() {
		// The exit of the group's leader says nothing about the others, whatever came first.
		return s.killTree(ctx)
	}
	// A login that ends before it runs the command has told no PID.
	select {
	case <-s.exited.whenShut():
		return true
	case <-ctx.Done():
		return false
	}
}

// press has sshd send TERM to the command, and KILL when its time for that is over, unless
// stop is called before. For root, sshd ignores that (RULES S4).
func (s *session) press() (stop func()) {
	s.signal("TERM")
	insist := time.AfterFunc(termGrace, func() { s.signal("KILL") })
	return func() { insist.Stop() }
}

// signal asks sshd to signal the command. There is no answer.
func (s *session) signal(name string) {
	s.ch.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{name}))
}

// killTree runs the kill script: by the watchdog if the command has one, or in a session of its
// own. That needs no slot; but if the host has no session left, it needs another connection.
//
// The channel's signals would be quicker, but they tear the tree of the processes apart before
// the script has seen it, and KILL takes the place of sudo before it has ended what it runs. So
// they come only where the script finds no session at once.
func (s *session) killTree(ctx context.Context) bool {
	if s.pid == 0 {
		return true // Dir could not be entered, and nothing was run
	}
	if s.request.dog != "" && s.sic(ctx) {
		return true
	}
	c := s.conn
	r := c.killRequest(s.request, s.pid)
	stop := func() {}
	script, err := c.spare(ctx, r, sessionGrace, func() { stop = s.press() })
	if isRefusal(err) {
		second, giveBack := c.link.borrow(ctx)
		defer giveBack()
		if second == nil {
			return false
		}
		script, err = second.spare(ctx, r, c.mux.killLimit, func() {})
	}
	if err != nil {
		return false // the signals go on
	}
	stop()
	return script.succeeds(ctx)
}

// spare opens a session beside the slots, and asks again for so long if it is refused. It calls
// refused when that happens first.
func (c *conn) spare(ctx context.Context, r *request, grace time.Duration, refused func()) (*session, error) {
	for start, first := time.Now(), true; ; first = false {
		s, err := c.try(ctx, r, nil, nil)
		if err == nil && s.isUnsentAt(ctx) {
			c.mux.owners.Go(s.drop)
			continue
		}
		if !isRefusal(err) {
			return s, err
		}
		c.refused() // the kills to come should find one
		c.learnOnce(err)
		if first {
			refused()
		}
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
