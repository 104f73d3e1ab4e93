package wire

import (
	"encoding/xml"
	"time"

	"alf"
)

// Event is an entry of the log: what changed, what was ordered, or what Alf
// itself did. Of the latter, host, service and all that is about a state are
// empty.
type Event struct {
	XMLName          xml.Name   `json:"-" xml:"event"`
	ID               uint64     `json:"id" xml:"id"`
	Time             time.Time  `json:"time" xml:"time"`
	Kind             string     `json:"kind" xml:"kind"` // result, command, tick, removed or daemon
	Host             string     `json:"host" xml:"host"`
	Service          string     `json:"service" xml:"service"`
	State            string     `json:"state" xml:"state"`
	StateCode        *int       `json:"state_code" xml:"state_code"`
	StateType        string     `json:"state_type" xml:"state_type"`
	Attempt          int        `json:"attempt" xml:"attempt"`
	MaxCheckAttempts int        `json:"max_check_attempts" xml:"max_check_attempts"`
	Changes          []string   `json:"changes" xml:"changes>change"` // status, type, hard, stale, fresh; none: retried, not OK again
	Stale            *Stale     `json:"stale" xml:"stale"`
	Output           Text       `json:"output" xml:"output"`         // the last that judged
	LastCheck        *time.Time `json:"last_check" xml:"last_check"` // the last that judged; of a start: when Alf had a result before it
	Author           Text       `json:"author" xml:"author"`         // who ordered it
	Text             Text       `json:"text" xml:"text"`             // what was ordered, or what Alf did
}

// Missing reports whether e is that no result came for too long, which Output
// says.
func (e *Event) Missing() bool {
	return e.Kind == alf.KindTick.String() && e.LastCheck != nil && e.LastCheck.Equal(e.Time)
}

// Events is a part of the log.
type Events struct {
	XMLName xml.Name `json:"-" xml:"events"`
	Page
	Events []Event `json:"events" xml:"event"`
}

// NewEvent returns e as an entry of the log.
func NewEvent(e *alf.Event) Event {
	out := Event{
		ID:        uint64(e.ID),
		Time:      e.Time.UTC(),
		Kind:      e.Kind.String(),
		Changes:   append([]string{}, e.Change.Strings()...),
		LastCheck: moment(e.State.LastCheck),
		Author:    Text(e.Author),
		Text:      Text(e.Text),
	}
	if e.Kind == alf.KindDaemon {
		return out
	}
	out.Host, out.Service = string(e.Key.Host), string(e.Key.Service)
	out.State, out.StateCode, out.StateType = StateName(e.Key, e.State), stateCode(e.State), e.State.Type.String()
	out.Attempt, out.MaxCheckAttempts = e.State.Attempt, e.State.MaxAttempts
	out.Stale, out.Output = newStale(e.State.Stale), Text(e.State.Output)
	return out
}
