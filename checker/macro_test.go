package checker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
)

// TestRuntimeMacros demands Nagios' forms of the macros of times.
func TestRuntimeMacros(t *testing.T) {
	now := time.Date(2026, 3, 9, 7, 5, 4, 0, time.UTC)
	m := moment{
		now: now, state: alf.State{LastChange: now.Add(-26*time.Hour - 3*time.Minute - 4*time.Second)},
		host:   alf.State{LastCheck: time.Unix(17, 0)},
		result: &alf.Result{Due: now.Add(-3 * time.Second), Start: now.Add(-1250 * time.Millisecond), End: now},
	}
	f := func(macro, want string) {
		t.Helper()
		if got := m.bind(alf.ParseTemplate("<$" + macro + "$>")).Reveal(); got != "<"+want+">" {
			t.Errorf("$%s$ = %s, want %s", macro, got, want)
		}
	}
	f("DATE", "03-09-2026")
	f("TIME", "07:05:04")
	f("SHORTDATETIME", "03-09-2026 07:05:04")
	f("LONGDATETIME", "Mon Mar 9 07:05:04 UTC 2026")
	f("TIMET", "1773039904")
	f("SERVICEDURATION", "1d 2h 3m 4s")
	f("SERVICEDURATIONSEC", "93784")
	f("HOSTDURATION", "0d 0h 0m 0s")
	f("LASTHOSTCHECK", "17")
	f("LASTHOSTUP", "0")
	f("SERVICELATENCY", "1.750")
	f("SERVICEEXECUTIONTIME", "1.250")
	f("HOSTPERFDATA", "")
	f("SERVICEDURATION:web1:load", "0d 0h 0m 0s") // of which nothing is known here
	f("NOTHING", "$NOTHING$")
	for name, value := range runtimeMacros {
		if !RuntimeMacro(name) || value(moment{}) == "" && value(m) != value(moment{result: m.result}) {
			t.Errorf("$%s$ has no value", name)
		}
	}
}

// TestFreeMacro: what is not free is made of a few marks only, so that a gateway may rely
// on it (RULES M5).
func TestFreeMacro(t *testing.T) {
	const hostile = "-x'; id; '\n"
	at := time.Date(2026, 11, 22, 22, 0, 0, 0, time.FixedZone("", -3*3600-30*60))
	var free []string
	for _, s := range []alf.State{{}, {Status: alf.Critical, Type: alf.Hard, Attempt: 3, LastCheck: at, LastChange: at, LastOK: at, Output: hostile}} {
		for _, r := range []*alf.Result{nil, {LongOutput: hostile, PerfdataText: hostile, Due: at, Start: at.Add(time.Second), End: at.Add(time.Minute)}} {
			m := moment{state: s, result: r, max: 3, now: at.Add(50 * time.Hour), host: s, hostResult: r, hostMax: 3}
			for name, value := range runtimeMacros {
				got := value(m)
				if FreeMacro(name) {
					free = append(free, name)
				} else if strings.Trim(got, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz :.+-") != "" || strings.HasPrefix(got, "-") {
					t.Errorf("%s = %q has more than letters, digits, spaces and :.+-", name, got)
				}
			}
		}
	}
	if !slices.Contains(free, "SERVICEOUTPUT") || !slices.Contains(free, "LONGHOSTOUTPUT") || !slices.Contains(free, "HOSTPERFDATA") || !FreeMacro("HOSTOUTPUT:web1") || FreeMacro("HOSTSTATE:OUTPUT") {
		t.Errorf("free are %q", free)
	}
}
