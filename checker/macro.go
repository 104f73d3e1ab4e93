package checker

import (
	"strconv"
	"time"

	"alf"
)

// RuntimeMacro reports whether name is a macro whose value is known only when
// the check runs: it speaks of the state (RULES M5).
func RuntimeMacro(name string) bool {
	_, ok := runtimeMacros[name]
	return ok
}

// moment is what the macros of one run speak of.
type moment struct {
	key    alf.Key
	state  alf.State
	host   alf.State
	result *alf.Result // the last one; nil: none
	max    int
	now    time.Time
}

var runtimeMacros = map[string]func(moment) string{
	"HOSTSTATE":              func(m moment) string { return m.host.Status.HostString() },
	"HOSTSTATEID":            func(m moment) string { return number(m.host.Status) },
	"HOSTSTATETYPE":          func(m moment) string { return m.host.Type.String() },
	"HOSTATTEMPT":            func(m moment) string { return strconv.Itoa(m.host.Attempt) },
	"SERVICESTATE":           func(m moment) string { return m.state.Status.String() },
	"SERVICESTATEID":         func(m moment) string { return number(m.state.Status) },
	"SERVICESTATETYPE":       func(m moment) string { return m.state.Type.String() },
	"SERVICEATTEMPT":         func(m moment) string { return strconv.Itoa(m.state.Attempt) },
	"MAXSERVICEATTEMPTS":     func(m moment) string { return strconv.Itoa(m.max) },
	"LASTSERVICECHECK":       func(m moment) string { return unix(m.state.LastCheck) },
	"LASTSERVICESTATECHANGE": func(m moment) string { return unix(m.state.LastChange) },
	"LASTSERVICEOK":          func(m moment) string { return unix(m.state.LastOK) },
	"SERVICEOUTPUT":          func(m moment) string { return m.state.Output },
	"LONGSERVICEOUTPUT":      longOutput,
	"TIMET":                  func(m moment) string { return unix(m.now) },
}

func number(s alf.Status) string { return strconv.Itoa(int(s)) }

// unix prints a time as Nagios does: seconds, 0 for never.
func unix(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func longOutput(m moment) string {
	if m.result == nil {
		return ""
	}
	return m.result.LongOutput
}

// bind gives the macros of t their values.
func (m moment) bind(t alf.Template) alf.Template {
	if !open(t) {
		return t
	}
	return t.Bind(func(name string) (alf.Value, bool) {
		value, ok := runtimeMacros[name]
		if !ok {
			return alf.Value{}, false
		}
		return alf.Value{Text: value(m)}, true
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
