package checker_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // whatever the machine has

	"alf"
	"alf/calendar"
	"alf/checker"
	"alf/state/memory"
)

// timetable returns one of these cron expressions.
func timetable(t *testing.T, zone string, crons ...string) *alf.Timetable {
	t.Helper()
	at, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	all, err := calendar.ParseAll(crons, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &alf.Timetable{Schedule: all, Crons: crons, Zone: zone}
}

// timed returns an inventory of services with these timetables, and a period
// "office", which is from 09:00 to 17:00, or as long as hours says.
func timed(t *testing.T, hours string, tables []*alf.Timetable, services ...*alf.Service) *alf.Inventory {
	t.Helper()
	week := make(map[string]string)
	for d := time.Sunday; d <= time.Saturday; d++ {
		week[d.String()] = hours
	}
	periods, err := calendar.NewPeriods(map[string]calendar.Definition{"office": {Ranges: week}})
	if err != nil {
		t.Fatal(err)
	}
	c := alf.Calendar{Periods: map[string]alf.Period{"office": periods["office"]}, Timetables: map[string]*alf.Timetable{}}
	for _, table := range tables {
		c.Timetables[table.String()] = table
	}
	return inventory(services...).With(c)
}

// begin starts a checker with what is in record. Its stop must be called.
func begin(t *testing.T, o checker.Options, record *memory.Record, v *alf.Inventory) *bench {
	t.Helper()
	o.Record, o.Reader = record, record
	b := &bench{Checker: checker.New(o, v), record: record}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	synctest.Wait()
	return b
}

// started returns when anything was run.
func (f *fake) started() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.starts)
}

// TestDailyJob: over a year, with both changes of its clock, a daily job runs
// exactly once on each day, and exactly then.
func TestDailyJob(t *testing.T) {
	f := func(name string, year int, hour, minute int) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				zone, err := time.LoadLocation(name)
				if err != nil {
					t.Fatal(err)
				}
				from := time.Date(year, 1, 1, 0, 0, 0, 0, zone)
				time.Sleep(time.Until(from) - time.Nanosecond)
				table := timetable(t, name, fmt.Sprintf("%d %d * * *", minute, hour))
				s := service(host("web1"), "backup")
				s.Schedule, s.Interval, s.MaxAttempts, s.Freshness = table.String(), 0, 1, s.Timeout+15*time.Second
				run := says(0, "OK")
				b := begin(t, checker.Options{Runner: run}, memory.New(memory.Options{}), timed(t, "09:00-17:00", []*alf.Timetable{table}, s))
				defer b.stop()
				// Whoever wants it checked now shifts nothing.
				ordered := from.AddDate(0, 6, 0).Add(12 * time.Hour)
				time.Sleep(time.Until(ordered))
				b.order(t, alf.Command{Verb: alf.Recheck, Key: s.Key})
				time.Sleep(time.Until(from.AddDate(1, 0, 0)) - time.Second)
				synctest.Wait()
				days, shifted := make(map[string]int), 0
				for _, at := range run.started() {
					at = at.In(zone)
					if at.Equal(ordered) {
						continue
					}
					days[at.Format(time.DateOnly)]++
					if at.Hour() != hour || at.Minute() != minute || at.Second() != 0 || at.Nanosecond() != 0 {
						shifted++
					}
				}
				for day := from; day.Year() == year; day = day.AddDate(0, 0, 1) {
					if n := days[day.Format(time.DateOnly)]; n != 1 {
						t.Errorf("on %s it ran %d times, want once", day.Format(time.DateOnly), n)
					}
				}
				if shifted != 1 {
					t.Errorf("%d times it ran at another time, want 1: its time is missing once a year", shifted)
				}
				if e := b.head(s.Key); e.State.Status != alf.OK || e.State.LastHardChange.Sub(from) > 48*time.Hour {
					t.Errorf("it was a problem: %+v", e.State)
				}
			})
		})
	}
	f("Europe/Berlin", 2026, 2, 30)
	f("Australia/Lord_Howe", 2026, 2, 15)
	f("America/Sao_Paulo", 2018, 0, 0)
}

