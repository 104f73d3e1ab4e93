package wire

import (
	"encoding/xml"
	"fmt"
	"time"

	"alf"
)

// Explanation says in which state a host or service is, or was at a time, and
// how it came to be so.
type Explanation struct {
	XMLName          xml.Name       `json:"-" xml:"explanation"`
	Host             string         `json:"host" xml:"host"`
	Service          string         `json:"service" xml:"service"`
	At               time.Time      `json:"at" xml:"at"`
	Now              bool           `json:"now" xml:"now"`               // At is now
	State            string         `json:"state" xml:"state"`           // empty: not known
	StateCode        *int           `json:"state_code" xml:"state_code"` // null while pending or not known
	StateType        string         `json:"state_type" xml:"state_type"`
	Attempt          int            `json:"attempt" xml:"attempt"`
	MaxCheckAttempts int            `json:"max_check_attempts" xml:"max_check_attempts"`
	Since            *time.Time     `json:"since" xml:"since"`           // when it came into that state
	HardSince        *time.Time     `json:"hard_since" xml:"hard_since"` // when the hard state last changed
	Rule             string         `json:"rule" xml:"rule"`             // of Nagios' rules, by which it came to be so; empty: the log does not tell
	Why              string         `json:"why" xml:"why"`               // the same in words
	Output           Text           `json:"output" xml:"output"`         // the last that judged
	Stale            *Stale         `json:"stale" xml:"stale"`
	Removed          *time.Time     `json:"removed" xml:"removed"`         // when it left the configuration; null: it had not
	NotRunning       *Gap           `json:"not_running" xml:"not_running"` // the time around At in which Alf did not run
	LastCheck        *time.Time     `json:"last_check" xml:"last_check"`   // now only, as what follows
	NextCheck        *time.Time     `json:"next_check" xml:"next_check"`
	NextWhy          string         `json:"next_why" xml:"next_why"` // by what that is planned, or why it is not
	Notifications    *Notifications `json:"notifications" xml:"notifications"`
	Sentences        []Text         `json:"sentences" xml:"sentences>sentence"` // all of it for people
	Changes          []Event        `json:"changes" xml:"changes>event"`        // the last entries of the log up to At, the newest first

	Circumstances []Circumstance `json:"circumstances" xml:"circumstances>circumstance"` // what people and others did to it, at any time
}

// Notifications says whether people may be told.
type Notifications struct {
	Allowed bool       `json:"allowed" xml:"allowed"`
	From    *time.Time `json:"from" xml:"from"` // when it will be, as far as its period goes; null: now, or nobody knows
	Why     string     `json:"why" xml:"why"`   // empty: nothing is in the way
	People  []Telling  `json:"people" xml:"people>telling"`
}

// Gap is a time in which Alf did not run.
type Gap struct {
	From  time.Time  `json:"from" xml:"from"`
	Until *time.Time `json:"until" xml:"until"` // null: it goes on
}

// NewExplanation returns what st says of key at that time.
func NewExplanation(key alf.Key, st alf.State, at time.Time) Explanation {
	return Explanation{
		Host: string(key.Host), Service: string(key.Service), At: at.UTC(),
		State: StateName(key, st), StateCode: stateCode(st), StateType: st.Type.String(),
		Attempt: st.Attempt, MaxCheckAttempts: st.MaxAttempts,
		Since: moment(st.LastChange), HardSince: moment(st.LastHardChange),
		Output: Text(st.Output), Stale: newStale(st.Stale),
	}
}

// NewGap returns the time from then until then; the latter may be zero.
func NewGap(from, until time.Time) *Gap { return &Gap{from.UTC(), moment(until)} }

