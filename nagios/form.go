package nagios

import (
	"strings"
	"time"

	"alf"
)

// form says what a command orders, and how its arguments are read: first the
// object that it is for, then the rest.
type form struct {
	verb   alf.Verb
	scope  Scope
	object func(*fields, *Order)
	rest   func(*fields, *Order)
}

// forms are the commands that Alf carries out (RULES 12), but for switches.
var forms = map[string]form{
	"PROCESS_SERVICE_CHECK_RESULT": {alf.Submit, One, service, serviceResult},
	"PROCESS_HOST_CHECK_RESULT":    {alf.Submit, One, host, hostResult},

	"SCHEDULE_SVC_CHECK":              {alf.Recheck, One, service, unforced},
	"SCHEDULE_FORCED_SVC_CHECK":       {alf.Recheck, One, service, forced},
	"SCHEDULE_HOST_CHECK":             {alf.Recheck, One, host, unforced},
	"SCHEDULE_FORCED_HOST_CHECK":      {alf.Recheck, One, host, forced},
	"SCHEDULE_HOST_SVC_CHECKS":        {alf.Recheck, ServicesOn, host, unforced},
	"SCHEDULE_FORCED_HOST_SVC_CHECKS": {alf.Recheck, ServicesOn, host, forced},

	"ACKNOWLEDGE_SVC_PROBLEM":         {alf.Acknowledge, One, service, acknowledgement},
	"ACKNOWLEDGE_SVC_PROBLEM_EXPIRE":  {alf.Acknowledge, One, service, expiring},
	"ACKNOWLEDGE_HOST_PROBLEM":        {alf.Acknowledge, One, host, acknowledgement},
	"ACKNOWLEDGE_HOST_PROBLEM_EXPIRE": {alf.Acknowledge, One, host, expiring},
	"REMOVE_SVC_ACKNOWLEDGEMENT":      {alf.Unacknowledge, One, service, nothing},
	"REMOVE_HOST_ACKNOWLEDGEMENT":     {alf.Unacknowledge, One, host, nothing},

	"SCHEDULE_SVC_DOWNTIME":                          {alf.ScheduleDowntime, One, service, downtime},
	"SCHEDULE_HOST_DOWNTIME":                         {alf.ScheduleDowntime, One, host, downtime},
	"SCHEDULE_HOST_SVC_DOWNTIME":                     {alf.ScheduleDowntime, ServicesOn, host, downtime},
	"SCHEDULE_HOSTGROUP_HOST_DOWNTIME":               {alf.ScheduleDowntime, HostsIn, hostgroup, downtime},
	"SCHEDULE_HOSTGROUP_SVC_DOWNTIME":                {alf.ScheduleDowntime, ServicesIn, hostgroup, downtime},
	"SCHEDULE_AND_PROPAGATE_HOST_DOWNTIME":           {alf.ScheduleDowntime, Family, host, downtime},
	"SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME": {alf.ScheduleDowntime, TriggerFamily, host, downtime},

	"DEL_SVC_DOWNTIME":                   {alf.CancelDowntime, ServicesWith, nothing, named},
	"DEL_HOST_DOWNTIME":                  {alf.CancelDowntime, HostsWith, nothing, named},
	"DEL_DOWNTIME_BY_HOST_NAME":          {alf.CancelDowntime, AllDowntimes, host, ofService},
	"DEL_DOWNTIME_BY_HOSTGROUP_NAME":     {alf.CancelDowntime, AllDowntimes, hostgroup, ofHost},
	"DEL_DOWNTIME_BY_START_TIME_COMMENT": {alf.CancelDowntime, AllDowntimes, nothing, ofAll},

	"ADD_SVC_COMMENT":       {alf.AddComment, One, service, comment},
	"ADD_HOST_COMMENT":      {alf.AddComment, One, host, comment},
	"DEL_SVC_COMMENT":       {alf.DeleteComment, ServicesWith, nothing, named},
	"DEL_HOST_COMMENT":      {alf.DeleteComment, HostsWith, nothing, named},
	"DEL_ALL_SVC_COMMENTS":  {alf.DeleteComment, AllComments, service, nothing},
	"DEL_ALL_HOST_COMMENTS": {alf.DeleteComment, AllComments, host, nothing},
}

