package config

import (
	"slices"
	"testing"
	"time"
)

func TestRecurringDowntimes(t *testing.T) {
	c := load(t, `
[hostgroup.web]
members = ["web*"]

[host.router]
[host.switch]
parents = ["router"]
[host.web1]
parents = ["switch"]
[host.web2]

[check.disk]
command = "x"
hosts   = ["@web"]

[check.load]
command = "x"
hosts   = ["@web"]

[downtime.backup]
hosts    = ["@web"]
services = ["d*"]
schedule = ["30 2 * * *", "0 12 * * SUN"]
timezone = "Europe/Berlin"
duration = "2h"
comment  = "the disks are busy"

[downtime.power]
hosts    = ["router"]
children = true
schedule = "@monthly"
duration = "1h"
flexible = "4h"

[downtime.update]
hosts        = ["web2"]
all_services = true
schedule     = "@weekly"
duration     = "1h"
`)
	has := map[string]string{}
	for _, s := range c.Inventory.Services() {
		for _, name := range s.Recurring {
			has[name] += s.Key.String() + " "
		}
	}
	equal(t, "who has which", has, map[string]string{
		"backup": "web1!disk web2!disk ", "power": "router switch web1 ", "update": "web2 web2!disk web2!load ",
	})
	backup, power := c.Inventory.Recurring("backup"), c.Inventory.Recurring("power")
	now, want := time.Date(2026, 12, 26, 12, 0, 0, 0, time.UTC), []string{"27 01:30", "27 11:00", "28 01:30"}
	var starts []string
	for range want {
		now = backup.Schedule.Next(now)
		starts = append(starts, now.Format("02 15:04"))
	}
	if !slices.Equal(starts, want) || backup.Duration != 2*time.Hour || backup.Flexible != 0 || backup.Text != "the disks are busy" {
		t.Errorf("backup starts at %v, want %v: %+v", starts, want, backup)
	}
	if power.Duration != time.Hour || power.Flexible != 4*time.Hour || power.Name != "power" {
		t.Errorf("power = %+v", power)
	}
}

// TestDowntimesThatTouch: one may end as the next one starts, also when the clock
// on the wall is changed in between.
func TestDowntimesThatTouch(t *testing.T) {
	for _, schedule := range []string{`"0 * * * *"
duration = "1h"`, `"@daily"
duration = "24h"`, `"@weekly"
duration = "7d"`, `["0 22 * * *", "0 6 * * *"]
duration = "8h"
flexible = "1h"`} {
		load(t, `
[host.web]

[downtime.all]
hosts    = ["web"]
timezone = "Europe/Berlin"
schedule = `+schedule)
	}
}
