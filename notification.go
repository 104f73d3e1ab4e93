package alf

import (
	"slices"
	"strings"
	"time"
)

// NotificationType says what people are told of (RULES N20). Ledgers hold the
// numbers: new ones go to the end.
type NotificationType uint8

// The types of notifications.
const (
	TypeProblem NotificationType = iota
	TypeRecovery
	TypeAcknowledgement
	TypeFlappingStart
	TypeFlappingStop
	TypeFlappingDisabled
	TypeDowntimeStart
	TypeDowntimeEnd
	TypeDowntimeCancelled
)

var notificationTypes = [...]string{"PROBLEM", "RECOVERY", "ACKNOWLEDGEMENT", "FLAPPINGSTART", "FLAPPINGSTOP", "FLAPPINGDISABLED",
	"DOWNTIMESTART", "DOWNTIMEEND", "DOWNTIMECANCELLED"}

// String returns the type as Nagios writes it.
func (t NotificationType) String() string {
	return notificationTypes[t%NotificationType(len(notificationTypes))]
}

// OfFlapping reports whether t is about flapping.
func (t NotificationType) OfFlapping() bool {
	return t >= TypeFlappingStart && t <= TypeFlappingDisabled
}

// OfDowntime reports whether t is about a downtime.
func (t NotificationType) OfDowntime() bool {
	return t >= TypeDowntimeStart && t <= TypeDowntimeCancelled
}

// NotifyOptions say of what people are told, besides acknowledgements, which is
// never left out.
type NotifyOptions struct {
	Status   [4]bool // problems, by status
	Recovery bool
	Flapping bool
	Downtime bool
}

// AllOptions leave nothing out.
func AllOptions() NotifyOptions {
	return NotifyOptions{Status: [4]bool{false, true, true, true}, Recovery: true, Flapping: true, Downtime: true}
}

// Policy says of what of a host or a service people are told, whom, and how often.
// Services that have the same share it. It is read-only.
type Policy struct {
	Options     NotifyOptions // notification_options
	Interval    time.Duration // notification_interval, after which a problem is told again; 0: once
	Delay       time.Duration // first_notification_delay, since the problem is HARD
	Contacts    []string      // names
	Actions     []string      // names of those that are carried out whatever contacts there are
	Escalations []*Escalation // by name
}

// Contact is a person or a team that is told.
type Contact struct {
	Name           string
	Alias          string
	Actions        []string // names of those that tell it
	HostPeriod     string   // name of the timeperiod outside which it is not told of hosts; "": always
	ServicePeriod  string   // the same of services
	HostOptions    NotifyOptions
	ServiceOptions NotifyOptions
	Where          Position
}

// Period returns the name of the timeperiod outside which c is not told of key.
func (c *Contact) Period(key Key) string {
	if key.IsHost() {
		return c.HostPeriod
	}
	return c.ServicePeriod
}

// Options returns of what of key c is told.
func (c *Contact) Options(key Key) NotifyOptions {
	if key.IsHost() {
		return c.HostOptions
	}
	return c.ServiceOptions
}

// Escalation says who is told of a problem that lasts, in the place of those that
// are told else (RULES N19, N24).
type Escalation struct {
	Name        string
	First, Last int           // numbers of notifications; Last 0: all from First on
	Begin, End  time.Duration // since the problem is HARD; End 0: for as long as it lasts
	Interval    time.Duration // notification_interval; negative: that of the host or service
	Period      string        // escalation_period, the name of a timeperiod; "": always
	Options     NotifyOptions // escalation_options: states, and whether recoveries
	Contacts    []string      // with Actions none: those of the host or service
	Actions     []string
}

// People are those who can be told.
type People struct {
	Contacts map[string]*Contact // by name
}

// Notification is what people are told: what was so when it was decided to.
type Notification struct {
	ID     string // of what is told to all of them
	Type   NotificationType
	Number int // of a problem's notifications, from 1; of a recovery, that of the last one
	Time   time.Time
	Key    Key
	Former []Key `json:",omitempty"` // what Key may have been called before

	HostAlias   string
	HostAddress string
	Hostgroups  []string
	NotesURL    string

	Status     Status
	StateType  StateType
	Attempt    int
	Attempts   int // max_check_attempts
	Since      time.Time
	Output     string
	LongOutput string // the beginning of it

	Author string // of an acknowledgement or a downtime
	Text   string // of it

	Contacts  []string // those that this action tells; none: nobody in person
	Escalated bool
	Test      bool `json:",omitempty"` // nothing has happened: somebody wants to see what becomes of it
}

// ParseNotificationType returns the type of that name, in any case.
func ParseNotificationType(name string) (NotificationType, bool) {
	i := slices.Index(notificationTypes[:], strings.ToUpper(name))
	return NotificationType(max(i, 0)), i >= 0
}

// State returns the name of the status as Nagios has it.
func (n *Notification) State() string { return n.Key.StatusName(n.Status) }

// For returns n for some contacts.
func (n *Notification) For(contacts []string) *Notification {
	out := *n
	out.Contacts = slices.Clone(contacts)
	return &out
}
