package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of every test, whatever the machine has

	"pgregory.net/rapid"
)

// Without its zone's abbreviation a repeated time would be ambiguous.
const layout = "2006-01-02 15:04:05 -0700"

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func parse(t testing.TB, text string, z *time.Location) *Cron {
	t.Helper()
	c, err := Parse(text, z, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestNext: what is due after an instant, computed by hand from the zones'
// changes (zdump -v).
func TestNext(t *testing.T) {
	f := func(name, text, after string, want ...string) {
		t.Helper()
		c := parse(t, text, zone(t, name))
		at, err := time.Parse(layout, after)
		if err != nil {
			t.Fatal(err)
		}
		at = at.In(c.Zone())
		for _, w := range want {
			if at = c.Next(at); at.Format(layout) != w {
				t.Fatalf("%s %q: Next = %s, want %s", name, text, at.Format(layout), w)
			}
		}
	}
	// No change near.
	f("UTC", "*/5 * * * *", "2026-01-01 23:54:59 +0000", "2026-01-01 23:55:00 +0000", "2026-01-02 00:00:00 +0000", "2026-01-02 00:05:00 +0000")
	f("UTC", "*/20 59 23 31 12 *", "2026-01-01 00:00:00 +0000", "2026-12-31 23:59:00 +0000", "2026-12-31 23:59:20 +0000", "2026-12-31 23:59:40 +0000", "2027-12-31 23:59:00 +0000")
	f("UTC", "*/5 8-17 * * 1-5", "2026-01-02 17:55:00 +0000", "2026-01-05 08:00:00 +0000", "2026-01-05 08:05:00 +0000")
	f("UTC", "0 0 29 2 *", "2096-02-29 00:00:00 +0000", "2104-02-29 00:00:00 +0000") // 2100 is no leap year
	f("UTC", "0 12 1 * MON", "2026-06-01 12:00:00 +0000", "2026-06-08 12:00:00 +0000", "2026-06-15 12:00:00 +0000", "2026-06-22 12:00:00 +0000", "2026-06-29 12:00:00 +0000", "2026-07-01 12:00:00 +0000")
	f("UTC", "0 12 */2 * MON", "2026-06-01 12:00:00 +0000", "2026-06-15 12:00:00 +0000") // a star: both must fit
	f("UTC", "0 0 * * FRI-SUN", "2026-01-01 00:00:00 +0000", "2026-01-02 00:00:00 +0000", "2026-01-03 00:00:00 +0000", "2026-01-04 00:00:00 +0000", "2026-01-09 00:00:00 +0000")
	f("UTC", "0 0 * * 7", "2026-01-01 00:00:00 +0000", "2026-01-04 00:00:00 +0000")
	f("UTC", "@yearly", "2026-01-01 00:00:00 +0000", "2027-01-01 00:00:00 +0000")
	f("Asia/Kathmandu", "@hourly", "2026-01-01 00:00:01 +0545", "2026-01-01 01:00:00 +0545")

	// New York, 2026-03-08: 02:00 -0500 is 03:00 -0400.
	f("America/New_York", "30 2 * * *", "2026-03-07 03:00:00 -0500", "2026-03-08 03:00:00 -0400", "2026-03-09 02:30:00 -0400")
	f("America/New_York", "0,30 2,3 * * *", "2026-03-07 23:00:00 -0500", "2026-03-08 03:00:00 -0400", "2026-03-08 03:30:00 -0400", "2026-03-09 02:00:00 -0400")
	f("America/New_York", "*/30 * * * *", "2026-03-08 01:30:00 -0500", "2026-03-08 03:00:00 -0400", "2026-03-08 03:30:00 -0400")
	f("America/New_York", "0 */2 * * *", "2026-03-08 00:00:00 -0500", "2026-03-08 04:00:00 -0400") // follows the clock
	f("America/New_York", "*/10 2 * * *", "2026-03-07 03:00:00 -0500", "2026-03-09 02:00:00 -0400")
	f("America/New_York", "30 2 8 3 *", "2025-12-31 00:00:00 -0500", "2026-03-08 03:00:00 -0400", "2027-03-08 02:30:00 -0500")
	f("America/New_York", "30 2 * * 1", "2026-03-07 00:00:00 -0500", "2026-03-09 02:30:00 -0400") // the 8th is a Sunday

	// New York, 2026-11-01: 02:00 -0400 is 01:00 -0500.
	f("America/New_York", "30 1 * * *", "2026-10-31 12:00:00 -0400", "2026-11-01 01:30:00 -0400", "2026-11-02 01:30:00 -0500")
	f("America/New_York", "30 1 * * *", "2026-11-01 01:00:00 -0500", "2026-11-02 01:30:00 -0500")
	f("America/New_York", "30 0-2 * * *", "2026-11-01 00:30:00 -0400", "2026-11-01 01:30:00 -0400", "2026-11-01 02:30:00 -0500")
	f("America/New_York", "*/30 * * * *", "2026-11-01 01:00:00 -0400", "2026-11-01 01:30:00 -0400", "2026-11-01 01:00:00 -0500", "2026-11-01 01:30:00 -0500", "2026-11-01 02:00:00 -0500")
	f("America/New_York", "@hourly", "2026-11-01 00:00:00 -0400", "2026-11-01 01:00:00 -0400", "2026-11-01 01:00:00 -0500", "2026-11-01 02:00:00 -0500")
	f("America/New_York", "*/30 1 * * *", "2026-11-01 01:30:00 -0400", "2026-11-01 01:00:00 -0500", "2026-11-01 01:30:00 -0500", "2026-11-02 01:00:00 -0500")

	// Lord Howe: 30 minutes. 2026-04-05 02:00 +1100 is 01:30 +1030; 2026-10-04 02:00 +1030 is 02:30 +1100.
	f("Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00:00 +1030", "2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100")
	f("Australia/Lord_Howe", "45 1 * * *", "2026-04-04 12:00:00 +1100", "2026-04-05 01:45:00 +1100", "2026-04-06 01:45:00 +1030")
	f("Australia/Lord_Howe", "*/15 * * * *", "2026-04-05 01:45:00 +1100", "2026-04-05 01:30:00 +1030", "2026-04-05 01:45:00 +1030", "2026-04-05 02:00:00 +1030")

	// São Paulo: at midnight. 2018-11-04 00:00 -0300 is 01:00 -0200; 2018-02-18 00:00 -0200 is 2018-02-17 23:00 -0300.
	f("America/Sao_Paulo", "@daily", "2018-11-03 00:00:00 -0300", "2018-11-04 01:00:00 -0200", "2018-11-05 00:00:00 -0200")
	f("America/Sao_Paulo", "30 23 * * *", "2018-02-17 12:00:00 -0200", "2018-02-17 23:30:00 -0200", "2018-02-18 23:30:00 -0300")
	f("America/Sao_Paulo", "0 0 * * SUN", "2018-11-03 12:00:00 -0300", "2018-11-04 01:00:00 -0200", "2018-11-11 00:00:00 -0200")

	// Nuuk: 2026-03-28 23:00 -0200 is midnight -0100.
	f("America/Nuuk", "30 23 * * *", "2026-03-28 12:00:00 -0200", "2026-03-29 00:00:00 -0100", "2026-03-29 23:30:00 -0100")

	// Apia has no 2011-12-30.
	f("Pacific/Apia", "0 12 * * *", "2011-12-28 12:00:00 -1000", "2011-12-29 12:00:00 -1000", "2011-12-31 12:00:00 +1400")
	f("Pacific/Apia", "0 12 30 12 *", "2011-01-01 00:00:00 -1000", "2012-12-30 12:00:00 +1400")
	f("Pacific/Apia", "0 */12 * * *", "2011-12-29 12:00:00 -1000", "2011-12-31 00:00:00 +1400")

	// Troll: two hours. 2026-03-29 01:00 +0000 is 03:00 +0200; 2026-10-25 03:00 +0200 is 01:00 +0000.
	f("Antarctica/Troll", "0 1,2 * * *", "2026-03-28 12:00:00 +0000", "2026-03-29 03:00:00 +0200", "2026-03-30 01:00:00 +0200")
	f("Antarctica/Troll", "0 1,2 * * *", "2026-10-24 12:00:00 +0200", "2026-10-25 01:00:00 +0200", "2026-10-25 02:00:00 +0200", "2026-10-26 01:00:00 +0000")
	f("Antarctica/Troll", "0 * * * *", "2026-10-25 02:00:00 +0200", "2026-10-25 01:00:00 +0000", "2026-10-25 02:00:00 +0000", "2026-10-25 03:00:00 +0000")

	// Casey skipped three hours, Kwajalein a day of 1993.
	f("Antarctica/Casey", "0 3 * * *", "2009-10-17 12:00:00 +0800", "2009-10-18 05:00:00 +1100", "2009-10-19 03:00:00 +1100")
	f("Pacific/Kwajalein", "0 3 * * *", "1993-08-20 03:00:00 -1200", "1993-08-22 03:00:00 +1200")

	// Beyond the table of a zone, where its rule goes on; 2040 is a leap year.
	f("Europe/Berlin", "30 2 * * *", "2040-03-24 03:00:00 +0100", "2040-03-25 03:00:00 +0200", "2040-03-26 02:30:00 +0200")
	f("Europe/Berlin", "0 12 * * *", "2040-12-30 12:00:00 +0100", "2040-12-31 12:00:00 +0100", "2041-01-01 12:00:00 +0100")
}

// wild are zones with something odd, and some without.
var wild = []string{
	"UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Istanbul", "Europe/Moscow", "America/New_York",
	"America/Sao_Paulo", "America/Asuncion", "America/Santiago", "America/Havana", "America/Caracas", "America/St_Johns",
	"America/Nuuk", "America/Scoresbysund", "America/Port-au-Prince", "Asia/Tehran", "Asia/Kolkata", "Asia/Kathmandu",
	"Asia/Beirut", "Asia/Amman", "Asia/Gaza", "Asia/Pyongyang", "Australia/Lord_Howe", "Australia/Sydney", "Africa/Cairo",
	"Africa/Casablanca", "Africa/Juba", "Africa/Monrovia", "Pacific/Apia", "Pacific/Fakaofo", "Pacific/Kwajalein",
	"Pacific/Kiritimati", "Pacific/Chatham", "Pacific/Norfolk", "Antarctica/Troll", "Antarctica/Casey", "Antarctica/Davis",
	"Antarctica/Vostok", "Atlantic/Azores",
}

// TestDaily: a job at a fixed time runs once on every day that a calendar has,
// around every change of those zones in 70 years.
func TestDaily(t *testing.T) {
	from, to := time.Date(1975, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2045, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range wild {
		z := zone(t, name)
		for _, at := range []string{"0 0", "30 0", "0 1", "45 1", "0 2", "30 2", "15 3", "30 23"} {
			c := parse(t, at+" * * *", z)
			for s := stretchAt(from.Unix(), z); s.end < to.Unix(); s = stretchAt(s.end, z) {
				once(t, c, time.Unix(s.end, 0).In(z))
			}
		}
	}
}

// once checks that c runs once a day in the days around change.
func once(t *testing.T, c *Cron, change time.Time) {
	last := c.Next(change.Add(-50 * time.Hour))
	for last.Before(change.Add(50 * time.Hour)) {
		next := c.Next(last)
		from, to := dueDay(c, last), dueDay(c, next)
		for to > from+1 && !exists(to-1, c.zone) {
			to--
		}
		if to-from != 1 {
			t.Errorf("%s %q: %s, then %s", c.zone, c, last, next)
		}
		last = next
	}
}

// dueDay returns the day for which c runs: of a run that makes up for a gap,
// the day on which the gap began.
func dueDay(c *Cron, run time.Time) int64 {
	if c.hour>>run.Hour()&1 == 1 && c.minute>>run.Minute()&1 == 1 {
		return dayNumber(run.Date())
	}
	_, offset := run.Add(-time.Second).Zone()
	return dayOf(run.Unix() + int64(offset))
}

// exists reports whether the zone has that day.
func exists(number int64, z *time.Location) bool {
	year, month, dom := date(number).Date()
	return time.Date(year, month, dom, 12, 0, 0, 0, z).Day() == dom
}

// vixie runs c minute by minute as Vixie cron does, with a virtual clock that
// never goes back (cron(8)), but with no limit of three hours.
func vixie(c *Cron, from, to time.Time) []time.Time {
	wallOf := func(t time.Time) int64 {
		_, offset := t.In(c.zone).Zone()
		return (t.Unix() + int64(offset)) / 60
	}
	fits := func(minute int64) bool {
		w := time.Unix(minute*60, 0).UTC()
		return c.minute>>w.Minute()&1 == 1 && c.hour>>w.Hour()&1 == 1 && c.month>>w.Month()&1 == 1 && c.fits(w.Day(), w.Weekday())
	}
	var runs []time.Time
	start := from.Add(-3 * time.Hour)
	virtual := wallOf(start) - 1
	for t := start; t.Before(to); t = t.Add(time.Minute) {
		wall := wallOf(t)
		run := fits(wall) && (!c.fixed || wall > virtual)
		if skipped := wall - virtual - 1; c.fixed && skipped > 0 && skipped < 24*60 {
			for minute := virtual + 1; minute < wall; minute++ {
				run = run || fits(minute)
			}
		}
		virtual = max(virtual, wall)
		if run && t.After(from) {
			runs = append(runs, t)
		}
	}
	return runs
}

// around draws an instant near a change of a zone's distance from UTC.
func around(t *rapid.T) (z *time.Location, at time.Time) {
	z, err := time.LoadLocation(rapid.SampledFrom(wild).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	day := rapid.IntRange(0, 70*365).Draw(t, "day")
	at = time.Date(1975, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, day)
	if _, end := at.In(z).ZoneBounds(); !end.IsZero() {
		at = end.Truncate(time.Hour)
	}
	return z, at
}

func drawCron(t *rapid.T) string {
	field := func(name string, lo, hi int) string {
		a := rapid.IntRange(lo, hi).Draw(t, name)
		b := rapid.IntRange(a, hi).Draw(t, name+" end")
		step := rapid.IntRange(1, max(1, b-a)).Draw(t, name+" step")
		return rapid.SampledFrom([]string{
			"*", fmt.Sprintf("*/%d", max(1, min(step, hi-lo))), fmt.Sprint(a), fmt.Sprintf("%d-%d/%d", a, b, step), fmt.Sprintf("%d,%d", a, b),
		}).Draw(t, name+" form")
	}
	return strings.Join([]string{field("minute", 0, 59), field("hour", 0, 23),
		rapid.SampledFrom([]string{"*", "*", "*/2", "1-15", "28-31"}).Draw(t, "dom"), "*",
		rapid.SampledFrom([]string{"*", "*", "SUN", "1-5", "*/3"}).Draw(t, "dow")}, " ")
}

// TestVixie compares with the naive simulation near the changes of many zones.
func TestVixie(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z, at := around(t)
		text := drawCron(t)
		c, err := Parse(text, z, nil)
		if err != nil {
			t.Fatal(err)
		}
		from, to := at.Add(-26*time.Hour), at.Add(26*time.Hour)
		got := from
		for _, want := range vixie(c, from, to) {
			if got = c.Next(got); !got.Equal(want) {
				t.Fatalf("%s %q: Next = %s, want %s", z, text, got.In(z), want.In(z))
			}
		}
		if next := c.Next(got); next.Before(to) {
			t.Fatalf("%s %q: Next = %s, want later than %s", z, text, next.In(z), to.In(z))
		}
	})
}

// TestPrev: Prev is the last of what Next gives.
func TestPrev(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z, at := around(t)
		at = at.Add(time.Duration(rapid.IntRange(-7200, 7200).Draw(t, "seconds")) * time.Second)
		c, err := Parse(drawCron(t), z, nil)
		if err != nil {
			t.Fatal(err)
		}
		prev := c.Prev(at)
		if next := c.Next(prev); !prev.Before(at) || next.Before(at) {
			t.Fatalf("%s %q: Prev(%s) = %s, and Next of that %s", z, c, at.In(z), prev.In(z), next.In(z))
		}
		if next := c.Next(prev.Add(-time.Nanosecond)); !next.Equal(prev) {
			t.Fatalf("%s %q: Prev = %s is not due; next is %s", z, c, prev.In(z), next.In(z))
		}
	})
}

