package api_test

import (
	"slices"
	"testing"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
)

// small is a query over one host that is checked as own says, with the state
// link, and one service on it in the state st.
func small(t *testing.T, own string, link, st alf.State) api.Query {
	host := &alf.Host{Name: "h"}
	check := ssh(host)
	check.Builtin = own
	s := service(host, "s", "check")
	h := open(t, alf.NewInventory([]*alf.Host{host}, []*alf.Service{check, s}),
		&alf.Event{Key: check.Key, State: link}, &alf.Event{Key: s.Key, State: st})
	return api.Query{View: h.view, Inventory: h.options.Inventory}
}

func TestWhatIsAProblem(t *testing.T) {
	state := func(status alf.Status, kind alf.StateType, attempt int) alf.State {
		return alf.State{Status: status, Type: kind, Attempt: attempt}
	}
	stale := func(s alf.State, cause alf.Cause) alf.State {
		s.Stale = alf.Stale{Cause: cause, Since: epoch}
		return s
	}
	up, ok := state(alf.Up, alf.Hard, 1), state(alf.OK, alf.Hard, 1)
	f := func(name, own string, link, st alf.State, want ...string) {
		t.Helper()
		var got []string
		for _, r := range small(t, own, link, st).Problems(wire.Filter{}) {
			got = append(got, r.Key().String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: problems = %q, want %q", name, got, want)
		}
	}
	f("all is well", "ssh", up, ok)
	f("pending", "ssh", up, alf.State{})
	f("soft", "ssh", up, state(alf.Critical, alf.Soft, 1))
	f("hard", "ssh", up, state(alf.Warning, alf.Hard, 3), "h!s")
	f("link lost", "ssh", state(alf.Down, alf.Hard, 3), stale(ok, alf.CauseTransport), "h")
	f("link lost just now", "ssh", state(alf.Down, alf.Soft, 1), stale(ok, alf.CauseTransport))
	f("login refused", "ssh", stale(up, alf.CauseAuth), stale(ok, alf.CauseAuth), "h")
	f("login refused from the start", "ssh", stale(alf.State{}, alf.CauseAuth), stale(alf.State{}, alf.CauseAuth), "h")
	f("link lost, nobody tells", "none", alf.State{}, stale(ok, alf.CauseTransport), "h!s")
	f("link lost, the host answers to ping", "", up, stale(ok, alf.CauseTransport), "h!s")
	f("link lost, and ping", "", state(alf.Down, alf.Hard, 3), stale(ok, alf.CauseTransport), "h")
	f("check cannot be started", "ssh", up, stale(ok, alf.CauseConfig), "h!s")
	f("link lost, still critical", "ssh", state(alf.Down, alf.Hard, 3), stale(state(alf.Critical, alf.Hard, 3), alf.CauseTransport), "h", "h!s")
}

func TestHostWithoutCheckIsUp(t *testing.T) {
	q := small(t, "none", alf.State{}, alf.State{})
	if r, found := q.Row(alf.Key{Host: "h"}); !found || r.StateName() != "UP" {
		t.Errorf("a host that is not checked is %q, %v, want UP", r.StateName(), found)
	}
	host := &alf.Host{Name: "bare"}
	h := open(t, alf.NewInventory([]*alf.Host{host}, nil))
	q = api.Query{View: h.view, Inventory: h.options.Inventory}
	if r, found := q.Row(alf.Key{Host: "bare"}); !found || r.StateName() != "UP" {
		t.Errorf("a host without a check of its own is %q, %v, want UP", r.StateName(), found)
	}
}

func TestWorstFirst(t *testing.T) {
	host := &alf.Host{Name: "h"}
	services := []*alf.Service{ssh(host)}
	var events []*alf.Event
	add := func(name alf.ServiceName, status alf.Status, kind alf.StateType, minutes int) {
		s := service(host, name, "check")
		services = append(services, s)
		events = append(events, result(s.Key, status, kind, 3, epoch.Add(time.Duration(minutes)*time.Minute), string(name)))
	}
	add("warning", alf.Warning, alf.Hard, 9)
	add("unknown", alf.Unknown, alf.Hard, 8)
	add("critical, old", alf.Critical, alf.Hard, 1)
	add("critical, new", alf.Critical, alf.Hard, 2)
	add("critical, soft", alf.Critical, alf.Soft, 3)
	add("fine", alf.OK, alf.Hard, 3)
	events = append(events, result(alf.Key{Host: "h"}, alf.Down, alf.Hard, 3, epoch, "down"))
	h := open(t, alf.NewInventory([]*alf.Host{host}, services), events...)
	var got []string
	for _, r := range (api.Query{View: h.view, Inventory: h.options.Inventory}).Problems(wire.Filter{Soft: true}) {
		got = append(got, r.Output())
	}
	want := []string{"down", "critical, new", "critical, old", "critical, soft", "unknown", "warning"}
	if !slices.Equal(got, want) {
		t.Errorf("problems = %q, want %q", got, want)
	}
}
