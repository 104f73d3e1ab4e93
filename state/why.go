package state

import "alf"

// Why says what keeps people from being told. Ledgers hold the numbers: new ones
// go to the end.
type Why uint8

// The reasons.
const (
	Tell             Why = iota // nothing does
	NoResult                    // no result has judged it yet
	Nobody                      // nobody is to be told
	NoProblem                   // an acknowledgement without a problem
	NeverTold                   // all is well, and no problem was told before
	NotHard                     // the problem is SOFT
	NothingNew                  // nothing new is known of it
	OutsidePeriod               // notification_period
	SwitchedOff                 // by a person
	Acknowledged                // somebody takes care of it
	DependencyFailed            // a master is the problem
	NotAnOption                 // notification_options
	TooEarly                    // first_notification_delay
	Flapping                    // it does not rest
	InDowntime                  // problems are expected
	HostInDowntime              // of its host
	HostNotUpToTell             // its host is the problem
	OnlyOnce                    // notification_interval is 0
	NotYet                      // notification_interval is not over
	ContactPeriod               // the contact's notification_period
	ContactOption               // the contact's notification options
	ContactNotTold              // nor was the contact told of the problem
)

// whys are the rules, and the words for people, of each.
var whys = [...]struct{ rule, text string }{
	Tell:             {"", "nothing is in the way"},
	NoResult:         {"R1", "no result has judged it yet"},
	Nobody:           {"N17", "neither contacts nor actions are to be told of it"},
	NoProblem:        {"N7", "there is no problem that could be acknowledged"},
	NeverTold:        {"N10", "all is well, and nobody was told of a problem"},
	NotHard:          {"N10", "it is SOFT, and tried again before it counts"},
	NothingNew:       {"T1", "nothing new is known of it"},
	OutsidePeriod:    {"N4", "it is outside its notification_period"},
	SwitchedOff:      {"N5", "its notifications were switched off"},
	Acknowledged:     {"N10", "it is acknowledged"},
	DependencyFailed: {"N26", "a dependency withholds it"},
	NotAnOption:      {"N10", "its notification_options leave it out"},
	TooEarly:         {"N11", "its first_notification_delay is not over"},
	Flapping:         {"N12", "it is flapping"},
	InDowntime:       {"N13", "it is in downtime"},
	HostInDowntime:   {"N13", "its host is in downtime"},
	HostNotUpToTell:  {"N14", "its host is not UP"},
	OnlyOnce:         {"N15", "it was told, and its notification_interval is 0"},
	NotYet:           {"N16", "it was told, and its notification_interval is not over"},
	ContactPeriod:    {"N17", "it is outside the contact's notification_period"},
	ContactOption:    {"N17", "the contact's notification options leave it out"},
	ContactNotTold:   {"N17", "the problem was nothing that the contact is told of"},
}

// Rule returns the one of RULES that w follows where people could be told t; "":
// none.
func (w Why) Rule(t alf.NotificationType) string {
	switch own := w == NotAnOption || w == InDowntime; {
	case own && t.OfFlapping():
		return "N8"
	case own && t.OfDowntime():
		return "N9"
	}
	return whys[int(w)%len(whys)].rule
}

// String says w in words.
func (w Why) String() string { return whys[int(w)%len(whys)].text }

// Noted reports whether it is worth a line in the ledger that people were not told
// because of w: not if there was nothing to tell, or they know.
func (w Why) Noted() bool {
	switch w {
	case Tell, NoResult, Nobody, NoProblem, NeverTold, NotHard, NothingNew, OnlyOnce, NotYet:
		return false
	}
	return true
}
