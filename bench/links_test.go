package bench

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"alf/internal/sshdtest"
	"alf/sshmux"
)

var (
	links    = flag.Int("links", 10_000, "hosts in BenchmarkLinks")
	linksFor = flag.Duration("linksfor", 20*time.Second, "how long BenchmarkLinks runs checks")
	linkRate = flag.Int("linkrate", 1000, "checks a second in BenchmarkLinks")
)

// linkOptions are those of the Mux with many links. Whatever bounds how fast a Mux dials is to be
// switched off here: the benchmark measures what the dials cost.
func linkOptions() sshmux.Options {
	return sshmux.Options{ConnectTimeout: time.Minute, DialRate: 1e6, MaxDials: 1e6}
}

// BenchmarkLinks has a link to each of 10,000 hosts, which another process plays, and runs checks
// over one after the other at an even rate; and so has a bare loop over x/crypto to a tenth of
// them, in turn with it, for comparison. All figures are of this process only.
func BenchmarkLinks(b *testing.B) {
	n := *links
	wantFiles(b, uint64(n+n/10)+200)
	key, addrs := startFakes(b)
	all := targets(b, n, key, addrs)
	bare := launch(b, "bare", newBareFleet(b, all[:max(2, n/10)], key))
	defer bare.Close()
	mux := launch(b, "sshmux", &muxFleet{sshmux.New(linkOptions()), all})
	defer mux.Close()

	const rounds = 5
	var ofBare, ofMux []float64
	for range rounds {
		ofBare = append(ofBare, bare.pace(b, *linksFor/rounds))
		ofMux = append(ofMux, mux.pace(b, *linksFor/rounds))
	}
	kb, goroutines := mux.idle()

	var t table
	t.tell(fmt.Sprintf("%d links up, time", n), "s", mux.took.Seconds(), fmt.Sprintf("%.0f a second", float64(n)/mux.took.Seconds()))
	t.tell("CPU per link up", "ms", mux.login, fmt.Sprintf("bare: %.2f", bare.login))
	t.most(fmt.Sprintf("CPU per check at %d a second", *linkRate), "ms", 0.20, median(ofMux),
		fmt.Sprintf("bare: %.2f, %.2f x", median(ofBare), ratio(ofMux, ofBare)))
	t.most("resident per idle link after load", "KB", 44, kb, fmt.Sprintf("bare: %.0f; %.0f MB at most in all", bare.kb, peak()))
	t.most("goroutines per idle link", "", 4, goroutines, "")
	b.ReportMetric(0, "ns/op")
	t.print(b)
}

// fleet is one way to keep links to many hosts.
type fleet interface {
	size() int
	up(ctx context.Context, i int) error // brings the link to host i up, unless it is
	check(ctx context.Context, i int) error
	Close() error
}

// measured is a fleet whose links are up and have had their first check, after which the stacks
// of their goroutines have grown.
type measured struct {
	fleet
	name       string
	next       int           // the host whose check is next
	took       time.Duration // to bring all links up
	login      float64       // ms of CPU for that, of each
	kb         float64       // resident for a link
	rss        float64       // KB, before
	goroutines int           // before
}

// launch brings the links up, so many at a time that both processes always have something to do.
func launch(b *testing.B, name string, f fleet) *measured {
	b.Helper()
	m := &measured{fleet: f, name: name}
	all := func(from int, do func(context.Context, int) error) {
		each(f.size()-from, 16, func(i int) { m.fail(b, do(b.Context(), from+i)) })
		if b.Failed() {
			f.Close()
			b.FailNow()
		}
	}
	m.fail(b, f.up(b.Context(), 0)) // what all share is read and made
	m.fail(b, f.check(b.Context(), 0))
	m.rss, m.goroutines = settled(), runtime.NumGoroutine()
	start, cpu := time.Now(), usage(syscall.RUSAGE_SELF)
	all(1, f.up)
	m.took = time.Since(start)
	m.login = (usage(syscall.RUSAGE_SELF) - cpu).Seconds() * 1000 / float64(f.size()-1)
	all(0, f.check)
	m.kb, _ = m.idle()
	return m
}

