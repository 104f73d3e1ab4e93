package state_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/state"
)

// depend gives the services of a vector their dependencies.
func (v *vector) depend(t *testing.T, services map[string]*alf.Service) {
	for _, o := range v.Objects {
		if !strings.HasSuffix(o.Define, "dependency") {
			continue
		}
		master := alf.Key{Host: alf.HostName(o.With["host_name"]), Service: alf.ServiceName(o.With["service_description"])}
		dependent := alf.Key{Host: alf.HostName(o.With["dependent_host_name"]), Service: alf.ServiceName(o.With["dependent_service_description"])}
		s := services[dependent.String()]
		if s == nil || services[master.String()] == nil {
			t.Fatalf("%s: a dependency of %v on %v", v.Name, dependent, master)
		}
		s.Dependencies = append(s.Dependencies, alf.Dependency{
			Master:   master,
			Run:      criteria(master, o.With["execution_failure_criteria"]),
			Notify:   criteria(master, o.With["notification_failure_criteria"]),
			Inherits: o.With["inherits_parent"] == "1",
			Soft:     v.Main["soft_state_dependencies"] == "1",
			Period:   o.With["dependency_period"],
		})
	}
}

// criteria reads Nagios' letters.
func criteria(master alf.Key, text string) alf.Criteria {
	letters := "owcu"
	if master.IsHost() {
		letters = "odu"
	}
	c := alf.Criteria{Pending: strings.Contains(text, "p")}
	for i, letter := range letters {
		c.Status[i] = strings.ContainsRune(text, letter)
	}
	return c
}

// never is a timeperiod without time.
type never struct{}

func (never) Contains(time.Time) bool  { return false }
func (never) Next(time.Time) time.Time { return time.Time{} }

// Look implements state.Known.
func (r *replay) Look(key alf.Key) (*alf.Service, alf.State) {
	return r.services[key.String()], r.states[key.String()]
}

// Period implements state.Known.
func (r *replay) Period(name string) alf.Period {
	at := epoch.Add(30 * time.Second)
	switch name {
	case "never":
		return never{}
	case "from-30":
		return moment{from: at}
	case "until-30":
		return moment{until: at}
	}
	return nil
}

// HostDownDisablesChecks implements state.Known.
func (r *replay) HostDownDisablesChecks() bool {
	return r.v != nil && r.v.Main["host_down_disable_service_checks"] == "1"
}

// held holds the checks that Nagios ran, and those that it did not, against
// MayRun, where dependencies are what the vector is about.
func (r *replay) held(entries []entry) {
	if !slices.Contains(r.v.Needs, "dependencies") {
		return
	}
	second := entries[0].At
	for key, s := range r.services {
		ran := slices.ContainsFunc(entries, func(e entry) bool { return e.What == "check" && e.Key == key })
		if !ran && (second == 0 || r.next[key] != second) {
			continue
		}
		if _, may := state.MayRun(s, r, r.now); may != ran {
			r.wrong = append(r.wrong, "at "+strconv.Itoa(second)+", "+key+": may run: "+strconv.FormatBool(may)+", want "+strconv.FormatBool(ran))
		}
	}
	for _, e := range entries {
		if e.What == "state" {
			r.next[e.Key] = e.NextCheck
		}
	}
}

// told holds whom Nagios told, and whom it did not because of a dependency,
// against MayNotify.
func (r *replay) told(entries []entry) {
	for _, e := range entries {
		told := e.What == "notification" && (e.Text == "PROBLEM" || e.Text == "RECOVERY")
		if !told && !(e.What == "withheld" && strings.Contains(e.Why, "otification dependencies")) {
			continue
		}
		if _, may := state.MayNotify(r.services[e.Key], r, r.now); may != told {
			r.wrong = append(r.wrong, "at "+strconv.Itoa(e.At)+", "+e.Key+": may notify: "+strconv.FormatBool(may)+", want "+strconv.FormatBool(told))
		}
	}
}
