package alf

import "regexp"

// Expect says when a task that is no plugin has gone well. All of it must hold;
// a pattern that is nil holds.
type Expect struct {
	ExitCodes []int          // any of these
	Output    *regexp.Regexp // is found on standard output
	OutputNot *regexp.Regexp // is not found there
	Stderr    *regexp.Regexp // the same for standard error
	StderrNot *regexp.Regexp
	Otherwise Status // what anything else is
}
