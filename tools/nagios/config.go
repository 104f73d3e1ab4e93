package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// judging are the settings that Nagios judges by. Intervals are in seconds and
// host checks are not cached; the rest are the compiled defaults.
var judging = map[string]string{
	"interval_length":                             "1",
	"cached_host_check_horizon":                   "0",
	"cached_service_check_horizon":                "0",
	"enable_predictive_host_dependency_checks":    "1",
	"enable_predictive_service_dependency_checks": "1",
	"soft_state_dependencies":                     "0",
	"passive_host_checks_are_soft":                "0",
	"translate_passive_host_checks":               "0",
	"use_aggressive_host_checking":                "0",
	"host_down_disable_service_checks":            "0",
	"enable_flap_detection":                       "1",
	"low_service_flap_threshold":                  "20",
	"high_service_flap_threshold":                 "30",
	"low_host_flap_threshold":                     "20",
	"high_host_flap_threshold":                    "30",
	"additional_freshness_latency":                "15",
	"retain_state_information":                    "0",
}

// recording makes Nagios say what it does, each second, and start checks when
// they are due rather than spread. %s is the directory.
const recording = `log_file=%[1]s/nagios.log
cfg_file=%[1]s/objects.cfg
object_cache_file=%[1]s/objects.cache
status_file=%[1]s/status.dat
state_retention_file=%[1]s/retention.dat
command_file=%[1]s/commands
query_socket=%[1]s/query
lock_file=%[1]s/lock
temp_file=%[1]s/temp
temp_path=%[1]s
check_result_path=%[1]s/results
debug_file=%[1]s/debug
debug_level=32
debug_verbosity=1
max_debug_file_size=0
status_update_interval=1
service_freshness_check_interval=1
host_freshness_check_interval=1
check_service_freshness=1
check_host_freshness=1
service_inter_check_delay_method=n
host_inter_check_delay_method=n
check_external_commands=1
check_workers=6
check_for_updates=0
use_syslog=0
log_notifications=1
log_service_retries=1
log_host_retries=1
log_event_handlers=1
log_external_commands=1
log_passive_checks=1
log_initial_states=0
log_current_states=0
illegal_macro_output_chars=` + "`~$&|'\"<>" + `
`

// shared are the commands and periods of all scenarios. A check answers with
// what its file says, at once, so that its result comes in the second of its start.
// Nagios refuses to run without a service.
const shared = `define command {
 command_name check-host
 command_line /bin/sh %[1]s/check.sh "$HOSTNAME$"
}
define command {
 command_name check-service
 command_line /bin/sh %[1]s/check.sh "$HOSTNAME$!$SERVICEDESC$"
}
define command {
 command_name handle
 command_line /bin/true
}
define command {
 command_name notify-host
 command_line /bin/sh %[1]s/notify.sh "$TIMET$^$HOSTNAME$^^$CONTACTNAME$^$NOTIFICATIONTYPE$^$HOSTSTATE$^$HOSTSTATETYPE$^$HOSTATTEMPT$^$HOSTNOTIFICATIONNUMBER$^$NOTIFICATIONISESCALATED$^$NOTIFICATIONAUTHOR$^$NOTIFICATIONCOMMENT$"
}
define command {
 command_name notify-service
 command_line /bin/sh %[1]s/notify.sh "$TIMET$^$HOSTNAME$^$SERVICEDESC$^$CONTACTNAME$^$NOTIFICATIONTYPE$^$SERVICESTATE$^$SERVICESTATETYPE$^$SERVICEATTEMPT$^$SERVICENOTIFICATIONNUMBER$^$NOTIFICATIONISESCALATED$^$NOTIFICATIONAUTHOR$^$NOTIFICATIONCOMMENT$"
}
define host {
 host_name nobody
 address 127.0.0.1
 max_check_attempts 1
}
define service {
 host_name nobody
 service_description nothing
 check_command check-service
 max_check_attempts 1
 active_checks_enabled 0
}
`

const checkScript = `read -r code <"%[1]s/answers/$1"
echo "$1 $code $(date +%%s)" >>%[1]s/checks
echo "answer $code"
exit "$code"
`

const notifyScript = `printf '%%s\n' "$1" >>%[1]s/notifications
`

// periods by name; second 0 is 12:00:30.
var periods = map[string]string{
	"always":   "00:00-24:00",
	"never":    "",
	"until-30": "00:00-12:01",
	"from-30":  "12:01-24:00",
}

