package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"alf"
	"alf/checker"
	"alf/internal/sshdtest"
	"alf/runner"
	"alf/state/memory"
	"alf/state/view"
)

const plugins = "/usr/lib/nagios/plugins/"

// BenchmarkAgainstCheckBySSH runs `check_dummy 0 ok` on a real sshd: by Alf, with
// its schedule, runner, parser, judgement and record, one check at a time; and by
// check_by_ssh as Debian ships it, and with the cheaper curve25519 key exchange.
// The figures are CPU time of the client side per check, medians of the rounds;
// sshd and the plugin are not in it.
func BenchmarkAgainstCheckBySSH(b *testing.B) {
	s := sshdtest.Start(b, sshdtest.Options{})
	line := startLine(b, s)
	const rounds, ours, theirs = 5, 400, 15
	var alfs, shipped, tuned []float64
	for range rounds {
		alfs = append(alfs, cpuOf(syscall.RUSAGE_SELF, ours, line.check))
		shipped = append(shipped, cpuOf(syscall.RUSAGE_CHILDREN, theirs, func() { checkBySSH(b, s) }))
		tuned = append(tuned, cpuOf(syscall.RUSAGE_CHILDREN, theirs, func() { checkBySSH(b, s, "-o", "KexAlgorithms=curve25519-sha256") }))
	}
	if n := s.Accepted(); n != 1+2*rounds*theirs {
		b.Fatalf("%d logins, want one for Alf and one for each check_by_ssh", n)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(alfs), "alf-ms/check")
	b.ReportMetric(median(shipped), "check_by_ssh-ms/check")
	b.ReportMetric(median(tuned), "check_by_ssh-curve25519-ms/check")
	b.ReportMetric(median(shipped)/median(alfs), "times-check_by_ssh")
	b.ReportMetric(median(tuned)/median(alfs), "times-curve25519")
}

// cpuOf returns the milliseconds of CPU time that each of n calls of f costs.
func cpuOf(who, n int, f func()) float64 {
	before := usage(who)
	for range n {
		f()
	}
	return (usage(who) - before).Seconds() * 1000 / float64(n)
}

func usage(who int) time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// line is Alf without its pages.
type line struct {
	b       *testing.B
	checker *checker.Checker
	view    *view.View
	key     alf.Key
}

func startLine(b *testing.B, s *sshdtest.Server) *line {
	host := &alf.Host{Name: "bench", Address: "127.0.0.1", SSH: alf.SSH{Port: s.Port, User: s.User,
		IdentityFiles: []string{s.ClientKey}, KnownHosts: []string{s.KnownHosts}, HostKeyPolicy: alf.HostKeyStrict}}
	service := &alf.Service{Key: alf.Key{Host: host.Name, Service: "dummy"}, Host: host, On: host,
		Argv:     []alf.Template{alf.Text(plugins + "check_dummy"), alf.Text("0"), alf.Text("ok")},
		Interval: 24 * time.Hour, Retry: time.Hour, MaxAttempts: 3, Timeout: time.Minute}
	run, err := runner.New(runner.Options{})
	if err != nil {
		b.Fatal(err)
	}
	record, seen := memory.New(memory.Options{}), view.New()
	c := checker.New(checker.Options{Runner: run, Record: record, Reader: record},
		alf.NewInventory([]*alf.Host{host}, []*alf.Service{service}))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { c.Run(ctx); done <- struct{}{} }()
	go func() { seen.Run(ctx, record); done <- struct{}{} }()
	b.Cleanup(func() { stop(); <-done; <-done; run.Close() })
	l := &line{b, c, seen, service.Key}
	l.check() // the login is not part of a check
	return l
}

// check lets the loop run the check and waits for what comes of it.
func (l *line) check() {
	last := l.view.Last()
	if _, err := l.checker.Submit(context.Background(), alf.Command{Verb: alf.Recheck, Key: l.key}); err != nil {
		l.b.Fatal(err)
	}
	if err := l.view.Wait(context.Background(), last+1); err != nil {
		l.b.Fatal(err)
	}
	if e := l.view.Head(l.key); e.State.Status != alf.OK || !e.State.Stale.IsZero() {
		l.b.Fatalf("%v: %+v", e.State, e.Result)
	}
}

func checkBySSH(b *testing.B, s *sshdtest.Server, options ...string) {
	host, port, _ := net.SplitHostPort(s.Addr)
	args := append([]string{"-H", host, "-p", port, "-l", s.User, "-i", s.ClientKey, "-E", "-t", "30",
		"-o", "UserKnownHostsFile=" + s.KnownHosts, "-o", "IdentitiesOnly=yes"}, options...)
	cmd := exec.Command(plugins+"check_by_ssh", append(args, "-C", plugins+"check_dummy 0 ok")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("check_by_ssh: %v\n%s", err, out)
	}
}

// BenchmarkManyAtOnce is Alf with ten checks under way at a time on one host.
// An operation is a check.
func BenchmarkManyAtOnce(b *testing.B) {
	if _, err := os.Stat(plugins + "check_dummy"); err != nil {
		b.Skip(err)
	}
	s := sshdtest.Start(b, sshdtest.Options{})
	host := &alf.Host{Name: "bench", Address: "127.0.0.1", SSH: alf.SSH{Port: s.Port, User: s.User,
		IdentityFiles: []string{s.ClientKey}, KnownHosts: []string{s.KnownHosts}, HostKeyPolicy: alf.HostKeyStrict}}
	run, err := runner.New(runner.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer run.Close()
	service := &alf.Service{Key: alf.Key{Host: host.Name, Service: "dummy"}, Host: host, On: host,
		Argv: []alf.Template{alf.Text(plugins + "check_dummy"), alf.Text("0"), alf.Text("ok")}, Timeout: time.Minute}
	check := func() {
		r, err := checker.Run(b.Context(), run, service, time.Time{})
		if err != nil || r.Status != alf.OK {
			b.Error(strconv.Quote(fmt.Sprint(r, err)))
		}
	}
	check()
	b.SetParallelism(5)
	before := usage(syscall.RUSAGE_SELF)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			check()
		}
	})
	b.ReportMetric((usage(syscall.RUSAGE_SELF)-before).Seconds()*1000/float64(b.N), "cpu-ms/check")
}
