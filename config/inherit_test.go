package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alf"
)

// TestTemplates demands Nagios' rules of inheritance (RULES O1).
func TestTemplates(t *testing.T) {
	c := load(t, `
[hostgroup.a]
[hostgroup.b]
[hostgroup.c]
[hostgroup.d]

[template.base]
alias      = "base"
hostgroups = ["a"]
notes_url  = "https://base"
vars       = { x = "base", y = "base", z = "base", list = ["1"], gone = "base" }
ssh        = { port = 1, user = "base" }

[template.mid]
use        = "base"
alias      = "mid"
hostgroups = ["+b"]
vars       = { y = "mid", gone = "null", list = ["+2"], only = "mid" }

[template.other]
alias          = "other"
address        = "10.0.0.1"
hostgroups     = ["d"]
check_interval = "7m"
ssh            = { port = 2, max_sessions = 9 }
vars           = { gone = "other", late = "other" }

[template.cut]
alias = "null"

[host.first]                  # the first template wins, with all that it inherits
use = ["mid", "other"]

[host.turned]
use = ["other", "mid"]

[host.own]
use        = "mid"
alias      = "own"
hostgroups = ["+", "c"]
notes_url  = "null"
vars       = { x = "own", z = "null", list = ["+3", "4"] }
ssh        = { user = "own" }

[host.plain]                  # without use, these are ordinary texts
alias = "null"
vars  = { list = ["+3"], null = "null" }

[host.cut]                    # null takes away what later templates have, too
use = ["cut", "base"]

[host.replaced]
use        = "mid"
hostgroups = ["c"]
vars       = { list = ["3"], word = ["null"], plus = ["++3"] }
`)
	texts := func(h *alf.Host) map[string]string {
		out := make(map[string]string)
		for name, v := range h.Vars {
			out[name] = v.Reveal()
		}
		return out
	}
	f := func(name alf.HostName, alias, groups, notes string, port int, user string, vars map[string]string) {
		t.Helper()
		h := c.Inventory.Host(name)
		equal(t, string(name)+": alias", h.Alias, alias)
		equal(t, string(name)+": hostgroups", strings.Join(h.Hostgroups, " "), groups)
		equal(t, string(name)+": notes_url", h.NotesURL, notes)
		equal(t, string(name)+": port", h.SSH.Port, port)
		if user != "" {
			equal(t, string(name)+": user", h.SSH.User, user)
		}
		equal(t, string(name)+": vars", texts(h), vars)
	}
	f("first", "mid", "a b", "https://base", 1, "base", map[string]string{
		"x": "base", "y": "mid", "z": "base", "list": "1,2", "only": "mid", "late": "other"})
	f("turned", "other", "d", "https://base", 2, "base", map[string]string{
		"x": "base", "y": "mid", "z": "base", "list": "1,2", "only": "mid", "late": "other", "gone": "other"})
	f("own", "own", "a b c", "", 1, "own", map[string]string{
		"x": "own", "y": "mid", "list": "1,2,3,4", "only": "mid"})
	f("plain", "null", "", "", 22, "", map[string]string{"list": "+3", "null": "null"})
	f("cut", "", "a", "https://base", 1, "base", map[string]string{
		"x": "base", "y": "base", "z": "base", "list": "1", "gone": "base"})
	f("replaced", "mid", "c", "https://base", 1, "base", map[string]string{
		"x": "base", "y": "mid", "z": "base", "list": "3", "only": "mid", "word": "null", "plus": "+3"})
	first, turned := c.Inventory.Host("first"), c.Inventory.Host("turned")
	equal(t, "max_sessions of both", []int{first.SSH.MaxSessions, turned.SSH.MaxSessions}, []int{9, 9})
	equal(t, "address", first.Address, "10.0.0.1")
	equal(t, "interval", service(t, c, "first").Interval.String(), "7m0s")
	equal(t, "warnings", c.Warnings, []error(nil))
}

