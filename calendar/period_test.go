package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func period(t testing.TB, d Definition) *Period {
	t.Helper()
	all, err := NewPeriods(map[string]Definition{"p": d})
	if err != nil {
		t.Fatal(err)
	}
	return all["p"]
}

// ranges reads "monday=09:00-17:00; day 2=10:00-11:00".
func ranges(text string) map[string]string {
	all := make(map[string]string)
	for item := range strings.SplitSeq(text, ";") {
		directive, times, _ := strings.Cut(strings.TrimSpace(item), "=")
		all[directive] = times
	}
	return all
}

// TestPeriod: the edges of a period from an instant on, computed by hand. The
// first is where it begins if the instant is not in it, else where it ends.
func TestPeriod(t *testing.T) {
	f := func(name, text, from string, want ...string) {
		t.Helper()
		p := period(t, Definition{Zone: zone(t, name), Ranges: ranges(text)})
		at, err := time.Parse(layout, from)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			what, in := "Next", p.Contains(at)
			next := p.Next(at)
			if in {
				what, next = "End", p.End(at)
			}
			got := "never"
			if !next.IsZero() {
				got = next.In(p.zone).Format(layout)
			}
			if at = next; got != w {
				t.Fatalf("%s %s: %s = %s, want %s", name, text, what, got, w)
			}
		}
	}
	f("UTC", "monday=09:00-12:00,13:00-17:00; tuesday=09:00-17:00", "2026-01-04 00:00:00 +0000",
		"2026-01-05 09:00:00 +0000", "2026-01-05 12:00:00 +0000", "2026-01-05 13:00:00 +0000", "2026-01-05 17:00:00 +0000", "2026-01-06 09:00:00 +0000")
	f("UTC", "monday=09:00-12:00,10:00-13:00,13:00-14:00", "2026-01-05 09:00:00 +0000", "2026-01-05 14:00:00 +0000")
	f("UTC", "monday=00:00-24:00; tuesday=00:00-24:00", "2026-01-05 09:00:00 +0000", "2026-01-07 00:00:00 +0000", "2026-01-12 00:00:00 +0000")
	f("UTC", week("00:00-24:00"), "2026-01-05 09:00:00 +0000", "never")
	f("UTC", week("00:00-00:00"), "2026-01-05 09:00:00 +0000", "never")
	f("UTC", "2026-01-01=00:00-24:00", "2025-01-05 09:00:00 +0000", "2026-01-01 00:00:00 +0000", "2026-01-02 00:00:00 +0000", "never")
	f("UTC", week("00:00-24:00")+"; december 25=00:00-00:00", "2026-01-05 09:00:00 +0000", "2026-12-25 00:00:00 +0000", "2026-12-26 00:00:00 +0000")
	f("UTC", "monday 5 february=00:00-24:00", "2026-01-05 09:00:00 +0000", "2044-02-29 00:00:00 +0000", "2044-03-01 00:00:00 +0000", "2072-02-29 00:00:00 +0000")
	f("UTC", "2026-01-01 / 10=12:00-13:00", "2026-01-01 13:00:00 +0000", "2026-01-11 12:00:00 +0000")

	// Over midnight: the times belong to the day on which they begin.
	f("UTC", "monday=22:00-06:00", "2026-01-05 00:00:00 +0000", "2026-01-05 22:00:00 +0000", "2026-01-06 06:00:00 +0000", "2026-01-12 22:00:00 +0000")
	f("UTC", "monday=22:00-06:00; 2026-01-06=00:00-00:00", "2026-01-05 22:00:00 +0000", "2026-01-06 06:00:00 +0000")
	f("UTC", "monday=22:00-06:00; 2026-01-05=00:00-00:00", "2026-01-05 00:00:00 +0000", "2026-01-12 22:00:00 +0000")
	f("UTC", week("22:00-00:00"), "2026-01-05 22:00:00 +0000", "2026-01-06 00:00:00 +0000")

	// Berlin, 2026-03-29: 02:00 +0100 is 03:00 +0200; 2026-10-25: 03:00 +0200 is 02:00 +0100.
	f("Europe/Berlin", week("22:00-06:00"), "2026-03-28 12:00:00 +0100", "2026-03-28 22:00:00 +0100", "2026-03-29 06:00:00 +0200")
	f("Europe/Berlin", week("22:00-06:00"), "2026-10-24 12:00:00 +0200", "2026-10-24 22:00:00 +0200", "2026-10-25 06:00:00 +0100")
	f("Europe/Berlin", week("02:00-03:00"), "2026-03-28 12:00:00 +0100", "2026-03-30 02:00:00 +0200")
	f("Europe/Berlin", "sunday=02:00-03:00", "2026-03-28 12:00:00 +0100", "2026-04-05 02:00:00 +0200")
	f("Europe/Berlin", week("01:30-02:30"), "2026-03-28 12:00:00 +0100", "2026-03-29 01:30:00 +0100", "2026-03-29 03:00:00 +0200")
	f("Europe/Berlin", week("02:30-03:30"), "2026-03-28 12:00:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-29 03:30:00 +0200")
	f("Europe/Berlin", week("02:00-03:00"), "2026-10-24 12:00:00 +0200", "2026-10-25 02:00:00 +0200", "2026-10-25 03:00:00 +0100")
	f("Europe/Berlin", week("02:15-02:45"), "2026-10-24 12:00:00 +0200", "2026-10-25 02:15:00 +0200", "2026-10-25 02:45:00 +0200",
		"2026-10-25 02:15:00 +0100", "2026-10-25 02:45:00 +0100", "2026-10-26 02:15:00 +0100")

	// São Paulo has no midnight on 2018-11-04, Apia no 2011-12-30 (a Friday), Lord Howe no 02:15 on 2026-10-04.
	f("America/Sao_Paulo", "sunday=00:00-08:00", "2018-11-03 12:00:00 -0300", "2018-11-04 01:00:00 -0200", "2018-11-04 08:00:00 -0200")
	f("Pacific/Apia", "friday=09:00-17:00", "2011-12-29 12:00:00 -1000", "2012-01-06 09:00:00 +1400")
	f("Pacific/Apia", "thursday=00:00-24:00; saturday=00:00-24:00", "2011-12-29 12:00:00 -1000", "2012-01-01 00:00:00 +1400")
	f("Australia/Lord_Howe", week("01:45-02:15"), "2026-10-03 12:00:00 +1030", "2026-10-04 01:45:00 +1030", "2026-10-04 02:30:00 +1100", "2026-10-05 01:45:00 +1100")
	f("Antarctica/Troll", week("01:30-02:30"), "2026-10-24 12:00:00 +0200", "2026-10-25 01:30:00 +0200", "2026-10-25 02:30:00 +0200", "2026-10-25 01:30:00 +0000")
}

