package config

import (
	"strings"
	"testing"

	"alf"
)

func TestDependencies(t *testing.T) {
	c := load(t, `
[daemon]
soft_state_dependencies = true

[hostgroup.web]
members = ["web*"]

[host.web1]
[host.web2]
[host.db]

[check.agent]
command = "x"
hosts   = ["@web"]

[check.disk]
service  = "disk $mount$"
for_each = { mount = ["/", "/srv"] }
command  = "x"
hosts    = ["@web"]

[check.sql]
command = "x"
hosts   = ["db"]

[dependency.agent]
hosts                         = ["@web"]
services                      = ["agent"]
dependent_services            = ["*"]
execution_failure_criteria    = ["w", "critical", "p"]
notification_failure_criteria = ["none"]
soft_state_dependencies       = false
dependency_period             = "24x7"

[dependency.database]
hosts                         = ["db"]
services                      = ["sql"]
dependent_hosts               = ["*", "!web2", "!db"]
notification_failure_criteria = ["c", "u"]
inherits_parent               = true

[dependency.host]
hosts                      = ["web2"]
dependent_services         = ["disk /"]
execution_failure_criteria = ["d", "unreachable"]
`)
	f := func(key string, want ...alf.Dependency) {
		t.Helper()
		k, err := alf.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, key, c.Inventory.Service(k).Dependencies, want)
	}
	on := func(host alf.HostName) alf.Dependency {
		return alf.Dependency{Name: "agent", Master: alf.Key{Host: host, Service: "agent"}, Period: "24x7",
			Run: alf.Criteria{Status: [4]bool{alf.Warning: true, alf.Critical: true}, Pending: true}}
	}
	f("web1!disk /", on("web1"))
	f("web1!disk /srv", on("web1"))
	f("web1!agent")
	f("web1", alf.Dependency{Name: "database", Master: alf.Key{Host: "db", Service: "sql"}, Inherits: true, Soft: true,
		Notify: alf.Criteria{Status: [4]bool{alf.Critical: true, alf.Unknown: true}}})
	f("web2!disk /", on("web2"), alf.Dependency{Name: "host", Master: alf.Key{Host: "web2"}, Soft: true,
		Run: alf.Criteria{Status: [4]bool{alf.Down: true, alf.Unreachable: true}}})
	f("web2")
	f("db")
	var out strings.Builder
	if err := c.Show(&out, "web2", "disk /"); err != nil || !strings.Contains(out.String(), `depends_on = ["web2!agent", "web2"]`) {
		t.Errorf("Show: %v\n%s", err, &out)
	}
}

// TestDependencyWarnings: what a selector does not find may be there later.
func TestDependencyWarnings(t *testing.T) {
	c := load(t, `
[host.web]

[check.a]
command = "x"
hosts   = ["web"]

[dependency.x]
hosts                      = ["web"]
services                   = ["a"]
dependent_services         = ["b*"]
execution_failure_criteria = ["c"]
`)
	equal(t, "warnings", len(c.Warnings), 2)
	equal(t, "first", message(c.Warnings[0], c.File), `alf.toml:8: dependency "x": nothing depends on anything by it`)
	equal(t, "second", message(c.Warnings[1], c.File), `alf.toml:11: "b*" matches no service of these hosts`)
}