// TestSubSecond: what is due at an instant is neither after nor before it.
func TestSubSecond(t *testing.T) {
	c := parse(t, "* * * * * *", nil)
	at := time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)
	f := func(got, want time.Time) {
		t.Helper()
		if !got.Equal(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(c.Next(at), at.Add(time.Second))
	f(c.Next(at.Add(time.Millisecond)), at.Add(time.Second))
	f(c.Next(at.Add(-time.Millisecond)), at)
	f(c.Prev(at), at.Add(-time.Second))
	f(c.Prev(at.Add(time.Millisecond)), at)
	f(c.Prev(at.Add(-time.Millisecond)), at.Add(-time.Second))
}

func TestSchedule(t *testing.T) {
	s, err := ParseAll([]string{"0 8 * * *", "CRON_TZ=Asia/Tokyo 0 18 * * *", "0 9 * * *"}, zone(t, "Europe/Berlin"), time.LoadLocation)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, want := range []string{"01 07:00", "01 08:00", "01 09:00", "02 07:00"} {
		if want == "01 08:00" { // Berlin's 09:00
			if prev := s.Prev(at.Add(time.Hour)); !prev.Equal(at) {
				t.Errorf("Prev = %s, want %s", prev, at)
			}
		}
		if at = s.Next(at); at.Format("02 15:04") != want {
			t.Errorf("Next = %s, want %s", at, want)
		}
	}
	if next := Schedule(nil).Next(at); !next.IsZero() {
		t.Errorf("an empty schedule is due at %s", next)
	}
}

func TestParseErrors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		c, err := Parse(text, nil, time.LoadLocation)
		if want = fmt.Sprintf("cron %q: ", text) + want; err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, %v, want %s", text, c, err, want)
		}
	}
	f("", "0 fields, want 5, or 6 with seconds")
	f("* * * *", "4 fields, want 5, or 6 with seconds")
	f("@reboot", `unknown macro "@reboot"`)
	f("TZ=", `"TZ=": no time zone`)
	f("TZ=UTC", "0 fields, want 5, or 6 with seconds")
	f("CRON_TZ=Mars/Olympus @daily", `time zone "Mars/Olympus": unknown time zone Mars/Olympus`)
	f("X=UTC @daily", `"X=UTC": want TZ= or CRON_TZ=`)
	f("60 24 0 13 8", `minute "60": "60" is not from 0 to 59; hour "24": "24" is not from 0 to 23; `+
		`day of month "0": "0" is not from 1 to 31; month "13": "13" is not from 1 to 12 nor a name of three letters; `+
		`day of week "8": "8" is not from 0 to 7 nor a name of three letters`)
	f("*/90 * * * * *", `second "*/90": step 90 is longer than the range 0-59`)
	f("*/0 * * * *", `minute "*/0": step "0" is not a number from 1 on`)
	f("5/15 * * * *", `minute "5/15": "5/15": a step needs a range, such as 5-59/15`)
	f("0 22-2 * * *", `hour "22-2": range "22-2" ends before it begins`)
	f("1,,2 * * * *", `minute "1,,2": "" is not from 0 to 59`)
	f("-5 * * * *", `minute "-5": "" is not from 0 to 59`)
	f("+5 * * * *", `minute "+5": "+5" is not from 0 to 59`)
	f("*-5 * * * *", `minute "*-5": "*" is not from 0 to 59`)
	f("0 0 * anf *", `month "anf": "anf" is not from 1 to 12 nor a name of three letters`)
	f("0 0 L * *", `day of month "L": "L" is not from 1 to 31`)
	f("0 0 30 2 *", `day of month "30" never comes in month "2"`)
	f("0 0 31 feb,4,JUN *", `day of month "31" never comes in month "feb,4,JUN"`)
	f("0 0 30 2 */2", `day of month "30" never comes in month "2"`)
	if _, err := Parse("TZ=UTC @daily", nil, nil); err == nil {
		t.Error("a time zone is read without zones")
	}
	if _, err := ParseAll([]string{"x", "* * * * *", "y"}, nil, nil); strings.Count(fmt.Sprint(err), "fields") != 2 {
		t.Errorf("ParseAll tells %q, want both", err)
	}
}

