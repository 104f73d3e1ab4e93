package bench

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"alf/state/jetstream"
)

var idleFor = flag.Duration("idle", 20*time.Second, "how long BenchmarkJournalIdle measures")

// idleDir is the environment variable that makes the test binary a process that
// has the record in that directory open and does nothing else; "-": none.
const idleDir = "ALF_BENCH_IDLE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(idleDir); dir != "" {
		if err := idle(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(fakeEnv) != "" {
		if err := beFake(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// figures are what a process says of itself.
type figures struct {
	AtOnce float64 // MB resident when the record is open
	Peak   float64 // MB resident at most
	RSS    float64 // MB resident at the end
	Heap   float64 // MB on the heap then, of what is in use
	CPU    float64 // percent of a core while nothing happened
}

func idle(dir string) error {
	flag.Parse()
	if dir != "-" {
		r, err := jetstream.Open(context.Background(), jetstream.Options{Dir: dir})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		defer func() { cancel(); <-done; r.Close() }()
	}
	f := figures{AtOnce: resident()}
	time.Sleep(2 * time.Second) // what opening began ends
	before := usage(syscall.RUSAGE_SELF)
	time.Sleep(*idleFor)
	f.CPU = 100 * float64(usage(syscall.RUSAGE_SELF)-before) / float64(*idleFor)
	f.RSS, f.Peak = resident(), peak()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.Heap = float64(m.HeapAlloc) / (1 << 20)
	if name := os.Getenv("ALF_BENCH_HEAP"); name != "" {
		w, err := os.Create(name)
		if err != nil {
			return err
		}
		pprof.WriteHeapProfile(w)
		w.Close()
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// peak returns the most memory that the process has had, in MB.
func peak() (mb float64) {
	text, _ := os.ReadFile("/proc/self/status")
	if _, after, ok := strings.Cut(string(text), "VmHWM:"); ok {
		fmt.Sscan(after, &mb)
	}
	return mb / 1024
}

func runIdle(b *testing.B, dir string) (f figures) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-idle", idleFor.String())
	cmd.Env = append(os.Environ(), idleDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// BenchmarkJournalIdle has a record with five results of every service open in a
// process of its own, in which nothing else happens. The memory is what it takes
// above a process without a record.
func BenchmarkJournalIdle(b *testing.B) {
	dir := b.TempDir()
	r, stop := openJournal(b, dir, false)
	fillJournal(b, r, 5)
	stop()
	for range b.N {
		none, f := runIdle(b, "-"), runIdle(b, dir)
		b.ReportMetric(f.AtOnce-none.AtOnce, "opened-MB")
		b.ReportMetric(f.RSS-none.RSS, "rss-MB")
		b.ReportMetric(f.Peak-none.Peak, "peak-MB")
		b.ReportMetric(f.Heap-none.Heap, "heap-MB")
		b.ReportMetric(f.CPU, "idle-%-of-a-core")
	}
	b.ReportMetric(0, "ns/op")
}
