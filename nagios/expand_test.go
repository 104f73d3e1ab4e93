package nagios

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"alf"
)

// inventory has a router, two hosts behind it, one of them behind the other, and
// a printer that nothing is known of but its address, which another one has, too.
func inventory() *alf.Inventory {
	hosts := []*alf.Host{
		{Name: "router", Address: "10.0.0.1"},
		{Name: "web1", Address: "10.0.0.7", Hostgroups: []string{"web"}, Parents: []alf.HostName{"router"}},
		{Name: "web2", Address: "10.0.0.8", Hostgroups: []string{"all", "web"}, Parents: []alf.HostName{"web1"}},
		{Name: "printer", Address: "10.0.0.9"},
		{Name: "copier", Address: "10.0.0.9"},
	}
	var services []*alf.Service
	add := func(host alf.HostName, service alf.ServiceName, passive bool) {
		services = append(services, &alf.Service{Key: alf.Key{Host: host, Service: service}, Passive: passive})
	}
	for _, h := range hosts {
		add(h.Name, "", false)
	}
	add("web1", "load", false)
	add("web1", "backup", true)
	add("web2", "load", false)
	add("printer", "paper", true)
	return alf.NewInventory(hosts, services)
}

// heads: web1 is in a downtime for which load on web2 waits, and for that one the
// printer; the backup has another one, and comments.
func heads() iter.Seq[*alf.Event] {
	head := func(key string, s alf.State) *alf.Event {
		k, err := alf.ParseKey(key)
		if err != nil {
			panic(err)
		}
		return &alf.Event{Key: k, State: s}
	}
	return slices.Values([]*alf.Event{
		head("web2!load", alf.State{Downtimes: []*alf.Downtime{{ID: "b", Trigger: "a", Start: at(100)}}}),
		head("web1", alf.State{Downtimes: []*alf.Downtime{{ID: "a", Start: at(100), Text: "move"}}}),
		head("web1!backup", alf.State{
			Downtimes: []*alf.Downtime{{ID: "d", Start: at(200), Text: "move"}},
			Comments:  []*alf.Comment{{ID: "n"}, {ID: "m"}},
		}),
		head("printer", alf.State{Downtimes: []*alf.Downtime{{ID: "c", Trigger: "b", Start: at(100)}}, Comments: []*alf.Comment{{ID: "n"}}}),
	})
}

func expand(t *testing.T, line string) ([]alf.Command, error) {
	t.Helper()
	o, err := Parse("[1] "+line, now)
	if err != nil {
		t.Fatal(err)
	}
	return o.Expand("x", inventory(), heads)
}

