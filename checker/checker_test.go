package checker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/checker"
	"alf/sshmux"
	"alf/state"
	"alf/state/memory"
)

// fake is a runner that answers from a function and counts what runs.
type fake struct {
	answer func(ctx context.Context, e alf.Execution) (alf.Exit, error)

	mu      sync.Mutex
	running map[string]int
	most    map[string]int
	starts  []time.Time
}

func answering(f func(ctx context.Context, e alf.Execution) (alf.Exit, error)) *fake {
	return &fake{answer: f, running: map[string]int{}, most: map[string]int{}}
}

func (f *fake) Run(ctx context.Context, e alf.Execution) (alf.Exit, error) {
	host := ""
	if e.Host != nil {
		host = string(e.Host.Name)
	}
	f.count(host, 1)
	defer f.count(host, -1)
	exit, err := f.answer(ctx, e)
	if exit.Start.IsZero() {
		exit.Start = time.Now()
	}
	return exit, err
}

func (f *fake) count(host string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, where := range []string{host, "all"} {
		f.running[where] += n
		f.most[where] = max(f.most[where], f.running[where])
	}
	if n > 0 {
		f.starts = append(f.starts, time.Now())
	}
}

// says returns a runner whose plugins print output and exit with code.
func says(code int, output string) *fake {
	return answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
		fmt.Fprint(e.Stdout, output)
		return alf.Exit{Code: code}, nil
	})
}

func host(name string) *alf.Host { return &alf.Host{Name: alf.HostName(name), Address: name} }

func service(h *alf.Host, name string) *alf.Service {
	return &alf.Service{
		Key: alf.Key{Host: h.Name, Service: alf.ServiceName(name)}, Host: h, On: h,
		Argv: []alf.Template{alf.Text("check_" + name)}, Metric: name,
		Interval: time.Minute, Retry: 20 * time.Second, MaxAttempts: 3, Timeout: time.Minute,
		TimeoutStatus: alf.Critical, BadExitStatus: alf.Unknown,
	}
}

// bench is a checker that runs in a bubble of fake time.
type bench struct {
	*checker.Checker
	record *memory.Record
	stop   func()
}

func start(t *testing.T, o checker.Options, services ...*alf.Service) *bench {
	t.Helper()
	record := memory.New(memory.Options{History: 1000})
	if o.Record == nil {
		o.Record = record
	}
	if o.Reader == nil {
		o.Reader, o.Past = record, record
	}
	b := &bench{Checker: checker.New(o, inventory(services...)), record: record}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

func inventory(services ...*alf.Service) *alf.Inventory {
	var hosts []*alf.Host
	for _, s := range services {
		if !slices.Contains(hosts, s.Host) {
			hosts = append(hosts, s.Host)
		}
	}
	return alf.NewInventory(hosts, slices.Clone(services))
}

func (b *bench) last(key alf.Key) []*alf.Event {
	events, _ := b.record.Last(context.Background(), key, 1000)
	slices.Reverse(events)
	return events
}

func (b *bench) head(key alf.Key) *alf.Event {
	for e := range b.record.Heads(context.Background()) {
		if e.Key == key {
			return e
		}
	}
	return nil
}

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "load")
		b := start(t, checker.Options{Runner: says(0, "OK - fine|a=1")}, s)
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		events := b.last(s.Key)
		if len(events) != 10 {
			t.Fatalf("%d results in 10 minutes, want 10", len(events))
		}
		for i, e := range events[1:] {
			if d := e.Result.Due.Sub(events[i].Result.Due); d != time.Minute {
				t.Errorf("due %v after the one before, want 1m", d)
			}
			if e.Result.Latency() != 0 || !e.NextCheck.Equal(e.Result.Due.Add(time.Minute)) {
				t.Errorf("latency %v, next check %v after due %v", e.Result.Latency(), e.NextCheck, e.Result.Due)
			}
		}
		r := events[0].Result
		if r.Output != "OK - fine" || len(r.Perfdata) != 1 || r.Command != "check_load" || r.Metric != "load" {
			t.Errorf("result %+v", r)
		}
	})
}

// TestStableSchedule: a restart, other services and the time of the start do
// not shift a service's slots.
func TestStableSchedule(t *testing.T) {
	slot := func(wait time.Duration, others int) (phase time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(wait)
			s := service(host("web1"), "load")
			all := []*alf.Service{s}
			for i := range others {
				all = append(all, service(s.Host, fmt.Sprint("other", i)))
			}
			began := time.Now()
			b := start(t, checker.Options{Runner: says(0, "OK"), MaxPerHost: 100}, all...)
			time.Sleep(time.Minute)
			synctest.Wait()
			due := b.last(s.Key)[0].Result.Due
			if due.Sub(began) > time.Minute {
				t.Errorf("first due after %v, want within the interval", due.Sub(began))
			}
			phase = time.Duration(due.UnixNano() % int64(time.Minute))
		})
		return phase
	}
	first := slot(0, 0)
	for _, wait := range []time.Duration{7 * time.Second, 31 * time.Second, 59*time.Second + 7} {
		if got := slot(wait, 20); got != first {
			t.Errorf("started %v later: slot %v, want %v", wait, got, first)
		}
	}
}

func TestFirstChecksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []*alf.Service
		for i := range 600 {
			s := service(host(fmt.Sprint("h", i)), "load")
			s.Interval = time.Hour
			all = append(all, s)
		}
		run := says(0, "OK")
		start(t, checker.Options{Runner: run}, all...)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(run.starts) != 600 {
			t.Fatalf("%d of 600 ran within 5 minutes", len(run.starts))
		}
		perMinute := make([]int, 5)
		for _, at := range run.starts {
			perMinute[min(int(at.Sub(run.starts[0])/time.Minute), 4)]++
		}
		for i, n := range perMinute {
			if n < 60 || n > 180 {
				t.Errorf("minute %d: %d first checks, want about 120: %v", i, n, perMinute)
			}
		}
	})
}

func TestRetryUntilHard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "load")
		b := start(t, checker.Options{Runner: says(2, "CRITICAL")}, s)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		events := b.last(s.Key)
		var got []string
		for i, e := range events[:4] {
			wait := "-"
			if i > 0 {
				wait = e.Result.Start.Sub(events[i-1].Result.Start).String()
			}
			got = append(got, fmt.Sprintf("%v/%d after %s", e.State.Type, e.State.Attempt, wait))
		}
		want := []string{"SOFT/1 after -", "SOFT/2 after 20s", "HARD/3 after 20s"}
		if !slices.Equal(got[:3], want) {
			t.Errorf("%v, want %v", got, want)
		}
		slot := func(e *alf.Event) int64 { return e.Result.Due.UnixNano() % int64(time.Minute) }
		if slot(events[3]) != slot(events[0]) {
			t.Errorf("once hard it is due at %v, want back on its grid", events[3].Result.Due)
		}
	})
}

func TestOnceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "load")
		s.Interval = 0
		b := start(t, checker.Options{Runner: says(0, "OK")}, s)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(b.last(s.Key)); n != 1 {
			t.Errorf("check_interval 0 ran %d times, want once", n)
		}
		if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Recheck, Key: s.Key}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(b.last(s.Key)); n != 2 {
			t.Errorf("after a recheck %d results, want 2", n)
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := answering(func(ctx context.Context, e alf.Execution) (alf.Exit, error) {
			time.Sleep(500 * time.Millisecond)
			return alf.Exit{}, nil
		})
		var all []*alf.Service
		for h := range 10 {
			on := host(fmt.Sprint("h", h))
			for i := range 20 {
				s := service(on, fmt.Sprint("s", i))
				s.Interval = 5 * time.Second
				all = append(all, s)
			}
		}
		b := start(t, checker.Options{Runner: run, MaxConcurrent: 15, MaxPerHost: 3}, all...)
		time.Sleep(time.Minute)
		b.stop()
		if run.most["all"] != 15 {
			t.Errorf("%d ran at a time, want 15", run.most["all"])
		}
		for h := range 10 {
			if n := run.most[fmt.Sprint("h", h)]; n == 0 || n > 3 {
				t.Errorf("%d ran at a time on h%d, want at most 3", n, h)
			}
		}
		for _, s := range all {
			if n := len(b.last(s.Key)); n < 5 {
				t.Errorf("%v ran %d times, want every one its turn", s.Key, n)
			}
		}
		if b.Stats().Missed == 0 {
			t.Error("no slot was counted as missed though the bounds hold back two thirds")
		}
	})
}

// TestLocalBounds: slow local checks of one host hold up those of no other.
func TestLocalBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := answering(func(ctx context.Context, e alf.Execution) (alf.Exit, error) {
			select {
			case <-time.After(30 * time.Second):
			case <-ctx.Done():
			}
			return alf.Exit{}, ctx.Err()
		})
		var all []*alf.Service
		for h := range 50 {
			s := service(host(fmt.Sprint("h", h)), "http")
			s.On = nil
			all = append(all, s)
		}
		b := start(t, checker.Options{Runner: run, MaxPerHost: 2}, all...)
		time.Sleep(90 * time.Second)
		waiting := b.Stats().Waiting
		b.stop()
		if most := run.most["all"]; waiting != 0 || most < 15 {
			t.Errorf("%d ran at a time and %d wait, want none to wait for another host's", most, waiting)
		}
	})
}

