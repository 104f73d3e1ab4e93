package state_test

import (
	"strings"
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
	behind := func(prev alf.State, want string) {
		t.Helper()
		s := service(3)
		next, _ := state.Next(s, prev, &alf.Result{Status: alf.Critical, End: epoch}, state.Around{Now: epoch, Host: &alf.State{Status: alf.Down}})
		if rule, why := state.Reason(s.Key, prev, next); rule != want || want == "R10" && why != "it was not OK while its host was not UP, so that trying again would tell nothing" {
			t.Errorf("behind a host that is DOWN: %s, %q, want %s", rule, why, want)
		}
	}
	ok, _ := judge(service(3), "O")
	soft, _ := judge(service(3), "OC")
	hard, _ := judge(service(3), "OCCCW")
	behind(ok, "R10")
	behind(alf.State{}, "R10")
	behind(soft, "R10")
	behind(hard, "R5")
	host := alf.Key{Host: "web1"}
	down := alf.State{Status: alf.Down, Type: alf.Hard, Attempt: 3, MaxAttempts: 3}
	if rule, why := state.Reason(host, down, alf.State{Type: alf.Hard, Attempt: 1}); rule != "R7" || why != "a recovery: it had been DOWN, HARD" {
		t.Errorf("of a host: %s, %q", rule, why)
	}
	down.Attempt = 1
	if rule, why := state.Reason(host, alf.State{Type: alf.Hard, Attempt: 1, MaxAttempts: 3}, down); rule != "H4" || !strings.HasPrefix(why, "a result was submitted") {
		t.Errorf("of a host that somebody said is DOWN: %s, %q", rule, why)
	}
}
