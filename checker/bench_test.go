package checker_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"alf"
	"alf/checker"
	"alf/state/memory"
)

// BenchmarkLoop is the loop alone: 1,000 services that are always due, a runner
// that answers at once, the memory record. An operation is a check.
func BenchmarkLoop(b *testing.B) {
	var all []*alf.Service
	for i := range 1000 {
		s := service(host(fmt.Sprint("h", i%100)), fmt.Sprint("s", i))
		s.Interval = time.Millisecond
		all = append(all, s)
	}
	record := memory.New(memory.Options{})
	c := checker.New(checker.Options{Runner: instant{}, Record: record, Reader: record}, inventory(all...))
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	b.ReportAllocs()
	b.ResetTimer()
	began, cpu := time.Now(), cpuTime()
	// The context of the run ends the feed as soon as b.N checks are recorded.
	record.Follow(ctx, 0, func(_ context.Context, events []*alf.Event) error {
		if events[len(events)-1].ID >= alf.ID(b.N) {
			return context.Canceled
		}
		return nil
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "checks/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/check")
	stop()
	<-done
}

type instant struct{}

func (instant) Run(_ context.Context, e alf.Execution) (alf.Exit, error) {
	e.Stdout.Write([]byte("DISK OK - free space: / 3326 MB (56%)|/=2643MB;5948;5958;0;5968\n"))
	now := time.Now()
	return alf.Exit{Start: now, End: now}, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
