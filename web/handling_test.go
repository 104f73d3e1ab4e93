package web_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/internal/sanitize/hostile"
	"alf/web"
)

// ward is hosts on which people and time have done all that they can: db1 is in
// downtime, web1 is DOWN with a service behind it, and app1 has one of each.
func ward(t testing.TB) web.Options {
	now := time.Now()
	var hosts []*alf.Host
	var services []*alf.Service
	var events []*alf.Event
	host := func(name alf.HostName, status alf.Status) *alf.Event {
		h := &alf.Host{Name: name}
		hosts = append(hosts, h)
		services = append(services, &alf.Service{Key: alf.Key{Host: name}, Host: h, Builtin: alf.CheckSSH, MaxAttempts: 3})
		events = append(events, result(alf.Key{Host: name}, status, alf.Hard, 3, now.Add(-20*time.Minute), "SSH "+status.HostString()))
		return events[len(events)-1]
	}
	add := func(name alf.ServiceName, status alf.Status, output string) *alf.State {
		s := service(hosts[len(hosts)-1], name)
		services = append(services, s)
		events = append(events, result(s.Key, status, alf.Hard, 3, now.Add(-20*time.Minute), output))
		return &events[len(events)-1].State
	}
	patch := &alf.Downtime{ID: "d-7f3a", Author: "alice", Text: "patch day", Time: now, Start: now.Add(-time.Hour), End: now.Add(time.Hour), Began: now.Add(-time.Hour)}
	tapes := &alf.Downtime{ID: "d-91c0", Author: "bob", Text: "new <tapes>", Time: now, Start: now.Add(time.Hour), End: now.Add(3 * time.Hour), Duration: 30 * time.Minute, Trigger: "d-7f3a"}

	host("app1", alf.Up)
	disk := add("disk /", alf.Critical, "DISK CRITICAL - 1% free")
	disk.Ack = &alf.Ack{ID: "a-1", Author: "alice", Text: "ordered a <disk>", Time: now.Add(-5 * time.Minute), Sticky: true, Expires: now.Add(26 * time.Hour)}
	disk.Downtimes = []*alf.Downtime{tapes}
	disk.Comments = []*alf.Comment{{ID: "c-1", Author: "eve", Text: "rack <7>", Time: now.Add(-time.Hour)}}
	load := add("load", alf.Warning, "WARNING - load average: 9.1")
	load.Flap = alf.Flap{On: true, Percent: 34.21}
	load.Off = alf.SwitchChecks | alf.SwitchNotifications
	add("queue", alf.Unknown, "UNKNOWN - no answer from the broker")
	add("mail", alf.OK, "OK - 3 in the queue")
	host("db1", alf.Up).State.Downtimes = []*alf.Downtime{patch}
	add("replication", alf.Critical, "CRITICAL - 400 s behind").Downtimes = []*alf.Downtime{patch, tapes}
	add("memory", alf.Warning, "WARNING - 91% used")
	host("web1", alf.Down)
	add("http", alf.Critical, "CRITICAL - no route to host")
	host("web2", alf.Unreachable)
	return open(t, alf.NewInventory(hosts, services), events...)
}

func TestHandledComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := get(t, ward(t), "/", 200)
		contains(t, page, "<title>5 unhandled problems – Alf</title>",
			`<a class="unhandled" href="/?handled=false&amp;problems=true"><b class="state s-critical">5</b> unhandled</a>`,
			`<a href="/?handled=true&amp;problems=true">handled 3</a>`,
			`<span class="mark">acknowledged</span> 1`, `<span class="mark">downtime</span> 3`, `<span class="mark">flapping</span> 1`,
			`<a href="/?held=true"><span class="mark">held</span> 1</a>`,
			`<span class="mark" title="its checks were switched off">held: checks off</span>`,
			`<span class="mark" title="alice: ordered a &lt;disk&gt;">acknowledged</span>`,
			`<span class="mark" title="the host is in downtime">host downtime</span>`,
			`<span class="mark" title="34.2 % state change">flapping</span>`,
			`<span class="mark" title="another host is not UP">host problem</span>`,
			`alice: patch day">downtime</span>`)
		problems, _, _ := strings.Cut(page, "<h2>Hosts and services</h2>")
		open, handled, found := strings.Cut(problems, "Handled: acknowledged or in downtime")
		if !found {
			t.Fatalf("the handled problems do not stand for themselves:\n%s", problems)
		}
		contains(t, open, "no route to host", "load average")
		lacks(t, open, `class="handled"`)
		contains(t, handled, "1% free", "400 s behind", "91% used", `<tr class="handled">`)
	})
}

