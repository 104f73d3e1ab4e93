package checker_test

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/api/wire"
	"alf/checker"
	"alf/sinks"
	"alf/state"
	"alf/state/memory"
)

// world is a runner whose plugins say what the test wants at the moment: of each
// host or service a return code.
type world struct {
	mu    sync.Mutex
	codes map[string]int // by the plugin's name; 0 if there is none
	runs  map[string]int
}

func newWorld() *world { return &world{codes: map[string]int{}, runs: map[string]int{}} }

func (w *world) set(name string, code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codes[name] = code
}

func (w *world) count(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs[name]
}

func (w *world) runner() *fake {
	return answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		name := e.Argv[0]
		w.runs[name]++
		return alf.Exit{Code: w.codes[name]}, nil
	})
}

// own returns the own check of a host: a plugin that is called check_ and the
// host's name, seldom run.
func own(h *alf.Host) *alf.Service {
	s := service(h, string(h.Name))
	s.Key.Service, s.On = "", nil
	s.Interval, s.MaxAttempts = 24*time.Hour, 1
	return s
}

func (b *bench) status(t *testing.T, s *alf.Service) string {
	t.Helper()
	e := b.head(s.Key)
	if e == nil {
		return "PENDING"
	}
	return s.Key.StatusName(e.State.Status) + " " + e.State.Type.String()
}

// TestHostIsAskedForAProblem is RULES R11: a problem of a service that is new
// has its host checked, and so does an answer of a host that is not UP.
func TestHostIsAskedForAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWorld(), host("web1")
		self, s := own(h), service(h, "load")
		b := start(t, checker.Options{Runner: w.runner()}, self, s)
		time.Sleep(10 * time.Minute)
		if n := w.count("check_web1"); n != 1 {
			t.Fatalf("the host was checked %d times, want once", n)
		}
		w.set("check_load", 2)
		w.set("check_web1", 2)
		time.Sleep(2 * time.Minute)
		if got := b.status(t, self); got != "DOWN HARD" {
			t.Errorf("the host is %s, want DOWN", got)
		}
		e := b.head(s.Key)
		if e.State.Type != alf.Hard || !e.State.HostProblem {
			t.Errorf("the service is %+v, want HARD, for its host is DOWN (R10)", e.State)
		}
		w.set("check_load", 0)
		w.set("check_web1", 0)
		time.Sleep(3 * time.Minute)
		if got := b.status(t, self); got != "UP HARD" {
			t.Errorf("the host is %s, want UP", got)
		}
	})
}

// TestUnreachable is RULES H2 and H3: when a router dies, what is behind it is
// checked at once and found UNREACHABLE, and comes back with it.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, router, web := newWorld(), host("router"), host("web1")
		web.Parents = []alf.HostName{"router"}
		up, behind := own(router), own(web)
		b := start(t, checker.Options{Runner: w.runner()}, up, behind)
		time.Sleep(10 * time.Minute)
		w.set("check_router", 2)
		w.set("check_web1", 2)
		if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Recheck, Key: behind.Key}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if a, c := b.status(t, up), b.status(t, behind); a != "DOWN HARD" || c != "UNREACHABLE HARD" {
			t.Errorf("%s and %s, want DOWN and UNREACHABLE", a, c)
		}
		w.set("check_router", 0)
		w.set("check_web1", 0)
		if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Recheck, Key: up.Key}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if a, c := b.status(t, up), b.status(t, behind); a != "UP HARD" || c != "UP HARD" {
			t.Errorf("%s and %s, want UP", a, c)
		}
	})
}

func (b *bench) order(t *testing.T, c alf.Command) {
	t.Helper()
	c.Time = time.Now()
	if _, err := b.Submit(t.Context(), c); err != nil {
		t.Fatalf("%v: %v", c.Verb, err)
	}
}

// log returns what the log says of a key: what changed, when, and who ordered it.
func (b *bench) log(t *testing.T, key alf.Key, began time.Time) []string {
	t.Helper()
	var out []string
	for e, err := range b.record.Entries(t.Context(), state.Scope{Key: key}, began, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSpace(e.Time.Sub(began).String()+" "+e.Kind.String()+" "+e.Change.String()+" "+e.Author))
	}
	return out
}

