package wire

import (
	"encoding/xml"
	"time"

	"alf"
)

// Outcome is what came of running a plugin once. All of it is empty as long as
// there is no result.
type Outcome struct {
	Output     Text    `json:"output" xml:"output"`
	LongOutput Text    `json:"long_output" xml:"long_output"`
	Perfdata   []Datum `json:"perfdata" xml:"perfdata>datum"`
	ReturnCode *int    `json:"return_code" xml:"return_code"` // null: the plugin did not exit
	Cause      string  `json:"cause" xml:"cause"`             // plugin, timeout, transport, auth, hostkey or config
	Source     string  `json:"source" xml:"source"`           // active or passive
	Command    Text    `json:"command" xml:"command"`         // as it was run, secrets as <secret>
	Latency    float64 `json:"latency_seconds" xml:"latency_seconds"`
	Duration   float64 `json:"duration_seconds" xml:"duration_seconds"`
}

func newOutcome(r *alf.Result) Outcome {
	if r == nil {
		return Outcome{Perfdata: []Datum{}}
	}
	return Outcome{
		Output:     Text(r.Output),
		LongOutput: Text(r.LongOutput),
		Perfdata:   NewPerfdata(r.Perfdata),
		ReturnCode: returnCode(r),
		Cause:      r.Cause.String(),
		Source:     r.Source.String(),
		Command:    Text(r.Command),
		Latency:    r.Latency().Seconds(),
		Duration:   r.Duration().Seconds(),
	}
}

func returnCode(r *alf.Result) *int {
	if r.ReturnCode < 0 {
		return nil
	}
	code := r.ReturnCode
	return &code
}

// Result is one result of a service and the state it led to.
type Result struct {
	XMLName          xml.Name   `json:"-" xml:"result"`
	ID               uint64     `json:"id" xml:"id"`
	Time             time.Time  `json:"time" xml:"time"`
	State            string     `json:"state" xml:"state"`
	StateCode        *int       `json:"state_code" xml:"state_code"`
	StateType        string     `json:"state_type" xml:"state_type"`
	Attempt          int        `json:"attempt" xml:"attempt"`
	MaxCheckAttempts int        `json:"max_check_attempts" xml:"max_check_attempts"`
	Changes          []string   `json:"changes" xml:"changes>change"` // status, type, hard, stale, fresh
	Status           string     `json:"status" xml:"status"`          // what the plugin said
	Start            *time.Time `json:"start" xml:"start"`
	End              *time.Time `json:"end" xml:"end"`
	Outcome
	Stderr         Text   `json:"stderr" xml:"stderr"`
	Signal         Text   `json:"signal" xml:"signal"`                         // that ended the plugin
	PerfdataErrors []Text `json:"perfdata_errors" xml:"perfdata_errors>error"` // one for each piece that could not be read
	Cut            int    `json:"cut_bytes" xml:"cut_bytes"`                   // of output that was too long
}

// Results is the last results of a service, the newest first.
type Results struct {
	XMLName xml.Name `json:"-" xml:"results"`
	Page
	Results []Result `json:"results" xml:"result"`
}

// NewResult returns the result that e, an event of alf.KindResult, holds.
func NewResult(e *alf.Event) Result {
	r := e.Result
	if r == nil {
		r = &alf.Result{ReturnCode: -1}
	}
	return Result{
		ID:               uint64(e.ID),
		Time:             e.Time.UTC(),
		State:            StateName(e.Key, e.State),
		StateCode:        stateCode(e.State),
		StateType:        e.State.Type.String(),
		Attempt:          e.State.Attempt,
		MaxCheckAttempts: e.State.MaxAttempts,
		Changes:          append([]string{}, e.Change.Strings()...),
		Status:           r.Status.String(),
		Start:            moment(r.Start),
		End:              moment(r.End),
		Outcome:          newOutcome(r),
		Stderr:           Text(r.Stderr),
		Signal:           Text(r.Signal),
		PerfdataErrors:   texts(r.PerfdataErrors),
		Cut:              r.Cut,
	}
}

// Submission is a result that somebody else found: the body of a POST to
// services/{host}/{service}/result, or to hosts/{host}/result.
type Submission struct {
	Status     string `json:"status,omitempty"`      // OK, WARNING, CRITICAL or UNKNOWN; of a host UP, DOWN or UNREACHABLE
	ReturnCode *int   `json:"return_code,omitempty"` // may stand instead of Status
	Output     string `json:"output"`                // all that the plugin printed, with perfdata
	Author     string `json:"author,omitempty"`      // for whom it is submitted
}
