package nagios

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"alf"
)

var now = time.Unix(1_700_000_000, 0).UTC()

func at(s int64) time.Time { return time.Unix(s, 0).UTC() }

func TestParse(t *testing.T) {
	f := func(line string, want Order) {
		t.Helper()
		if want.Command.Time.IsZero() {
			want.Command.Time = at(1_699_999_999)
		}
		if want.Command.Author == "" {
			want.Command.Author = "command file"
		}
		got, err := Parse("[1699999999] "+line, now)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", line, got, err, want)
		}
	}
	web, load := alf.Key{Host: "web1"}, alf.Key{Host: "web1", Service: "load"}
	order := func(c alf.Command) Order { return Order{Command: c} }
	many := func(s Scope, c alf.Command) Order { return Order{Scope: s, Command: c} }
	group := func(s Scope, c alf.Command) Order { return Order{Scope: s, Group: "g", Command: c} }

	result := func(code int, output string) Order {
		return order(alf.Command{Verb: alf.Submit, Key: load, ReturnCode: code, Output: output})
	}
	f("PROCESS_SERVICE_CHECK_RESULT;web1;load;2;CRITICAL - high; very|load=9;5;8", result(2, "CRITICAL - high; very|load=9;5;8"))
	f("process_service_check_result;web1;load;0;OK", result(0, "OK"))
	f("PROCESS_SERVICE_CHECK_RESULT;web1;load;0", result(0, ""))
	f("PROCESS_SERVICE_CHECK_RESULT;web1;load;0;", result(0, ""))
	f("PROCESS_SERVICE_CHECK_RESULT;web1;load; 1 ;WARNING\r", result(1, "WARNING"))
	f("PROCESS_SERVICE_CHECK_RESULT;web1;load;7;x", result(7, "x"))
	f("PROCESS_SERVICE_CHECK_RESULT;web1;load;-1;x", result(3, "x"))
	f("PROCESS_SERVICE_CHECK_RESULT;web1;load;256;x", result(3, "x"))
	f(`PROCESS_SERVICE_CHECK_RESULT;web1;load;0;one\ntwo|a=1\nthree C:\\new \t \`, result(0, "one\ntwo|a=1\nthree C:\\new \\t \\"))
	f("PROCESS_HOST_CHECK_RESULT;web1;2;behind", order(alf.Command{Verb: alf.Submit, Key: web, ReturnCode: 2, Output: "behind"}))

	f("SCHEDULE_SVC_CHECK;web1;load;1699999990", order(alf.Command{Verb: alf.Recheck, Key: load, IfOn: true}))
	f("SCHEDULE_FORCED_SVC_CHECK;web1;load;1700000600", order(alf.Command{Verb: alf.Recheck, Key: load, Due: at(1_700_000_600)}))
	f("SCHEDULE_FORCED_SVC_CHECK;web1;load;1700000600.25", order(alf.Command{Verb: alf.Recheck, Key: load, Due: at(1_700_000_600)}))
	f("SCHEDULE_HOST_CHECK;web1;0", order(alf.Command{Verb: alf.Recheck, Key: web, IfOn: true}))
	f("SCHEDULE_FORCED_HOST_CHECK;web1;0;jd;why; not", Order{Remark: "why; not", Command: alf.Command{Verb: alf.Recheck, Key: web, Author: "jd (command file)"}})
	f("SCHEDULE_HOST_SVC_CHECKS;web1;0", many(ServicesOn, alf.Command{Verb: alf.Recheck, Key: web, IfOn: true}))
	f("SCHEDULE_FORCED_HOST_SVC_CHECKS;web1;0", many(ServicesOn, alf.Command{Verb: alf.Recheck, Key: web}))

	f("ACKNOWLEDGE_SVC_PROBLEM;web1;load;2;1;0;jd;I see; soon", order(alf.Command{Verb: alf.Acknowledge, Key: load, Sticky: true, Author: "jd (command file)", Text: "I see; soon"}))
	f("ACKNOWLEDGE_HOST_PROBLEM;web1;1;0;1;;seen", order(alf.Command{Verb: alf.Acknowledge, Key: web, Text: "seen"}))
	f("ACKNOWLEDGE_SVC_PROBLEM_EXPIRE;web1;load;1;0;1;1700000060;jd;seen", order(alf.Command{Verb: alf.Acknowledge, Key: load, Expires: at(1_700_000_060), Author: "jd (command file)", Text: "seen"}))
	f("ACKNOWLEDGE_HOST_PROBLEM_EXPIRE;web1;2;0;1;0;jd;seen", order(alf.Command{Verb: alf.Acknowledge, Key: web, Sticky: true, Author: "jd (command file)", Text: "seen"}))
	f("REMOVE_SVC_ACKNOWLEDGEMENT;web1;load", order(alf.Command{Verb: alf.Unacknowledge, Key: load}))
	f("REMOVE_HOST_ACKNOWLEDGEMENT;web1", order(alf.Command{Verb: alf.Unacknowledge, Key: web}))

	plan := alf.Command{Verb: alf.ScheduleDowntime, Key: load, Start: at(1_700_000_060), End: at(1_700_000_120), Author: "jd (command file)", Text: "move; all"}
	f("SCHEDULE_SVC_DOWNTIME;web1;load;1700000060;1700000120;1;0;7200;jd;move; all", order(plan))
	plan.Duration, plan.Trigger = 10*time.Minute, "xyz"
	f("SCHEDULE_SVC_DOWNTIME;web1;load;1700000060;1700000120;0;xyz;600;jd;move; all", order(plan))
	plan.Trigger, plan.Key = "", web
	f("SCHEDULE_HOST_DOWNTIME;web1;1700000060;1700000120;0;;600;jd;move; all", order(plan))
	f("SCHEDULE_HOST_SVC_DOWNTIME;web1;1700000060;1700000120;0;0;600;jd;move; all", many(ServicesOn, plan))
	f("SCHEDULE_AND_PROPAGATE_HOST_DOWNTIME;web1;1700000060;1700000120;0;0;600;jd;move; all", many(Family, plan))
	f("SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME;web1;1700000060;1700000120;0;0;600;jd;move; all", many(TriggerFamily, plan))
	plan.Key = alf.Key{}
	f("SCHEDULE_HOSTGROUP_HOST_DOWNTIME;g;1700000060;1700000120;0;0;600;jd;move; all", group(HostsIn, plan))
	f("SCHEDULE_HOSTGROUP_SVC_DOWNTIME;g;1700000060;1700000120;0;0;600;jd;move; all", group(ServicesIn, plan))

	f("DEL_SVC_DOWNTIME;xyz", many(ServicesWith, alf.Command{Verb: alf.CancelDowntime, ID: "xyz"}))
	f("DEL_HOST_DOWNTIME;17", many(HostsWith, alf.Command{Verb: alf.CancelDowntime, ID: "17"}))
	f("DEL_DOWNTIME_BY_HOST_NAME;web1", many(AllDowntimes, alf.Command{Verb: alf.CancelDowntime, Key: web}))
	f("DEL_DOWNTIME_BY_HOST_NAME;web1;;0;", many(AllDowntimes, alf.Command{Verb: alf.CancelDowntime, Key: web}))
	f("DEL_DOWNTIME_BY_HOST_NAME;web1;load;1700000060;move; all", many(AllDowntimes, alf.Command{Verb: alf.CancelDowntime, Key: load, Start: at(1_700_000_060), Text: "move; all"}))
	f("DEL_DOWNTIME_BY_HOSTGROUP_NAME;g;web1;load", group(AllDowntimes, alf.Command{Verb: alf.CancelDowntime, Key: load}))
	f("DEL_DOWNTIME_BY_START_TIME_COMMENT;1700000060", many(AllDowntimes, alf.Command{Verb: alf.CancelDowntime, Start: at(1_700_000_060)}))
	f("DEL_DOWNTIME_BY_START_TIME_COMMENT;;move", many(AllDowntimes, alf.Command{Verb: alf.CancelDowntime, Text: "move"}))

	f("ADD_SVC_COMMENT;web1;load;1;jd;look; there", order(alf.Command{Verb: alf.AddComment, Key: load, Author: "jd (command file)", Text: "look; there"}))
	f("ADD_HOST_COMMENT;web1;0;jd;caf\xe9\x00", order(alf.Command{Verb: alf.AddComment, Key: web, Author: "jd (command file)", Text: "caf\uFFFD\uFFFD"}))
	f("DEL_SVC_COMMENT;xyz", many(ServicesWith, alf.Command{Verb: alf.DeleteComment, ID: "xyz"}))
	f("DEL_HOST_COMMENT;xyz", many(HostsWith, alf.Command{Verb: alf.DeleteComment, ID: "xyz"}))
	f("DEL_ALL_SVC_COMMENTS;web1;load", many(AllComments, alf.Command{Verb: alf.DeleteComment, Key: load}))
	f("DEL_ALL_HOST_COMMENTS;web1", many(AllComments, alf.Command{Verb: alf.DeleteComment, Key: web}))

	off := func(s alf.Switch, k alf.Key) alf.Command {
		return alf.Command{Verb: alf.SwitchOff, Switch: s, Key: k}
	}
	f("DISABLE_SVC_CHECK;web1;load", order(off(alf.SwitchChecks, load)))
	f("ENABLE_SVC_CHECK;web1;load", order(alf.Command{Verb: alf.SwitchOn, Switch: alf.SwitchChecks, Key: load}))
	f("DISABLE_HOST_CHECK;web1", order(off(alf.SwitchChecks, web)))
	f("DISABLE_HOST_SVC_CHECKS;web1", many(ServicesOn, off(alf.SwitchChecks, web)))
	f("DISABLE_PASSIVE_SVC_CHECKS;web1;load", order(off(alf.SwitchPassive, load)))
	f("DISABLE_PASSIVE_HOST_CHECKS;web1", order(off(alf.SwitchPassive, web)))
	f("DISABLE_SVC_NOTIFICATIONS;web1;load", order(off(alf.SwitchNotifications, load)))
	f("DISABLE_HOST_AND_CHILD_NOTIFICATIONS;web1", many(Family, off(alf.SwitchNotifications, web)))
	f("DISABLE_HOSTGROUP_SVC_NOTIFICATIONS;g", group(ServicesIn, off(alf.SwitchNotifications, alf.Key{})))
	f("DISABLE_HOST_FLAP_DETECTION;web1", order(off(alf.SwitchFlapping, web)))
	noted := Order{Command: off(alf.SwitchNotifications, web), Remark: "loud"}
	noted.Command.Author = "jd (command file)"
	f("DISABLE_HOST_NOTIFICATIONS;web1;jd;loud", noted)
}

// TestParseTime: scripts may be ahead of Alf, or write no useful time at all.
func TestParseTime(t *testing.T) {
	f := func(stamp string, want time.Time) {
		t.Helper()
		o, err := Parse(stamp+"REMOVE_HOST_ACKNOWLEDGEMENT;web1", now)
		if err != nil || !o.Command.Time.Equal(want) {
			t.Errorf("Parse(%q ...) = %v, %v, want %v", stamp, o.Command.Time, err, want)
		}
	}
	f("[1699999999] ", at(1_699_999_999))
	f(" [ 1699999999 ]", at(1_699_999_999))
	f("[1699999999.123456789]\t", at(1_699_999_999))
	f("[1700000001] ", now)
	f("[0] ", at(0))
}

func TestRefusals(t *testing.T) {
	f := func(line string, reason Reason, want string) {
		t.Helper()
		o, err := Parse(line, now)
		var why *Refusal
		if !errors.As(err, &why) || why.Reason != reason || err.Error() != want {
			t.Errorf("Parse(%q) = %+v, %v, want %s: %s", line, o, err, reason, want)
		}
	}
	none := func(line string) {
		t.Helper()
		f(line, Malformed, quote(line)+` does not begin with a time, as in "[1700000000] COMMAND;argument"`)
	}
	none("")
	none("PROCESS_SERVICE_CHECK_RESULT;web1;load;0;OK")
	none("[1700000000 PROCESS_SERVICE_CHECK_RESULT")
	none("\x7fELF\x02\x01\x01\x00\x00")
	none(strings.Repeat("x", 81))
	f("[] X", Malformed, `time "" is no number of seconds since 1970`)
	f("[$(date +%s)] X", Malformed, `time "$(date +%s)" is no number of seconds since 1970`)
	f("[-5] X", Malformed, `time "-5" is no number of seconds since 1970`)
	f("[99999999999999] X", Malformed, `time "99999999999999" is no number of seconds since 1970`)

	f("[1] ", Unknown, `unknown command ""`)
	f("[1] MAKE_COFFEE;now", Unknown, `unknown command "MAKE_COFFEE"`)
	f("[1] ENABLE_COFFEE", Unknown, `unknown command "ENABLE_COFFEE"`)
	f("[1] a\x1b[2J;x", Unknown, `unknown command "A\x1b[2J"`)

	absent := func(name, what string) {
		t.Helper()
		f("[1] "+name+";1;2;3", Unsupported, `"`+name+`": Alf has no `+what)
	}
	absent("SEND_CUSTOM_SVC_NOTIFICATION", "custom notifications yet")
	absent("DELAY_HOST_NOTIFICATION", "notifications to delay yet")
	absent("DISABLE_NOTIFICATIONS", "switch for everything at once yet")
	absent("SCHEDULE_SERVICEGROUP_SVC_DOWNTIME", "servicegroups yet")
	absent("ENABLE_CONTACT_SVC_NOTIFICATIONS", "contacts yet")
	absent("CHANGE_NORMAL_SVC_CHECK_INTERVAL", "settings that orders change; change the configuration and reload")
	absent("SHUTDOWN_PROGRAM", "orders to its own process; send it a signal")

	bad := func(line, want string) {
		t.Helper()
		name, _, _ := strings.Cut(line, ";")
		f("[1] "+line, Malformed, name+": "+want)
	}
	bad("PROCESS_SERVICE_CHECK_RESULT", "the host is missing")
	bad("PROCESS_SERVICE_CHECK_RESULT;;load;0;OK", "the host is missing")
	bad("PROCESS_SERVICE_CHECK_RESULT;web1", "the service is missing")
	bad("PROCESS_SERVICE_CHECK_RESULT;web1;load", "the return code is missing")
	bad("PROCESS_SERVICE_CHECK_RESULT;web1;load;OK;fine", `return code "OK" is no number from -2147483648 to 2147483647`)
	bad("PROCESS_HOST_CHECK_RESULT;web1;3;OK", `state "3" is no number from 0 to 2`)
	bad("SCHEDULE_FORCED_SVC_CHECK;web1;load", "the check time is missing")
	bad("SCHEDULE_FORCED_SVC_CHECK;web1;load;now", `check time "now" is no number of seconds since 1970`)
	bad("ACKNOWLEDGE_SVC_PROBLEM;web1;load;yes;1;1;jd;x", `sticky "yes" is no number from 0 to 2147483647`)
	bad("ACKNOWLEDGE_SVC_PROBLEM;web1;load;2;1;1;jd", "the comment is missing")
	bad("ACKNOWLEDGE_SVC_PROBLEM;web1;load;2;1;1;"+strings.Repeat("j", 256)+";x", "the author has 256 bytes, more than 255")
	bad("ACKNOWLEDGE_SVC_PROBLEM_EXPIRE;web1;load;2;1;1;1699999999;jd;x", "it expired at 2023-11-14T22:13:19Z")
	bad("SCHEDULE_HOST_DOWNTIME;web1;1700000060;1700000060;1;0;0;jd;x", "the end, 2023-11-14T22:14:20Z, is not after the start, 2023-11-14T22:14:20Z")
	bad("SCHEDULE_HOST_DOWNTIME;web1;1699999000;1699999999;1;0;0;jd;x", "it is over since 2023-11-14T22:13:19Z")
	bad("SCHEDULE_HOST_DOWNTIME;web1;1700000060;1700000120;0;0;0;jd;x", "the duration of a flexible downtime is 0")
	bad("SCHEDULE_HOST_DOWNTIME;web1;1700000060;1700000120;yes;0;0;jd;x", `fixed "yes" is no number from 0 to 2147483647`)
	bad("SCHEDULE_HOST_DOWNTIME;web1;tomorrow", `start "tomorrow" is no number of seconds since 1970`)
	bad("SCHEDULE_HOSTGROUP_HOST_DOWNTIME", "the hostgroup is missing")
	bad("DEL_SVC_DOWNTIME", "the ID is missing")
	bad("DEL_DOWNTIME_BY_START_TIME_COMMENT;0", "neither start nor comment is given")
	bad("ADD_HOST_COMMENT;web1;1;jd;", "the comment is missing")
	bad("ADD_HOST_COMMENT;web1;1;jd;"+strings.Repeat("x", 4097), "the comment has 4097 bytes, more than 4096")
}

// TestEveryCommand: there is none of Nagios' commands that Alf does not know.
func TestEveryCommand(t *testing.T) {
	for name := range strings.FieldsSeq(commandsOfNagios) {
		_, _, err := find(name)
		var why *Refusal
		if err != nil && (!errors.As(err, &why) || why.Reason != Unsupported) {
			t.Errorf("find(%q) = %v", name, err)
		}
	}
	for _, a := range absent {
		for pattern := range strings.FieldsSeq(a.names) {
			for name := range forms {
				if alf.Match(pattern, name) {
					t.Errorf("%s is both there and, as %s, absent", name, pattern)
				}
			}
		}
	}
}

// commandsOfNagios are those of Nagios Core 4.4.6.
const commandsOfNagios = `
ADD_HOST_COMMENT ADD_SVC_COMMENT CHANGE_CONTACT_HOST_NOTIFICATION_TIMEPERIOD CHANGE_CONTACT_MODATTR
CHANGE_CONTACT_MODHATTR CHANGE_CONTACT_MODSATTR CHANGE_CONTACT_SVC_NOTIFICATION_TIMEPERIOD CHANGE_CUSTOM_CONTACT_VAR
CHANGE_CUSTOM_HOST_VAR CHANGE_CUSTOM_SVC_VAR CHANGE_GLOBAL_HOST_EVENT_HANDLER CHANGE_GLOBAL_SVC_EVENT_HANDLER
CHANGE_HOST_CHECK_COMMAND CHANGE_HOST_CHECK_TIMEPERIOD CHANGE_HOST_EVENT_HANDLER CHANGE_HOST_MODATTR
CHANGE_HOST_NOTIFICATION_TIMEPERIOD CHANGE_MAX_HOST_CHECK_ATTEMPTS CHANGE_MAX_SVC_CHECK_ATTEMPTS
CHANGE_NORMAL_HOST_CHECK_INTERVAL CHANGE_NORMAL_SVC_CHECK_INTERVAL CHANGE_RETRY_HOST_CHECK_INTERVAL
CHANGE_RETRY_SVC_CHECK_INTERVAL CHANGE_SVC_CHECK_COMMAND CHANGE_SVC_CHECK_TIMEPERIOD CHANGE_SVC_EVENT_HANDLER
CHANGE_SVC_MODATTR CHANGE_SVC_NOTIFICATION_TIMEPERIOD CLEAR_HOST_FLAPPING_STATE CLEAR_SVC_FLAPPING_STATE
DELAY_HOST_NOTIFICATION DELAY_SVC_NOTIFICATION DEL_ALL_HOST_COMMENTS DEL_ALL_SVC_COMMENTS
DEL_DOWNTIME_BY_HOSTGROUP_NAME DEL_DOWNTIME_BY_HOST_NAME DEL_DOWNTIME_BY_START_TIME_COMMENT DEL_HOST_COMMENT
DEL_HOST_DOWNTIME DEL_SVC_COMMENT DEL_SVC_DOWNTIME DISABLE_ALL_NOTIFICATIONS_BEYOND_HOST
DISABLE_CONTACTGROUP_HOST_NOTIFICATIONS DISABLE_CONTACTGROUP_SVC_NOTIFICATIONS DISABLE_CONTACT_HOST_NOTIFICATIONS
DISABLE_CONTACT_SVC_NOTIFICATIONS DISABLE_EVENT_HANDLERS DISABLE_FLAP_DETECTION DISABLE_HOSTGROUP_HOST_CHECKS
DISABLE_HOSTGROUP_HOST_NOTIFICATIONS DISABLE_HOSTGROUP_PASSIVE_HOST_CHECKS DISABLE_HOSTGROUP_PASSIVE_SVC_CHECKS
DISABLE_HOSTGROUP_SVC_CHECKS DISABLE_HOSTGROUP_SVC_NOTIFICATIONS DISABLE_HOST_AND_CHILD_NOTIFICATIONS
DISABLE_HOST_CHECK DISABLE_HOST_EVENT_HANDLER DISABLE_HOST_FLAP_DETECTION DISABLE_HOST_FRESHNESS_CHECKS
DISABLE_HOST_NOTIFICATIONS DISABLE_HOST_SVC_CHECKS DISABLE_HOST_SVC_NOTIFICATIONS DISABLE_NOTIFICATIONS
DISABLE_PASSIVE_HOST_CHECKS DISABLE_PASSIVE_SVC_CHECKS DISABLE_PERFORMANCE_DATA DISABLE_SERVICEGROUP_HOST_CHECKS
DISABLE_SERVICEGROUP_HOST_NOTIFICATIONS DISABLE_SERVICEGROUP_PASSIVE_HOST_CHECKS
DISABLE_SERVICEGROUP_PASSIVE_SVC_CHECKS DISABLE_SERVICEGROUP_SVC_CHECKS DISABLE_SERVICEGROUP_SVC_NOTIFICATIONS
DISABLE_SERVICE_FRESHNESS_CHECKS DISABLE_SVC_CHECK DISABLE_SVC_EVENT_HANDLER DISABLE_SVC_FLAP_DETECTION
DISABLE_SVC_NOTIFICATIONS ENABLE_ALL_NOTIFICATIONS_BEYOND_HOST ENABLE_CONTACTGROUP_HOST_NOTIFICATIONS
ENABLE_CONTACTGROUP_SVC_NOTIFICATIONS ENABLE_CONTACT_HOST_NOTIFICATIONS ENABLE_CONTACT_SVC_NOTIFICATIONS
ENABLE_EVENT_HANDLERS ENABLE_FLAP_DETECTION ENABLE_HOSTGROUP_HOST_CHECKS ENABLE_HOSTGROUP_HOST_NOTIFICATIONS
ENABLE_HOSTGROUP_PASSIVE_HOST_CHECKS ENABLE_HOSTGROUP_PASSIVE_SVC_CHECKS ENABLE_HOSTGROUP_SVC_CHECKS
ENABLE_HOSTGROUP_SVC_NOTIFICATIONS ENABLE_HOST_AND_CHILD_NOTIFICATIONS ENABLE_HOST_CHECK ENABLE_HOST_EVENT_HANDLER
ENABLE_HOST_FLAP_DETECTION ENABLE_HOST_FRESHNESS_CHECKS ENABLE_HOST_NOTIFICATIONS ENABLE_HOST_SVC_CHECKS
ENABLE_HOST_SVC_NOTIFICATIONS ENABLE_NOTIFICATIONS ENABLE_PASSIVE_HOST_CHECKS ENABLE_PASSIVE_SVC_CHECKS
ENABLE_PERFORMANCE_DATA ENABLE_SERVICEGROUP_HOST_CHECKS ENABLE_SERVICEGROUP_HOST_NOTIFICATIONS
ENABLE_SERVICEGROUP_PASSIVE_HOST_CHECKS ENABLE_SERVICEGROUP_PASSIVE_SVC_CHECKS ENABLE_SERVICEGROUP_SVC_CHECKS
ENABLE_SERVICEGROUP_SVC_NOTIFICATIONS ENABLE_SERVICE_FRESHNESS_CHECKS ENABLE_SVC_CHECK ENABLE_SVC_EVENT_HANDLER
ENABLE_SVC_FLAP_DETECTION ENABLE_SVC_NOTIFICATIONS ENTER_ACTIVE_MODE ENTER_STANDBY_MODE PROCESS_FILE
PROCESS_HOST_CHECK_RESULT PROCESS_SERVICE_CHECK_RESULT READ_STATE_INFORMATION REMOVE_HOST_ACKNOWLEDGEMENT
REMOVE_SVC_ACKNOWLEDGEMENT RESTART_PROCESS RESTART_PROGRAM SAVE_STATE_INFORMATION
SCHEDULE_AND_PROPAGATE_HOST_DOWNTIME SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME SCHEDULE_FORCED_HOST_CHECK
SCHEDULE_FORCED_HOST_SVC_CHECKS SCHEDULE_FORCED_SVC_CHECK SCHEDULE_HOSTGROUP_HOST_DOWNTIME
SCHEDULE_HOSTGROUP_SVC_DOWNTIME SCHEDULE_HOST_CHECK SCHEDULE_HOST_DOWNTIME SCHEDULE_HOST_SVC_CHECKS
SCHEDULE_HOST_SVC_DOWNTIME SCHEDULE_SERVICEGROUP_HOST_DOWNTIME SCHEDULE_SERVICEGROUP_SVC_DOWNTIME SCHEDULE_SVC_CHECK
SCHEDULE_SVC_DOWNTIME SEND_CUSTOM_HOST_NOTIFICATION SEND_CUSTOM_SVC_NOTIFICATION SET_HOST_NOTIFICATION_NUMBER
SET_SVC_NOTIFICATION_NUMBER START_ACCEPTING_PASSIVE_HOST_CHECKS START_ACCEPTING_PASSIVE_SVC_CHECKS
START_EXECUTING_HOST_CHECKS START_EXECUTING_SVC_CHECKS START_OBSESSING_OVER_HOST START_OBSESSING_OVER_HOST_CHECKS
START_OBSESSING_OVER_SVC START_OBSESSING_OVER_SVC_CHECKS STOP_ACCEPTING_PASSIVE_HOST_CHECKS
STOP_ACCEPTING_PASSIVE_SVC_CHECKS STOP_EXECUTING_HOST_CHECKS STOP_EXECUTING_SVC_CHECKS STOP_OBSESSING_OVER_HOST
STOP_OBSESSING_OVER_HOST_CHECKS STOP_OBSESSING_OVER_SVC STOP_OBSESSING_OVER_SVC_CHECKS
`

func FuzzParse(f *testing.F) {
	f.Add("[1] PROCESS_SERVICE_CHECK_RESULT;web1;load;0;OK\\n|a=1")
	f.Add("[1] SCHEDULE_SVC_DOWNTIME;web1;load;1700000060;1700000120;0;x;600;jd;move")
	f.Add("[1] ACKNOWLEDGE_HOST_PROBLEM_EXPIRE;web1;2;0;1;1800000000;jd;seen")
	f.Add("[1] DEL_DOWNTIME_BY_HOSTGROUP_NAME;g;web1;load;0;x")
	f.Add("[1] DISABLE_HOST_NOTIFICATIONS;web1;jd;loud")
	f.Fuzz(func(t *testing.T, line string) {
		o, err := Parse(line, now)
		if err != nil {
			var why *Refusal
			if !reflect.DeepEqual(o, Order{}) || !errors.As(err, &why) || len(why.Text) > 1000 {
				t.Fatalf("Parse(%q) = %+v, %v", line, o, err)
			}
			return
		}
		c := o.Command
		if c.Author == "" || c.Time.After(now) || c.Time.Before(at(0)) || len(c.Text) > 3*maxText || len(c.Output) > len(line) || len(c.ID) > 3*maxName {
			t.Fatalf("Parse(%q) = %+v", line, o)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	line := "[1699999999] PROCESS_SERVICE_CHECK_RESULT;web1;load;0;OK - load average: 0.1, 0.2, 0.3|load1=0.1;5;10;0 load5=0.2;4;8;0"
	for b.Loop() {
		if _, err := Parse(line, now); err != nil {
			b.Fatal(err)
		}
	}
}