// TestSchedule: slots are exact, those that pass meanwhile are counted and not
// made up, and a SOFT state is retried in between.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := timetable(t, "UTC", "0 */10 * * * *", "30 5 1 * * *")
		s := service(host("web1"), "job")
		s.Schedule, s.Interval, s.Retry, s.MaxAttempts, s.Timeout = table.String(), 0, 4*time.Minute, 4, time.Hour
		began := time.Now()
		var code, takes atomic.Int64
		takes.Store(int64(time.Second))
		run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			from := time.Now()
			time.Sleep(time.Duration(takes.Load()))
			return alf.Exit{Code: int(code.Load()), Start: from, End: time.Now()}, nil
		})
		record := memory.New(memory.Options{})
		v := timed(t, "09:00-17:00", []*alf.Timetable{table}, s)
		b := begin(t, checker.Options{Runner: run}, record, v)
		seen := 0
		f := func(what string, until time.Duration, missed uint64, want ...string) {
			t.Helper()
			time.Sleep(time.Until(began.Add(until)))
			synctest.Wait()
			var got []string
			for _, at := range run.started() {
				got = append(got, at.UTC().Format("15:04:05"))
			}
			got = got[seen:]
			seen += len(got)
			if !slices.Equal(got, want) || b.Stats().Missed != missed {
				t.Errorf("%s: runs at %q, %d missed, want %q, %d", what, got, b.Stats().Missed, want, missed)
			}
		}
		const m = time.Minute
		f("at the start", 25*m, 0, "00:10:00", "00:20:00")
		code.Store(2)
		f("retried", 44*m, 0, "00:30:00", "00:34:01", "00:38:02", "00:40:00") // not at 00:42:03
		code.Store(0)
		f("in two slots", 66*m, 0, "00:50:00", "01:00:00", "01:05:30")
		takes.Store(int64(25 * m))
		f("busy", 99*m, 2, "01:10:00") // which takes until 01:35
		takes.Store(int64(time.Second))
		f("and after that", 105*m, 2, "01:40:00")
		b.stop()
		time.Sleep(time.Until(began.Add(135 * m)))
		b = begin(t, checker.Options{Runner: run}, record, v)
		f("Alf did not run", 145*m, 3, "02:20:00")
		b.stop()
	})
}

// TestScheduleTells: a run that did not come is a problem, of what is run and of
// what is submitted, also if Alf did not run meanwhile.
func TestScheduleTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now() // midnight
		table := timetable(t, "UTC", "0 3 * * *")
		job, cron := service(host("web1"), "job"), service(host("web1"), "cron")
		for _, s := range []*alf.Service{job, cron} {
			s.Schedule, s.Interval, s.MaxAttempts, s.Freshness = table.String(), 0, 1, 15*time.Minute
		}
		cron.Passive = true
		record, run := memory.New(memory.Options{History: 1000}), says(0, "OK")
		v := timed(t, "09:00-17:00", []*alf.Timetable{table}, job, cron)
		b := begin(t, checker.Options{Runner: run}, record, v)
		f := func(what string, until time.Duration, want ...string) {
			t.Helper()
			time.Sleep(time.Until(began.Add(until)))
			synctest.Wait()
			for i, s := range []*alf.Service{job, cron} {
				got := ""
				if e := b.head(s.Key); e != nil && !e.State.Pending() {
					got = e.State.Status.String() + ": " + e.State.Output
				}
				want := regexp.MustCompile("<.*?>").ReplaceAllStringFunc(want[i], func(at string) string {
					day, _ := time.Parse("<02 15:04>", at)
					return day.AddDate(2000, 0, 0).Local().Format("2006-01-02 15:04:05")
				})
				if got != want {
					t.Errorf("%s: %s %q, want %q", what, s.Key, got, want)
				}
			}
		}
		const h, ok = time.Hour, "OK: OK"
		f("before", 3*h, ok, "")
		f("nothing was submitted", 3*h+15*time.Minute, ok, "UNKNOWN: no result yet, one was due at <01 03:00>")
		b.order(t, alf.Command{Verb: alf.Submit, Key: cron.Key, Output: "OK"})
		f("late", 3*h+16*time.Minute, ok, ok)
		time.Sleep(time.Until(began.Add(27*h + time.Minute)))
		b.order(t, alf.Command{Verb: alf.Submit, Key: cron.Key, Output: "OK"})
		f("the next day", 28*h, ok, ok)
		b.stop()
		time.Sleep(time.Until(began.Add(60 * h)))
		b = begin(t, checker.Options{Runner: run}, record, v)
		f("after a restart", 60*h+14*time.Minute, ok, ok)
		missed := ", one was due at <03 03:00>"
		f("and a while", 60*h+15*time.Minute, "UNKNOWN: no result since <02 03:00>"+missed, "UNKNOWN: no result since <02 03:01>"+missed)
		f("until it runs again", 75*h+time.Minute, ok, "UNKNOWN: no result since <02 03:01>"+missed)
		if n := b.Stats().Missed; n != 1 {
			t.Errorf("%d slots missed, want 1", n)
		}
		// Nobody expected anything of a new schedule before it was there.
		other, table := *cron, timetable(t, "UTC", "0 1 * * *")
		other.Schedule = table.String()
		if _, err := b.Reload(t.Context(), timed(t, "09:00-17:00", []*alf.Timetable{table}, &other), ""); err != nil {
			t.Fatal(err)
		}
		f("another schedule", 97*h, "", "UNKNOWN: no result since <02 03:01>"+missed)
		f("that is not kept", 97*h+15*time.Minute, "", "UNKNOWN: no result since <02 03:01>, one was due at <05 01:00>")
		b.stop()
	})
}

