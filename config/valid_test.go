package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"alf"
	"alf/actions"
)

// service returns the service "HOST!SERVICE", which must be there.
func service(t testing.TB, c *Config, key string) *alf.Service {
	t.Helper()
	k, err := alf.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Inventory.Service(k)
	if s == nil {
		t.Fatalf("there is no %s", key)
	}
	return s
}

// line returns what a service runs, as a person would type it.
func line(s *alf.Service) string {
	if s.Shell != nil {
		return s.Shell.Reveal()
	}
	return strings.Join(reveal(s.Argv), " ")
}

// names returns the keys of all services but the hosts' own.
func names(c *Config) []string {
	var out []string
	for _, s := range c.Inventory.Services() {
		if !s.Key.IsHost() {
			out = append(out, s.Key.String())
		}
	}
	return out
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const example = `
[ssh]
user           = "monitor"
identity_files = ["2026.key", "2025.key"]       # tried in order within one login

[hostgroup.paris]
ssh = { port = 2222 }

[hostgroup.web]

[host."web1.example.com"]                       # a dotted name is quoted
address    = "10.0.0.7"
hostgroups = ["web", "paris"]
vars       = { disk_crit = "5%", mounts = ["/", "/srv"] }

[host.web3]
hostgroups = ["web"]

[host.db1]
-- conf.d/checks/disk.toml --
[check.disk]
for_each           = { mount = "mounts" }
service            = "disk $mount$"
command            = ["check_disk", "-w", "$disk_warn$", "-c", "$disk_crit$", "-p", "$mount$"]
hosts              = ["@web", "db*", "!web3"]
vars               = { disk_warn = "20%", disk_crit = "10%", mounts = ["/"] }
check_interval     = "1m"
retry_interval     = "20s"
max_check_attempts = 4
notes_url          = "https://wiki/disk"
-- conf.d/.hidden.toml --
not TOML
-- conf.d/readme.txt --
not TOML
-- 2025.key --
-- 2026.key --
`

func TestExample(t *testing.T) {
	file := write(t, example)
	dir := filepath.Dir(file)
	c, err := Load(file, options())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "counts", c.Counts.String(), "3 hosts, 1 check, 3 services")
	equal(t, "files", c.Files, []string{file, dir + "/conf.d/checks/disk.toml"})
	equal(t, "warnings", c.Warnings, []error(nil))
	equal(t, "services", names(c), []string{"db1!disk /", "web1.example.com!disk /", "web1.example.com!disk /srv"})

	host := c.Inventory.Host("web1.example.com")
	equal(t, "host", host, &alf.Host{
		Name:       "web1.example.com",
		Address:    "10.0.0.7",
		Hostgroups: []string{"web", "paris"},
		Vars:       map[string]alf.Value{"disk_crit": {Text: "5%"}, "mounts": {List: []string{"/", "/srv"}}},
		SSH: alf.SSH{
			Port:           2222,
			User:           "monitor",
			IdentityFiles:  []string{dir + "/2026.key", dir + "/2025.key"},
			KnownHosts:     []string{"/home/alf/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"},
			HostKeyPolicy:  alf.HostKeyStrict,
			ConnectTimeout: 10 * time.Second,
			MaxSessions:    5,
		},
		Where: alf.Position{File: file, Line: 11},
	})
	s := service(t, c, "web1.example.com!disk /srv")
	equal(t, "command", line(s), "check_disk -w 20% -c 5% -p /srv")
	s.Argv = nil
	equal(t, "service", s, &alf.Service{
		Key:           alf.Key{Host: "web1.example.com", Service: "disk /srv"},
		Host:          host,
		Check:         "disk",
		On:            host,
		Path:          builtin().pluginDir.v,
		Interval:      time.Minute,
		Retry:         20 * time.Second,
		MaxAttempts:   4,
		Flapping:      alf.FlapDetection{Low: 20, High: 30},
		Timeout:       time.Minute,
		TimeoutStatus: alf.Critical,
		BadExitStatus: alf.Unknown,
		MaxOutput:     256 << 10,
		Metric:        "disk",
		NotesURL:      "https://wiki/disk",
		Where:         alf.Position{File: dir + "/conf.d/checks/disk.toml", Line: 1},
	})
}

func TestEmpty(t *testing.T) {
	c := load(t, "")
	equal(t, "counts", c.Counts.String(), "0 hosts, 0 checks, 0 services")
	equal(t, "daemon", c.Daemon, defaultDaemon)
	equal(t, "web", c.Web, defaultWeb)
	equal(t, "dialling", c.Dialling, Dialling{Rate: 200, Most: 1000, KeepaliveInterval: 15 * time.Second, KeepaliveCount: 2})
	equal(t, "journal", c.Journal, defaultJournal)
	equal(t, "nagios", c.Nagios, Nagios{})
}