// week gives every weekday the same times.
func week(times string) string {
	var all []string
	for d := time.Sunday; d <= time.Saturday; d++ {
		all = append(all, strings.ToLower(d.String())+"="+times)
	}
	return strings.Join(all, "; ")
}

// TestPrecedence: each kind of directive speaks before the next, and of one
// kind the one with the fewest days.
func TestPrecedence(t *testing.T) {
	all := []string{ // 2027-05-31 is the fifth and last Monday of May
		"2027-05-31=00:00-00:01", "2027-05-30 - 2027-05-31=01:00-01:01", "2027-05-01 / 30=02:00-02:01",
		"may 31=03:00-03:01", "may 1 - 31=04:00-04:01",
		"day -1=05:00-05:01", "day 1 - 31=06:00-06:01",
		"monday 5 may=07:00-07:01", "monday 4 may - monday -1 may=08:00-08:01",
		"monday -1=09:00-09:01", "sunday 1 - monday 5=10:00-10:01",
		"monday=11:00-11:01",
	}
	midnight := time.Date(2027, 5, 31, 0, 0, 0, 0, time.UTC)
	for i := range all {
		p := period(t, Definition{Ranges: ranges(strings.Join(all[i:], ";"))})
		if got, want := p.Next(midnight), midnight.Add(time.Duration(i)*time.Hour); !got.Equal(want) {
			t.Errorf("%s: Next = %s, want %s", all[i], got, want)
		}
	}
}