// TestNeverReported: a job that never submitted anything is told of, though Alf
// never ran when it was due.
func TestNeverReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now() // midnight
		table := timetable(t, "UTC", "0 3 * * *")
		cron := service(host("web1"), "cron")
		cron.Passive, cron.Schedule, cron.Interval, cron.MaxAttempts, cron.Freshness = true, table.String(), 0, 1, 15*time.Minute
		record := memory.New(memory.Options{History: 1000})
		v := timed(t, "09:00-17:00", []*alf.Timetable{table}, cron)
		status := ""
		for _, hours := range [][2]time.Duration{{0, 2}, {4, 5}} {
			time.Sleep(time.Until(began.Add(hours[0] * time.Hour)))
			b := begin(t, checker.Options{Runner: says(0, "OK")}, record, v)
			time.Sleep(time.Until(began.Add(hours[1] * time.Hour)))
			synctest.Wait()
			if e := b.head(cron.Key); e == nil {
				status = "not known"
			} else if status = inShort(e); e.Kind == alf.KindTick && e.State.Pending() && e.Logged() {
				t.Errorf("the log has it: %+v", e)
			}
			b.stop()
		}
		if status != "UNKNOWN no result yet" {
			t.Errorf("it is %s", status)
		}
	})
}

// inShort says in short what e says.
func inShort(e *alf.Event) string {
	text, _, _ := strings.Cut(e.State.Output, ",")
	return e.State.Status.String() + " " + text
}

// TestScheduleHeld: what people or a host that is down keep from running is not
// missing.
func TestScheduleHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		table := timetable(t, "UTC", "0 3 * * *")
		s := service(host("web1"), "job")
		s.Schedule, s.Interval, s.MaxAttempts, s.Freshness = table.String(), 0, 1, time.Minute
		run := says(0, "OK")
		b := begin(t, checker.Options{Runner: run}, memory.New(memory.Options{}), timed(t, "09:00-17:00", []*alf.Timetable{table}, s))
		defer b.stop()
		time.Sleep(time.Until(began.Add(4 * time.Hour)))
		b.order(t, alf.Command{Verb: alf.SwitchOff, Key: s.Key, Switch: alf.SwitchChecks})
		time.Sleep(48 * time.Hour)
		b.order(t, alf.Command{Verb: alf.SwitchOn, Key: s.Key, Switch: alf.SwitchChecks})
		time.Sleep(time.Hour)
		synctest.Wait()
		if e := b.head(s.Key); e.State.Status != alf.OK || len(run.started()) != 1 {
			t.Errorf("%v %q after %d runs", e.State.Status, e.State.Output, len(run.started()))
		}
	})
}

