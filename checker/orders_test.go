package checker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/checker"
	"alf/state"
	"alf/state/memory"
)

// TestRecheckLater: a check that is ordered for a time runs then, whatever else
// happens to its schedule.
func TestRecheckLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), service(host("web1"), "load")
		s.Interval = 24 * time.Hour
		b := start(t, checker.Options{Runner: w.runner()}, s)
		time.Sleep(10 * time.Minute) // the first check is over
		was := w.count("check_load")
		f := func(what string, want int) {
			t.Helper()
			synctest.Wait()
			if n := w.count("check_load") - was; n != want {
				t.Errorf("%s: %d runs, want %d", what, n, want)
			}
			was = w.count("check_load")
		}
		due := time.Now().Add(time.Hour)
		recheck := alf.Command{Verb: alf.Recheck, Key: s.Key, Due: due}
		b.order(t, recheck)
		if e := b.head(s.Key); !e.NextCheck.Equal(due) || e.Text != "recheck at "+due.Format(time.RFC3339) {
			t.Errorf("next check at %v, %q", e.NextCheck, e.Text)
		}
		b.order(t, alf.Command{Verb: alf.Submit, Key: s.Key, Output: "OK"}) // which plans anew
		time.Sleep(time.Until(due) - time.Second)
		f("before", 0)
		time.Sleep(2 * time.Second)
		f("then", 1)
		time.Sleep(time.Hour)
		f("later", 0)

		b.order(t, alf.Command{Verb: alf.SwitchOff, Key: s.Key, Switch: alf.SwitchChecks})
		recheck.Due, recheck.IfOn = time.Time{}, true
		if _, err := b.Submit(t.Context(), recheck); !errors.Is(err, checker.ErrChecksOff) {
			t.Errorf("a check that is switched off: %v", err)
		}
		recheck.Due, recheck.IfOn = time.Now().Add(time.Hour), false
		b.order(t, recheck)
		time.Sleep(2 * time.Hour)
		f("forced", 1)
	})
}

// TestTimeOfResult: a result has the time that its script gives it; what it
// leads to happens when it comes.
func TestTimeOfResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "backup")
		s.Passive = true
		b := start(t, checker.Options{Runner: says(0, "OK")}, s)
		then := time.Now().Add(-time.Hour)
		if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Submit, Key: s.Key, ReturnCode: 2, Time: then}); err != nil {
			t.Fatal(err)
		}
		e := b.head(s.Key)
		if !e.State.LastCheck.Equal(then) || !e.Result.End.Equal(then) || !e.Time.Equal(time.Now()) || !e.State.LastChange.Equal(time.Now()) {
			t.Errorf("event %+v, result %+v", e, e.Result)
		}
	})
}

// TestRemark: what changes no state stands in the log all the same, and nobody is told that it
// does before it does.
func TestRemark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := memory.New(memory.Options{})
		disk := &broken{Recorder: record}
		b := start(t, checker.Options{Runner: says(0, "OK"), Record: disk, Reader: record}, service(host("web1"), "load"))
		id, err := b.Remark(t.Context(), "carol", "run x")
		if err != nil || id == 0 {
			t.Fatalf("Remark = %d, %v", id, err)
		}
		disk.set(errors.New("disk full"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Remark(ctx, "carol", "run y"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while nothing is recorded: %v", err)
		}
		disk.set(nil)
		b.stop()
		if _, err := b.Remark(t.Context(), "carol", "run z"); !errors.Is(err, checker.ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
		var got []string
		for e, err := range record.Entries(t.Context(), state.Scope{}, time.Time{}, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Author != "" {
				got = append(got, e.Author+": "+e.Text+" "+e.Kind.String())
			}
		}
		if want := []string{"carol: run x daemon", "carol: run y daemon"}; !slices.Equal(got, want) {
			t.Errorf("the log has %q, want %q", got, want)
		}
	})
}
