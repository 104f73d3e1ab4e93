package state_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/state"
)

var epoch = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

var letters = map[byte]alf.Status{'O': alf.OK, 'W': alf.Warning, 'C': alf.Critical, 'U': alf.Unknown}

func service(max int) *alf.Service {
	return &alf.Service{Key: alf.Key{Host: "web1", Service: "disk"}, MaxAttempts: max}
}

// judge replays results, a letter each, a minute apart, and returns the last
// state and change.
func judge(s *alf.Service, results string) (st alf.State, change alf.Change) {
	for i := range len(results) {
		now := epoch.Add(time.Duration(i) * time.Minute)
		r := &alf.Result{Status: letters[results[i]], End: now, Output: string(results[i])}
		st, change = state.Next(s, st, r, state.Around{Now: now})
	}
	return st, change
}

// TestServiceVectors holds Next against the vectors of RULES R8 and what R1 to
// R7 say besides.
func TestServiceVectors(t *testing.T) {
	f := func(max int, results, status, kind string, attempt int, hard bool) {
		t.Helper()
		st, change := judge(service(max), strings.ReplaceAll(results, " ", ""))
		if st.Status.String()[0] != status[0] || st.Type.String()[0] != kind[0] || st.Attempt != attempt {
			t.Errorf("max %d, %s: %v/%v/%d, want %s/%s/%d", max, results, st.Status, st.Type, st.Attempt, status, kind, attempt)
		}
		if got := change.Has(alf.ChangeHard); got != hard {
			t.Errorf("max %d, %s: hard change %v, want %v", max, results, got, hard)
		}
	}
	f(3, "O", "O", "H", 1, false)         // R1
	f(3, "C", "C", "S", 1, false)         // R1, R2
	f(3, "C C", "C", "S", 2, false)       // R3
	f(3, "C C C", "C", "H", 3, true)      // R4
	f(3, "C C C C", "C", "H", 3, false)   // R5: nothing new
	f(3, "C C C W", "W", "H", 3, true)    // R5: no new soft phase
	f(3, "C W U", "U", "H", 3, true)      // R3: another problem does not start again
	f(3, "C O", "O", "H", 1, false)       // R6: soft recovery
	f(3, "C C O", "O", "H", 1, false)     // R6
	f(3, "C C C O", "O", "H", 1, true)    // R7
	f(3, "C C O C", "C", "S", 1, false)   // R8
	f(3, "C C C O C", "C", "S", 1, false) // after a recovery all begins again
	f(1, "C", "C", "H", 1, true)          // R1
	f(1, "C O", "O", "H", 1, true)        // R8
	f(1, "C O C", "C", "H", 1, true)      // R8
	f(1, "W C", "C", "H", 1, true)        // R5
}

// TestVolatile is RULES R9: every hard problem is news, but no recovery is.
func TestVolatile(t *testing.T) {
	f := func(results string, want bool) {
		t.Helper()
		s := service(3)
		s.Volatile = true
		if _, change := judge(s, results); change.Has(alf.ChangeHard) != want {
			t.Errorf("%s: change %v, want hard %v", results, change, want)
		}
	}
	f("CC", false)
	f("CCC", true)
	f("CCCC", true)
	f("CCCCO", true)
	f("CCCCOO", false)
}

func TestHostStates(t *testing.T) {
	f := func(results, want string, kind alf.StateType, attempt int) {
		t.Helper()
		s := &alf.Service{Key: alf.Key{Host: "web1"}, MaxAttempts: 2}
		st, _ := judge(s, results)
		if st.Status.HostString() != want || st.Type != kind || st.Attempt != attempt {
			t.Errorf("%s: %s/%v/%d, want %s/%v/%d", results, st.Status.HostString(), st.Type, st.Attempt, want, kind, attempt)
		}
	}
	f("O", "UP", alf.Hard, 1)
	f("W", "UP", alf.Hard, 1) // H1: 1 is UP
	f("C", "DOWN", alf.Soft, 1)
	f("U", "DOWN", alf.Soft, 1)
	f("CC", "DOWN", alf.Hard, 2)
	f("CCO", "UP", alf.Hard, 1)
}

// TestLinksDoNotJudge is RULES T1: whatever happens to the link, what was known
// of the service stays.
func TestLinksDoNotJudge(t *testing.T) {
	s := service(3)
	for _, before := range []string{"", "O", "C", "CCC"} {
		was, _ := judge(s, before)
		st := was
		for i, cause := range []alf.Cause{alf.CauseTransport, alf.CauseTransport, alf.CauseAuth, alf.CauseHostKey, alf.CauseConfig} {
			now := epoch.Add(time.Hour + time.Duration(i)*time.Minute)
			var change alf.Change
			st, change = state.Next(s, st, &alf.Result{Cause: cause, Status: alf.Unknown, Output: "no way"}, state.Around{Now: now})
			if wantChange := i != 1; change.Has(alf.ChangeStale) != wantChange {
				t.Errorf("after %q, %v: change %v", before, cause, change)
			}
			if st.Stale.Cause != cause || !st.Stale.Since.Equal(epoch.Add(time.Hour)) || st.Stale.Output != "no way" {
				t.Errorf("after %q, %v: stale %+v", before, cause, st.Stale)
			}
			kept := st
			kept.Stale = alf.Stale{}
			if !reflect.DeepEqual(kept, was) {
				t.Errorf("after %q, %v changed the state: %+v, want %+v", before, cause, kept, was)
			}
		}
		back, change := state.Next(s, st, &alf.Result{Status: alf.OK, End: epoch.Add(2 * time.Hour)}, state.Around{Now: epoch.Add(2 * time.Hour)})
		if !back.Stale.IsZero() || !change.Has(alf.ChangeFresh) {
			t.Errorf("after %q the link is back: stale %+v, change %v", before, back.Stale, change)
		}
	}
}