// TestNoOverlap: a check that takes longer than its interval skips slots.
func TestNoOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := answering(func(ctx context.Context, e alf.Execution) (alf.Exit, error) {
			time.Sleep(150 * time.Second)
			return alf.Exit{}, nil
		})
		s := service(host("web1"), "slow")
		b := start(t, checker.Options{Runner: run}, s)
		time.Sleep(9*time.Minute + time.Second)
		b.stop()
		if run.most["all"] != 1 {
			t.Errorf("%d ran at a time, want 1", run.most["all"])
		}
		if n := len(b.last(s.Key)); n != 3 {
			t.Errorf("%d results in 9 minutes, want 3", n)
		}
		if got := b.Stats().Missed; got != 6 {
			t.Errorf("missed %d slots, want 6", got)
		}
	})
}

func TestHowResultsAreRead(t *testing.T) {
	type want struct {
		status alf.Status
		cause  alf.Cause
		output string
	}
	f := func(name string, run *fake, change func(*alf.Service), w want) {
		t.Run(name, func(t *testing.T) {
			s := service(host("web1"), "load")
			if change != nil {
				change(s)
			}
			r, err := checker.Run(t.Context(), run, s, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != w.status || r.Cause != w.cause || r.Output != w.output {
				t.Errorf("%v %v %q, want %v %v %q", r.Status, r.Cause, r.Output, w.status, w.cause, w.output)
			}
		})
	}
	exits := func(code int, signal, stdout, stderr string) *fake {
		return answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			fmt.Fprint(e.Stdout, stdout)
			fmt.Fprint(e.Stderr, stderr)
			return alf.Exit{Code: code, Signal: signal}, nil
		})
	}
	fails := func(cause alf.Cause, stdout string) *fake {
		return answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			fmt.Fprint(e.Stdout, stdout)
			return alf.Exit{}, &alf.RunError{Cause: cause, Phase: "dial", Err: errors.New("no route")}
		})
	}
	nagios := func(s *alf.Service) { s.BadExitStatus = alf.Critical }
	f("warning", exits(1, "", "WARN - hot|t=5", ""), nil, want{alf.Warning, alf.CausePlugin, "WARN - hot"})
	f("not found", exits(127, "", "", "sh: check_x: not found\n"), nil, want{alf.Unknown, alf.CausePlugin,
		"(Return code of 127 is out of bounds - make sure the plugin you're trying to run actually exists) sh: check_x: not found"})
	f("as nagios", exits(126, "", "", ""), nagios, want{alf.Critical, alf.CausePlugin,
		"(Return code of 126 is out of bounds - make sure the plugin is executable)"})
	f("255", exits(255, "", "bye", ""), nil, want{alf.Unknown, alf.CausePlugin, "(Return code of 255 is out of bounds) bye"})
	f("signal", exits(137, "KILL", "", ""), nagios, want{alf.Unknown, alf.CausePlugin, "(Plugin was killed by signal KILL)"})
	f("silent", exits(0, "", "", ""), nil, want{alf.OK, alf.CausePlugin, "(No output returned from plugin)"})
	f("only stderr", exits(2, "", "", "oops\nmore\n"), nil, want{alf.Critical, alf.CausePlugin, "(No output on stdout) stderr: oops"})
	f("timeout", fails(alf.CauseTimeout, "half"), nil, want{alf.Critical, alf.CauseTimeout, "(Service check timed out after 1m0s) half"})
	f("timeout state", fails(alf.CauseTimeout, ""), func(s *alf.Service) { s.TimeoutStatus = alf.Unknown },
		want{alf.Unknown, alf.CauseTimeout, "(Service check timed out after 1m0s)"})
	f("orphan", answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
		fmt.Fprint(e.Stdout, "half")
		return alf.Exit{}, &alf.RunError{Cause: alf.CauseTimeout, Err: errors.New("no end"), Orphan: true}
	}), nil, want{alf.Critical, alf.CauseTimeout, "(Service check timed out after 1m0s, and processes of it may live on) half"})
	f("login that hangs", answering(func(context.Context, alf.Execution) (alf.Exit, error) {
		return alf.Exit{}, &alf.RunError{Cause: alf.CauseTimeout, Phase: sshmux.PhaseExec.String(), Err: errors.New("no end"), Orphan: true}
	}), nil, want{alf.Critical, alf.CauseTimeout, "(Service check timed out after 1m0s, before the login had begun it, and processes of it may live on)"})
	f("transport", fails(alf.CauseTransport, "half"), nil, want{alf.Unknown, alf.CauseTransport, "no route"})
	f("config", answering(func(context.Context, alf.Execution) (alf.Exit, error) { return alf.Exit{}, errors.New("odd") }), nil,
		want{alf.Unknown, alf.CauseConfig, "odd"})
}

