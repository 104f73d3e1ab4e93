package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Daemon is what [daemon] says: how Alf itself runs.
type Daemon struct {
	Socket              string                // where the command line reaches the daemon
	LogFormat           string                // "text" or "json"
	LogLevel            slog.Level            // of all rooms that LogLevels does not name
	LogLevels           map[string]slog.Level // by room; nil: none
	MaxConcurrentChecks int                   // on all hosts together
	MaxChecksPerHost    int                   // at a time on one host
	DataDir             string                // where the journal is, unless it is elsewhere
	LocalUser           string                // whom plugins beside Alf run as; "": as Alf itself

	HostDownDisablesChecks bool // of its services (RULES H5)
	// SoftStateDependencies lets SOFT states count in dependencies that do not say otherwise.
	SoftStateDependencies bool

	MaxRemoved Share // of the hosts and of the services that a reload may remove
	// ReloadOnChange lets changes of the files be noticed.
	ReloadOnChange bool
	KeepRemoved    time.Duration // how long what leaves the configuration can come back as it was
}

var defaultDaemon = Daemon{
	Socket:              "/run/alf/alf.sock",
	LogFormat:           "text",
	MaxConcurrentChecks: 256,
	MaxChecksPerHost:    5,
	DataDir:             "/var/lib/alf",
	MaxRemoved:          Share{Percent: 5},
	KeepRemoved:         7 * day,
}

// Rooms returns the parts of Alf that log, each of which may have a level of its
// own in log_levels.
func Rooms() []string {
	return []string{"actions", "api", "checker", "journal", "main", "nagios", "ssh"}
}

func (d *Daemon) keys(l *loader) keys {
	return keys{
		"socket":                  to(&d.Socket, l.path),
		"log_format":              to(&d.LogFormat, oneOf("text", "json")),
		"log_level":               to(&d.LogLevel, logLevel),
		"log_levels":              to(&d.LogLevels, logLevels),
		"max_concurrent_checks":   to(&d.MaxConcurrentChecks, number(1, 100_000)),
		"max_checks_per_host":     to(&d.MaxChecksPerHost, number(1, 1000)),
		"data_dir":                to(&d.DataDir, l.path),
		"soft_state_dependencies": to(&d.SoftStateDependencies, boolean),
		"local_user":              to(&d.LocalUser, l.localUser),

		"max_removed":      to(&d.MaxRemoved, share),
		"reload_on_change": to(&d.ReloadOnChange, boolean),
		"keep_removed":     to(&d.KeepRemoved, duration(0, maxInterval)),

		"host_down_disable_service_checks": to(&d.HostDownDisablesChecks, boolean),
	}
}

func (d *Daemon) loaded(*loader, bool) {}

// Share is a part of many things: so many of them, or so many of a hundred.
type Share struct {
	Number  int
	Percent float64 // 0: Number stands
}

// String returns s as max_removed is written.
func (s Share) String() string {
	if s.Percent > 0 {
		return strconv.FormatFloat(s.Percent, 'f', -1, 64) + "%"
	}
	return strconv.Itoa(s.Number)
}

// Of returns how many of n s is; of a percentage at least that many.
func (s Share) Of(n, least int) int {
	if s.Percent > 0 {
		return max(int(s.Percent*float64(n)/100), least)
	}
	return s.Number
}

// share reads a number, or a text such as "5%".
func share(v value) (Share, error) {
	s, ok := v.any.(string)
	if !ok {
		n, err := number(0, 1_000_000)(v)
		if err != nil {
			err = fmt.Errorf(`%w, or a percentage such as "5%%"`, err)
		}
		return Share{Number: n}, err
	}
	digits, percent := strings.CutSuffix(s, "%")
	p, err := strconv.ParseFloat(digits, 64)
	switch {
	case !percent || err != nil:
		return Share{}, fmt.Errorf(`%q is no percentage such as "5%%"`, s)
	case !(p >= 0 && p <= 100):
		return Share{}, fmt.Errorf("%q is not between 0%% and 100%%", s)
	}
	return Share{Percent: p}, nil
}

func logLevel(v value) (slog.Level, error) {
	var level slog.Level
	s, err := oneOf("debug", "info", "warn", "error")(v)
	if err == nil {
		err = level.UnmarshalText([]byte(s))
	}
	return level, err
}

func logLevels(v value) (map[string]slog.Level, error) {
	t, ok := v.any.(*table)
	if !ok {
		return nil, v.want("a table", func() *shape {
			rooms := &shape{Type: "object", Properties: make(map[string]*shape), Others: false}
			for _, room := range Rooms() {
				rooms.Properties[room] = shapeOf(logLevel)
			}
			return rooms
		})
	}
	levels, rooms := make(map[string]slog.Level), Rooms()
	var errs []error
	fail := func(room string, err error) {
		errs = append(errs, place(t.values[room].at, fmt.Errorf("%s: %w", room, err)))
	}
	for _, room := range t.keys {
		level, err := logLevel(t.values[room])
		if err != nil {
			fail(room, err)
		}
		if !slices.Contains(rooms, room) {
			fail(room, fmt.Errorf("is none of %s%s", quoted(rooms), didYouMean(room, rooms)))
		}
		levels[room] = level
	}
	return levels, errors.Join(errs...)
}

// localUser reads the name of a user of this machine, whom Alf can become.
func (l *loader) localUser(v value) (string, error) {
	name, err := word(v)
	if err != nil || l.NoSecrets {
		return name, err
	}
	u, err := user.Lookup(name)
	if err != nil {
		return "", fmt.Errorf("there is no user %q", name)
	}
	return name, mayBecome(u, os.Getuid())
}

// mayBecome returns an error if a process of that user ID cannot run plugins as u.
func mayBecome(u *user.User, uid int) error {
	if uid == 0 || u.Uid == strconv.Itoa(uid) {
		return nil
	}
	return fmt.Errorf("only root may run plugins as somebody else, and Alf runs as user %d, who is not %q", uid, u.Username)
}

// currentUser returns the name of the user that Alf runs as, or "".
func currentUser() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
