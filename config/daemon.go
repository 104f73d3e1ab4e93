package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strconv"
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
}

var defaultDaemon = Daemon{
	Socket:              "/run/alf/alf.sock",
	LogFormat:           "text",
	MaxConcurrentChecks: 256,
	MaxChecksPerHost:    5,
	DataDir:             "/var/lib/alf",
}

// Rooms returns the parts of Alf that log, each of which may have a level of its
// own in log_levels.
func Rooms() []string { return []string{"api", "checker", "journal", "main", "nagios", "ssh"} }

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

		"host_down_disable_service_checks": to(&d.HostDownDisablesChecks, boolean),
	}
}

func (d *Daemon) loaded(*loader, bool) {}

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
