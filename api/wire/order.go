package wire

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// The orders.
const (
	OrderAcknowledge   = "acknowledge"
	OrderUnacknowledge = "unacknowledge"
	OrderDowntime      = "downtime"
	OrderComment       = "comment"
	OrderCancel        = "cancel" // what was ordered under an ID, all of it or that of the selected; or downtimes
	OrderRecheck       = "recheck"
	OrderDisable       = "disable"
	OrderEnable        = "enable"
)

// Orders are the words for them.
var Orders = []string{OrderAcknowledge, OrderUnacknowledge, OrderDowntime, OrderComment, OrderCancel, OrderRecheck, OrderDisable, OrderEnable}

// What can be disabled, in the order of alf.Switch.
var Switches = []string{"checks", "passive_checks", "notifications", "flap_detection"}

// What a downtime of a host does to the hosts behind it.
const (
	ChildrenToo       = "too"       // they have the same
	ChildrenTriggered = "triggered" // theirs begins when the host's begins
)

// Order is what a person or a script wants to be done with hosts and services:
// those that all of the selecting fields take in.
type Order struct {
	Order string `json:"order"`

	Hosts       []string `json:"hosts,omitempty"`        // names or patterns
	Hostgroups  []string `json:"hostgroups,omitempty"`   // or in any of these
	Services    []string `json:"services,omitempty"`     // names or patterns; none: the hosts themselves
	AllServices bool     `json:"all_services,omitempty"` // the hosts and all services on them
	States      []string `json:"states,omitempty"`       // only those in any of these states: CRITICAL, DOWN ...

	DryRun bool   `json:"dry_run,omitempty"` // only say whom it would be about
	ID     string `json:"id,omitempty"`      // an order that was given under this ID is not given again; made up if empty
	Author string `json:"author,omitempty"`  // on whose behalf
	Text   string `json:"comment,omitempty"`

	Sticky  bool       `json:"sticky,omitempty"`  // of acknowledge: until it is OK or UP
	Expires *time.Time `json:"expires,omitempty"` // of acknowledge

	Start    *time.Time `json:"start,omitempty"`    // of downtime; default: now
	End      *time.Time `json:"end,omitempty"`      // of downtime
	Duration Duration   `json:"duration,omitempty"` // of downtime, instead of end; of a flexible one, how long it lasts
	Flexible bool       `json:"flexible,omitempty"` // a problem between start and end begins it
	Trigger  string     `json:"trigger,omitempty"`  // ID of the downtime that it begins with
	Children string     `json:"children,omitempty"` // "too" or "triggered"
	Later    bool       `json:"later,omitempty"`    // hosts and services that are added later have it, too

	Downtimes bool   `json:"downtimes,omitempty"` // of cancel, instead of an ID: every downtime of the selected
	Recurring string `json:"recurring,omitempty"` // of cancel, instead of an ID: what is there of [downtime.NAME]

	What []string `json:"what,omitempty"` // of disable and enable: checks, passive_checks, notifications, flap_detection
}

// Duration is a time.Duration that is written as text: 90m.
type Duration time.Duration

// MarshalText writes d as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText writes, and days: 2d.
func (d *Duration) UnmarshalText(text []byte) error {
	x, err := parseAgo(string(text))
	if err != nil && wellFormed(string(text)) {
		return fmt.Errorf("duration %q is too long", text)
	}
	if err != nil {
		return fmt.Errorf("duration %q is not like 90m, 4h, 2d or 1w", text)
	}
	*d = Duration(x)
	return nil
}

// wellFormed reports whether text is a number and a unit.
func wellFormed(text string) bool {
	number := strings.TrimRight(text, "smhdw")
	return len(number) > 0 && len(number) == len(text)-1 && strings.Trim(number, "0123456789") == ""
}

// Ordered is what has come of an Order.
type Ordered struct {
	XMLName xml.Name `json:"-" xml:"ordered"`
	ID      string   `json:"id" xml:"id"`
	Order   string   `json:"order" xml:"order"`
	DryRun  bool     `json:"dry_run" xml:"dry_run"`
	Taken   int      `json:"taken" xml:"taken"`     // targets for which it was carried out, or would be
	Refused int      `json:"refused" xml:"refused"` // targets for which it was not
	Targets []Target `json:"targets" xml:"target"`
}

// Target is a host or service that an Order is about.
type Target struct {
	Host    string `json:"host" xml:"host"`
	Service string `json:"service" xml:"service"`
	Error   Text   `json:"error" xml:"error"` // why it was refused; empty: it was not
}
