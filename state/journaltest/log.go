package journaltest

import (
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"alf"
	"alf/state"
)

// at is n minutes after the moment at which the log begins.
func at(n int) time.Time { return time.Date(2026, 3, 1, 12, n, 0, 0, time.UTC) }

// change is an event that belongs into the log.
func change(key alf.Key, n int) *alf.Event {
	e := event(key, n)
	e.Time, e.Change, e.State.Output = at(n), alf.ChangeStatus, fmt.Sprint(n)
	return e
}

func add(t *testing.T, r Record, events ...*alf.Event) {
	t.Helper()
	if err := r.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

func texts(t *testing.T, entries iter.Seq2[*alf.Event, error]) []string {
	t.Helper()
	var out []string
	for e, err := range entries {
		if err != nil {
			t.Fatal(err)
		}
		if e.Result != nil || e.ID == 0 {
			t.Errorf("entry %+v has a result, or no ID", e)
		}
		out = append(out, e.State.Output+e.Text)
	}
	return out
}

func logHoldsChanges(t *testing.T, r Record) {
	db, host := alf.Key{Host: "db1", Service: "load"}, alf.Key{Host: "web1"}
	same := change(web, 2)
	same.Change = 0
	soft := change(web, 3)
	soft.Change, soft.State.Type = 0, alf.Soft
	add(t, r, change(web, 1), same, soft, change(db, 4), change(host, 5),
		&alf.Event{Kind: alf.KindDaemon, Time: at(6), Text: "started"},
		&alf.Event{Kind: alf.KindCommand, Time: at(7), Key: web, Text: "recheck", Author: "me"},
		&alf.Event{Kind: alf.KindRemoved, Time: at(8), Key: web, Text: "gone"})
	for _, c := range []struct {
		what  string
		scope state.Scope
		want  []string
	}{
		{"all", state.Scope{}, []string{"1", "3", "4", "5", "started", "recheck", "gone"}},
		{"the host and its services", state.Scope{Key: host, On: true}, []string{"1", "3", "5", "recheck", "gone"}},
		{"the host", state.Scope{Key: host}, []string{"5"}},
		{"a service", state.Scope{Key: web}, []string{"1", "3", "recheck", "gone"}},
		{"another", state.Scope{Key: db}, []string{"4"}},
		{"Alf itself", state.Scope{Self: true}, []string{"started"}},
		{"nobody", state.Scope{Key: alf.Key{Host: "web"}, On: true}, nil},
	} {
		if got := texts(t, r.Entries(t.Context(), c.scope, time.Time{}, time.Time{})); !slices.Equal(got, c.want) {
			t.Errorf("the log of %s = %q, want %q", c.what, got, c.want)
		}
	}
	for e, err := range r.Entries(t.Context(), state.Scope{Key: web}, at(7), time.Time{}) {
		if err != nil || e.Author != "me" || e.Kind != alf.KindCommand {
			t.Errorf("the order = %+v, %v, want it with its author", e, err)
		}
		break
	}
}

func logInTime(t *testing.T, r Record) {
	for n := range 60 {
		add(t, r, change(web, n))
	}
	f := func(since, until time.Time, want ...string) {
		t.Helper()
		if got := texts(t, r.Entries(t.Context(), state.Scope{Key: web}, since, until)); !slices.Equal(got, want) {
			t.Errorf("from %v to %v: %q, want %q", since, until, got, want)
		}
	}
	f(at(10), at(13), "10", "11", "12")
	f(at(57), time.Time{}, "57", "58", "59")
	f(time.Time{}, at(2), "0", "1")
	f(at(60), time.Time{})
	f(at(10), at(10))
}

func logAt(t *testing.T, r Record) {
	db, never := alf.Key{Host: "db1"}, alf.Key{Host: "db1", Service: "never"}
	for n := range 30 {
		add(t, r, change(web, 2*n))
		if n%10 == 9 {
			add(t, r, change(db, 2*n))
		}
	}
	f := func(when time.Time, want ...string) {
		t.Helper()
		got, err := r.At(t.Context(), when, web, db, never)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, e := range got {
			if e == nil {
				found = append(found, "-")
			} else {
				found = append(found, e.State.Output)
			}
		}
		if !slices.Equal(found, want) {
			t.Errorf("At(%v) = %q, want %q", when, found, want)
		}
	}
	f(at(-1), "-", "-", "-")
	f(at(0), "0", "-", "-")
	f(at(31), "30", "18", "-")
	f(at(31).Add(59*time.Second), "30", "18", "-")
	f(at(1000), "58", "58", "-")
	if got, err := r.At(t.Context(), at(41), web); err != nil || got[0] == nil || got[0].State.Output != "40" {
		t.Errorf("At of one = %v, %v, want 40", got, err)
	}
}

// Results come and go; what changed stays.
func logOutlivesResults(t *testing.T, r Record) {
	add(t, r, change(web, 0))
	fill(t, r, web, 1, 3*Feed)
	if got := texts(t, r.Entries(t.Context(), state.Scope{}, time.Time{}, time.Time{})); !slices.Equal(got, []string{"0"}) {
		t.Errorf("the log = %q, want the change alone", got)
	}
}

// What was known of a key that was removed is found in the log, its last result
// included, until something newer is.
func logKeepsRemoved(t *testing.T, r Record) {
	gone := change(web, 3)
	gone.Kind, gone.State.Ack = alf.KindRemoved, &alf.Ack{ID: "x", Author: "me"}
	add(t, r, change(web, 1), gone, change(alf.Key{Host: "db1"}, 4))
	got, err := r.At(t.Context(), at(100), web)
	if err != nil || got[0] == nil || got[0].Kind != alf.KindRemoved || got[0].State.Ack == nil || got[0].Result == nil || got[0].Result.Output != "3" {
		t.Fatalf("At of what was removed = %+v, %v, want all of it", got, err)
	}
	add(t, r, change(web, 5))
	if got, err := r.At(t.Context(), at(100), web); err != nil || got[0] == nil || got[0].Kind != alf.KindResult {
		t.Errorf("At of what came back = %+v, %v, want what is new", got, err)
	}
}

func daemonHasNoHead(t *testing.T, r Record) {
	add(t, r, &alf.Event{Kind: alf.KindDaemon, Time: at(0), Text: "started"}, change(web, 1))
	n := 0
	for e, err := range r.Heads(t.Context()) {
		if n++; err != nil || e.Key != web {
			t.Errorf("head %+v, %v, want that of %q alone", e, err, web)
		}
	}
	if n != 1 {
		t.Errorf("%d heads, want 1", n)
	}
	if last, err := r.Last(t.Context(), alf.Key{}, 5); err != nil || len(last) != 0 {
		t.Errorf("Last = %v, %v, want nothing", last, err)
	}
}
