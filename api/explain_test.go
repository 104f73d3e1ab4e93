package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
)

// judged is a house in which Next judged the results of a service, a letter a
// minute: o is OK, c CRITICAL, x an answer that did not come; r is an order to
// recheck it.
func judged(t *testing.T, s *alf.Service, letters string, more ...*alf.Event) *house {
	var st alf.State
	var events []*alf.Event
	for i, letter := range letters {
		at := minutes(i)
		e := &alf.Event{Time: at, Key: s.Key, Kind: alf.KindResult, NextCheck: at.Add(s.Retry), Result: &alf.Result{End: at}}
		switch letter {
		case 'c':
			e.Result.Status, e.Result.Output = alf.Critical, fmt.Sprint("CRITICAL at ", i)
		case 'o':
			e.Result.Output = fmt.Sprint("OK at ", i)
		case 'x':
			e.Result.Cause, e.Result.Output = alf.CauseTransport, "no route"
		}
		if letter == 'r' {
			e.Kind, e.Author, e.Text = alf.KindCommand, "alice", "recheck"
		} else {
			st, e.Change = state.Next(s, st, e.Result, state.Around{Now: at})
		}
		e.State = st
		events = append(events, e)
	}
	return open(t, alf.NewInventory([]*alf.Host{s.Host}, []*alf.Service{ssh(s.Host), s}), append(events, more...)...)
}

func minutes(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }

func retried() *alf.Service {
	s := service(&alf.Host{Name: "web1"}, "load", "load")
	s.Interval, s.Retry = 5*time.Minute, 20*time.Second
	return s
}

func explained(x wire.Explanation) string {
	var out []string
	for _, s := range x.Sentences {
		out = append(out, string(s))
	}
	return strings.Join(out, "\n")
}

func TestExplain(t *testing.T) {
	h := judged(t, retried(), "ooccrcoox")
	f := func(at int, state, rule, want string) {
		t.Helper()
		x := same[wire.Explanation](t, h, "/api/v1/explain/web1/load?at="+minutes(at).Format(time.RFC3339))
		if x.State != state || x.Rule != rule || x.Now || x.NextCheck != nil || explained(x) != want {
			t.Errorf("at %d: %s, %s\n%s\nwant %s, %s\n%s", at, x.State, x.Rule, explained(x), state, rule, want)
		}
	}
	f(-1, "", "", "At 2026-03-01 11:59:00 UTC, load on web1 was not known: the log has nothing about it from before.")
	f(1, "OK", "R1", `At 2026-03-01 12:01:00 UTC, load on web1 was OK, HARD, attempt 1 of 3.
It came into that state at 2026-03-01 12:00:00 UTC.
Why: its first result was OK (R1).
When that was logged, the result said: OK at 0`)
	f(2, "CRITICAL", "R2", `At 2026-03-01 12:02:00 UTC, load on web1 was CRITICAL, SOFT, attempt 1 of 3.
It came into that state at 2026-03-01 12:02:00 UTC.
Why: it had been OK, and a result that is not is tried again before it counts (R2).
When that was logged, the result said: CRITICAL at 2`)
	f(4, "CRITICAL", "R3", `At 2026-03-01 12:04:00 UTC, load on web1 was CRITICAL, SOFT, attempt 2 of 3.
It came into that state at 2026-03-01 12:02:00 UTC.
Why: attempt 2 of 3 was not OK either (R3).
When that was logged, the result said: CRITICAL at 3`)
	f(5, "CRITICAL", "R4", `At 2026-03-01 12:05:00 UTC, load on web1 was CRITICAL, HARD, attempt 3 of 3.
It came into that state at 2026-03-01 12:02:00 UTC.
It is HARD since 2026-03-01 12:05:00 UTC.
Why: attempt 3 of 3 was not OK either (R4).
When that was logged, the result said: CRITICAL at 5`)
	f(7, "OK", "R7", `At 2026-03-01 12:07:00 UTC, load on web1 was OK, HARD, attempt 1 of 3.
It came into that state at 2026-03-01 12:06:00 UTC.
Why: a recovery: it had been CRITICAL, HARD (R7).
When that was logged, the result said: OK at 6`)
	f(9, "OK", "R7", `At 2026-03-01 12:09:00 UTC, load on web1 was OK, HARD, attempt 1 of 3.
It came into that state at 2026-03-01 12:06:00 UTC.
Why: a recovery: it had been CRITICAL, HARD (R7).
When that was logged, the result said: OK at 7
Nothing new is known since 2026-03-01 12:08:00 UTC, because of transport: no route
What gives no answer judges nothing, so that the last known state stays (T1).`)
}

