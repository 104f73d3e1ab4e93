package checker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/checker"
	"alf/state"
)

const week = 7 * 24 * time.Hour

// broken lets s become a HARD problem that is acknowledged, commented and in a
// downtime of 2 days, and returns its state.
func (b *bench) broken(t *testing.T, s *alf.Service) alf.State {
	t.Helper()
	time.Sleep(10 * time.Minute)
	now := time.Now()
	for _, c := range []alf.Command{
		{Verb: alf.Acknowledge, ID: "a", Author: "me", Sticky: true},
		{Verb: alf.ScheduleDowntime, ID: "d", Start: now, End: now.Add(48 * time.Hour)},
		{Verb: alf.AddComment, ID: "c", Text: "call the vendor"},
	} {
		c.Key, c.Time = s.Key, now
		b.order(t, c)
	}
	st := b.head(s.Key).State
	if !st.Problem() || st.Ack == nil || st.DowntimeDepth() != 1 || len(st.Comments) != 1 {
		t.Fatalf("%v is %+v, want a problem that is taken care of", s.Key, st)
	}
	return st
}

func (b *bench) reload(t *testing.T, services ...*alf.Service) checker.Diff {
	t.Helper()
	d, err := b.Reload(t.Context(), inventory(services...), "me")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return d
}

// known reports what is known of key: "": nothing is; else what people and time
// have said of it.
func (b *bench) known(key alf.Key) string {
	e := b.head(key)
	switch {
	case e == nil || e.State.Pending():
		return ""
	case e.Result == nil:
		return "no result"
	case e.State.Ack == nil:
		return "not acknowledged"
	case e.State.DowntimeDepth() > 0:
		return "ack, downtime"
	}
	return "ack"
}

// TestRemovedComesBack: what leaves the configuration and comes back within the
// time goes on as it was, whether Alf was restarted meanwhile or not.
func TestRemovedComesBack(t *testing.T) {
	f := func(name string, away time.Duration, restart bool, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			h := host("web1")
			stays, s := service(h, "stays"), service(h, "disk")
			o := checker.Options{Runner: says(2, "CRITICAL"), KeepRemoved: week}
			b := start(t, o, stays, s)
			was := b.broken(t, s)
			b.reload(t, stays)
			if b.head(s.Key) != nil {
				t.Errorf("%s: what was removed still has a head", name)
			}
			time.Sleep(away)
			if restart {
				b.stop()
				o.Record, o.Reader, o.Past = b.record, b.record, b.record
				b = again(t, b, o, stays, s)
			} else {
				b.reload(t, stays, s)
			}
			if got := b.known(s.Key); got != want {
				t.Errorf("%s: known is %q, want %q", name, got, want)
			}
			if e := b.head(s.Key); want != "" && (e.State.Attempt != was.Attempt || !e.State.LastHardChange.Equal(was.LastHardChange) || len(e.State.Comments) != 1) {
				t.Errorf("%s: %+v, was %+v", name, e.State, was)
			}
		})
	}
	f("at once", 0, false, "ack, downtime")
	f("after a day", 24*time.Hour, false, "ack, downtime")
	f("after a day and a restart", 24*time.Hour, true, "ack, downtime")
	f("after three days", 3*24*time.Hour, false, "ack")
	f("after three days and a restart", 3*24*time.Hour, true, "ack")
	f("after a week", week+time.Hour, false, "")
	f("after a week and a restart", week+time.Hour, true, "")
}

// again runs another checker on the record of b.
func again(t *testing.T, b *bench, o checker.Options, services ...*alf.Service) *bench {
	t.Helper()
	next := start(t, o, services...)
	next.record = b.record
	synctest.Wait()
	return next
}

