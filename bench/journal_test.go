package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alf"
	"alf/perfdata"
	"alf/state"
	"alf/state/jetstream"
)

var (
	journalKeys = flag.Int("keys", 10_000, "services in the journal's benchmarks")
	journalFor  = flag.Duration("paced", 20*time.Second, "how long BenchmarkJournalPaced runs")
)

const journalRate = 2000 // events per second

// journalEvent is a result as check_disk gives it.
func journalEvent(key, n int) *alf.Event {
	at := time.Unix(1_790_000_000+int64(n), 0).UTC()
	text := fmt.Sprintf("/=%dMB;48000;54000;0;60000 /srv=%dMB;48000;54000;0;60000", 20000+n%1000, 30000+n%1000)
	data, _ := perfdata.Parse(text)
	return &alf.Event{
		Key:  alf.Key{Host: alf.HostName(fmt.Sprintf("web%05d.example.com", key/10)), Service: alf.ServiceName(fmt.Sprintf("disk %d", key%10))},
		Time: at, NextCheck: at.Add(time.Minute), Interval: time.Minute,
		State: alf.State{Status: alf.OK, Type: alf.Hard, Attempt: 1, MaxAttempts: 3, Output: "DISK OK - free space: / 20000 MB (40%);",
			LastCheck: at, LastChange: at.Add(-time.Hour), LastHardChange: at.Add(-time.Hour), LastOK: at},
		Result: &alf.Result{Output: "DISK OK - free space: / 20000 MB (40%);", PerfdataText: text, Perfdata: data, Metric: "disk",
			Command: "/usr/lib/nagios/plugins/check_disk -w 20% -c 10% -p / -p /srv", Due: at, Start: at, End: at.Add(20 * time.Millisecond)},
	}
}

func openJournal(b *testing.B, dir string, sync bool) (r *jetstream.Record, stop func()) {
	b.Helper()
	r, err := jetstream.Open(b.Context(), jetstream.Options{Dir: dir, SyncAlways: sync})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	return r, func() {
		cancel()
		<-done
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}
}

// fillJournal gives every key so many results.
func fillJournal(b *testing.B, r *jetstream.Record, rounds int) {
	b.Helper()
	for n := range rounds {
		for from := 0; from < *journalKeys; from += 200 {
			var events []*alf.Event
			for key := from; key < min(from+200, *journalKeys); key++ {
				events = append(events, journalEvent(key, n))
			}
			for r.Stats().Behind > 50_000 {
				time.Sleep(time.Millisecond)
			}
			if err := r.Append(b.Context(), events); err != nil {
				b.Fatal(err)
			}
		}
	}
	for r.Stats().Behind > 0 {
		time.Sleep(10 * time.Millisecond)
	}
}

// BenchmarkJournalPaced appends 2,000 results a second, ten times a second, keeps
// the last N of each service and hands them to two consumers. The figure is CPU
// time of the whole process per result; making the results is not in it. The
// other runs leave out the consumers, and the histories as well: what they take
// less is what these cost.
func BenchmarkJournalPaced(b *testing.B) {
	var all, quiet, feed float64
	b.Run("All", func(b *testing.B) { all = paced(b, []string{"one", "two"}, true) })
	b.Run("NoConsumers", func(b *testing.B) { quiet = paced(b, nil, true) })
	b.Run("FeedOnly", func(b *testing.B) { feed = paced(b, nil, false) })
	b.Logf("of each result, two consumers take %.1f µs, the histories %.1f, the feed %.1f", all-quiet, quiet-feed, feed)
}

