package alf

import "time"

// Verb is what a Command orders.
type Verb uint8

// The verbs.
const (
	Recheck Verb = iota // run the check now, whatever its schedule says
	Submit              // take what a plugin said elsewhere as if it had been run (a passive result)
)

// Command is an order from a person or a script. It reaches the one writer of
// states through the checker's Submit, and nothing else does.
type Command struct {
	Verb   Verb
	Key    Key
	Author string
	Time   time.Time

	ReturnCode int    // of Submit: the plugin's
	Output     string // of Submit: all that it wrote, perfdata included
}
