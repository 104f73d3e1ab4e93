package wire

import (
	"fmt"
	"strings"
	"time"

	"alf"
)

// The kinds of circumstances.
const (
	Acknowledged   = "acknowledged"
	InDowntime     = "downtime"
	HostInDowntime = "host downtime" // which covers its services
	Flaps          = "flapping"
	BehindHost     = "host problem" // another host is the problem
	Off            = "off"          // somebody switched something off
)

// Circumstance is what people, time or others did to a state, besides results.
type Circumstance struct {
	Kind   string     `json:"kind" xml:"kind"`     // acknowledged, downtime, host downtime, flapping, host problem, off
	What   Text       `json:"what" xml:"what"`     // more of it: what is off, whose problem it is
	Since  *time.Time `json:"since" xml:"since"`   // null: the log does not tell
	Until  *time.Time `json:"until" xml:"until"`   // null: nobody knows
	Author Text       `json:"author" xml:"author"` // empty: nobody ordered it, or the log does not tell
	Text   Text       `json:"text" xml:"text"`     // what they said
}

// NewCircumstance returns a circumstance; times may be zero.
func NewCircumstance(kind, what string, since, until time.Time) Circumstance {
	return Circumstance{Kind: kind, What: Text(what), Since: moment(since), Until: moment(until)}
}

// downtimes returns those of st that are in effect as circumstances of a kind.
func downtimes(kind string, st alf.State) []Circumstance {
	var out []Circumstance
	for _, d := range st.Downtimes {
		if !d.Began.IsZero() {
			c := NewCircumstance(kind, "", d.Began, d.Until())
			c.Author, c.Text = Text(d.Author), Text(d.Text)
			out = append(out, c)
		}
	}
	return out
}

// Circumstances returns what st itself tells. host is the state of its host, if
// it is one of a service.
func Circumstances(st, host alf.State) []Circumstance {
	out := []Circumstance{}
	if a := st.Ack; a != nil {
		c := NewCircumstance(Acknowledged, "", a.Time, a.Expires)
		c.Author, c.Text = Text(a.Author), Text(a.Text)
		out = append(out, c)
	}
	out = append(out, downtimes(InDowntime, st)...)
	return append(out, downtimes(HostInDowntime, host)...)
}

// circumstance says it in a sentence.
func (s *story) circumstance(c *Circumstance, now bool) {
	is, are := "is", "are"
	if !now {
		is, are = "was", "were"
	}
	var text string
	switch c.Kind {
	case Acknowledged:
		text = "It " + is + " acknowledged"
	case InDowntime:
		text = "It " + is + " in downtime"
	case HostInDowntime:
		text = "Its host " + is + " in downtime, which covers it,"
	case Flaps:
		text = "It " + is + " flapping"
		if c.What != "" {
			text += " (" + string(c.What) + " state change)"
		}
	case Off:
		if !strings.HasSuffix(string(c.What), "s") { // flap detection
			are = is
		}
		text = fmt.Sprintf("Its %s %s switched off", c.What, are)
	default:
		text = string(c.What)
	}
	if c.Since != nil {
		text += " since " + s.time(*c.Since)
	}
	if c.Until != nil {
		text += " until " + s.time(*c.Until)
	}
	if c.Author != "" {
		text += ", by " + string(c.Author)
	}
	if c.Text != "" {
		text += ": " + string(c.Text)
	}
	s.say("%s.", text)
}