// complete adds the directives that are not said.
func (o *object) complete() {
	checked := map[string]string{
		"check_period": "always", "max_check_attempts": "3", "check_interval": "5", "retry_interval": "2",
		"active_checks_enabled": "0", "passive_checks_enabled": "1", "flap_detection_enabled": "0",
		"event_handler": "handle", "notification_period": "always", "notification_interval": "60",
	}
	defaults := map[string]map[string]string{
		"host":    checked,
		"service": checked,
		"contact": {
			"host_notification_period": "always", "service_notification_period": "always",
			"host_notification_options": "d,u,r,f,s", "service_notification_options": "w,u,c,r,f,s",
		},
	}
	for key, value := range defaults[o.Define] {
		if _, said := o.With[key]; !said {
			o.With[key] = value
		}
	}
	if o.Define != "host" && o.Define != "service" {
		return
	}
	o.With["check_command"] = "check-" + o.Define
	if o.With["contacts"] == "" {
		o.With["contacts"] = "ops"
	}
}

// names are the directives whose values are names of hosts or contacts, which
// Nagios must not confuse with those of another scenario.
var names = []string{"host_name", "dependent_host_name", "parents", "contacts"}

// print writes o for Nagios, with the names of scenario s.
func (o object) print(b *bytes.Buffer, s *scenario) {
	fmt.Fprintf(b, "define %s {\n", o.Define)
	host, service, _ := strings.Cut(o.Key, "!")
	switch o.Define {
	case "host":
		fmt.Fprintf(b, " host_name %s\n address 127.0.0.1\n", s.global(host))
	case "service":
		fmt.Fprintf(b, " host_name %s\n service_description %s\n", s.global(host), service)
	case "contact":
		fmt.Fprintf(b, " contact_name %s\n host_notification_commands notify-host\n service_notification_commands notify-service\n", s.global(host))
	}
	for _, key := range slices.Sorted(maps.Keys(o.With)) {
		value := o.With[key]
		if slices.Contains(names, key) {
			list := strings.Split(value, ",")
			for i := range list {
				list[i] = s.global(list[i])
			}
			value = strings.Join(list, ",")
		}
		fmt.Fprintf(b, " %s %s\n", key, value)
	}
	b.WriteString("}\n")
}

// global returns the name of a host or contact of s as Nagios has it.
func (s *scenario) global(name string) string { return s.Name + "." + name }

// configure writes all that Nagios and its commands read.
func (c *core) configure() error {
	var objects bytes.Buffer
	fmt.Fprintf(&objects, shared, c.dir)
	for _, name := range slices.Sorted(maps.Keys(periods)) {
		fmt.Fprintf(&objects, "define timeperiod {\n timeperiod_name %s\n alias %[1]s\n", name)
		for _, day := range []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"} {
			if periods[name] != "" {
				fmt.Fprintf(&objects, " %s %s\n", day, periods[name])
			}
		}
		objects.WriteString("}\n")
	}
	for _, r := range c.runs {
		for _, o := range r.Objects {
			o.print(&objects, r.scenario)
		}
	}
	var main bytes.Buffer
	fmt.Fprintf(&main, recording, c.dir)
	for _, key := range slices.Sorted(maps.Keys(c.main)) {
		fmt.Fprintf(&main, "%s=%s\n", key, c.main[key])
	}
	owner, err := account()
	if err != nil {
		return err
	}
	fmt.Fprintf(&main, "nagios_user=%s\nnagios_group=%s\n", owner.Uid, owner.Gid)
	for name, text := range map[string]string{
		"nagios.cfg":  main.String(),
		"objects.cfg": objects.String(),
		"check.sh":    fmt.Sprintf(checkScript, c.dir),
		"notify.sh":   fmt.Sprintf(notifyScript, c.dir),
	} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, dir := range []string{"results", "answers"} {
		if err := os.Mkdir(filepath.Join(c.dir, dir), 0o755); err != nil {
			return err
		}
	}
	for _, r := range c.runs {
		for _, o := range r.Objects {
			if o.Define == "host" || o.Define == "service" {
				if err := c.answer(r, o.Key, 0); err != nil {
					return err
				}
			}
		}
	}
	return c.give(owner)
}

// account is whom Nagios runs as: it does not run as root.
func account() (*user.User, error) {
	if os.Getuid() == 0 {
		return user.Lookup("nagios")
	}
	return user.Current()
}

// give makes what Nagios writes its own.
func (c *core) give(owner *user.User) error {
	if os.Getuid() != 0 {
		return nil
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(owner.Gid)
	if err != nil {
		return err
	}
	for _, path := range []string{c.dir, filepath.Join(c.dir, "results")} {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}