// TestOutputIsBounded: also where it is copied by io.Copy, as os/exec does.
func TestOutputIsBounded(t *testing.T) {
	run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
		if _, ok := e.Stdout.(io.ReaderFrom); ok {
			t.Error("the taker of the output has a ReadFrom, which io.Copy would use")
		}
		_, err := io.Copy(e.Stdout, io.LimitReader(endless{}, 10<<20))
		return alf.Exit{}, err
	})
	s := service(host("web1"), "load")
	s.MaxOutput = 1000
	r, err := checker.Run(t.Context(), run, s, time.Time{})
	if kept := len(r.Output) + len(r.LongOutput); err != nil || kept > 2000 || r.Cut < 10<<20-10_000 {
		t.Errorf("kept %d and cut %d of 10 MiB, %v", kept, r.Cut, err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestRunKeepsStderrAndCountsWhatIsCut(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
		fmt.Fprint(e.Stdout, "OK - a lot\n"+long)
		fmt.Fprint(e.Stderr, "warning: old")
		return alf.Exit{}, nil
	})
	s := service(host("web1"), "load")
	s.MaxOutput = 1000
	r, err := checker.Run(t.Context(), run, s, time.Time{})
	if err != nil || r.Stderr != "warning: old" || r.Output != "OK - a lot" {
		t.Errorf("Run = %+v, %v", r, err)
	}
	if kept := len(r.Output) + len(r.LongOutput); kept > 1200 || r.Cut < 98_000 {
		t.Errorf("kept %d bytes and cut %d of %d", kept, r.Cut, len(long))
	}
}

func TestMacrosOfTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string
		run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, strings.Join(e.Argv, " "), e.Shell)
			fmt.Fprint(e.Stdout, "it's bad")
			return alf.Exit{Code: 2}, nil
		})
		s := service(host("web1"), "load")
		s.Argv = []alf.Template{alf.Text("check"), alf.ParseTemplate("$SERVICESTATE$/$SERVICEATTEMPT$/$MAXSERVICEATTEMPTS$")}
		line, err := alf.ParseShell("echo '$SERVICEOUTPUT$'")
		if err != nil {
			t.Fatal(err)
		}
		shell := service(s.Host, "shell")
		shell.Argv, shell.Shell = nil, line
		b := start(t, checker.Options{Runner: run}, s, shell)
		time.Sleep(2 * time.Minute)
		b.stop()
		for _, want := range []string{"check OK/0/3", "check CRITICAL/1/3", "check CRITICAL/2/3", "echo ''", `echo 'it'\''s bad'`} {
			if !slices.Contains(got, want) {
				t.Errorf("%q was not run: %q", want, got)
			}
		}
	})
}

// TestMacrosOfOthers: a command sees the states of other hosts and services as
// they are when it runs (RULES M4, M5).
func TestMacrosOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := make(map[string]bool)
		run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			switch e.Argv[0] {
			case "bad":
				fmt.Fprint(e.Stdout, "full | used=9")
				return alf.Exit{Code: 2}, nil
			case "host":
				fmt.Fprint(e.Stdout, "lost | rta=5")
				return alf.Exit{Code: 2}, nil
			}
			mu.Lock()
			defer mu.Unlock()
			got[strings.Join(append(e.Argv[1:], e.Env...), " ")] = true
			return alf.Exit{}, nil
		})
		bad := service(host("web::1"), "disk: /")
		bad.Argv = []alf.Template{alf.Text("bad")}
		down := service(bad.Host, "")
		down.Argv = []alf.Template{alf.Text("host")}
		from := host("web2")
		watcher := func(name, text string) *alf.Service {
			s := service(from, name)
			s.Argv = []alf.Template{alf.Text("watch"), alf.ParseTemplate(text)}
			s.Env = []alf.EnvVar{{Name: "E", Value: alf.ParseTemplate("$HOSTSTATE:gone$")}}
			return s
		}
		b := start(t, checker.Options{Runner: run}, bad, down,
			watcher("of a service", "$SERVICESTATE:web::1:disk: /$ $SERVICEATTEMPT:web::1:disk: /$ $SERVICEPERFDATA:web::1:disk: /$ $SERVICESTATE$"),
			watcher("of a host", "$HOSTSTATE:web::1$ $HOSTOUTPUT:web::1$ $HOSTPERFDATA:web::1$ $MAXHOSTATTEMPTS:web::1$ $HOSTSTATE$"))
		time.Sleep(time.Hour)
		b.stop()
		for _, want := range []string{
			"CRITICAL 1 used=9 OK E=UP", // its host is DOWN
			"DOWN lost rta=5 3 UP E=UP",
		} {
			if !got[want] {
				t.Errorf("%q was not run: %v", want, got)
			}
		}
	})
}

