package state_test

import (
	"testing"

	"alf"
	"alf/state"
)

func TestReason(t *testing.T) {
	f := func(max int, results, rule, why string) {
		t.Helper()
		s := service(max)
		var prev alf.State
		if len(results) > 1 {
			prev, _ = judge(s, results[:len(results)-1])
		}
		next, _ := judge(s, results)
		if gotRule, gotWhy := state.Reason(s.Key, prev, next); gotRule != rule || gotWhy != why {
			t.Errorf("%s: %s, %q, want %s, %q", results, gotRule, gotWhy, rule, why)
		}
	}
	f(3, "", "R1", "no result has judged it yet")
	f(3, "O", "R1", "its first result was OK")
	f(3, "OO", "R1", "its results are OK")
	f(3, "C", "R1", "its first result was not OK, and is tried again before it counts")
	f(3, "OC", "R2", "it had been OK, and a result that is not is tried again before it counts")
	f(3, "OCW", "R3", "attempt 2 of 3 was not OK either")
	f(3, "OCWC", "R4", "attempt 3 of 3 was not OK either")
	f(1, "OC", "R4", "max_check_attempts is 1, so that one result that is not OK counts")
	f(1, "C", "R4", "max_check_attempts is 1, so that one result that is not OK counts")
	f(3, "CCCW", "R5", "it had been CRITICAL, HARD, and another problem then counts at once")
	f(3, "CCO", "R6", "a soft recovery: it was OK again before its 3 attempts were used up")
	f(3, "CCCO", "R7", "a recovery: it had been CRITICAL, HARD")
	host := alf.Key{Host: "web1"}
	down := alf.State{Status: alf.Down, Type: alf.Hard, Attempt: 3, MaxAttempts: 3}
	if rule, why := state.Reason(host, down, alf.State{Type: alf.Hard, Attempt: 1}); rule != "R7" || why != "a recovery: it had been DOWN, HARD" {
		t.Errorf("of a host: %s, %q", rule, why)
	}
}
