package config

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// broken are configurations with mistakes, and what is said of them.
var broken = []struct{ name, src, want string }{
	{"who is told", `
[defaults]
contacts = ["opps"]
notification_interval = "-1m"

[contact.ops]
actions = ["chatt"]
notification_period = "offfice"
service_notification_options = ["critcal"]

[contact.nobody]
contacts = ["x"]

[timeperiod.office]
monday = "09:00-17:00"

[action.chat]
kind = "webhook"

[action.mail]
type = "webhok"
url  = "x"

[action.hook]
type              = "webhook"
url               = "ftp://example.com/secret"
method            = "GET"
headers           = { "a b" = "x", Content-Type = "x" }
body              = "{{.Outptu}}"
expected_statuses = [404]
timeout           = "1h"
proxy             = "#"

[action.cert]
type      = "webhook"
url       = "http://example.com/"
cert      = "/nowhere/cert"
retry_for = "1y"

[action.text]
type = "webhook"
url  = "http://example.com/"
body = '{"text": "{{.Output}}"}'

[action.open]
type = "webhook"
url  = "http://example.com/"
body = "{{if"

[action.key]
type = "webhook"
url  = "http://example.com/"
signing_key = "sesame"

[action.bare]
type = "webhook"

[host.web1]
contacts = ["ops", "obs"]
notification_options = ["critical"]

[check.x]
hosts = ["*"]
actions = "chat"
contact_groups = ["x"]

[check.y]
hosts = ["*"]

[host.web1.check.y]
actions = ["chet"]

[escalation.one]
services = ["y"]
contacts = ["opss"]
escalation_options = ["down"]
escalation_period = "offices"

[escalation.two]
hosts = ["*"]
first_notification = 3
last_notification  = 2
begin = "1h"
end = "30m"
`, `alf.toml:3: there is no [contact.opps]; did you mean "ops"?
alf.toml:4: notification_interval: "-1m" is negative
alf.toml:7: there is no [action.chatt]; did you mean "chat"?
alf.toml:8: there is no timeperiod "offfice"; did you mean "office"?
alf.toml:9: service_notification_options: "critcal" is none of "warning", "critical", "unknown", "recovery", "flapping", "downtime", "none", "w", "c", "u", "r", "f", "s", "n"; did you mean "critical"?
alf.toml:12: unknown key "contacts" in [contact.nobody]
alf.toml:17: action "chat": no type; it is one of "alertmanager", "email", "pagerduty", "slack", "webhook"
alf.toml:18: unknown key "kind" in [action.chat]; in Alf it is type
alf.toml:21: type: "webhok" is none of "alertmanager", "email", "pagerduty", "slack", "webhook"; did you mean "webhook"?
alf.toml:26: url: begins with neither "http://" nor "https://"
alf.toml:27: method: "GET" is none of POST, PUT, PATCH
alf.toml:28: headers: "a b" is no name of a header
alf.toml:28: headers: Content-Type is set by content_type
alf.toml:29: body: 1:2: executing "body" at <.Outptu>: can't evaluate field Outptu
alf.toml:30: expected_statuses: 404 is none of 200 to 299, which alone mean that a message has arrived
alf.toml:31: timeout: 1h0m0s is more than 5m0s
alf.toml:32: proxy: begins with neither "http://" nor "https://"
alf.toml:37: cert: open /nowhere/cert: no such file or directory
alf.toml:38: retry_for: "1y" is no duration such as "30s", "5m" or "1h30m"
alf.toml:43: body: what comes of it is not always JSON: write {{json .Output}}, without quotes, for every text; or set content_type
alf.toml:48: body: 1: unclosed action
alf.toml:53: signing_key: there is no [secret.NAME] of this name; a secret itself never stands in the configuration
alf.toml:55: action "bare": url: is missing
alf.toml:59: there is no [contact.obs]; did you mean "ops"?
alf.toml:60: notification_options: "critical" is none of "down", "unreachable", "recovery", "flapping", "downtime", "none", "d", "u", "r", "f", "s", "n"
alf.toml:64: actions: want a list, got a string
alf.toml:65: unknown key "contact_groups" in [check.x]; in Alf it is contacts
alf.toml:71: there is no [action.chet]; did you mean "chat"?
alf.toml:73: escalation "one": no hosts
alf.toml:75: there is no [contact.opss]; did you mean "ops"?
alf.toml:76: escalation_options: "down" is none of "warning", "critical", "unknown", "recovery", "w", "c", "u", "r"
alf.toml:77: there is no timeperiod "offices"; did you mean "office"?
alf.toml:79: escalation "two" changes nothing: neither contacts, actions nor notification_interval
alf.toml:82: last_notification 2 is before first_notification 3
alf.toml:84: end "30m" is not after begin "1h"`},
	{"chats and pagers", `
[action.channel]
type   = "slack"
url    = "hooks.slack.com/services"
layout = "block"

[action.body]
type = "slack"
url  = "https://example.com/"
body = "x"

[action.bare]
type = "slack"

[action.oncall]
type             = "pagerduty"
region           = "asia"
severity_warning = "warn"

[action.open]
type        = "pagerduty"
routing_key = "0123456789abcdef0123456789abcdef"
`, `alf.toml:4: url: begins with neither "http://" nor "https://"
alf.toml:5: layout: "block" is neither "blocks" nor "attachments"
alf.toml:10: unknown key "body" in [action.body]
alf.toml:12: action "bare": url: is missing
alf.toml:15: action "oncall": routing_key: is missing
alf.toml:17: region: "asia" is neither "us" nor "eu"
alf.toml:18: severity_warning: "warn" is none of critical, error, warning, info
alf.toml:22: routing_key: there is no [secret.NAME] of this name; a secret itself never stands in the configuration`},
	{"mail and Alertmanager", `
[action.am]
type        = "alertmanager"
urls        = ["http://am1:9093", 9093]
labels      = "site"
annotations = { a = 1, b = 2 }
refresh     = "1h"
password    = "s3cret"

[action.site]
type   = "alertmanager"
urls   = "am1:9093"
labels = { host = "x" }

[action.mail]
type = "email"
from = "alf"
to   = "ops@example.com"
text = "{{.Outptu}}"
html = """
<a href="{{.NotesURL}}>
"""

[action.none]
type   = "email"
server = "mail.example.com:0"
from   = "alf@example.com"
to     = ["ops@example.com", "Ops <ops@example.com>"]
tls    = "ssl"
`, `alf.toml:4: urls: want a string, got an integer
alf.toml:5: labels: want a table such as { team = "web" }, got a string
alf.toml:6: annotations.a: want a string, got an integer
alf.toml:6: annotations.b: want a string, got an integer
alf.toml:8: password: there is no [secret.NAME] of this name; a secret itself never stands in the configuration
alf.toml:12: urls: begins with neither "http://" nor "https://"
alf.toml:13: labels: host is set by Alf itself
alf.toml:15: action "mail": server: is missing
alf.toml:17: from: "alf" is no address such as "ops@example.com" or "Operations <ops@example.com>"
alf.toml:19: text: 1:2: executing "body" at <.Outptu>: can't evaluate field Outptu
alf.toml:20: html: ends in a non-text context: {stateURL delimDoubleQuote urlPartPreQuery jsCtxRegexp [] attrURL elementNone <nil>}
alf.toml:26: server: port "0" is not between 1 and 65535
alf.toml:28: to: ops@example.com is there twice
alf.toml:29: tls: "ssl" is none of starttls, opportunistic, implicit, off`},
	{"sources", `
[source.none]

[source.both]
command = ["x"]
file    = "x.json"

[source.file]
file    = "x.json"
env     = { A = "b" }

[source.file2]
file    = "x.json"
timeout = "5s"

[source."a/b"]
file = "x.json"

[source.keys]
command    = []
env        = { "A-B" = "x", P = { file = "/nowhere/secret" } }
interval   = "10ms"
timeout    = "2h"
max_output = "1GiB"
hostgroups = "web"
inverval   = "5m"

[source.empty]
command = " "

[source.group]
command    = "x"
hostgroups = ["nowhere"]

[source.number]
command = 5
`, `alf.toml:2: source "none": want one of command, file
alf.toml:4: source "both": want one of command, file
alf.toml:10: env: is for a command, and nothing is run for a file
alf.toml:14: timeout: is for a command, and nothing is run for a file
alf.toml:16: source name "a/b" has more than 100 bytes, or others than letters, digits, "_", "-" and, not first, "."
alf.toml:20: command: is empty
alf.toml:21: env: A-B: a name has letters, digits and "_" and does not begin with a digit
alf.toml:21: env: P: open /nowhere/secret: no such file or directory
alf.toml:22: interval: "10ms" is less than 1s; "0s" means once
alf.toml:23: timeout: "2h" is more than 1h
alf.toml:24: max_output: "1GiB" is not between 1024 and 268435456 bytes
alf.toml:25: hostgroups: want a list, got a string
alf.toml:26: unknown key "inverval" in [source.keys]; did you mean "interval"?
alf.toml:29: command: is empty
alf.toml:33: there is no [hostgroup.nowhere]
alf.toml:36: command: want a list of arguments or a line for the shell, got an integer`},
	{"not TOML", `
[daemon
`, `alf.toml:2: expected '.' or ']' to end table name, but got '\n' instead`},
	{"value without quotes", `
[host.web1]
address = web1.example.com
`, `alf.toml:3: expected value but found "web" instead`},
	{"string without an end", `
[host.web1]
alias = "a

[host.web2]
`, `alf.toml:3: strings cannot contain newlines`},
	{"control character", "[host.web1]\nalias = \"a\x01\"\n", `alf.toml:2: TOML files cannot contain control characters: '0x01'`},
	{"not UTF-8", "[host.web1]\nalias = \"a\xff\"\n", `alf.toml:2: invalid UTF-8 byte: 0xff`},
	{"NUL in a text", `
[host.web1]
alias = "a\u0000b"
`, `alf.toml:3: alias: contains a NUL byte`},
	{"restless and old", `
[defaults]
low_flap_threshold = 101
high_flap_threshold = "30"

[host.web1]
flap_detection_options = ["o", "w"]
freshness_threshold = "0s"

[check.disk]
command = "check_disk"
hosts = ["web1"]
low_flap_threshold = 50.5
high_flap_threshold = 20
stalking_options = "all"
`, `alf.toml:3: low_flap_threshold: 101 is not between 0 and 100 percent
alf.toml:4: high_flap_threshold: want a number, got a string
alf.toml:7: flap_detection_options: "w" is none of "up", "down", "unreachable", "o", "d", "u"; did you mean "o"?
alf.toml:8: freshness_threshold: "0s" is less than 1s
alf.toml:13: low_flap_threshold 50.5 is above high_flap_threshold 20
alf.toml:15: stalking_options: want a list, got a string`},
	{"templates", `
[template.a]
use = ["b", "b", "missing"]

[template.b]
use = "c"

[template.c]
use = "a"

[template.linux]
address  = "a b"
alias    = 5
adress   = "null"
vars     = { HOSTNAME = "x" }
notes_url = ["x"]
ssh      = { prot = 22 }
flap_detection_options = ["up", "ok"]

[template.check]
hosts   = "*"
command = ["x", "$undefined$"]
service = "x"

[template.both]
check_command = "ssh"
command       = ["x"]

[host.h1]
use   = "linux"
ssh   = { user = "x" }

[host.h2]
use   = ["linux", "both"]
alias = "fine"
ssh   = { potr = 22 }

[host.h3]
use = ["linus", 5]
vars = "null"
adress = "null"

[host.h4]
use = ["linus"]
check_command = ["x", "$y$"]

[host.h5]
use = "nothing near"
check_command = ["x", "$y$"]

[check.c1]
use = "both"
hosts = ["h1"]

[check.c2]
use = "nothing near"
args = ["x"]
`, `alf.toml:3: use: template "b" is named twice
alf.toml:3: use: there is no [template.missing]
alf.toml:9: templates go round in a circle: a uses b uses c uses a
alf.toml:12: address: "a b" is neither a host name nor an IP address
alf.toml:13: alias: want a string, got an integer
alf.toml:14: unknown key "adress" in [template.linux]; did you mean "address"?
alf.toml:15: vars.HOSTNAME: $HOSTNAME$ is a macro with a meaning of its own
alf.toml:16: notes_url: want a string, got a list
alf.toml:17: unknown key "prot" in [template.linux.ssh]; did you mean "port"?
alf.toml:18: flap_detection_options: "ok" is none of "up", "down", "unreachable", "o", "d", "u"; did you mean "o"?
alf.toml:21: hosts: want a list, got a string
alf.toml:26: check_command: checks have no such key, but check "c1" uses this template
alf.toml:27: command: hosts have no such key, but host "h2" uses this template
alf.toml:36: unknown key "potr" in [host.h2.ssh]; did you mean "port"?
alf.toml:39: use: want a string, got an integer
alf.toml:41: unknown key "adress" in [host.h3]; did you mean "address"?
alf.toml:44: use: there is no [template.linus]; did you mean "linux"?
alf.toml:45: check_command of host "h4": macro $y$ is not defined
alf.toml:48: use: there is no [template."nothing near"]
alf.toml:56: use: there is no [template."nothing near"]`},
	{"what templates give", `
[template.web]
hostgroups = ["wep"]
notes_url  = "wiki"
plugin_dir = "/x"

[template.passive]
hosts = ["h1"]
args  = ["x"]
run   = "nowhere"

[template.circle]
use = "circle"

[hostgroup.web]

[host.h1]
use = "web"

[host.h2]
use = "web"
hostgroups = ["+web"]

[check.a]
use = "passive"

[check.b]
use = ["passive", "dir"]
command = ["x", "$nothing$"]
plugin_dir = ["+/y"]

[template.dir]
plugin_dir = "/x"
`, `alf.toml:3: there is no [hostgroup.wep]; did you mean "web"?
alf.toml:4: notes_url of host "h1" and 1 other: notes_url: "wiki" begins neither with http:// nor with https://
alf.toml:5: plugin_dir: hosts have no such key, but host "h1" and 1 other use this template
alf.toml:9: args has no meaning here: check "a" has neither command nor script, so it is passive
alf.toml:10: run has no meaning here: check "a" has neither command nor script, so it is passive
alf.toml:10: run: "nowhere" is neither "remote", "local" nor a host
alf.toml:13: templates go round in a circle: circle uses circle
alf.toml:30: plugin_dir: "+" adds to a list, and what is inherited from alf.toml:33 is a string`},
	{"on-demand macros", `
[hostgroup.web]
[host.web1]
notes_url = "https://$HOSTSTATE:web1$"
vars      = { a = "$_HOSTB:web2$", state = "$HOSTSTATE:web2$" }
[host.web2]
vars      = { b = "$_HOSTA:web1$", "HOSTNAME:web1" = "x" }

[check.a]
hosts   = ["*"]
command = ["x", "$HOSTSTATE:wep1$", "$HOSTNAME:wep:,$", "$SERVICESTATE:web1$",
  "$SERVICESTATE:wep2:a$",
  "$HOSTFOO:web1$", "$_HOSTNONE:web1$", "$SERVICECHECKCOMMAND:web1:a$"]

[check.b]
hosts   = ["web1"]
command = ["x", "$_HOSTA:web1$", "$state$"]
`, `alf.toml:4: notes_url of host "web1": macro $HOSTSTATE:web1$ has no value before the check runs: it cannot stand in notes_url
alf.toml:5: check "b" on host "web1": macro $HOSTSTATE:web2$ has no value before the check runs: it can stand in command and env, but not in $state$
alf.toml:5: check "b" on host "web1": macro refers to itself: $a$ > $b$ > $a$
alf.toml:7: vars.HOSTNAME:web1: $HOSTNAME:web1$ is a macro with a meaning of its own
alf.toml:11: check "a" on host "web1" and 1 other: macro $HOSTNAME:wep:,$: there is neither a host "wep:," nor a hostgroup "wep"; did you mean "web"?
alf.toml:11: check "a" on host "web1" and 1 other: macro $HOSTSTATE:wep1$: there is no host "wep1"; did you mean "web1"?
alf.toml:11: check "a" on host "web1" and 1 other: macro $SERVICESTATE:web1$: a host and a service are named as in $SERVICESTATE:HOST:SERVICE$
alf.toml:12: check "a" on host "web1" and 1 other: macro $SERVICESTATE:wep2:a$: there is no host "wep2"; did you mean "web2"?
alf.toml:13: check "a" on host "web1" and 1 other: macro $HOSTFOO:web1$ is not defined
alf.toml:13: check "a" on host "web1" and 1 other: macro $SERVICECHECKCOMMAND:web1:a$ is not defined
alf.toml:13: check "a" on host "web1" and 1 other: macro $_HOSTNONE:web1$ is not defined`},
	{"on-demand macros of services", `
[host.web1]
[host.web2]
[check.load]
hosts   = ["web1"]
command = "x"
[check.watch]
hosts   = ["*"]
command = ["x", "$SERVICESTATE::load$", "$SERVICESTATE:web1:laod$"]
`, `alf.toml:9: check "watch" on host "web1" and 1 other: macro $SERVICESTATE:web1:laod$: host "web1" has no service "laod"; did you mean "load"?
alf.toml:9: check "watch" on host "web2": macro $SERVICESTATE::load$: host "web2" has no service "load"`},
	{"overrides", `
[host.h1.check.disk]
check_interval = 5
hosts          = ["x"]
intervall      = "null"
vars           = { HOSTNAME = "x" }
use            = "x"

[host.h1.check.dsik]
[host.h1.check]
x  = 1
"" = {}

[host.h2]
check = "disk"

[host.h3.check.disk]
script = "check_mem"

[host.h4.check.backup]
args = ["x"]

[host.h5.check.disk]
command = ["x", "$y$", "$z$"]
vars    = { y = "$y$" }

[host.h6.check.disk]
run = "h8"

[host.h7.check."*"]
low_flap_threshold = 90

[hostgroup.g]
members = ["*"]
[hostgroup.g.check.disk]
cwd = "$nothing$"

[check.disk]
hosts   = ["*"]
command = ["x"]

[check.backup]
hosts   = ["*"]

[host.h1]
[host.h3]
[host.h4]
[host.h5]
[host.h6]
[host.h7]
`, `alf.toml:3: check.disk.check_interval: want a duration with a unit, such as "30s", got an integer
alf.toml:4: unknown key "hosts" in [host.h1.check.disk]
alf.toml:5: unknown key "intervall" in [host.h1.check.disk]
alf.toml:6: check.disk.vars.HOSTNAME: $HOSTNAME$ is a macro with a meaning of its own
alf.toml:7: unknown key "use" in [host.h1.check.disk]
alf.toml:9: there is no [check.dsik]; did you mean "disk"?
alf.toml:11: check.x: want a table, got an integer
alf.toml:12: check: the ID of a check is empty
alf.toml:15: check: want tables [host.NAME.check.ID], got a string
alf.toml:18: check "disk" has both command and script
alf.toml:21: args has no meaning here: check "backup" has neither command nor script, so it is passive
alf.toml:24: check "disk" on host "h5": macro $z$ is not defined
alf.toml:25: check "disk" on host "h5": macro refers to itself: $y$ > $y$
alf.toml:28: run: "h8" is neither "remote", "local" nor a host; did you mean "h1"?
alf.toml:31: low_flap_threshold 90 is above high_flap_threshold 30
alf.toml:36: check "disk" on host "h2" and 3 others: macro $nothing$ is not defined`},
	{"words of Nagios, and others that are nearly right", `
[hostgroup.web]
use = "ssh"
hostgroup_members = ["x"]

[host.web1]
host_name      = "web1"
contact_groups = ["admins"]
hostgroups     = ["web"]
vars           = { disk_warn = "5%" }

[check.disk]
host_name           = "web1"
hostgroup_name      = "web"
service_description = "disk"
check_command       = "x"
contact_groups      = ["admins"]
hosts               = ["*"]

[check.mem]
hosts  = ["*"]
script = "chek_mem"

[check.load]
hosts   = ["*"]
command = ["x", "$HOSTADRESS$", "$disk_wran$", "$nothing$"]

[timeperiod.holidays]
timezone = "europe/berlin"
monady   = "00:00-24:00"
excluded = "x"

[timeperiod.office]
timezone = "Europe/Berln"
exclude  = ["holiday"]
`, `alf.toml:3: unknown key "use" in [hostgroup.web]; only hosts, checks and templates use templates
alf.toml:4: unknown key "hostgroup_members" in [hostgroup.web]; in Alf it is members
alf.toml:7: unknown key "host_name" in [host.web1]; in Alf it is the name in [host.NAME]
alf.toml:8: unknown key "contact_groups" in [host.web1]; in Alf it is contacts
alf.toml:13: unknown key "host_name" in [check.disk]; in Alf it is hosts
alf.toml:14: unknown key "hostgroup_name" in [check.disk]; in Alf it is hosts = ["@NAME"]
alf.toml:15: unknown key "service_description" in [check.disk]; in Alf it is service
alf.toml:16: unknown key "check_command" in [check.disk]; in Alf it is command
alf.toml:17: unknown key "contact_groups" in [check.disk]; in Alf it is contacts
alf.toml:22: script: "chek_mem" is none of Alf's own plugins; the name of a file has a slash, as in "./chek_mem"; did you mean "check_mem"?
alf.toml:26: check "load" on host "web1": macro $HOSTADRESS$ is not defined; did you mean "HOSTADDRESS"?
alf.toml:26: check "load" on host "web1": macro $disk_wran$ is not defined; did you mean "disk_warn"?
alf.toml:26: check "load" on host "web1": macro $nothing$ is not defined
alf.toml:29: timezone: there is no time zone "europe/berlin"; did you mean "Europe/Berlin"?
alf.toml:30: timeperiod "holidays": "monady" = "00:00-24:00": "monady" is not a day; did you mean "monday"?
alf.toml:31: timeperiod "holidays": "excluded" = "x": "excluded" is not a day; times "x" are not HH:MM-HH:MM; did you mean "exclude"?
alf.toml:34: timezone: there is no time zone "Europe/Berln"; did you mean "Europe/Berlin"?
alf.toml:35: timeperiod "office": exclude "holiday": there is no such timeperiod; did you mean "holidays"?`},
	{"overrides of nothing", `
[host."web1.example.com"]
[host.empty]

[check.disk]
hosts   = ["*"]
command = "x"

[host."web1.exmaple.com".check.disk]
check_interval = "1m"
[host."web1.exmaple.com".check."*"]

[host]
other.check.disk = { check_interval = "1m" }
-- conf.d/a.toml --
[host.web2.check.dsik]
check_interval = 5
`, `alf.toml:9: there is no [host."web1.exmaple.com"]; did you mean "web1.example.com"?
alf.toml:14: there is no [host.other]
conf.d/a.toml:1: there is no [check.dsik]; did you mean "disk"?
conf.d/a.toml:1: there is no [host.web2]
conf.d/a.toml:2: check.dsik.check_interval: want a duration with a unit, such as "30s", got an integer`},
	{"overrides of a group that is not there", `
[hostgroup.web]
[hostgroup.empty]
[hostgroup.empty.check.disk]

[host.web1]
hostgroups = ["web", "own"]

[check.disk]
hosts   = ["@web", "@named"]
command = "x"

[hostgroup.wbe.check.disk]
check_interval = "1m"
[hostgroup.named.check.disk]
[hostgroup.own.check.disk]
`, `alf.toml:13: there is no [hostgroup.wbe]; did you mean "web"?`},
	{"overrides of what may be elsewhere", `
[check.disk]
hosts   = ["*"]
command = "x"

[host.web1.check.disk]
check_interval = "1m"
-- conf.d/a.toml --
[host.web1
`, `conf.d/a.toml:1: expected '.' or ']' to end table name, but got '\n' instead`},
	{"parents", `
[host.a]
parents = ["b"]

[host.b]
parents = ["c", "c"]

[host.c]
parents = ["a"]

[host.d]
parents = ["d", "wep"]

[host.web]
parents = "a"
`, `alf.toml:6: parent "c" is named twice
alf.toml:9: parents go round in a circle: a behind b behind c behind a
alf.toml:12: parents go round in a circle: d behind d
alf.toml:12: there is no [host.wep]; did you mean "web"?
alf.toml:15: parents: want a list, got a string`},
	{"timeperiods", `
[timeperiod.office]
alias    = 5
monday   = 9
timezone = "Europe/Atlantis"

[timeperiod.weekends.long]
friday = "12:00-24:00"
`, `alf.toml:3: alias: want a string, got an integer
alf.toml:4: monday: want a string, got an integer
alf.toml:5: timezone: there is no time zone "Europe/Atlantis"
alf.toml:7: unknown table [timeperiod.weekends.long]; a name with dots is quoted: [timeperiod."weekends.long"]`},
	{"one timeperiod cannot be read, and others are wrong", `
[timeperiod.office]
timezone = "Europe/Atlantis"
monday   = 9
tuesday  = "9-25"

[timeperiod.night]
mondya  = "22:00-06:00"
exclude = ["office"]
`, `alf.toml:3: timezone: there is no time zone "Europe/Atlantis"
alf.toml:4: monday: want a string, got an integer
alf.toml:5: timeperiod "office": "tuesday" = "9-25": time "9" is not from 00:00 to 24:00; time "25" is not from 00:00 to 24:00
alf.toml:8: timeperiod "night": "mondya" = "22:00-06:00": "mondya" is not a day; did you mean "monday"?`},
	{"times of timeperiods", `
[timeperiod.office]
monday       = "09:00-25:00"
"monday 9"   = "09:00-17:00"
"2026-02-30" = "00:00-24:00"
mondey       = "09:00-17:00"
exclude      = ["holiday", "night"]

[timeperiod.night]
exclude = ["dark"]

[timeperiod.dark]
exclude = ["night"]
`, `alf.toml:3: timeperiod "office": "monday" = "09:00-25:00": time "25:00" is not from 00:00 to 24:00
alf.toml:4: timeperiod "office": "monday 9" = "09:00-17:00": monday 9: there is no such day
alf.toml:5: timeperiod "office": "2026-02-30" = "00:00-24:00": there is no day 2026-02-30
alf.toml:6: timeperiod "office": "mondey" = "09:00-17:00": "mondey" is not a day; did you mean "monday"?
alf.toml:7: timeperiod "office": exclude "holiday": there is no such timeperiod
alf.toml:10: timeperiod "night" excludes itself: night excludes dark excludes night
alf.toml:13: timeperiod "dark" excludes itself: dark excludes night excludes dark`},
	{"dependencies", `
[daemon]
soft_state_dependencies = 1

[host.web]
[host.db]

[check.a]
command = "x"
hosts   = ["*"]

[dependency.empty]

[dependency.nobody]
hosts                      = ["web"]
execution_failure_criteria = ["d"]

[dependency.letters]
hosts                         = ["db"]
dependent_hosts               = ["web"]
execution_failure_criteria    = ["down", "w"]
notification_failure_criteria = "d"
inherits_parent               = "yes"

[dependency.unknown]
hosts                      = ["dp"]
services                   = ["b"]
dependent_hosts            = ["web"]
dependent_services         = ["c", "x*"]
execution_failure_criteria = ["c", "unknown", "p"]
dependency_period          = "24x8"

[dependency.none]
hosts                         = ["db"]
services                      = []
dependent_services            = ["a"]
notification_failure_criteria = ["n"]
`, `alf.toml:3: soft_state_dependencies: want true or false, got an integer
alf.toml:12: dependency "empty": neither dependent_hosts nor dependent_services
alf.toml:12: dependency "empty": neither execution_failure_criteria nor notification_failure_criteria
alf.toml:12: dependency "empty": no hosts
alf.toml:14: dependency "nobody": neither dependent_hosts nor dependent_services
alf.toml:21: execution_failure_criteria: "w" is none of "up", "down", "unreachable", "pending", "none", "o", "d", "u", "p", "n"; did you mean "o"?
alf.toml:22: notification_failure_criteria: want a list, got a string
alf.toml:23: inherits_parent: want true or false, got a string
alf.toml:26: there is no [host.dp]; did you mean "db"?
alf.toml:29: none of these hosts has a service "c"
alf.toml:31: there is no timeperiod "24x8"; did you mean "24x7"?
alf.toml:35: services: is empty`},
	{"dependencies in a circle", `
[host.web]
[host.db]

[check.a]
command = "x"
hosts   = ["*"]

[check.b]
command = "x"
hosts   = ["*"]

[dependency.here]
hosts                      = ["*"]
services                   = ["a"]
dependent_services         = ["b"]
execution_failure_criteria = ["c"]

[dependency.there]
hosts                         = ["db"]
services                      = ["b"]
dependent_hosts               = ["web"]
dependent_services            = ["a"]
notification_failure_criteria = ["c"]

[dependency.back]
hosts                         = ["web"]
services                      = ["b"]
dependent_hosts               = ["db"]
dependent_services            = ["a"]
notification_failure_criteria = ["c"]
`, `alf.toml:13: dependencies go round in a circle: "db!a" depends on "web!b" depends on "web!a" depends on "db!b" depends on "db!a"`},
	{"recurring downtimes", `
[host.web]

[downtime.empty]

[downtime.types]
hosts    = ["wep"]
schedule = []
duration = 5
flexible = "0s"
children = "all"
comment  = ""

[downtime.times]
hosts        = ["wep"]
services     = ["a"]
all_services = true
schedule     = ["0 3 * * *", "61 3 * * *"]
timezone     = "Mars"
duration     = "2h"

[downtime.both]
hosts        = ["web"]
services     = ["a"]
all_services = true
schedule     = "61 3 * * *"
duration     = "2h"

[downtime.missing]
hosts        = ["web"]
services     = ["a"]
schedule     = "@daily"
duration     = "2h"
`, `alf.toml:4: downtime "empty": no duration
alf.toml:4: downtime "empty": no hosts
alf.toml:4: downtime "empty": no schedule
alf.toml:7: there is no [host.wep]; did you mean "web"?
alf.toml:8: schedule: is empty
alf.toml:9: duration: want a duration with a unit, such as "30s", got an integer
alf.toml:10: flexible: "0s" is less than 1s
alf.toml:11: children: want true or false, got a string
alf.toml:12: comment: is empty
alf.toml:15: there is no [host.wep]; did you mean "web"?
alf.toml:18: schedule: cron "61 3 * * *": minute "61": "61" is not from 0 to 59
alf.toml:19: timezone: there is no time zone "Mars"
alf.toml:25: downtime "both" has both services and all_services
alf.toml:26: schedule: cron "61 3 * * *": minute "61": "61" is not from 0 to 59
alf.toml:31: none of these hosts has a service "a"`},
	{"recurring downtimes that overlap", `
[host.web]

[downtime.seconds]
hosts    = ["web"]
schedule = "* * * * * *"
duration = "1h"

[downtime.open]
hosts    = ["web"]
schedule = ["0 22 * * FRI", "0 6 * * SAT"]
duration = "1h"
flexible = "9h"

[downtime.seldom]
hosts    = ["web"]
schedule = ["@yearly", "0 22 31 12 FRI"]
timezone = "Asia/Tokyo"
duration = "4h"
`, `alf.toml:6: downtime "seconds" lasts 1h0m0s, but the next one may start 1s after it: one has to be over before that
alf.toml:11: downtime "open" lasts 9h0m0s, but the next one may start 8h0m0s after it: one has to be over before that
alf.toml:17: downtime "seldom" lasts 4h0m0s, but the next one may start 2h0m0s after it: one has to be over before that`},
	{"schedules", `
[defaults]
check_period = "ofice"
schedule     = "@daily"

[timeperiod.office]
monday = "09:00-17:00"

[hostgroup.web]
members        = ["web"]
schedule       = "0 3 30 2 *"
check_interval = "1m"

[host.web]
timezone            = "Europe/Berlin"
notification_period = "24x8"

[check.job]
hosts          = ["web"]
check_interval = "5m"
schedule       = "@daily"
timezone       = "Mars"

[check.all]
hosts    = ["web"]
schedule = ["0 3 * * *", "0 0 3 * * * *", "0 0 31 4,6 *", "TZ=Mars 0 3 * * *"]

[check.none]
hosts        = ["web"]
schedule     = []
check_period = 5
`, `alf.toml:3: there is no timeperiod "ofice"; did you mean "office"?
alf.toml:4: unknown key "schedule" in [defaults]
alf.toml:11: both schedule and check_interval (line 12): a check is due by one of them
alf.toml:11: schedule: cron "0 3 30 2 *": day of month "30" never comes in month "2"
alf.toml:15: timezone has no meaning here: there is no schedule
alf.toml:16: there is no timeperiod "24x8"; did you mean "24x7"?
alf.toml:21: both schedule and check_interval (line 20): a check is due by one of them
alf.toml:22: timezone: there is no time zone "Mars"
alf.toml:26: schedule: cron "0 0 3 * * * *": 7 fields, want 5, or 6 with seconds
alf.toml:26: schedule: cron "0 0 31 4,6 *": day of month "31" never comes in month "4,6"
alf.toml:26: schedule: cron "TZ=Mars 0 3 * * *": time zone "Mars": unknown time zone Mars
alf.toml:30: schedule: is empty
alf.toml:31: check_period: want a string, got an integer`},
	{"command file", `
[nagios]
command_file       = ["nagios.cmd"]
command_file_group = "no-such-group"
comand_file        = "x"
`, `alf.toml:3: command_file: want a string, got a list
alf.toml:4: command_file_group: there is no group "no-such-group"
alf.toml:5: unknown key "comand_file" in [nagios]; did you mean "command_file"?`},
	{"group of no command file", `
[nagios]
command_file_group = "0"
`, `alf.toml:2: [nagios] has a command_file_group, but no command_file`},
	{"empty command file", `
[nagios]
command_file = ""
`, `alf.toml:3: command_file: is empty`},
	{"unknown table", `
[damon]
socket = "/tmp/alf.sock"
`, `alf.toml:2: unknown table [damon]; did you mean "daemon"?`},
	{"a table of a later version", `
[sink.carbon]
type = "graphite"
`, `alf.toml:2: unknown table [sink]`},
	{"list of tables", `
[[host]]
name = "web1"
`, `alf.toml:2: host: want a table, got a list of tables`},
	{"key outside of tables", `
socket = "/tmp/alf.sock"

[daemon]
`, `alf.toml:2: unknown key "socket" outside of all tables; it is one of [daemon]`},
	{"table that is a value", `
daemon = 5
host = "web1"
`, `alf.toml:2: daemon: want a table, got an integer
alf.toml:3: host: want a table, got a string`},
	{"host that is a value", `
[host]
web1 = "10.0.0.1"
`, `alf.toml:3: web1 in [host]: want a table [host.NAME], got a string`},
	{"unknown key", `
[daemon]
sokcet = "/tmp/alf.sock"
log = "x"
`, `alf.toml:3: unknown key "sokcet" in [daemon]; did you mean "socket"?
alf.toml:4: unknown key "log" in [daemon]; did you mean "log_format"?`},
	{"unknown key in another case", `
[check.load]
hosts          = []
Check_Interval = "1m"
`, `alf.toml:3: hosts: is empty
alf.toml:4: unknown key "Check_Interval" in [check.load]; did you mean "check_interval"?`},
	{"unknown keys after things that look like keys", `
[host.web1] # [host.no] chek = 1
alias = """
[host.web2]
chek = 1
"""
vars = { a = ["[x]", '''
chek = 2 ''', "}" ], b = "\"chek = 3" }
adress = "10.0.0.1"
"quoted key" = 1
ssh.usr = "x"
`, `alf.toml:3: alias: "[host.web2]\nchek = 1\n" contains a control character
alf.toml:9: unknown key "adress" in [host.web1]; did you mean "address"?
alf.toml:10: unknown key "quoted key" in [host.web1]
alf.toml:11: unknown key "usr" in [host.web1.ssh]; did you mean "user"?`},
	{"unknown key in dotted tables", `
[host.web1]
ssh.usr = "x"
ssh = { port = 22 }
`, `alf.toml:3: unknown key "usr" in [host.web1.ssh]; did you mean "user"?
alf.toml:4: host.web1.ssh is already set in line 3`},
	{"unknown key in an inline table", `
[host.web1]
ssh = { user = "a", prot = 22 }
`, `alf.toml:3: unknown key "prot" in [host.web1.ssh]; did you mean "port"?`},
	{"unknown keys at CRLF", "[host.web1]\r\naddress = '''a\r\nb'''\r\nhostgroup = []\r\n", `alf.toml:2: address: "a\r\nb" contains a control character
alf.toml:4: unknown key "hostgroup" in [host.web1]; did you mean "hostgroups"?`},
	{"byte order mark", "\xef\xbb\xbf[host.web1]\naddres = \"a\"\n", `alf.toml:2: unknown key "addres" in [host.web1]; did you mean "address"?`},
	{"name with dots without quotes", `
[host.web1.example.com]
address = "10.0.0.7"

[host.web1.example.org]

[host.10.0.0.1.ssh]
user = "x"

[check.disk.root]
`, `alf.toml:2: unknown table [host.web1.example.com]; a name with dots is quoted: [host."web1.example.com"]
alf.toml:5: unknown table [host.web1.example.org]; a name with dots is quoted: [host."web1.example.org"]
alf.toml:7: unknown table [host.10.0.0.1.ssh]; a name with dots is quoted: [host."10.0.0.1".ssh]
alf.toml:10: unknown table [check.disk.root]; a name with dots is quoted: [check."disk.root"]`},
	{"host twice in a file", `
[host.web1]
address = "10.0.0.7"

[host.web2]
[host.web1]
adress = "10.0.0.8"

[host.web3]
adress = "10.0.0.9"
`, `alf.toml:6: [host.web1] is already set in line 2
alf.toml:7: unknown key "adress" in [host.web1]; did you mean "address"?
alf.toml:10: unknown key "adress" in [host.web3]; did you mean "address"?`},
	{"key twice in a table", `
[host.web1]
alias   = "a"
address = "10.0.0.7"
alias   = """
b"""
vars = { a = 1, a = 2 }
nots = "c"
`, `alf.toml:5: host.web1.alias is already set in line 3
alf.toml:7: host.web1.vars.a is already set in line 7
alf.toml:8: unknown key "nots" in [host.web1]`},
	{"host twice in two files", `
[host.web1]
-- conf.d/a.toml --
[host.web2]
-- conf.d/b/c.toml --

[host.web1]
address = "10.0.0.7"

[host.web2.ssh]
user = "x"
`, `conf.d/b/c.toml:2: [host.web1] is already set in alf.toml:2
conf.d/b/c.toml:5: [host.web2] is already set in conf.d/a.toml:1`},
	{"renamed from what is there, or twice", `
[host.a]
renamed_from = "b"
[host.b]
[host.c]
renamed_from = "x"
[host.d]
renamed_from = "x"
[host.e]
renamed_from = "x!"
[check.one]
hosts = ["b"]
renamed_from = "two"
[check.two]
hosts = ["b"]
[check.disk]
for_each = { m = ["/", "/srv"] }
service = "disk $m$"
renamed_from = "fs"
hosts = ["b"]
[check.self]
hosts = ["b"]
renamed_from = "self"
`, `alf.toml:3: renamed_from: host "b" is still configured; leave it out if that is another one
alf.toml:8: renamed_from: host "c" was renamed from "x", too (alf.toml:6)
alf.toml:10: renamed_from: host name "x!" holds "!", "*" or "?" or begins with "@", which mean something else where hosts are selected
alf.toml:13: check "one" on host "b": renamed_from: service "two" is still configured; leave it out if that is another one
alf.toml:19: check "disk" on host "b": renamed_from: service "disk /" was renamed from "fs", too; name the variables of for_each as in service
alf.toml:23: check "self" on host "b": renamed_from: service "self" is still configured; leave it out if that is another one`},
	{"what a reload may remove", `
[daemon]
max_removed = "5"
keep_removed = 7
`, `alf.toml:3: max_removed: "5" is no percentage such as "5%"
alf.toml:4: keep_removed: want a duration with a unit, such as "30s", got an integer`},
	{"more than all", `
daemon.max_removed = "101%"
`, `alf.toml:2: max_removed: "101%" is not between 0% and 100%`},
	{"less than nothing", `
daemon.max_removed = -1
`, `alf.toml:2: max_removed: -1 is not between 0 and 1000000, or a percentage such as "5%"`},
	{"setting twice in two files", `
[daemon]
socket = "/tmp/alf.sock"
log_levels = { checker = "debug" }

[defaults.vars]
a = 1
-- conf.d/a.toml --
[daemon]
max_checks_per_host = 5
socket = "/tmp/alf2.sock"
log_levels = { checker = "info", ssh = "info" }

[defaults]
vars = { b = 1, a = 2 }
`, `conf.d/a.toml:3: socket in [daemon] is already set in alf.toml:3
conf.d/a.toml:4: checker in [daemon.log_levels] is already set in alf.toml:4
conf.d/a.toml:7: a in [defaults.vars] is already set in alf.toml:7`},
	{"mistakes in all files", `
[daemon]
x = 1
-- conf.d/b.toml --
[daemon]
y = 1
-- conf.d/a/a.toml --

[daemon]
z = 1
`, `alf.toml:3: unknown key "x" in [daemon]
conf.d/a/a.toml:3: unknown key "z" in [daemon]
conf.d/b.toml:2: unknown key "y" in [daemon]`},
	{"a broken file does not hide another", `
[host.web1]
hostgroups = ["paris"]
-- conf.d/a.toml --
[host
-- conf.d/b.toml --
host = 
`, `conf.d/a.toml:1: expected '.' or ']' to end table name, but got '\n' instead
conf.d/b.toml:1: expected value but found '\n' instead`},
	{"wrong types", `
[daemon]
socket                = 5
log_format            = "xml"
log_level             = "INFO"
log_levels            = { checker = "loud", cheker = "info" }
max_concurrent_checks = "10"
max_checks_per_host   = 0
data_dir              = 1.5
local_user            = "no-such-user"

[web]
listen = 5690

[ssh]
user            = ""
port            = 65536
identity_files  = "a"
agent           = "yes"
password        = 5
known_hosts     = [1]
host_key_policy = "accept"
connect_timeout = 10
max_sessions    = 1979-05-27
dial_rate       = 0
max_dials       = "many"
keepalive_interval = "1ms"
keepalive_count = 0
prefetch        = "yes"
idle_timeout    = "0.5s"

[defaults]
timeout_state = "CRITICAL"
compat        = "icinga"
plugin_dir    = "lib"
max_output    = "12 parsecs"
vars          = "a"
`, `alf.toml:3: socket: want a string, got an integer
alf.toml:4: log_format: "xml" is none of "text", "json"
alf.toml:5: log_level: "INFO" is none of "debug", "info", "warn", "error"; did you mean "info"?
alf.toml:6: log_levels: checker: "loud" is none of "debug", "info", "warn", "error"
alf.toml:6: log_levels: cheker: is none of "actions", "api", "checker", "journal", "main", "nagios", "ssh"; did you mean "checker"?
alf.toml:7: max_concurrent_checks: want an integer, got a string
alf.toml:8: max_checks_per_host: 0 is not between 1 and 1000
alf.toml:9: data_dir: want a string, got a float
alf.toml:10: local_user: there is no user "no-such-user"
alf.toml:13: listen: want a string, got an integer
alf.toml:16: user: is empty
alf.toml:17: port: 65536 is not between 1 and 65535
alf.toml:18: identity_files: want a list, got a string
alf.toml:19: agent: want true or false, got a string
alf.toml:20: password: want the name of a [secret.NAME] or a table such as { file = "..." }, got an integer
alf.toml:21: known_hosts: want a string, got an integer
alf.toml:22: host_key_policy: "accept" is none of "strict", "accept-new"; did you mean "accept-new"?
alf.toml:23: connect_timeout: want a duration with a unit, such as "30s", got an integer
alf.toml:24: max_sessions: want an integer, got a date
alf.toml:25: dial_rate: 0 is not between 1 and 10000
alf.toml:26: max_dials: want an integer, got a string
alf.toml:27: keepalive_interval: "1ms" is less than 1s
alf.toml:28: keepalive_count: 0 is not between 1 and 100
alf.toml:29: prefetch: want true or false, got a string
alf.toml:30: idle_timeout: "0.5s" is less than 1s; "0s" means never
alf.toml:33: timeout_state: "CRITICAL" is none of "ok", "warning", "critical", "unknown"; did you mean "critical"?
alf.toml:34: compat: "icinga" is none of "", "nagios"
alf.toml:35: plugin_dir: "lib" is not absolute
alf.toml:36: max_output: "12 parsecs" is no size such as "256KiB"
alf.toml:37: vars: want a table, got a string`},
	{"of all connections together", `
[host.web1.ssh]
dial_rate = 5
`, `alf.toml:3: unknown key "dial_rate" in [host.web1.ssh]`},
	{"journal", `
[journal]
url       = "localhost:4222"
replicas  = 9
history   = 0
retention = "5m"
max_bytes = "1KB"
sync      = "never"
`, `alf.toml:3: url: "localhost:4222" is no address such as "nats://nats1:4222"
alf.toml:4: replicas: 9 is not between 1 and 5
alf.toml:5: history: 0 is not between 1 and 10000
alf.toml:6: retention: "5m" is less than 1h
alf.toml:7: max_bytes: "1KB" is not between 1048576 and 1125899906842624 bytes
alf.toml:8: sync: "never" is none of "1s", "always"`},
	{"journal elsewhere", `
[journal]
url  = "nats://me:secret@nats1:4222"
sync = "always"
`, `alf.toml:3: url: holds a user or password; use credentials`},
	{"journal with a secret and no address", `
[journal]
url  = "http://me:secret@nats1:4222"
`, `alf.toml:3: url: holds a user or password; use credentials`},
	{"journal in a cluster", `
[journal]
url  = "nats://nats1:4222,nats2:4222"
cert = "alf.pem"
`, `alf.toml:3: url: "nats2:4222" is no address such as "nats://nats1:4222"`},
	{"journal with a port that is none", `
[journal]
url = "nats://nats1:4222,tls://nats2:x"
`, `alf.toml:3: url: parse "tls://nats2:x": invalid port ":x" after host`},
	{"journal with half a certificate", `
[journal]
url  = "tls://nats1:4222"
cert = "alf.pem"
`, `alf.toml:2: [journal] cert and key belong together`},
	{"journal with a certificate for nobody", `
[journal]
cert = "alf.pem"
`, `alf.toml:2: [journal] has settings for an external server, but no url`},
	{"journal nowhere", `
[journal]
replicas = 3
`, `alf.toml:2: [journal] has settings for an external server, but no url`},
	{"thresholds and expectations", `
[host.web1]
[check.a]
command = ["true"]
hosts   = ["web1"]
[check.a.thresholds]
one   = { warn = "20:10" }
two   = { wran = 5 }
three = 5
four  = { warn = true, unit = "parsec" }
five  = {}
[check.a.expect]
exit_codes = [0, 300]
output     = "("
otherwise  = "ok"
[check.b]
hosts  = ["web1"]
expect = {}
`, `alf.toml:7: thresholds.one.warn: range "20:10": start 20 is above end 10
alf.toml:8: unknown key "wran" in [check.a.thresholds.two]; did you mean "warn"?
alf.toml:9: thresholds.three: want a table, got an integer
alf.toml:10: thresholds.four.unit: "parsec" is no unit that perfdata may have, such as ms, KB or %
alf.toml:10: thresholds.four.warn: want a range such as "10:20", got a boolean
alf.toml:11: thresholds.five: neither warn nor crit
alf.toml:13: expect.exit_codes: 300 is not between 0 and 255
alf.toml:14: expect.output: error parsing regexp: missing closing ): ` + "`(`" + `
alf.toml:15: expect.otherwise: "ok" is none of "warning", "critical", "unknown"
alf.toml:16: expect has no meaning here: check "b" has neither command nor script, so it is passive`},
	{"addresses that others reach", `
[web]
listen = ":5690"
`, `alf.toml:3: listen: ":5690" can be reached from other machines, and nobody would be asked for a key; listen on 127.0.0.1, [::1] or localhost, and let a proxy or an SSH tunnel lead there`},
	{"address of all interfaces", `
[web]
listen = "0.0.0.0:5690"
`, `alf.toml:3: listen: "0.0.0.0:5690" can be reached from other machines, and nobody would be asked for a key; listen on 127.0.0.1, [::1] or localhost, and let a proxy or an SSH tunnel lead there`},
	{"address without a port", `
[web]
listen = "localhost"
`, `alf.toml:3: listen: "localhost" is no address such as "127.0.0.1:5690", nor "none"`},
	{"address with a name for a port", `
[web]
listen = "localhost:http"
`, `alf.toml:3: listen: "localhost:http": port "http" is not between 0 and 65535`},
	{"durations", `
[defaults]
check_interval     = 30
retry_interval     = "30"
check_timeout      = "-5s"
max_check_attempts = 0

[check.a]
hosts          = ["*"]
check_interval = "5min"
retry_interval = "0s"

[check.b]
hosts          = ["*"]
check_interval = "500ms"
retry_interval = ""

[check.c]
command        = "x"
hosts          = ["*"]
check_interval = "53w"
retry_interval = "1m 30s"
check_timeout  = "9999999999999999w"

[check.d]
hosts          = ["*"]
check_interval = [ "1m" ]
retry_interval = "1h30"
`, `alf.toml:3: check_interval: want a duration with a unit, such as "30s", got an integer
alf.toml:4: retry_interval: "30" has no unit: write "30s" for seconds, or use ms, m, h, d, w
alf.toml:5: check_timeout: "-5s" is negative
alf.toml:6: max_check_attempts: 0 is not between 1 and 1000
alf.toml:10: check_interval: "5min" is no duration such as "30s", "5m" or "1h30m"
alf.toml:11: retry_interval: "0s" is less than 1s
alf.toml:15: check_interval: "500ms" is less than 1s; "0s" means once
alf.toml:16: retry_interval: "" is no duration such as "30s", "5m" or "1h30m"
alf.toml:21: check_interval: "53w" is more than 365d
alf.toml:22: retry_interval: "1m 30s" is no duration such as "30s", "5m" or "1h30m"
alf.toml:23: check_timeout: "9999999999999999w" is too long
alf.toml:27: check_interval: want a duration with a unit, such as "30s", got a list
alf.toml:28: retry_interval: "1h30" is no duration such as "30s", "5m" or "1h30m"`},
	{"sizes", `
[defaults]
max_output = 100

[check.a]
hosts = ["*"]
max_output = "1TiB"

[check.b]
hosts = ["*"]
max_output = "1GiB"

[check.c]
hosts = ["*"]
max_output = true
`, `alf.toml:3: max_output: 100 is not between 1024 and 67108864
alf.toml:7: max_output: "1TiB" is no size such as "256KiB"
alf.toml:11: max_output: "1GiB" is not between 1024 and 67108864 bytes
alf.toml:15: max_output: want an integer, got a boolean`},
	{"names", `
[host."web!1"]
[host."@web"]
[host."web*"]
[host." web"]
[host.""]
[hostgroup."a\tb"]
[check."x\u007f"]
[hostgroup."a?"]
`, `alf.toml:2: host name "web!1" holds "!", "*" or "?" or begins with "@", which mean something else where hosts are selected
alf.toml:3: host name "@web" holds "!", "*" or "?" or begins with "@", which mean something else where hosts are selected
alf.toml:4: host name "web*" holds "!", "*" or "?" or begins with "@", which mean something else where hosts are selected
alf.toml:5: host name " web" begins or ends with a space
alf.toml:6: the name of a host is empty
alf.toml:7: hostgroup name "a\tb" contains a control character or is not UTF-8
alf.toml:8: check name "x\x7f" contains a control character or is not UTF-8
alf.toml:9: hostgroup name "a?" holds "!", "*" or "?" or begins with "@", which mean something else where hosts are selected`},
	{"unknown groups and hosts", `
[hostgroup.paris]
[host.web1]
hostgroups = ["pariss", "paris",
  "london",
  "paris"]

[check.a]
command = "x"
hosts   = [
  "wb1", # one
  "@london",
  "!web11",
  "db.example.com",
]

[check.b]
command = "x"
hosts   = ["web1"]
run     = "web2"
`, `alf.toml:4: there is no [hostgroup.pariss]; did you mean "paris"?
alf.toml:5: there is no [hostgroup.london]
alf.toml:6: hostgroup "paris" is named twice
alf.toml:11: there is no [host.wb1]; did you mean "web1"?
alf.toml:12: there is no [hostgroup.london]
alf.toml:13: there is no [host.web11]; did you mean "web1"?
alf.toml:14: there is no [host."db.example.com"]
alf.toml:20: run: "web2" is neither "remote", "local" nor a host; did you mean "web1"?`},
	{"unknown members", `
[hostgroup.paris]
members = ["web1", "web2", "@all"]

[hostgroup.rome]
members = ["!web1"]

[hostgroup.oslo]
members = ["web2"]

[host.web1]
`, `alf.toml:3: members: "@all": a group cannot be a member of a group
alf.toml:6: members: only takes hosts away; what remains must be named, too, for example "*"
alf.toml:9: there is no [host.web2]; did you mean "web1"?`},
	{"selectors", `
[host.web1]

[check.a]
command = "x"

[check.b]
command = "x"
hosts   = []

[check.c]
command = "x"
hosts   = ["!web1"]

[check.d]
command = "x"
hosts   = "web1"

[check.e]
command = "x"
hosts   = ["", "!", "@", "!@", 5]
`, `alf.toml:4: check "a": no hosts
alf.toml:9: hosts: is empty
alf.toml:13: hosts: only takes hosts away; what remains must be named, too, for example "*"
alf.toml:17: hosts: want a list, got a string
alf.toml:21: hosts: "!" names nothing
alf.toml:21: hosts: "!@" names nothing
alf.toml:21: hosts: "@" names nothing
alf.toml:21: hosts: is empty
alf.toml:21: hosts: want a string, got an integer`},
	{"commands", `
[host.web1]
check_command = 5

[check.a]
hosts   = ["web1"]
command = []

[check.b]
hosts   = ["web1"]
command = " "

[check.c]
hosts   = ["web1"]
command = ["", "a"]

[check.d]
hosts   = ["web1"]
command = { line = "x" }

[check.e]
hosts   = ["web1"]
command = "check_disk 'a"

[check.f]
hosts   = ["web1"]
command = "check_disk $(cat $HOSTNAME$)"

[check.g]
hosts   = ["web1"]
command = ["a", ["b"]]
`, `alf.toml:3: check_command: want a list of arguments or a line for the shell, got an integer
alf.toml:7: command: is empty
alf.toml:11: command: is empty
alf.toml:15: command: is empty
alf.toml:19: command: want a list of arguments or a line for the shell, got a table
alf.toml:23: command: a single quote (') is not closed
alf.toml:27: command: $HOSTNAME$ stands inside or behind $( ), ${ }, backticks, arithmetic, a subscript, [[ ]], a here-document or a comment, where it cannot be quoted safely; hand it over in env
alf.toml:31: command: want a text, a number or a list of them, got a list`},
	{"scripts", `
[host.web1]

[check.a]
hosts  = ["web1"]
script = "check_men"

[check.b]
hosts  = ["web1"]
script = "./check_none"

[check.c]
hosts   = ["web1"]
script  = "check_mem"
command = "check_mem"

[check.d]
hosts  = ["web1"]
script = "check_mem"
args   = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
          "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"]

[check.e]
hosts  = ["web1"]
script = "check_mem"
args   = ["33", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
          "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"]
metric = "a\nb"

[check.f]
hosts  = ["web1"]
script = "check_mem"
stdin  = "x"
`, `alf.toml:6: script: "check_men" is none of Alf's own plugins; the name of a file has a slash, as in "./check_men"; did you mean "check_mem"?
alf.toml:10: script: stat check_none: no such file or directory
alf.toml:14: check "c" has both command and script
alf.toml:26: args: are more than 32, and there is no $ARG33$
alf.toml:28: metric: "a\nb" contains a control character
alf.toml:33: check "f" has both stdin and script, which takes the standard input for itself`},
	{"passive checks with what only plugins heed", `
[host.web1]

[check.backup]
hosts         = ["web1"]
args          = ["a"]
run           = "local"
cwd           = "/"
env           = { A = "b" }
check_timeout = "5s"
timeout_state = "ok"
compat        = "nagios"
plugin_dir    = "/"
`, `alf.toml:6: args has no meaning here: check "backup" has neither command nor script, so it is passive
alf.toml:7: run has no meaning here: check "backup" has neither command nor script, so it is passive
alf.toml:8: cwd has no meaning here: check "backup" has neither command nor script, so it is passive
alf.toml:9: env has no meaning here: check "backup" has neither command nor script, so it is passive
alf.toml:10: check_timeout has no meaning here: check "backup" has neither command nor script, so it is passive
alf.toml:11: timeout_state has no meaning here: check "backup" has neither command nor script, so it is passive
alf.toml:12: compat has no meaning here: check "backup" has neither command nor script, so it is passive
alf.toml:13: plugin_dir has no meaning here: check "backup" has neither command nor script, so it is passive`},
	{"variables", `
[defaults.vars]
ok          = 1.5
"a-b"       = "x"
1a          = "x"
HOSTNAME    = "x"
ARG1        = "x"
SERVICESTATE = "x"
_HOSTFOO    = "x"
when        = 1979-05-27
nested      = [["a"]]
tables      = [{ a = 1 }]

[host.web1]
vars = ["a"]

[check.a]
hosts = ["web1"]
command = "x"
env = { "A-B" = "c", 1B = "c", C = ["a"] }
for_each = { 1d = ["a"], e = 5, f = [[]], HOSTNAME = ["x"] }

[check.b]
hosts = ["web1"]
command = "x"
env = "A=b"
for_each = "mounts"
`, `alf.toml:4: vars.a-b: a name has letters, digits and "_" and does not begin with a digit
alf.toml:5: vars.1a: a name has letters, digits and "_" and does not begin with a digit
alf.toml:6: vars.HOSTNAME: $HOSTNAME$ is a macro with a meaning of its own
alf.toml:7: vars.ARG1: $ARG1$ is a macro with a meaning of its own
alf.toml:8: vars.SERVICESTATE: $SERVICESTATE$ is a macro with a meaning of its own
alf.toml:9: vars._HOSTFOO: $_HOSTFOO$ is a macro with a meaning of its own
alf.toml:10: vars.when: want a text, a number or a list of them, got a date
alf.toml:11: vars.nested: want a text, a number or a list of them, got a list
alf.toml:12: vars.tables: want a text, a number or a list of them, got a table
alf.toml:15: vars: want a table, got a list
alf.toml:20: env.1B: a name has letters, digits and "_" and does not begin with a digit
alf.toml:20: env.A-B: a name has letters, digits and "_" and does not begin with a digit
alf.toml:20: env.C: want a text, a number or a list of them, got a list
alf.toml:21: for_each.1d: a name has letters, digits and "_" and does not begin with a digit
alf.toml:21: for_each.HOSTNAME: $HOSTNAME$ is a macro with a meaning of its own
alf.toml:21: for_each.e: want a list, or the name of a variable that is one, got an integer
alf.toml:21: for_each.f: want a text, a number or a list of them, got a list
alf.toml:26: env: want a table, got a string
alf.toml:27: for_each: want a table such as { mount = "mounts" }, got a string`},
	{"undefined macros", `
[host.web1]
[host.web2]
[host.web3]
vars = { foo = "x", bar = "$baz$", loud = "$SERVICESTATE$" }

[defaults.vars]
bar = "$baz$ $qux$"

[check.disk]
hosts     = ["web*"]
command   = [
  "check_disk",
  "$foo$", "$foo$", "$HOSTNAM$"
]
notes_url = "https://wiki/$x$"

[check.load]
hosts   = ["web*"]
command = "check_load $bar$"

[check.users]
hosts   = ["web3"]
args    = ["$loud$"]
command = "check_users $ARG1$ $ARG2$ $_HOSTNONE$ $_SERVICENONE$"
env     = { A = "$b$" }
cwd     = "/$SERVICESTATE$"
`, `alf.toml:5: check "load" on host "web3": macro $baz$, which $bar$ refers to, is not defined
alf.toml:5: check "users" on host "web3": macro $SERVICESTATE$ has no value before the check runs: it can stand in command and env, but not in $loud$
alf.toml:8: check "load" on host "web1" and 1 other: macro $baz$, which $bar$ refers to, is not defined
alf.toml:8: check "load" on host "web1" and 1 other: macro $qux$, which $bar$ refers to, is not defined
alf.toml:14: check "disk" on host "web1" and 1 other: macro $foo$ is not defined
alf.toml:14: check "disk" on host "web1" and 2 others: macro $HOSTNAM$ is not defined; did you mean "HOSTNAME"?
alf.toml:16: check "disk" on host "web1" and 2 others: macro $x$ is not defined
alf.toml:25: check "users" on host "web3": macro $ARG2$ is not defined
alf.toml:25: check "users" on host "web3": macro $_HOSTNONE$ is not defined
alf.toml:25: check "users" on host "web3": macro $_SERVICENONE$ is not defined
alf.toml:26: check "users" on host "web3": macro $b$ is not defined
alf.toml:27: check "users" on host "web3": macro $SERVICESTATE$ has no value before the check runs: it cannot stand in cwd`},
	{"undefined macros in a host's own check", `
[host.web1]
check_command = "check_ping -H $HOSTADDRES$ $SERVICEDESC$ $SERVICECHECKCOMMAND$"
notes_url     = "https://wiki/$x$/$HOSTSTATE$"
`, `alf.toml:3: check_command of host "web1": macro $HOSTADDRES$ is not defined; did you mean "HOSTADDRESS"?
alf.toml:3: check_command of host "web1": macro $SERVICECHECKCOMMAND$ is not defined
alf.toml:3: check_command of host "web1": macro $SERVICEDESC$ is not defined
alf.toml:4: notes_url of host "web1": macro $HOSTSTATE$ has no value before the check runs: it cannot stand in notes_url
alf.toml:4: notes_url of host "web1": macro $x$ is not defined`},
	{"macros that refer to themselves", `
[host.web1]
vars = { a = "$b$", b = "x$c$", c = "$a$" }

[check.disk]
hosts   = ["web1"]
command = "check_disk $a$"

[check.args]
hosts   = ["web1"]
command = "check_disk $ARG1$"
args    = ["$ARG2$", "$ARG1$"]
`, `alf.toml:3: check "disk" on host "web1": macro refers to itself: $a$ > $b$ > $c$ > $a$
alf.toml:12: check "args" on host "web1": macro refers to itself: $ARG1$ > $ARG2$ > $ARG1$`},
	{"macros without end", `
[host.web1]

[check.disk]
hosts   = ["web1"]
command = "check_disk $a$"
vars    = { a = "$b$$b$$b$$b$", b = "$c$$c$$c$$c$", c = "$d$$d$$d$$d$", d = "$e$$e$$e$$e$", e = "$f$$f$$f$$f$", f = "$g$$g$$g$$g$", g = "x" }
`, `alf.toml:4: check "disk" on host "web1": macro $g$: there are more than 1000 macros in macros`},
	{"names of services", `
[host.web1]
alias = "a\tb"
vars  = { empty = "", long = ["1"] }

[check.a]
hosts   = ["web1"]
command = "x"
service = "$empty$"

[check.b]
hosts   = ["web1"]
command = "x"
service = ""

[check.c]
hosts   = ["web1"]
command = "x"
service = " $empty$x"

[check.d]
hosts   = ["web1"]
command = "x"
service = "$SERVICEDESC$"

[check.e]
hosts   = ["web1"]
command = "x"
service = "$SERVICESTATE$"

[check.f]
hosts   = ["web1"]
command = "x"
service = "x\u0001y"
`, `alf.toml:3: alias: "a\tb" contains a control character
alf.toml:9: check "a" on host "web1": the name of the service is empty
alf.toml:14: service: is empty
alf.toml:19: check "c" on host "web1": service name " x" begins or ends with a space
alf.toml:24: check "d" on host "web1": macro $SERVICEDESC$ is not defined
alf.toml:29: check "e" on host "web1": macro $SERVICESTATE$ has no value before the check runs: it cannot stand in service
alf.toml:34: service: "x\x01y" contains a control character`},
	{"for_each", `
[host.web1]
[host.web2]
vars = { one = "x", two = ["a", "b"] }

[check.a]
hosts    = ["web*"]
command  = "x $i$"
for_each = { i = "two" }

[check.b]
hosts    = ["web2"]
command  = "x $i$"
service  = "b $i$"
for_each = { i = "one" }

[check.c]
hosts    = ["web2"]
command  = "x $i$"
service  = "c $i$"
for_each = { i = ["a", "b", "a"] }

[check.d]
hosts    = ["web2"]
command  = "x $i$"
service  = "d $i$"
for_each = { i = ["a", "$none$"] }
`, `alf.toml:6: check "a" on host "web2": for_each makes service "a" more than once; name its variable in service
alf.toml:9: check "a" on host "web1": for_each: there is no variable "two"
alf.toml:15: check "b" on host "web2": for_each: variable "one" is not a list
alf.toml:17: check "c" on host "web2": for_each makes service "c a" more than once; name its variable in service
alf.toml:27: check "d" on host "web2": macro $none$, which $i$ refers to, is not defined`},
	{"for_each with too much", `
[host.web1]
vars = { l = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a"] }

[check.a]
hosts    = ["web1"]
command  = "x"
service  = "$a$$b$$c$$d$"
for_each = { a = "l", b = "l", c = "l", d = "l" }
`, `alf.toml:9: check "a" on host "web1": for_each makes more than 10000 services`},
	{"two checks give a service", `
[hostgroup.web]
[host.web1]
hostgroups = ["web"]
[host.web2]
hostgroups = ["web"]
[host.web3]

[check.disk]
hosts   = ["@web"]
command = "check_disk"

[check.disk-glob]
service = "disk"
hosts   = ["web*"]
command = "check_disk"
`, `alf.toml:13: check "disk-glob" on host "web1" and 1 other: service "disk" comes from check "disk" (alf.toml:9), too; one of them must name the host itself, or leave it out`},
	{"two checks name the host itself", `
[host.web1]

[check.disk]
hosts   = ["web1"]
command = "check_disk"
-- conf.d/a.toml --
[check.disk2]
service = "disk"
hosts   = ["web1"]
command = "check_disk"
`, `conf.d/a.toml:1: check "disk2" on host "web1": service "disk" comes from check "disk" (alf.toml:4), too, and both name the host itself`},
	{"secrets", `
[secret.db]
file = "none.secret"

[secret.both]
file = "db.secret"
env  = "DB_PASSWORD"

[secret.nothing]

[secret.unset]
env = "NO_SUCH_VARIABLE"

[secret.empty]
file = "empty.secret"

[secret.nul]
file = "nul.secret"

[secret.open]
file = "alf.toml"

[secret.folder]
file = "/"

[secret.credential]
credential = "db"

[secret.type]
file = 123456

[secret.key]
fiel = "hunter2"

[ssh]
password = "hunter2"

[host.web1]
ssh.password = 123456
vars = { a = { secret = "hunter2" }, b = { secret = "bd" }, c = {}, d = { file = "none" }, e = { fil = "hunter2" } }
-- empty.secret --

-- db.secret --
hunter2
`, `alf.toml:2: secret "db": open none.secret: no such file or directory
alf.toml:5: secret "both": want one of file, env, credential
alf.toml:9: secret "nothing": want one of file, env, credential
alf.toml:11: secret "unset": environment variable NO_SUCH_VARIABLE is empty
alf.toml:14: secret "empty": empty.secret is empty
alf.toml:17: secret "nul": open nul.secret: no such file or directory
alf.toml:20: secret "open": read alf.toml: others can read it (mode 0644): chmod go=
alf.toml:23: secret "folder": read /: is not a regular file
alf.toml:26: secret "credential": credential "db": CREDENTIALS_DIRECTORY is not set
alf.toml:30: file: want a string, got an integer
alf.toml:33: unknown key "fiel" in [secret.key]; did you mean "file"?
alf.toml:36: password: there is no [secret.NAME] of this name; a secret itself never stands in the configuration
alf.toml:39: ssh.password: want the name of a [secret.NAME] or a table such as { file = "..." }, got an integer
alf.toml:40: vars.a: there is no [secret.NAME] of this name; a secret itself never stands in the configuration
alf.toml:40: vars.b: there is no [secret.NAME] of this name; a secret itself never stands in the configuration
alf.toml:40: vars.c: want one of file, env, credential
alf.toml:40: vars.d: open none: no such file or directory
alf.toml:40: vars.e: unknown key "fil" in [host.web1.vars.e]; did you mean "file"?`},
	{"dotted keys without a header", `
host.web1.address = 5
host.web1.ssh.port = "22"
host.web2.ssh = { port = 22, port = 23 }
daemon.max_checks_per_host = "x"
`, `alf.toml:2: address: want a string, got an integer
alf.toml:3: ssh.port: want an integer, got a string
alf.toml:4: host.web2.ssh.port is already set in line 4
alf.toml:5: max_checks_per_host: want an integer, got a string`},
	{"table in a table that has none", `
[daemon.web]
listen = "x"

[defaults.ssh.key]
user = "x"
`, `alf.toml:2: unknown key "web" in [daemon]
alf.toml:5: unknown key "ssh" in [defaults]`},
	{"list of named tables", `
[[check.disk]]
hosts = ["web1"]

[[check.disk]]
hosts = ["web2"]
`, `alf.toml:2: disk in [check]: want a table [check.NAME], got a list of tables`},
	{"list of tables in a table", `
[check.disk]
command = "x"
[[check.disk.hosts]]
name = "web1"
[check.disk.hosts.more]
name = "web1"
`, `alf.toml:4: hosts: want a list, got a list of tables`},
	{"table and value of one name", `
[check]
disk = 5
[check.disk]
hosts = ["web1"]
`, `alf.toml:3: disk in [check]: want a table [check.NAME], got an integer
alf.toml:4: [check.disk] is already set in line 3
alf.toml:5: there is no [host.web1]`},
	{"table as variable", `
[host.web1.vars.a.b]
c = 1
`, `alf.toml:2: vars.a: unknown key "b" in [host.web1.vars.a]`},
	{"near misses", `
[host."web1.example.com"]

[check.disk]
host     = ["web1.example.com"]
command  = "x"
interval = "1m"
timeout  = "5s"
attempts = 3
var      = { a = "b" }
foreach  = { a = "b" }

[check.load]
hosts   = ["web1"]
command = "x"

[check.users]
hosts   = ["web1.example.com"]
command = "x"
run     = "Local"
`, `alf.toml:5: unknown key "host" in [check.disk]; did you mean "hosts"?
alf.toml:7: unknown key "interval" in [check.disk]; did you mean "check_interval"?
alf.toml:8: unknown key "timeout" in [check.disk]; did you mean "check_timeout"?
alf.toml:9: unknown key "attempts" in [check.disk]; did you mean "max_check_attempts"?
alf.toml:10: unknown key "var" in [check.disk]; did you mean "vars"?
alf.toml:11: unknown key "foreach" in [check.disk]; did you mean "for_each"?
alf.toml:14: there is no [host.web1]; did you mean "web1.example.com"?
alf.toml:20: run: "Local" is neither "remote", "local" nor a host; did you mean "local"?`},
	{"address out of range", `
[web]
listen = "[::1]:70000"
`, `alf.toml:3: listen: "[::1]:70000": port "70000" is not between 0 and 65535`},
	{"name as address", `
[web]
listen = "example.com:80"
`, `alf.toml:3: listen: "example.com:80" can be reached from other machines, and nobody would be asked for a key; listen on 127.0.0.1, [::1] or localhost, and let a proxy or an SSH tunnel lead there`},
	{"empty hostgroup name", `
[host.web1]
hostgroups = ["", 1]
`, `alf.toml:3: hostgroups: is empty
alf.toml:3: hostgroups: want a string, got an integer`},
	{"mistake in a table that others need", `
[hostgroup.paris]
membrs = ["web1"]

[host.web1]
adress = "10.0.0.1"

[secret.db]
fil = "x"

[ssh]
password = "db"

[check.a]
hosts   = ["web1", "@paris"]
command = "x $undefined$"
retry   = "1m"
`, `alf.toml:3: unknown key "membrs" in [hostgroup.paris]; did you mean "members"?
alf.toml:6: unknown key "adress" in [host.web1]; did you mean "address"?
alf.toml:9: unknown key "fil" in [secret.db]; did you mean "file"?
alf.toml:17: unknown key "retry" in [check.a]; did you mean "retry_interval"?`},
	{"unknown keys in many lines of one list", `
[check.a]
command = [
  "x", # "
  # ]
  "y]",
  """
z
""",
]
hosts = [
  # "web1",
  "web2"
]
`, `alf.toml:13: there is no [host.web2]`},
	{"identity files", `
[ssh]
identity_files = ["alf.toml", "good.key",
  "none.key",
  "/",
]
-- good.key --
`, `alf.toml:3: identity_files: read alf.toml: others can read it (mode 0644): chmod go=
alf.toml:4: identity_files: open none.key: no such file or directory
alf.toml:5: identity_files: read /: is not a regular file`},
	{"secrets where none can be", `
[secret.db]
file = "db.secret"

[host.web1]
vars      = { db = { secret = "db" }, indirect = "x $db$" }
notes_url = "https://wiki/$db$"

[check.a]
hosts    = ["web1"]
command  = "x"
service  = "a $indirect$"

[check.b]
hosts     = ["web1"]
command   = "x"
cwd       = "/$db$"
notes_url = "https://wiki/$indirect$"

[check.c]
hosts    = ["web1"]
command  = "x"
service  = "c $i$"
for_each = { i = ["$db$"] }
-- db.secret --
hunter2
`, `alf.toml:7: notes_url of host "web1": a secret cannot stand in notes_url
alf.toml:12: check "a" on host "web1": a secret cannot stand in service
alf.toml:17: check "b" on host "web1": a secret cannot stand in cwd
alf.toml:18: check "b" on host "web1": a secret cannot stand in notes_url
alf.toml:24: check "c" on host "web1": for_each: a secret cannot be in a list of services`},
	{"two mistakes in log_levels", `
[daemon]
log_levels = { ssh = "loud", api = "x", sssh = 5 }
`, `alf.toml:3: log_levels: api: "x" is none of "debug", "info", "warn", "error"
alf.toml:3: log_levels: ssh: "loud" is none of "debug", "info", "warn", "error"
alf.toml:3: log_levels: sssh: is none of "actions", "api", "checker", "journal", "main", "nagios", "ssh"; did you mean "ssh"?
alf.toml:3: log_levels: sssh: want a string, got an integer`},
	{"good files beside a broken one", `
[daemon]
sokcet = "x"
[journal]
replicas = 3
[ssh]
password = "db"
[host.web1]
hostgroups = ["paris"]
vars = { pass = { secret = "db" } }
-- conf.d/a.toml --
[host.web2
-- conf.d/b.toml --
[hostgroup.rome]
members = ["web2"]
[check.a]
command  = "x $warn$ $_HOSTWARN$ $inner$"
hosts    = ["web1", "web2", "@paris"]
service  = "a $suffix$"
vars     = { inner = "$outer$" }
interval = "1m"
[check.b]
command = "x"
hosts   = ["web1"]
run     = "web2"
cwd     = "/$warn$"
[check.c]
command  = "x $i$"
hosts    = ["web1"]
service  = "$i$"
for_each = { i = "mounts" }
[check.d]
command = "x $warn$"
hosts   = ["web1"]
cwd     = "/$SERVICESTATE$"
`, `alf.toml:3: unknown key "sokcet" in [daemon]; did you mean "socket"?
conf.d/a.toml:1: expected '.' or ']' to end table name, but got '\n' instead
conf.d/b.toml:8: unknown key "interval" in [check.a]; did you mean "check_interval"?
conf.d/b.toml:22: check "d" on host "web1": macro $SERVICESTATE$ has no value before the check runs: it cannot stand in cwd`},
	{"duplicates and other mistakes", `
[defaults]
check_interval = 30
[defaults]
vars           = { warn = "5" }
retry_interval = 30
[host.web1]
alias = "a"
[host.web1]
alias = 5
vars  = { crit = "10", "a-b" = 1 }
[host.web1.ssh]
prot = 22
[host.web2]
vars = { a = 1 }
vars = { b = 2, c = [[]] }
[check.a]
command = "x $warn$ $crit$ $b$ $none$"
hosts   = ["web1", "web2", "web3"]
command = 5
-- conf.d/a.toml --
[host.web1]
adress = "x"
vars   = { more = "x" }
[defaults]
check_interval = "x"
[check.b]
command = "x $more$"
hosts   = ["web1"]
`, `alf.toml:3: check_interval: want a duration with a unit, such as "30s", got an integer
alf.toml:4: [defaults] is already set in line 2
alf.toml:6: retry_interval: want a duration with a unit, such as "30s", got an integer
alf.toml:9: [host.web1] is already set in line 7
alf.toml:10: alias: want a string, got an integer
alf.toml:11: vars.a-b: a name has letters, digits and "_" and does not begin with a digit
alf.toml:13: unknown key "prot" in [host.web1.ssh]; did you mean "port"?
alf.toml:16: host.web2.vars is already set in line 15
alf.toml:16: vars.c: want a text, a number or a list of them, got a list
alf.toml:18: check "a" on host "web1" and 1 other: macro $none$ is not defined
alf.toml:18: check "a" on host "web1": macro $b$ is not defined
alf.toml:18: check "a" on host "web2": macro $crit$ is not defined
alf.toml:19: there is no [host.web3]; did you mean "web1"?
alf.toml:20: check.a.command is already set in line 18
alf.toml:20: command: want a list of arguments or a line for the shell, got an integer
conf.d/a.toml:1: [host.web1] is already set in alf.toml:7
conf.d/a.toml:2: unknown key "adress" in [host.web1]; did you mean "address"?
conf.d/a.toml:5: check_interval in [defaults] is already set in alf.toml:3
conf.d/a.toml:5: check_interval: "x" is no duration such as "30s", "5m" or "1h30m"`},
	{"a mistake of syntax in what is set again", `
[host.web1]
alias = "a"
alias = b
adress = "x"
hostgroups = ["paris"]
`, `alf.toml:4: expected value but found "b" instead
alf.toml:4: host.web1.alias is already set in line 3
alf.toml:5: unknown key "adress" in [host.web1]; did you mean "address"?`},
	{"variables of groups that are not there", `
[hostgroup.paris]
vars = { warn = "5" }
[host.web1]
hostgroups = ["pariss"]
[host.web2]
hostgroups = ["london"]
[check.a]
command = "x $warn$ $crit$"
hosts   = ["web*"]
`, `alf.toml:5: there is no [hostgroup.pariss]; did you mean "paris"?
alf.toml:7: there is no [hostgroup.london]
alf.toml:9: check "a" on host "web1": macro $crit$ is not defined`},
	{"too many duplicates", `
[host.web1]
adress = "x"
` + strings.Repeat("alias = 'x'\n", maxDuplicates+1) + `[check.a]
hosts = ["@none"]
`, func() string {
		var b strings.Builder
		for i := range maxDuplicates {
			fmt.Fprintf(&b, "alf.toml:%d: host.web1.alias is already set in line 4\n", 5+i)
		}
		return b.String() + fmt.Sprintf("alf.toml:%d: too much is set twice: the rest of the file was not examined", 4+maxDuplicates)
	}()},
	{"conf.d that is no folder", `
[host.web1]
adress = "x"
-- conf.d --
[host.web2]
`, `alf.toml:3: unknown key "adress" in [host.web1]; did you mean "address"?
conf.d: is not a folder`},
	{"a value where dotted keys have made a table", `
host.x.address = "127.0.0.1"
[host]
x = 1
y = { addres = "x" }
`, `alf.toml:3: [host] is already set in line 2
alf.toml:4: x in [host]: want a table [host.NAME], got an integer
alf.toml:5: unknown key "addres" in [host.y]; did you mean "address"?`},
	{"a value where headers have made a table", `
[host.x.ssh]
port = 22
[host]
x = 1
`, `alf.toml:5: host.x is already set in line 2
alf.toml:5: x in [host]: want a table [host.NAME], got an integer`},
	{"a value where dotted keys of its table have made one", `
[host.x]
ssh.port = 22
ssh = 4
`, `alf.toml:4: host.x.ssh is already set in line 3
alf.toml:4: ssh: want a table, got an integer`},
	{"a header where there is a value", `
[host.x]
address = "x"
[host.x.address.more]
a = 1
[host.y]
adress = 1
`, `alf.toml:4: address: want a string, got a table
alf.toml:4: host.x.address is already set in line 3
alf.toml:7: unknown key "adress" in [host.y]; did you mean "address"?`},
	{"a table and a list of tables", `
[check.a]
hosts = ["*"]
[[check.a]]
host = 1
[[check.a]]
host = 1
`, `alf.toml:4: [check.a] is already set in line 2
alf.toml:6: [check.a] is already set in line 2`},
	{"a value where another file has a table", `
ssh = 5
x = 1
[host]
web1 = 1
[daemon]
log_levels = 5
-- conf.d/a.toml --
[ssh]
prot = 22
[host.web1]
adress = "x"
[daemon.log_levels]
ssh = "loud"
-- conf.d/b.toml --
ssh = true
x = 2
[ssh]
user = 5
`, `alf.toml:2: ssh: want a table, got an integer
alf.toml:3: unknown key "x" outside of all tables
alf.toml:5: web1 in [host]: want a table [host.NAME], got an integer
alf.toml:7: log_levels: want a table, got an integer
conf.d/a.toml:2: unknown key "prot" in [ssh]; did you mean "port"?
conf.d/a.toml:4: unknown key "adress" in [host.web1]; did you mean "address"?
conf.d/a.toml:5: log_levels in [daemon] is already set in alf.toml:7
conf.d/a.toml:6: log_levels: ssh: "loud" is none of "debug", "info", "warn", "error"
conf.d/b.toml:1: ssh: want a table, got a boolean
conf.d/b.toml:2: unknown key "x" outside of all tables
conf.d/b.toml:3: [ssh] is already set in line 1
conf.d/b.toml:4: user: want a string, got an integer`},
	{"hosts that may ask for pages", `
[web]
allowed_hosts = ["a b", "http://x/", "alf.example.com:443", "[::1]", "", "ok.example.com.", "Monitor_1", "10.0.0.7", "2001:db8::1", "*.example.com"]
`, `alf.toml:3: allowed_hosts: "*.example.com" is neither a host name nor an IP address
alf.toml:3: allowed_hosts: "[::1]" is neither a host name nor an IP address: leave the brackets out
alf.toml:3: allowed_hosts: "a b" is neither a host name nor an IP address
alf.toml:3: allowed_hosts: "alf.example.com:443" is neither a host name nor an IP address: leave the port out
alf.toml:3: allowed_hosts: "http://x/" is neither a host name nor an IP address
alf.toml:3: allowed_hosts: is empty`},
	{"addresses of hosts", `
[host.a]
address = "1.2.3.4:22"
[host.b]
address = "[::1]"
[host.c]
address = "a b"
[host.d]
address = "[::1]:22"
[host.e]
address = "a..b"
[host.f]
address = "fe80::1%eth0"
[host."g h"]
check_command = "none"
`, `alf.toml:3: address: "1.2.3.4:22" is neither a host name nor an IP address: the port belongs into ssh.port
alf.toml:5: address: "[::1]" is neither a host name nor an IP address: leave the brackets out
alf.toml:7: address: "a b" is neither a host name nor an IP address
alf.toml:9: address: "[::1]:22" is neither a host name nor an IP address: the port belongs into ssh.port
alf.toml:11: address: "a..b" is neither a host name nor an IP address`},
	{"the name of a link's service", `
[host.web1]
check_command = "none"
[host.web2]
[check."ssh link"]
command = ["check_ssh"]
hosts   = ["web*"]
[host.web3]
check_command = "none"
`, `alf.toml:5: check "ssh link" on host "web1" and 1 other: service "ssh link" is what Alf calls its own check of the connection; choose another name`},
	{"notes that are no pages", `
[defaults.vars]
wiki = "ftp://wiki"
[host.web1]
notes_url = "javascript:alert(1)"
[host.web2]
notes_url = "HTTPS://wiki/$HOSTNAME$"
vars      = { wiki = "http://wiki" }
[check.a]
hosts     = ["web*"]
notes_url = "$wiki$/a b"
`, `alf.toml:5: notes_url of host "web1": notes_url: "javascript:alert(1)" begins neither with http:// nor with https://
alf.toml:11: check "a" on host "web1": notes_url: "ftp://wiki/a b" begins neither with http:// nor with https://`},
	{"UTF-16", "\xff\xfe[\x00h\x00]\x00", `alf.toml:1: the file is not UTF-8 but UTF-16: save it as UTF-8`},
	{"UTF-16 of the other kind", "\xfe\xff[host.a]\n", `alf.toml:1: the file is not UTF-8 but UTF-16: save it as UTF-8`},
	{"keys and passphrases", `
[ssh]
identity_files    = ["locked.key"]
certificate_files = ["good.key", "none.pub", "a-cert.pub"]
host_key_alias    = "a b"
[host.h]
[host.i]
[host.j.ssh]
passphrase = { file = "wrong.secret" }
[host.k.ssh]
passphrase = "wrong"
[hostgroup.g]
members = ["h", "i"]
ssh     = { passphrase = { file = "wrong.secret" } }
-- a-cert.pub --
ssh-ed25519-cert-v01@openssh.com AAAA
-- good.key --
-- wrong.secret --
sesame
-- locked.key --
` + privateKey("aes256-ctr"), `alf.toml:4: certificate_files: good.key: no OpenSSH certificate in it
alf.toml:4: certificate_files: open none.pub: no such file or directory
alf.toml:5: host_key_alias: "a b" is no host name
alf.toml:11: ssh.passphrase: there is no [secret.NAME] of this name; a secret itself never stands in the configuration
alf.toml:14: passphrase: locked.key: the passphrase is wrong`},
	{"bastions", `
[ssh]
proxy_jump = ["jmup1", "a b@c", "@x", "x:0", "x@y z", "jump1,jump2"]
[hostgroup.a]
proxy_jump = ["jump1", "jump2"]
ssh        = { proxy_jump = ["jump1"] }
[hostgroup.b]
proxy_jump = ["jmup3", "jump4"]
[hostgroup.c]
proxy_jump = ["jump1", "jump2"]
[host.jump1]
proxy_jump = 5
[host.jump2]
proxy_jump = "jump1"
[host.jump3]
proxy_jump = []
[host.web1]
hostgroups = ["c"]
proxy_jump = ["jump3", "jump2"]
[host.web2]
hostgroups = ["b"]
[host.web3]
proxy_jump = ["jump3", "jump2"]
`, `alf.toml:3: proxy_jump: "@x": there is no user before the @
alf.toml:3: proxy_jump: "jump1,jump2": write a list, ["jump1", "jump2"]
alf.toml:3: proxy_jump: "x:0": port "0" is not between 1 and 65535
alf.toml:3: proxy_jump: "x@y z": "y z" is neither a host name nor an IP address
alf.toml:6: ssh.proxy_jump is already set in line 5
alf.toml:8: proxy_jump: there is no [host.jmup3], and a machine that is not checked is written as "user@jmup3"; did you mean "jump3"?
alf.toml:8: proxy_jump: there is no [host.jump4], and a machine that is not checked is written as "user@jump4"; did you mean "jump1"?
alf.toml:12: proxy_jump: want a string, got an integer
alf.toml:19: proxy_jump: host "jump2" is behind "jump3" here, but not by its own settings: set proxy_jump in [host.jump2] as well, so that its connection is one and the same
alf.toml:23: proxy_jump: host "jump2" is behind "jump3" here, but not by its own settings: set proxy_jump in [host.jump2] as well, so that its connection is one and the same`},
	{"bastions in a circle", `
[host.a]
proxy_jump = ["b"]
[host.b]
proxy_jump = ["x@y", "c"]
[host.c]
proxy_jump = ["a"]
[host.d]
proxy_jump = ["d"]
[host.e]
proxy_jump = ["f"]
[host.f]
parents = ["e"]
`, `alf.toml:5: proxy_jump: host "c" is behind "x@y:22" here, but not by its own settings: set proxy_jump in [host.c] as well, so that its connection is one and the same
alf.toml:7: proxy_jump goes round in a circle: a behind b behind c behind a
alf.toml:9: proxy_jump goes round in a circle: d behind d
alf.toml:13: parents go round in a circle: e behind f behind e`},
	{"files that are no keys", `
[ssh]
identity_files = ["text.key",
  "public.key",
  "damaged.key",
  "good.key"]
[host.web1.ssh]
identity_files = ["certificate.key"]
-- text.key --
ssh-ed25519 AAAA
-- public.key --
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
-- damaged.key --
-----BEGIN OPENSSH PRIVATE KEY-----
AAAA
-----END OPENSSH PRIVATE KEY-----
-- certificate.key --
-----BEGIN CERTIFICATE-----
AAAA
-----END CERTIFICATE-----
-- good.key --
`, `alf.toml:3: identity_files: text.key: no PEM private key in it
alf.toml:4: identity_files: public.key: no PEM private key in it
alf.toml:5: identity_files: damaged.key: its private key is damaged
alf.toml:8: ssh.identity_files: certificate.key: no PEM private key in it`},
}