// TestLostLink: the state stays as it was, is marked stale, and is fresh again
// soon after the link is back.
func TestLostLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			if down.Load() {
				return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Err: errors.New("lost")}
			}
			fmt.Fprint(e.Stdout, "CRITICAL - full|used=9")
			return alf.Exit{Code: 2}, nil
		})
		s := service(host("web1"), "disk")
		b := start(t, checker.Options{Runner: run}, s)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		was := b.head(s.Key).State
		down.Store(true)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		e := b.head(s.Key)
		if e.State.Status != alf.Critical || e.State.Type != alf.Hard || e.State.Attempt != 3 || e.State.Output != was.Output ||
			e.State.Stale.Cause != alf.CauseTransport || e.State.LastHardChange != was.LastHardChange {
			t.Errorf("while the link is down: %+v, was %+v", e.State, was)
		}
		down.Store(false)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if e := b.head(s.Key); !e.State.Stale.IsZero() || !e.Change.Has(alf.ChangeFresh) || e.Change.Has(alf.ChangeHard) {
			t.Errorf("20 s after it is back: %+v, change %v", e.State.Stale, e.Change)
		}
	})
}

// TestHostIsAskedAtOnce: when the link of a service is lost, its host is checked
// without waiting for its turn, and again when the service answers.
func TestHostIsAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			if down.Load() {
				return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Err: errors.New("lost")}
			}
			return alf.Exit{}, nil
		})
		h := host("web1")
		own := &alf.Service{Key: alf.Key{Host: h.Name}, Host: h, Builtin: alf.CheckSSH, Interval: time.Hour, Retry: time.Minute, MaxAttempts: 2}
		s := service(h, "load")
		b := start(t, checker.Options{Runner: run}, own, s)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if e := b.head(own.Key); e == nil || e.State.Status != alf.Up {
			t.Fatalf("the service answers, but the host is %+v", e)
		}
		down.Store(true)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if e := b.head(own.Key); e.State.Status != alf.Down {
			t.Errorf("a minute after the link was lost the host is %+v", e.State)
		}
		before := len(b.last(own.Key))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(b.last(own.Key)) - before; n > 3 {
			t.Errorf("a host that is DOWN was checked %d times in 10 minutes out of turn", n)
		}
		down.Store(false)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if e := b.head(own.Key); e.State.Status != alf.Up {
			t.Errorf("a minute after the link is back the host is %+v", e.State)
		}
	})
}

// TestOrderedChecksTryNow: a person's order reaches the runner as one.
func TestOrderedChecksTryNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ordered atomic.Int32
		run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			if e.Ordered {
				ordered.Add(1)
			}
			return alf.Exit{}, nil
		})
		s := service(host("web1"), "load")
		b := start(t, checker.Options{Runner: run}, s)
		time.Sleep(5 * time.Minute)
		if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Recheck, Key: s.Key}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if n := ordered.Load(); n != 1 {
			t.Errorf("%d checks ran as ordered, want 1", n)
		}
	})
}

func TestSubmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "backup")
		s.Passive, s.Argv, s.MaxAttempts = true, nil, 1
		b := start(t, checker.Options{Runner: says(0, "never")}, s)
		time.Sleep(time.Hour)
		if e := b.head(s.Key); e != nil {
			t.Errorf("a passive service was run: %+v", e)
		}
		slow := alf.Command{Verb: alf.Submit, Key: s.Key, Time: time.Now(), ReturnCode: 1, Output: "slow|took=9s"}
		id, err := b.Submit(t.Context(), slow)
		if err != nil || id == 0 {
			t.Fatalf("Submit = %d, %v", id, err)
		}
		if e := b.head(s.Key); e.ID != id || e.State.Status != alf.Warning || e.State.Type != alf.Hard ||
			e.Result.Output != "slow" || e.Result.PerfdataText != "took=9s" || e.Result.Source != alf.Passive {
			t.Errorf("head %+v, %+v", e, e.Result)
		}
		for code, want := range map[int]string{0: "(No output returned from plugin)", 7: "(Return code of 7 is out of bounds)"} {
			if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Submit, Key: s.Key, Time: time.Now(), ReturnCode: code}); err != nil {
				t.Fatal(err)
			}
			if got := b.head(s.Key).Result.Output; got != want {
				t.Errorf("code %d: output %q, want %q", code, got, want)
			}
		}
		_, err = b.Submit(t.Context(), alf.Command{Verb: alf.Recheck, Key: s.Key})
		if err == nil {
			t.Error("a recheck of a passive service went through")
		}
		_, err = b.Submit(t.Context(), alf.Command{Verb: alf.Submit, Key: alf.Key{Host: "nobody"}})
		if !errors.Is(err, checker.ErrUnknownKey) {
			t.Errorf("Submit for nobody = %v", err)
		}
		b.stop()
		if _, err = b.Submit(t.Context(), alf.Command{Verb: alf.Recheck, Key: s.Key}); !errors.Is(err, checker.ErrStopped) {
			t.Errorf("Submit after the end = %v", err)
		}
	})
}

