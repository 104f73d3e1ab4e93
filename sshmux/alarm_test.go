package sshmux

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// Each alarm rings at its time and once, whatever becomes of the others.
func TestAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all alarms
		start := time.Now()
		waits := func(name string, w *alarm, want time.Duration) {
			t.Helper()
			<-w.rang
			if got := time.Since(start); got != want {
				t.Errorf("%s rang after %v, want %v", name, got, want)
			}
		}
		never, stopped := all.in(math.MaxInt64), all.in(2*time.Second)
		late, early, moved := all.in(15*time.Second), all.in(time.Second), all.in(3*time.Second)
		stopped.stop()
		stopped.stop()
		moved.reset(20 * time.Second)
		waits("early", early, time.Second)
		early.reset(time.Second)
		waits("early, again", early, 2*time.Second)
		waits("late", late, 15*time.Second)
		waits("moved", moved, 20*time.Second)
		stopped.reset(time.Second)
		waits("stopped", stopped, 21*time.Second)

		late.reset(time.Second)
		time.Sleep(2 * time.Second)
		late.reset(time.Second) // it has rung meanwhile, which nobody has heard
		waits("late, again", late, 24*time.Second)
		never.stop()
		if len(all.set) > 0 {
			t.Errorf("%d alarms are left", len(all.set))
		}
	})
}
