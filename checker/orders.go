package checker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"alf"
	"alf/state"
)

// obey carries out a command. The reply comes when what it wrote is durable.
func (l *loop) obey(o order) {
	it := l.items[o.command.Key]
	switch {
	case it == nil:
		o.reply <- answer{err: fmt.Errorf("%q %w", o.command.Key, ErrUnknownKey)}
	case len(l.queue) >= maxQueued:
		o.reply <- answer{err: fmt.Errorf("%q: %w", o.command.Key, ErrFull)}
	case o.command.Verb == alf.Recheck:
		l.recheck(it, o)
	case o.command.Verb == alf.Submit:
		l.submit(it, o)
	default:
		l.apply(it, o)
	}
}

// recheck does not wait for the result, nor for the note of the order.
func (l *loop) recheck(it *item, o order) {
	if !it.service.Scheduled() {
		o.reply <- answer{err: fmt.Errorf("%q has nothing to run: its results are submitted", it.service.Key)}
		return
	}
	if o.command.IfOn && it.state.Off.Has(alf.SwitchChecks) {
		o.reply <- answer{err: fmt.Errorf("%q %w", it.service.Key, ErrChecksOff)}
		return
	}
	now := time.Now()
	it.ordered, it.forced = later(now, o.command.Due), !o.command.IfOn
	if !it.busy {
		l.plan(it, it.check.due)
	} else if it.hurried(now) {
		l.place(it).line.hurry(it)
	}
	l.note(it, o.command, 0, now)
	o.reply <- answer{}
}

// The errors of what is ordered while people do not want that for the key.
var (
	ErrSwitchedOff = errors.New("takes no results: that was switched off")
	ErrChecksOff   = errors.New("is not checked: that was switched off")
)

func (l *loop) submit(it *item, o order) {
	if it.state.Off.Has(alf.SwitchPassive) {
		o.reply <- answer{err: fmt.Errorf("%q %w", it.service.Key, ErrSwitchedOff)}
		return
	}
	now := time.Now() // the time of the command may be that of a script, whatever it is
	conclude(o.result, it.service, o.output)
	change := l.judge(it, o.result, now)
	if !it.busy {
		l.plan(it, it.nextDue(now))
	}
	e := l.recordResult(it, change, now)
	e.Author = o.command.Author
	l.replies = append(l.replies, waiting{e, o.reply})
	l.react(it, change, now)
}

// apply carries out what changes a state by itself.
func (l *loop) apply(it *item, o order) {
	now := time.Now()
	if o.command.Verb == alf.CancelDowntime {
		l.succeed(it, o.command.ID, now)
	}
	next, change, err := state.Apply(it.service, it.state, o.command, l.around(it, now))
	if err != nil {
		err = fmt.Errorf("%q: %w", it.service.Key, err)
	}
	if err != nil || change == 0 { // nothing new: it was given twice
		o.reply <- answer{err: err}
		return
	}
	it.state = next
	if change.Has(alf.ChangeSwitch) && it.times.Scheduled() {
		it.since = now
	}
	if change.Has(alf.ChangeSwitch) && o.command.Switch.Has(alf.SwitchChecks) && !it.busy {
		l.plan(it, it.firstDue(time.Time{}, now)) // which the note tells
	}
	e := l.note(it, o.command, change, now)
	l.replies = append(l.replies, waiting{e, o.reply})
	l.follow(it, change, now)
}

// note records an order that somebody gave, and what it changed.
func (l *loop) note(it *item, c alf.Command, change alf.Change, now time.Time) *alf.Event {
	e := it.event(alf.KindCommand, change, now)
	e.Author, e.Text = c.Author, describe(c)
	l.record(e)
	return e
}

// describe says in one line what c orders.
func describe(c alf.Command) string {
	text := c.Verb.String()
	switch {
	case c.Verb == alf.Recheck && !c.Due.IsZero():
		text += " at " + c.Due.Format(time.RFC3339)
	case c.Verb == alf.Acknowledge && c.Sticky:
		text += " (sticky)"
	case c.Verb == alf.ScheduleDowntime:
		text += " from " + c.Start.Format(time.RFC3339) + " to " + c.End.Format(time.RFC3339)
		if c.Duration > 0 {
			text += " for " + c.Duration.String()
		}
	case c.Verb == alf.SwitchOff || c.Verb == alf.SwitchOn:
		text += " " + c.Switch.String()
	}
	if !c.Expires.IsZero() {
		text += " until " + c.Expires.Format(time.RFC3339)
	}
	if c.Text != "" {
		text += ": " + strings.Join(strings.Fields(c.Text), " ")
	}
	return text
}
