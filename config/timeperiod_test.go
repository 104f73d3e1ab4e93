package config

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones of every test, whatever the machine has
)

func TestTimeperiods(t *testing.T) {
	c := load(t, `
[timeperiod.office]
alias        = "when somebody is there"
timezone     = "Europe/Berlin"
monday       = "09:00-12:00,13:00-17:00"
"2026-12-28" = "00:00-00:00"
exclude      = ["lunch"]

[timeperiod.lunch]
timezone = "Europe/Berlin"
monday   = "11:30-12:30"

[timeperiod.none]
sunday = "00:00-24:00"
`)
	f := func(name, at string, want bool) {
		t.Helper()
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Inventory.Period(name).Contains(when); got != want {
			t.Errorf("%s at %s: %v, want %v", name, at, got, want)
		}
	}
	f("office", "2026-12-21T08:30:00Z", true)
	f("office", "2026-12-21T10:45:00Z", false) // lunch
	f("office", "2026-12-22T08:30:00Z", false) // a Tuesday
	f("office", "2026-12-28T08:30:00Z", false) // closed
	f("24x7", "2026-12-28T23:59:59Z", true)
	f("never", "2026-12-28T08:30:00Z", false)
	f("none", "2026-12-27T12:00:00Z", true) // as it is defined here
	if p := c.Inventory.Period("offices"); p != nil {
		t.Errorf("a period that is not defined: %v", p)
	}
}
