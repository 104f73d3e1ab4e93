package checker_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/checker"
	"alf/state/memory"
)

// daily is due once a day, so long after midnight.
type daily time.Duration

func (d daily) Next(after time.Time) time.Time {
	at := after.Truncate(24 * time.Hour).Add(time.Duration(d))
	if !at.After(after) {
		at = at.Add(24 * time.Hour)
	}
	return at
}

func (d daily) Prev(before time.Time) time.Time {
	return d.Next(before.Add(-24*time.Hour - time.Nanosecond))
}

// nightly returns a calendar with a downtime of an hour from so long after
// midnight on, and no other.
func nightly(at time.Duration) alf.Calendar {
	r := &alf.Recurring{Name: "backup", Schedule: daily(at), Duration: time.Hour, Text: "busy"}
	return alf.Calendar{Recurring: map[string]*alf.Recurring{r.Name: r}}
}

// run starts a checker that remembers what is in record. Its stop must be called.
func run(t *testing.T, record *memory.Record, inventory *alf.Inventory) *bench {
	t.Helper()
	b := &bench{Checker: checker.New(checker.Options{Runner: says(0, "OK"), Record: record, Reader: record}, inventory), record: record}
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

// downtimes returns when those of a key start, with a star if they have begun.
func (b *bench) downtimes(key alf.Key) string {
	var out []string
	synctest.Wait()
	if e := b.head(key); e != nil {
		for _, d := range e.State.Downtimes {
			text := d.Start.UTC().Format("02 15:04")
			if !d.Began.IsZero() {
				text += "*"
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// TestRecurring: the next occurrence of a recurring downtime is planned, once,
// over restarts, reloads and cancellations.
func TestRecurring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := memory.New(memory.Options{History: 1000})
		began := time.Now() // midnight, on the first
		h := host("web1")
		s, later := service(h, "disk"), service(host("web2"), "disk")
		s.Recurring, later.Recurring = []string{"backup"}, []string{"backup"}
		b := run(t, record, inventory(s).With(nightly(2*time.Hour)))
		f := func(what string, key alf.Key, want string) {
			t.Helper()
			if got := b.downtimes(key); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		reload := func(calendar alf.Calendar, services ...*alf.Service) {
			t.Helper()
			if _, err := b.Reload(t.Context(), inventory(services...).With(calendar), "me"); err != nil {
				t.Fatal(err)
			}
		}
		f("at the start", s.Key, "01 02:00")
		time.Sleep(150 * time.Minute)
		f("while it lasts", s.Key, "01 02:00*, 02 02:00")
		time.Sleep(time.Hour)
		f("afterwards", s.Key, "02 02:00")
		var got []string
		for _, line := range b.log(t, s.Key, began) {
			if strings.Contains(line, "downtime") {
				got = append(got, line)
			}
		}
		want := []string{
			"0s command downtime planned [downtime.backup]", "2h0m0s tick downtime",
			"2h0m0s command downtime planned [downtime.backup]", "3h0m0s tick downtime end",
		}
		if !slices.Equal(got, want) {
			t.Errorf("the log = %q, want %q", got, want)
		}

		b.order(t, alf.Command{Verb: alf.CancelDowntime, Key: s.Key, ID: "backup@2000-01-02T02:00:00Z", Author: "me"})
		f("cancelled", s.Key, "03 02:00")
		reload(nightly(2*time.Hour), s, later)
		f("and after a reload", s.Key, "03 02:00")
		f("a host that is added", later.Key, "02 02:00")
		b.stop()

		time.Sleep(time.Until(began.Add(26*time.Hour + 30*time.Minute)))
		b = run(t, record, inventory(s, later).With(nightly(2*time.Hour)))
		f("what was cancelled, after a restart", s.Key, "03 02:00")
		f("what started before a restart", later.Key, "02 02:00*, 03 02:00")
		reload(nightly(4*time.Hour), s, later)
		f("at another time", s.Key, "02 04:00")
		f("at another time, and in effect", later.Key, "02 02:00*, 02 04:00")
		reload(alf.Calendar{}, s, later)
		f("not any more", s.Key, "")
		f("not any more, but in effect", later.Key, "02 02:00*")
		time.Sleep(time.Hour)
		f("and over", later.Key, "")
		b.stop()
	})
}

// TestCancelledOccurrence: one that somebody cancelled does not come back with
// another comment or length of its table, nor does what is planned then.
func TestCancelledOccurrence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := memory.New(memory.Options{History: 1000})
		s := service(host("web1"), "disk")
		s.Recurring = []string{"backup"}
		table := func(text string, flexible time.Duration, at time.Duration) *alf.Inventory {
			r := &alf.Recurring{Name: "backup", Schedule: daily(at), Duration: time.Hour, Flexible: flexible, Text: text}
			return inventory(s).With(alf.Calendar{Recurring: map[string]*alf.Recurring{r.Name: r}})
		}
		b := run(t, record, table("old", 0, 2*time.Hour))
		f := func(what, want string) {
			t.Helper()
			if got := b.downtimes(s.Key); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		reload := func(inventory *alf.Inventory) {
			t.Helper()
			if _, err := b.Reload(t.Context(), inventory, "me"); err != nil {
				t.Fatal(err)
			}
		}
		cancel := func(id string) {
			t.Helper()
			b.order(t, alf.Command{Verb: alf.CancelDowntime, Key: s.Key, ID: id, Author: "me"})
		}
		time.Sleep(150 * time.Minute)
		f("while it lasts", "01 02:00*, 02 02:00")
		cancel("backup@2000-01-01T02:00:00Z")
		f("cancelled", "02 02:00")
		reload(table("new", 0, 2*time.Hour))
		f("with another comment", "02 02:00")
		if d := b.head(s.Key).State.Downtimes[0]; d.Text != "new" {
			t.Errorf("planned as %+v", d)
		}
		b.stop()
		b = run(t, record, table("newer", 0, 2*time.Hour))
		f("and another one after a restart", "02 02:00")
		cancel("backup@2000-01-02T02:00:00Z")
		reload(table("newest", 0, 2*time.Hour))
		f("the next one, too", "03 02:00")
		reload(table("newest", 0, 140*time.Minute))
		f("at another time, which has just been", "02 02:20")

		// Whatever the journal ends with, the one that was cancelled stays so.
		for _, e := range b.last(s.Key) {
			planned := e.State.Downtimes
			if e.Change.Has(alf.ChangeCancelled) && len(planned) == 0 {
				t.Errorf("a kill after %q would forget what was cancelled", e.Text)
			}
		}
		b.stop()
	})
}

// TestOpenOccurrence: a flexible one that waits for a problem does so with what
// its table says now.
func TestOpenOccurrence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "disk")
		s.Recurring = []string{"backup"}
		table := func(text string) *alf.Inventory {
			r := &alf.Recurring{Name: "backup", Schedule: daily(2 * time.Hour), Duration: time.Hour, Flexible: 4 * time.Hour, Text: text}
			return inventory(s).With(alf.Calendar{Recurring: map[string]*alf.Recurring{r.Name: r}})
		}
		b := run(t, memory.New(memory.Options{History: 1000}), table("old"))
		time.Sleep(150 * time.Minute)
		if _, err := b.Reload(t.Context(), table("new"), "me"); err != nil {
			t.Fatal(err)
		}
		if got := b.downtimes(s.Key); got != "01 02:00, 02 02:00" || b.head(s.Key).State.Downtimes[0].Text != "new" {
			t.Errorf("%q: %+v", got, b.head(s.Key).State.Downtimes[0])
		}
		b.stop()
	})
}