// TestRemovedWhileStopped: what the configuration loses while Alf does not run is
// kept, too.
func TestRemovedWhileStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host("web1")
		stays, s := service(h, "stays"), service(h, "disk")
		o := checker.Options{Runner: says(2, "CRITICAL"), KeepRemoved: week}
		b := start(t, o, stays, s)
		b.broken(t, s)
		b.stop()
		o.Record = b.record
		o.Reader, o.Past = b.record, b.record
		b = again(t, b, o, stays)
		if b.head(s.Key) != nil {
			t.Error("what was removed still has a head")
		}
		b.reload(t, stays, s)
		if got := b.known(s.Key); got != "ack, downtime" {
			t.Errorf("known is %q", got)
		}
	})
}

// TestRenamed: what is renamed goes on under its new name, once, and leaves
// nothing behind.
func TestRenamed(t *testing.T) {
	f := func(name string, how func(t *testing.T, b *bench, o checker.Options, was, is *alf.Service) *bench) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			was := service(host("web1"), "disk")
			to := host("www1")
			to.RenamedFrom = "web1"
			is := service(to, "disks")
			is.RenamedFrom = "disk"
			o := checker.Options{Runner: says(2, "CRITICAL"), KeepRemoved: week}
			b := start(t, o, was)
			o.Record, o.Reader, o.Past = b.record, b.record, b.record
			b.broken(t, was)
			b = how(t, b, o, was, is)
			if got := b.known(is.Key); got != "ack, downtime" {
				t.Errorf("%s: known under the new name is %q", name, got)
			}
			if b.head(was.Key) != nil {
				t.Errorf("%s: the old name still has a head", name)
			}
			// The setting may stay, and the old name may be used for something else.
			if d := b.reload(t, is); d != (checker.Diff{Kept: 1}) {
				t.Errorf("%s: the same again: %v", name, d)
			}
			b.reload(t, is, was)
			if got := b.known(was.Key); got != "" {
				t.Errorf("%s: the old name, used anew, knows %q", name, got)
			}
			if got := b.known(is.Key); got != "ack, downtime" {
				t.Errorf("%s: then the new name knows %q", name, got)
			}
		})
	}
	f("by a reload", func(t *testing.T, b *bench, _ checker.Options, was, is *alf.Service) *bench {
		if d := b.reload(t, is); d != (checker.Diff{Renamed: 1}) || d.String() != "0 added, 0 removed, 0 changed, 1 renamed, 0 kept" {
			t.Errorf("Reload = %v", d)
		}
		return b
	})
	f("while Alf did not run", func(t *testing.T, b *bench, o checker.Options, was, is *alf.Service) *bench {
		b.stop()
		return again(t, b, o, is)
	})
	f("removed first", func(t *testing.T, b *bench, _ checker.Options, was, is *alf.Service) *bench {
		b.reload(t, service(host("other"), "x"))
		time.Sleep(time.Hour)
		b.reload(t, is)
		return b
	})
	f("first the service, then the host", func(t *testing.T, b *bench, _ checker.Options, was, is *alf.Service) *bench {
		half := service(was.Host, "disks")
		half.RenamedFrom = "disk"
		b.reload(t, half)
		b.reload(t, is)
		return b
	})
	f("a restart after it", func(t *testing.T, b *bench, o checker.Options, was, is *alf.Service) *bench {
		b.reload(t, is)
		b.stop()
		return again(t, b, o, is)
	})
}

// TestRemovedAvailability: the time in which something was not configured counts
// as such, though it goes on as it was.
func TestRemovedAvailability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := host("web1")
		stays, s := service(h, "stays"), service(h, "disk")
		b := start(t, checker.Options{Runner: says(0, "OK"), KeepRemoved: week}, stays, s)
		time.Sleep(time.Hour)
		b.reload(t, stays)
		time.Sleep(2 * time.Hour)
		b.reload(t, stays, s)
		time.Sleep(time.Hour)
		tally := state.NewTally(state.Period{From: began, Until: time.Now()})
		for e, err := range b.record.Entries(t.Context(), state.Scope{Key: s.Key}, time.Time{}, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			tally.Add(e)
		}
		if sum := tally.Sum(); sum.NoData < 2*time.Hour || sum.NoData > 2*time.Hour+5*time.Minute {
			t.Errorf("no data for %v, want the 2h", sum.NoData)
		}
	})
}
