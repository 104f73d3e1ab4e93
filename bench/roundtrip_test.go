package bench

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"alf"
	"alf/checker"
	"alf/internal/sshdtest"
	"alf/runner"
)

// BenchmarkRoundTrips counts the round trips of a check of a host that is 50 ms away: over a
// connection that is up, with prefetch and without, and with the connection still to be made.
// Between Alf and a real sshd is a proxy that holds back each direction by 25 ms. The figures are
// medians; what takes time without any distance, sshd and the command above all, is in the first
// of each two and not in the second.
func BenchmarkRoundTrips(b *testing.B) {
	const rtt, warmUps, colds = 50 * time.Millisecond, 21, 5
	s := sshdtest.Start(b, sshdtest.Options{})
	far, near := newDelay(b, s.Addr, rtt/2), newDelay(b, s.Addr, 0)
	report := func(what string, far, near []float64) {
		trip := rtt.Seconds() * 1000
		b.ReportMetric(median(far)/trip, "RTTs/"+what)
		b.ReportMetric((median(far)-median(near))/trip, "RTTs/"+what+"-without-host")
	}
	for range b.N {
		ahead, plain := warm(b, s, far, near, true, warmUps), warm(b, s, far, near, false, warmUps)
		report("check-prefetch", ahead[0], ahead[1])
		report("check", plain[0], plain[1])
		connect := cold(b, s, far, near, colds)
		report("connect+check", connect[0], connect[1])
	}
	b.ReportMetric(0, "ns/op")
}

// warm returns the milliseconds that checks take, far away and near, over connections that are
// up. They take turns, so that the same happens beside them.
func warm(b *testing.B, s *sshdtest.Server, far, near *delay, prefetch bool, rounds int) (took [2][]float64) {
	var checks [2]func()
	for i, d := range []*delay{far, near} {
		check, stop := distant(b, s, d, prefetch)
		defer stop()
		check()
		checks[i] = check
	}
	for range rounds {
		for i, check := range checks {
			time.Sleep(100 * time.Millisecond) // checks do not follow each other at once
			took[i] = append(took[i], millis(check))
		}
	}
	return took
}

// cold is warm for checks that have to connect first.
func cold(b *testing.B, s *sshdtest.Server, far, near *delay, rounds int) (took [2][]float64) {
	for range rounds {
		for i, d := range []*delay{far, near} {
			check, stop := distant(b, s, d, false)
			took[i] = append(took[i], millis(check))
			stop()
		}
	}
	return took
}

func millis(f func()) float64 {
	start := time.Now()
	f()
	return time.Since(start).Seconds() * 1000
}

// distant returns a check of a host behind a delay, with nothing connected yet.
func distant(b *testing.B, s *sshdtest.Server, d *delay, prefetch bool) (check, stop func()) {
	host := &alf.Host{Name: "bench", Address: "127.0.0.1", SSH: alf.SSH{Port: s.Port, User: s.User, Prefetch: prefetch,
		IdentityFiles: []string{s.ClientKey}, KnownHosts: []string{s.KnownHosts}, HostKeyPolicy: alf.HostKeyStrict}}
	service := &alf.Service{Key: alf.Key{Host: host.Name, Service: "true"}, Host: host, On: host,
		Argv: []alf.Template{alf.Text("true")}, Timeout: time.Minute}
	run, err := runner.New(runner.Options{Dial: d.Dial})
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		r, err := checker.Run(b.Context(), run, service, time.Time{})
		if err != nil || r.Status != alf.OK {
			b.Fatalf("%+v, %v", r, err)
		}
	}, func() { run.Close() }
}

// delay is a TCP proxy that holds back each direction.
type delay struct {
	listener net.Listener
	to       string
	way      time.Duration
	running  sync.WaitGroup
}

// newDelay starts a proxy to an address. It ends with the benchmark, when its connections have.
func newDelay(b *testing.B, to string, way time.Duration) *delay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	d := &delay{listener: l, to: to, way: way}
	d.running.Go(d.accept)
	b.Cleanup(func() {
		l.Close()
		d.running.Wait()
	})
	return d
}

// Dial connects to the proxy, whatever the address: so the host's key is known by its own.
func (d *delay) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", d.listener.Addr().String())
}

func (d *delay) accept() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.running.Go(func() { d.serve(c) })
	}
}

func (d *delay) serve(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	defer far.Close()
	var both sync.WaitGroup
	both.Go(func() { d.carry(far, near) })
	both.Go(func() { d.carry(near, far) })
	both.Wait()
}

// carry copies from one to the other, which has each byte so much later.
func (d *delay) carry(to, from net.Conn) {
	type parcel struct {
		due   time.Time
		bytes []byte
	}
	road := make(chan parcel, 1024) // more than a handshake or a check sends in that time
	d.running.Go(func() {
		defer close(road)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				road <- parcel{time.Now().Add(d.way), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	})
	for p := range road {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.bytes); err != nil {
			from.Close()
			break
		}
	}
	for range road {
	}
	if c, ok := to.(*net.TCPConn); ok {
		c.CloseWrite()
	}
}
