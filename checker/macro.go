package checker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"alf"
)

// RuntimeMacro reports whether name is a macro whose value is known only when
// the check runs: it speaks of the state (RULES M5).
func RuntimeMacro(name string) bool {
	_, ok := runtimeMacros[name]
	return ok
}

// FreeMacro reports whether the value of a RuntimeMacro may be any text: what a plugin
// has said. All others are made of letters, digits, spaces and :.+-, and begin with no
// dash.
func FreeMacro(name string) bool {
	base, _, _ := strings.Cut(name, ":")
	return strings.HasSuffix(base, "OUTPUT") || strings.HasSuffix(base, "PERFDATA")
}

// moment is what the macros of one run speak of.
type moment struct {
	state  alf.State
	result *alf.Result // the last one; nil: none
	max    int
	now    time.Time

	host       alf.State
	hostResult *alf.Result
	hostMax    int

	others map[string]string // the values of on-demand macros (RULES M4)
}

var runtimeMacros = map[string]func(moment) string{
	"HOSTSTATE":           func(m moment) string { return m.host.Status.HostString() },
	"HOSTSTATEID":         func(m moment) string { return number(m.host.Status) },
	"HOSTSTATETYPE":       func(m moment) string { return m.host.Type.String() },
	"HOSTATTEMPT":         func(m moment) string { return strconv.Itoa(m.host.Attempt) },
	"MAXHOSTATTEMPTS":     func(m moment) string { return strconv.Itoa(m.hostMax) },
	"LASTHOSTCHECK":       func(m moment) string { return unix(m.host.LastCheck) },
	"LASTHOSTSTATECHANGE": func(m moment) string { return unix(m.host.LastChange) },
	"LASTHOSTUP":          func(m moment) string { return unix(m.host.LastOK) },
	"HOSTDURATION":        func(m moment) string { return lasted(m.host, m.now) },
	"HOSTDURATIONSEC":     func(m moment) string { return seconds(m.host, m.now) },
	"HOSTOUTPUT":          func(m moment) string { return m.host.Output },
	"LONGHOSTOUTPUT":      func(m moment) string { return of(m.hostResult, longOutput) },
	"HOSTPERFDATA":        func(m moment) string { return of(m.hostResult, perfdataText) },
	"HOSTLATENCY":         func(m moment) string { return of(m.hostResult, latency) },
	"HOSTEXECUTIONTIME":   func(m moment) string { return of(m.hostResult, executionTime) },

	"SERVICESTATE":           func(m moment) string { return m.state.Status.String() },
	"SERVICESTATEID":         func(m moment) string { return number(m.state.Status) },
	"SERVICESTATETYPE":       func(m moment) string { return m.state.Type.String() },
	"SERVICEATTEMPT":         func(m moment) string { return strconv.Itoa(m.state.Attempt) },
	"MAXSERVICEATTEMPTS":     func(m moment) string { return strconv.Itoa(m.max) },
	"LASTSERVICECHECK":       func(m moment) string { return unix(m.state.LastCheck) },
	"LASTSERVICESTATECHANGE": func(m moment) string { return unix(m.state.LastChange) },
	"LASTSERVICEOK":          func(m moment) string { return unix(m.state.LastOK) },
	"SERVICEDURATION":        func(m moment) string { return lasted(m.state, m.now) },
	"SERVICEDURATIONSEC":     func(m moment) string { return seconds(m.state, m.now) },
	"SERVICEOUTPUT":          func(m moment) string { return m.state.Output },
	"LONGSERVICEOUTPUT":      func(m moment) string { return of(m.result, longOutput) },
	"SERVICEPERFDATA":        func(m moment) string { return of(m.result, perfdataText) },
	"SERVICELATENCY":         func(m moment) string { return of(m.result, latency) },
	"SERVICEEXECUTIONTIME":   func(m moment) string { return of(m.result, executionTime) },

	"TIMET":         func(m moment) string { return unix(m.now) },
	"DATE":          func(m moment) string { return m.now.Format("01-02-2006") },
	"TIME":          func(m moment) string { return m.now.Format("15:04:05") },
	"SHORTDATETIME": func(m moment) string { return m.now.Format("01-02-2006 15:04:05") },
	"LONGDATETIME":  func(m moment) string { return m.now.Format("Mon Jan 2 15:04:05 MST 2006") },
}