// switches are the commands that follow ENABLE_ or DISABLE_.
var switches = map[string]struct {
	what   alf.Switch
	scope  Scope
	object func(*fields, *Order)
}{
	"SVC_CHECK":                     {alf.SwitchChecks, One, service},
	"HOST_CHECK":                    {alf.SwitchChecks, One, host},
	"HOST_SVC_CHECKS":               {alf.SwitchChecks, ServicesOn, host},
	"HOSTGROUP_HOST_CHECKS":         {alf.SwitchChecks, HostsIn, hostgroup},
	"HOSTGROUP_SVC_CHECKS":          {alf.SwitchChecks, ServicesIn, hostgroup},
	"PASSIVE_SVC_CHECKS":            {alf.SwitchPassive, One, service},
	"PASSIVE_HOST_CHECKS":           {alf.SwitchPassive, One, host},
	"HOSTGROUP_PASSIVE_HOST_CHECKS": {alf.SwitchPassive, HostsIn, hostgroup},
	"HOSTGROUP_PASSIVE_SVC_CHECKS":  {alf.SwitchPassive, ServicesIn, hostgroup},
	"SVC_NOTIFICATIONS":             {alf.SwitchNotifications, One, service},
	"HOST_NOTIFICATIONS":            {alf.SwitchNotifications, One, host},
	"HOST_SVC_NOTIFICATIONS":        {alf.SwitchNotifications, ServicesOn, host},
	"HOST_AND_CHILD_NOTIFICATIONS":  {alf.SwitchNotifications, Family, host},
	"HOSTGROUP_HOST_NOTIFICATIONS":  {alf.SwitchNotifications, HostsIn, hostgroup},
	"HOSTGROUP_SVC_NOTIFICATIONS":   {alf.SwitchNotifications, ServicesIn, hostgroup},
	"SVC_FLAP_DETECTION":            {alf.SwitchFlapping, One, service},
	"HOST_FLAP_DETECTION":           {alf.SwitchFlapping, One, host},
}

// absent are the commands of Nagios that Alf does not have, as patterns, and
// what it lacks for them.
var absent = []struct{ what, names string }{
	{"servicegroups yet", "SCHEDULE_SERVICEGROUP_HOST_DOWNTIME SCHEDULE_SERVICEGROUP_SVC_DOWNTIME *ABLE_SERVICEGROUP_*"},
	{"contacts yet", "*ABLE_CONTACT_* *ABLE_CONTACTGROUP_* CHANGE_CONTACT_* CHANGE_CUSTOM_CONTACT_VAR"},
	{"custom notifications yet", "SEND_CUSTOM_HOST_NOTIFICATION SEND_CUSTOM_SVC_NOTIFICATION"},
	{"notifications to delay yet", "DELAY_HOST_NOTIFICATION DELAY_SVC_NOTIFICATION"},
	{"numbers of notifications yet", "SET_HOST_NOTIFICATION_NUMBER SET_SVC_NOTIFICATION_NUMBER"},
	{"switch for all that is behind a host yet", "*ABLE_ALL_NOTIFICATIONS_BEYOND_HOST"},
	{"switch for everything at once yet", "*ABLE_NOTIFICATIONS *ABLE_FLAP_DETECTION ENTER_STANDBY_MODE ENTER_ACTIVE_MODE " +
		"START_EXECUTING_* STOP_EXECUTING_* START_ACCEPTING_PASSIVE_* STOP_ACCEPTING_PASSIVE_*"},
	{"order to forget that something is flapping yet", "CLEAR_HOST_FLAPPING_STATE CLEAR_SVC_FLAPPING_STATE"},
	{"event handlers yet", "*ABLE_EVENT_HANDLERS *ABLE_HOST_EVENT_HANDLER *ABLE_SVC_EVENT_HANDLER CHANGE_*_EVENT_HANDLER"},
	{"switch for freshness; check_freshness in the configuration is", "*ABLE_SERVICE_FRESHNESS_CHECKS *ABLE_HOST_FRESHNESS_CHECKS"},
	{"settings that orders change; change the configuration and reload", "CHANGE_*_CHECK_INTERVAL CHANGE_MAX_*_CHECK_ATTEMPTS " +
		"CHANGE_*_CHECK_COMMAND CHANGE_*_TIMEPERIOD CHANGE_*_MODATTR CHANGE_CUSTOM_*_VAR"},
	{"switch for performance data, which is always read", "*ABLE_PERFORMANCE_DATA"},
	{"obsessing; sinks see every result", "START_OBSESSING_OVER_* STOP_OBSESSING_OVER_*"},
	{"orders to its own process; send it a signal", "SHUTDOWN_PROCESS SHUTDOWN_PROGRAM RESTART_PROCESS RESTART_PROGRAM"},
	{"file of states; the journal is always up to date", "SAVE_STATE_INFORMATION READ_STATE_INFORMATION"},
	{"orders in other files; write them into this one", "PROCESS_FILE"},
}