// TestReload: what stays keeps its slot and its attempts.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host("web1")
		stays, goes, comes := service(h, "stays"), service(h, "goes"), service(h, "comes")
		b := start(t, checker.Options{Runner: says(2, "CRITICAL")}, stays, goes)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		next, was := b.head(stays.Key).NextCheck, b.head(stays.Key).State
		again, other := *stays, host("web1")
		again.Host, again.On = other, other
		again.MaxAttempts = 5
		comes.Host, comes.On = other, other
		d, err := b.Reload(t.Context(), inventory(&again, comes), "")
		if err != nil || d != (checker.Diff{Added: 1, Removed: 1, Changed: 1}) {
			t.Errorf("Reload = %v, %v", d, err)
		}
		synctest.Wait()
		if b.head(goes.Key) != nil {
			t.Error("what was removed still has a head")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		e := b.head(stays.Key)
		if e.State.Type != alf.Hard || e.State.Attempt != 5 || e.State.LastHardChange != was.LastHardChange {
			t.Errorf("after a reload %+v, was %+v", e.State, was)
		}
		if since := e.Result.Due.Sub(next); since%time.Minute != 0 {
			t.Errorf("its slot was shifted by %v", since%time.Minute)
		}
		if b.head(comes.Key) == nil {
			t.Error("what was added did not run within its interval")
		}
		if b.head(goes.Key) != nil {
			t.Error("what was removed ran again")
		}
		if d, _ := b.Reload(t.Context(), inventory(&again, comes), ""); d != (checker.Diff{Kept: 2}) {
			t.Errorf("the same again: %v", d)
		}
	})
}

// TestReloadWhileRunning: a busy service that leaves, or moves elsewhere,
// leaves its place free and no result behind.
func TestReloadWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := answering(func(context.Context, alf.Execution) (alf.Exit, error) {
			time.Sleep(30 * time.Second)
			return alf.Exit{}, nil
		})
		h := host("web1")
		moves, goes := service(h, "moves"), service(h, "goes")
		b := start(t, checker.Options{Runner: run, MaxPerHost: 1}, moves, goes)
		for b.Stats().Running+b.Stats().Waiting < 2 {
			time.Sleep(time.Second)
		}
		moved := *moves
		moved.On = host("web2")
		if _, err := b.Reload(t.Context(), inventory(&moved), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if b.head(goes.Key) != nil {
			t.Error("a result was recorded for what is gone")
		}
		if n := len(b.last(moved.Key)); n < 4 {
			t.Errorf("what moved ran %d times in 5 minutes", n)
		}
		b.stop()
		if s := b.Stats(); s.Running != 0 {
			t.Errorf("stats at the end: %+v", s)
		}
	})
}

// broken is a record that can be made to fail.
type broken struct {
	state.Recorder
	mu  sync.Mutex
	err error
}

func (b *broken) set(err error) { b.mu.Lock(); b.err = err; b.mu.Unlock() }

func (b *broken) Append(ctx context.Context, events []*alf.Event) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Recorder.Append(ctx, events)
}

// TestRecordFails: nothing that was judged is lost, readiness tells, and it
// goes on by itself.
func TestRecordFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := memory.New(memory.Options{History: 1000})
		disk := &broken{Recorder: record}
		s := service(host("web1"), "load")
		b := start(t, checker.Options{Runner: says(0, "OK"), Record: disk}, s)
		b.record = record
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		before := len(b.last(s.Key))
		disk.set(errors.New("no space left on device"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("Ready = %v", err)
		}
		if n := len(b.last(s.Key)); n != before {
			t.Errorf("%d results while the record fails, want %d", n, before)
		}
		if st := b.Stats(); st.Queued != 10 || st.Refused < 10 {
			t.Errorf("stats %+v, want 10 queued", st)
		}
		disk.set(nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if err := b.Ready(); err != nil {
			t.Errorf("Ready = %v once it works again", err)
		}
		if n := len(b.last(s.Key)); n < before+10 {
			t.Errorf("%d results, want the %d that had waited, too", n, before+10)
		}
	})
}