func TestExpand(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		commands, err := expand(t, line)
		var got []string
		for _, c := range commands {
			text := fmt.Sprintf("%s %s", c.Key, c.ID)
			if c.Trigger != "" {
				text += "<" + c.Trigger
			}
			if c.Author != "command file" && c.Author != "jd (command file)" || c.Time != at(1) {
				t.Errorf("Expand(%q): %+v", line, c)
			}
			got = append(got, text)
		}
		if err != nil || strings.Join(got, ", ") != want {
			t.Errorf("Expand(%q) = %v, %v, want %s", line, strings.Join(got, ", "), err, want)
		}
	}
	f("PROCESS_SERVICE_CHECK_RESULT;web1;load;0;OK", "web1!load x")
	f("PROCESS_SERVICE_CHECK_RESULT;10.0.0.7;load;0;OK", "web1!load x")
	f("PROCESS_HOST_CHECK_RESULT;10.0.0.7;0;OK", "web1 x")
	f("SCHEDULE_FORCED_HOST_SVC_CHECKS;web1;0", "web1!load x") // nothing is run for the backup
	f("DISABLE_HOST_SVC_CHECKS;web1", "web1!backup x, web1!load x")
	f("DISABLE_HOST_AND_CHILD_NOTIFICATIONS;web1", "web2 x, web1 x")
	f("DISABLE_HOSTGROUP_HOST_CHECKS;web", "web1 x, web2 x")
	f("DISABLE_HOSTGROUP_SVC_CHECKS;all", "web2!load x")
	f("DISABLE_HOSTGROUP_HOST_CHECKS;all;jd;loud", "web2 x, web2 x") // and the comment

	f("SCHEDULE_HOST_DOWNTIME;web1;1800000000;1800000001;1;0;0;jd;x", "web1 x")
	f("SCHEDULE_HOST_DOWNTIME;web1;1800000000;1800000001;1;a;0;jd;x", "web1 x<a")
	f("SCHEDULE_HOSTGROUP_SVC_DOWNTIME;web;1800000000;1800000001;1;0;0;jd;x", "web1!backup x, web1!load x, web2!load x")
	f("SCHEDULE_AND_PROPAGATE_HOST_DOWNTIME;router;1800000000;1800000001;1;0;0;jd;x", "web1 x, web2 x, router x")
	// Those behind it wait already when its own begins.
	f("SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME;router;1800000000;1800000001;1;0;0;jd;x", "web1 x-behind<x, web2 x-behind<x, router x")

	// What waits for a downtime goes with it.
	f("DEL_HOST_DOWNTIME;a", "web1 a, web2!load b, printer c")
	f("DEL_SVC_DOWNTIME;d", "web1!backup d")
	f("DEL_DOWNTIME_BY_HOST_NAME;web1", "web1 a, web1!backup d, web2!load b, printer c")
	f("DEL_DOWNTIME_BY_HOST_NAME;web1;backup", "web1!backup d")
	f("DEL_DOWNTIME_BY_HOST_NAME;web1;;200", "web1!backup d")
	f("DEL_DOWNTIME_BY_HOSTGROUP_NAME;all", "web2!load b, printer c")
	f("DEL_DOWNTIME_BY_START_TIME_COMMENT;200;move", "web1!backup d")
	f("DEL_DOWNTIME_BY_START_TIME_COMMENT;100", "printer c, web1 a, web2!load b")
	f("DEL_SVC_COMMENT;n", "web1!backup n")
	f("DEL_HOST_COMMENT;n", "printer n")
	f("DEL_ALL_SVC_COMMENTS;web1;backup", "web1!backup n, web1!backup m")
	f("DEL_ALL_HOST_COMMENTS;web1", "")
}

func TestNotThere(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		commands, err := expand(t, line)
		var why *Refusal
		if !errors.As(err, &why) || why.Reason != NotThere || err.Error() != want || commands != nil {
			t.Errorf("Expand(%q) = %v, %v, want %s", line, commands, err, want)
		}
	}
	f("PROCESS_SERVICE_CHECK_RESULT;web9;load;0;OK", `there is no host "web9"`)
	f("PROCESS_SERVICE_CHECK_RESULT;web1;laod;0;OK", `there is no service "laod" on host "web1"`)
	f("PROCESS_HOST_CHECK_RESULT;10.0.0.9;0;OK", `"10.0.0.9" is the address of several hosts, "copier" and "printer" among them`)
	f("REMOVE_HOST_ACKNOWLEDGEMENT;10.0.0.7", `there is no host "10.0.0.7"`)
	f("SCHEDULE_HOST_SVC_CHECKS;printer;0", "there are no such services there")
	f("DISABLE_HOST_SVC_CHECKS;router", "there are no such services there")
	f("DISABLE_HOSTGROUP_HOST_CHECKS;wep", `there is no host in a hostgroup "wep"`)
	f("SCHEDULE_HOST_DOWNTIME;web1;1800000000;1800000001;1;5;0;jd;x", `there is no downtime "5" that it could begin with`)
	f("DEL_SVC_DOWNTIME;a", `there is no downtime "a" of a service`)
	f("DEL_HOST_COMMENT;5", `there is no comment "5" of a host`)
	f("DEL_DOWNTIME_BY_HOST_NAME;web1;load", "there is no such downtime")
	f("DEL_DOWNTIME_BY_HOSTGROUP_NAME;wep", `there is no host in a hostgroup "wep"`)
	f("DEL_ALL_SVC_COMMENTS;web1;x", `there is no service "x" on host "web1"`)
}
