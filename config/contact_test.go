package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
)

const telling1 = `
[action.chat]
type = "webhook"
url  = "http://chat.example.com/secret"

[action.pager]
type      = "webhook"
url       = "http://pager.example.com/"
retry_for = "2h"

[contact.ops]
actions             = ["chat"]
notification_period = "office"
host_notification_options = ["d", "r"]

[contact.boss]
alias   = "The boss"
actions = ["pager", "chat"]

[timeperiod.office]
monday = "09:00-17:00"

[hostgroup.web]
contacts                 = ["ops"]
notification_interval    = "1h"
first_notification_delay = "5m"
notification_options     = ["down", "recovery"]

[host.web1]
hostgroups = ["web"]

[host.web2]
hostgroups = ["web"]
actions    = ["pager"]

[host.db1]

[template.loud]
contacts = ["boss"]

[check.disk]
hosts   = ["*"]
command = ["x"]

[check.load]
hosts    = ["*"]
use      = "loud"
contacts = ["+ops"]
command  = ["x"]
notification_options = ["critical"]

[check.quiet]
hosts    = ["*"]
command  = ["x"]
contacts = []

[host.db1.check.quiet]
contacts = ["boss"]
notification_interval = "0s"

[defaults]
actions = ["chat"]
first_notification_delay = "1m"

[escalation.late]
hosts              = ["web1"]
services           = ["load", "disk"]
first_notification = 3
begin              = "10m"
contacts           = ["boss"]
escalation_options = ["c", "recovery"]

[escalation.often]
hosts                 = ["web1"]
services              = ["disk"]
notification_interval = "1m"
`

// TestPolicies: who is told of what, and where that comes from.
func TestPolicies(t *testing.T) {
	c := load(t, telling1)
	f := func(key, contacts, actions string, interval, delay time.Duration, escalations ...string) {
		t.Helper()
		p := service(t, c, key).Policy
		if p == nil {
			p = &alf.Policy{}
		}
		var names []string
		for _, e := range p.Escalations {
			names = append(names, e.Name)
		}
		if fmt.Sprint(p.Contacts) != contacts || fmt.Sprint(p.Actions) != actions || p.Interval != interval || p.Delay != delay || !slices.Equal(names, escalations) {
			t.Errorf("%s: %+v", key, p)
		}
	}
	f("web1", "[ops]", "[]", time.Hour, 5*time.Minute)
	f("web1!disk", "[ops]", "[]", time.Hour, time.Minute, "late", "often") // the host's delay is its own
	f("web1!load", "[boss ops]", "[]", time.Hour, time.Minute, "late")
	f("web1!quiet", "[]", "[]", 0, 0)
	f("web2", "[]", "[pager]", time.Hour, 5*time.Minute)
	f("web2!disk", "[]", "[pager]", time.Hour, time.Minute)
	f("db1", "[]", "[chat]", 30*time.Minute, time.Minute)
	f("db1!disk", "[]", "[chat]", 30*time.Minute, time.Minute)
	f("db1!quiet", "[boss]", "[]", 0, time.Minute)
	if p := service(t, c, "web1").Policy; p.Options != (alf.NotifyOptions{Status: [4]bool{alf.Down: true}, Recovery: true}) {
		t.Errorf("options of the host: %+v", p.Options)
	}
	if p := service(t, c, "db1!load").Policy; p.Options != (alf.NotifyOptions{Status: [4]bool{alf.Critical: true}}) {
		t.Errorf("options of the check: %+v", p.Options)
	}
	if c.Policy == nil || !slices.Equal(c.Policy.Actions, []string{"chat"}) {
		t.Errorf("of Alf itself is told %+v", c.Policy)
	}
	ops := c.Inventory.Contact("ops")
	if ops.HostPeriod != "office" || ops.ServicePeriod != "office" || ops.ServiceOptions != alf.AllOptions() ||
		ops.HostOptions != (alf.NotifyOptions{Status: [4]bool{alf.Down: true}, Recovery: true}) {
		t.Errorf("contact ops: %+v", ops)
	}
	late := service(t, c, "web1!load").Policy.Escalations[0]
	if late.First != 3 || late.Last != 0 || late.Begin != 10*time.Minute || late.Interval >= 0 || !late.Options.Recovery || !late.Options.Status[alf.Critical] || late.Options.Status[alf.Warning] {
		t.Errorf("escalation: %+v", late)
	}
	if len(c.Actions) != 2 || c.Actions[0].Name != "chat" || c.Actions[0].RetryFor != day || c.Actions[1].RetryFor != 2*time.Hour {
		t.Errorf("actions: %+v", c.Actions)
	}
}