// TestCheckPeriod: outside it nothing is run by itself, nor by an order that is
// not forced.
func TestCheckPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := service(host("web1"), "load")
		own := service(host("web1"), "")
		own.Host, own.On, own.Builtin = s.Host, s.On, alf.CheckSSH
		s.CheckPeriod, own.CheckPeriod = "office", "office"
		var mu sync.Mutex
		var ofHost []string
		run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			if len(e.Argv) == 0 {
				mu.Lock()
				defer mu.Unlock()
				ofHost = append(ofHost, time.Now().UTC().Format("15:04"))
			}
			return alf.Exit{}, nil
		})
		b := begin(t, checker.Options{Runner: run}, memory.New(memory.Options{}), timed(t, "09:00-09:10", nil, s, own))
		defer b.stop()
		f := func(what string, until time.Duration, want ...string) {
			t.Helper()
			time.Sleep(time.Until(began.Add(until)))
			synctest.Wait()
			var got []string
			for _, e := range b.last(s.Key) {
				if e.Kind == alf.KindResult && e.Result.Source == alf.Active {
					got = append(got, e.Time.UTC().Format("02 15:04"))
				}
			}
			if len(got) > 0 {
				got = slices.Compact(got)
			}
			if strings.Join(got, ", ") != strings.Join(want, ", ") {
				t.Errorf("%s: runs at %q, want %q", what, got, want)
			}
		}
		const h, m = time.Hour, time.Minute
		f("before", 9*h)
		if e := b.head(s.Key); e != nil && e.NextCheck.Before(began.Add(9*h)) {
			t.Errorf("due at %v", e.NextCheck)
		}
		time.Sleep(time.Until(began.Add(10 * h)))
		synctest.Wait()
		if n := len(b.last(s.Key)); n != 10 {
			t.Errorf("%d runs in ten minutes, want 10", n)
		}
		next := b.head(s.Key).NextCheck
		if open := began.Add(33 * h); next.Before(open) || !next.Before(open.Add(m)) {
			t.Errorf("the next is due at %v, want in the first minute of the period", next)
		}
		mu.Lock()
		checked := slices.Clone(ofHost)
		mu.Unlock()
		for _, at := range checked {
			if at < "09:00" || at >= "09:10" {
				t.Errorf("the host was checked at %s", at)
			}
		}
		runs := len(run.started())
		b.order(t, alf.Command{Verb: alf.Recheck, Key: s.Key, IfOn: true})
		b.order(t, alf.Command{Verb: alf.Submit, Key: s.Key, ReturnCode: 2}) // SOFT, and its host is asked for
		if at := b.head(s.Key).NextCheck; !at.Equal(began.Add(33 * h)) {
			t.Errorf("an order that is not forced is due at %v", at)
		}
		time.Sleep(10 * h)
		synctest.Wait()
		if n := len(run.started()) - runs; n != 0 {
			t.Errorf("%d runs outside the period, want none", n)
		}
		b.order(t, alf.Command{Verb: alf.Recheck, Key: s.Key})
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(run.started()) - runs; n != 1 {
			t.Errorf("%d forced runs outside the period, want 1", n)
		}
		// The period of that name may become another one.
		if _, err := b.Reload(t.Context(), timed(t, "21:00-21:10", nil, s, own), ""); err != nil {
			t.Fatal(err)
		}
		runs = len(run.started())
		time.Sleep(time.Until(began.Add(21*h + 5*m)))
		synctest.Wait()
		if len(run.started()) == runs {
			t.Errorf("it does not run in the new period")
		}
		if st := b.head(s.Key).State; !st.Stale.IsZero() {
			t.Errorf("it is stale: %+v", st.Stale)
		}
	})
}

// TestSplayInPeriod: what is due outside a period is spread over its first
// minutes, also what is due once a day.
func TestSplayInPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []*alf.Service
		for i := range 600 {
			s := service(host(fmt.Sprint("h", i)), "load")
			s.Interval, s.CheckPeriod = 24*time.Hour, "office"
			all = append(all, s)
		}
		run := says(0, "OK")
		b := begin(t, checker.Options{Runner: run}, memory.New(memory.Options{}), timed(t, "09:00-10:00", nil, all...))
		defer b.stop()
		time.Sleep(48 * time.Hour)
		perMinute := make(map[string]int)
		for _, at := range run.started() {
			perMinute[at.UTC().Format("02 15:04")]++
		}
		if len(run.started()) != 1200 {
			t.Errorf("%d runs on two days, want 1200", len(run.started()))
		}
		for minute, n := range perMinute {
			if n > 250 || minute[3:] < "09:00" || minute[3:] >= "10:00" {
				t.Errorf("%d runs at %s", n, minute)
			}
		}
	})
}
