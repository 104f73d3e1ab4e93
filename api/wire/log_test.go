package wire_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/api/wire"
)

func TestAncientTime(t *testing.T) {
	for _, text := range []string{"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"} {
		if _, err := wire.ParseTime(text, time.Now()); err == nil || !strings.Contains(err.Error(), "before 1970") {
			t.Errorf("ParseTime(%q) = %v", text, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f := func(text string, ago time.Duration) {
		t.Helper()
		if got, err := wire.ParseTime(text, now); err != nil || !got.Equal(now.Add(-ago)) {
			t.Errorf("ParseTime(%q) = %v, %v, want %v ago", text, got, err, ago)
		}
	}
	f("90m", 90*time.Minute)
	f("1h30m", 90*time.Minute)
	f("7d", 7*24*time.Hour)
	f("2w", 14*24*time.Hour)
	f("0s", 0)
	f("2026-11-22T13:00:00+02:00", time.Hour)
	for _, text := range []string{"", "d", "-1d", "1.5d", "-5m", "+5m", "99999999d", "9999999w", "yesterday", "2026-11-22", "1d2h", "5"} {
		if got, err := wire.ParseTime(text, now); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", text, got)
		}
	}
}

func TestLogFilter(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 5, time.UTC)
	want := wire.LogFilter{Host: "h!", Service: "s &", Hostgroup: "g", Kinds: []alf.Kind{alf.KindResult, alf.KindDaemon}, Audit: true,
		Since: at, Until: at.Add(time.Hour), Before: 9, After: 3, OldestFirst: true, Limit: 7}
	if got, err := wire.ParseLogFilter(want.Values(), at); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ParseLogFilter of the values of %+v = %+v, %v", want, got, err)
	}
	if got, err := wire.ParseLogFilter(nil, at); err != nil || !reflect.DeepEqual(got, wire.LogFilter{}) {
		t.Errorf("ParseLogFilter of nothing = %+v, %v", got, err)
	}
}
