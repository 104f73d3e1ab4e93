package config

import (
	"fmt"
	"maps"
	"path"
	"strings"
	"time"

	"alf"
)

// defaults are what [defaults] says.
type defaults struct {
	settings
	vars vars
}

func (d *defaults) keys(l *loader) keys {
	k := d.settings.keys()
	k["vars"] = l.readVars(&d.vars)
	return k
}

func (d *defaults) loaded(*loader, bool) {}

// schedule says when a check is run, and how often until it is believed.
type schedule struct {
	interval, retry opt[time.Duration]
	attempts        opt[int]
	timeout         opt[time.Duration]
	period          opt[string] // check_period
	notifications   opt[string] // notification_period
	telling         telling
	judging
}

const (
	maxInterval = 365 * day
	maxTimeout  = day
)

func (s *schedule) keys() keys {
	k := s.judging.keys()
	maps.Copy(k, keys{
		"check_interval":     set(&s.interval, interval),
		"retry_interval":     set(&s.retry, duration(time.Second, maxInterval)),
		"max_check_attempts": set(&s.attempts, number(1, 1000)),
		"check_timeout":      set(&s.timeout, duration(time.Second, maxTimeout)),

		"check_period":        set(&s.period, word),
		"notification_period": set(&s.notifications, word),
	})
	maps.Copy(k, s.telling.keys())
	return k
}

// interval reads a check_interval: "0s" means once.
func interval(v value) (time.Duration, error) {
	d, err := duration(0, maxInterval)(v)
	if err == nil && d > 0 && d < time.Second {
		err = fmt.Errorf(`%q is less than 1s; "0s" means once`, v.any)
	}
	return d, err
}

func (s schedule) over(base schedule) schedule {
	return schedule{
		interval: s.interval.or(base.interval),
		retry:    s.retry.or(base.retry),
		attempts: s.attempts.or(base.attempts),
		timeout:  s.timeout.or(base.timeout),
		period:   s.period.or(base.period),
		judging:  s.judging.over(base.judging),

		notifications: s.notifications.or(base.notifications),
		telling:       s.telling.over(base.telling),
	}
}

// settings are those of a check that [defaults] may set for all.
type settings struct {
	schedule
	timeoutState opt[alf.Status]
	compat       opt[string]
	pluginDir    opt[[]string]
	maxOutput    opt[int]
}

func (s *settings) keys() keys {
	k := keys{
		"timeout_state": set(&s.timeoutState, status),
		"compat":        set(&s.compat, oneOf("", compatNagios)),
		"plugin_dir":    set(&s.pluginDir, oneOrMore(folder)),
		"max_output":    set(&s.maxOutput, size(1<<10, 64<<20)),
	}
	maps.Copy(k, s.schedule.keys())
	return k
}

func (s settings) over(base settings) settings {
	return settings{
		schedule:     s.schedule.over(base.schedule),
		timeoutState: s.timeoutState.or(base.timeoutState),
		compat:       s.compat.or(base.compat),
		pluginDir:    s.pluginDir.or(base.pluginDir),
		maxOutput:    s.maxOutput.or(base.maxOutput),
	}
}

// compatNagios makes a return code above 3 CRITICAL, as Nagios has it.
const compatNagios = "nagios"

// builtin are the settings that stand nowhere.
func builtin() settings {
	return settings{
		schedule: schedule{
			interval: some(5 * time.Minute),
			retry:    some(time.Minute),
			attempts: some(3),
			timeout:  some(time.Minute),
			judging:  builtinJudging(),
			telling:  telling{interval: some(30 * time.Minute), delay: some(time.Duration(0))},
		},
		timeoutState: some(alf.Critical),
		compat:       some(""),
		pluginDir: some([]string{
			"/usr/lib/nagios/plugins",
			"/usr/lib64/nagios/plugins",
			"/usr/local/lib/nagios/plugins",
			"/usr/local/libexec/nagios",
			"/usr/local/nagios/libexec",
			"/usr/lib/monitoring-plugins",
		}),
		maxOutput: some(256 << 10),
	}
}

// status reads "ok", "warning", "critical" or "unknown".
func status(v value) (alf.Status, error) {
	s, err := oneOf("ok", "warning", "critical", "unknown")(v)
	if err != nil {
		return 0, err
	}
	return alf.ParseStatus(s)
}

// folder reads the absolute name of a folder, which may be on another machine.
func folder(v value) (string, error) {
	s, err := word(v)
	if err == nil && !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("%q is not absolute", s)
	}
	return path.Clean(s), err
}

// scheduled returns s for a check with a schedule. A job is not run again because
// it failed, unless own, which are the settings of its table, say so.
func (s settings) scheduled(own schedule) settings {
	s.interval = opt[time.Duration]{}
	s.attempts = own.attempts.or(some(1))
	return s
}

// apply writes s, which must be whole, into a service whose schedule is there.
func (s settings) apply(to *alf.Service) {
	to.Interval = s.interval.v
	to.CheckPeriod = s.period.v
	to.NotificationPeriod = s.notifications.v
	to.Retry = s.retry.v
	to.MaxAttempts = s.attempts.v
	to.Timeout = s.timeout.v
	to.TimeoutStatus = s.timeoutState.v
	to.BadExitStatus = alf.Unknown
	if s.compat.v == compatNagios {
		to.BadExitStatus = alf.Critical
	}
	s.judging.apply(to)
	to.Path = s.pluginDir.v
	to.MaxOutput = s.maxOutput.v
}
