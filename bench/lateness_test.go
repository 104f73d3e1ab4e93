package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"alf"
	"alf/checker"
)

var latenessFor = flag.Duration("lateness", 15*time.Second, "how long BenchmarkLateness measures")

// BenchmarkLateness runs 2,000 checks a second: 20,000 services on 2,000 hosts,
// every 10 seconds, of plugins that take 20 ms, recorded in an embedded journal
// that keeps the last 20 of each. The figures are how much later than due the
// checks start, and the CPU time of the whole process per check.
func BenchmarkLateness(b *testing.B) {
	const hosts, each = 2000, 10
	var all []*alf.Service
	var on []*alf.Host
	for i := range hosts {
		h := &alf.Host{Name: alf.HostName(fmt.Sprintf("web%04d", i))}
		on = append(on, h)
		for j := range each {
			all = append(all, &alf.Service{
				Key: alf.Key{Host: h.Name, Service: alf.ServiceName(fmt.Sprint("disk ", j))}, Host: h, On: h,
				Argv: []alf.Template{alf.Text("check_disk")}, Metric: "disk",
				Interval: 10 * time.Second, Retry: 10 * time.Second, MaxAttempts: 3, Timeout: time.Minute, MaxOutput: 256 << 10,
			})
		}
	}
	for range b.N {
		lateness(b, alf.NewInventory(on, all))
	}
	b.ReportMetric(0, "ns/op")
}

func lateness(b *testing.B, inventory *alf.Inventory) {
	r, closeJournal := openJournal(b, b.TempDir(), false)
	defer closeJournal()
	c := checker.New(checker.Options{Runner: plugin{20 * time.Millisecond}, Record: r, Reader: r, MaxConcurrent: 256}, inventory)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	defer func() { stop(); <-done }()

	begin := time.Now().Add(11 * time.Second) // then all have had their first check
	end := begin.Add(*latenessFor)
	var late []time.Duration
	var cpu time.Duration
	err := r.Follow(ctx, 0, func(_ context.Context, events []*alf.Event) error {
		for _, e := range events {
			if e.Kind != alf.KindResult || e.Result.Start.Before(begin) {
				continue
			}
			if late == nil {
				cpu = usage(syscall.RUSAGE_SELF)
			}
			late = append(late, e.Result.Latency())
			if e.Result.Start.After(end) {
				return errEnough
			}
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		b.Fatal(err)
	}
	cpu = usage(syscall.RUSAGE_SELF) - cpu
	slices.Sort(late)
	ms := func(part float64) float64 {
		return late[int(part*float64(len(late)-1))].Seconds() * 1000
	}
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(ms(1), "max-ms")
	b.ReportMetric(float64(len(late))/latenessFor.Seconds(), "checks/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(len(late)), "cpu-µs/check")
}

var errEnough = errors.New("measured enough")

// plugin is one that says OK after a time.
type plugin struct{ takes time.Duration }

func (p plugin) Run(ctx context.Context, e alf.Execution) (alf.Exit, error) {
	start := time.Now()
	select {
	case <-time.After(p.takes):
	case <-ctx.Done():
		return alf.Exit{}, ctx.Err()
	}
	e.Stdout.Write([]byte("DISK OK - free space: / 3326 MB (56%)|/=2643MB;5948;5958;0;5968\n"))
	return alf.Exit{Start: start, End: time.Now()}, nil
}