func TestExplainNow(t *testing.T) {
	h := judged(t, retried(), "oc")
	x := same2(t, h, "/api/v1/explain/web1/load")
	if !x.Now || !x.LastCheck.Equal(minutes(1)) || !x.NextCheck.Equal(minutes(1).Add(20*time.Second)) ||
		x.NextWhy != "every 20s (retry_interval) while it is SOFT (R2)" || !strings.HasPrefix(explained(x), "load on web1 is CRITICAL, SOFT, attempt 1 of 3.\n") ||
		!strings.Contains(explained(x), "The next check was due at 2026-03-01 12:01:20 UTC") {
		t.Errorf("%s\n%+v", explained(x), x)
	}
	if len(x.Changes) != 2 || x.Changes[0].State != "CRITICAL" {
		t.Errorf("changes = %+v", x.Changes)
	}
	x = same2(t, h, "/api/v1/explain/web1")
	if want := "web1 is PENDING.\nWhy: no result has judged it yet (R1).\nNo check is planned: its first result is still to come."; explained(x) != want {
		t.Errorf("%s\nwant %s", explained(x), want)
	}

	why := func(change func(*alf.Service), letters, want string) {
		t.Helper()
		s := retried()
		change(s)
		if x := same2(t, judged(t, s, letters), "/api/v1/explain/web1/load"); x.NextWhy != want {
			t.Errorf("%s: %q, want %q", letters, x.NextWhy, want)
		}
	}
	why(func(s *alf.Service) {}, "o", "every 5m (check_interval)")
	why(func(s *alf.Service) {}, "ox", "every 20s (retry_interval) while nothing new is known")
	why(func(s *alf.Service) { s.Interval = 0 }, "o", "check_interval is 0, so that it is run when somebody orders it (R13)")
	why(func(s *alf.Service) { s.Passive = true }, "o", "nothing is run, its results are submitted")
	why(func(s *alf.Service) {
		// The host was never checked, which counts as UP.
		s.Dependencies = []alf.Dependency{{Name: "up", Master: alf.Key{Host: "web1"}, Run: alf.Criteria{Status: [4]bool{alf.Up: true}}}}
	}, "o", `dependency "up" holds it back because of "web1", and is asked again every check_interval (N26)`)
	why(func(s *alf.Service) {
		s.Passive = true // so that there is nothing to hold back
		s.Dependencies = []alf.Dependency{{Name: "up", Master: alf.Key{Host: "web1"}, Run: alf.Criteria{Status: [4]bool{alf.Up: true}}}}
	}, "o", "nothing is run, its results are submitted")
	why(func(s *alf.Service) { s.Interval = 90 * time.Minute }, "o", "every 1h30m (check_interval)")
}

// What has a schedule, or is checked or told of in a timeperiod, says so.
func TestExplainTimes(t *testing.T) {
	f := func(change func(*alf.Service), letters string, want ...string) {
		t.Helper()
		s := retried()
		change(s)
		h := judged(t, s, letters)
		v := h.options.Inventory().With(alf.Calendar{
			Periods:    map[string]alf.Period{"now": always(true), "never": always(false), "later": from(time.Date(2198, 1, 2, 3, 4, 5, 0, time.UTC))},
			Timetables: map[string]*alf.Timetable{"@daily (UTC)": {Schedule: on(time.Date(2197, 6, 1, 0, 0, 0, 0, time.UTC)), Crons: []string{"@daily"}, Zone: "UTC"}},
		})
		h.options.Inventory = func() *alf.Inventory { return v }
		text := explained(same2(t, h, "/api/v1/explain/web1/load"))
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s\nwant %q in it", text, w)
			}
		}
	}
	daily := func(s *alf.Service) { s.Schedule, s.Interval = "@daily (UTC)", 0 }
	f(daily, "o", "is running or waiting: by its schedule @daily (UTC).")
	f(daily, "", "The next check is due at 2197-06-01 00:00:00 UTC: by its schedule @daily (UTC).")
	f(daily, "oc", ": every 20s (retry_interval) while it is SOFT (R2), or by its schedule @daily (UTC) if that is earlier.")
	f(func(s *alf.Service) { daily(s); s.Passive = true }, "o", "its results are submitted, each by its schedule @daily (UTC), next at 2197-06-01T00:00:00Z.")
	f(func(s *alf.Service) { daily(s); s.Passive, s.CheckPeriod = true, "never" }, "o", `@daily (UTC), which never comes within check_period "never".`)
	f(func(s *alf.Service) { s.CheckPeriod = "now" }, "o", `: every 5m (check_interval), within check_period "now".`)
	f(func(s *alf.Service) { s.CheckPeriod = "later" }, "o", `, within check_period "later", which begins at 2198-01-02T03:04:05Z.`)
	f(func(s *alf.Service) { s.NotificationPeriod = "now" }, "o", `People may be told of it now: notification_period "now" holds.`)
	f(func(s *alf.Service) { s.NotificationPeriod = "later" }, "o", `Nobody is told of it before 2198-01-02 03:04:05 UTC: it is outside notification_period "later" (N4).`)
	f(func(s *alf.Service) { s.NotificationPeriod = "never" }, "o", `Nobody is told of it: it is outside notification_period "never" (N4).`)
	f(func(s *alf.Service) {
		s.Dependencies = []alf.Dependency{{Name: "up", Master: alf.Key{Host: "web1"}, Notify: alf.Criteria{Status: [4]bool{alf.Up: true}}}}
	}, "o", `Nobody is told of it: dependency "up" withholds it because of "web1" (N26).`)
}

