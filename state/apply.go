package state

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"alf"
)

// The bounds of what people may add to a key.
const (
	maxDowntimes = 100 // besides recurring ones
	maxComments  = 100 // the oldest goes
)

// The errors of Apply.
var (
	ErrNoProblem = errors.New("there is no problem to acknowledge")
	ErrNotAcked  = errors.New("it is not acknowledged")
	ErrNotThere  = errors.New("there is none of that ID")
	ErrTooMany   = errors.New("there are too many downtimes already")
	ErrOther     = errors.New("that ID was given before, to an order that says something else: take another ID")
)

// Apply returns the state that a command leads to from prev, and what is new in
// it. A command whose ID is there already changes nothing, so that it may be
// given twice; ErrOther: it does not say the same. The verbs that need a run or a result are not for Apply.
func Apply(s *alf.Service, prev alf.State, c alf.Command, around Around) (alf.State, alf.Change, error) {
	next := prev
	switch c.Verb {
	case alf.Acknowledge:
		return acknowledge(prev, c)
	case alf.Unacknowledge:
		if prev.Ack == nil {
			return prev, 0, ErrNotAcked
		}
		if c.ID != "" && prev.Ack.ID != c.ID {
			return prev, 0, ErrNotThere
		}
		next.Ack = nil
		return next, alf.ChangeUnack, nil
	case alf.ScheduleDowntime:
		return schedule(prev, c, around)
	case alf.CancelDowntime:
		return cancel(prev, c.ID)
	case alf.AddComment, alf.DeleteComment:
		return comment(prev, c)
	case alf.SwitchOff, alf.SwitchOn:
		if next.Off |= c.Switch; c.Verb == alf.SwitchOn {
			next.Off &^= c.Switch
		}
		if next.Off == prev.Off {
			return prev, 0, nil
		}
		var flapping alf.Change
		if !prev.Pending() {
			next.Flap, flapping = flaps(s, next.Off, next.Flap)
		}
		return next, alf.ChangeSwitch | flapping, nil
	}
	return prev, 0, fmt.Errorf("%q is no order about a state", c.Verb)
}

// acknowledge refuses what is no problem, as Nagios does (RULES N7, N21). One
// acknowledgement takes the place of another.
func acknowledge(prev alf.State, c alf.Command) (alf.State, alf.Change, error) {
	switch {
	case prev.Pending() || prev.Status == alf.OK:
		return prev, 0, ErrNoProblem
	case prev.Ack != nil && prev.Ack.ID == c.ID:
		a := prev.Ack
		return prev, 0, twice(a.Text == c.Text && a.Sticky == c.Sticky && again(a.Time, a.Expires, c.Time, c.Expires))
	}
	next := prev
	next.Ack = &alf.Ack{ID: c.ID, Author: c.Author, Text: c.Text, Time: c.Time, Sticky: c.Sticky, Expires: c.Expires}
	return next, alf.ChangeAck, nil
}

// schedule plans a downtime; one that should be in effect already begins at
// once.
func schedule(prev alf.State, c alf.Command, around Around) (alf.State, alf.Change, error) {
	i := slices.IndexFunc(prev.Downtimes, func(d *alf.Downtime) bool { return d.ID == c.ID })
	switch {
	case i >= 0:
		d := prev.Downtimes[i]
		return prev, 0, twice(d.Text == c.Text && d.Duration == c.Duration && d.Trigger == c.Trigger &&
			again(d.Time, d.Start, c.Time, c.Start) && again(d.Time, d.End, c.Time, c.End))
	case !c.Start.Before(c.End):
		return prev, 0, fmt.Errorf("the downtime ends at %v, before it starts at %v", c.End, c.Start)
	case !around.Now.Before(c.End):
		return prev, 0, fmt.Errorf("the downtime is over since %v", c.End)
	case tooMany(prev, c):
		return prev, 0, ErrTooMany
	}
	next := prev
	next.Downtimes = append(slices.Clip(prev.Downtimes), &alf.Downtime{
		ID: c.ID, Author: c.Author, Text: c.Text, Time: c.Time,
		Start: c.Start, End: c.End, Duration: c.Duration, Trigger: c.Trigger, For: c.For,
	})
	next, began, _ := timed(next, around.Now)
	return next, alf.ChangePlanned | began, nil
}

// tooMany reports whether c is one more than people may order. What recurs has
// its bound in the configuration, and takes nothing away from them.
func tooMany(prev alf.State, c alf.Command) bool {
	if _, ok := recurs(c.ID, c.Author); ok || len(prev.Downtimes) < maxDowntimes {
		return false
	}
	n := 0
	for _, d := range prev.Downtimes {
		if _, ok := Recurs(d); !ok {
			n++
		}
	}
	return n >= maxDowntimes
}

// cancel drops a downtime, whether it has begun or not.
func cancel(prev alf.State, id string) (alf.State, alf.Change, error) {
	named := func(d *alf.Downtime) bool { return d.ID == id }
	if !slices.ContainsFunc(prev.Downtimes, named) {
		return prev, 0, ErrNotThere
	}
	next, change := prev, alf.ChangeCancelled
	if slices.ContainsFunc(prev.Downtimes, func(d *alf.Downtime) bool { return named(d) && !d.Began.IsZero() }) {
		change |= alf.ChangeDowntimeEnd
	}
	next.Downtimes = without(prev.Downtimes, named)
	return next, change, nil
}

func comment(prev alf.State, c alf.Command) (alf.State, alf.Change, error) {
	named := func(x *alf.Comment) bool { return x.ID == c.ID }
	next, i := prev, slices.IndexFunc(prev.Comments, named)
	switch {
	case c.Verb == alf.DeleteComment && i < 0:
		return prev, 0, ErrNotThere
	case c.Verb == alf.DeleteComment:
		next.Comments = without(prev.Comments, named)
	case i >= 0:
		return prev, 0, twice(prev.Comments[i].Text == c.Text)
	default:
		from := max(len(prev.Comments)-maxComments+1, 0)
		next.Comments = append(slices.Clone(prev.Comments[from:]), &alf.Comment{ID: c.ID, Author: c.Author, Text: c.Text, Time: c.Time})
	}
	return next, alf.ChangeComment, nil
}

// twice returns what there is to say about a command that was given before.
func twice(same bool) error {
	if !same {
		return ErrOther
	}
	return nil
}

// again reports whether a time is that of an order which was given before. A time
// that was reckoned from the order's own, such as in two hours, moves with it; by
// little less or more, as it was reckoned elsewhere.
func again(ordered, was, now, is time.Time) bool {
	const slack = 2 * time.Second
	moved := is.Sub(was)
	return moved == 0 || (moved-now.Sub(ordered)).Abs() < slack
}
