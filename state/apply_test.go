package state_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"alf"
	"alf/state"
)

func at(d time.Duration) state.Around { return state.Around{Now: epoch.Add(d)} }

// TestAcknowledgement is RULES N21.
func TestAcknowledgement(t *testing.T) {
	f := func(sticky bool, before, after string, kept bool) {
		t.Helper()
		s := service(2)
		st, _ := judge(s, before)
		st, change, err := state.Apply(s, st, alf.Command{Verb: alf.Acknowledge, ID: "a", Author: "me", Text: "mine", Sticky: sticky}, at(0))
		if err != nil || !change.Has(alf.ChangeAck) || st.Ack == nil || st.Ack.Author != "me" {
			t.Fatalf("%s: %+v, %v, %v", before, st.Ack, change, err)
		}
		dropped := false
		for i := range len(after) {
			st, change = state.Next(s, st, &alf.Result{Status: letters[after[i]]}, at(time.Hour))
			dropped = dropped || change.Has(alf.ChangeUnack)
		}
		if (st.Ack != nil) != kept || dropped == kept {
			t.Errorf("sticky %v, %s then %s: ack %v, dropped %v, want kept %v", sticky, before, after, st.Ack, dropped, kept)
		}
	}
	f(false, "CC", "C", true)
	f(false, "CC", "W", false)
	f(false, "CC", "O", false)
	f(false, "C", "C", true) // becoming hard is no other status
	f(false, "C", "W", false)
	f(true, "CC", "W", true)
	f(true, "CC", "WUC", true)
	f(true, "CC", "O", false)
	f(true, "CC", "WO", false)
}

// TestNothingToAcknowledge: an OK object is refused.
func TestNothingToAcknowledge(t *testing.T) {
	s := service(2)
	ok, _ := judge(s, "O")
	for _, st := range []alf.State{{}, ok} {
		if _, _, err := state.Apply(s, st, alf.Command{Verb: alf.Acknowledge}, at(0)); !errors.Is(err, state.ErrNoProblem) {
			t.Errorf("acknowledge %+v: %v", st, err)
		}
	}
	if _, _, err := state.Apply(s, ok, alf.Command{Verb: alf.Unacknowledge}, at(0)); !errors.Is(err, state.ErrNotAcked) {
		t.Errorf("unacknowledge: %v", err)
	}
}

// TestAckExpires: an acknowledgement that was given for an hour is gone after it.
func TestAckExpires(t *testing.T) {
	s := service(1)
	st, _ := judge(s, "C")
	st, _, err := state.Apply(s, st, alf.Command{Verb: alf.Acknowledge, ID: "a", Sticky: true, Expires: epoch.Add(time.Hour)}, at(0))
	if err != nil {
		t.Fatal(err)
	}
	same, change, next := state.Tick(s, st, at(time.Minute))
	if same.Ack == nil || change != 0 || !next.Equal(epoch.Add(time.Hour)) {
		t.Errorf("before: %v, %v, next %v", same.Ack, change, next)
	}
	if gone, change, _ := state.Tick(s, st, at(time.Hour)); gone.Ack != nil || change != alf.ChangeUnack {
		t.Errorf("after: %v, %v", gone.Ack, change)
	}
}

// ticking lets time pass from tick to tick and returns what it did, and when.
func ticking(t *testing.T, s *alf.Service, st alf.State, from, to time.Duration) (alf.State, []string) {
	t.Helper()
	var out []string
	for now := from; now < to; {
		next, change, when := state.Tick(s, st, at(now))
		if change != 0 {
			out = append(out, now.String()+" "+change.String())
		}
		if change == 0 && !when.IsZero() && !when.After(epoch.Add(now)) {
			t.Fatalf("at %v, time does something at %v, which is not later", now, when)
		}
		if st = next; when.IsZero() {
			break
		}
		now = when.Sub(epoch)
	}
	return st, out
}