// find returns the form of a command and what it switches, if anything.
func find(name string) (form, alf.Switch, error) {
	if f, ok := forms[name]; ok {
		return f, 0, nil
	}
	for prefix, verb := range map[string]alf.Verb{"ENABLE_": alf.SwitchOn, "DISABLE_": alf.SwitchOff} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			if s, ok := switches[rest]; ok {
				return form{verb, s.scope, s.object, remark}, s.what, nil
			}
		}
	}
	for _, a := range absent {
		for pattern := range strings.FieldsSeq(a.names) {
			if alf.Match(pattern, name) {
				return form{}, 0, refuse(Unsupported, "%s: Alf has no %s", quote(name), a.what)
			}
		}
	}
	return form{}, 0, refuse(Unknown, "unknown command %s", quote(name))
}

func nothing(*fields, *Order) {}

func host(f *fields, o *Order) { o.Command.Key.Host = alf.HostName(f.name("host")) }

func service(f *fields, o *Order) {
	host(f, o)
	o.Command.Key.Service = alf.ServiceName(f.name("service"))
}

func hostgroup(f *fields, o *Order) { o.Group = f.name("hostgroup") }

// serviceResult takes a return code that no plugin can have as UNKNOWN.
func serviceResult(f *fields, o *Order) {
	code := f.number("return code", -1<<31, 1<<31-1)
	if code < 0 || code > 255 {
		code = int(alf.Unknown)
	}
	o.Command.ReturnCode, o.Command.Output = code, unescape(f.last())
}

func hostResult(f *fields, o *Order) {
	o.Command.ReturnCode = f.number("state", int(alf.Up), int(alf.Unreachable))
	o.Command.Output = unescape(f.last())
}

func unforced(f *fields, o *Order) {
	o.Command.IfOn = true
	forced(f, o)
}

func forced(f *fields, o *Order) {
	if at := f.time("check time"); at.After(f.now) {
		o.Command.Due = at
	}
	remark(f, o)
}

// remark reads the author and the comment that newer Nagios take at the end.
func remark(f *fields, o *Order) {
	if !f.ended {
		o.Command.Author = f.text("author", f.next("author"), maxName)
		o.Remark = f.text("comment", f.last(), maxText)
	}
}

func acknowledgement(f *fields, o *Order) {
	manner(f, o)
	signed(f, o)
}

// expiring has one argument more, as in Icinga and Naemon.
func expiring(f *fields, o *Order) {
	manner(f, o)
	if at := f.time("expiry"); at.Unix() != 0 {
		o.Command.Expires = at
		f.check(at.After(f.now), "it expired at %s", moment(at))
	}
	signed(f, o)
}

// manner reads how a problem is acknowledged. Alf does not ask whether that
// outlives a restart, for it does, nor yet whether people are told.
func manner(f *fields, o *Order) {
	const sticky = 2
	o.Command.Sticky = f.number("sticky", 0, 1<<31-1) == sticky
	f.flag("notify")
	f.flag("persistent")
}

// signed reads who says what.
func signed(f *fields, o *Order) {
	o.Command.Author = f.text("author", f.next("author"), maxName)
	o.Command.Text = f.text("comment", f.last(), maxText)
	f.check(o.Command.Text != "", "the comment is missing")
}

func comment(f *fields, o *Order) {
	f.flag("persistent")
	signed(f, o)
}

func downtime(f *fields, o *Order) {
	c := &o.Command
	c.Start, c.End = f.time("start"), f.time("end")
	fixed := f.flag("fixed")
	c.Trigger = f.text("trigger", f.next("trigger"), maxName)
	if c.Trigger == "0" {
		c.Trigger = ""
	}
	seconds := f.number("duration", 0, maxDuration)
	if !fixed {
		c.Duration = time.Duration(seconds) * time.Second
		f.check(seconds > 0, "the duration of a flexible downtime is 0")
	}
	f.check(c.Start.Before(c.End), "the end, %s, is not after the start, %s", moment(c.End), moment(c.Start))
	f.check(f.now.Before(c.End), "it is over since %s", moment(c.End))
	signed(f, o)
}

// named reads the ID of a downtime or of a comment.
func named(f *fields, o *Order) {
	o.Command.ID = f.text("ID", f.last(), maxName)
	f.check(o.Command.ID != "", "the ID is missing")
}

// The arguments that say which downtimes are meant may all be empty or missing.

func ofHost(f *fields, o *Order) {
	o.Command.Key.Host = alf.HostName(f.optional())
	ofService(f, o)
}

func ofService(f *fields, o *Order) {
	o.Command.Key.Service = alf.ServiceName(f.optional())
	which(f, o)
}

func ofAll(f *fields, o *Order) {
	which(f, o)
	f.check(!o.Command.Start.IsZero() || o.Command.Text != "", "neither start nor comment is given")
}

func which(f *fields, o *Order) {
	if s := f.optional(); s != "" && s != "0" {
		o.Command.Start = f.seconds("start", s)
	}
	o.Command.Text = f.text("comment", f.last(), maxText)
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
