package state_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"alf"
	"alf/state"
)

// minute is n minutes after the epoch.
func minute(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }

// entries replays a story, a letter a minute, and returns what the log keeps of
// it and the newest event: O, W, C, U are results, x leaves the configuration,
// - is nothing.
func entries(max int, story string) (log []*alf.Event, head *alf.Event) {
	var st alf.State
	s := service(max)
	for i := range len(story) {
		e := &alf.Event{Time: minute(i), Key: s.Key, Kind: alf.KindResult}
		switch story[i] {
		case '-':
			continue
		case 'x':
			e.Kind, e.State, st, head = alf.KindRemoved, st, alf.State{}, nil
		default:
			r := &alf.Result{Status: letters[story[i]], End: e.Time}
			st, e.Change = state.Next(s, st, r, state.Around{Now: e.Time})
			e.State, head = st, e
		}
		if e.Logged() {
			log = append(log, e)
		}
	}
	return log, head
}

// tally is the Availability of p after those events.
func tally(p state.Period, events ...*alf.Event) state.Availability {
	t := state.NewTally(p)
	for _, e := range events {
		if e != nil {
			t.Add(e)
		}
	}
	return t.Sum()
}

// in writes a in minutes: "O3 C2 down1 none4".
func in(a state.Availability) string {
	var out []string
	add := func(name string, d time.Duration) {
		if d != 0 {
			out = append(out, fmt.Sprintf("%s%g", name, d.Minutes()))
		}
	}
	for status, d := range a.In {
		add(alf.Status(status).String()[:1], d)
	}
	add("down", a.NotRunning)
	add("none", a.NoData)
	return strings.Join(out, " ")
}

func TestAvailability(t *testing.T) {
	f := func(max int, story string, from, until int, hard, soft string) {
		t.Helper()
		log, head := entries(max, story)
		for _, c := range []struct {
			soft bool
			want string
		}{{false, hard}, {true, soft}} {
			p := state.Period{From: minute(from), Until: minute(until), Soft: c.soft}
			if got := in(tally(p, append(log, head)...)); got != c.want {
				t.Errorf("%s from %d to %d, soft %v: %s, want %s", story, from, until, c.soft, got, c.want)
			}
		}
	}
	f(1, "OOOOO", 0, 5, "O5", "O5")
	f(1, "OOOOO", -5, 10, "O10 none5", "O10 none5")
	f(1, "OOCCO", 0, 5, "O3 C2", "O3 C2")
	f(1, "OWCUO", 0, 5, "O2 W1 C1 U1", "O2 W1 C1 U1")
	f(3, "OCCCO", 0, 5, "O4 C1", "O2 C3")       // hard at the third attempt
	f(3, "OCCOO", 0, 5, "O5", "O3 C2")          // never hard
	f(3, "OCWUO", 0, 5, "O4 U1", "O2 W1 C1 U1") // each attempt says otherwise
	f(3, "CCCCO", 0, 5, "O1 C2 none2", "O1 C4") // its first state is soft
	f(1, "---OO", 0, 5, "O2 none3", "O2 none3") // pending
	f(1, "OOx--", 0, 5, "O2 none3", "O2 none3") // gone
	f(1, "OCx-O", 0, 5, "O2 C1 none2", "O2 C1 none2")
	f(1, "OOCCO", 3, 5, "O1 C1", "O1 C1")
	f(1, "OOCCO", 2, 3, "C1", "C1")
	f(1, "OOCCO", 5, 7, "O2", "O2")
	f(1, "OOCCO", 3, 3, "", "")
	f(1, "", 0, 5, "none5", "none5")
}

// What the log has let go, the later entries and the head tell.
func TestAvailabilityOfAnOldLog(t *testing.T) {
	f := func(max int, story string, kept int, want string) {
		t.Helper()
		log, head := entries(max, story)
		log = log[len(log)-kept:]
		p := state.Period{From: minute(2), Until: minute(len(story))}
		if got := in(tally(p, append(log, head)...)); got != want {
			t.Errorf("%s with %d entries: %s, want %s", story, kept, got, want)
		}
	}
	f(1, "OOOOOO", 0, "O4")       // never changed since
	f(1, "OOOCCC", 0, "C3 none1") // nobody knows what was before
	f(1, "OOOCCC", 1, "C3 none1")
	f(3, "OOOCCC", 3, "O3 C1") // the first attempt tells what was hard before it
	f(3, "OOOCCC", 2, "O3 C1")
	f(3, "OOOCCC", 1, "C1 none3")
	f(3, "OOOOCC", 0, "O4")
}