// TestOrders: what people order is in the log and survives a restart, and time
// ends it.
func TestOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "load")
		b := start(t, checker.Options{Runner: says(2, "CRITICAL")}, s)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		began := time.Now()
		b.order(t, alf.Command{Verb: alf.Acknowledge, Key: s.Key, ID: "1", Author: "me", Text: "mine", Sticky: true, Expires: began.Add(2 * time.Hour)})
		b.order(t, alf.Command{Verb: alf.ScheduleDowntime, Key: s.Key, ID: "2", Author: "me", Start: began.Add(time.Hour), End: began.Add(3 * time.Hour)})
		b.order(t, alf.Command{Verb: alf.AddComment, Key: s.Key, ID: "3", Author: "you", Text: "hello"})
		b.order(t, alf.Command{Verb: alf.AddComment, Key: s.Key, ID: "3", Author: "you", Text: "hello"})
		time.Sleep(90 * time.Minute)
		b.stop()

		o := checker.Options{Runner: says(2, "CRITICAL"), Record: b.record, Reader: b.record}
		again := checker.New(o, inventory(s))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- again.Run(ctx) }()
		synctest.Wait()
		st := b.head(s.Key).State
		if st.Ack == nil || st.DowntimeDepth() != 1 || len(st.Comments) != 1 || st.Attempt != 3 {
			t.Errorf("after a restart: %+v", st)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		want := []string{
			"0s command acknowledged me", "0s command downtime planned me", "0s command comment you",
			"1h0m0s tick downtime", "2h0m0s tick unacknowledged", "3h0m0s tick downtime end",
		}
		if got := b.log(t, s.Key, began); !slices.Equal(got, want) {
			t.Errorf("the log = %q, want %q", got, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestTrigger: a downtime begins with another one.
func TestTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host("web1")
		first, second := service(h, "one"), service(h, "two")
		b := start(t, checker.Options{Runner: says(0, "OK")}, first, second)
		began := time.Now()
		b.order(t, alf.Command{Verb: alf.ScheduleDowntime, Key: second.Key, ID: "b", Trigger: "a", Start: began, End: began.Add(5 * time.Hour), Duration: time.Hour})
		b.order(t, alf.Command{Verb: alf.ScheduleDowntime, Key: first.Key, ID: "a", Start: began.Add(time.Hour), End: began.Add(3 * time.Hour)})
		time.Sleep(6 * time.Hour)
		var got []string
		for _, line := range b.log(t, second.Key, began) {
			if strings.Contains(line, "downtime") {
				got = append(got, line)
			}
		}
		want := []string{"0s command downtime planned", "1h0m0s tick downtime", "2h0m0s tick downtime end"}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestSwitches: what is switched off is not done, but for an order.
func TestSwitches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWorld(), host("web1")
		s := service(h, "load")
		b := start(t, checker.Options{Runner: w.runner()}, s)
		time.Sleep(10 * time.Minute)
		b.order(t, alf.Command{Verb: alf.SwitchOff, Key: s.Key, Switch: alf.SwitchChecks | alf.SwitchPassive})
		if at := b.head(s.Key).NextCheck; !at.IsZero() {
			t.Errorf("switched off, and the next check is at %v", at)
		}
		was := w.count("check_load")
		time.Sleep(time.Hour)
		if n := w.count("check_load") - was; n != 0 || !b.head(s.Key).State.Stale.IsZero() {
			t.Errorf("%d runs, stale %+v", n, b.head(s.Key).State.Stale)
		}
		if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.Submit, Key: s.Key, Time: time.Now()}); !errors.Is(err, checker.ErrSwitchedOff) {
			t.Errorf("a result that is not wanted: %v", err)
		}
		b.order(t, alf.Command{Verb: alf.Recheck, Key: s.Key})
		time.Sleep(time.Hour)
		if n := w.count("check_load") - was; n != 1 {
			t.Errorf("%d runs after an order, want 1", n)
		}
		b.order(t, alf.Command{Verb: alf.SwitchOn, Key: s.Key, Switch: alf.SwitchChecks})
		time.Sleep(10 * time.Minute)
		if n := w.count("check_load") - was; n < 9 {
			t.Errorf("%d runs after it was switched on", n)
		}
	})
}

// TestFreshness: results that stop coming are a problem (RULES N27).
func TestFreshness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "load")
		s.Passive, s.Freshness = true, 30*time.Minute
		b := start(t, checker.Options{Runner: says(0, "OK")}, s)
		b.order(t, alf.Command{Verb: alf.Submit, Key: s.Key, Output: "OK"})
		time.Sleep(29 * time.Minute)
		if got := b.status(t, s); got != "OK HARD" {
			t.Errorf("after 29 minutes: %s", got)
		}
		time.Sleep(2 * time.Minute)
		if got := b.status(t, s); got != "UNKNOWN SOFT" {
			t.Errorf("after 31 minutes: %s", got)
		}
		time.Sleep(2 * time.Hour)
		if got := b.status(t, s); got != "UNKNOWN HARD" {
			t.Errorf("after two hours more: %s", got)
		}
	})
}

