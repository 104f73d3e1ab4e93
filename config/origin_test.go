package config

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alf"
)

// TestOrigins: what is shown says of each value where it comes from.
func TestOrigins(t *testing.T) {
	file := write(t, `
[ssh]
user  = "monitor"
agent = true

[defaults]
max_check_attempts = 5
vars               = { warn = "20%" }

[template.often]
check_interval = "1m"

[template.often.expect]
output_not = "error"

[hostgroup.web]
ssh                 = { port = 2222 }
vars                = { site = "berlin" }
notification_period = "24x7"

[hostgroup.web.check."d*"]
env = { SITE = "$site$" }

[host.web1]
address    = "10.0.0.1"
hostgroups = ["web"]
vars       = { mounts = ["/", "/srv"], disk = "$warn$" }

[host.web1.check.disk]
retry_interval = "7s"

[check.disk]
use      = "often"
hosts    = ["web1"]
for_each = { mount = "mounts" }
service  = "disk $mount$"
command  = ["check_disk", "-w", "$disk$", "-p", "$mount$"]
`)
	o := options()
	o.Origins = true
	c, err := Load(file, o)
	if err != nil {
		t.Fatal(err)
	}
	show := func(host alf.HostName, service alf.ServiceName) string {
		t.Helper()
		var out bytes.Buffer
		if err := c.Show(&out, host, service); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(out.String(), filepath.Dir(file)+"/", "")
	}
	f := func(shown, want string) {
		t.Helper()
		if !strings.Contains(shown, "\n"+want+"\n") {
			t.Errorf("there is no line %s in %s", want, shown)
		}
	}
	host := show("web1", "")
	f(host, `address = "10.0.0.1"  # alf.toml:25 [host.web1]`)
	f(host, `hostgroups = ["web"]  # alf.toml:26 [host.web1]`)
	f(host, `check_interval = "5m"  # default`)
	f(host, `max_check_attempts = 5  # alf.toml:7 [defaults]`)
	f(host, `notification_period = "24x7"  # alf.toml:19 [hostgroup.web]`)
	f(host, `user = "monitor"  # alf.toml:3 [ssh]`)
	f(host, `port = 2222  # alf.toml:17 [hostgroup.web]`)
	f(host, `connect_timeout = "10s"  # default`)
	f(host, `mounts = ["/", "/srv"]  # alf.toml:27 [host.web1]`)
	f(host, `site = "berlin"  # alf.toml:18 [hostgroup.web]`)
	f(host, `warn = "20%"  # alf.toml:8 [defaults]`)
	one := show("web1", "disk /srv")
	f(one, `# $disk$ is "20%"  # alf.toml:27 [host.web1]`)
	f(one, `# $mount$ is "/srv"  # alf.toml:35 [check.disk]`)
	f(one, `# $site$ is "berlin"  # alf.toml:18 [hostgroup.web]`)
	f(one, `# $warn$ is "20%"  # alf.toml:8 [defaults]`)
	f(one, `command = ["check_disk", "-w", "20%", "-p", "/srv"]  # alf.toml:37 [check.disk]`)
	f(one, `check_interval = "1m"  # alf.toml:11 [template.often]`)
	f(one, `retry_interval = "7s"  # alf.toml:30 [host.web1.check.disk]`)
	f(one, `max_check_attempts = 5  # alf.toml:7 [defaults]`)
	f(one, `notification_period = "24x7"  # alf.toml:19 [hostgroup.web]`)
	f(one, `check_timeout = "1m"  # default`)
	f(one, `output_not = "error"  # alf.toml:14 [template.often.expect]`)
	f(one, `SITE = "berlin"  # alf.toml:22 [hostgroup.web.check."d*"]`)

	// Without it, nothing is told, and what it is made of is let go.
	plain, err := Load(file, options())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := plain.Show(&out, "web1", ""); err != nil || strings.Contains(out.String(), "[host.web1]\naddress = \"10.0.0.1\"  #") {
		t.Errorf("%v: %s", err, out.String())
	}
	if plain.origins != nil {
		t.Error("it is kept though nobody asked")
	}
}

// TestOriginsOfAll: the whole configuration of the example can be shown with
// them, and is TOML without them as well as with them.
func TestOriginsOfAll(t *testing.T) {
	o := options()
	o.Origins = true
	c, err := Load(write(t, example), o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Show(&out, "", ""); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "shown.toml")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var m mistakes
	if _, whole := parse(file, out.String(), &m); !whole || len(m.errors) > 0 {
		t.Errorf("it is no TOML: %v\n%s", m.err(), out.String())
	}
}

// TestShowsEverySetting: no key of the tables of Alf itself is left out, if all
// of them are set.
func TestShowsEverySetting(t *testing.T) {
	c := &Config{
		Inventory: alf.NewInventory(nil, nil),
		Daemon:    Daemon{LocalUser: "x", SoftStateDependencies: true, LogLevels: map[string]slog.Level{"ssh": slog.LevelDebug}},
		Journal:   Journal{URL: "nats://x", Credentials: "x", CA: "x", Cert: "x", Key: "x"},
		Nagios:    Nagios{CommandFile: "x", CommandFileGroup: "x"},
	}
	var out bytes.Buffer
	if err := c.Show(&out, "", ""); err != nil {
		t.Fatal(err)
	}
	l := newLoader(Options{})
	for name, table := range map[string]thing{"daemon": &l.daemon, "journal": &l.journal, "web": &l.web, "nagios": &l.nagios} {
		_, shown, _ := strings.Cut(out.String(), "\n["+name+"]\n")
		shown, _, _ = strings.Cut(shown, "\n\n")
		for key := range table.keys(l) {
			if !strings.Contains("\n"+shown, "\n"+key+" = ") && key != "log_levels" {
				t.Errorf("[%s] is shown without %s:\n%s", name, key, shown)
			}
		}
	}
}
