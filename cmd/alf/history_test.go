package main

import (
	"io"
	"testing"

	"alf"
	"alf/api/wire"
)

// TestLogOfTime: the log says what time did, in the words of the state.
func TestLogOfTime(t *testing.T) {
	key := alf.Key{Host: "web1", Service: "backup"}
	entry := func(n int, change alf.Change, with func(*alf.State)) wire.Event {
		st := alf.State{Status: alf.Unknown, Attempt: n, MaxAttempts: 3, Output: "No result for 10s", LastCheck: hours(n)}
		with(&st)
		return wire.NewEvent(&alf.Event{Key: key, Kind: alf.KindTick, Time: hours(n), Change: change, State: st})
	}
	events := []wire.Event{
		entry(1, alf.ChangeStatus|alf.ChangeType, func(*alf.State) {}),
		entry(2, 0, func(*alf.State) {}),
		entry(3, alf.ChangeDowntimeEnd, func(st *alf.State) { st.LastCheck = hours(2) }),
		entry(3, alf.ChangeStale, func(st *alf.State) {
			st.LastCheck, st.Stale = hours(2), alf.Stale{Cause: alf.CauseLate, Since: hours(3), Output: "not checked since noon"}
		}),
	}
	golden(t, "what time did", func(w io.Writer) error { return writeLog(w, events) },
		`TIME                 HOST  SERVICE  STATE    ATTEMPT   NEW           OUTPUT
2026-03-01 13:00:00  web1  backup   UNKNOWN  SOFT 1/3  status,type   No result for 10s
2026-03-01 14:00:00  web1  backup   UNKNOWN  SOFT 2/3  retried       No result for 10s
2026-03-01 15:00:00  web1  backup   UNKNOWN  SOFT 3/3  downtime end  
2026-03-01 15:00:00  web1  backup   UNKNOWN  SOFT 3/3  stale         no answer (late): not checked since noon
`)
}
