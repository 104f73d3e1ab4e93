package state_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"alf"
)

// vector is what a real Nagios Core believed and told in one scenario;
// tools/nagios records them into testdata/nagios and says how to again.
type vector struct {
	Name    string
	About   string
	Rules   []string          // of RULES that it shows
	Needs   []string          // what a replay must know besides results
	Clock   string            // what second 0 was to Nagios
	Main    map[string]string // the settings that Nagios judges by
	Objects []struct {
		Define string
		Key    string
		With   map[string]string // directives
	}
	Story []entry
}

// entry is one thing that happened in a second. Those of the same second stand
// in the order of their kinds, not of time; a state is what it was when the second ended, and
// there only when something in it is new. A time of 0 is none.
type entry struct {
	At   int
	What string // result, command, answer, check, state, alert, handler, notification, withheld, flapping, downtime, stale, refused
	Key  string
	Code alf.Status // of a result, an answer or a check
	Text string     // a command, or what kind of notification, flapping or downtime
	Why  string     // nobody was told

	Contact   string
	Escalated bool

	Pending                            bool
	State, Type                        string
	Attempt                            int
	LastHard                           string
	LastChange, LastHardChange         int
	LastCheck, NextCheck               int
	Acknowledged                       string // "normal" or "sticky"
	Depth                              int    // of downtimes
	Flapping                           bool
	Percent                            float64
	Number                             int // of the notification
	LastNotification, NextNotification int
	NoMore                             bool // notifications
}

// needs are the words for what a vector may need to be replayed. What people are
// told is for the rules of notifications, and the rest of a story is replayed
// without it.
var needs = []string{
	"acknowledgement", "codes", "dependencies", "downtime", "escalations", "flapping", "freshness", "hosts",
	"notifications", "periods", "restart", "schedule", "stalking", "switches",
}

// vectors reads all of them.
func vectors(t *testing.T) []*vector {
	t.Helper()
	paths, err := filepath.Glob("testdata/nagios/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("vectors: %v, %v", paths, err)
	}
	var all []*vector
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		d := json.NewDecoder(f)
		d.DisallowUnknownFields()
		v := new(vector)
		if err := d.Decode(v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if v.Name+".json" != filepath.Base(path) {
			t.Errorf("%s is named %q", path, v.Name)
		}
		all = append(all, v)
	}
	return all
}

// TestVectorsAgree: the vectors are whole, and do not contradict themselves.
func TestVectorsAgree(t *testing.T) {
	for _, v := range vectors(t) {
		for _, word := range v.Needs {
			if !slices.Contains(needs, word) {
				t.Errorf("%s: nobody knows the need %q", v.Name, word)
			}
		}
		at := 0
		for _, e := range v.Story {
			if e.At < at {
				t.Errorf("%s: at %d after %d", v.Name, e.At, at)
			}
			at = e.At
			if e.What == "state" {
				v.agree(t, e)
			}
		}
	}
}

// agree holds a state against what no state may be.
func (v *vector) agree(t *testing.T, e entry) {
	t.Helper()
	ok := e.State == "OK" || e.State == "UP"
	limit := v.services(t)[e.Key].MaxAttempts
	for what, wrong := range map[string]bool{
		"attempt":     e.Attempt < 1 || e.Attempt > limit,
		"type":        e.Type != "SOFT" && e.Type != "HARD",
		"soft at max": e.Type == "SOFT" && !ok && e.Attempt >= limit,
		"last hard":   e.Type == "HARD" && e.LastHard != e.State,
		"percent":     e.Percent < 0 || e.Percent > 100,
		"handled":     e.Acknowledged != "" && ok,
		"pending":     e.Pending && (!ok || e.LastCheck != 0),
		"times":       e.LastCheck > e.At || e.LastNotification > e.At || e.LastChange > e.At,
	} {
		if wrong {
			t.Errorf("%s: at %d, %s: %s cannot be: %+v", v.Name, e.At, e.Key, what, e)
		}
	}
}