func TestGaps(t *testing.T) {
	f := func(want string, log ...*alf.Event) {
		t.Helper()
		var out []string
		for _, g := range state.Gaps(log) {
			until := "on"
			if !g.Until.IsZero() {
				until = fmt.Sprint(g.Until.Sub(epoch).Minutes())
			}
			out = append(out, fmt.Sprint(g.From.Sub(epoch).Minutes())+"-"+until)
		}
		if got := strings.Join(out, " "); got != want {
			t.Errorf("gaps = %q, want %q", got, want)
		}
	}
	started := func(at, last int) *alf.Event {
		e := &alf.Event{Time: minute(at), Kind: alf.KindDaemon, Text: "started 1.2.3"}
		if last >= 0 {
			e.State.LastCheck = minute(last)
		}
		return e
	}
	said := func(at int, text string) *alf.Event {
		return &alf.Event{Time: minute(at), Kind: alf.KindDaemon, Text: text}
	}
	f("")
	f("", started(3, -1))
	f("1-3", started(3, 1))
	f("5-8", started(3, -1), said(5, "stopped"), started(8, 4))
	f("5-8", started(3, -1), said(4, "configuration: 1 added"), started(8, 5))       // killed
	f("5-8", started(3, -1), said(5, "stopped"), said(7, "stopping"), started(8, 4)) // no such word
	f("1-3 3-8", started(3, 1), started(8, 1))                                       // killed without a result
	f("5-8 9-on", started(3, -1), said(5, "stopped"), started(8, 4), said(9, "stopped"))
	f("", &alf.Event{Time: minute(1), Key: alf.Key{Host: "h"}, Kind: alf.KindCommand, Text: "stopped"})

	log, head := entries(1, "OOOOCCCC")
	p := state.Period{From: minute(1), Until: minute(10), Gaps: []state.Gap{{From: minute(0), Until: minute(2)}, {From: minute(3), Until: minute(5)}, {From: minute(9)}}}
	if got := in(tally(p, append(log, head)...)); got != "O1 C4 down4" {
		t.Errorf("availability with gaps = %s", got)
	}
}

// TestAvailabilityAddsUp holds Tally against one that looks at every minute by
// itself, and against itself in parts.
func TestAvailabilityAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempts := rapid.IntRange(1, 4).Draw(t, "max_check_attempts")
		story := rapid.StringMatching(`[OOOWCUx-]{0,40}`).Draw(t, "story")
		n := len(story) + 5
		soft := rapid.Bool().Draw(t, "soft")
		var gaps []state.Gap
		cuts := rapid.SliceOfNDistinct(rapid.IntRange(0, n), 0, 6, rapid.ID[int]).Draw(t, "gaps")
		slices.Sort(cuts)
		for c := range slices.Chunk(cuts, 2) {
			if len(c) == 2 {
				gaps = append(gaps, state.Gap{From: minute(c[0]), Until: minute(c[1])})
			}
		}
		log, head := entries(attempts, story)
		// As it is read: what the log has At the beginning, and all that is later.
		measure := func(from, until int) state.Availability {
			later, _ := slices.BinarySearchFunc(log, minute(from), func(e *alf.Event, t time.Time) int {
				return cmp.Or(e.Time.Compare(t), -1)
			})
			read := append(slices.Clone(log[max(later-1, 0):]), head)
			return tally(state.Period{From: minute(from), Until: minute(until), Gaps: gaps, Soft: soft}, read...)
		}
		from := rapid.IntRange(-3, n).Draw(t, "from")
		until := rapid.IntRange(from, n).Draw(t, "until")
		whole := measure(from, until)
		if want := minute(until).Sub(minute(from)); whole.Whole() != want {
			t.Fatalf("the parts are %v, the whole is %v", whole.Whole(), want)
		}
		if want := byMinute(attempts, story, from, until, gaps, soft); whole != want {
			t.Fatalf("%s, want %s", in(whole), in(want))
		}
		cut := rapid.IntRange(from, until).Draw(t, "cut")
		if got := plus(measure(from, cut), measure(cut, until)); got != whole {
			t.Fatalf("in parts %s, as a whole %s", in(got), in(whole))
		}
	})
}

func plus(a, b state.Availability) state.Availability {
	for i := range a.In {
		a.In[i] += b.In[i]
	}
	a.NotRunning += b.NotRunning
	a.NoData += b.NoData
	return a
}

// byMinute judges the story again for every minute.
func byMinute(attempts int, story string, from, until int, gaps []state.Gap, soft bool) (a state.Availability) {
	for m := from; m < until; m++ {
		done := story[:min(len(story), max(m+1, 0))]
		done = strings.ReplaceAll(done[strings.LastIndex(done, "x")+1:], "-", "")
		st, _ := judge(service(attempts), done)
		status, known := st.LastHard, !st.LastHardChange.IsZero()
		if soft {
			status, known = st.Status, !st.Pending()
		}
		switch {
		case slices.ContainsFunc(gaps, func(g state.Gap) bool { return g.Has(minute(m)) }):
			a.NotRunning += time.Minute
		case known:
			a.In[status] += time.Minute
		default:
			a.NoData += time.Minute
		}
	}
	return a
}
