package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/state"
)

// logged is the log of an office: what was ordered, and what Alf itself did, an
// hour apart, up to now.
func logged(t *testing.T) *house {
	h := office(t)
	now := time.Now()
	disk := alf.Key{Host: "web1", Service: "disk /"}
	for i, e := range []*alf.Event{
		{Kind: alf.KindDaemon, Text: "started 1.2.3", State: alf.State{LastCheck: epoch}},
		{Kind: alf.KindCommand, Key: disk, Author: "alice", Text: "recheck"},
		{Kind: alf.KindResult, Key: disk, Author: "bob", Change: alf.ChangeStatus, State: alf.State{Status: alf.Warning, Attempt: 1, Output: "submitted"}},
		{Kind: alf.KindRemoved, Key: alf.Key{Host: "old", Service: "x"}},
		{Kind: alf.KindDaemon, Author: "carol", Text: "configuration: 1 added"},
	} {
		e.Time = now.Add(time.Duration(i-5) * time.Hour)
		if err := h.record.Append(t.Context(), []*alf.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestEvents(t *testing.T) {
	h := logged(t)
	f := func(query, want string) {
		t.Helper()
		var ids []string
		for _, e := range same[wire.Events](t, h, "/api/v1/events"+query).Events {
			ids = append(ids, fmt.Sprint(e.ID))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("events%s = %q, want %q", query, got, want)
		}
	}
	f("", "12 11 10 9 8 7 6 5 4 3 2 1")
	f("?order=oldest", "1 2 3 4 5 6 7 8 9 10 11 12")
	f("?limit=3", "12 11 10")
	f("?limit=3&before=10", "9 8 7")
	f("?limit=2&order=oldest&after=3", "4 5")
	f("?host=web1", "10 9 4 3 2 1")
	f("?host=web1&service=disk%20%2F", "10 9 2 1")
	f("?service=load", "6 3")
	f("?hostgroup=web", "10 9 4 3 2 1")
	f("?hostgroup=paris&kind=command", "9")
	f("?kind=command,removed", "11 9")
	f("?kind=command&kind=daemon", "12 9 8")
	f("?audit=true", "12 11 10 9 8")
	f("?since=150m", "12 11")
	f("?since=150m&order=oldest", "11 12")
	f("?until=1d", "7 6 5 4 3 2 1")
	f("?since=2026-03-01T12:03:00Z&until=2026-03-01T12:04:00Z", "5")
	f("?host=old", "11")
	f("?host=web1&since=1m", "")
}

func TestEventFields(t *testing.T) {
	log := same[wire.Events](t, logged(t), "/api/v1/events").Events
	if e := log[4]; e.Kind != "daemon" || e.Host != "" || e.State != "" || e.StateCode != nil || e.Text != "started 1.2.3" || !e.LastCheck.Equal(epoch) {
		t.Errorf("a start = %+v", e)
	}
	if e := log[3]; e.Kind != "command" || e.Author != "alice" || e.Text != "recheck" || e.Host != "web1" || e.Service != "disk /" {
		t.Errorf("an order = %+v", e)
	}
	if e := log[2]; e.Author != "bob" || e.State != "WARNING" || *e.StateCode != 1 || e.Output != "submitted" || !slices.Equal(e.Changes, []string{"status"}) {
		t.Errorf("a result = %+v", e)
	}
	if e := log[6]; e.Stale == nil || e.Stale.Cause != "transport" {
		t.Errorf("a stale service = %+v", e)
	}
}

func TestEventMistakes(t *testing.T) {
	h := logged(t)
	f := func(query string, status int, want string) {
		t.Helper()
		if body := h.get(t, "/api/v1/events?"+query, status).Body.String(); !strings.Contains(body, want) {
			t.Errorf("events?%s = %s, want %q in it", query, body, want)
		}
	}
	f("kind=none", 400, `kind \"none\" is none of`)
	f("since=yesterday", 400, `since: time \"yesterday\" is neither`)
	f("since=-1h", 400, "since: time")
	f("until=2026-01-01", 400, "until: time")
	f("since=1h&until=2h", 400, "until is before since")
	f("limit=10001", 400, "limit 10001")
	f("limit=x", 400, "limit")
	f("order=up", 400, `order \"up\"`)
	f("audit=maybe", 400, "audit")
	f("host=a&host=b", 400, "stands 2 times")
	f("status=ok", 400, `parameter \"status\"`)
	f("host=web9", 404, `there is no host \"web9\"`)
	f("host=web1&service=x", 404, `there is no service \"x\"`)
	f("hostgroup=x", 404, `there is no hostgroup \"x\"`)
}

// TestNewest: however far back it has to look, nothing is missed or doubled.
func TestNewest(t *testing.T) {
	h := office(t)
	now := time.Now()
	for age := 1000 * 24 * time.Hour; age > time.Minute; age = age * 2 / 3 {
		e := &alf.Event{Kind: alf.KindDaemon, Time: now.Add(-age), Text: fmt.Sprint(age)}
		if err := h.record.Append(t.Context(), []*alf.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	q := api.Query{View: h.view, Inventory: h.options.Inventory, Past: h.record}
	all, err := q.Oldest(t.Context(), api.Span{Scope: state.Scope{Self: true}})
	if err != nil || len(all) < 30 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	slices.Reverse(all)
	for n := 1; n <= len(all)+1; n++ {
		got, err := q.Newest(t.Context(), api.Span{Scope: state.Scope{Self: true}, Limit: n})
		if want := all[:min(n, len(all))]; err != nil || !slices.Equal(got, want) {
			t.Errorf("the newest %d are %d others, %v", n, len(got), err)
		}
	}
}