// always is a timeperiod that holds, or does not.
type always bool

func (p always) Contains(time.Time) bool { return bool(p) }

func (p always) Next(t time.Time) time.Time {
	if p {
		return t
	}
	return time.Time{}
}

// from is a timeperiod that begins then.
type from time.Time

func (p from) Contains(t time.Time) bool { return !t.Before(time.Time(p)) }
func (p from) Next(time.Time) time.Time  { return time.Time(p) }

// on is a schedule that comes once.
type on time.Time

func (o on) Next(time.Time) time.Time { return time.Time(o) }
func (o on) Prev(time.Time) time.Time { return time.Time{} }

// same2 is same for an answer that holds the time of the request.
func same2(t *testing.T, h *house, path string) wire.Explanation {
	t.Helper()
	asJSON, asXML := both[wire.Explanation](t, h, path)
	if explained(asJSON) != explained(asXML) {
		t.Errorf("the JSON says\n%s\nthe XML\n%s", explained(asJSON), explained(asXML))
	}
	return asJSON
}

// TestExplainOrders: however much was ordered since, it says how the state came to be.
func TestExplainOrders(t *testing.T) {
	at := func(letters string, n int) *house {
		var orders []*alf.Event
		h := judged(t, retried(), letters)
		for i := range n {
			e := *h.view.Head(retried().Key)
			e.ID, e.Kind, e.Change, e.Text, e.Time = 0, alf.KindCommand, alf.ChangePlanned, "schedule downtime", minutes(20+i)
			orders = append(orders, &e)
		}
		return judged(t, retried(), letters, orders...)
	}
	f := func(letters, rule string) {
		t.Helper()
		for _, n := range []int{3, 18, 19, 20, 50} {
			x := same2(t, at(letters, n), "/api/v1/explain/web1/load")
			if x.Rule != rule || !strings.Contains(explained(x), "Why: ") {
				t.Errorf("%s and %d orders: %q, want %s", letters, n, x.Rule, rule)
			}
		}
	}
	f("o", "R1")
	f("oc", "R2")
	f("occ", "R3")
	f("occc", "R4")
	f("occo", "R6")
	f("oooccco", "R7")
}

// TestExplainHostProblem: what became HARD because of its host is told so, and
// goes on being told so.
func TestExplainHostProblem(t *testing.T) {
	s := retried()
	first, _ := state.Next(s, alf.State{}, &alf.Result{End: minutes(0)}, state.Around{Now: minutes(0)})
	around := state.Around{Now: minutes(1), Host: &alf.State{Status: alf.Down, Type: alf.Hard, Attempt: 1}}
	st, change := state.Next(s, first, &alf.Result{Status: alf.Critical, End: minutes(1)}, around)
	h := open(t, alf.NewInventory([]*alf.Host{s.Host}, []*alf.Service{ssh(s.Host), s}),
		&alf.Event{Time: minutes(0), Key: s.Key, Change: alf.ChangeStatus | alf.ChangeType, State: first},
		&alf.Event{Time: minutes(1), Key: s.Key, Change: change, State: st})
	if x := same2(t, h, "/api/v1/explain/web1/load"); x.Rule != "R10" || !strings.Contains(explained(x), "its host was not UP, so that trying again would tell nothing (R10)") {
		t.Errorf("%s", explained(x))
	}
}

