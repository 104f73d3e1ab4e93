package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
)

// loadWith loads src with what the source cmdb has said, and before that.
func loadWith(t testing.TB, src, body, last string) (*Config, string, error) {
	t.Helper()
	o := options()
	o.Answers = map[string]Answer{"cmdb": {Body: []byte(body), Time: time.Unix(1e9, 0)}}
	if last != "" {
		o.Answers["cmdb"] = Answer{Body: []byte(body), Last: []byte(last)}
	}
	file := write(t, src)
	c, err := Load(file, o)
	return c, file, err
}

const cmdb = `[source.cmdb]
command    = ["list"]
hostgroups = ["all"]
vars       = { site = "berlin", disk = "5%" }

[hostgroup.all]
[hostgroup.web]

[host.router]
check_command = "none"
`

func hostNames(c *Config) string {
	var names []string
	for _, h := range c.Inventory.Hosts() {
		names = append(names, string(h.Name))
	}
	return strings.Join(names, " ")
}

func TestSourceHosts(t *testing.T) {
	c, _, err := loadWith(t, cmdb, `[
  {"name": "web1", "address": "10.0.0.1", "alias": null, "groups": ["web"], "vars": {"disk": 10, "on": true, "mounts": ["/", "/srv"]}},
  {"name": "web2.example.com", "hostgroups": ["web", "all"], "parents": ["router", "web1"],
   "ssh": {"port": 2222}, "check_command": ["check_ping", "$HOSTADDRESS$"], "check_interval": "1m"}
]`, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := hostNames(c); got != "router web1 web2.example.com" {
		t.Errorf("hosts: %s", got)
	}
	web1, web2 := c.Inventory.Host("web1"), c.Inventory.Host("web2.example.com")
	if web1.Address != "10.0.0.1" || !slices.Equal(web1.Hostgroups, []string{"web", "all"}) || fmt.Sprint(web1.Where) != "{source cmdb 0}" {
		t.Errorf("web1 = %+v", web1)
	}
	if web1.Vars["disk"].Text != "10" || web1.Vars["site"].Text != "berlin" || web1.Vars["on"].Text != "true" || len(web1.Vars["mounts"].List) != 2 {
		t.Errorf("vars of web1 = %v", web1.Vars)
	}
	if web2.SSH.Port != 2222 || !slices.Equal(web2.Hostgroups, []string{"web", "all"}) || !slices.Equal(web2.Parents, []alf.HostName{"router", "web1"}) {
		t.Errorf("web2 = %+v", web2)
	}
	s := c.Sources[0]
	if s.Hosts != 2 || s.Interval != 10*time.Minute || s.Timeout != 30*time.Second || len(c.Warnings) != 0 {
		t.Errorf("source = %+v, warnings %v", s, c.Warnings)
	}
	again, _, err := loadWith(t, cmdb, string(s.Taken), "")
	if err != nil || hostNames(again) != hostNames(c) || string(again.Sources[0].Taken) != string(s.Taken) {
		t.Errorf("with what was taken: %v\n%s\n%s", err, s.Taken, again.Sources[0].Taken)
	}
}

// TestSourceTemplates: hosts of a source use templates, and override checks.
func TestSourceTemplates(t *testing.T) {
	const templates = `
[template.lab]
hostgroups = ["web"]
vars       = { disk = "1%" }

[check.disk]
command = ["check_disk", "$disk$"]
hosts   = ["@web"]
`
	c, _, err := loadWith(t, cmdb+templates, `[
  {"name": "web1", "use": "lab", "check": {"disk": {"check_interval": "9m"}}},
  {"name": "web2", "use": ["lap"]}
]`, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := hostNames(c); got != "router web1" {
		t.Errorf("hosts: %s", got)
	}
	if len(c.Warnings) != 1 { // of web2
		t.Errorf("warnings: %v", c.Warnings)
	}
	o := options()
	o.Answers = map[string]Answer{"cmdb": {Err: "exit code 7"}}
	file := write(t, cmdb+templates)
	unanswered, err := Load(file, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range unanswered.Warnings {
		if strings.Contains(message(w, file), "template") {
			t.Errorf("without an answer: %s", message(w, file))
		}
	}
	s := service(t, c, "web1!disk")
	if line(s) != "check_disk 1%" || s.Interval != 9*time.Minute {
		t.Errorf("web1 runs %q every %v", line(s), s.Interval)
	}
	if r := c.Sources[0].Refused; len(r) != 1 || r[0].Host != "web2" || r[0].Why != `use: there is no [template.lap]; did you mean "lab"?` {
		t.Errorf("refused: %+v", r)
	}
}

// TestSourceOverrides: what files say of single checks on a host of a source is
// laid over it, and defines none.
func TestSourceOverrides(t *testing.T) {
	const src = cmdb + `
[template.lab.check.disk]
check_interval = "7m"
retry_interval = "2m"

[check.disk]
hosts   = ["@web"]
command = ["check_disk", "$disk$"]

[host.web1.check.disk]
check_interval = "9m"

[host.web2.check."*"]
check_interval = "8m"
`
	c, file, err := loadWith(t, src, `[
  {"name": "web1", "address": "10.0.0.1", "groups": ["web"], "use": "lab", "vars": {"disk": "1%"}, "check": {"disk": {"max_check_attempts": 2}}},
  {"name": "web3", "groups": ["web"]}
]`, "")
	if err != nil {
		t.Fatal(err)
	}
	h, s := c.Inventory.Host("web1"), service(t, c, "web1!disk")
	if h.Address != "10.0.0.1" || !slices.Equal(h.Hostgroups, []string{"web", "all"}) || line(s) != "check_disk 1%" {
		t.Errorf("web1 = %+v runs %q", h, line(s))
	}
	if s.Interval != 9*time.Minute || s.Retry != 2*time.Minute || s.MaxAttempts != 2 {
		t.Errorf("every %v, retry %v, attempts %d", s.Interval, s.Retry, s.MaxAttempts)
	}
	const want = `alf.toml:23: there is no [host.web2], nor has a source such a host; did you mean "web1"?`
	if got := hostNames(c); got != "router web1 web3" || len(c.Warnings) != 1 || message(c.Warnings[0], file) != want {
		t.Errorf("hosts %s, warnings %v", got, c.Warnings)
	}
	c, file, err = loadWith(t, src, `{"web1": {"groups": ["web"], "check": {"disk": {"check_interval": "5m"}}}, "web2": {"groups": ["web"], "check": {"disk": {"check_interval": "5m"}}}}`, "")
	if err != nil || len(c.Warnings) != 1 || message(c.Warnings[0], file) != `alf.toml:12: template "lab" is used by no host and no check` {
		t.Fatalf("%v, warnings %v", err, c.Warnings)
	}
	if a, b := service(t, c, "web1!disk"), service(t, c, "web2!disk"); a.Interval != 9*time.Minute || b.Interval != 8*time.Minute {
		t.Errorf("every %v and %v: the files do not win", a.Interval, b.Interval)
	}
}

// TestSourceRefused: a host with mistakes costs nothing but itself, and if it was
// known before, nothing at all.
func TestSourceRefused(t *testing.T) {
	f := func(name, body, last, hosts, warnings string) {
		t.Helper()
		c, file, err := loadWith(t, "[ssh]\nagent = true\n"+cmdb, body, last)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		var got []string
		for _, w := range c.Warnings {
			got = append(got, strings.TrimPrefix(message(w, file), `alf.toml:3: source "cmdb": `))
		}
		if h := hostNames(c); h != hosts || strings.Join(got, "\n") != warnings {
			t.Errorf("%s: hosts %q, want %q; warnings:\n%s\nwant:\n%s", name, h, hosts, strings.Join(got, "\n"), warnings)
		}
	}
	f("key", `[{"name": "a"},
{"name": "b", "adress": "x"}]`, "", "a router", `host "b" (line 2) is left out: unknown key "adress" in [host.b]; did you mean "address"?`)
	f("key, known before", `[{"name": "a"}, {"name": "b", "adress": "x"}]`, `{"b": {"address": "10.0.0.9"}}`, "a b router",
		`host "b" (line 1) stays as it was: unknown key "adress" in [host.b]; did you mean "address"?`)
	f("several mistakes", `[{"name": "b", "alias": 5, "address": "a b"}]`, "", "router",
		`host "b" (line 1) is left out: address: "a b" is neither a host name nor an IP address; alias: want a string, got an integer`)
	f("group that is not there", `[{"name": "b", "groups": ["wep"]}, {"name": "a", "groups": ["web"]}]`, "", "a router",
		`host "b" (line 1) is left out: there is no [hostgroup.wep]; did you mean "web"?`)
	f("also before", `[{"name": "b", "groups": ["wep"]}]`, `[{"name": "b", "groups": ["old"]}]`, "router",
		`host "b" (line 1) is left out: there is no [hostgroup.wep]; did you mean "web"?; as it was before: there is no [hostgroup.old]; did you mean "all"?`)
	f("child of one", `[{"name": "b", "parents": ["c"]}, {"name": "c", "x": 1}, {"name": "a"}]`, "", "a router", `host "b" (line 1) is left out: there is no [host.c]; did you mean "a"?
host "c" (line 1) is left out: unknown key "x" in [host.c]`)
	f("circle", `[{"name": "b", "parents": ["c"]}, {"name": "c", "parents": ["b"]}]`, `[{"name": "b"}, {"name": "c"}]`, "b c router",
		`host "c" (line 1) stays as it was: parents go round in a circle: b behind c behind b`)
	f("macro", `[{"name": "b", "notes_url": "https://x/$y$"}]`, "", "router", `host "b" (line 1) is left out: notes_url of it: macro $y$ is not defined`)
	f("twice", "[{\"name\": \"b\", \"address\": \"10.0.0.1\"},\n{\"name\": \"b\"}]", "", "b router", `host "b" (line 2) is left out: it is already in line 1, which counts`)
	f("also in a file", `{"router": {"address": "10.0.0.1"}, "a": {}}`, "", "a router", `host "router" is already set in alf.toml:11, which counts`)
	f("no name", "[{},\n{\"name\": 7},\n5,\n{\"name\": \"\"},\n{\"name\": \"a!b\"}]", "", "router", `host "a!b" (line 5) is left out: host name "a!b" holds "!", "*" or "?" or begins with "@", which mean something else where hosts are selected
the host in line 1 is left out: it has no name
the host in line 2 is left out: name: want a string
the host in line 3 is left out: want an object
the host in line 4 is left out: the name of a host is empty`)
	f("names lost", "[{},\n{\"name\": {\"name\": 5}},\n7,\n{\"name\": \"\"},\n{\"name\": \"b\", \"x\": 1}]", `{"a": {}, "b": {}, "c": {"parents": ["a"]}, "d": {"groups": ["old"]}}`, "a b c router",
		`host "b" (line 5) stays as it was: unknown key "x" in [host.b]
host "d" (line 1) is left out: there is no [hostgroup.old]; did you mean "all"?
the host in line 1 is left out: it has no name; it may be any, so no host is removed
the host in line 2 is left out: name: want a string; it may be any, so no host is removed
the host in line 3 is left out: want an object; it may be any, so no host is removed
the host in line 4 is left out: the name of a host is empty; it may be any, so no host is removed`)
	f("two names", `{"a": {"name": "b"}, "c": {"name": "c"}}`, "", "c router", `host "a" (line 1) is left out: name: "b" stands under the name "a"`)
	f("key twice", `[{"name": "b", "vars": {"x": 1, "x": 2}}]`, "", "router", `host "b" (line 1) is left out: vars.x is set twice`)
	f("NUL", `[{"name": "b", "alias": "a\u0000"}, {"name": "c\u0000"}]`, "", "router", `host "b" (line 1) is left out: alias: contains a NUL byte
host "c\x00" (line 1) is left out: host name "c\x00" contains a control character or is not UTF-8`)
	f("not UTF-8", "[{\"name\": \"b\", \"alias\": \"\xfc\"}]", "", "router", `host "b" (line 1) is left out: it is not UTF-8`)
	f("deep", `[{"name": "b", "vars": {"x": `+strings.Repeat("[", 50)+strings.Repeat("]", 50)+`}}]`, "", "router", `host "b" (line 1) is left out: values lie too deep in each other`)
	f("null", `[{"name": "b", "groups": ["web", null], "vars": null}]`, "", "router", `host "b" (line 1) is left out: groups.1: null in a list`)
	f("number", `[{"name": "b", "vars": {"x": 1e999}}]`, "", "router", `host "b" (line 1) is left out: 1e999 is too large a number`)
	f("groups twice", `[{"name": "b", "groups": [], "hostgroups": []}]`, "", "router", `host "b" (line 1) is left out: groups: the same as hostgroups, which is there, too`)
	f("file of a secret", `[{"name": "b", "vars": {"x": {"file": "none.secret"}}}]`, "", "router",
		`host "b" (line 1) is left out: vars.x: open none.secret: no such file or directory`)
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("{\"name\": \"h%02d\", \"x\": 1}", i))
	}
	c, file, err := loadWith(t, cmdb, "["+strings.Join(many, ",")+"]", "")
	if err != nil || len(c.Warnings) != 21 || len(c.Sources[0].Refused) != 30 || !strings.HasSuffix(message(c.Warnings[0], file), "and so with 10 other hosts") {
		t.Errorf("many: %v, %v", c.Warnings, err)
	}
}

// TestSourceAnswer: what is no answer at all.
func TestSourceAnswer(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		if _, err := CheckAnswer([]byte(body)); fmt.Sprint(err) != want {
			t.Errorf("CheckAnswer(%.40q) = %v, want %s", body, err, want)
		}
	}
	f("", "it is empty, and no JSON")
	f(" \n", "it is empty, and no JSON")
	f("[{\"name\": \"a\"},\n{\"name\": \"b\",", "it is no JSON: line 2: unexpected end of JSON input")
	f("<html>", "it is no JSON: line 1: invalid character '<' looking for beginning of value")
	f(`[] []`, "it is no JSON: line 1: invalid character '[' after top-level value")
	f(`"a"`, "want a list of hosts, or an object of hosts by name")
	f("null", "want a list of hosts, or an object of hosts by name")
	f(strings.Repeat("[", 1<<20), "it is no JSON: line 1: invalid character '[' exceeded max depth")
	f("\xef\xbb\xbf[]", "<nil>")
	if n, err := CheckAnswer([]byte(`[{"name": "a"}, 5]`)); n != 2 || err != nil {
		t.Errorf("%d hosts, %v, want 2", n, err)
	}
}

