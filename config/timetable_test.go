package config

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"alf"
)

// times tells of a service what its tables say of when.
func times(s *alf.Service) string {
	text := fmt.Sprintf("%v %q %d", s.Interval, s.Schedule, s.MaxAttempts)
	if s.Freshness > 0 {
		text += fmt.Sprintf(" fresh %v", s.Freshness)
	}
	if s.CheckPeriod != "" {
		text += " in " + s.CheckPeriod
	}
	if s.NotificationPeriod != "" {
		text += " tell " + s.NotificationPeriod
	}
	return text
}

const timetables = `
[timeperiod.office]
monday = "09:00-17:00"

[defaults]
check_interval      = "1m"
max_check_attempts  = 4
notification_period = "24x7"

[hostgroup.web]
schedule            = "@hourly"
max_check_attempts  = 2
notification_period = "office"

[host.web1]
hostgroups    = ["web"]
[host.web2]
hostgroups    = ["web"]
check_interval = "2m"
check_period   = "office"
[host.web3]
check_command = "none"
schedule      = "@daily"

[check.job]
command  = "x"
hosts    = ["web1"]
schedule = ["30 2 * * *", "CRON_TZ=Asia/Tokyo 0 9 * * *"]
timezone = "Europe/Berlin"

[check.other]
command            = "x"
hosts              = ["web1"]
schedule           = ["30 2 * * *", "CRON_TZ=Asia/Tokyo 0 9 * * *"]
timezone           = "Europe/Berlin"
max_check_attempts = 3
check_freshness    = false

[check.cron]
hosts               = ["web1", "web3"]
schedule            = "*/5 * * * * *"
check_period        = "office"
notification_period = "never"

[check.report]
hosts               = ["web2"]
schedule            = "@daily"
freshness_threshold = "1h"

[check.load]
command = "x"
hosts   = ["web1"]
`

func TestTimetables(t *testing.T) {
	c := load(t, timetables)
	f := func(key, want string) {
		t.Helper()
		if got := times(service(t, c, key)); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	const job = `0s "30 2 * * *; CRON_TZ=Asia/Tokyo 0 9 * * * (Europe/Berlin)"`
	f("web1", `0s "@hourly" 2 fresh 1m15s tell office`)
	f("web2", `2m0s "" 2 in office tell office`)
	f("web3", `0s "@daily" 1 tell 24x7`)
	f("web1!job", job+" 1 fresh 1m15s tell office")
	f("web1!other", job+" 3 tell office")
	f("web1!cron", `0s "*/5 * * * * *" 1 fresh 15m15s in office tell never`)
	f("web3!cron", `0s "*/5 * * * * *" 1 fresh 15m15s in office tell never`)
	f("web2!report", `0s "@daily" 1 fresh 1h0m0s tell office`)
	f("web1!load", `1m0s "" 4 tell office`)
}

func TestTimetable(t *testing.T) {
	c := load(t, timetables)
	s := service(t, c, "web1!job")
	at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	var got []string
	for range 4 {
		at = c.Inventory.Timetable(s.Schedule).Next(at)
		got = append(got, at.Format("02 15:04"))
	}
	// On the 29th, 02:30 does not exist in Berlin; Tokyo has no such changes.
	equal(t, "slots", got, []string{"29 00:00", "29 01:00", "30 00:00", "30 00:30"})

	var out bytes.Buffer
	if err := c.Show(&out, "web1", ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"schedule = [\"30 2 * * *\", \"CRON_TZ=Asia/Tokyo 0 9 * * *\"]\ntimezone = \"Europe/Berlin\"\nretry_interval = \"1m\"\nmax_check_attempts = 1\nnotification_period = \"office\"\n",
		"schedule = [\"@hourly\"]\nretry_interval",
		"check_period = \"office\"\nnotification_period = \"never\"\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not show\n%s\nbut\n%s", want, out.String())
		}
	}
}

// TestNeverInPeriod: a schedule that never falls into its period is a warning.
func TestNeverInPeriod(t *testing.T) {
	c := load(t, `
[timeperiod.office]
monday = "09:00-17:00"
[host.web1]
[check.a]
command      = "x"
hosts        = ["web1"]
schedule     = "0 3 * * *"
check_period = "office"
`)
	equal(t, "warnings", len(c.Warnings), 1)
	if !strings.HasSuffix(c.Warnings[0].Error(), `alf.toml:5: schedule "0 3 * * *" never falls into check_period "office"`) {
		t.Error(c.Warnings[0])
	}
}