// TestLinkService is RULES T2: what stands for a link beside another host check
// has all that is wrong with the link as a problem.
func TestLinkService(t *testing.T) {
	s := &alf.Service{Key: alf.Key{Host: "web1", Service: alf.LinkService}, Builtin: alf.CheckSSH, MaxAttempts: 1}
	f := func(cause alf.Cause, want alf.Status) {
		t.Helper()
		was, _ := judge(s, "O")
		st, _ := state.Next(s, was, &alf.Result{Cause: cause, Status: alf.Critical}, state.Around{Now: epoch})
		if st.Status != want || st.Stale.IsZero() != (want == alf.Critical) {
			t.Errorf("%v: %v, stale %v, want %v", cause, st.Status, st.Stale.Cause, want)
		}
	}
	f(alf.CauseTransport, alf.Critical)
	f(alf.CauseAuth, alf.Critical)
	f(alf.CauseHostKey, alf.Critical)
	f(alf.CauseConfig, alf.OK)
}

// TestLinkJudgesHost is RULES T2: a host that is checked by its link is DOWN
// when it cannot be reached, but not when it refuses the login.
func TestLinkJudgesHost(t *testing.T) {
	s := &alf.Service{Key: alf.Key{Host: "web1"}, Builtin: alf.CheckSSH, MaxAttempts: 1}
	f := func(cause alf.Cause, want string) {
		t.Helper()
		up, _ := judge(s, "O")
		st, _ := state.Next(s, up, &alf.Result{Cause: cause, Status: alf.Critical}, state.Around{Now: epoch})
		if got := st.Status.HostString(); got != want {
			t.Errorf("%v: %s, want %s", cause, got, want)
		}
		if stale := !st.Stale.IsZero(); stale != (want == "UP") {
			t.Errorf("%v: stale %v", cause, stale)
		}
	}
	f(alf.CauseTransport, "DOWN")
	f(alf.CauseTimeout, "DOWN")
	f(alf.CauseAuth, "UP")
	f(alf.CauseHostKey, "UP")
	f(alf.CauseConfig, "UP")
}

func TestTimes(t *testing.T) {
	st, _ := judge(service(3), "OCCCO")
	at := func(minute int) time.Time { return epoch.Add(time.Duration(minute) * time.Minute) }
	if !st.LastChange.Equal(at(4)) || !st.LastHardChange.Equal(at(4)) || !st.LastOK.Equal(at(4)) || !st.LastCheck.Equal(at(4)) {
		t.Errorf("after OCCCO: %+v", st)
	}
	st, _ = judge(service(3), "OCCCC")
	if !st.LastChange.Equal(at(1)) || !st.LastHardChange.Equal(at(3)) || !st.LastOK.Equal(at(0)) || !st.LastCheck.Equal(at(4)) {
		t.Errorf("after OCCCC: %+v", st)
	}
}

// FuzzResults holds the invariants of every state that results can lead to.
func FuzzResults(f *testing.F) {
	f.Add(uint8(3), []byte("OCCCO"))
	f.Add(uint8(1), []byte{0, 6, 2, 9, 14, 2})
	f.Fuzz(func(t *testing.T, max uint8, results []byte) {
		s := service(int(max%10) + 1)
		var st alf.State
		for i, b := range results {
			prev := st
			now := epoch.Add(time.Duration(i) * time.Minute)
			r := &alf.Result{Status: alf.Status(b % 4), Cause: alf.Cause(b / 4 % 6), End: now}
			var change alf.Change
			st, change = state.Next(s, st, r, state.Around{Now: now})
			check(t, s, prev, st, change, r)
		}
	})
}

func check(t *testing.T, s *alf.Service, prev, st alf.State, change alf.Change, r *alf.Result) {
	switch {
	case !r.Cause.Judges():
		if st.Attempt != prev.Attempt || st.Status != prev.Status || st.Type != prev.Type {
			t.Fatalf("%v judged: %+v -> %+v", r.Cause, prev, st)
		}
		return
	case st.Attempt < 1 || st.Attempt > s.MaxAttempts:
		t.Fatalf("attempt %d of %d", st.Attempt, s.MaxAttempts)
	case st.Status != alf.OK && (st.Type == alf.Hard) != (st.Attempt == s.MaxAttempts):
		t.Fatalf("%v attempt %d of %d", st.Type, st.Attempt, s.MaxAttempts)
	case st.Status == alf.OK && (st.Type != alf.Hard || st.Attempt != 1):
		t.Fatalf("OK is %v attempt %d", st.Type, st.Attempt)
	case st.Type == alf.Hard && st.LastHard != st.Status:
		t.Fatalf("hard %v, last hard %v", st.Status, st.LastHard)
	case change.Has(alf.ChangeHard) != (st.LastHard != prev.LastHard):
		t.Fatalf("change %v, last hard %v -> %v", change, prev.LastHard, st.LastHard)
	case change.Has(alf.ChangeStatus) != (prev.Pending() || prev.Status != st.Status):
		t.Fatalf("change %v, status %v -> %v", change, prev.Status, st.Status)
	}
}
