package checker_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/checker"
	"alf/state/memory"
)

// TestUnchecked: of what is not run any more, or not over a link any more, nothing
// says that nothing new is known, or when it is due; a reload and a restart tell so.
func TestUnchecked(t *testing.T) {
	down := answering(func(context.Context, alf.Execution) (alf.Exit, error) {
		return alf.Exit{}, fmt.Errorf("dial: %w", context.DeadlineExceeded)
	})
	ssh := func() *alf.Service {
		s := service(host("web1"), "")
		s.Builtin, s.Argv = alf.CheckSSH, nil
		return s
	}
	none := func() *alf.Service {
		s := service(host("web1"), "")
		s.Builtin, s.On, s.Argv = alf.CheckNone, nil, nil
		return s
	}
	remote := func() *alf.Service { return service(host("web1"), "load") }
	passive := func() *alf.Service {
		s := remote()
		s.Passive = true
		return s
	}
	local := func() *alf.Service {
		s := remote()
		s.On, s.Interval = nil, 24*time.Hour
		return s
	}
	f := func(what string, was, is *alf.Service, head alf.Event, want alf.State, output string, planned bool) {
		for _, reload := range []bool{false, true} {
			t.Run(fmt.Sprint(what, ", reload ", reload), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					now := time.Now()
					head.Key, head.Kind, head.Time, head.NextCheck = was.Key, alf.KindResult, now, now.Add(time.Minute)
					head.State.Stale.Since = now
					record := memory.New(memory.Options{History: 100})
					e := head
					if err := record.Append(t.Context(), []*alf.Event{&e}); err != nil {
						t.Fatal(err)
					}
					first := is
					if reload {
						first = was
					}
					b := begin(t, checker.Options{Runner: down}, record, inventory(first))
					defer b.stop()
					if reload {
						if _, err := b.Reload(t.Context(), inventory(is), ""); err != nil {
							t.Fatal(err)
						}
						synctest.Wait()
					}
					got := b.head(is.Key)
					st := got.State
					text := ""
					if got.Result != nil {
						text = got.Result.Output
					}
					if !st.Stale.IsZero() || st.Status != want.Status || st.Attempt != want.Attempt || st.Ack != want.Ack || text != output || got.NextCheck.IsZero() == planned {
						t.Errorf("%+v, %q, next check %v", st, text, got.NextCheck)
					}
					if got.Kind != alf.KindTick || !got.Change.Has(alf.ChangeFresh) || !got.Logged() {
						t.Errorf("%v tells of it: %v", got.Kind, got.Change)
					}
					if planned && time.Until(got.NextCheck) > 5*time.Minute {
						t.Errorf("it is due at %v only", got.NextCheck)
					}
				})
			})
		}
	}
	stale := func(cause alf.Cause) alf.Event {
		return alf.Event{State: alf.State{Stale: alf.Stale{Cause: cause, Output: "no"}}, Result: &alf.Result{Cause: cause, Output: "no"}}
	}
	known := func(cause alf.Cause, status alf.Status) alf.Event {
		e := stale(cause)
		e.State.Status, e.State.Type, e.State.Attempt, e.State.LastHard, e.State.Output = status, alf.Hard, 3, status, "before"
		e.State.LastCheck, e.State.Ack = time.Now(), &alf.Ack{ID: "a"}
		if status == alf.OK {
			e.State.Attempt, e.State.Ack = 1, nil
		}
		return e
	}
	up := alf.State{Attempt: 1}
	f("a host that was never checked", ssh(), none(), stale(alf.CauseConfig), alf.State{}, "", false)
	f("a host that was UP", ssh(), none(), known(alf.CauseAuth, alf.Up), up, "", false)
	f("a host that was DOWN", ssh(), none(), known(alf.CauseAuth, alf.Down), up, "", false)
	f("a passive service", remote(), passive(), known(alf.CauseTransport, alf.OK), up, "before", false)
	critical := known(alf.CauseTransport, alf.Critical)
	f("a service beside Alf", remote(), local(), critical, alf.State{Status: alf.Critical, Attempt: 3, Ack: critical.State.Ack}, "before", true)
}

// TestNextIsTold: when a reload plans checks anew, or a start does as the settings
// are other ones, the record is told when they are due, bit by bit, and nothing else.
func TestNextIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		all := func(interval time.Duration) (v []*alf.Service) {
			for i := range n {
				s := service(host(fmt.Sprint("h", i)), "load")
				s.Interval = interval
				v = append(v, s)
			}
			return v
		}
		record := memory.New(memory.Options{History: 100})
		b := begin(t, checker.Options{Runner: says(0, "OK")}, record, inventory(all(24*time.Hour)...))
		time.Sleep(10 * time.Minute) // all have run
		keys := all(0)
		told := func(what string, within time.Duration) {
			t.Helper()
			synctest.Wait()
			ticks, wrong := 0, 0
			for _, s := range keys {
				e := b.head(s.Key)
				if left := time.Until(e.NextCheck); left < 0 || left > within || e.Kind == alf.KindTick && e.Logged() {
					wrong++
				}
				if e.Kind == alf.KindTick {
					ticks++
				}
			}
			if wrong > 0 || ticks == 0 || ticks == n { // of about half, the next slot is the same
				t.Errorf("%s: %d ticks, %d wrong", what, ticks, wrong)
			}
		}
		if _, err := b.Reload(t.Context(), inventory(all(12*time.Hour)...), ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if q := b.Stats().Queued; q > 200 {
			t.Errorf("%d events wait for the record", q)
		}
		time.Sleep(time.Second)
		told("a reload", 12*time.Hour)
		b.stop()
		before := b.head(keys[0].Key).ID
		b = begin(t, checker.Options{Runner: says(0, "OK")}, record, inventory(all(12*time.Hour)...))
		time.Sleep(time.Second)
		if id := b.head(keys[0].Key).ID; id != before {
			t.Errorf("a start that changes nothing tells of it")
		}
		b.stop()
		b = begin(t, checker.Options{Runner: says(0, "OK")}, record, inventory(all(6*time.Hour)...))
		time.Sleep(time.Second)
		told("a start", 6*time.Hour)
		b.stop()
	})
}