// TestSourceMissing: what may be a source's is not missed while there is no answer.
func TestSourceMissing(t *testing.T) {
	src := cmdb + `parents = ["core"]
[check.x]
command = "x"
hosts   = ["web1", "web2"]
`
	file := write(t, src)
	o := options()
	o.Answers = map[string]Answer{"cmdb": {Err: "exit code 7"}}
	c, err := Load(file, o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings {
		got = append(got, message(w, file))
	}
	want := `alf.toml:1: source "cmdb" has no answer yet, and its hosts are missing: exit code 7
alf.toml:11: there is no [host.core]
alf.toml:14: there is no [host.web1], nor has a source such a host
alf.toml:14: there is no [host.web2], nor has a source such a host`
	if strings.Join(got, "\n") != want {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
	// With an answer, a parent is a mistake, and a host that is only selected is none.
	_, file, err = loadWith(t, src, `[{"name": "web1"}]`, "")
	if got := message(err, file); got != "alf.toml:11: there is no [host.core]" {
		t.Errorf("error: %s", got)
	}
	o.Answers = nil // the hosts of sources are not asked for
	if _, err := Load(file, o); err != nil {
		t.Error(err)
	}
}

// TestSourceBlame: what a check misses on hosts of a source is theirs only when
// somebody says so.
func TestSourceBlame(t *testing.T) {
	src := "[ssh]\nagent = true\n" + cmdb + `
[check.disk]
command = ["check_disk", "$mount$"]
hosts   = ["@all"]
`
	const answer = `[{"name": "a", "vars": {"mount": "/"}}, {"name": "b"}, {"name": "c"}]`
	_, file, err := loadWith(t, src, answer, "")
	if got := message(err, file); got != `alf.toml:15: check "disk" on host "b" and 1 other: macro $mount$ is not defined` {
		t.Errorf("error: %s", got)
	}
	o := options()
	o.BlameHosts = true
	o.Answers = map[string]Answer{"cmdb": {Body: []byte(answer), Last: []byte(`[{"name": "b", "vars": {"mount": "/b"}}]`)}}
	c, err := Load(file, o)
	if err != nil || hostNames(c) != "a b router" || len(c.Warnings) != 2 {
		t.Fatalf("%v, %v", c, err)
	}
	want := `alf.toml:3: source "cmdb": host "c" (line 1) is left out: check "disk" on it (alf.toml:15): macro $mount$ is not defined`
	if got := strings.ReplaceAll(message(c.Warnings[1], file), file, "alf.toml"); got != want {
		t.Errorf("warning %s, want %s", got, want)
	}
	o.Answers["cmdb"] = Answer{Body: []byte(`[]`)}
	if c, err := Load(write(t, src+"[host.own]\nhostgroups = [\"all\"]\n"), o); err == nil {
		t.Errorf("a host of a file was refused: %v", c.Warnings)
	}
}

func TestReadSources(t *testing.T) {
	file := write(t, `[daemon]
data_dir = "data"
[secret.token]
env = "DB_PASSWORD"
[source.one]
command    = "list | grep $x"
env        = { TOKEN = { secret = "token" }, SITE = "$x" }
interval   = "0s"
timeout    = "5s"
max_output = "1MiB"
[source.two]
file = "hosts.json"
[source.bad]
[host.bad]
x = 1
`)
	all, d := ReadSources(file, options())
	if len(all) != 2 || !strings.HasSuffix(d.DataDir, "/data") {
		t.Fatalf("ReadSources = %+v, %+v", all, d)
	}
	one, two := all[0], all[1]
	if one.Shell != "list | grep $x" || one.Interval != 0 || one.Timeout != 5*time.Second || one.MaxOutput != 1<<20 ||
		string(one.Env[0].Value) != "from-env" || string(one.Env[1].Value) != "$x" {
		t.Errorf("one = %+v", one)
	}
	if one.Env[0].Plain || !one.Env[1].Plain || strings.Contains(fmt.Sprintf("%+v", one), "from-env") {
		t.Error("the secret is printed")
	}
	if !strings.HasSuffix(two.File, "/hosts.json") || !strings.HasPrefix(two.File, "/") {
		t.Errorf("two = %+v", two)
	}
}

func BenchmarkSource(b *testing.B) {
	var hosts []string
	for i := range 3000 {
		hosts = append(hosts, fmt.Sprintf(`{"name": "h%04d.example.com", "address": "10.0.%d.%d", "groups": ["web"], "vars": {"a": "b", "c": [1, 2]}}`, i, i/250, i%250))
	}
	file := write(b, cmdb+"[check.disk]\ncommand = [\"check_disk\", \"$disk$\"]\nhosts = [\"@web\"]\n")
	o := options()
	o.Answers = map[string]Answer{"cmdb": {Body: []byte("[" + strings.Join(hosts, ",\n") + "]")}}
	for b.Loop() {
		if _, err := Load(file, o); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSameAnswer(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if got := SameAnswer([]byte(a), []byte(b)); got != want {
			t.Errorf("SameAnswer(%q, %q) = %v, want %v", a, b, got, want)
		}
	}
	f(`[{"name": "a"}, {"name": "b", "x": 1}]`, `[{"name":"b","x":1},{"name":"a"}]`, true)
	f(`[{"name": "a"}]`, `{"a": {"name": "a"}}`, true)
	f(`[{"name": "a"}]`, `[{"name": "a", "x": 1}]`, false)
	f(`[{"name": "a"}]`, `[{"name": "a"}, {"name": "b"}]`, false)
	f(`[{"name": "a"}, {"name": "a"}]`, `[{"name": "a"}, {"name": "a"}]`, false)
	f(`[`, `[`, false)
}

// FuzzSource: whatever a source says, loading ends, the files' own hosts are there,
// and what was taken is taken again.
func FuzzSource(f *testing.F) {
	for _, body := range []string{
		`[{"name": "a", "groups": ["web"], "vars": {"x": [1, 2.5, true]}}]`, `{"a": {"parents": ["b"]}, "b": {"parents": ["a"]}}`,
		`[{"name": "a", "x": null}, {"name": "a"}, 5, {}]`, `{"router": {}}`, `[`, `{"a": {"ssh": {"port": -1}}}`, "[{\"name\": \"\xff\"}]",
	} {
		f.Add([]byte(body), []byte(`{"a": {"parents": ["router"]}}`))
	}
	file := write(f, cmdb)
	f.Fuzz(func(t *testing.T, body, last []byte) {
		o := options()
		if _, err := CheckAnswer(last); err != nil {
			last = nil
		}
		o.Answers = map[string]Answer{"cmdb": {Body: body, Last: last}}
		c, err := Load(file, o)
		if _, bad := CheckAnswer(body); err != nil {
			if bad == nil && !strings.Contains(err.Error(), "source cmdb") { // too many rounds
				t.Errorf("Load: %v", err)
			}
			return
		}
		if c.Inventory.Host("router") == nil {
			t.Error("a host of a file is lost")
		}
		o.Answers["cmdb"] = Answer{Body: c.Sources[0].Taken}
		again, err := Load(file, o)
		if err != nil {
			t.Fatalf("what was taken: %v\n%s", err, c.Sources[0].Taken)
		}
		if got, want := hostNames(again), hostNames(c); got != want {
			t.Errorf("hosts %s, want %s", got, want)
		}
	})
}
