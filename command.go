package alf

import "time"

// Verb is what a Command orders.
type Verb uint8

// The verbs.
const (
	Recheck          Verb = iota // run the check, whatever its schedule says
	Submit                       // take what a plugin said elsewhere as if it had been run (a passive result)
	Acknowledge                  // somebody takes care of a problem
	Unacknowledge                // nobody does any more
	ScheduleDowntime             // problems are expected
	CancelDowntime               // they are not any more
	AddComment                   // somebody notes something
	DeleteComment                // the note is void
	SwitchOff                    // something is not done any more
	SwitchOn                     // it is done again
)

var verbs = [...]string{"recheck", "result", "acknowledge", "unacknowledge", "downtime", "cancel downtime",
	"comment", "delete comment", "switch off", "switch on"}

// String returns the verb as logs and the API write it.
func (v Verb) String() string { return verbs[v%Verb(len(verbs))] }

// Command is an order from a person or a script. It reaches the one writer of
// states through the checker's Submit, and nothing else does.
type Command struct {
	Verb   Verb
	Key    Key
	ID     string // names what is ordered: an acknowledgement, a downtime, a comment; the same for all keys of one order
	Author string
	Time   time.Time
	Text   string // of an acknowledgement, a downtime or a comment

	Due  time.Time // of Recheck; zero: now
	IfOn bool      // of Recheck, one that is not forced: not while checks of the key are switched off, nor outside check_period

	ReturnCode int    // of Submit: the plugin's
	Output     string // of Submit: all that it wrote, perfdata included

	Sticky  bool      // of Acknowledge
	Expires time.Time // of Acknowledge; zero: never

	Start, End time.Time     // of ScheduleDowntime
	Duration   time.Duration // of ScheduleDowntime: a flexible one's; 0: fixed
	Trigger    string        // of ScheduleDowntime: ID of the downtime that it begins with
	For        Selector      // of ScheduleDowntime: whom it is for, if later ones shall have it, too

	Switch Switch // of SwitchOff and SwitchOn
}