// TestNobodyIsTold: without contacts and actions there is no policy.
func TestNobodyIsTold(t *testing.T) {
	c := load(t, "[host.web1]\n[check.x]\nhosts = [\"*\"]\ncommand = [\"x\"]\n")
	for _, s := range c.Inventory.Services() {
		if s.Policy != nil {
			t.Errorf("%v: %+v", s.Key, s.Policy)
		}
	}
}

// TestShowTelling: who is told is shown, with where it stands, and no secret.
func TestShowTelling(t *testing.T) {
	o := options()
	o.Origins = true
	c, err := Load(write(t, telling1), o)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := c.Show(&out, "", ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n[action.chat]\ntype = \"webhook\"  # ", "\nurl = \"<secret>\"  # ", "\nretry_for = \"2h\"  # ",
		"\n[contact.ops]\nactions = [\"chat\"]  # ", "\nhost_notification_options = [\"down\", \"recovery\"]  # ",
		"\ncontacts = [\"boss\", \"ops\"]  # ", "\nnotification_interval = \"1h\"  # ", "\nnotification_options = [\"critical\"]  # ",
		"\nescalations = [\"late: from 3, after 10m, tells boss\", \"often: from 1, every 1m\"]\n",
		"\nfirst_notification_delay = \"5m\"  # ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing of %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "chat.example.com") {
		t.Error("the URL is shown")
	}
}

// TestShowKinds: lists and tables of actions are shown as they are read.
func TestShowKinds(t *testing.T) {
	load := func(src string) string {
		t.Helper()
		c, err := Load(write(t, src), options())
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := c.Show(&out, "", ""); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	text := load(`
[action.am]
type        = "alertmanager"
urls        = ["http://am1:9093", "http://am2:9093"]
labels      = { site = "a \"b\"", team = "web" }
annotations = { x = "{{.Host}}\n" }
refresh     = "30s"
headers     = { X-Scope-OrgID = "s3cret" }

[action.mail]
type   = "email"
server = "mail.example.com"
from   = "alf@example.com"
to     = "Ops <ops@example.com>"
`)
	for _, want := range []string{
		"\nurls = [\"http://am1:9093\", \"http://am2:9093\"]\n", "\nlabels = { \"site\" = \"a \\\"b\\\"\", \"team\" = \"web\" }\n",
		"\nannotations = { \"x\" = \"{{.Host}}\\n\" }\n", "\nrefresh = \"30s\"\n", "\nto = [\"Ops <ops@example.com>\"]\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing of %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "s3cret") {
		t.Errorf("a secret is shown:\n%s", text)
	}
}

// TestContactsOfSources: a host of a source may name contacts, and one that is not
// there is a mistake of that host alone.
func TestContactsOfSources(t *testing.T) {
	const src = `
[source.cmdb]
file = "hosts.json"
[contact.ops]
actions = ["chat"]
[action.chat]
type = "webhook"
url  = "http://example.com/"
[check.x]
hosts = ["*"]
`
	o := options()
	o.BlameHosts = true
	o.Answers = map[string]Answer{"cmdb": {Body: []byte(`[{"name": "web1", "contacts": ["ops"]}, {"name": "web2", "contacts": ["opps"]}]`)}}
	c, err := Load(write(t, src), o)
	if err != nil {
		t.Fatal(err)
	}
	if p := service(t, c, "web1!x").Policy; p == nil || !slices.Equal(p.Contacts, []string{"ops"}) {
		t.Errorf("web1: %+v", p)
	}
	if c.Inventory.Host("web2") != nil || len(c.Warnings) == 0 || !strings.Contains(fmt.Sprint(c.Warnings), `there is no [contact.opps]; did you mean "ops"?`) {
		t.Errorf("web2: %v", c.Warnings)
	}
}