// TestFreshnessIsShown: what people and metrics see of a result that did not come
// is that, not what the last one said.
func TestFreshnessIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, never := service(host("web1"), "backup"), service(host("web1"), "never")
		never.Host, never.On = s.Host, s.Host
		for _, s := range []*alf.Service{s, never} {
			s.Passive, s.Freshness, s.MaxAttempts = true, 10*time.Second, 1
		}
		b := start(t, checker.Options{Runner: says(0, "OK")}, s, never)
		b.order(t, alf.Command{Verb: alf.Submit, Key: s.Key, Output: "OK - backup done|size=5GB\nall of it"})
		time.Sleep(11 * time.Second)
		for _, s := range []*alf.Service{s, never} {
			head := b.head(s.Key)
			got := wire.NewService(s, head)
			if got.State != "UNKNOWN" || got.Output != "No result for 10s" || len(got.Perfdata) != 0 || got.LongOutput != "" {
				t.Errorf("%v is shown as %s: %q, %q, %v", s.Key, got.State, got.Output, got.LongOutput, got.Perfdata)
			}
			metrics := httptest.NewRecorder()
			sinks.NewPrometheus("1", func() iter.Seq[*alf.Event] { return slices.Values([]*alf.Event{head}) }).
				ServeHTTP(metrics, httptest.NewRequest("GET", "/metrics", nil))
			if body := metrics.Body.String(); strings.Contains(body, "alf_perfdata_value{") {
				t.Errorf("%v still has perfdata in metrics: %s", s.Key, body)
			}
			entries, err := b.record.At(t.Context(), time.Now(), s.Key)
			if err != nil || entries[0].State.Output != "No result for 10s" {
				t.Errorf("the log says %+v, %v", entries, err)
			}
		}
		if n := len(b.last(s.Key)); n != 1 {
			t.Errorf("%d results, want the one that came", n)
		}
		b.order(t, alf.Command{Verb: alf.Submit, Key: s.Key, Output: "OK - again|size=6GB"})
		if got := wire.NewService(s, b.head(s.Key)); got.Output != "OK - again" || len(got.Perfdata) != 1 {
			t.Errorf("when it comes again: %q, %v", got.Output, got.Perfdata)
		}
	})
}

// TestLogHasNews: what is as it was does not fill the log, however often time or a
// dead link says so.
func TestLogHasNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost atomic.Bool
		runner := answering(func(context.Context, alf.Execution) (alf.Exit, error) {
			if lost.Load() {
				return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Err: errors.New("no route")}
			}
			return alf.Exit{Code: 2}, nil
		})
		old, retried := service(host("web1"), "old"), service(host("web2"), "retried")
		old.Passive, old.Freshness = true, 10*time.Second
		retried.MaxAttempts = 10
		b := start(t, checker.Options{Runner: runner}, old, retried)
		began := time.Now()
		time.Sleep(90 * time.Second)
		lost.Store(true)
		time.Sleep(time.Hour)
		want := []string{"10s tick status,type", "20s tick", "30s tick type,hard"}
		if got := b.log(t, old.Key, began); !slices.Equal(got, want) {
			t.Errorf("what gets no result: %q, want %q", got, want)
		}
		attempt := b.head(retried.Key).State.Attempt
		got := b.log(t, retried.Key, began)
		if len(got) != attempt+1 || !strings.HasSuffix(got[attempt], "result stale") {
			t.Errorf("at attempt %d when the link was lost: %q", attempt, got)
		}
	})
}

