package wire

import (
	"encoding/xml"
	"math"
	"time"

	"alf"
)

// Handling is what people and time did to a state.
type Handling struct {
	Acknowledged       bool             `json:"acknowledged" xml:"acknowledged"`
	Acknowledgement    *Acknowledgement `json:"acknowledgement" xml:"acknowledgement"`
	DowntimeDepth      int              `json:"downtime_depth" xml:"downtime_depth"` // how many downtimes are in effect
	Downtimes          []Downtime       `json:"downtimes" xml:"downtimes>downtime"`  // planned or in effect
	HostDowntime       bool             `json:"host_downtime" xml:"host_downtime"`   // of a service: its host is in downtime, which covers it
	Comments           []Comment        `json:"comments" xml:"comments>comment"`     // oldest first
	Flapping           bool             `json:"flapping" xml:"flapping"`
	PercentStateChange float64          `json:"percent_state_change" xml:"percent_state_change"`
	// HostProblem says that another host is the problem: a service's host is not
	// UP, or was not when it was last judged, or a host is UNREACHABLE.
	HostProblem bool     `json:"host_problem" xml:"host_problem"`
	Disabled    []string `json:"disabled" xml:"disabled>name"` // what people switched off: checks, passive results ...
	Handled     bool     `json:"handled" xml:"handled"`        // acknowledged or in downtime
}

// Acknowledgement says that somebody takes care of a problem.
type Acknowledgement struct {
	ID      Text       `json:"id" xml:"id"`
	Author  Text       `json:"author" xml:"author"`
	Text    Text       `json:"text" xml:"text"`
	Time    time.Time  `json:"time" xml:"time"`
	Sticky  bool       `json:"sticky" xml:"sticky"`   // it stays until the problem is over
	Expires *time.Time `json:"expires" xml:"expires"` // null: never
}

// Downtime is a time in which problems are expected.
type Downtime struct {
	ID       Text       `json:"id" xml:"id"` // of the order, the same for all that it covers
	Author   Text       `json:"author" xml:"author"`
	Text     Text       `json:"text" xml:"text"`
	Time     time.Time  `json:"time" xml:"time"` // when it was ordered
	Start    time.Time  `json:"start" xml:"start"`
	End      time.Time  `json:"end" xml:"end"`
	Duration float64    `json:"duration" xml:"duration"` // seconds that a flexible one lasts; 0: it is fixed
	Flexible bool       `json:"flexible" xml:"flexible"` // a problem between start and end begins it
	Trigger  Text       `json:"trigger" xml:"trigger"`   // ID of the downtime that it begins with; empty: none
	Began    *time.Time `json:"began" xml:"began"`       // null: not yet
	InEffect bool       `json:"in_effect" xml:"in_effect"`
}

// Until returns when d ends, or, while it waits for what begins it, when it ends
// in vain.
func (d *Downtime) Until() time.Time {
	if d.Flexible && d.Began != nil {
		return d.Began.Add(time.Duration(d.Duration * float64(time.Second)))
	}
	return d.End
}

// Comment is what somebody noted.
type Comment struct {
	ID     Text      `json:"id" xml:"id"`
	Author Text      `json:"author" xml:"author"`
	Text   Text      `json:"text" xml:"text"`
	Time   time.Time `json:"time" xml:"time"`
}

// DowntimeOrder is a downtime with all that it covers. It is in effect if it is
// for any of them, since the first.
type DowntimeOrder struct {
	XMLName xml.Name `json:"-" xml:"downtime"`
	Downtime
	Keys []Key `json:"keys" xml:"keys>key"`
}

// Add adds what the same order, which is d there, covers as well.
func (o *DowntimeOrder) Add(key alf.Key, d *alf.Downtime) {
	one := NewDowntime(d)
	if len(o.Keys) == 0 {
		o.Downtime = one
	}
	if one.InEffect && (!o.InEffect || one.Began.Before(*o.Began)) {
		o.Began, o.InEffect = one.Began, true
	}
	o.Keys = append(o.Keys, NewKey(key))
}

// CommentOrder is a comment with all that it is about.
type CommentOrder struct {
	XMLName xml.Name `json:"-" xml:"comment"`
	Comment
	Keys []Key `json:"keys" xml:"keys>key"`
}

// Key names a host, or a service on it.
type Key struct {
	Host    string `json:"host" xml:"host"`
	Service string `json:"service" xml:"service"` // empty: the host itself
}

// Downtimes is a list of downtimes by start.
type Downtimes struct {
	XMLName xml.Name `json:"-" xml:"downtimes"`
	Page
	Downtimes []DowntimeOrder `json:"downtimes" xml:"downtime"`
}

// Comments is a list of comments, the newest first.
type Comments struct {
	XMLName xml.Name `json:"-" xml:"comments"`
	Page
	Comments []CommentOrder `json:"comments" xml:"comment"`
}

// newHandling says of a service only what its own state tells.
func newHandling(key alf.Key, st alf.State) Handling {
	h := Handling{
		Acknowledged:       st.Ack != nil,
		Acknowledgement:    newAcknowledgement(st.Ack),
		DowntimeDepth:      st.DowntimeDepth(),
		Downtimes:          make([]Downtime, len(st.Downtimes)),
		Comments:           make([]Comment, len(st.Comments)),
		Flapping:           st.Flap.On,
		PercentStateChange: math.Round(float64(st.Flap.Percent)*100) / 100,
		HostProblem:        st.HostProblem || key.IsHost() && st.Status == alf.Unreachable,
		Disabled:           append([]string{}, st.Off.Strings()...),
		Handled:            st.Handled(),
	}
	for i, d := range st.Downtimes {
		h.Downtimes[i] = NewDowntime(d)
	}
	for i, c := range st.Comments {
		h.Comments[i] = NewComment(c)
	}
	return h
}

func newAcknowledgement(a *alf.Ack) *Acknowledgement {
	if a == nil {
		return nil
	}
	return &Acknowledgement{Text(a.ID), Text(a.Author), Text(a.Text), a.Time.UTC(), a.Sticky, moment(a.Expires)}
}

// NewDowntime returns d as it is for one host or service.
func NewDowntime(d *alf.Downtime) Downtime {
	return Downtime{
		ID:       Text(d.ID),
		Author:   Text(d.Author),
		Text:     Text(d.Text),
		Time:     d.Time.UTC(),
		Start:    d.Start.UTC(),
		End:      d.End.UTC(),
		Duration: d.Duration.Seconds(),
		Flexible: d.Flexible(),
		Trigger:  Text(d.Trigger),
		Began:    moment(d.Began),
		InEffect: !d.Began.IsZero(),
	}
}

// NewComment returns c.
func NewComment(c *alf.Comment) Comment {
	return Comment{Text(c.ID), Text(c.Author), Text(c.Text), c.Time.UTC()}
}

// NewKey returns key.
func NewKey(key alf.Key) Key { return Key{string(key.Host), string(key.Service)} }
