package state_test

import (
	"testing"
	"time"

	"alf"
	"alf/state"
)

// periods knows timeperiods, and no service.
type periods map[string]alf.Period

func (periods) Look(alf.Key) (*alf.Service, alf.State) { return nil, alf.State{} }
func (p periods) Period(name string) alf.Period        { return p[name] }
func (periods) HostDownDisablesChecks() bool           { return false }

// TestNotifyFrom is RULES N4.
func TestNotifyFrom(t *testing.T) {
	known := periods{"office": officeHours(t), "never": never{}}
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f := func(period string, now, want time.Time) {
		t.Helper()
		s := service(1)
		s.NotificationPeriod = period
		if got := state.NotifyFrom(s, known, now); !got.Equal(want) {
			t.Errorf("%q at %v: from %v on, want %v", period, now, got, want)
		}
	}
	noon, night := day.Add(12*time.Hour), day.Add(20*time.Hour)
	f("", night, night)
	f("office", noon, noon)
	f("office", night, day.Add(33*time.Hour))
	f("never", noon, time.Time{})
}