func TestDaemonAndWeb(t *testing.T) {
	own := currentUser()
	c := load(t, `
[daemon]
socket                = "run/alf.sock"
log_format            = "json"
log_level             = "warn"
log_levels            = { checker = "debug", ssh = "error" }
max_concurrent_checks = 10
max_checks_per_host   = 2
data_dir              = "/srv/alf"
local_user            = "`+own+`"
max_removed           = "7.5%"
keep_removed          = "1d"
reload_on_change      = true
host_down_disable_service_checks = true
[journal]
history = 7
[web]
listen        = "none"
allowed_hosts = ["alf.example.com", "10.0.0.7", "2001:db8::1"]
`)
	equal(t, "daemon", c.Daemon, Daemon{
		Socket: filepath.Dir(c.File) + "/run/alf.sock", LogFormat: "json", LogLevel: slog.LevelWarn,
		LogLevels:           map[string]slog.Level{"checker": slog.LevelDebug, "ssh": slog.LevelError},
		MaxConcurrentChecks: 10, MaxChecksPerHost: 2, DataDir: "/srv/alf", LocalUser: own,
		HostDownDisablesChecks: true, MaxRemoved: Share{Percent: 7.5}, KeepRemoved: 24 * time.Hour, ReloadOnChange: true,
	})
	equal(t, "a number", load(t, "daemon.max_removed = 20").Daemon.MaxRemoved, Share{Number: 20})
	equal(t, "none", load(t, `daemon.max_removed = "0%"`).Daemon.MaxRemoved, Share{})
	equal(t, "web", c.Web, Web{AllowedHosts: []string{"alf.example.com", "10.0.0.7", "2001:db8::1"}})
	journal := defaultJournal
	journal.History = 7
	equal(t, "journal", c.Journal, journal)
	for _, address := range []string{"127.0.0.1:5690", "127.1.2.3:0", "[::1]:5690", "localhost:80"} {
		equal(t, "listen", load(t, fmt.Sprintf("web.listen = %q", address)).Web.Listen, address)
	}
}

// TestRenamedFrom: a service knows all keys that it may have had.
func TestRenamedFrom(t *testing.T) {
	c := load(t, `
[host.www1]
renamed_from = "web1"
[check.disk]
hosts        = ["www1"]
for_each     = { mount = ["/", "/srv"] }
service      = "disk $mount$"
renamed_from = "fs $mount$"
`)
	equal(t, "former", fmt.Sprint(service(t, c, "www1!disk /srv").Former()), "[www1!fs /srv web1!disk /srv web1!fs /srv]")
	equal(t, "of the host", fmt.Sprint(service(t, c, "www1").Former()), "[web1]")
}

func TestCommandFile(t *testing.T) {
	c := load(t, `
[nagios]
command_file       = "rw/nagios.cmd"
command_file_group = "0"
`)
	equal(t, "nagios", c.Nagios, Nagios{CommandFile: filepath.Dir(c.File) + "/rw/nagios.cmd", CommandFileGroup: "0"})
}

func TestVarsPrecedence(t *testing.T) {
	c := load(t, `
[defaults.vars]
a = "defaults"
b = "defaults"
c = "defaults"
d = "defaults"
e = "defaults"
f = "defaults"

[hostgroup.first.vars]
a = "first"
b = "first"
c = "first"

[hostgroup.second.vars]
a = "second"
b = "second"
c = "second"
d = "second"

[hostgroup.alpha]
members = ["h*", "!h2"]
vars    = { a = "alpha", c = "alpha", d = "alpha", g = "alpha" }

[host.h]
hostgroups = ["second", "first"]
vars       = { a = "host", b = "host" }

[host.h2]

[check.c]
hosts    = ["h"]
service  = "c"
command  = ["x", "$a$", "$b$", "$c$", "$d$", "$e$", "$f$", "$g$"]
for_each = { a = ["each"] }
vars     = { a = "check", b = "check", c = "check", d = "check", e = "check" }
`)
	equal(t, "command", line(service(t, c, "h!c")), "x each host second second check defaults alpha")
	equal(t, "groups", c.Inventory.Host("h").Hostgroups, []string{"second", "first", "alpha"})
	equal(t, "vars", c.Inventory.Host("h").Vars["c"].Text, "second")
	equal(t, "vars", c.Inventory.Host("h").Vars["f"].Text, "defaults")
}

