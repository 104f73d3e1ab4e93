package state_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"alf"
	"alf/state"
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

// needs are the words for what a vector may need, beyond the results of services
// that are judged on their own. Those that are true change states, types or
// attempts, and Next does not know of them yet: their vectors are not replayed.
// A need that is done becomes false.
var needs = map[string]bool{
	"acknowledgement": false, // who has seen it
	"codes":           true,  // return codes beyond 3
	"dependencies":    false, // masters, and when they are checked
	"downtime":        false, // depths, begins and ends
	"escalations":     false, // who is told
	"flapping":        false, // history, percentages, begins and ends
	"freshness":       true,  // results that are too old
	"hosts":           true,  // a host's own states, and what they do to its services
	"notifications":   false, // who is told, and why not
	"periods":         false, // times of day
	"restart":         true,  // what was kept
	"schedule":        true,  // when active checks run, and what they answer
	"stalking":        true,  // results as commands, with outputs of their own
	"switches":        true,  // what commands switch on and off
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

// service is what the directives of key say as far as Next reads it.
func (v *vector) service(t *testing.T, key string) *alf.Service {
	for _, o := range v.Objects {
		if o.Key != key || o.Define != "host" && o.Define != "service" {
			continue
		}
		k, err := alf.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		attempts, err := strconv.Atoi(o.With["max_check_attempts"])
		if err != nil {
			t.Fatal(err)
		}
		return &alf.Service{Key: k, MaxAttempts: attempts, Volatile: o.With["is_volatile"] == "1"}
	}
	t.Fatalf("no object %q", key)
	return nil
}

// TestVectorsAgree: the vectors are whole, and do not contradict themselves.
func TestVectorsAgree(t *testing.T) {
	for _, v := range vectors(t) {
		for _, word := range v.Needs {
			if _, known := needs[word]; !known {
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
	limit := v.service(t, e.Key).MaxAttempts
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

// TestVectors holds Next against the vectors that need no more than it knows.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			if i := slices.IndexFunc(v.Needs, func(word string) bool { return needs[word] }); i >= 0 {
				t.Skipf("needs %s", v.Needs[i])
			}
			v.replay(t)
		})
	}
}

// replay hands the results to Next, and compares its state with Nagios' when each
// second ends.
func (v *vector) replay(t *testing.T) {
	states := map[string]alf.State{}
	for _, e := range v.Story {
		switch e.What {
		case "result":
			now := epoch.Add(time.Duration(e.At) * time.Second)
			next, _ := state.Next(v.service(t, e.Key), states[e.Key], &alf.Result{Status: e.Code, End: now}, state.Around{Now: now})
			states[e.Key] = next
		case "state":
			v.compare(t, e, states[e.Key])
		}
	}
}

func (v *vector) compare(t *testing.T, want entry, got alf.State) {
	t.Helper()
	if got.Pending() || want.Pending {
		if got.Pending() != want.Pending {
			t.Errorf("at %d, %s: pending %v, want %v", want.At, want.Key, got.Pending(), want.Pending)
		}
		return
	}
	key := v.service(t, want.Key).Key
	status, hard := key.StatusName(got.Status), key.StatusName(got.LastHard)
	if status != want.State || got.Type.String() != want.Type || got.Attempt != want.Attempt || hard != want.LastHard {
		t.Errorf("at %d, %s: %s/%v/%d, last hard %s; want %s/%s/%d, %s",
			want.At, want.Key, status, got.Type, got.Attempt, hard, want.State, want.Type, want.Attempt, want.LastHard)
	}
}