func longOutput(r *alf.Result) string    { return r.LongOutput }
func perfdataText(r *alf.Result) string  { return r.PerfdataText }
func latency(r *alf.Result) string       { return fmt.Sprintf("%.3f", r.Latency().Seconds()) }
func executionTime(r *alf.Result) string { return fmt.Sprintf("%.3f", r.Duration().Seconds()) }

// of returns what a result has; "": there is none.
func of(r *alf.Result, what func(*alf.Result) string) string {
	if r == nil {
		return ""
	}
	return what(r)
}

// since is for how long a state lasts.
func since(s alf.State, now time.Time) time.Duration {
	if s.LastChange.IsZero() {
		return 0
	}
	return max(now.Sub(s.LastChange), 0)
}

// lasted prints that as Nagios does.
func lasted(s alf.State, now time.Time) string {
	d := int(since(s, now).Seconds())
	return fmt.Sprintf("%dd %dh %dm %ds", d/86400, d/3600%24, d/60%60, d%60)
}

func seconds(s alf.State, now time.Time) string {
	return strconv.Itoa(int(since(s, now).Seconds()))
}

func number(s alf.Status) string { return strconv.Itoa(int(s)) }

// unix prints a time as Nagios does: seconds, 0 for never.
func unix(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// asks reports whether a macro is left in what s runs.
func asks(s *alf.Service) bool {
	return open(s.Shell) || open(s.Stdin) || slices.ContainsFunc(s.Argv, open) || slices.ContainsFunc(s.Env, func(v alf.EnvVar) bool { return open(v.Value) })
}

// moment returns what the macros of it, or of another item, speak of now.
func (l *loop) moment(it *item, now time.Time) moment {
	m := moment{state: it.state, result: it.result, max: it.service.MaxAttempts, now: now}
	if host := l.items[alf.Key{Host: it.service.Key.Host}]; host != nil {
		m.host, m.hostResult, m.hostMax = host.state, host.result, host.service.MaxAttempts
	}
	return m
}

// demand gives the on-demand macros of s their values: what is known of others
// now, which only the loop may look at.
func (l *loop) demand(s *alf.Service, now time.Time) map[string]string {
	var values map[string]string
	look := func(t alf.Template) {
		for _, p := range t {
			name, of, ok := strings.Cut(p.Macro, ":")
			value := runtimeMacros[name]
			if !ok || value == nil {
				continue
			}
			m := moment{now: now}
			if it := l.other(of); it != nil {
				m = l.moment(it, now)
			}
			if values == nil {
				values = make(map[string]string)
			}
			values[p.Macro] = value(m)
		}
	}
	look(s.Shell)
	look(s.Stdin)
	for _, t := range s.Argv {
		look(t)
	}
	for _, v := range s.Env {
		look(v.Value)
	}
	return values
}

// other returns what "HOST" or "HOST:SERVICE" names, as the configuration has made
// sure of; a host's name may hold colons itself.
func (l *loop) other(of string) *item {
	if it := l.items[alf.Key{Host: alf.HostName(of)}]; it != nil {
		return it
	}
	for i := range len(of) {
		if of[i] == ':' {
			if it := l.items[alf.Key{Host: alf.HostName(of[:i]), Service: alf.ServiceName(of[i+1:])}]; it != nil {
				return it
			}
		}
	}
	return nil
}

// bind gives the macros of t their values. Of others nothing is known where there
// is no loop.
func (m *moment) bind(t alf.Template) alf.Template {
	if !open(t) {
		return t
	}
	return t.Bind(func(name string) (alf.Value, bool) {
		if text, ok := m.others[name]; ok {
			return alf.Value{Text: text}, true
		}
		of := *m
		base, _, demanded := strings.Cut(name, ":")
		if demanded {
			of = moment{now: m.now}
		}
		value, ok := runtimeMacros[base]
		if !ok {
			return alf.Value{}, false
		}
		return alf.Value{Text: value(of)}, true
	})
}

// open reports whether t still holds a macro.
func open(t alf.Template) bool {
	for _, p := range t {
		if p.Macro != "" {
			return true
		}
	}
	return false
}