// TestAllNames: every name means what time says it means.
func TestAllNames(t *testing.T) {
	for m := time.January; m <= time.December; m++ {
		c := parse(t, "0 0 1 "+m.String()[:3]+" *", nil)
		if got := c.Next(time.Unix(0, 0)).Month(); got != m {
			t.Errorf("%s: %s", m, got)
		}
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		c := parse(t, "0 0 * * "+d.String()[:3], nil)
		if got := c.Next(time.Unix(0, 0).UTC()).Weekday(); got != d {
			t.Errorf("%s: %s", d, got)
		}
	}
}

// TestFar: no search is endless, and none panics.
func TestFar(t *testing.T) {
	c := parse(t, "*/28 * */2 2 */6", zone(t, "Europe/Berlin"))
	for _, at := range []time.Time{{}, time.Unix(1<<62, 0), time.Unix(-1<<62, 0), time.Unix(1<<38, 0), time.Unix(-1<<38, 0)} {
		if next := c.Next(at); !next.IsZero() && !next.After(at) {
			t.Errorf("Next(%s) = %s", at, next)
		}
		c.Prev(at)
	}
}

func FuzzCron(f *testing.F) {
	for i, text := range []string{
		"*/5 * * * *", "30 2 * * *", "0 0 29 2 *", "0 12 1 * MON", "*/20 59 23 31 12 *", "@daily", "TZ=Asia/Tokyo 0 3 * * 1-5/2",
		"1-2,3,4-9/3 * * JAN-MAR sun-tue", "0 0 30 2 *", "TZ=", "* * * * * * *", "5/5 * * * *", "\x00", "0-59/59 0 1 1 7",
	} {
		f.Add(text, int64(i)*86400*365, i)
	}
	f.Fuzz(func(t *testing.T, text string, unix int64, n int) {
		z := zone(t, wild[uint(n)%uint(len(wild))])
		c, err := Parse(text, z, time.LoadLocation)
		if err != nil {
			if !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
				t.Errorf("%s does not tell the text %q", err, text)
			}
			return
		}
		at := time.Unix(unix, 0)
		next := c.Next(at)
		if !next.IsZero() && !next.After(at) {
			t.Errorf("%q: Next(%s) = %s", text, at, next)
		}
		if unix > 0 && unix < 1<<33 && next.IsZero() {
			t.Errorf("%q is never due after %s", text, at)
		}
		if prev := c.Prev(at); !prev.IsZero() && !prev.Before(at) {
			t.Errorf("%q: Prev(%s) = %s", text, at, prev)
		}
	})
}
