package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"alf/api/wire"
)

// golden holds what write writes, in UTC, against want.
func golden(t *testing.T, name string, write func(io.Writer) error, want string) {
	t.Helper()
	zone := time.Local
	time.Local = time.UTC
	defer func() { time.Local = zone }()
	var out bytes.Buffer
	if err := write(&out); err != nil || out.String() != want {
		t.Errorf("%s: %v\n%s\nwant\n%s", name, err, &out, want)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func hours(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }

// TestMarks: a state says at a glance what was done to it.
func TestMarks(t *testing.T) {
	f := func(h wire.Handling, stale *wire.Stale, want string) {
		t.Helper()
		if got := stateOf(wire.Head{State: "CRITICAL", Stale: stale, Handling: h}); got != want {
			t.Errorf("stateOf(%+v) = %q, want %q", h, got, want)
		}
	}
	f(wire.Handling{}, nil, "CRITICAL")
	f(wire.Handling{Acknowledged: true}, nil, "CRITICAL (ack)")
	f(wire.Handling{DowntimeDepth: 2}, nil, "CRITICAL (downtime)")
	f(wire.Handling{HostDowntime: true}, nil, "CRITICAL (host downtime)")
	f(wire.Handling{Flapping: true}, nil, "CRITICAL (flapping)")
	f(wire.Handling{Acknowledged: true, Flapping: true, HostProblem: true}, &wire.Stale{Cause: "auth"},
		"CRITICAL (stale: auth) (ack) (flapping) (host problem)")
}

// TestHeldMark: what is not run says so in the table, and why in the detail view.
func TestHeldMark(t *testing.T) {
	f := func(held wire.Held, want string) {
		t.Helper()
		if got := stateOf(wire.Head{State: "OK", Held: &held}); got != want {
			t.Errorf("stateOf(%+v) = %q, want %q", held, got, want)
		}
	}
	f(wire.Held{Reason: wire.HeldOff}, "OK (held: checks off)")
	f(wire.Held{Reason: wire.HeldByHost}, "OK (held: host down)")
	f(wire.Held{Reason: wire.HeldByDependency, Dependency: "agent"}, "OK (held: dependency agent)")
	var out bytes.Buffer
	s := &wire.Service{Host: "h", Service: "s", Head: wire.Head{State: "OK", Held: &wire.Held{Why: "its checks were switched off"}}}
	if err := writeService(&out, s); err != nil || !strings.Contains(out.String(), "Held:         its checks were switched off\n") {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestHandlingLines(t *testing.T) {
	h := wire.Handling{
		Acknowledgement: &wire.Acknowledgement{Author: "alice", Text: "on \x1b[31mit", Time: noon, Sticky: true, Expires: new(hours(2))},
		Downtimes: []wire.Downtime{
			{ID: "d1", Author: "bob", Text: "patch day", Start: noon, End: hours(4), Duration: 3600, Flexible: true, Began: new(hours(1)), InEffect: true},
			{ID: "d2", Author: "bob", Start: hours(5), End: hours(6), Trigger: "d1"},
		},
		HostDowntime: true, Flapping: true, PercentStateChange: 34.22,
		Comments: []wire.Comment{{ID: "c1", Author: "eve", Text: "rack 7", Time: noon}},
		Disabled: []string{"checks", "notifications"},
	}
	write := func(w io.Writer) error { f := fields{w: w}; f.handling(h); return f.err }
	golden(t, "all of it", write, `Acknowledged: 2026-03-01 12:00:00, sticky, until 2026-03-01 14:00:00, by alice: on \x1b[31mit
Downtime:     d1, in effect from 2026-03-01 13:00:00 to 2026-03-01 14:00:00, flexible 1h0m, by bob: patch day
Downtime:     d2, planned from 2026-03-01 17:00:00 to 2026-03-01 18:00:00, fixed with d1, by bob
Downtime:     that of the host
Comment:      c1, 2026-03-01 12:00:00, by eve: rack 7
Flapping:     34.2% state change
Switched off: checks, notifications
`)
	h = wire.Handling{Acknowledgement: &wire.Acknowledgement{Author: "alice", Time: noon}}
	golden(t, "little of it", write, "Acknowledged: 2026-03-01 12:00:00, by alice\n")
}

func TestDowntimesTable(t *testing.T) {
	all := []wire.DowntimeOrder{
		{Downtime: wire.Downtime{ID: "d1", Author: "bob", Text: "patch\nday", Start: noon, End: hours(4), InEffect: true},
			Keys: []wire.Key{{Host: "web1"}, {Host: "web1", Service: "disk /"}, {Host: "web2"}, {Host: "web3"}}},
		{Downtime: wire.Downtime{ID: "d2", Author: "eve", Text: "tapes", Start: noon, End: hours(5), Flexible: true, Duration: 5400, Trigger: "d1"},
			Keys: []wire.Key{{Host: "db1", Service: "backup"}}},
		{Downtime: wire.Downtime{ID: "d3", Author: "eve", Start: hours(3), End: hours(5), Trigger: "d1", Began: new(noon), InEffect: true},
			Keys: []wire.Key{{Host: "db1"}}},
	}
	golden(t, "downtimes", func(w io.Writer) error { return writeDowntimes(w, all) },
		`ID  STATE    START                END                  TYPE                    FOR                           AUTHOR  TEXT
d1  active   2026-03-01 12:00:00  2026-03-01 16:00:00  fixed                   web1, web1!disk / and 2 more  bob     patch\nday
d2  planned  2026-03-01 12:00:00  2026-03-01 17:00:00  flexible 1h30m with d1  db1!backup                    eve     tapes
d3  active   2026-03-01 12:00:00  2026-03-01 17:00:00  fixed with d1           db1                           eve     
`)
	golden(t, "none", func(w io.Writer) error { return writeDowntimes(w, nil) }, "No downtimes.\n")
}

func TestCommentsTable(t *testing.T) {
	all := []wire.CommentOrder{{Comment: wire.Comment{ID: "c1", Author: "eve", Text: "rack 7", Time: noon}, Keys: []wire.Key{{Host: "web1"}}}}
	golden(t, "comments", func(w io.Writer) error { return writeComments(w, all) },
		"ID  TIME                 FOR   AUTHOR  TEXT\nc1  2026-03-01 12:00:00  web1  eve     rack 7\n")
	golden(t, "none", func(w io.Writer) error { return writeComments(w, nil) }, "No comments.\n")
}