// byHand has templates for checks, and flat is the same without them, at the
// same lines.
const byHand = `
[template.often]
check_interval = "1m"
env            = { A = "often", B = "often" }
thresholds     = { time = { warn = 1, crit = 2 }, size = { warn = 5 } }

[template.shell]
use      = "often"
command  = "check_x $n$"
hosts    = ["h1"]
for_each = { n = ["1", "2"] }
service  = "$SERVICECHECKCOMMAND$ $n$"
expect   = { exit_codes = [0, 1], output = "fine" }

[check.one]
use        = "shell"
hosts      = ["+h2"]
thresholds = { time = { crit = 3 } }

[check.two]
use      = ["often", "shell"]
service  = "two"
for_each = { n = "null" }
command  = ["two"]
env      = { B = "two", C = "two" }
expect   = "null"

[host.h1]
[host.h2]
`

const flat = `






[check.one]
check_interval = "1m"
env            = { A = "often", B = "often" }
thresholds     = { time = { warn = 1, crit = 3 }, size = { warn = 5 } }
command  = "check_x $n$"
hosts    = ["h1", "h2"]
for_each = { n = ["1", "2"] }
service  = "$SERVICECHECKCOMMAND$ $n$"
expect   = { exit_codes = [0, 1], output = "fine" }

[check.two]
check_interval = "1m"
env            = { A = "often", B = "two", C = "two" }
thresholds     = { time = { warn = 1, crit = 2 }, size = { warn = 5 } }
hosts          = ["h1"]
service        = "two"
command        = ["two"]

[host.h1]
[host.h2]
`

// unplaced returns what is configured, without the places.
func unplaced(c *Config) []alf.Service {
	var out []alf.Service
	for _, s := range c.Inventory.Services() {
		flat := *s
		flat.Where, flat.Overridden, flat.Host, flat.On = alf.Position{}, nil, nil, nil
		out = append(out, flat)
	}
	return out
}

// TestFlattened demands that templates are no more than a way to write things
// down once.
func TestFlattened(t *testing.T) {
	got, want := load(t, byHand), load(t, flat)
	equal(t, "services", names(got), names(want))
	if a, b := unplaced(got), unplaced(want); !reflect.DeepEqual(a, b) {
		t.Errorf("with templates the services are\n%+v\nand without\n%+v", a, b)
	}
	for range 20 {
		if a, b := unplaced(got), unplaced(load(t, byHand)); !reflect.DeepEqual(a, b) {
			t.Fatal("two loads with templates differ")
		}
	}
}

