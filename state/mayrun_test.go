package state_test

import (
	"testing"

	"alf"
	"alf/state"
)

// TestMayRun is RULES N26 beyond what the vectors show of checks.
func TestMayRun(t *testing.T) {
	key := func(name string) alf.Key { return alf.Key{Host: "h", Service: alf.ServiceName(name)} }
	critical := alf.Criteria{Status: [4]bool{alf.Critical: true}}
	on := func(master string, change func(*alf.Dependency)) []alf.Dependency {
		d := alf.Dependency{Name: "on " + master, Master: key(master), Run: critical}
		change(&d)
		return []alf.Dependency{d}
	}
	as := func(*alf.Dependency) {}
	hard := alf.State{Status: alf.Critical, Type: alf.Hard, Attempt: 3, LastHard: alf.Critical}
	soft := alf.State{Status: alf.Critical, Type: alf.Soft, Attempt: 1}
	f := func(what string, app []alf.Dependency, sql []alf.Dependency, states map[string]alf.State, want string) {
		t.Helper()
		r := &replay{services: map[string]*alf.Service{}, states: map[string]alf.State{}}
		for name, dependencies := range map[string][]alf.Dependency{"app": app, "sql": sql, "net": nil} {
			r.services[key(name).String()] = &alf.Service{Key: key(name), Dependencies: dependencies}
			r.states[key(name).String()] = states[name]
		}
		by, ok := state.MayRun(r.services["h!app"], r, r.now)
		if ok != (want == "") || !ok && by.Name != want {
			t.Errorf("%s: %v, %+v, want %q", what, ok, by, want)
		}
	}
	inherits := func(d *alf.Dependency) { d.Inherits = true }
	f("a problem of the master", on("sql", as), nil, map[string]alf.State{"sql": hard}, "on sql")
	f("a SOFT one", on("sql", as), nil, map[string]alf.State{"sql": soft}, "")
	f("a SOFT one that counts", on("sql", func(d *alf.Dependency) { d.Soft = true }), nil, map[string]alf.State{"sql": soft}, "on sql")
	f("outside its period", on("sql", func(d *alf.Dependency) { d.Period = "never" }), nil, map[string]alf.State{"sql": hard}, "")
	f("never checked", on("sql", func(d *alf.Dependency) { d.Run = alf.Criteria{Pending: true} }), nil, nil, "on sql")
	f("of the master's master", on("sql", as), on("net", as), map[string]alf.State{"net": hard}, "")
	f("and inherited", on("sql", inherits), on("net", as), map[string]alf.State{"net": hard}, "on net")
	f("a master that is not there", on("dns", as), nil, map[string]alf.State{"dns": hard}, "")
	f("criteria of notifications", on("sql", func(d *alf.Dependency) { d.Run, d.Notify = alf.Criteria{}, critical }), nil, map[string]alf.State{"sql": hard}, "")
}
