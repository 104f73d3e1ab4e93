package alf

import (
	"fmt"
	"time"

	"alf/perfdata"
)

// Cause says why there is an answer, or none.
type Cause uint8

// The causes. Only CausePlugin and CauseTimeout judge a service; the others
// leave its state as it is and mark it stale (RULES T1).
const (
	CausePlugin    Cause = iota // the plugin answered
	CauseTimeout                // it did not end within check_timeout, which is an answer (RULES T4)
	CauseTransport              // the host could not be reached, or the link was lost
	CauseAuth                   // the host refused the login
	CauseHostKey                // the host's key is unknown or has changed
	CauseConfig                 // Alf itself could not start the check
	CauseLate                   // Alf did not run it though it was due
)

var causes = [...]string{"plugin", "timeout", "transport", "auth", "hostkey", "config", "late"}

// String returns the cause as configuration, logs and the API write it.
func (c Cause) String() string {
	if int(c) < len(causes) {
		return causes[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

// Judges reports whether a result of this cause says anything about the service.
func (c Cause) Judges() bool { return c <= CauseTimeout }

// OfLink reports whether it is the link that gave no answer, so that everything
// else that runs over it has none either.
func (c Cause) OfLink() bool {
	return c == CauseTransport || c == CauseAuth || c == CauseHostKey
}

// Source says who made a result.
type Source uint8

// The sources: Alf ran the plugin, or somebody submitted what another one found.
const (
	Active Source = iota
	Passive
)

// String returns "active" or "passive".
func (s Source) String() string {
	if s == Passive {
		return "passive"
	}
	return "active"
}

// Result is what came of running a plugin once. It judges nothing: State does.
// A Result is immutable once it is part of an Event.
type Result struct {
	Status     Status
	Cause      Cause
	Source     Source
	ReturnCode int    // as the process exited; -1: it did not
	Signal     string // that ended the process, without SIG

	Output     string // the first line, without perfdata
	LongOutput string // the lines after it
	Stderr     string // bounded; what the plugin wrote there
	Cut        int    // bytes of output that were dropped by the bound
	Repaired   bool   // the output was not UTF-8, or held a NUL

	PerfdataText   string // as the plugin wrote it, on one line
	Perfdata       []perfdata.Datum
	PerfdataErrors []string // one for each piece that could not be read

	Command string // the command line as it was run, secrets as <secret>
	Metric  string // name of the command in metrics: the plugin's without "check_"

	Due   time.Time // when the check should have started; zero if nobody planned it
	Start time.Time // when the plugin started
	End   time.Time // when the answer was complete
}

// Duration is how long the plugin ran (Nagios: execution time).
func (r *Result) Duration() time.Duration { return r.End.Sub(r.Start) }

// Latency is how late the plugin started (Nagios: latency); 0 if nobody planned it.
func (r *Result) Latency() time.Duration {
	if r.Due.IsZero() || r.Start.Before(r.Due) {
		return 0
	}
	return r.Start.Sub(r.Due)
}
