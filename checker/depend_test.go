package checker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/checker"
)

// TestDependency: what depends on a service with a problem is not run, unless
// somebody orders it, and is not late for that (RULES N26).
func TestDependency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWorld(), host("web1")
		agent, disk := service(h, "agent"), service(h, "disk")
		agent.MaxAttempts = 1
		disk.Dependencies = []alf.Dependency{{Master: agent.Key, Run: alf.Criteria{Status: [4]bool{alf.Critical: true}}}}
		b := start(t, checker.Options{Runner: w.runner()}, agent, disk)
		was := 0
		f := func(what string, least, most int) {
			t.Helper()
			synctest.Wait()
			if n := w.count("check_disk") - was; n < least || n > most {
				t.Errorf("%s: %d runs, want %d to %d", what, n, least, most)
			}
			was = w.count("check_disk")
		}
		time.Sleep(5 * time.Minute)
		f("at first", 4, 6)
		w.set("check_agent", 2)
		time.Sleep(time.Minute + time.Second)
		f("as the master fails", 0, 1)
		time.Sleep(time.Hour)
		f("while it does", 0, 0)
		if st := b.head(disk.Key).State; !st.Stale.IsZero() {
			t.Errorf("it is late: %+v", st.Stale)
		}
		if n := b.Stats().Held; n < 59 || n > 62 {
			t.Errorf("%d checks were held back in an hour", n)
		}
		b.order(t, alf.Command{Verb: alf.Recheck, Key: disk.Key})
		time.Sleep(5 * time.Minute)
		f("when it is ordered", 1, 1)
		w.set("check_agent", 0)
		time.Sleep(2*time.Minute + time.Second)
		f("afterwards", 1, 2)
	})
}
