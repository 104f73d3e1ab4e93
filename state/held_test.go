package state_test

import (
	"testing"
	"time"

	"alf"
	"alf/state"
)

// office is a host with a service that depends on another one.
type office struct {
	host, master  alf.State
	hostDownHolds bool
	period        alf.Period // of the dependency; nil: always
	app, own, sql *alf.Service
}

func newOffice() *office {
	o := &office{own: &alf.Service{Key: alf.Key{Host: "h"}}, sql: &alf.Service{Key: alf.Key{Host: "h", Service: "sql"}}}
	failing := alf.Criteria{Status: [4]bool{alf.Critical: true}}
	o.app = &alf.Service{Key: alf.Key{Host: "h", Service: "app"},
		Dependencies: []alf.Dependency{{Name: "database", Master: o.sql.Key, Run: failing, Period: "p"}}}
	return o
}

func (o *office) Look(key alf.Key) (*alf.Service, alf.State) {
	switch key {
	case o.own.Key:
		return o.own, o.host
	case o.sql.Key:
		return o.sql, o.master
	}
	return nil, alf.State{}
}

func (o *office) Period(string) alf.Period     { return o.period }
func (o *office) HostDownDisablesChecks() bool { return o.hostDownHolds }

func TestHeld(t *testing.T) {
	down := alf.State{Status: alf.Down, Type: alf.Hard, Attempt: 3, LastHard: alf.Down}
	failing := alf.State{Status: alf.Critical, Type: alf.Hard, Attempt: 3, LastHard: alf.Critical}
	f := func(what string, change func(*office), off alf.Switch, want state.HoldReason) {
		t.Helper()
		o := newOffice()
		change(o)
		got := state.Held(o.app, off, o, time.Now())
		if got.Reason != want || (got.By != nil) != (want == state.DependencyFails) {
			t.Errorf("%s: Held = %+v, want %v", what, got, want)
		}
	}
	f("all is well", func(o *office) {}, 0, state.NotHeld)
	f("switched off", func(o *office) {}, alf.SwitchChecks, state.ChecksOff)
	f("other things are off", func(o *office) {}, alf.SwitchNotifications|alf.SwitchPassive, state.NotHeld)
	f("the host is DOWN", func(o *office) { o.host = down }, 0, state.NotHeld)
	f("and that counts", func(o *office) { o.host, o.hostDownHolds = down, true }, 0, state.HostNotUp)
	f("it is SOFT", func(o *office) {
		o.host, o.hostDownHolds = alf.State{Status: alf.Down, Type: alf.Soft, Attempt: 1}, true
	}, 0, state.NotHeld)
	f("the host itself", func(o *office) {
		o.host, o.hostDownHolds = down, true
		o.app.Key.Service = ""
	}, 0, state.NotHeld)
	f("the master fails", func(o *office) { o.master = failing }, 0, state.DependencyFails)
	f("outside the period", func(o *office) { o.master, o.period = failing, never{} }, 0, state.NotHeld)
	f("what people did comes first", func(o *office) { o.master, o.host, o.hostDownHolds = failing, down, true }, alf.SwitchChecks, state.ChecksOff)
	f("the host before a dependency", func(o *office) { o.master, o.host, o.hostDownHolds = failing, down, true }, 0, state.HostNotUp)
	f("nothing is run", func(o *office) {
		o.master, o.host, o.hostDownHolds = failing, down, true
		o.app.Passive = true
	}, alf.SwitchChecks, state.NotHeld)
}
