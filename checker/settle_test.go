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
