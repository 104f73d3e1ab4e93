package bench

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"alf"
	"alf/checker"
	"alf/internal/sshdtest"
	"alf/runner"
	"alf/sshmux"
	"alf/state/memory"
	"alf/state/view"
)

const plugins = "/usr/lib/nagios/plugins/"

var rounds = flag.Int("rounds", 9, "rounds of BenchmarkPeers, each of which takes all ways in turn")

// BenchmarkPeers runs `check_dummy 0 ok` on a real sshd, in rounds that take all ways in turn:
// by a bare loop over x/crypto and by sshmux, one and ten at a time, which differ by what the
// transport takes; by Alf, with its schedule, runner, parser, judgement and record; and by
// check_by_ssh as Debian ships it, with a cheap key exchange, and over a ControlMaster; and by
// check_nrpe from a real nrpe. The figures are CPU time of the client side per check, with all its
// processes; sshd, nrpe and the plugin are not in it. They are medians of the rounds, and the
// ratios are medians of each round's ratio.
func BenchmarkPeers(b *testing.B) {
	s := sshdtest.Start(b, sshdtest.Options{MaxSessions: 20}) // ten at a time, and sshd frees them late
	p := newPeers(b, s)
	const ours, theirs = 200, 10
	seen := make(map[string][]float64)
	for range *rounds {
		for _, w := range p.ways(b, s) {
			switch {
			case w.atOnce:
				seen[w.name] = append(seen[w.name], cpuOfMany(ours, w.check))
			case w.forks:
				before := p.master.cpu(b)
				each := cpuOf(syscall.RUSAGE_CHILDREN, theirs, w.check)
				seen[w.name] = append(seen[w.name], each+(p.master.cpu(b)-before).Seconds()*1000/theirs)
			default:
				seen[w.name] = append(seen[w.name], cpuOf(syscall.RUSAGE_SELF, ours, w.check))
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	compare(seen).print(b)
}

// compare compares the transport with the bare loop and the peers with the transport, of which
// something is wanted. What they are to the whole of Alf, which does what they leave to their
// scheduler, stands beside it: package testing prints ten lines.
func compare(seen map[string][]float64) *table {
	t := new(table)
	note := func(name, to string) string {
		return fmt.Sprintf("%.3f ms to %.3f", median(seen[name]), median(seen[to]))
	}
	for _, r := range []struct {
		name, to string
		add      func(name, unit string, limit, seen float64, note string)
		limit    float64
	}{
		{"sshmux", "bare", t.most, 1.25},
		{"sshmux x10", "bare x10", t.most, 1.25},
		{"check_by_ssh", "sshmux", t.least, 150},
		{"check_by_ssh curve25519", "sshmux", t.least, 25},
		{"check_by_ssh ControlMaster", "sshmux", t.least, 15},
		{"check_nrpe", "sshmux", t.least, 20},
	} {
		said := note(r.name, r.to)
		if r.to == "sshmux" {
			said += fmt.Sprintf("; %s of Alf", number(ratio(seen[r.name], seen["Alf"]), "x"))
		}
		r.add(r.name+" / "+r.to, "x", r.limit, ratio(seen[r.name], seen[r.to]), said)
	}
	t.tell("Alf / sshmux", "x", ratio(seen["Alf"], seen["sshmux"]), note("Alf", "sshmux"))
	return t
}

// peers are the ways to run one check on one sshd.
type peers struct {
	bare   *bare
	mux    *sshmux.Mux
	target sshmux.Target
	line   *line
	master *master
	nrpe   string // port
}

// way is one of them.
type way struct {
	name   string
	forks  bool // it is processes of its own
	atOnce bool // ten at a time
	check  func()
}

func newPeers(b *testing.B, s *sshdtest.Server) *peers {
	p := &peers{
		bare: dialBare(b, s, lineOf(b)),
		mux:  sshmux.New(sshmux.Options{}),
		target: sshmux.Target{Name: "bench", Addr: s.Addr, User: s.User, IdentityFiles: []string{s.ClientKey},
			KnownHosts: []string{s.KnownHosts}, MaxSessions: 10},
		nrpe:   startNRPE(b),
		master: startMaster(b, s),
		line:   startLine(b, s),
	}
	b.Cleanup(func() { p.mux.Close() })
	if _, err := p.mux.Ping(b.Context(), p.target); err != nil { // the login is not part of a check
		b.Fatal(err)
	}
	return p
}

func (p *peers) ways(b *testing.B, s *sshdtest.Server) []way {
	fail := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	byBare := func() { fail(p.bare.check()) }
	byMux := func() { fail(runDummy(b.Context(), p.mux, p.target)) }
	return []way{
		{name: "bare", check: byBare},
		{name: "sshmux", check: byMux},
		{name: "Alf", check: p.line.check},
		{name: "bare x10", atOnce: true, check: byBare},
		{name: "sshmux x10", atOnce: true, check: byMux},
		{name: "check_by_ssh", forks: true, check: func() { checkBySSH(b, s) }},
		{name: "check_by_ssh curve25519", forks: true, check: func() { checkBySSH(b, s, cheap...) }},
		{name: "check_by_ssh ControlMaster", forks: true, check: func() { checkBySSH(b, s, "-o", "ControlPath="+p.master.socket) }},
		{name: "check_nrpe", forks: true, check: func() { checkNRPE(b, p.nrpe) }},
	}
}

// cheap is what makes the login of ssh cheapest.
var cheap = []string{"-o", "KexAlgorithms=curve25519-sha256", "-o", "HostKeyAlgorithms=ssh-ed25519",
	"-o", "PubkeyAcceptedAlgorithms=ssh-ed25519", "-o", "Ciphers=aes128-gcm@openssh.com"}

// dummy is the check of all of them.
var dummy = []string{plugins + "check_dummy", "0", "ok"}

// runDummy runs it over sshmux as the runner does.
func runDummy(ctx context.Context, m *sshmux.Mux, t sshmux.Target) error {
	var out, said bytes.Buffer
	exit, err := m.Run(ctx, t, sshmux.Command{Argv: dummy, Stdout: &out, Stderr: &said, Timeout: time.Minute})
	if err != nil {
		return err
	}
	if exit.Code != 0 || out.String() != "OK: ok\n" || said.Len() > 0 {
		return fmt.Errorf("%v: %+v, output %q, %q", t, exit, &out, &said)
	}
	return nil
}

// lineOf returns what sshmux sends to run dummy, as a fake host hears it.
func lineOf(b *testing.B) string {
	b.Helper()
	f, err := newFake()
	if err != nil {
		b.Fatal(err)
	}
	lines := make(chan string, 1)
	f.heard = func(line string) { lines <- line }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go f.serve(l)
	m := sshmux.New(sshmux.Options{})
	defer m.Close()
	if err := runDummy(b.Context(), m, targets(b, 1, string(ssh.MarshalAuthorizedKey(f.key)), []string{l.Addr().String()})[0]); err != nil {
		b.Fatal(err)
	}
	return <-lines
}

// master is an ssh that keeps the connection which others use.
type master struct {
	socket string
	cmd    *exec.Cmd
}

func startMaster(b *testing.B, s *sshdtest.Server) *master {
	b.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	m := &master{socket: filepath.Join(b.TempDir(), "master")}
	m.cmd = exec.Command("ssh", "-F", "none", "-M", "-N", "-S", m.socket, "-p", port, "-l", s.User, "-i", s.ClientKey,
		"-o", "UserKnownHostsFile="+s.KnownHosts, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", host)
	if err := m.cmd.Start(); err != nil {
		b.Skipf("%v: install the package openssh-client", err)
	}
	b.Cleanup(func() { m.cmd.Process.Kill(); m.cmd.Wait() })
	sshdtest.Await(b, "the ControlMaster", func() bool { _, err := os.Stat(m.socket); return err == nil })
	return m
}

// cpu returns the CPU time of the process so far, which is no child's that has ended.
func (m *master) cpu(b *testing.B) (t time.Duration) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", m.cmd.Process.Pid))
	if err == nil {
		_, err = fmt.Sscan(string(text), (*int64)(&t))
	}
	if err != nil {
		b.Fatal(err)
	}
	return t
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
		Argv:     []alf.Template{alf.Text(dummy[0]), alf.Text(dummy[1]), alf.Text(dummy[2])},
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

// check lets the loop run the check and waits for what comes of it, which is more than the order.
func (l *line) check() {
	last := l.view.Last()
	if _, err := l.checker.Submit(context.Background(), alf.Command{Verb: alf.Recheck, Key: l.key}); err != nil {
		l.b.Fatal(err)
	}
	for {
		last++
		if err := l.view.Wait(context.Background(), last); err != nil {
			l.b.Fatal(err)
		}
		if e := l.view.Head(l.key); e.Kind == alf.KindResult && e.ID >= last {
			if e.State.Status != alf.OK || !e.State.Stale.IsZero() {
				l.b.Fatalf("%v: %+v", e.State, e.Result)
			}
			return
		}
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