// TestDowntime is RULES N22: fixed ones keep to the clock, also when they overlap.
func TestDowntime(t *testing.T) {
	s := service(1)
	s.Passive = true
	st, _ := judge(s, "O")
	order := func(id string, from, to time.Duration) {
		t.Helper()
		var err error
		c := alf.Command{Verb: alf.ScheduleDowntime, ID: id, Start: epoch.Add(from), End: epoch.Add(to)}
		if st, _, err = state.Apply(s, st, c, at(0)); err != nil {
			t.Fatal(err)
		}
	}
	order("now", 0, time.Hour)
	if st.DowntimeDepth() != 1 {
		t.Errorf("depth %d, want 1 at once", st.DowntimeDepth())
	}
	order("later", 30*time.Minute, 2*time.Hour)
	order("later", 30*time.Minute, 2*time.Hour) // given twice
	order("tomorrow", 24*time.Hour, 25*time.Hour)
	_, got := ticking(t, s, st, 0, 48*time.Hour)
	want := []string{"30m0s downtime", "1h0m0s downtime end", "2h0m0s downtime end", "24h0m0s downtime", "25h0m0s downtime end"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestMissedDowntime: Alf was not there when a downtime ended.
func TestMissedDowntime(t *testing.T) {
	s := service(1)
	st, _, err := state.Apply(s, alf.State{}, alf.Command{Verb: alf.ScheduleDowntime, ID: "d", Start: epoch, End: epoch.Add(time.Hour)}, at(0))
	if err != nil {
		t.Fatal(err)
	}
	if st, change, _ := state.Tick(s, st, at(5*time.Hour)); len(st.Downtimes) != 0 || !change.Has(alf.ChangeDowntimeEnd) {
		t.Errorf("%v, %v", st.Downtimes, change)
	}
}

// TestFlexibleDowntime begins with the first new problem in its window, and lasts
// as long as it was ordered to.
func TestFlexibleDowntime(t *testing.T) {
	s := service(2)
	s.Passive = true
	ok, _ := judge(s, "O")
	st, change, err := state.Apply(s, ok, alf.Command{Verb: alf.ScheduleDowntime, ID: "d",
		Start: epoch, End: epoch.Add(2 * time.Hour), Duration: 6 * time.Hour}, at(0))
	if err != nil || change != alf.ChangePlanned || st.DowntimeDepth() != 0 {
		t.Fatalf("%v, %v, %v", st.Downtimes, change, err)
	}
	if _, got := ticking(t, s, st, 0, 24*time.Hour); len(got) != 0 {
		t.Errorf("without a problem: %q", got)
	}
	fail := &alf.Result{Status: alf.Critical}
	soft, change := state.Next(s, st, fail, at(time.Hour))
	if soft.DowntimeDepth() != 1 || !change.Has(alf.ChangeDowntime) || st.DowntimeDepth() != 0 {
		t.Errorf("a problem: %v, %v", soft.Downtimes, change)
	}
	if _, got := ticking(t, s, soft, time.Hour, 24*time.Hour); !slices.Equal(got, []string{"7h0m0s downtime end"}) {
		t.Errorf("then: %q", got)
	}
	if late, _ := state.Next(s, st, fail, at(3*time.Hour)); late.DowntimeDepth() != 0 {
		t.Error("a problem after the window began it")
	}
	problem, _ := judge(s, "CC")
	st, _, err = state.Apply(s, problem, alf.Command{Verb: alf.ScheduleDowntime, ID: "d",
		Start: epoch, End: epoch.Add(2 * time.Hour), Duration: time.Hour}, at(0))
	if st, _ = state.Next(s, st, fail, at(time.Minute)); err != nil || st.DowntimeDepth() != 0 {
		t.Errorf("a problem that was there already began it: %v, %v", st.Downtimes, err)
	}
	if st, _ = state.Next(s, st, &alf.Result{Status: alf.Warning}, at(2*time.Minute)); st.DowntimeDepth() != 1 {
		t.Error("another problem did not begin it")
	}
}

// TestTriggeredDowntime begins with another one.
func TestTriggeredDowntime(t *testing.T) {
	s := service(1)
	st, _, err := state.Apply(s, alf.State{}, alf.Command{Verb: alf.ScheduleDowntime, ID: "d", Trigger: "host", Start: epoch, End: epoch.Add(time.Hour)}, at(0))
	if err != nil || st.DowntimeDepth() != 0 {
		t.Fatalf("%v, %v", st.Downtimes, err)
	}
	if _, got := ticking(t, s, st, 0, 24*time.Hour); len(got) != 0 {
		t.Errorf("by itself: %q", got)
	}
	if _, change := state.Triggered(st, "other", at(time.Minute)); change != 0 {
		t.Errorf("another one: %v", change)
	}
	if st, change := state.Triggered(st, "host", at(time.Minute)); st.DowntimeDepth() != 1 || change != alf.ChangeDowntime {
		t.Errorf("%v, %v", st.Downtimes, change)
	}
}

func TestCancelDowntime(t *testing.T) {
	s := service(1)
	c := alf.Command{Verb: alf.ScheduleDowntime, ID: "d", Start: epoch, End: epoch.Add(time.Hour)}
	st, _, err := state.Apply(s, alf.State{}, c, at(0))
	if err != nil {
		t.Fatal(err)
	}
	c.Verb = alf.CancelDowntime
	st, change, err := state.Apply(s, st, c, at(time.Minute))
	if err != nil || change != alf.ChangeCancelled|alf.ChangeDowntimeEnd || st.Downtimes != nil {
		t.Errorf("%v, %v, %v", st.Downtimes, change, err)
	}
	if _, _, err := state.Apply(s, st, c, at(time.Minute)); !errors.Is(err, state.ErrNotThere) {
		t.Errorf("again: %v", err)
	}
	for _, c := range []alf.Command{
		{Verb: alf.ScheduleDowntime, Start: epoch.Add(time.Hour), End: epoch},
		{Verb: alf.ScheduleDowntime, Start: epoch, End: epoch},
		{Verb: alf.ScheduleDowntime, Start: epoch.Add(-2 * time.Hour), End: epoch.Add(-time.Hour)},
	} {
		if st, change, err := state.Apply(s, alf.State{}, c, at(0)); err == nil || change != 0 || st.Downtimes != nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// TestTooManyDowntimes: people have their bound, whatever recurs besides.
func TestTooManyDowntimes(t *testing.T) {
	s, st := service(1), alf.State{}
	give := func(i int, prefix, author string) error {
		c := alf.Command{Verb: alf.ScheduleDowntime, ID: prefix + strconv.Itoa(i), Author: author, Start: epoch, End: epoch.Add(time.Hour)}
		next, _, err := state.Apply(s, st, c, at(0))
		st = next
		return err
	}
	for i := range 250 {
		want := error(nil)
		if i >= 100 {
			want = state.ErrTooMany
		}
		if err := give(i, "backup@", "[downtime.backup]"); err != nil {
			t.Fatalf("number %d that recurs: %v", i, err)
		}
		if err := give(i, "mine@", "me"); !errors.Is(err, want) {
			t.Fatalf("number %d of a person: %v, want %v", i, err, want)
		}
	}
}

func TestComments(t *testing.T) {
	s, st := service(1), alf.State{}
	give := func(verb alf.Verb, id string) (alf.Change, error) {
		next, change, err := state.Apply(s, st, alf.Command{Verb: verb, ID: id, Text: id}, at(0))
		st = next
		return change, err
	}
	for i := range 150 {
		if _, err := give(alf.AddComment, string(rune('A'+i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(st.Comments); n != 100 || st.Comments[99].ID != string(rune('A'+149)) {
		t.Errorf("%d comments, want the newest 100", n)
	}
	if change, err := give(alf.AddComment, st.Comments[3].ID); change != 0 || err != nil || len(st.Comments) != 100 {
		t.Errorf("given twice: %v, %v", change, err)
	}
	if change, err := give(alf.DeleteComment, st.Comments[3].ID); change != alf.ChangeComment || err != nil || len(st.Comments) != 99 {
		t.Errorf("deleted: %v, %v", change, err)
	}
	if _, err := give(alf.DeleteComment, "never"); !errors.Is(err, state.ErrNotThere) {
		t.Errorf("deleted what is not there: %v", err)
	}
}

// TestFreshness is RULES N27: results that stop coming are a problem, by the
// ordinary rules.
func TestFreshness(t *testing.T) {
	s := service(2)
	s.Passive, s.Freshness = true, time.Hour
	st, _ := judge(s, "O")
	if _, change, next := state.Tick(s, st, at(30*time.Minute)); change != 0 || !next.Equal(epoch.Add(time.Hour)) {
		t.Errorf("fresh: %v, next %v", change, next)
	}
	st, change, next := state.Tick(s, st, at(time.Hour))
	if st.Status != alf.Unknown || st.Type != alf.Soft || st.Output != "No result for 1h0m0s" || !next.Equal(epoch.Add(2*time.Hour)) {
		t.Errorf("after an hour: %+v, %v, next %v", st, change, next)
	}
	if st, _, _ = state.Tick(s, st, at(2*time.Hour)); st.Type != alf.Hard {
		t.Errorf("after two: %+v", st)
	}
	// Nothing is too old that Alf was not there for.
	if _, change, next := state.Tick(s, alf.State{}, state.Around{Now: epoch, Started: epoch}); change != 0 || !next.Equal(epoch.Add(time.Hour)) {
		t.Errorf("at the start: %v, next %v", change, next)
	}
}

// TestRunningIsNotOld: of a check that is being run, the result is about to come.
func TestRunningIsNotOld(t *testing.T) {
	f := func(s *alf.Service, wait time.Duration) {
		t.Helper()
		st, _ := judge(s, "O")
		now := at(24 * time.Hour)
		now.Running = true
		if next, change, again := state.Tick(s, st, now); change != 0 || !next.LastCheck.Equal(st.LastCheck) || !again.Equal(now.Now.Add(wait)) {
			t.Errorf("while it is run: %+v, %v, again %v", next, change, again)
		}
		now.Running = false
		if _, change, _ := state.Tick(s, st, now); change == 0 {
			t.Error("when it is not: no change")
		}
	}
	fresh, plain := service(2), service(2)
	fresh.Freshness, plain.Interval = time.Hour, time.Minute
	f(fresh, time.Hour)
	f(plain, time.Minute)
}

// TestLate: what Alf does not run is not believed for ever.
func TestLate(t *testing.T) {
	s := service(2)
	s.Interval, s.Timeout = time.Minute, 30*time.Second
	st, _ := judge(s, "O")
	_, change, next := state.Tick(s, st, at(time.Minute))
	if change != 0 || !next.Equal(epoch.Add(150*time.Second)) {
		t.Errorf("in time: %v, next %v", change, next)
	}
	late, change, _ := state.Tick(s, st, at(150*time.Second))
	if change != alf.ChangeStale || late.Stale.Cause != alf.CauseLate || late.Status != alf.OK {
		t.Errorf("late: %+v, %v", late, change)
	}
	if _, change, next := state.Tick(s, late, at(time.Hour)); change != 0 || !next.IsZero() {
		t.Errorf("still late: %v, %v", change, next)
	}
}

// TestHostDown is RULES R10: behind a host that is down, a problem is hard at
// once, and known not to be the service's own. Its attempt is what Nagios Core
// 4.4.6 makes of it.
func TestHostDown(t *testing.T) {
	s := service(3)
	down := alf.State{Status: alf.Down, Type: alf.Soft, Attempt: 1}
	around := state.Around{Now: epoch, Host: &down}
	ok, _ := judge(s, "O")
	soft, _ := judge(s, "C")
	st, change := state.Next(s, soft, &alf.Result{Status: alf.Critical}, around)
	if st.Type != alf.Hard || st.Attempt != 3 || !st.HostProblem || !change.Has(alf.ChangeHard) {
		t.Errorf("after a soft one: %+v, %v", st, change)
	}
	st, change = state.Next(s, ok, &alf.Result{Status: alf.Critical}, around)
	if st.Type != alf.Hard || st.Attempt != 1 || !st.HostProblem || !change.Has(alf.ChangeHard) {
		t.Errorf("a new one: %+v, %v", st, change)
	}
	down.Status = alf.Up
	if st, _ = state.Next(s, st, &alf.Result{Status: alf.Critical}, around); st.HostProblem || st.Type != alf.Hard {
		t.Errorf("the host is back: %+v", st)
	}
}

// TestUnreachable is RULES H2: one parent that is UP is enough for DOWN.
func TestUnreachable(t *testing.T) {
	s := &alf.Service{Key: alf.Key{Host: "web1"}, MaxAttempts: 1}
	f := func(want alf.Status, parents ...alf.Status) {
		t.Helper()
		around := state.Around{Now: epoch}
		for _, p := range parents {
			around.Parents = append(around.Parents, alf.State{Status: p})
		}
		if st, _ := state.Next(s, alf.State{}, &alf.Result{Status: alf.Critical}, around); st.Status != want {
			t.Errorf("behind %v: %v, want %v", parents, st.Status.HostString(), want.HostString())
		}
	}
	f(alf.Down)
	f(alf.Down, alf.Up)
	f(alf.Unreachable, alf.Down)
	f(alf.Unreachable, alf.Down, alf.Unreachable)
	f(alf.Down, alf.Down, alf.Up)
}

// TestPassiveHost is RULES H4.
func TestPassiveHost(t *testing.T) {
	s := &alf.Service{Key: alf.Key{Host: "web1"}, MaxAttempts: 3}
	r := &alf.Result{Status: alf.Critical, Source: alf.Passive}
	if st, _ := state.Next(s, alf.State{}, r, at(0)); st.Type != alf.Hard || st.Attempt != 1 {
		t.Errorf("%+v, want HARD", st)
	}
	s.SoftPassive = true
	if st, _ := state.Next(s, alf.State{}, r, at(0)); st.Type != alf.Soft || st.Attempt != 1 {
		t.Errorf("passive_host_checks_are_soft: %+v, want SOFT", st)
	}
}

// TestOtherOrderOfTheSameID: an order that is given again must say the same;
// times that were reckoned from the moment of the order move with it.
func TestOtherOrderOfTheSameID(t *testing.T) {
	s := service(1)
	critical, _ := judge(s, "C")
	f := func(what string, c, again alf.Command, want error) {
		t.Helper()
		c.ID, c.Time, again.ID = "a", epoch, "a"
		if again.Time.IsZero() {
			again.Time = epoch.Add(time.Minute)
		}
		st, _, err := state.Apply(s, critical, c, at(0))
		if err != nil {
			t.Fatal(err)
		}
		if _, change, err := state.Apply(s, st, again, at(time.Minute)); change != 0 || !errors.Is(err, want) {
			t.Errorf("%s: %v, %v, want %v", what, change, err, want)
		}
	}
	plan := func(start, end, duration time.Duration, text string) alf.Command {
		return alf.Command{Verb: alf.ScheduleDowntime, Start: epoch.Add(start), End: epoch.Add(end), Duration: duration, Text: text}
	}
	f("the same", plan(0, time.Hour, 0, "x"), plan(0, time.Hour, 0, "x"), nil)
	f("for an hour from now", plan(0, time.Hour, 0, "x"), plan(time.Minute, time.Hour+time.Minute, 0, "x"), nil)
	f("from now to then", plan(0, time.Hour, 0, "x"), plan(time.Minute, time.Hour, 0, "x"), nil)
	f("longer", plan(0, time.Hour, 0, "x"), plan(time.Minute, 2*time.Hour, 0, "x"), state.ErrOther)
	f("later", plan(time.Hour, 2*time.Hour, 0, "x"), plan(90*time.Minute, 2*time.Hour, 0, "x"), state.ErrOther)
	f("flexible", plan(0, time.Hour, 0, "x"), plan(0, time.Hour, time.Minute, "x"), state.ErrOther)
	f("other words", plan(0, time.Hour, 0, "x"), plan(0, time.Hour, 0, "y"), state.ErrOther)

	ack := alf.Command{Verb: alf.Acknowledge, Text: "x"}
	f("the same", ack, ack, nil)
	f("sticky", ack, alf.Command{Verb: alf.Acknowledge, Text: "x", Sticky: true}, state.ErrOther)
	f("it expires", ack, alf.Command{Verb: alf.Acknowledge, Text: "x", Expires: epoch.Add(time.Hour)}, state.ErrOther)

	note := alf.Command{Verb: alf.AddComment, Text: "x"}
	f("the same", note, note, nil)
	f("other words", note, alf.Command{Verb: alf.AddComment, Text: "y"}, state.ErrOther)
}