func TestHostSettings(t *testing.T) {
	c := load(t, `
[ssh]
user            = "monitor"
agent           = true
known_hosts     = "known_hosts"
connect_timeout = "3s"

[defaults]
check_interval     = "10m"
max_check_attempts = 7

[hostgroup.a]
retry_interval = "2s"
check_timeout  = "4s"
ssh            = { user = "a", port = 23, identity_files = [] }

[hostgroup.b]
check_interval = "11m"
retry_interval = "3s"
check_command  = "none"
ssh            = { user = "b", max_sessions = 1, gateway = true, prefetch = true, idle_timeout = "30m" }

[host.h]
hostgroups     = ["a", "b"]
check_interval = "12m"
ssh.user       = "h"

[host.p]
address       = "10.0.0.1"
alias         = "Printer"
check_command = ["check_ping", "-H", "$HOSTADDRESS$", "$HOSTALIAS$", "$HOSTNAME$", "$HOSTSTATE$"]
notes_url     = "https://wiki/$HOSTNAME$"

[host.s]
check_command = "$USER1$/check_icmp -H $HOSTADDRESS$"
[host.d.ssh]
password        = { env = "DB_PASSWORD" }
known_hosts     = ["~/known", "/etc/known"]
host_key_policy = "accept-new"
`)
	dir := filepath.Dir(c.File)
	h := c.Inventory.Host("h").SSH
	equal(t, "ssh of h", h, alf.SSH{
		Port: 23, User: "h", IdentityFiles: []string{}, Agent: true, KnownHosts: []string{dir + "/known_hosts"},
		HostKeyPolicy: alf.HostKeyStrict, ConnectTimeout: 3 * time.Second, MaxSessions: 1, Gateway: true,
		Prefetch: true, IdleTimeout: 30 * time.Minute,
	})
	d := c.Inventory.Host("d").SSH
	equal(t, "password of d", string(d.Password), "from-env")
	equal(t, "known hosts of d", d.KnownHosts, []string{"/home/alf/known", "/etc/known"})
	equal(t, "policy of d", d.HostKeyPolicy, alf.HostKeyAcceptNew)

	own := service(t, c, "h")
	equal(t, "check of h", own.Builtin, alf.CheckNone)
	equal(t, "interval, retry, attempts, timeout of h", []any{own.Interval, own.Retry, own.MaxAttempts, own.Timeout},
		[]any{12 * time.Minute, 2 * time.Second, 7, 4 * time.Second})

	ping := service(t, c, "p")
	equal(t, "check of p", line(ping), "check_ping -H 10.0.0.1 Printer p $HOSTSTATE$")
	equal(t, "metric of p", ping.Metric, "ping")
	equal(t, "notes of p", ping.NotesURL, "https://wiki/p")
	if ping.On != nil {
		t.Errorf("the check of p runs on %s, want beside Alf", ping.On.Name)
	}
	equal(t, "check of s", line(service(t, c, "s")), "'/usr/lib/nagios/plugins'/check_icmp -H 's'")
	equal(t, "metric of s", service(t, c, "s").Metric, "icmp")

	ssh := service(t, c, "d")
	equal(t, "check of d", ssh.Builtin, alf.CheckSSH)
	if ssh.On != c.Inventory.Host("d") {
		t.Errorf("the check of d does not run on d")
	}
}

// TestLinkService is RULES T2: who is checked otherwise and reached over SSH has
// a service for the link.
func TestLinkService(t *testing.T) {
	c := load(t, `
[hostgroup.web]
check_command      = ["check_ping"]
check_interval     = "2m"
retry_interval     = "7s"
max_check_attempts = 5
flap_detection_options = ["up"]
[host.ssh]
[host.ping]
hostgroups = ["web"]
[host.none]
check_command = "none"
check_timeout = "9s"
[host.gate]
check_command = "none"
[host.local]
check_command = "none"
[host.idle]
check_command = "none"
[check.disk]
command = ["check_disk"]
hosts   = ["ssh", "ping", "none"]
[check.inside]
command = ["check_http"]
hosts   = ["ssh"]
run     = "gate"
[check.http]
command = ["check_http"]
hosts   = ["local"]
run     = "local"
[check.job]
hosts = ["idle"]
`)
	var names []string
	for _, s := range c.Inventory.Services() {
		if s.IsLink() {
			names = append(names, s.Key.String())
			equal(t, "where "+s.Key.String()+" runs", s.On, s.Host)
		}
	}
	equal(t, "links", names, []string{"gate!ssh link", "none!ssh link", "ping!ssh link"})
	s := c.Inventory.Service(alf.Key{Host: "ping", Service: alf.LinkService})
	equal(t, "schedule of ping", []any{s.Interval, s.Retry, s.MaxAttempts, s.Flapping.Ignore, s.Metric},
		[]any{2 * time.Minute, 7 * time.Second, 5, [4]bool{}, "ssh"})
	equal(t, "timeout of none", c.Inventory.Service(alf.Key{Host: "none", Service: alf.LinkService}).Timeout, 9*time.Second)
	var out bytes.Buffer
	if err := c.Show(&out, "ping", alf.LinkService); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "check_command = \"ssh\"\ncheck_interval = \"2m\"\n") {
		t.Errorf("Show prints:\n%s", &out)
	}
}