func TestOverrides(t *testing.T) {
	c := load(t, `
[hostgroup.lab.check."*"]
check_interval = "15m"
max_check_attempts = 9
vars = { w = "all of lab", v = "all of lab" }

[hostgroup.lab.check.load]
check_interval = "20m"
vars = { v = "lab" }
env  = { B = "lab", C = "null" }

[hostgroup.db.check.load]
check_interval = "30m"
retry_interval = "3m"

[template.special.check.load]
cwd = "/special"

[host.plain]
vars = { w = "host" }

[host.lab1]
hostgroups = ["lab"]
vars = { w = "host", v = "host", u = "host" }

[host.lab2]
use = "special"
hostgroups = ["lab", "db"]
[host.lab2.check.load]
args      = ["+more"]
notes_url = "null"
vars      = { v = "lab2", mounts = ["/", "/srv"] }
[host.lab2.check.load.thresholds]
one = { crit = 5 }

[host.lab3]
use = "special"
hostgroups = ["lab"]
[host.lab3.check.load]
command = "null"
script  = "check_mem"
run     = "plain"
[host.lab3.check.disk]
expect  = { output = "x" }

[check.load]
hosts   = ["*"]
command = ["check_load", "$u$", "$v$", "$w$"]
args    = ["a"]
env     = { A = "check", B = "check", C = "check" }
vars    = { u = "check", v = "check", w = "check" }
notes_url = "https://load"
thresholds = { one = { warn = 1, crit = 2 } }

[check.disk]
hosts    = ["lab2", "lab3"]
for_each = { m = "mounts" }
service  = "disk $m$"
command  = ["check_disk", "$m$", "$_SERVICEV$", "$w$"]
vars     = { mounts = ["/"] }
`)
	f := func(key, command string, interval, retry string, attempts int, env string) *alf.Service {
		t.Helper()
		s := service(t, c, key)
		equal(t, key, line(s), command)
		equal(t, key+": intervals", []string{formatDuration(s.Interval), formatDuration(s.Retry)}, []string{interval, retry})
		equal(t, key+": attempts", s.MaxAttempts, attempts)
		var vars []string
		for _, e := range s.Env {
			vars = append(vars, e.Name+"="+e.Value.Reveal())
		}
		equal(t, key+": env", strings.Join(vars, " "), env)
		return s
	}
	plain := f("plain!load", "check_load check check host", "5m", "1m", 3, "A=check B=check C=check")
	equal(t, "overridden", len(plain.Overridden), 0)
	lab1 := f("lab1!load", "check_load host lab all of lab", "20m", "1m", 9, "A=check B=lab")
	equal(t, "overridden", []int{lab1.Overridden[0].Line, lab1.Overridden[1].Line}, []int{7, 2})
	lab2 := f("lab2!load", "check_load check lab2 all of lab", "20m", "3m", 9, "A=check B=lab")
	equal(t, "notes_url", []string{plain.NotesURL, lab1.NotesURL, lab2.NotesURL}, []string{"https://load", "https://load", ""})
	equal(t, "cwd", []string{lab1.Dir, lab2.Dir}, []string{"", "/special"})
	equal(t, "thresholds", []string{lab2.Thresholds[0].Warn.String(), lab2.Thresholds[0].Crit.String()}, []string{"1", "5"})
	lab3 := f("lab3!load", "a", "20m", "1m", 9, "A=check B=lab")
	equal(t, "script and run", []string{lab3.Script, string(lab3.On.Name), lab3.Metric}, []string{"check_mem", "plain", "mem"})
	f("lab2!disk /", "check_disk / all of lab all of lab", "15m", "1m", 9, "")
	disk := f("lab3!disk /", "check_disk / all of lab all of lab", "15m", "1m", 9, "")
	equal(t, "expect", []bool{disk.Expect != nil, service(t, c, "lab2!disk /").Expect != nil}, []bool{true, false})
	equal(t, "services", len(names(c)), 6)

	var out strings.Builder
	if err := c.Show(&out, "lab1", "load"); err != nil {
		t.Fatal(err)
	}
	file := c.File
	for _, want := range []string{"\n# " + file + ":46, " + file + ":7, " + file + ":2\n", "check_interval = \"20m\"\n", "B = \"lab\"\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("show prints\n%s\nwithout %q", out.String(), want)
		}
	}
}

// TestOverridesShare demands that hosts that a group changes alike share what
// they can.
func TestOverridesShare(t *testing.T) {
	c := load(t, `
[hostgroup.g]
members = ["h*"]
check.c.expect = { output = "x" }
[host.h1]
[host.h2]
[check.c]
hosts   = ["*"]
command = "x"
`)
	a, b := service(t, c, "h1!c"), service(t, c, "h2!c")
	if a.Expect == nil || a.Expect != b.Expect || &a.Path[0] != &b.Path[0] || !slices.Equal(a.Overridden, b.Overridden) {
		t.Error("two hosts of a group have an override of their own each")
	}
}

// TestManyTemplates demands that templates that meet again below others cost no
// more for that.
func TestManyTemplates(t *testing.T) {
	var src strings.Builder
	const depth = 60
	for i := range depth {
		fmt.Fprintf(&src, "[template.a%d]\nuse = [\"a%d\", \"b%[2]d\"]\n[template.b%[1]d]\nuse = [\"b%[2]d\", \"a%[2]d\"]\n", i, i+1)
	}
	fmt.Fprintf(&src, "[template.a%d]\nalias = \"last\"\n[template.b%[1]d]\naddress = \"10.0.0.1\"\n[host.h]\nuse = \"a0\"\n", depth)
	c := load(t, src.String())
	h := c.Inventory.Host("h")
	equal(t, "host", []string{h.Alias, h.Address}, []string{"last", "10.0.0.1"})
	equal(t, "warnings", len(c.Warnings), 1) // nobody uses b0
}