func TestExclude(t *testing.T) {
	berlin, tokyo := zone(t, "Europe/Berlin"), zone(t, "Asia/Tokyo")
	all, err := NewPeriods(map[string]Definition{
		"always":   {Zone: berlin, Ranges: ranges(week("00:00-24:00"))},
		"work":     {Zone: berlin, Ranges: ranges(week("08:00-18:00")), Exclude: []string{"holidays", "lunch"}},
		"holidays": {Zone: berlin, Ranges: ranges("december 25 - 26=00:00-24:00"), Exclude: []string{"tokyo"}},
		"lunch":    {Zone: berlin, Ranges: ranges(week("12:00-13:00"))},
		"tokyo":    {Zone: tokyo, Ranges: ranges("december 26=00:00-24:00")}, // begins at 16:00 in Berlin
		"never":    {Zone: berlin, Ranges: ranges(week("08:00-18:00")), Exclude: []string{"always"}},
		"halves":   {Zone: berlin, Ranges: ranges(week("00:00-24:00")), Exclude: []string{"am", "pm"}},
		"am":       {Zone: berlin, Ranges: ranges(week("00:00-12:00"))},
		"pm":       {Zone: berlin, Ranges: ranges(week("12:00-24:00"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 12, 24, 9, 0, 0, 0, berlin)
	for _, want := range []string{"24 12:00", "24 13:00", "24 18:00", "25 16:00", "25 18:00", "26 08:00", "26 12:00", "26 13:00", "26 16:00", "27 08:00"} {
		if all["work"].Contains(at) {
			at = all["work"].End(at)
		} else {
			at = all["work"].Next(at)
		}
		if at.Format("02 15:04") != want {
			t.Fatalf("work changes at %s, want %s", at, want)
		}
	}
	for _, name := range []string{"never", "halves"} {
		if next := all[name].Next(at); !next.IsZero() {
			t.Errorf("%s: Next = %s, want never", name, next)
		}
	}
}

func TestPeriodErrors(t *testing.T) {
	f := func(directive, times, want string) {
		t.Helper()
		_, err := NewPeriods(map[string]Definition{"p": {Ranges: map[string]string{directive: times}}})
		if want = fmt.Sprintf("timeperiod \"p\": %q = %q: ", directive, times) + want; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	const nine = "09:00-17:00"
	f("monday", "", `times "" are not HH:MM-HH:MM`)
	f("monday", "always", `times "always" are not HH:MM-HH:MM`)
	f("monday", "9-17", `time "9" is not from 00:00 to 24:00; time "17" is not from 00:00 to 24:00`)
	f("monday", nine+",24:01-25:00", `time "24:01" is not from 00:00 to 24:00; time "25:00" is not from 00:00 to 24:00`)
	f("monday", "10:00-10:00", `times "10:00-10:00" end where they begin`)
	f("funday", nine, `"funday" is not a day`)
	f("funday", "x", `"funday" is not a day; times "x" are not HH:MM-HH:MM`)
	f("day", nine, `"day" is not a day`)
	f("may", nine, `"may" is not a day`)
	f("day 1 may", nine, `"day 1 may" is not a day`)
	f("day 0", nine, `day 0: there is no such day`)
	f("day 32", nine, `day 32: there is no such day`)
	f("day 99999999999999999999", nine, `day 99999999999999999999: there is no such day`)
	f("monday -6", nine, `monday -6: there is no such day`)
	f("monday 1 mai", nine, `"mai": no such name`)
	f("february 30", nine, `february 30: there is no such day`)
	f("2026-02-29", nine, `there is no day 2026-02-29`)
	f("1026-02-28", nine, `year 1026 is not from 1970 to 2199`)
	f("2026-03-01 - 2026-02-01", nine, `the range ends before it begins`)
	f("monday 1 - day 5", nine, `a range from one kind of day to another`)
	f("monday 1 may - tuesday 3", nine, `a range from one kind of day to another`)
	f("monday - friday", nine, `not a weekday, a date, or a range of them`)
	f("day 1 / 2", nine, `not a weekday, a date, or a range of them`)
	f("2026-01-01 / 0", nine, `step 0 is not from 1 to 9999`)

	_, err := NewPeriods(map[string]Definition{
		"a": {Ranges: map[string]string{"Day 1": nine, "day  1": nine}},
		"b": {Exclude: []string{"c"}}, "c": {Exclude: []string{"d", "x"}}, "d": {Exclude: []string{"c"}},
		"e": {Exclude: []string{"e"}},
	})
	want := `timeperiod "a": "day  1" = "09:00-17:00": the same days twice
timeperiod "c": exclude "x": there is no such timeperiod
timeperiod "c" excludes itself: c excludes d excludes c
timeperiod "d" excludes itself: d excludes c excludes d
timeperiod "e" excludes itself: e excludes e`
	if fmt.Sprint(err) != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// drawRanges draws directives of all kinds.
func drawRanges(t *rapid.T, label string) map[string]string {
	n := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
	pick := func(some ...string) string { return rapid.SampledFrom(some).Draw(t, "word") }
	all := make(map[string]string)
	for range n(label, 1, 6) {
		day := pick("monday", "friday", "saturday", "sunday")
		directive := pick(day, day, fmt.Sprintf("%s %d", day, pick1(n("nth", -5, 5))), fmt.Sprintf("%s %d october", day, pick1(n("nth", -5, 5))),
			fmt.Sprintf("day %d", pick1(n("dom", -31, 31))), fmt.Sprintf("day %d - %d", n("dom", 1, 31), pick1(n("dom", -31, 31))),
			fmt.Sprintf("march %d", n("dom", 1, 31)), "october 20 - april 5", "october 1 - 31 / 3", fmt.Sprintf("20%02d-03-%02d / 7", n("year", 0, 40), n("dom", 1, 31)))
		from, to := n("from", 0, 48), n("to", 0, 48)
		if from == to {
			from, to = 0, 0
		}
		all[directive] = fmt.Sprintf("%02d:%02d-%02d:%02d", from/2, from%2*30, to/2, to%2*30)
	}
	return all
}

// pick1 keeps n from 0.
func pick1(n int) int {
	if n == 0 {
		return 1
	}
	return n
}

// TestSearch: Next and End find what Contains says, minute by minute, near the
// changes of many zones, and an exclude takes away what it contains.
func TestSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z, at := around(t)
		all, err := NewPeriods(map[string]Definition{
			"plain": {Zone: z, Ranges: drawRanges(t, "plain")},
			"x":     {Ranges: drawRanges(t, "x")},
		})
		if err != nil {
			t.Skip(err)
		}
		plain, x := all["plain"], all["x"]
		p := *plain
		p.exclude = []*Period{x}

		next, end := p.Next(at.Add(-30*time.Hour)), p.End(at.Add(-30*time.Hour))
		for now := at.Add(-30 * time.Hour); now.Before(at.Add(30 * time.Hour)); now = now.Add(time.Minute) {
			in := p.Contains(now)
			if in != (plain.Contains(now) && !x.Contains(now)) {
				t.Fatalf("Contains(%s) = %t, against its exclude", now.In(z), in)
			}
			if !next.IsZero() && next.Before(now) {
				next = p.Next(now)
			}
			if !end.IsZero() && end.Before(now) {
				end = p.End(now)
			}
			if next.Equal(now) != in || end.Equal(now) == in {
				t.Fatalf("Contains(%s) = %t, Next = %s, End = %s", now.In(z), in, next.In(z), end.In(z))
			}
		}
	})
}

func FuzzPeriod(f *testing.F) {
	_, facts := readFacts(f)
	for i, c := range facts {
		directive, times, _ := strings.Cut(strings.Split(c.ranges, ";")[0], "=")
		f.Add(directive, times, "sunday", c.now.Unix(), i)
	}
	f.Fuzz(func(t *testing.T, directive, times, exclude string, unix int64, n int) {
		all, err := NewPeriods(map[string]Definition{
			"p": {Zone: zone(t, wild[uint(n)%uint(len(wild))]), Ranges: map[string]string{directive: times, "day 3 - 5": "10:00-12:00"}, Exclude: []string{"x"}},
			"x": {Ranges: map[string]string{exclude: "11:00-02:00"}},
		})
		if err != nil {
			return
		}
		p, at := all["p"], time.Unix(unix, 0)
		if next := p.Next(at); !next.IsZero() && (next.Before(at) || !p.Contains(next)) {
			t.Errorf("%q = %q: Next(%s) = %s", directive, times, at, next)
		}
		if end := p.End(at); !end.IsZero() && (end.Before(at) || p.Contains(end)) {
			t.Errorf("%q = %q: End(%s) = %s", directive, times, at, end)
		}
	})
}