func TestAgentDefault(t *testing.T) {
	const src = `
[host.none]
[host.key]
ssh = { identity_files = ["a.key"] }
[host.password]
ssh = { password = { env = "DB_PASSWORD" } }
[host.off]
ssh = { agent = false }
-- a.key --
`
	c := load(t, src)
	for name, want := range map[alf.HostName]bool{"none": true, "key": false, "password": false, "off": false} {
		if got := c.Inventory.Host(name).SSH.Agent; got != want {
			t.Errorf("agent of %s is %v, want %v", name, got, want)
		}
	}
	o := options()
	o.Getenv = func(name string) string { return map[string]string{"DB_PASSWORD": "x"}[name] }
	c, err := Load(write(t, src), o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Inventory.Host("none").SSH.Agent {
		t.Error("without SSH_AUTH_SOCK, the agent is on")
	}
	equal(t, "known hosts without HOME", c.Inventory.Host("none").SSH.KnownHosts, []string{"/etc/ssh/ssh_known_hosts"})
}

func TestHomeIsNotSet(t *testing.T) {
	o := options()
	o.Getenv = func(string) string { return "" }
	file := write(t, "ssh.known_hosts = [\"~/a\"]\n")
	_, err := Load(file, o)
	equal(t, "error", message(err, file), `alf.toml:1: known_hosts: "~/a": HOME is not set`)
}

func TestCheckSettings(t *testing.T) {
	c := load(t, `
[defaults]
check_interval     = "1w"
retry_interval     = "1h30m"
max_check_attempts = 1
check_timeout      = "1.5s"
timeout_state      = "unknown"
compat             = "nagios"
plugin_dir         = "/opt/plugins/"
max_output         = "1MB"

[host.h]
[host.other]

[check.a]
hosts   = ["h"]
command = "check_a"

[check.b]
hosts              = ["h"]
command            = ["/x/check_b.sh"]
check_interval     = "0s"
retry_interval     = "1s"
max_check_attempts = 2
check_timeout      = "1d"
timeout_state      = "ok"
compat             = ""
plugin_dir         = ["/a", "/b"]
max_output         = 2048
metric             = "bee"
cwd                = "/var/$HOSTNAME$"
stdin              = "$HOSTNAME$ $SERVICESTATE$\n"
env                = { Z = 1, A = "$HOSTADDRESS$ $SERVICESTATE$", S = { env = "DB_PASSWORD" } }
run                = "other"

[check.c]
hosts   = ["h"]
command = ["x"]
run     = "local"

[check.d]
hosts  = ["h"]
script = "check_mem"
args   = ["-w", "$HOSTNAME$", "$SERVICESTATE$", 5]
run    = "remote"

[check.e]
hosts  = ["h"]
script = "./check_own"

[check.check_backup]
hosts = ["h"]
-- check_own --
#!/bin/sh
`)
	a := service(t, c, "h!a")
	equal(t, "a", []any{a.Interval, a.Retry, a.MaxAttempts, a.Timeout, a.TimeoutStatus, a.BadExitStatus, a.Path, a.MaxOutput, a.Metric},
		[]any{7 * day, 90 * time.Minute, 1, 1500 * time.Millisecond, alf.Unknown, alf.Critical, []string{"/opt/plugins"}, 1_000_000, "a"})
	b := service(t, c, "h!b")
	equal(t, "b", []any{b.Interval, b.Retry, b.MaxAttempts, b.Timeout, b.TimeoutStatus, b.BadExitStatus, b.Path, b.MaxOutput, b.Metric, b.Dir, b.On.Name},
		[]any{time.Duration(0), time.Second, 2, day, alf.OK, alf.Unknown, []string{"/a", "/b"}, 2048, "bee", "/var/h", alf.HostName("other")})
	var env []string
	for _, e := range b.Env {
		env = append(env, e.Name+"="+e.Value.Reveal())
	}
	equal(t, "stdin", b.Stdin.Reveal(), "h $SERVICESTATE$\n")
	equal(t, "env", env, []string{"A=h $SERVICESTATE$", "S=from-env", "Z=1"})
	if on := service(t, c, "h!c").On; on != nil {
		t.Errorf("c runs on %s, want beside Alf", on.Name)
	}
	d := service(t, c, "h!d")
	equal(t, "d", []any{d.Script, line(d), d.On.Name, d.Metric}, []any{"check_mem", "-w h $SERVICESTATE$ 5", alf.HostName("h"), "mem"})
	e := service(t, c, "h!e")
	equal(t, "e", []any{e.Script, e.Argv, e.Metric}, []any{filepath.Dir(c.File) + "/check_own", []alf.Template(nil), "own"})
	passive := service(t, c, "h!check_backup")
	if !passive.Passive || passive.Scheduled() || passive.On != nil || passive.Metric != "backup" {
		t.Errorf("a check without command is %+v, want passive", passive)
	}
}

func TestMacros(t *testing.T) {
	c := load(t, `
[defaults]
plugin_dir = ["/first", "/second"]
vars       = { USER2 = "two", nested = "<$inner$>", inner = "$HOSTNAME$/$i$", pay = "5$$", n = 5, yes = true, pi = 3.50 }

[hostgroup.g1]
[hostgroup.g2]

[host.h]
address    = "10.0.0.1"
alias      = "The $Host$"
hostgroups = ["g2", "g1"]
vars       = { disk = "sda", list = ["a b", "$USER2$"] }

[host.bare]
vars = { list = ["x"], USER1 = "mine" }

[check.c]
hosts    = ["h"]
for_each = { i = "list" }
service  = "c $i$"
vars     = { Kind = "ssd" }
args     = ["first arg", "$disk$"]
command  = ["x", "$HOSTNAME$", "$HOSTALIAS$", "$HOSTADDRESS$", "$HOSTGROUPNAME$", "$HOSTGROUPNAMES$", "$SERVICEDESC$", "$SERVICECHECKCOMMAND$",
            "$USER1$", "$USER2$", "$ARG1$", "$ARG2$", "$_HOSTDISK$", "$_HOSTdisk$", "$_SERVICEKIND$", "$_SERVICEI$", "$nested$", "$pay$", "$n$$yes$$pi$", "$list$", "$", "$$", "5$ $x"]
[check.bare]
hosts   = ["bare"]
command = ["$USER1$/check_x", "$HOSTALIAS$", "<$HOSTGROUPNAME$$HOSTGROUPNAMES$>", "$_HOSTN$", "$SERVICECHECKCOMMAND$"]
`)
	equal(t, "argv", reveal(service(t, c, "h!c two").Argv), []string{
		"x", "h", "The $Host$", "10.0.0.1", "g2", "g2,g1", "c two", "x!first arg!sda",
		"/first", "two", "first arg", "sda", "sda", "sda", "ssd", "two", "<h/two>", "5$", "5true3.5", "a b,two", "$", "$", "5$ $x",
	})
	equal(t, "argv", reveal(service(t, c, "h!c a b").Argv)[16], "<h/a b>")
	bare := service(t, c, "bare!bare")
	equal(t, "argv", reveal(bare.Argv), []string{"mine/check_x", "bare", "<>", "5", "check_x"})
	equal(t, "metric", bare.Metric, "x")
	equal(t, "vars", c.Inventory.Host("h").Vars["list"], alf.Value{List: []string{"a b", "two"}})
	equal(t, "a variable that only a check can resolve", c.Inventory.Host("h").Vars["nested"], alf.Value{Text: "<$inner$>"})
}

func TestShellLine(t *testing.T) {
	c := load(t, `
[host.h]
vars = { v = "it's; $(x) \\" }
[check.c]
hosts   = ["h"]
command = "check_x $v$ '$v$' \"$v$\" $ARG1$ $SERVICESTATE$ $$HOME | tr a b"
args    = ["$v$ "]
`)
	const quoted = `it'\''s; $(x) \`
	equal(t, "line", line(service(t, c, "h!c")),
		`check_x '`+quoted+`' '`+quoted+`' "`+`"'`+quoted+`'"`+`" '`+quoted+` ' $SERVICESTATE$ $HOME | tr a b`)
	last := service(t, c, "h!c").Shell
	equal(t, "macros", last.Macros(), []string{"SERVICESTATE"})
}

func TestForEach(t *testing.T) {
	c := load(t, `
[host.h1]
vars = { disks = ["a", "b"], shares = ["x", "y"] }
[host.h2]
vars = { disks = [], shares = ["x"] }
[host.h3]
vars = { disks = ["c"], shares = ["x"] }

[check.c]
hosts    = ["*"]
for_each = { d = "disks", s = "shares", n = [1, 2] }
service  = "$d$-$s$-$n$"
command  = "x $d$ $s$ $n$"
`)
	equal(t, "services", names(c), []string{
		"h1!a-x-1", "h1!a-x-2", "h1!a-y-1", "h1!a-y-2", "h1!b-x-1", "h1!b-x-2", "h1!b-y-1", "h1!b-y-2", "h3!c-x-1", "h3!c-x-2",
	})
	equal(t, "line", line(service(t, c, "h1!b-y-2")), "x 'b' 'y' '2'")
}

func TestSelectors(t *testing.T) {
	const hosts = `
[hostgroup.web]
[hostgroup.web-old]
[hostgroup.db]
members = ["db*", "!db2"]
[host.web1]
hostgroups = ["web"]
[host.web2]
hostgroups = ["web", "web-old"]
[host.db1]
[host.db2]
[host."web1.example.com"]
[check.c]
command = "x"
hosts   = `
	f := func(selectors, want string) {
		t.Helper()
		var got []string
		for _, key := range names(load(t, hosts+selectors)) {
			got = append(got, strings.TrimSuffix(key, "!c"))
		}
		equal(t, selectors, strings.Join(got, " "), want)
	}
	f(`["*"]`, "db1 db2 web1 web1.example.com web2")
	f(`["web1"]`, "web1")
	f(`["web?"]`, "web1 web2")
	f(`["*1*"]`, "db1 web1 web1.example.com")
	f(`["@web"]`, "web1 web2")
	f(`["@web*"]`, "web1 web2")
	f(`["@web-*"]`, "web2")
	f(`["@db"]`, "db1")
	f(`["!web*", "*"]`, "db1 db2")
	f(`["@web", "!@web-old", "db2", "web1"]`, "db2 web1")
	f(`["web1", "!web1", "db1"]`, "db1")
}

func TestMatch(t *testing.T) {
	f := func(pattern, name string, want bool) {
		t.Helper()
		if got := alf.Match(pattern, name); got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	}
	f("", "", true)
	f("", "a", false)
	f("*", "", true)
	f("?", "", false)
	f("**", "ab", true)
	f("a*b*c", "aXbYbZc", true)
	f("a*b*c", "aXbYbZ", false)
	f("*.example.com", "www.example.com", true)
	f("*.example.com", "example.com", false)
	f("a?c*", "abc", true)
	f("[a]", "a", false)
	f("*aaaaaaaaaaaaaaaaaaaab", strings.Repeat("a", 1000), false)
}

func TestOverlap(t *testing.T) {
	c := load(t, `
[defaults.vars]
x = "1"
[hostgroup.web]
members = ["web*"]
[host.web1]
[host.web2]
[host.web3]

[check.a]
service = "disk"
hosts   = ["@web"]
command = "group $only$"
vars    = { only = "group" }

[check.b]
service = "disk"
hosts   = ["web1", "web*", "!web2", "!web3"]
command = "own"
-- conf.d/a.toml --
[check.c] # would be in conflict with a, if web2 were not named, too
service = "disk"
hosts   = ["*2"]
command = "glob"
[check.d]
service = "disk"
hosts   = ["web2"]
command = "direct"
`)
	for key, want := range map[string]string{"web1!disk": "own", "web2!disk": "direct", "web3!disk": "group 'group'"} {
		equal(t, key, line(service(t, c, key)), want)
	}
	equal(t, "counts", c.Counts.String(), "3 hosts, 4 checks, 3 services")
}

func TestWarnings(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		c := load(t, src)
		var got []string
		for _, w := range c.Warnings {
			got = append(got, message(w, c.File))
		}
		equal(t, "warnings", strings.Join(got, "\n"), want)
	}
	f(`
[hostgroup.none]
[host.h]
[host.i]
[check.a]
command = "x"
hosts   = ["h", "db*", "@none", "@x*", "!web*"]
[check.b]
command = "x"
hosts   = ["h", "!h"]
`, `alf.toml:7: "!web*" matches no host
alf.toml:7: "@x*" matches no hostgroup with hosts
alf.toml:7: "db*" matches no host
alf.toml:7: hostgroup "none" has no hosts
alf.toml:10: check "b" selects no host`)
	f(`
[host.h]
check.a.vars = { v = "w" }
[check.a]
hosts    = ["h"]
for_each = { m = [], n = ["x"], o = "list" }
vars     = { list = [] }
`, `alf.toml:6: for_each: the list of "m" is empty, so check "a" makes no services`)
	f(`
[template.unused]
use = "inner"
[template.inner]
[template.part.check.a]
cwd = "/x"
[hostgroup.g.check.a]
[hostgroup.used]
members = ["i"]
check."*" = { cwd = "/x" }
[host.h]
use       = "part"
check."b*" = { cwd = "/x" }
[host.h2]
use = "part"
[host.i]
hostgroups = ["g"]
[check.a]
command = "x"
hosts   = ["@used", "i"]
`, `alf.toml:2: template "unused" is used by no host and no check
alf.toml:5: [template.part.check.a] changes nothing: no check "a" selects a host that uses this template
alf.toml:13: [host.h.check."b*"] changes nothing: no check "b*" selects this host`)
	f(`
[secret.db]
env = "DB_PASSWORD"
[host.h]
vars          = { p = { secret = "db" }, all = "-p $p$" }
check_command = ["check_x", "$p$"]
[host.i]
vars = { all = "" }
[check.a]
command = "x $all$"
hosts   = ["*"]
[check.b]
script = "check_mem"
args   = ["$p$"]
hosts  = ["h"]
[check.c]
command = "x"
env     = { P = "$p$", Q = { secret = "db" } }
hosts   = ["h"]
`, `alf.toml:6: check_command has a secret in its arguments, which all users of this machine can see in the process list
alf.toml:10: check "a" has a secret in its arguments, which all users can see in the process list where it runs; hand it over in env or stdin
alf.toml:14: check "b" has a secret in its arguments, which all users can see in the process list where it runs; hand it over in env or stdin`)
	f(`
[ssh]
identity_files = ["good.key", "locked.key", "pkcs8.key", "old.key"]
[host.h]
[host.i]
[host.j.ssh]
agent = true
identity_files = ["agent.key"]
-- good.key --
-- locked.key --
`+privateKey("aes256-ctr")+`-- agent.key --
`+privateKey("aes256-ctr")+`-- pkcs8.key --
-----BEGIN ENCRYPTED PRIVATE KEY-----
AAAA
-----END ENCRYPTED PRIVATE KEY-----
-- old.key --
-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,00

AAAA
-----END RSA PRIVATE KEY-----
`, `alf.toml:3: identity_files: locked.key is encrypted and cannot be used: set passphrase, or load it into an agent and set agent = true
alf.toml:3: identity_files: old.key is encrypted and cannot be used: set passphrase, or load it into an agent and set agent = true
alf.toml:3: identity_files: pkcs8.key is encrypted and cannot be used: set passphrase, or load it into an agent and set agent = true`)
	f(`
[ssh]
identity_files = ["locked.key"]
passphrase     = { file = "right.secret" }
[host.h]
proxy_jump = "x@y"
[host.i.ssh]
identity_files = ["good.key"]
-- good.key --
-- right.secret --
right
-- locked.key --
`+privateKey("aes256-ctr"), `alf.toml:4: passphrase: none of identity_files is encrypted`)
	f(`
[hostgroup.g]
vars = { a = "\\e\\x", b = '\e\x', c = [
  1, ], d = """
""" }
[host.h]
alias = "\x41"
vars  = {
  c = "\e",
}
ssh   = { port = 22, }
[host.h.vars."\x41b"]
env   = "DB_PASSWORD"
`, `alf.toml:7: the escape \x is TOML 1.1: tools for TOML 1.0 refuse this file
alf.toml:8: an inline table over several lines is TOML 1.1: tools for TOML 1.0 refuse this file
alf.toml:9: the escape \e is TOML 1.1: tools for TOML 1.0 refuse this file
alf.toml:11: a comma at the end of an inline table is TOML 1.1: tools for TOML 1.0 refuse this file
alf.toml:12: the escape \x is TOML 1.1: tools for TOML 1.0 refuse this file`)
	f("", "alf.toml: no hosts are configured: there is no [host.NAME] here, nor in conf.d, which is not there")
	f("-- conf.d/a.toml --\n[hostgroup.a]\n", "alf.toml: no hosts are configured: there is no [host.NAME] here, nor in conf.d/**/*.toml")
	f(`
[ssh]
agent = false
[host.h]
[host.i]
[host.j]
check_command = "none"
[host.k]
ssh = { password = { env = "DB_PASSWORD" } }
`, `alf.toml:4: host "h" and 1 other: there is nothing to log in with; set identity_files, agent or password in [ssh]`)
}

const withSecrets = `
[secret.db]
file = "db.secret"

[ssh]
password = "db"

[host.h]
vars = { pass = { file = "db.secret" }, url = "http://u:$pass$@h", plain = "visible", env = { env = "DB_PASSWORD" } }

[check.c]
hosts   = ["h"]
command = ["x", "$pass$", "$url$", "$plain$"]
env     = { PASS = { secret = "db" }, URL = "$url$", ENV = "$env$" }

[check.d]
hosts   = ["h"]
command = "x '$url$' $plain$"
-- db.secret --
hunter2
`

func TestSecretsAreNeverPrinted(t *testing.T) {
	c := load(t, withSecrets)
	s := service(t, c, "h!c")
	equal(t, "command", line(s), "x hunter2 http://u:hunter2@h visible")
	equal(t, "password", string(s.Host.SSH.Password), "hunter2")

	var out bytes.Buffer
	if err := c.Show(&out, "", ""); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewMultiHandler(slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)))
	for _, x := range []any{c, *c, c.Inventory, s, *s, s.Host, *s.Host, s.Host.Vars, s.Host.SSH, s.Argv, s.Env, service(t, c, "h!d").Shell} {
		logger.Info("x", "x", x)
		fmt.Fprintf(&out, "%v %+v %#v\n", x, x, x)
		if err := json.NewEncoder(&out).Encode(x); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range []string{"hunter2", "from-env"} {
		if i := strings.Index(out.String(), secret); i >= 0 {
			t.Errorf("%q is printed: %s", secret, out.String()[max(0, i-200):i+20])
		}
	}
	if n := strings.Count(out.String(), alf.Redacted); n < 20 {
		t.Errorf("%s is printed %d times, want more", alf.Redacted, n)
	}
}

func TestNoSecrets(t *testing.T) {
	o := options()
	o.NoSecrets = true
	c, err := Load(write(t, `
[ssh]
identity_files = ["none.key"]
password       = { credential = "none" }
[daemon]
local_user = "no-such-user"
[secret.a]
file = "/none"
[host.h]
vars = { a = { secret = "a" }, b = { env = "NONE" } }
[check.c]
hosts   = ["h"]
command = ["x", "$a$$b$"]
`), o)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "command", line(service(t, c, "h!c")), "x <secret><secret>")
	equal(t, "identity files", c.Inventory.Host("h").SSH.IdentityFiles, []string{filepath.Dir(c.File) + "/none.key"})
}

func TestCredential(t *testing.T) {
	file := write(t, "[host.h]\nssh.password = { credential = \"db\" }\n-- credentials/db --\nsesame\r\n")
	o := options()
	o.Getenv = func(name string) string {
		return map[string]string{"CREDENTIALS_DIRECTORY": filepath.Dir(file) + "/credentials"}[name]
	}
	c, err := Load(file, o)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "password", string(c.Inventory.Host("h").SSH.Password), "sesame")

	for name, want := range map[string]string{
		"../alf.toml": `alf.toml:1: ssh.password: credential "../alf.toml" is no plain name`,
		"none":        `alf.toml:1: ssh.password: open credentials/none: no such file or directory`,
	} {
		if err := os.WriteFile(file, fmt.Appendf(nil, "host.h.ssh.password = { credential = %q }", name), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file, o)
		equal(t, name, message(err, file), want)
	}
}

func TestPermissions(t *testing.T) {
	const src = `
[ssh]
identity_files = ["a.key"]
password       = { file = "b.secret" }
[journal]
url  = "tls://nats1:4222"
cert = "c.pem"
key  = "c.key"
[host.h]
[check.c]
hosts  = ["h"]
script = "./check_own"
-- conf.d/a.toml --
-- a.key --
-- b.secret --
x
-- c.key --
-- check_own --
`
	f := func(name string, mode os.FileMode, want string) {
		t.Helper()
		file := write(t, src)
		if err := os.Chmod(filepath.Join(filepath.Dir(file), name), mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file, options())
		equal(t, fmt.Sprintf("%s with mode %04o", name, mode), message(err, file), want)
	}
	f("alf.toml", 0o444, "")
	f("alf.toml", 0o664, "alf.toml: others can write it (mode 0664): chmod go-w")
	f("conf.d/a.toml", 0o602, "conf.d/a.toml: others can write it (mode 0602): chmod go-w")
	f("conf.d", 0o777, "conf.d: others can write it (mode 0777): chmod go-w")
	f("a.key", 0o400, "")
	f("a.key", 0o640, "alf.toml:3: identity_files: read a.key: others can read it (mode 0640): chmod go=")
	f("b.secret", 0o604, "alf.toml:4: password: read b.secret: others can read it (mode 0604): chmod go=")
	f("c.key", 0o640, "alf.toml:8: key: read c.key: others can read it (mode 0640): chmod go=")
	f("check_own", 0o775, "alf.toml:12: script: read check_own: others can write it (mode 0775): chmod go-w")
}

func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	file := write(t, "[host.h]\n")
	if err := os.Chown(file, 12345, -1); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file, options())
	equal(t, "error", message(err, file), "alf.toml: belongs to user 12345, neither to root nor to the user that Alf runs as")
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "alf.toml"), options())
	equal(t, "error", message(err, dir+"/x"), "alf.toml: no such file or directory")

	file := write(t, "[host.h]\n-- real/a.toml --\n[host.i]\n-- conf.d/b.toml --\n[host.j]\n")
	dir = filepath.Dir(file)
	if err := os.Symlink("../real/a.toml", dir+"/conf.d/link.toml"); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, options())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "files", c.Files, []string{file, dir + "/conf.d/b.toml", dir + "/conf.d/link.toml"})
	if err := os.Symlink("../real", dir+"/conf.d/more"); err != nil {
		t.Fatal(err)
	}
	_, err = Load(file, options())
	equal(t, "error", message(err, file), "conf.d/more: is a link to a folder; put the folder itself here")
}

func TestLoadsAreEqual(t *testing.T) {
	for _, src := range []string{example, withSecrets, "[timeperiod.night]\ntimezone = \"Europe/Berlin\"\nmonday = \"22:00-06:00\"\n"} {
		file := write(t, src)
		a, errA := Load(file, options())
		b, errB := Load(file, options())
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("two loads of the same files differ: %v, %v", errA, errB)
		}
	}
}

func TestShow(t *testing.T) {
	c := load(t, withSecrets)
	show := func(host alf.HostName, service alf.ServiceName) string {
		t.Helper()
		var out strings.Builder
		if err := c.Show(&out, host, service); err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if _, err := toml.Decode(out.String(), &doc); err != nil {
			t.Errorf("Show prints no TOML: %v", err)
		}
		return strings.ReplaceAll(out.String(), filepath.Dir(c.File)+"/", "")
	}
	equal(t, "service", show("h", "c"), `
# alf.toml:11
[service."h!c"]
check = "c"
command = ["x", "<secret>", "<secret>", "visible"]
run = "remote"
plugin_dir = ["/usr/lib/nagios/plugins", "/usr/lib64/nagios/plugins", "/usr/local/lib/nagios/plugins", "/usr/local/libexec/nagios", "/usr/local/nagios/libexec", "/usr/lib/monitoring-plugins"]
check_timeout = "1m"
timeout_state = "critical"
check_interval = "5m"
retry_interval = "1m"
max_check_attempts = 3
max_output = 262144
metric = "x"

[service."h!c".env]
ENV = "<secret>"
PASS = "<secret>"
URL = "<secret>"
`)
	host := show("h", "")
	for _, want := range []string{"# alf.toml:8\n[host.h]\n", `password = "<secret>"`, `url = "<secret>"`, `plain = "visible"`, `[service."h!c"]`, `command = "x '<secret>' 'visible'"`} {
		if !strings.Contains(host, want) {
			t.Errorf("the host shows\n%s\nwithout %s", host, want)
		}
	}
	if all := show("", ""); !strings.HasPrefix(all, "\n[daemon]\n") || !strings.HasSuffix(all, host) {
		t.Errorf("everything shows\n%s", all)
	}
	fails := func(host alf.HostName, service alf.ServiceName, want string) {
		t.Helper()
		if err := c.Show(&bytes.Buffer{}, host, service); err == nil || err.Error() != want {
			t.Errorf("Show(%q, %q) = %v, want %s", host, service, err, want)
		}
	}
	fails("H", "", `there is no host "H"; did you mean "h"?`)
	fails("x", "c", `there is no host "x"; did you mean "h"?`)
	fails("h", "C", `host "h" has no service "C"; did you mean "c"?`)
}

// TestDocs demands that docs/configure.md speaks of every key.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../docs/configure.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapters, _ := strings.Cut("\n"+string(data), "\n## [")
	for _, s := range sections() {
		header := s.name + "]"
		if s.named {
			header = s.name + "."
		}
		_, chapter, found := strings.Cut("\n## ["+chapters, "\n## ["+header)
		if !found {
			t.Errorf("docs/configure.md has no chapter [%s]", s.name)
			continue
		}
		chapter, _, _ = strings.Cut(chapter, "\n## ")
		if s.name == templateSection {
			continue // it has the keys of the others
		}
		l := newLoader(Options{Actions: actions.Kinds()})
		for _, key := range slices.Sorted(maps.Keys(s.open(l, "x", alf.Position{}).keys(l))) {
			if key != others && !strings.Contains(chapter, "| `"+key+"` |") {
				t.Errorf("docs/configure.md says nothing of %s in [%s]", key, s.name)
			}
		}
	}
}