// TestExplainCircumstances: what people and others did to a state is told, since
// when, and by whom.
func TestExplainCircumstances(t *testing.T) {
	host := &alf.Host{Name: "web1"}
	own, s := ssh(host), service(host, "load", "load")
	s.Interval, s.Retry = time.Minute, time.Minute
	s.Dependencies = []alf.Dependency{{Name: "link", Master: own.Key, Notify: alf.Criteria{Status: [4]bool{alf.Down: true}}}}
	down := result(own.Key, alf.Down, alf.Hard, 1, minutes(1), "no route")
	down.State.LastHard, down.State.LastChange = alf.Down, minutes(1)
	down.State.Downtimes = []*alf.Downtime{{Author: "bob", Text: "move", Start: minutes(0), End: minutes(90), Began: minutes(0)}}
	st := alf.State{Status: alf.Critical, Type: alf.Hard, Attempt: 3, MaxAttempts: 3, LastChange: minutes(1), LastCheck: minutes(1)}
	entry := func(n int, change alf.Change, author string) *alf.Event {
		return &alf.Event{Time: minutes(n), Key: s.Key, Kind: alf.KindCommand, Change: change, State: st, NextCheck: minutes(9), Author: author}
	}
	events := []*alf.Event{down, entry(1, alf.ChangeStatus, "")}
	st.Off = alf.SwitchChecks
	events = append(events, entry(2, alf.ChangeSwitch, "alice"))
	st.Off |= alf.SwitchFlapping | alf.SwitchNotifications
	events = append(events, entry(3, alf.ChangeSwitch, "eve"))
	st.Flap.On, st.Flap.Percent = true, 34.22
	events = append(events, entry(4, alf.ChangeFlapping, ""))
	st.Ack = &alf.Ack{Author: "carol", Text: "a new one", Time: minutes(5), Expires: minutes(60)}
	st.Downtimes = []*alf.Downtime{{Author: "dan", Start: minutes(5), End: minutes(30), Began: minutes(5)}, {Author: "dan", Start: minutes(50), End: minutes(60)}}
	events = append(events, entry(5, alf.ChangeAck, "carol"))
	h := open(t, alf.NewInventory([]*alf.Host{host}, []*alf.Service{own, s}), events...)
	x := same2(t, h, "/api/v1/explain/web1/load")
	want := `It is acknowledged since 2026-03-01 12:05:00 UTC until 2026-03-01 13:00:00 UTC, by carol: a new one.
It is in downtime since 2026-03-01 12:05:00 UTC until 2026-03-01 12:30:00 UTC, by dan.
Its host is in downtime, which covers it, since 2026-03-01 12:00:00 UTC until 2026-03-01 13:30:00 UTC, by bob: move.
It is flapping (34.2 % state change) since 2026-03-01 12:04:00 UTC.
The problem is its host, which is DOWN since 2026-03-01 12:01:00 UTC.
Its checks are switched off since 2026-03-01 12:02:00 UTC, by alice.
Its notifications are switched off since 2026-03-01 12:03:00 UTC, by eve.
Its flap detection is switched off since 2026-03-01 12:03:00 UTC, by eve.
The last check that judged it ended at 2026-03-01 12:01:00 UTC.
No check is planned: its checks were switched off.
Nobody is told of it: that was switched off.`
	if !strings.HasSuffix(explained(x), want) || x.NextCheck != nil || len(x.Circumstances) != 8 {
		t.Errorf("%s\nwant\n%s", explained(x), want)
	}
	x = same[wire.Explanation](t, h, "/api/v1/explain/web1/load?at="+minutes(4).Format(time.RFC3339))
	if !strings.Contains(explained(x), "It was flapping") || !strings.Contains(explained(x), "Its checks were switched off since") || len(x.Circumstances) != 4 {
		t.Errorf("then: %s", explained(x))
	}
	s.Passive = true
	if x := same2(t, h, "/api/v1/explain/web1"); !strings.Contains(explained(x), "It is in downtime since") {
		t.Errorf("the host: %s", explained(x))
	}
}

