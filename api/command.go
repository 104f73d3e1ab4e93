package api

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"alf"
	"alf/api/wire"
	"alf/internal/sanitize"
)

const (
	maxText  = 4 << 10                    // bytes in the comment of an order
	maxID    = 100                        // bytes in its ID, and in its author
	farthest = 100 * 365 * 24 * time.Hour // times that are farther away are mistakes
)

// draft is a command that is made of an order, without its key, and what is wrong
// with that.
type draft struct {
	order wire.Order
	alf.Command
	errs []error
}

// drafts are the orders, and what each adds to a draft.
var drafts = map[string]func(*draft){
	wire.OrderAcknowledge:   (*draft).acknowledge,
	wire.OrderUnacknowledge: (*draft).unacknowledge,
	wire.OrderDowntime:      (*draft).downtime,
	wire.OrderComment:       (*draft).comment,
	wire.OrderCancel:        (*draft).cancel,
	wire.OrderRecheck:       func(d *draft) { d.Verb = alf.Recheck },
	wire.OrderDisable:       func(d *draft) { d.Verb = alf.SwitchOff; d.what() },
	wire.OrderEnable:        func(d *draft) { d.Verb = alf.SwitchOn; d.what() },
}

// newCommand returns the command of an order, without its key. It reads what
// belongs to that order, and nothing else may stand there.
func newCommand(o wire.Order, now time.Time) (alf.Command, error) {
	d := &draft{order: o, Command: alf.Command{ID: o.ID, Time: now, Text: strings.TrimSpace(o.Text)}}
	add := drafts[o.Order]
	if add == nil {
		return d.Command, fmt.Errorf("order %s is none of %s", quote(o.Order), strings.Join(wire.Orders, ", "))
	}
	d.meaning()
	d.line("id", o.ID)
	d.line("author", o.Author)
	d.line("trigger", o.Trigger)
	if len(o.Text) > maxText {
		d.fail("the comment has %d bytes, more than %d", len(o.Text), maxText)
	}
	add(d)
	return d.Command, errors.Join(d.errs...)
}

func (d *draft) fail(format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf(format, args...))
}

// meaning refuses the fields that belong to other orders.
func (d *draft) meaning() {
	o := d.order
	for _, f := range []struct {
		name   string
		set    bool
		orders []string
	}{
		{"comment", o.Text != "", []string{wire.OrderAcknowledge, wire.OrderDowntime, wire.OrderComment}},
		{"sticky", o.Sticky, []string{wire.OrderAcknowledge}},
		{"expires", o.Expires != nil, []string{wire.OrderAcknowledge}},
		{"start", o.Start != nil, []string{wire.OrderDowntime}},
		{"end", o.End != nil, []string{wire.OrderDowntime}},
		{"duration", o.Duration != 0, []string{wire.OrderDowntime}},
		{"flexible", o.Flexible, []string{wire.OrderDowntime}},
		{"trigger", o.Trigger != "", []string{wire.OrderDowntime}},
		{"children", o.Children != "", []string{wire.OrderDowntime}},
		{"later", o.Later, []string{wire.OrderDowntime}},
		{"downtimes", o.Downtimes, []string{wire.OrderCancel}},
		{"recurring", o.Recurring != "", []string{wire.OrderCancel}},
		{"what", len(o.What) > 0, []string{wire.OrderDisable, wire.OrderEnable}},
	} {
		if f.set && !slices.Contains(f.orders, o.Order) {
			d.fail("%s has no meaning for %s", f.name, o.Order)
		}
	}
}

// line refuses a name that is long, or that would not show as it is.
func (d *draft) line(what, text string) {
	switch {
	case len(text) > maxID:
		d.fail("%s has %d bytes, more than %d", what, len(text), maxID)
	case sanitize.Log(text) != text || strings.ContainsRune(text, utf8.RuneError) || strings.TrimSpace(text) != text:
		d.fail("%s %s holds what does not show", what, quote(text))
	}
}

