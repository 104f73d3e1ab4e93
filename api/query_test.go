package api_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
	s.On = host
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

// TestLinkIsOneProblem: the service that stands for a link beside another host
// check tells of it, for all that runs over it, but not while the host is DOWN.
func TestLinkIsOneProblem(t *testing.T) {
	gate, inside := &alf.Host{Name: "gate"}, &alf.Host{Name: "inside"}
	own := &alf.Service{Key: alf.Key{Host: "gate"}, Host: gate}
	link := &alf.Service{Key: alf.Key{Host: "gate", Service: alf.LinkService}, Host: gate, On: gate, Builtin: alf.CheckSSH}
	here, behind := service(gate, "disk", "disk"), service(inside, "web", "web")
	here.On, behind.On = gate, gate
	f := func(name string, gateIs alf.Status, kind alf.StateType, cause alf.Cause, want ...string) {
		t.Helper()
		lost := alf.State{Status: alf.OK, Type: alf.Hard, Attempt: 1, Stale: alf.Stale{Cause: cause, Since: epoch}}
		h := open(t, alf.NewInventory([]*alf.Host{gate, inside}, []*alf.Service{own, link, here, behind}),
			&alf.Event{Key: own.Key, State: alf.State{Status: gateIs, Type: kind, Attempt: 1}},
			&alf.Event{Key: link.Key, State: alf.State{Status: alf.Critical, Type: alf.Hard, Attempt: 3}},
			&alf.Event{Key: here.Key, State: lost}, &alf.Event{Key: behind.Key, State: lost})
		q := api.Query{View: h.view, Inventory: h.options.Inventory}
		var got []string
		for _, r := range q.Problems(wire.Filter{}) {
			got = append(got, r.Key().String())
		}
		if !slices.Equal(got, want) || q.Counts().Problems != len(want) {
			t.Errorf("%s: problems = %q, %d of them, want %q", name, got, q.Counts().Problems, want)
		}
		if r, _ := q.Row(behind.Key); r.Problem() != slices.Contains(want, behind.Key.String()) {
			t.Errorf("%s: the row of %v says otherwise", name, behind.Key)
		}
	}
	f("lost", alf.Up, alf.Hard, alf.CauseTransport, "gate!ssh link")
	f("login refused", alf.Up, alf.Hard, alf.CauseAuth, "gate!ssh link")
	f("the host is being retried", alf.Down, alf.Soft, alf.CauseTransport, "gate!ssh link")
	f("the host is DOWN", alf.Down, alf.Hard, alf.CauseTransport, "gate")
	f("something else", alf.Up, alf.Hard, alf.CauseConfig, "gate!ssh link", "gate!disk", "inside!web")
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
	add("critical, acknowledged", alf.Critical, alf.Hard, 4)
	events[len(events)-1].State.Ack = &alf.Ack{ID: "a"}
	events = append(events, result(alf.Key{Host: "h"}, alf.Down, alf.Hard, 3, epoch, "down"))
	h := open(t, alf.NewInventory([]*alf.Host{host}, services), events...)
	var got []string
	for _, r := range (api.Query{View: h.view, Inventory: h.options.Inventory}).Problems(wire.Filter{Soft: true}) {
		got = append(got, r.Output())
	}
	want := []string{"down", "critical, new", "critical, old", "critical, soft", "unknown", "warning", "critical, acknowledged"}
	if !slices.Equal(got, want) {
		t.Errorf("problems = %q, want %q", got, want)
	}
}

// TestOverview: it says the same as the queries that it is made of.
func TestOverview(t *testing.T) {
	synctest.Test(t, overview) // rows know when they were read
}

func overview(t *testing.T) {
	h := office(t)
	q := api.Query{View: h.view, Inventory: h.options.Inventory}
	for _, f := range []wire.Filter{
		{}, {Problems: true}, {Stale: true}, {Handled: new(false)}, {Held: new(true)}, {Text: "DISK"}, {Text: "none of it"}, {States: []string{"CRITICAL", "DOWN"}},
		{Hosts: []string{"web1", "db1", "web1", "web9"}}, {Hosts: []string{"web9"}}, {Hostgroups: []string{"web"}}, {Checks: []string{"load"}},
	} {
		wrong := f
		wrong.Soft = true
		want := api.Overview{Counts: q.Counts(), Rows: q.All(f), Problems: q.Problems(wrong)}
		if got := q.Overview(f); !reflect.DeepEqual(got, want) {
			t.Errorf("Overview(%+v) = %+v, want %+v", f, got, want)
		}
	}
}