func TestBroken(t *testing.T) {
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, c.src)
			_, err := Load(file, options())
			if got := message(err, file); got != c.want {
				t.Errorf("Load says\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestUnreadable demands that files are examined beside those that cannot be
// read, and that nothing is missed that may be in these.
func TestUnreadable(t *testing.T) {
	const src = `
[daemon]
x = 1
[host.web1]
hostgroups = ["paris"]
-- conf.d/a.toml --
[hostgroup.paris]
-- conf.d/b/b.toml --
[hostgroup.paris]
-- conf.d/c.toml --
[hostgroup.paris]
y = 1
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
	f("alf.toml", 0o666, `alf.toml: others can write it (mode 0666): chmod go-w
conf.d/b/b.toml:1: [hostgroup.paris] is already set in conf.d/a.toml:1
conf.d/c.toml:1: [hostgroup.paris] is already set in conf.d/a.toml:1
conf.d/c.toml:2: unknown key "y" in [hostgroup.paris]`)
	f("conf.d/a.toml", 0o666, `alf.toml:3: unknown key "x" in [daemon]
conf.d/a.toml: others can write it (mode 0666): chmod go-w
conf.d/c.toml:1: [hostgroup.paris] is already set in conf.d/b/b.toml:1
conf.d/c.toml:2: unknown key "y" in [hostgroup.paris]`)
	f("conf.d/b", 0o777, `alf.toml:3: unknown key "x" in [daemon]
conf.d/b: others can write it (mode 0777): chmod go-w
conf.d/c.toml:1: [hostgroup.paris] is already set in conf.d/a.toml:1
conf.d/c.toml:2: unknown key "y" in [hostgroup.paris]`)
	f("conf.d", 0o777, `alf.toml:3: unknown key "x" in [daemon]
conf.d: others can write it (mode 0777): chmod go-w`)
}

func TestMayBecome(t *testing.T) {
	f := func(uid int, want string) {
		t.Helper()
		got := ""
		if err := mayBecome(&user.User{Uid: "1000", Username: "nagios"}, uid); err != nil {
			got = err.Error()
		}
		equal(t, fmt.Sprintf("what is said to user %d", uid), got, want)
	}
	f(0, "")
	f(1000, "")
	f(1001, `only root may run plugins as somebody else, and Alf runs as user 1001, who is not "nagios"`)
}

// TestLocalUser demands that another user is refused where only root could
// become one.
func TestLocalUser(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may become anybody")
	}
	file := write(t, "[daemon]\nlocal_user = \"root\"\n")
	o := options()
	if _, err := Load(file, o); !strings.Contains(message(err, file), "alf.toml:2: local_user: only root may") {
		t.Errorf("Load says %v, want that only root may do that", err)
	}
	o.NoSecrets = true
	if _, err := Load(file, o); err != nil {
		t.Errorf("Load without secrets says %v", err)
	}
}