func (m *measured) fail(b *testing.B, err error) {
	if err != nil {
		b.Errorf("%s: %v", m.name, err)
	}
}

// idle returns the resident KB of a link on which nothing runs, and its goroutines.
func (m *measured) idle() (kb, goroutines float64) {
	others := float64(m.size() - 1)
	return (settled() - m.rss) / others, float64(runtime.NumGoroutine()-m.goroutines) / others
}

// pace runs checks at the wanted rate for a while, each in a goroutine of its own, and returns the
// CPU time of each in milliseconds. What starts them is in it.
func (m *measured) pace(b *testing.B, d time.Duration) float64 {
	tick := time.NewTicker(time.Second / time.Duration(*linkRate))
	defer tick.Stop()
	var under sync.WaitGroup
	start, cpu, checks := time.Now(), usage(syscall.RUSAGE_SELF), 0
	for since := time.Duration(0); since < d; since = (<-tick.C).Sub(start) {
		for due := int(since.Seconds() * float64(*linkRate)); checks < due; checks++ {
			i := m.next
			m.next = (i + 1) % m.size()
			under.Go(func() { m.fail(b, m.check(b.Context(), i)) })
		}
	}
	under.Wait()
	return (usage(syscall.RUSAGE_SELF) - cpu).Seconds() * 1000 / float64(checks)
}

// muxFleet is sshmux.
type muxFleet struct {
	*sshmux.Mux
	targets []sshmux.Target
}

func (f *muxFleet) size() int { return len(f.targets) }

func (f *muxFleet) up(ctx context.Context, i int) error {
	_, err := f.Ping(ctx, f.targets[i])
	return err
}

func (f *muxFleet) check(ctx context.Context, i int) error {
	return runDummy(ctx, f.Mux, f.targets[i])
}

// bareFleet is x/crypto and no more.
type bareFleet struct {
	addrs  []string
	config ssh.ClientConfig
	line   string
	hosts  []bare
}

func newBareFleet(b *testing.B, all []sshmux.Target, key string) *bareFleet {
	b.Helper()
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
	if err != nil {
		b.Fatal(err)
	}
	signer, _ := sshdtest.NewKey(b)
	f := &bareFleet{line: lineOf(b), hosts: make([]bare, len(all)), config: ssh.ClientConfig{User: "monitor", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.FixedHostKey(host), HostKeyAlgorithms: []string{host.Type()}}}
	for _, t := range all {
		f.addrs = append(f.addrs, t.Addr)
	}
	return f
}

func (f *bareFleet) size() int { return len(f.addrs) }

func (f *bareFleet) up(_ context.Context, i int) error {
	if f.hosts[i].conn != nil {
		return nil
	}
	conn, err := openBare(f.addrs[i], &f.config)
	f.hosts[i] = bare{conn, f.line}
	return err
}

func (f *bareFleet) check(_ context.Context, i int) error { return f.hosts[i].check() }

func (f *bareFleet) Close() error {
	for _, h := range f.hosts {
		if h.conn != nil {
			h.conn.Close()
		}
	}
	return nil
}

// targets returns n hosts spread over the addresses, of one known_hosts file with a line each.
func targets(b *testing.B, n int, key string, addrs []string) []sshmux.Target {
	b.Helper()
	dir := b.TempDir()
	known, identity := filepath.Join(dir, "known_hosts"), filepath.Join(dir, "id_ed25519")
	_, private := sshdtest.NewKey(b)
	var all []sshmux.Target
	var lines strings.Builder
	for i := range n {
		t := sshmux.Target{Name: fmt.Sprintf("web%05d", i), Addr: addrs[i%len(addrs)], User: "monitor",
			IdentityFiles: []string{identity}, KnownHosts: []string{known}}
		_, port, _ := net.SplitHostPort(t.Addr)
		fmt.Fprintf(&lines, "[%s]:%s %s\n", t.Name, port, strings.TrimSpace(key))
		all = append(all, t)
	}
	for file, text := range map[string]string{known: lines.String(), identity: private} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return all
}

// settled returns the resident memory in KB when the garbage is collected and what is free has
// gone back.
func settled() float64 {
	runtime.GC()
	debug.FreeOSMemory()
	return resident() * 1024
}
