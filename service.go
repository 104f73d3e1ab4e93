package alf

import "time"

// The host checks that are no plugin, as check_command names them.
const (
	CheckSSH  = "ssh"  // the shared link itself
	CheckNone = "none" // none: the host is assumed to be UP (RULES H1)
)

// LinkService names the service that is checked as a host's own check with
// CheckSSH is, on a host whose own check is another: somebody must tell of a
// link that is lost (RULES T2).
const LinkService ServiceName = "ssh link"

// OwnHost names the host whose services tell how Alf itself is.
const OwnHost HostName = "alf"

// Service is one check on one host with every setting resolved, or, if its Key
// has no Service, the host's own check. A Service is read-only once it is loaded.
type Service struct {
	Key   Key
	Host  *Host
	Check string // ID of the check it comes from; "" for a host's own, and its link
	// Builtin is CheckSSH or CheckNone for a host's own check that is no
	// plugin, CheckSSH for a LinkService that Alf made, else "".
	Builtin string
	Passive bool // nothing is run: results are submitted

	On     *Host // where the plugin runs; nil: beside Alf
	Argv   []Template
	Shell  Template // instead of Argv: a line for /bin/sh -c, see [ParseShell]
	Script string   // as in Execution
	Path   []string // as in Execution
	Env    []EnvVar
	Dir    string
	Stdin  Template // nil: empty

	Interval    time.Duration // check_interval; 0: once, then only when ordered (RULES R13)
	Schedule    string        // the text of its [Timetable], instead of Interval; "": none
	CheckPeriod string        // name of the timeperiod outside which it is not run by itself; "": always
	// NotificationPeriod is the name of the timeperiod outside which nobody is
	// told of it; "": always.
	NotificationPeriod string
	Policy             *Policy // who is told of it; nil: nobody

	Retry       time.Duration // retry_interval, while the state is SOFT
	MaxAttempts int           // max_check_attempts, at least 1
	Volatile    bool          // is_volatile: every HARD problem is news (RULES R9)
	Flapping    FlapDetection
	Stalking    [4]bool // stalking_options, by status: another output is logged though nothing changed
	// Freshness is the age at which the last result is too old to believe
	// (freshness_threshold); 0: results do not age.
	Freshness time.Duration
	// SoftPassive keeps submitted results of a host soft until its attempts are
	// used up (passive_host_checks_are_soft, RULES H4).
	SoftPassive bool
	Timeout     time.Duration // check_timeout
	// Dependencies say when it need not be run, or nobody be told of its problems.
	Dependencies []Dependency
	Recurring    []string // names of the recurring downtimes that it has

	TimeoutStatus Status // what a timeout means (RULES T4)
	BadExitStatus Status // what a return code above 3 means (RULES T5)
	MaxOutput     int    // bytes of output that are kept

	// Thresholds judge the perfdata besides the plugin: of those that name a
	// label, the first one.
	Thresholds []Threshold
	Expect     *Expect // nil: what is run is a plugin

	Metric   string // name of the command in metrics
	NotesURL string
	Where    Position
	// RenamedFrom is what the service was called before on its host; "": it was not
	// renamed. What was known under the old name goes over to it, once.
	RenamedFrom ServiceName
	// Overridden is where the host, or a group of it, sets something of its own.
	Overridden []Position
}

// FlapDetection says when a key counts as flapping (RULES 3).
type FlapDetection struct {
	Enabled   bool
	Low, High float64 // percent of changes at which it ends and begins
	Ignore    [4]bool // statuses that do not count (flap_detection_options names those that do)
}

// EnvVar is a variable of a check's environment.
type EnvVar struct {
	Name  string
	Value Template
}

// Own reports whether s is one that Alf adds to what people configure, to tell how
// it is itself.
func (s *Service) Own() bool { return s.Key.Host == OwnHost && s.Where == Position{} }

// Former returns the keys that s may have had before it or its host was renamed,
// the likeliest first.
func (s *Service) Former() []Key {
	var keys []Key
	was := s.Host.RenamedFrom
	if s.RenamedFrom != "" {
		keys = append(keys, Key{s.Key.Host, s.RenamedFrom})
	}
	if was != "" {
		keys = append(keys, Key{was, s.Key.Service})
	}
	if s.RenamedFrom != "" && was != "" {
		keys = append(keys, Key{was, s.RenamedFrom})
	}
	return keys
}

// IsLink reports whether s is the service that tells of its host's link, beside
// the host's own check.
func (s *Service) IsLink() bool { return s.Builtin == CheckSSH && !s.Key.IsHost() }

// Scheduled reports whether s is run by itself.
func (s *Service) Scheduled() bool { return !s.Passive && s.Builtin != CheckNone }
