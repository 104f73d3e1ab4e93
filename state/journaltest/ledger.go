package journaltest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"alf"
	"alf/state"
)

// decided is a line that says n, and outcome one that says what became of it.
func decided(key alf.Key, n int) *state.Line {
	at := time.Unix(int64(n), 0).UTC()
	return &state.Line{Time: at, Key: key, Decided: &state.Decided{
		Memory: state.Memory{Event: alf.ID(n), Number: n, On: 4, Told: at, Next: at.Add(time.Hour), Since: at, Held: state.InDowntime},
		Notices: []state.Notice{{
			Notification: &alf.Notification{ID: fmt.Sprint(n), Type: alf.TypeRecovery, Number: n, Time: at, Key: key, Output: "é\n"},
			To:           []state.Recipient{{Action: "chat", Contacts: []string{"ops"}}},
		}},
	}}
}

func outcome(key alf.Key, action string, n int) *state.Line {
	at := time.Unix(int64(n), 0).UTC()
	return &state.Line{Time: at, Key: key, Outcome: &state.Outcome{ID: fmt.Sprint(n), Action: action, Result: state.Retrying, Attempt: n, Err: "no", Next: at}}
}

func enter(t *testing.T, r Record, lines ...*state.Line) {
	t.Helper()
	if err := r.Enter(t.Context(), lines); err != nil {
		t.Fatalf("Enter = %v", err)
	}
}

// said returns what the lines of key say, in short.
func said(t *testing.T, r Record, key alf.Key) []string {
	t.Helper()
	var out []string
	var last uint64
	for l, err := range r.Lines(t.Context(), key) {
		if err != nil {
			t.Fatal(err)
		}
		if l.ID <= last {
			t.Errorf("line %d stands behind line %d", l.ID, last)
		}
		last = l.ID
		if l.Outcome != nil {
			out = append(out, l.Outcome.Action+l.Outcome.ID)
		} else {
			out = append(out, l.Decided.Notices[0].Notification.ID)
		}
	}
	return out
}

func ledgerKeepsLines(t *testing.T, r Record) {
	if got := said(t, r, alf.Key{}); got != nil {
		t.Errorf("an empty ledger says %v", got)
	}
	db := alf.Key{Host: "db1"}
	a, b := decided(web, 1), outcome(web, "chat", 1)
	enter(t, r, a, b)
	enter(t, r, decided(db, 2))
	enter(t, r, outcome(web, "mail", 3))
	if a.ID == 0 || b.ID <= a.ID {
		t.Errorf("the numbers are %d and %d, want rising ones", a.ID, b.ID)
	}
	f := func(key alf.Key, want ...string) {
		t.Helper()
		if got := said(t, r, key); !slices.Equal(got, want) {
			t.Errorf("Lines(%v) say %v, want %v", key, got, want)
		}
	}
	f(web, "1", "chat1", "mail3")
	f(db, "2")
	f(alf.Key{}, "1", "chat1", "2", "mail3")
	f(alf.Key{Host: "web1"})
	for l := range r.Lines(t.Context(), db) {
		want := decided(db, 2)
		if fmt.Sprintf("%+v", l.Decided.Memory) != fmt.Sprintf("%+v", want.Decided.Memory) || l.Key != db || !l.Time.Equal(want.Time) ||
			fmt.Sprintf("%+v", *l.Decided.Notices[0].Notification) != fmt.Sprintf("%+v", *want.Decided.Notices[0].Notification) ||
			fmt.Sprint(l.Decided.Notices[0].To) != fmt.Sprint(want.Decided.Notices[0].To) {
			t.Errorf("a line comes back as %+v, want %+v", l.Decided, want.Decided)
		}
	}
}

func ledgerKeepsTheLast(t *testing.T, r Record) {
	db := alf.Key{Host: "db1"}
	enter(t, r, decided(db, 0), outcome(db, "chat", 0))
	for n := 1; n <= state.LedgerLines+3; n++ {
		enter(t, r, decided(web, n), outcome(web, "chat", n))
	}
	enter(t, r, outcome(web, "mail", 1))
	var want []string
	for n := 4; n <= state.LedgerLines+3; n++ {
		want = append(want, fmt.Sprint(n), fmt.Sprint("chat", n))
	}
	want = append(want, "mail1")
	if got := said(t, r, web); !slices.Equal(got, want) {
		t.Errorf("the ledger says %v, want %v", got, want)
	}
	if got := said(t, r, db); !slices.Equal(got, []string{"0", "chat0"}) {
		t.Errorf("of another key the ledger says %v", got)
	}
}

func ledgerAnyName(t *testing.T, r Record) {
	for i, name := range []string{"a.b.c", "*", ">", "ü ☃", "$JS.API", "x/y z", "=", "chat ops"} {
		key := alf.Key{Host: alf.HostName("h" + name), Service: alf.ServiceName(name)}
		enter(t, r, decided(key, i), outcome(key, name, i))
		if got, want := said(t, r, key), []string{fmt.Sprint(i), fmt.Sprint(name, i)}; !slices.Equal(got, want) {
			t.Errorf("%q: the ledger says %q, want %q", name, got, want)
		}
	}
}

func ledgerWritersAtOnce(t *testing.T, r Record) {
	const writers, each = 4, 10
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			for n := range each {
				if err := r.Enter(t.Context(), []*state.Line{outcome(web, fmt.Sprint("a", w), n)}); err != nil {
					t.Errorf("Enter = %v", err)
				}
			}
		})
	}
	wait.Wait()
	if got := said(t, r, web); len(got) != writers*each {
		t.Errorf("the ledger has %d lines, want %d", len(got), writers*each)
	}
}
