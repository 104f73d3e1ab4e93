package wire

import "time"

// Run is a command that a person wants to have run on hosts once, now. The selecting fields
// are those of an Order; it runs on each host that is selected, or on which a selected
// service is.
type Run struct {
	Hosts      []string `json:"hosts,omitempty"`      // names or patterns
	Hostgroups []string `json:"hostgroups,omitempty"` // or in any of these
	Services   []string `json:"services,omitempty"`   // names or patterns: hosts that have any of them
	States     []string `json:"states,omitempty"`     // hosts that are in any of these, or have such a service; with Services, one of those

	Command []string `json:"command,omitempty"` // the program and its arguments, which no shell reads
	Shell   string   `json:"shell,omitempty"`   // instead: a line for /bin/sh -c
	Stdin   []byte   `json:"stdin,omitempty"`   // for each of them, in base64; none: empty

	Parallel int      `json:"parallel,omitempty"` // hosts at a time; 0: RunParallel
	Timeout  Duration `json:"timeout,omitempty"`  // of each command, from its start; 0: RunTimeout
	DryRun   bool     `json:"dry_run,omitempty"`  // only say on which hosts
	Author   string   `json:"author,omitempty"`   // on whose behalf
}

// What holds for a Run that does not say otherwise, and the bounds of what it may say.
const (
	RunParallel    = 32
	MaxRunParallel = 256
	RunTimeout     = time.Minute
	MaxRunTimeout  = 24 * time.Hour
	MaxRunStdin    = 512 << 10
	MaxRunLine     = 16 << 10 // bytes of a line of output; longer ones are broken
	MaxRunAudit    = 1 << 10  // bytes of a command in the log
)

// The kinds of RunEvents.
const (
	RunBegin   = "begin"   // the first one: Hosts, ID, Parallel, Timeout
	RunOutput  = "output"  // a line: Host, Stream, Line, Broken
	RunDropped = "dropped" // here are lines missing: Host, Stream, Bytes
	RunEnd     = "end"     // of one host: Host, Result and how it came to it
	RunDone    = "done"    // the last one: OK, Failed, NotRun, Seconds
)

// The results of a host.
const (
	RunOK     = "ok"      // return code 0
	RunFailed = "failed"  // another one, a signal, a timeout, or it could not be reached
	RunNotRun = "not run" // it was called off before
)

// RunEvent is a line of the answer to a Run. Which fields it has, the kind says.
type RunEvent struct {
	Event string `json:"event"`

	ID       string   `json:"id,omitempty"`
	Hosts    []string `json:"hosts,omitempty"`
	Parallel int      `json:"parallel,omitempty"`
	Timeout  Duration `json:"timeout,omitempty"`
	DryRun   bool     `json:"dry_run,omitempty"`

	Host   string `json:"host,omitempty"`
	Stream string `json:"stream,omitempty"` // stdout or stderr
	Line   *Text  `json:"line,omitempty"`   // without its end
	Broken bool   `json:"broken,omitempty"` // the line was too long: it goes on in the next one
	Bytes  int    `json:"bytes,omitempty"`  // that were dropped, because they were not read in time

	Result     string  `json:"result,omitempty"`
	ReturnCode *int    `json:"return_code,omitempty"` // missing: it did not end by itself
	Signal     string  `json:"signal,omitempty"`      // that ended it
	Cause      string  `json:"cause,omitempty"`       // why there is no return code: timeout, transport, auth, hostkey, config
	Phase      string  `json:"phase,omitempty"`       // in which that was
	Error      Text    `json:"error,omitempty"`
	Incomplete bool    `json:"incomplete,omitempty"` // not all of the output is there
	Seconds    float64 `json:"seconds,omitempty"`    // that the command, or all of them, took

	OK     int `json:"ok,omitempty"`
	Failed int `json:"failed,omitempty"`
	NotRun int `json:"not_run,omitempty"`
}
