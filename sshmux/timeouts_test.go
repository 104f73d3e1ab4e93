package sshmux

import (
	"flag"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// timeouts is how many commands TestManyTimeouts lets time out for each login; make timeouts
// wants 1,000.
var timeouts = flag.Int("timeouts", 24, "commands that TestManyTimeouts lets time out for each login")

// stalling are the commands of TestManyTimeouts, by turns: plain ones, ones that ignore TERM, and
// ones that fork children into groups and sessions of their own.
var stalling = []string{
	"sleep 300",
	`trap "" TERM; while :; do sleep 300; done`,
	"sleep 300 & (sleep 300; :) & setsid sleep 300 & timeout 300 sleep 300 & wait",
}

// However many commands time out, nothing of them stays: no process on the host, no slot of the
// link, no goroutine here.
func TestManyTimeouts(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		t.Run("ten sessions", func(t *testing.T) { manyTimeouts(t, o, *timeouts) })
		o.MaxSessions = 1
		t.Run("one session", func(t *testing.T) { manyTimeouts(t, o, (*timeouts+5)/6) })
	})
}

func manyTimeouts(t *testing.T, o sshdtest.Options, n int) {
	begin := start
	if o.MaxSessions == 1 {
		begin = alone
	}
	m, target, server := begin(t, o)
	quiet := flag.Lookup("test.parallel").Value.String() == "1" // nothing runs beside this, as with make timeouts
	if quiet {
		m.killLimit = killLimit
	}
	sh(t, m, target, "true")
	server.AwaitNoProcesses()
	before := m.Stats().Totals
	goroutines := runtime.NumGoroutine()

	var turn, unproven atomic.Int64
	var wg sync.WaitGroup
	for range 2 * defaultSessions { // so that some wait for a slot
		wg.Go(func() {
			for i := turn.Add(1); i <= int64(n); i = turn.Add(1) {
				line := stalling[i%int64(len(stalling))]
				exit, err := m.Run(t.Context(), target, Command{Shell: line, Timeout: 200 * time.Millisecond})
				if err == nil || !strings.Contains(err.Error(), "no end within") {
					t.Errorf("%s: Run = %+v, %v", line, exit, err)
				}
				if exit.Orphan {
					unproven.Add(1)
					t.Logf("%s: %v", line, err)
				}
			}
		})
	}
	wg.Wait()
	server.AwaitNoProcesses()
	sshdtest.Await(t, "the slots", func() bool { return m.Stats().InUse == before.InUse })
	if got := sh(t, m, target, "echo OK"); got != "OK\n" {
		t.Errorf("output = %q after %d timeouts", got, n)
	}
	s := m.Stats()
	if s.Orphans-before.Orphans != uint64(unproven.Load()) || s.Lost != before.Lost || s.Dials != before.Dials || s.Links[0].Held != 0 || s.Queued != 0 {
		t.Errorf("Stats() = %+v, want the connection of before: %+v, and %d orphans", s, before, unproven.Load())
	}
	// Where a machine has far more to do than it can, a proof comes too late for killLimit.
	if got := int(unproven.Load()); got > max(1, n/100) {
		t.Errorf("of %d commands, %d could not be proven to have ended", n, got)
	}
	t.Logf("remote processes left after %d timeouts: %d", n, len(server.Processes()))
	t.Logf("of commands that could not be proven to have ended: %d", unproven.Load())
	t.Logf("slots in use: %d before, %d after; of %d", before.InUse, s.InUse, s.Links[0].MaxSessions)
	// Of what is left by the short version, beside which other tests run, TestMain tells.
	if quiet {
		sshdtest.Await(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	}
	t.Logf("goroutines: %d before, %d after", goroutines, runtime.NumGoroutine())
}
