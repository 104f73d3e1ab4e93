package alf_test

import (
	"testing"
	"time"

	"alf"
)

// TestLogged: the log has what says something new.
func TestLogged(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hard := alf.State{Status: alf.Unknown, Type: alf.Hard, Attempt: 3, MaxAttempts: 3, LastCheck: now}
	soft := hard
	soft.Type, soft.Attempt = alf.Soft, 2
	before := func(st alf.State) alf.State { st.LastCheck = now.Add(-time.Minute); return st }
	stale := func(st alf.State) alf.State {
		st.Stale = alf.Stale{Cause: alf.CauseTransport, Since: now}
		return before(st)
	}
	f := func(what string, kind alf.Kind, change alf.Change, st alf.State, want bool) {
		t.Helper()
		e := &alf.Event{Time: now, Kind: kind, Change: change, State: st}
		if got := e.Logged(); got != want {
			t.Errorf("%s: Logged() = %v, want %v", what, got, want)
		}
	}
	f("a change", alf.KindResult, alf.ChangeHard, hard, true)
	f("as it was", alf.KindResult, 0, hard, false)
	f("another attempt", alf.KindResult, 0, soft, true)
	f("the link is lost", alf.KindResult, alf.ChangeStale, stale(soft), true)
	f("the link is still lost", alf.KindResult, 0, stale(soft), false)
	f("the same of a HARD problem", alf.KindResult, 0, stale(hard), false)
	f("never checked", alf.KindResult, 0, alf.State{Stale: stale(soft).Stale}, false)
	f("too old", alf.KindTick, alf.ChangeStatus, hard, true)
	f("another attempt, too old", alf.KindTick, 0, soft, true)
	f("still too old", alf.KindTick, 0, hard, false)
	f("a host calms down a little", alf.KindTick, 0, before(soft), false)
	f("a downtime begins", alf.KindTick, alf.ChangeDowntime, before(hard), true)
	f("an order", alf.KindCommand, 0, hard, true)
	f("a start", alf.KindDaemon, 0, alf.State{}, true)
	f("removed", alf.KindRemoved, 0, hard, true)
}