// paced returns the CPU time for each result, in µs.
func paced(b *testing.B, consumers []string, histories bool) float64 {
	dir := b.TempDir()
	r, stop := openJournal(b, dir, false)
	fillJournal(b, r, 1)
	if !histories {
		stop()
		r, stop = openFeed(b, dir)
	}
	defer stop()
	ctx, cancel := context.WithCancel(b.Context())
	var consuming sync.WaitGroup
	var took atomic.Int64
	for _, name := range consumers {
		consuming.Go(func() {
			r.Consume(ctx, name, state.Now, func(_ context.Context, events []*alf.Event) error {
				took.Add(int64(len(events)))
				return nil
			})
		})
	}
	const perFlush = journalRate / 10
	flushes := int(*journalFor / (100 * time.Millisecond))
	prepared := make([][]*alf.Event, flushes)
	for i := range prepared {
		for j := range perFlush {
			n := i*perFlush + j
			prepared[i] = append(prepared[i], journalEvent(n%*journalKeys, 1 + n / *journalKeys))
		}
	}
	runtime.GC() // or what filling left behind counts as the first run's
	var slowest time.Duration
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	before, bytes := usage(syscall.RUSAGE_SELF), r.Stats().Bytes
	for _, events := range prepared {
		<-tick.C
		began := time.Now()
		if err := r.Append(b.Context(), events); err != nil {
			b.Fatal(err)
		}
		slowest = max(slowest, time.Since(began))
	}
	n := flushes * perFlush
	for took.Load() < int64(len(consumers)*n) || histories && r.Stats().Behind > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	cpu := float64((usage(syscall.RUSAGE_SELF) - before).Microseconds()) / float64(n)
	b.ReportMetric(cpu, "cpu-µs/result")
	b.ReportMetric(float64(r.Stats().Bytes-bytes)/float64(n), "bytes/result")
	b.ReportMetric(float64(slowest.Microseconds())/1000, "slowest-append-ms")
	b.ReportMetric(resident(), "rss-MB")
	b.ReportMetric(0, "ns/op")
	cancel()
	consuming.Wait()
	return cpu
}

// openFeed opens a record whose histories nobody writes.
func openFeed(b *testing.B, dir string) (r *jetstream.Record, stop func()) {
	b.Helper()
	r, err := jetstream.Open(b.Context(), jetstream.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	return r, func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}
}

// resident returns the memory of the process in MB, or 0 if it cannot be read.
func resident() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	var size, pages int
	fmt.Sscan(string(text), &size, &pages)
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// BenchmarkJournalRestart opens a record with three results of every service and
// reads all heads: after a clean end, and as kill -9 leaves the directory.
func BenchmarkJournalRestart(b *testing.B) {
	dir := b.TempDir()
	r, stop := openJournal(b, dir, false)
	fillJournal(b, r, 3)
	killed := filepath.Join(b.TempDir(), "killed")
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		b.Fatal(err)
	}
	stop()
	for name, dir := range map[string]string{"Clean": dir, "Killed": killed} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				began, before := time.Now(), usage(syscall.RUSAGE_SELF)
				r, stop := openJournal(b, dir, false)
				n := 0
				for _, err := range r.Heads(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				took := time.Since(began)
				b.ReportMetric(took.Seconds(), "s-to-heads")
				b.ReportMetric((usage(syscall.RUSAGE_SELF) - before).Seconds(), "cpu-s")
				b.ReportMetric(float64(n), "heads")
				if n != *journalKeys {
					b.Fatalf("%d heads", n)
				}
				stop()
			}
		})
	}
}

// BenchmarkJournalLast reads the last 20 results of services that lie far apart.
func BenchmarkJournalLast(b *testing.B) {
	r, stop := openJournal(b, b.TempDir(), false)
	defer stop()
	fillJournal(b, r, 5)
	var all []float64
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		key := journalEvent(i*7919%*journalKeys, 0).Key
		began := time.Now()
		events, err := r.Last(b.Context(), key, 20)
		if err != nil || len(events) != 5 {
			b.Fatalf("Last = %d events, %v", len(events), err)
		}
		all = append(all, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(all)
	b.ReportMetric(all[len(all)/2], "median-ms")
	b.ReportMetric(all[len(all)*99/100], "p99-ms")
}

// BenchmarkJournalAppend is one Append of 200 results at a time, which the disk
// has or the kernel has.
func BenchmarkJournalAppend(b *testing.B) {
	for name, sync := range map[string]bool{"sync=1s": false, "sync=always": true} {
		b.Run(name, func(b *testing.B) {
			r, stop := openJournal(b, b.TempDir(), sync)
			defer stop()
			var all []float64
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				var events []*alf.Event
				for key := range 200 {
					events = append(events, journalEvent(key, n))
				}
				b.StartTimer()
				began := time.Now()
				if err := r.Append(b.Context(), events); err != nil {
					b.Fatal(err)
				}
				all = append(all, float64(time.Since(began).Microseconds())/1000)
				b.StopTimer()
				for r.Stats().Behind > 0 {
					time.Sleep(time.Millisecond)
				}
				b.StartTimer()
			}
			slices.Sort(all)
			b.ReportMetric(all[len(all)/2], "median-ms")
			b.ReportMetric(all[len(all)*99/100], "p99-ms")
		})
	}
}
