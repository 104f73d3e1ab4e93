package api_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
)

// until is a timeperiod that ends.
type until time.Time

func (u until) Contains(t time.Time) bool { return t.Before(time.Time(u)) }

func (u until) Next(t time.Time) time.Time {
	if !u.Contains(t) {
		return time.Time{}
	}
	return t
}

// bound is two hosts. On web1, app depends on sql, which is CRITICAL, in a period
// that ends in an hour, and load was switched off; db1 is DOWN.
func bound(t testing.TB, hostDownDisables bool) *house {
	web, db := &alf.Host{Name: "web1"}, &alf.Host{Name: "db1"}
	app, sql, load, disk := service(web, "app", "app"), service(web, "sql", "sql"), service(web, "load", "load"), service(db, "disk", "disk")
	failing := alf.Criteria{Status: [4]bool{alf.Critical: true}}
	app.Dependencies = []alf.Dependency{{Name: "database", Master: sql.Key, Run: failing, Period: "night"}}
	critical := result(sql.Key, alf.Critical, alf.Hard, 3, epoch, "no answer")
	down := result(alf.Key{Host: "db1"}, alf.Down, alf.Hard, 3, epoch, "no route")
	critical.State.LastHard, down.State.LastHard = alf.Critical, alf.Down
	off := result(load.Key, alf.OK, alf.Hard, 1, epoch, "idle")
	off.State.Off = alf.SwitchChecks
	inventory := alf.NewInventory([]*alf.Host{web, db}, []*alf.Service{ssh(web), ssh(db), app, sql, load, disk}).
		With(alf.Calendar{Periods: map[string]alf.Period{"night": until(time.Now().Add(time.Hour))}})
	h := open(t, inventory, critical, down, off, result(app.Key, alf.OK, alf.Hard, 1, epoch, "fine"), result(disk.Key, alf.OK, alf.Hard, 1, epoch, "fine"))
	h.options.HostDownDisablesChecks = hostDownDisables
	return h
}

// TestHeld: what is not run says so, and why, in lists, alone, in numbers and in
// its explanation, which are of one mind.
func TestHeld(t *testing.T) {
	h := bound(t, true)
	want := map[string]*wire.Held{
		"db1": nil, "web1": nil, "web1!sql": nil,
		"db1!disk":  {Reason: "host down", Why: "its host is not UP, and host_down_disable_service_checks is set (H5)"},
		"web1!load": {Reason: "checks off", Why: "its checks were switched off"},
		"web1!app": {Reason: "dependency", Dependency: "database", Master: &wire.Key{Host: "web1", Service: "sql"},
			Why: `dependency "database" holds it back because of "web1!sql", and is asked again every check_interval (N26)`},
	}
	f := func(key alf.Key, head wire.Head) {
		t.Helper()
		held := want[key.String()]
		if !reflect.DeepEqual(head.Held, held) {
			t.Errorf("%v: held = %+v, want %+v", key, head.Held, held)
		}
		if head.Held != nil && head.NextCheck != nil {
			t.Errorf("%v is held, and its next check is at %v", key, head.NextCheck)
		}
		x := same2(t, h, "/api/v1/"+wire.ExplainPath(key, time.Time{}))
		if held != nil && (x.NextWhy != string(held.Why) || x.NextCheck != nil) {
			t.Errorf("%v is explained by %q, planned for %v, want %q", key, x.NextWhy, x.NextCheck, held.Why)
		}
		if held == nil && strings.Contains(explained(x), "holds it back") {
			t.Errorf("%v is explained by %s", key, explained(x))
		}
	}
	for _, s := range same[wire.Services](t, h, "/api/v1/services").Services {
		f(s.Key(), s.Head)
		f(s.Key(), same[wire.Service](t, h, "/api/v1/"+wire.Path(s.Key())).Head)
	}
	for _, host := range same[wire.Hosts](t, h, "/api/v1/hosts").Hosts {
		f(alf.Key{Host: alf.HostName(host.Name)}, host.Head)
	}
	if n := same[wire.Status](t, h, "/api/v1/status").Held; n != 3 {
		t.Errorf("%d are held, want 3", n)
	}
	var held []string
	for _, s := range same[wire.Services](t, h, "/api/v1/services?held=true").Services {
		held = append(held, s.Key().String()+": "+s.Held.Short())
	}
	if got, want := strings.Join(held, ", "), "db1!disk: host down, web1!app: dependency database, web1!load: checks off"; got != want {
		t.Errorf("held=true: %s, want %s", got, want)
	}
	if s := same[wire.Service](t, bound(t, false), "/api/v1/services/db1/disk"); s.Held != nil || s.NextCheck == nil {
		t.Errorf("a host that is DOWN holds its service back though it is not told to: %+v", s.Held)
	}
}

// TestETagOfPeriods: when the time of a dependency ends, what it held back is
// another answer, though nothing else has happened.
func TestETagOfPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		public := api.New(bound(t, false).options).Public()
		get := func(tag string, status int) string {
			t.Helper()
			return ask(t, public, request("GET", "/api/v1/services?held=true", "", "If-None-Match", tag), status).Header().Get("ETag")
		}
		tag := get("", 200)
		time.Sleep(59 * time.Minute)
		get(tag, 304)
		time.Sleep(2 * time.Minute)
		w := ask(t, public, request("GET", "/api/v1/services?held=true", "", "If-None-Match", tag), 200)
		if strings.Contains(w.Body.String(), "database") {
			t.Errorf("outside its period the dependency holds %s", w.Body)
		}
	})
}