// TestNamedHosts: a filter that names hosts is answered in their order, each
// host once, and what is not configured is left out.
func TestNamedHosts(t *testing.T) {
	h := office(t)
	q := api.Query{View: h.view, Inventory: h.options.Inventory}
	f := func(want string, hosts ...string) {
		t.Helper()
		var got []string
		for _, r := range q.All(wire.Filter{Hosts: hosts}) {
			got = append(got, r.Key().String())
		}
		for _, r := range q.Hosts(wire.Filter{Hosts: hosts}) {
			got = append(got, r.Key().String())
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("hosts %q: %s, want %s", hosts, text, want)
		}
	}
	f("db1, db1!a/b?c#d%2F e;ü, db1!load, db1", "db1")
	f("db1, db1!a/b?c#d%2F e;ü, db1!load, web1, web1!backup, web1!disk /, web1!load, db1, web1", "web1", "db1", "web1")
	f("", "web9", "")
}

// TestOneHostIsCheap: what is asked of one host does not depend on how many
// there are.
func TestOneHostIsCheap(t *testing.T) {
	q := crowd(t, 2000)
	f := func(times int, filter wire.Filter) time.Duration {
		start := time.Now()
		for range times {
			q.Services(filter)
		}
		return time.Since(start)
	}
	if one, all := f(50, wire.Filter{Hosts: []string{"host01000"}}), f(1, wire.Filter{}); one > all {
		t.Errorf("asking for one of 2000 hosts 50 times takes %v, for all of them once %v", one, all)
	}
}

// BenchmarkQuery reads 10,000 hosts with 10 services each.
func BenchmarkQuery(b *testing.B) {
	q := crowd(b, 10_000)
	f := func(name string, ask func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ask()
			}
		})
	}
	f("host", func() { q.Services(wire.Filter{Hosts: []string{"host05000"}}) })
	f("all", func() { q.All(wire.Filter{}) })
	f("text", func() { q.All(wire.Filter{Text: "nowhere"}) })
	f("problems", func() { q.Problems(wire.Filter{}) })
	f("counts", func() { q.Counts() })
	f("hosts", func() { q.Hosts(wire.Filter{}) })
	f("overview", func() { q.Overview(wire.Filter{}) })
	// As bad as it gets: of every service a dependency must be asked.
	inventory := q.Inventory()
	for _, s := range inventory.Services() {
		master := alf.Key{Host: s.Key.Host, Service: "service 0"}
		if s.Key != master {
			s.Dependencies = []alf.Dependency{{Name: "agent", Master: master, Run: alf.Criteria{Status: [4]bool{alf.Critical: true}}}}
		}
	}
	f("counts with dependencies", func() { q.Counts() })
	f("overview with dependencies", func() { q.Overview(wire.Filter{}) })
	f("held", func() { q.All(wire.Filter{Held: new(true)}) })
}

// crowd is a query over many hosts with 10 services each, every fourth of the
// hosts with a problem.
func crowd(t testing.TB, n int) api.Query {
	var hosts []*alf.Host
	var services []*alf.Service
	var events []*alf.Event
	for i := range n {
		host := &alf.Host{Name: alf.HostName(fmt.Sprintf("host%05d", i))}
		hosts = append(hosts, host)
		services = append(services, ssh(host))
		events = append(events, result(alf.Key{Host: host.Name}, alf.Up, alf.Hard, 1, epoch, "connected"))
		for k := range 10 {
			s := service(host, alf.ServiceName(fmt.Sprint("service ", k)), "check")
			status := alf.OK
			if i%4+k == 0 {
				status = alf.Critical
			}
			services = append(services, s)
			events = append(events, result(s.Key, status, alf.Hard, 3, epoch, "all is as it is"))
		}
	}
	h := open(t, alf.NewInventory(hosts, services), events...)
	return api.Query{View: h.view, Inventory: h.options.Inventory}
}
