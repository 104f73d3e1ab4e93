// Package nagios is what other programs use of Nagios' interfaces: the external
// command file, a FIFO into which NSCA, Checkmk and scripts write one order a
// line. It reads the orders; whoever opens the file carries them out.
package nagios

import (
	"fmt"
	"strings"
	"time"

	"alf"
)

// Order is what one line orders: a command, and for what. The zero Scope is the
// command's own Key.
type Order struct {
	Scope   Scope
	Group   string // hostgroup of the scopes that have one; "": none
	Command alf.Command
	Remark  string // a comment to be added to whatever the command is for
}

// Scope says what an order is for.
type Scope uint8

// The scopes. Host and service are those of the command's Key.
const (
	One           Scope = iota // the key alone
	ServicesOn                 // the services on the host
	HostsIn                    // the hosts in the group
	ServicesIn                 // the services on the hosts in the group
	Family                     // the host and all hosts behind it
	TriggerFamily              // the same; the downtimes of those behind it begin with that of the host
	HostsWith                  // the hosts that have the downtime or the comment of the command's ID
	ServicesWith               // the services that have it
	AllComments                // every comment of the key
	AllDowntimes               // every downtime of the host, the service, the group, that start and that text, as far as they are given
)

// Reason says in a word why a line was refused.
type Reason string

// The reasons.
const (
	TooLong     Reason = "too_long"    // more than 64 KiB
	Unfinished  Reason = "unfinished"  // its end did not come
	Malformed   Reason = "malformed"   // it is no command, or an argument is wrong
	Unknown     Reason = "unknown"     // Nagios has no such command
	Unsupported Reason = "unsupported" // Alf cannot do that
	NotThere    Reason = "not_there"   // there is no such host, service, downtime ...
	NotTaken    Reason = "not_taken"   // it is not possible now
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{TooLong, Unfinished, Malformed, Unknown, Unsupported, NotThere, NotTaken}
}

// Refusal is the error of a line that is not carried out.
type Refusal struct {
	Reason Reason
	Text   string // for people; it quotes what is wrong
}

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{reason, fmt.Sprintf(format, args...)}
}

// Author is who gave an order that names nobody.
const Author = "command file"

// Parse reads one line, "[time] COMMAND;argument;argument", as Nagios does: the
// name in any case, the last argument with whatever ';' is in it. But what is no
// number is refused, where Nagios takes it for 0. A line from the future is
// taken to be from now. The error is a *Refusal.
func Parse(line string, now time.Time) (Order, error) {
	stamp, rest, ok := strings.Cut(strings.TrimSpace(line), "]")
	if !ok || !strings.HasPrefix(stamp, "[") {
		return Order{}, refuse(Malformed, `%s does not begin with a time, as in "[1700000000] COMMAND;argument"`, quote(line))
	}
	name, args, more := strings.Cut(rest, ";")
	name = strings.ToUpper(strings.TrimSpace(name))
	f := &fields{rest: args, ended: !more, now: now}
	at := f.seconds("time", stamp[1:])
	if f.err != nil {
		return Order{}, refuse(Malformed, "%v", f.err)
	}
	if at.After(now) {
		at = now
	}
	form, what, err := find(name)
	if err != nil {
		return Order{}, err
	}
	o := Order{Scope: form.scope, Command: alf.Command{Verb: form.verb, Switch: what, Time: at}}
	form.object(f, &o)
	form.rest(f, &o)
	if f.err != nil {
		return Order{}, refuse(Malformed, "%s: %v", name, f.err)
	}
	o.Command.Author = author(o.Command.Author)
	return o, nil
}

// author returns who gives an order, if a line says that it is name.
func author(name string) string {
	if name == "" {
		return Author
	}
	return name + " (" + Author + ")"
}

// quote returns the beginning of s as a message can hold it.
func quote(s string) string {
	const enough = 80
	if len(s) > enough {
		return fmt.Sprintf("%q...", s[:enough])
	}
	return fmt.Sprintf("%q", s)
}