// TestExplainNone: a host that nothing checks is UP unless somebody says otherwise.
func TestExplainNone(t *testing.T) {
	host := &alf.Host{Name: "web1"}
	none := &alf.Service{Key: alf.Key{Host: "web1"}, Host: host, Builtin: alf.CheckNone, MaxAttempts: 1}
	down, change := state.Next(none, alf.State{}, &alf.Result{Source: alf.Passive, Status: alf.Down, Output: "no light", End: minutes(5)},
		state.Around{Now: minutes(5)})
	inventory := alf.NewInventory([]*alf.Host{host}, []*alf.Service{none})
	told := open(t, inventory, &alf.Event{Time: minutes(5), Key: none.Key, Change: change, State: down})
	f := func(h *house, query, want string) {
		t.Helper()
		if x := same2(t, h, "/api/v1/explain/web1"+query); !strings.Contains(explained(x), want) {
			t.Errorf("%s: %s\nwant %s", query, explained(x), want)
		}
	}
	f(told, "", "web1 is DOWN, HARD, attempt 1 of 1.")
	f(told, "", "Why: nothing checks this host, and a submitted result said so (H4).")
	f(told, "?at="+minutes(6).Format(time.RFC3339), "web1 was DOWN, HARD")
	f(told, "?at="+minutes(4).Format(time.RFC3339), "web1 was UP, HARD")
	f(open(t, inventory), "", "Why: nothing checks this host, so that it is assumed to be UP (H1).")
	f(open(t, inventory), "?at="+minutes(4).Format(time.RFC3339), "(H1)")

	a := same[wire.Availability](t, told, "/api/v1/availability?host=web1&from="+minutes(0).Format(time.RFC3339)+"&until="+minutes(10).Format(time.RFC3339))
	if len(a.Hosts) != 1 || a.Hosts[0].Down.Seconds != 300 || a.Hosts[0].NoData.Seconds != 300 {
		t.Errorf("availability = %+v", a.Hosts)
	}
}

// What Alf could not know at that time it says.
func TestExplainGaps(t *testing.T) {
	stopped := &alf.Event{Time: minutes(5), Kind: alf.KindDaemon, Text: alf.Stopped}
	started := &alf.Event{Time: minutes(8), Kind: alf.KindDaemon, Text: alf.Started}
	removed := &alf.Event{Time: minutes(9), Key: alf.Key{Host: "web1", Service: "old"}, Kind: alf.KindRemoved}
	h := judged(t, retried(), "oc", stopped, started, removed)
	x := same[wire.Explanation](t, h, "/api/v1/explain/web1/load?at="+minutes(6).Format(time.RFC3339))
	if x.NotRunning == nil || !strings.Contains(explained(x), "Alf did not run from 2026-03-01 12:05:00 UTC until 2026-03-01 12:08:00 UTC") {
		t.Errorf("while Alf did not run: %s", explained(x))
	}
	x = same2(t, h, "/api/v1/explain/web1/old")
	if want := "old on web1 is not configured: it left the configuration at 2026-03-01 12:09:00 UTC."; explained(x) != want || x.State != "" {
		t.Errorf("what is gone: %s, want %s", explained(x), want)
	}
}

// Where the log has nothing any more, the state itself tells if it is old enough.
func TestExplainBeforeTheLog(t *testing.T) {
	s := retried()
	e := result(s.Key, alf.OK, alf.Hard, 1, minutes(60), "fine")
	e.Change, e.State.LastChange, e.State.LastHardChange = 0, epoch, epoch
	h := open(t, alf.NewInventory([]*alf.Host{s.Host}, []*alf.Service{s}), e)
	x := same[wire.Explanation](t, h, "/api/v1/explain/web1/load?at="+minutes(10).Format(time.RFC3339))
	if x.State != "OK" || x.Rule != "" || !x.Since.Equal(epoch) {
		t.Errorf("%s", explained(x))
	}
	if x := same[wire.Explanation](t, h, "/api/v1/explain/web1/load?at="+minutes(-1).Format(time.RFC3339)); x.State != "" {
		t.Errorf("%s", explained(x))
	}
}

func TestExplainMistakes(t *testing.T) {
	h := judged(t, retried(), "o")
	f := func(path string, status int, want string) {
		t.Helper()
		if body := h.get(t, "/api/v1/explain/"+path, status).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s = %s, want %q in it", path, body, want)
		}
	}
	f("web9", 404, `there is no host \"web9\"`)
	f("web1/x", 404, `there is no service \"x\"`)
	f("web1?at=yesterday", 400, `at: time \"yesterday\"`)
	f("web1?at=2199-01-01T00:00:00Z", 400, "is in the future")
	f("web1?since=1h", 400, `parameter \"since\"`)
}