// TestAllHandled: what is wrong is shown though nobody has to do anything.
func TestAllHandled(t *testing.T) {
	page := get(t, ward(t), "/?handled=true", 200)
	contains(t, page, "None that nobody takes care of.", "400 s behind", "show all")
	lacks(t, page, "no route to host")
	page = get(t, ward(t), "/?handled=false&problems=true", 200)
	contains(t, page, "no route to host")
	lacks(t, page, "400 s behind", "Handled:", "3 in the queue")
}

// TestHeldIsListed: what is not run can be listed by itself.
func TestHeldIsListed(t *testing.T) {
	page := get(t, ward(t), "/?held=true", 200)
	contains(t, page, "load average", "show all")
	lacks(t, page, "1% free", "400 s behind")
}

func TestHandlingOfService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ward(t)
		page := get(t, o, "/services/app1/disk%20%2F", 200)
		contains(t, page, "<dt>Acknowledged</dt><dd>", ", sticky, until ", ", by alice: ordered a &lt;disk&gt;</dd>",
			"<h2>Downtimes</h2>", `<span class="mark">planned</span>`, "flexible, 30m 0s, with d-7f3a", "new &lt;tapes&gt;",
			"<h2>Comments</h2>", "rack &lt;7&gt;", `<td data-of="ID" class="name">c-1</td>`)
		lacks(t, page, "<dt>Flapping</dt>", "<dt>Switched off</dt>")

		page = get(t, o, "/services/app1/load", 200)
		contains(t, page, "<dt>Flapping</dt><dd>34.2 % state change</dd>", "<dt>Switched off</dt><dd>checks, notifications</dd>",
			"<dt>Next check</dt><dd>none: its checks were switched off</dd>")
		lacks(t, page, "<h2>Downtimes</h2>", "<h2>Comments</h2>", "<dt>Acknowledged</dt>")

		contains(t, get(t, o, "/hosts/db1", 200), `<span class="mark">active</span>`, "<td>fixed</td>", "in 1h 0m", "host downtime")
	})
}

func TestHostileHandling(t *testing.T) {
	for _, c := range hostile.Outputs() {
		t.Run(c.Name, func(t *testing.T) {
			host := &alf.Host{Name: "h"}
			s := service(host, "s")
			e := result(s.Key, alf.Critical, alf.Hard, 3, time.Now(), "")
			e.State.Ack = &alf.Ack{ID: c.Text, Author: c.Text, Text: c.Text}
			e.State.Downtimes = []*alf.Downtime{{ID: c.Text, Author: c.Text, Text: c.Text, Trigger: c.Text, Began: time.Now(), End: time.Now()}}
			e.State.Comments = []*alf.Comment{{ID: c.Text, Author: c.Text, Text: c.Text, Time: time.Now()}}
			s.Dependencies = []alf.Dependency{{Name: c.Text, Master: s.Key, Run: alf.Criteria{Status: [4]bool{alf.Critical: true}}}}
			e.State.LastHard = alf.Critical
			o := open(t, alf.NewInventory([]*alf.Host{host}, []*alf.Service{s}), e)
			for _, path := range []string{"/", "/services/h/s", "/hosts/h"} {
				checkPage(t, get(t, o, path, 200))
			}
		})
	}
}