// TestFreshnessWaitsForARun: while a check runs, its last result is not too old,
// for the next one is under way.
func TestFreshnessWaitsForARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		runner := answering(func(ctx context.Context, _ alf.Execution) (alf.Exit, error) {
			if hangs.Load() {
				<-ctx.Done()
				return alf.Exit{}, ctx.Err()
			}
			time.Sleep(9 * time.Second)
			return alf.Exit{}, nil
		})
		s := service(host("web1"), "slow")
		s.Interval, s.Freshness, s.MaxAttempts = 2*time.Second, 6*time.Second, 1
		b := start(t, checker.Options{Runner: runner}, s)
		began := time.Now()
		time.Sleep(10 * time.Second)
		b.order(t, alf.Command{Verb: alf.ScheduleDowntime, Key: s.Key, ID: "d", Start: time.Now(), End: time.Now().Add(7 * time.Second)})
		time.Sleep(5 * time.Minute)
		for _, line := range b.log(t, s.Key, began) {
			if strings.Contains(line, "tick") && !strings.HasSuffix(line, "tick downtime end") {
				t.Errorf("too old while it was run: %s", line)
			}
		}
		if e := b.head(s.Key); e.State.Status != alf.OK || len(e.State.Downtimes) != 0 {
			t.Errorf("in the end: %+v", e.State)
		}
		// What is not run any more does become too old.
		b.order(t, alf.Command{Verb: alf.SwitchOff, Key: s.Key, Switch: alf.SwitchChecks})
		time.Sleep(30 * time.Second)
		if got := b.status(t, s); got != "UNKNOWN HARD" {
			t.Errorf("switched off for 30 s: %s", got)
		}
		hangs.Store(true)
		b.order(t, alf.Command{Verb: alf.SwitchOn, Key: s.Key, Switch: alf.SwitchChecks})
		time.Sleep(3 * time.Minute)
		if got := b.status(t, s); got != "CRITICAL HARD" && got != "UNKNOWN HARD" {
			t.Errorf("run until its timeout: %s", got)
		}
	})
}

// TestOrderBeforeTheFirstResult: what is ordered for something that nobody has
// checked yet stands.
func TestOrderBeforeTheFirstResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host("web1")
		s := service(h, "load")
		s.Passive = true
		b := start(t, checker.Options{Runner: says(0, "OK")}, own(h), s)
		began := time.Now()
		b.order(t, alf.Command{Verb: alf.ScheduleDowntime, Key: s.Key, ID: "a", Start: began, End: began.Add(time.Hour)})
		b.order(t, alf.Command{Verb: alf.AddComment, Key: s.Key, ID: "b", Text: "new"})
		time.Sleep(2 * time.Hour)
		if st := b.head(s.Key).State; !st.Pending() || len(st.Downtimes) != 0 || len(st.Comments) != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestLaterDowntime: who is added gets the downtimes that are for those who come
// later, too, also when Alf did not run meanwhile; one that waits for another one
// does not wait for what has begun.
func TestLaterDowntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, third := own(host("web1")), own(host("web2")), own(host("web3"))
		b := start(t, checker.Options{Runner: says(0, "OK")}, first)
		time.Sleep(10 * time.Minute)
		now := time.Now()
		plan := alf.Command{Verb: alf.ScheduleDowntime, Key: first.Key, ID: "b", Trigger: "a", Start: now, End: now.Add(5 * time.Hour), For: alf.Selector{Hosts: []string{"web*"}}}
		b.order(t, plan)
		plan.ID, plan.Trigger = "a", ""
		b.order(t, plan)
		if _, err := b.Reload(t.Context(), inventory(first, second), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if st := b.head(second.Key).State; st.DowntimeDepth() != 2 {
			t.Errorf("added by a reload: %+v", st.Downtimes)
		}
		b.stop()

		again := checker.New(checker.Options{Runner: says(0, "OK"), Record: b.record, Reader: b.record}, inventory(first, second, third))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- again.Run(ctx) }()
		time.Sleep(time.Minute)
		if st := b.head(third.Key).State; st.DowntimeDepth() != 2 {
			t.Errorf("added before a start: %+v", st.Downtimes)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// batches is a record that counts how often events come, one or many.
type batches struct {
	state.Recorder
	mu sync.Mutex
	n  int
}

func (b *batches) Append(ctx context.Context, events []*alf.Event) error {
	b.mu.Lock()
	b.n++
	b.mu.Unlock()
	time.Sleep(time.Millisecond) // a disk
	return b.Recorder.Append(ctx, events)
}

func (b *batches) writes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// TestOrdersAreRecordedTogether: many orders at a time cost few writes.
func TestOrdersAreRecordedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(host("web1"), "load")
		r := &batches{Recorder: memory.New(memory.Options{})}
		b := start(t, checker.Options{Runner: says(0, "OK"), Record: r}, s)
		synctest.Wait()
		was := r.writes()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := b.Submit(t.Context(), alf.Command{Verb: alf.AddComment, Key: s.Key, ID: rand.Text(), Text: "x"}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := r.writes() - was; n > 20 {
			t.Errorf("100 orders at once were recorded in %d writes", n)
		}
	})
}