// TestFullQueue: when as many results wait as Alf will hold, no check starts any
// more and none is taken from others.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := memory.New(memory.Options{})
		disk := &broken{Recorder: record, err: errors.New("no space left on device")}
		var all []*alf.Service
		for i := range 200 {
			s := service(host(fmt.Sprint("h", i)), "load")
			s.Interval = time.Second
			all = append(all, s)
		}
		b := start(t, checker.Options{Runner: says(0, "OK"), Record: disk}, all...)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		full := b.Stats()
		if full.Queued < 20_000 || full.Queued > 20_300 {
			t.Errorf("%d results wait, want about 20,000", full.Queued)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if now := b.Stats(); now.Started != full.Started {
			t.Errorf("%d checks were started though the queue is full", now.Started-full.Started)
		}
		_, err := b.Submit(t.Context(), alf.Command{Verb: alf.Submit, Key: all[0].Key, Time: time.Now()})
		if !errors.Is(err, checker.ErrFull) {
			t.Errorf("Submit = %v, want ErrFull", err)
		}
		disk.set(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if now := b.Stats(); now.Queued != 0 || now.Started == full.Started {
			t.Errorf("once the record works: %+v", now)
		}
	})
}

// TestLostAtTheEnd: the log says how many results never became durable.
func TestLostAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		disk := &broken{Recorder: memory.New(memory.Options{}), err: errors.New("no space left on device")}
		b := start(t, checker.Options{Runner: says(0, "OK"), Record: disk, Log: slog.New(slog.NewTextHandler(&log, nil))}, service(host("web1"), "load"))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		waiting := b.Stats().Queued
		b.stop()
		if want := fmt.Sprint(" events=", waiting); !strings.Contains(log.String(), "is lost") || !strings.Contains(log.String(), want) {
			t.Errorf("%s\nwant%s that are lost", log.String(), want)
		}
	})
}

// TestStop: running checks get a moment, then are called off and leave no result.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := answering(func(ctx context.Context, e alf.Execution) (alf.Exit, error) {
			if e.Argv[0] == "check_quick" {
				time.Sleep(300 * time.Millisecond)
				return alf.Exit{}, nil
			}
			<-ctx.Done()
			return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Err: ctx.Err()}
		})
		h := host("web1")
		quick, slow := service(h, "quick"), service(h, "slow")
		b := start(t, checker.Options{Runner: run}, quick, slow)
		for b.Stats().Running < 1 {
			time.Sleep(time.Second)
		}
		for _, s := range []*alf.Service{quick, slow} {
			if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Recheck, Key: s.Key}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		began := time.Now()
		b.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("stopping took %v", took)
		}
		if b.head(quick.Key).Result == nil || b.head(slow.Key).Result != nil {
			t.Errorf("heads %v and %v, want a result of the quick one only", b.head(quick.Key), b.head(slow.Key))
		}
	})
}

// TestLogOfWhatWasDone: the log says when Alf ran and who did what.
func TestLogOfWhatWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "load")
		b := start(t, checker.Options{Runner: says(2, "CRITICAL"), Version: "v1"}, s)
		time.Sleep(10 * time.Minute)
		if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Recheck, Key: s.Key, Author: "me"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := b.Reload(t.Context(), inventory(s, service(s.Host, "disk")), "you"); err != nil {
			t.Fatal(err)
		}
		b.stop()
		var got []string
		for e, err := range b.record.Entries(t.Context(), state.Scope{}, time.Time{}, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimSpace(strings.Join([]string{e.Kind.String(), e.Change.String(), e.State.Type.String(), e.Author, e.Text}, " ")))
		}
		want := []string{
			"daemon  SOFT  started v1",
			"result status,type SOFT", "result  SOFT", "result type,hard HARD",
			"command  HARD me recheck",
			"daemon  SOFT you configuration: 1 added, 0 removed, 0 changed, 1 kept",
			"daemon  SOFT  stopped",
		}
		if !slices.Equal(got, want) {
			t.Errorf("the log = %q, want %q", got, want)
		}
	})
}