// Write fills in the sentences, with times in that zone.
func (x *Explanation) Write(zone *time.Location) {
	s := story{zone: zone}
	name := x.Host
	if x.Service != "" {
		name = x.Service + " on " + x.Host
	}
	s.beginning(x, name)
	if x.NotRunning != nil {
		s.gap(x.NotRunning)
	}
	if x.State != "" {
		s.cause(x)
	}
	for i := range x.Circumstances {
		s.circumstance(&x.Circumstances[i], x.Now)
	}
	if x.NextWhy != "" {
		s.schedule(x)
	}
	if x.Notifications != nil {
		s.notifications(x.Notifications)
	}
	x.Sentences = s.sentences
}

// story is sentences with times in one zone.
type story struct {
	zone      *time.Location
	sentences []Text
}

func (s *story) say(format string, args ...any) {
	s.sentences = append(s.sentences, Text(fmt.Sprintf(format, args...)))
}

func (s *story) time(t time.Time) string { return t.In(s.zone).Format("2006-01-02 15:04:05 MST") }

// beginning says what the state is, or was.
func (s *story) beginning(x *Explanation, name string) {
	is := name + " is"
	if !x.Now {
		is = "At " + s.time(x.At) + ", " + name + " was"
	}
	switch {
	case x.Removed != nil:
		s.say("%s not configured: it left the configuration at %s.", is, s.time(*x.Removed))
	case x.State == "":
		s.say("%s not known: the log has nothing about it from before.", is)
	case x.Attempt == 0:
		s.say("%s %s.", is, x.State)
	default:
		s.say("%s %s, %s, attempt %d of %d.", is, x.State, x.StateType, x.Attempt, x.MaxCheckAttempts)
	}
}

func (s *story) gap(g *Gap) {
	if g.Until == nil {
		s.say("Alf has not run since %s: that is what was known before.", s.time(g.From))
		return
	}
	s.say("Alf did not run from %s until %s: that is what was known before.", s.time(g.From), s.time(*g.Until))
}

// cause says since when the state is what it is, and how it came to be so.
func (s *story) cause(x *Explanation) {
	if x.Since != nil {
		s.say("It came into that state at %s.", s.time(*x.Since))
	}
	if x.StateType == alf.Hard.String() && x.HardSince != nil && x.Since != nil && !x.HardSince.Equal(*x.Since) {
		s.say("It is HARD since %s.", s.time(*x.HardSince))
	}
	switch {
	case x.Rule != "":
		s.say("Why: %s (%s).", x.Why, x.Rule)
	case x.Why != "":
		s.say("Why: %s.", x.Why)
	}
	switch {
	case x.Output == "":
	case x.Now:
		s.say("The last result that judged it said: %s", Brief(x.Output))
	default: // results that changed nothing are not in the log
		s.say("When that was logged, the result said: %s", Brief(x.Output))
	}
	if x.Stale != nil {
		s.say("Nothing new is known since %s, because of %s: %s", s.time(x.Stale.Since), x.Stale.Cause, Brief(x.Stale.Output))
		s.say("What gives no answer judges nothing, so that the last known state stays (T1).")
	}
}

// notifications says whether people may be told, if there is anything to say.
func (s *story) notifications(n *Notifications) {
	switch {
	case n.Why == "":
	case n.Allowed:
		s.say("People may be told of it now: %s.", n.Why)
	case n.From != nil:
		s.say("Nobody is told of it before %s: %s.", s.time(*n.From), n.Why)
	default:
		s.say("Nobody is told of it: %s.", n.Why)
	}
	for i := range n.People {
		s.telling(&n.People[i])
	}
}

// schedule says when the next check is due, and why then.
func (s *story) schedule(x *Explanation) {
	if x.LastCheck != nil {
		s.say("The last check that judged it ended at %s.", s.time(*x.LastCheck))
	}
	switch {
	case x.NextCheck == nil:
		s.say("No check is planned: %s.", x.NextWhy)
	case x.NextCheck.After(x.At):
		s.say("The next check is due at %s: %s.", s.time(*x.NextCheck), x.NextWhy)
	default:
		s.say("The next check was due at %s, and is running or waiting: %s.", s.time(*x.NextCheck), x.NextWhy)
	}
}
