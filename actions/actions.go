// Package actions tells people: it decides with package state of what, whom and
// when, writes that into the ledger, and hands over from there what is to be
// delivered.
//
// One decider reads the feed. Each action has a sender of its own, so that a target
// that does not answer delays no other. What a sender hands over stays in the
// ledger until it is noted there what became of it, so that nothing is lost when
// Alf stops at any moment; what was under way then is handed over once more, with
// the same ID.
package actions

import "alf"

// Kinds returns all kinds of actions: what makes an empty spec of each, by the name
// that the configuration has for it. A new kind is a file of its own and a line
// here.
func Kinds() map[string]func() alf.ActionSpec {
	return map[string]func() alf.ActionSpec{
		"alertmanager": func() alf.ActionSpec { return new(Alertmanager) },
		"email":        func() alf.ActionSpec { return new(Email) },
		"pagerduty":    func() alf.ActionSpec { return new(PagerDuty) },
		"slack":        func() alf.ActionSpec { return new(Slack) },
		"webhook":      func() alf.ActionSpec { return new(Webhook) },
	}
}