// TestRestart: what the record knows is where the next Alf begins.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, gone := service(host("web1"), "load"), service(host("web2"), "load")
		first := start(t, checker.Options{Runner: says(2, "CRITICAL")}, s, gone)
		time.Sleep(70 * time.Second)
		first.stop()
		was := first.head(s.Key)
		c := checker.New(checker.Options{Runner: says(2, "CRITICAL"), Record: first.record, Reader: first.record}, inventory(s))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		e := first.head(s.Key)
		if e.State.Attempt != 3 || e.State.Type != alf.Hard || e.State.LastChange != was.State.LastChange {
			t.Errorf("after a restart %+v, was %+v", e.State, was.State)
		}
		if first.head(gone.Key) != nil {
			t.Error("what left the configuration meanwhile still has a head")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestRestartWithAllOverdue starts Alf when each of 100,000 services was due
// while it was down: they run soon, evenly spread, and within the bounds.
func TestRestartWithAllOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hosts, perHost = 10_000, 10
		intervals := []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}
		record := memory.New(memory.Options{Feed: 1})
		planned, ended := time.Now(), time.Now().Add(-time.Minute)
		var all []*alf.Service
		var known []*alf.Event
		var down []*alf.Host
		for i := range hosts {
			h := host(fmt.Sprint("h", i))
			down = append(down, h)
			for n := range perHost {
				s := service(h, fmt.Sprint("check ", n))
				s.Interval = intervals[(i+n)%len(intervals)]
				all = append(all, s)
				known = append(known, &alf.Event{Key: s.Key, Time: ended, NextCheck: planned, Interval: s.Interval,
					State:  alf.State{Status: alf.OK, Type: alf.Hard, Attempt: 1, MaxAttempts: 3, LastCheck: ended},
					Result: &alf.Result{Start: ended, End: ended}})
			}
		}
		if err := record.Append(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8*time.Hour + 3*time.Second)
		run := answering(func(context.Context, alf.Execution) (alf.Exit, error) {
			time.Sleep(300 * time.Millisecond)
			return alf.Exit{}, nil
		})
		c := checker.New(checker.Options{Runner: run, Record: record, Reader: record, MaxConcurrent: 150, MaxPerHost: 3}, alf.NewInventory(down, all))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		began := time.Now()
		go func() { done <- c.Run(ctx) }()
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		perTenSeconds := make([]int, 31)
		for _, at := range run.starts {
			perTenSeconds[at.Sub(began)/(10*time.Second)]++
		}
		for i, n := range perTenSeconds[:30] {
			if want := len(all) / 30; n < want*8/10 || n > want*12/10 {
				t.Errorf("%d checks started in the ten seconds from %ds on, want about %d", n, 10*i, want)
			}
		}
		if n := len(run.starts); n < len(all) {
			t.Errorf("%d of %d ran within five minutes", n, len(all))
		}
		most := 0
		for where, n := range run.most {
			if where != "all" {
				most = max(most, n)
			}
		}
		if run.most["all"] > 150 || most > 3 {
			t.Errorf("%d ran at a time, and %d on one host; the bounds are 150 and 3", run.most["all"], most)
		}
	})
}

// TestClockWasSet starts Alf with what it knows being of a time that is to come,
// or long past: checks run when they are due now, and results count in the order
// in which they came.
func TestClockWasSet(t *testing.T) {
	for name, jump := range map[string]time.Duration{"Back": -10 * time.Hour, "Forward": 10 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				record := memory.New(memory.Options{History: 1000})
				s := service(host("web1"), "load")
				then := time.Now().Add(-jump)
				e := &alf.Event{Key: s.Key, Kind: alf.KindResult, Time: then, NextCheck: then.Add(20 * time.Second), Interval: s.Interval,
					State:  alf.State{Status: alf.Critical, Type: alf.Soft, Attempt: 1, MaxAttempts: 3, LastCheck: then, LastChange: then},
					Result: &alf.Result{Status: alf.Critical, ReturnCode: 2, Start: then, End: then}}
				if err := record.Append(t.Context(), []*alf.Event{e}); err != nil {
					t.Fatal(err)
				}
				c := checker.New(checker.Options{Runner: says(2, "CRITICAL"), Record: record, Reader: record}, inventory(s))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- c.Run(ctx) }()
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				b := &bench{Checker: c, record: record}
				all, head := b.last(s.Key), b.head(s.Key)
				if len(all) < 3 || len(all) > 5 || head.ID != all[len(all)-1].ID {
					t.Errorf("%d results in two minutes, the newest is %d, the head %d", len(all), all[len(all)-1].ID, head.ID)
				}
				if st := head.State; st.Attempt != 3 || st.Type != alf.Hard || st.LastCheck.Before(then) != (jump < 0) {
					t.Errorf("the state is %+v", st)
				}
				if n := c.Stats().Missed; n != 0 {
					t.Errorf("%d slots count as missed", n)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := service(host("web1"), "load")
		b := start(t, checker.Options{Runner: says(2, "CRITICAL"), Log: slog.New(slog.NewTextHandler(&log, nil))}, s)
		time.Sleep(10 * time.Minute)
		b.stop()
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines for SOFT and HARD, want 2:\n%s", n, log.String())
		}
	})
}