// named gives an ID to what has none, so that it can be cancelled.
func (d *draft) named() { d.ID = cmp.Or(d.ID, strings.ToLower(rand.Text()[:12])) }

// moment returns a time that is given, or otherwise that one.
func (d *draft) moment(what string, given *time.Time, otherwise time.Time) time.Time {
	if given == nil {
		return otherwise
	}
	if given.Sub(d.Time).Abs() > farthest {
		d.fail("%s is more than 100 years away", what)
	}
	return given.UTC()
}

func (d *draft) acknowledge() {
	d.named()
	d.Verb, d.Sticky = alf.Acknowledge, d.order.Sticky
	d.Expires = d.moment("expires", d.order.Expires, time.Time{})
	if d.order.Expires != nil && !d.Expires.After(d.Time) {
		d.fail("expires is not in the future")
	}
}

// unacknowledge takes any acknowledgement back, whatever ID it was given under.
func (d *draft) unacknowledge() { d.Verb, d.ID = alf.Unacknowledge, "" }

func (d *draft) comment() {
	d.named()
	if d.Verb = alf.AddComment; d.Text == "" {
		d.fail("comment is empty")
	}
}

func (d *draft) cancel() {
	given := 0
	for _, is := range []bool{d.ID != "", d.order.Downtimes, d.order.Recurring != ""} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		d.fail("cancel needs the id of what is to be cancelled, or downtimes, or recurring")
	case given > 1:
		d.fail("of id, downtimes and recurring, cancel takes only one")
	}
}

// what reads what is to be switched.
func (d *draft) what() {
	if len(d.order.What) == 0 {
		d.fail("what is missing: %s", strings.Join(wire.Switches, ", "))
	}
	for _, what := range d.order.What {
		i := slices.Index(wire.Switches, what)
		if i < 0 {
			d.fail("what: %s is none of %s", quote(what), strings.Join(wire.Switches, ", "))
			continue
		}
		d.Switch |= 1 << i
	}
}

func (d *draft) downtime() {
	o := d.order
	d.named()
	d.Verb, d.Trigger = alf.ScheduleDowntime, o.Trigger
	d.Start, d.End = d.moment("start", o.Start, d.Time), d.moment("end", o.End, time.Time{})
	if err := d.length(); err != nil {
		d.errs = append(d.errs, err)
	}
	if o.Trigger != "" && o.Trigger == d.ID {
		d.fail("a downtime cannot begin with itself")
	}
	if o.Children != "" && o.Children != wire.ChildrenToo && o.Children != wire.ChildrenTriggered {
		d.fail("children %s is neither %s nor %s", quote(o.Children), wire.ChildrenToo, wire.ChildrenTriggered)
	}
	if o.Later && len(o.States) > 0 {
		d.fail("later and states exclude each other: nobody knows what state a host will have")
	}
	if o.Later {
		d.For = selectorOf(o)
	}
}

// length says how long a downtime is.
func (d *draft) length() error {
	o, duration := d.order, time.Duration(d.order.Duration)
	switch {
	case duration < 0:
		return errors.New("duration is negative")
	case duration > farthest:
		return errors.New("duration is more than 100 years")
	case o.Flexible && (duration == 0 || o.End == nil):
		return errors.New("a flexible downtime needs end, until when a problem can begin it, and duration")
	case o.Flexible:
		d.Duration = duration
	case o.End != nil && duration != 0:
		return errors.New("end and duration exclude each other, unless flexible")
	case duration != 0:
		d.End = d.Start.Add(duration)
	case o.End == nil:
		return errors.New("a downtime needs end, or a duration that is more than 0")
	}
	switch {
	case !d.Start.Before(d.End):
		return errors.New("the downtime ends before it starts")
	case !d.Time.Before(d.End):
		return errors.New("the downtime is over already")
	}
	return nil
}

func quote(s string) string { return "\"" + sanitize.JSON(s) + "\"" }
