package sshmux

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	probeTimeout   = 10 * time.Second // of the command of a probe
	probedPings    = 5
	probedSessions = 10 // more are not asked for
)

// errNoAnswer is why a probe ends.
var errNoAnswer = errors.New("no answer")

// use tries what commands need.
func (p *probe) use(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*probeTimeout, errNoAnswer)
	defer cancel()
	if err := p.command(ctx, c); err != nil {
		return err
	}
	more, err := p.sessions(ctx, c)
	if err == nil && more {
		err = p.ping(ctx, c)
	}
	if err != nil {
		return c.target.fail(Transport, PhaseOpen, err)
	}
	return nil
}

// ping measures round trips.
func (p *probe) ping(ctx context.Context, c *conn) error {
	var least, most time.Duration
	for range probedPings {
		rtt, err := c.ping(ctx)
		if err != nil {
			return err
		}
		if least == 0 || rtt < least {
			least = rtt
		}
		most = max(most, rtt)
	}
	const unit = 10 * time.Microsecond
	p.done("ping", fmt.Sprintf("%d round trips, from %v to %v", probedPings, least.Round(unit), most.Round(unit)))
	return nil
}

// probeScript says what the host is, a line each; what it does not know is empty.
const probeScript = `uname -srm; echo "$SHELL"; readlink -f /bin/sh 2>/dev/null || echo; date +%s 2>/dev/null`

// command runs one as checks are run, and says what it has learnt of the account.
func (p *probe) command(ctx context.Context, c *conn) error {
	if c.target.Gateway {
		return p.gateway(ctx, c)
	}
	var out, noise head
	r, err := newRequest(Command{Shell: probeScript, Stdout: &out, Stderr: &noise, Timeout: probeTimeout})
	if err != nil {
		return c.target.fail(Config, PhaseExec, err)
	}
	if err := c.slots.acquire(ctx, c.shut, c.mux.options.QueueTimeout, r.Priority); err != nil {
		return c.target.fail(Transport, PhaseQueue, err)
	}
	s, err := c.open(ctx, r)
	if err != nil {
		return c.target.fail(Transport, PhaseOpen, err)
	}
	exit, err := s.wait(ctx)
	if err != nil {
		return err
	}
	lines := append(strings.Split(string(out), "\n"), "", "", "", "")
	p.done(PhaseExec.String(), system(lines))
	var before []byte
	select {
	case <-s.outputs:
		before = s.said
	default: // something in the background holds the output open
	}
	p.done("profile", profile(before, noise))
	if skew, ok := clock(lines[3], exit); ok {
		p.done("clock", skew)
	}
	return nil
}

// gateway asks the gateway, which does nothing else for us, what it is.
func (p *probe) gateway(ctx context.Context, c *conn) error {
	var out head
	if _, err := c.run(ctx, helloRequest(&out)); err != nil {
		return err
	}
	p.done(PhaseExec.String(), clean([]byte(strings.Join(strings.Split(strings.TrimSpace(string(out)), "\n"), ", "))))
	p.steps[len(p.steps)-1].List, _ = listOf(string(out))
	return nil
}

// system says what the lines of probeScript tell of a host.
func system(lines []string) string {
	said := []string{clean([]byte(lines[0])), "login shell " + clean([]byte(lines[1]))}
	if path := clean([]byte(lines[2])); path != "" {
		said = append(said, "/bin/sh is "+path[strings.LastIndex(path, "/")+1:])
	}
	return strings.Join(said, ", ")
}

// profile says what the login prints, besides the command.
func profile(before, noise []byte) string {
	out, err := clean(before), clean(noise)
	var said []string
	if out != "" {
		said = append(said, fmt.Sprintf("the login prints %q before each command, which Alf drops", out))
	}
	if err != "" {
		said = append(said, fmt.Sprintf("the login prints %q on standard error, which Alf cannot tell from the command's", err))
	}
	if said == nil {
		return "the login prints nothing of its own"
	}
	return strings.Join(said, "; ")
}

// clock says how far the clock of a host, which told the seconds at some time during the
// command, is from ours.
func clock(told string, exit Exit) (said string, ok bool) {
	seconds, err := strconv.ParseInt(strings.TrimSpace(told), 10, 64)
	if err != nil {
		return "", false
	}
	from := time.Unix(seconds, 0) // up to a second before
	switch least, most := from.Sub(exit.Ended), from.Add(time.Second).Sub(exit.Started); {
	case least > 0:
		return fmt.Sprintf("%v ahead of Alf's", ((least + most) / 2).Round(time.Second)), true
	case most < 0:
		return fmt.Sprintf("%v behind Alf's", (-(least + most) / 2).Round(time.Second)), true
	}
	return "as Alf's, to within a second or two", true
}

// sessions finds out how many the host allows at a time, and leaves none. They are counted
// for each connection, and so none is taken from the checks. It reports whether the
// connection can be used any more.
func (p *probe) sessions(ctx context.Context, c *conn) (more bool, err error) {
	var open []opening
	defer func() { closeAll(open) }()
	for refused := false; len(open) < probedSessions; {
		var a opening
		select {
		case a = <-c.openChannel("session", nil):
		case <-c.dead:
			a.err = errLost
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		switch {
		case a.err == nil:
			open, refused = append(open, a), false
		case !isRefusal(a.err) && len(open) == 0: // tinysshd
			p.done("sessions", "one for each connection, which the host ends with it")
			return false, nil
		case !isRefusal(a.err):
			return false, fmt.Errorf("the host hung up when it was asked for more than %d sessions", len(open))
		case !refused: // the one that was before may not have been forgotten yet
			refused = true
			if err := rest(ctx, c); err != nil {
				return false, err
			}
		case len(open) == 0:
			return false, a.err
		default:
			p.done("sessions", fmt.Sprintf("%d at a time, no more; Alf uses %d", len(open), c.slots.among(len(open))))
			return true, nil
		}
	}
	p.done("sessions", fmt.Sprintf("%d at a time, or more; Alf uses up to %d", probedSessions, c.slots.most))
	return true, nil
}

// rest waits for a moment.
func rest(ctx context.Context, c *conn) error {
	select {
	case <-time.After(200 * time.Millisecond):
	case <-c.dead:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// among returns how many slots there are where the host allows so many sessions.
func (s *slots) among(allowed int) int {
	if allowed > s.most {
		return s.most
	}
	return (&slots{most: s.most, peak: allowed, full: time.Now()}).limit()
}

// closeAll closes sessions and waits until the host has, too, or for a moment.
func closeAll(open []opening) {
	closed := make(chan struct{})
	for _, a := range open {
		a.ch.Close()
	}
	go func() { // ends with the connection at the latest
		defer close(closed)
		for _, a := range open {
			ssh.DiscardRequests(a.asks)
		}
	}()
	select {
	case <-closed:
	case <-time.After(closeGrace):
	}
}

// head keeps the first bytes of what is written to it.
type head []byte

// Write never fails.
func (h *head) Write(b []byte) (int, error) {
	*h = append(*h, b[:min(len(b), 1024-len(*h))]...)
	return len(b), nil
}
