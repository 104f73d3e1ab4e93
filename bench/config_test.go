package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/checker"
	"alf/config"
	"alf/state/memory"
)

// site writes a configuration of hosts with ten services each, 100 hosts a file,
// and returns the main file.
func site(tb testing.TB, hosts int) string {
	dir := tb.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o700); err != nil {
		tb.Fatal(err)
	}
	write("alf.toml", "[ssh]\nuser = \"monitor\"\npassword = { env = \"HOME\" }\n[hostgroup.linux]\nvars = { disk_warn = \"20%\" }\n")
	for from := 0; from < hosts; from += 100 {
		var b strings.Builder
		for i := from; i < min(from+100, hosts); i++ {
			fmt.Fprintf(&b, "[host.\"web%05d.example.com\"]\naddress = \"10.%d.%d.%d\"\nhostgroups = [\"linux\"]\nvars = { disk_crit = \"%d%%\" }\n", i, i>>16, i>>8&255, i&255, 1+i%9)
		}
		write(fmt.Sprintf("conf.d/hosts%05d.toml", from), b.String())
	}
	var b strings.Builder
	for i := range 10 {
		fmt.Fprintf(&b, "[check.disk%d]\nhosts = [\"@linux\"]\ncommand = [\"check_disk\", \"-w\", \"$disk_warn$\", \"-c\", \"$disk_crit$\", \"-p\", \"/srv/%[1]d\"]\n", i)
	}
	write("conf.d/zchecks.toml", b.String())
	return filepath.Join(dir, "alf.toml")
}

func loadSite(tb testing.TB, file string) *config.Config {
	c, err := config.Load(file, config.Options{Runtime: checker.RuntimeMacro})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// heapPeak returns the most memory, in MB, that lives while f runs.
func heapPeak(f func()) float64 {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		var m uint64
		for {
			runtime.ReadMemStats(&now)
			m = max(m, now.HeapInuse+now.StackInuse)
			select {
			case <-done:
				most <- m
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	f()
	close(done)
	return float64(<-most) / 1e6
}

// BenchmarkLoad reads 100,000 services on 10,000 hosts.
func BenchmarkLoad(b *testing.B) {
	file := site(b, 10_000)
	var most float64
	var kept *config.Config
	for b.Loop() {
		kept = nil
		most = max(most, heapPeak(func() { kept = loadSite(b, file) }))
	}
	if n := kept.Counts.Services; n != 100_000 {
		b.Fatalf("%d services", n)
	}
	b.ReportMetric(most, "peak-MB")
}

// quiet is a runner of checks that never end by themselves.
type quiet struct{}

// Run implements alf.Runner.
func (quiet) Run(ctx context.Context, _ alf.Execution) (alf.Exit, error) {
	<-ctx.Done()
	return alf.Exit{}, ctx.Err()
}

// BenchmarkReload adds a host to 5,000 with 50,000 services: reading, comparing and
// the loop's part, in which no check starts; and all of it, which is to be less than
// 500 ms.
func BenchmarkReload(b *testing.B) {
	file := site(b, 5000)
	more := filepath.Join(filepath.Dir(file), "conf.d/more.toml")
	one := loadSite(b, file)
	record := memory.New(memory.Options{Feed: 1000})
	c := checker.New(checker.Options{Runner: quiet{}, Record: record, Reader: record, Past: record, KeepRemoved: time.Hour}, one.Inventory)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	was := one.Inventory
	if _, err := c.Reload(b.Context(), was, ""); err != nil {
		b.Fatal(err)
	}
	var loading, comparing, reloading time.Duration
	n := 0
	for b.Loop() {
		text := fmt.Sprintf("[host.new%d]\nhostgroups = [\"linux\"]\n[host.new%[1]d.vars]\ndisk_crit = \"1%%\"\n", n)
		if err := os.WriteFile(more, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		next := loadSite(b, file)
		loaded := time.Now()
		diff := checker.Compare(was, next.Inventory)
		compared := time.Now()
		d, err := c.Apply(b.Context(), diff, "")
		if err != nil || d.Added != 11 || d.Changed != 0 {
			b.Fatal(d, err)
		}
		loading, comparing, reloading = loading+loaded.Sub(began), comparing+compared.Sub(loaded), reloading+time.Since(compared)
		was = next.Inventory
		n++
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(n) }
	b.ReportMetric(ms(loading), "ms-load")
	b.ReportMetric(ms(comparing), "ms-diff")
	b.ReportMetric(ms(reloading), "ms-apply")
	b.ReportMetric(ms(loading+comparing+reloading), "ms-in-all")
}
