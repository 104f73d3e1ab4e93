package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"alf/api/wire"
)

// TestReportTime: a month is one of local time, so the clocks' change makes it
// longer or shorter.
func TestReportTime(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, paris)
	f := func(r reportTime, from, until string, hours float64) {
		t.Helper()
		a, b, err := r.bounds(now)
		if err != nil || a.Format(time.RFC3339) != from || b.Format(time.RFC3339) != until || b.Sub(a).Hours() != hours {
			t.Errorf("%+v = %v, %v (%v), %v, want %s, %s (%v h)", r, a, b, b.Sub(a), err, from, until, hours)
		}
	}
	f(reportTime{}, "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00", 31*24+1)
	f(reportTime{month: "2026-10"}, "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00", 31*24+1)
	f(reportTime{month: "2026-03"}, "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00", 31*24-1)
	f(reportTime{month: "2028-02"}, "2028-02-01T00:00:00+01:00", "2028-03-01T00:00:00+01:00", 29*24)
	f(reportTime{from: "7d", until: "1d"}, "2026-11-15T12:00:00+01:00", "2026-11-21T12:00:00+01:00", 6*24)
	now = time.Date(2027, 1, 31, 0, 0, 0, 0, paris)
	f(reportTime{}, "2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00", 31*24)
	for _, r := range []reportTime{{month: "October"}, {month: "2026-10", from: "7d"}, {month: "2026-10", until: "7d"}, {until: "7d"}, {from: "x"}, {from: "1d", until: "x"}} {
		if from, until, err := r.bounds(now); err == nil {
			t.Errorf("%+v = %v, %v, want an error", r, from, until)
		}
	}
}

func TestAvailabilityTable(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	from, until := time.Date(2026, 10, 1, 0, 0, 0, 0, paris), time.Date(2026, 11, 1, 0, 0, 0, 0, paris)
	whole := until.Sub(from).Seconds()
	s := wire.ServiceShares{OK: wire.Share{Seconds: whole - 1, Percent: 100 * (whole - 1) / whole}, Critical: wire.Share{Seconds: 1, Percent: 100 / whole}}
	a := wire.Availability{From: from.UTC(), Until: until.UTC(), Seconds: whole, ServiceAverage: &s,
		Services: []wire.ServiceAvailability{{Host: "web1", Service: "load", ServiceShares: s}, {Host: "web2", Service: "\x1b[2J", ServiceShares: s}}}
	var out bytes.Buffer
	if err := writeAvailability(&out, &a, paris); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2026-10-01 00:00:00 CEST to 2026-11-01 00:00:00 CET (31d1h), hard states\n\n",
		"web1       load     99.999% 31d0h  0%       0.000% 1s  0%       0%           0%\n",
		`web2       \x1b[2J `, "(average)  -  ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\nwant %q in it", out.String(), want)
		}
	}
}
