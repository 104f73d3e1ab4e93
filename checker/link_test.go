package checker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/checker"
	"alf/runner"
	"alf/state/view"
)

// pinged is the host check that is a plugin beside Alf.
const pinged = ""

// site is a host with services that run over its link, which may be lost.
type site struct {
	*bench
	all      []*alf.Service
	own      *alf.Service
	link     *alf.Service // what the link judges: own, or the service beside it
	services []*alf.Service

	mu   sync.Mutex
	lost alf.Cause // why nothing runs over the link
	down bool      // the host answers no ping
	code int       // of every plugin on the host
}

// newSite returns a site with n services, whose host is checked as builtin says.
func newSite(builtin string, n int) *site {
	h := host("web1")
	own := service(h, "ping")
	own.Key.Service, own.On, own.Builtin = "", nil, builtin
	link := service(h, string(alf.LinkService))
	link.Builtin = alf.CheckSSH
	if builtin == alf.CheckSSH {
		own.On, link = h, own
	}
	s := &site{own: own, link: link, all: []*alf.Service{own}}
	if link != own {
		s.all = append(s.all, link)
	}
	for i := range n {
		s.services = append(s.services, service(h, fmt.Sprint("s", i)))
	}
	s.all = append(s.all, s.services...)
	return s
}

func (s *site) start(t *testing.T, o checker.Options) {
	if o.Runner == nil {
		o.Runner = answering(s.run)
	}
	s.bench = start(t, o, s.all...)
}

func (s *site) run(_ context.Context, e alf.Execution) (alf.Exit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.Host == nil && s.down:
		return alf.Exit{Code: 2}, nil
	case e.Host == nil:
		return alf.Exit{}, nil
	case s.lost != alf.CausePlugin:
		return alf.Exit{}, &alf.RunError{Cause: s.lost, Err: errors.New("no link")}
	}
	return alf.Exit{Code: s.code}, nil
}

// become changes the world.
func (s *site) become(lost alf.Cause, down bool, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost, s.down, s.code = lost, down, code
}

// query returns what the API answers from.
func (s *site) query(t *testing.T) api.Query {
	t.Helper()
	v := view.New()
	if err := v.Load(t.Context(), s.record); err != nil {
		t.Fatal(err)
	}
	return api.Query{View: v, Inventory: func() *alf.Inventory { return inventory(s.all...) }}
}

// problems returns the names of what people should look at.
func (s *site) problems(t *testing.T) []string {
	t.Helper()
	q := s.query(t)
	var names []string
	for _, r := range q.Problems(wire.Filter{}) {
		names = append(names, r.Key().String())
	}
	if n := q.Counts().Problems; n != len(names) {
		t.Errorf("%d problems are counted, of %q", n, names)
	}
	return names
}

// eachHostCheck runs a test in fake time under each kind of host check.
func eachHostCheck(t *testing.T, n int, f func(t *testing.T, s *site)) {
	for name, builtin := range map[string]string{"ssh": alf.CheckSSH, "ping": pinged, "none": alf.CheckNone} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, newSite(builtin, n)) })
		})
	}
}

var linkCauses = []alf.Cause{alf.CauseTransport, alf.CauseAuth, alf.CauseHostKey}

// TestLinkSaysNothing is RULES T1: an acknowledged problem that loses and regains
// its link is the same acknowledged problem.
func TestLinkSaysNothing(t *testing.T) {
	eachHostCheck(t, 1, func(t *testing.T, s *site) {
		s.become(alf.CausePlugin, false, 2)
		s.start(t, checker.Options{})
		time.Sleep(10 * time.Minute)
		disk := s.services[0]
		s.order(t, alf.Command{Verb: alf.Acknowledge, Key: disk.Key, ID: "1", Author: "me"})
		was, seen := s.head(disk.Key).State, len(s.last(disk.Key))
		for _, cause := range linkCauses {
			s.become(cause, false, 2)
			time.Sleep(10 * time.Minute)
			if st := s.head(disk.Key).State; st.Stale.Cause != cause || st.Ack == nil || !st.Problem() {
				t.Errorf("%v: %+v, want an acknowledged problem that is stale", cause, st)
			}
			s.become(alf.CausePlugin, false, 2)
			time.Sleep(10 * time.Minute)
		}
		for _, e := range s.last(disk.Key)[seen:] {
			if e.Change&^(alf.ChangeStale|alf.ChangeFresh) != 0 {
				t.Errorf("%v: %v changed", e.Time, e.Change)
			}
		}
		now := s.head(disk.Key).State
		now.LastCheck = was.LastCheck
		if now.Ack == nil || now.HostProblem || !now.Stale.IsZero() || !now.LastHardChange.Equal(was.LastHardChange) || now.Attempt != was.Attempt {
			t.Errorf("it is %+v, want it as it was: %+v", now, was)
		}
		if got := s.problems(t); !slices.Equal(got, []string{disk.Key.String()}) {
			t.Errorf("problems %q", got)
		}
	})
}

// TestOneProblemOfOneLink: whatever is wrong with a link, and whatever else
// checks its host, 50 services make one problem, which the link's return ends.
func TestOneProblemOfOneLink(t *testing.T) {
	eachHostCheck(t, 50, func(t *testing.T, s *site) {
		s.start(t, checker.Options{})
		time.Sleep(10 * time.Minute)
		for _, cause := range linkCauses {
			s.become(cause, false, 0)
			time.Sleep(10 * time.Minute)
			if got := s.problems(t); !slices.Equal(got, []string{s.link.Key.String()}) {
				t.Errorf("%v: problems %q, want the link", cause, got)
			}
			if n := s.query(t).Counts().Stale; n < 50 {
				t.Errorf("%v: %d are stale, want all", cause, n)
			}
			s.become(alf.CausePlugin, false, 0)
			time.Sleep(10 * time.Minute)
			if got := s.problems(t); len(got) != 0 {
				t.Errorf("after %v: problems %q", cause, got)
			}
		}
	})
}

// TestHostDownByPing: of a host that is DOWN neither its link nor its services
// are another problem, and the services keep what they were.
func TestHostDownByPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(pinged, 50)
		s.start(t, checker.Options{})
		time.Sleep(10 * time.Minute)
		seen := len(s.last(s.services[0].Key))
		s.become(alf.CauseTransport, true, 0)
		time.Sleep(10 * time.Minute)
		if got := s.problems(t); !slices.Equal(got, []string{"web1"}) {
			t.Errorf("problems %q, want the host", got)
		}
		if st := s.head(s.link.Key).State; st.Status != alf.Critical || st.Type != alf.Hard || !st.HostProblem {
			t.Errorf("the link is %+v, want CRITICAL, for which its host is to blame", st)
		}
		for _, e := range s.last(s.services[0].Key)[seen:] {
			if e.Change&^alf.ChangeStale != 0 || e.State.Status != alf.OK {
				t.Errorf("a service: %v, %v", e.Change, e.State.Status)
			}
		}
		if r, _ := s.query(t).Row(s.services[0].Key); !r.HostProblem() {
			t.Error("its services do not show that the host is the problem")
		}
		s.become(alf.CausePlugin, false, 0)
		time.Sleep(10 * time.Minute)
		if got := s.problems(t); len(got) != 0 {
			t.Errorf("once it is back: problems %q", got)
		}
	})
}

// TestLinkIsAskedAtOnce: a service that loses or regains its link has that
// checked, however seldom it is due, also when it is a service of another host.
func TestLinkIsAskedAtOnce(t *testing.T) {
	eachHostCheck(t, 1, func(t *testing.T, s *site) {
		s.own.Interval, s.link.Interval, s.link.MaxAttempts = 24*time.Hour, 24*time.Hour, 1
		guest := service(host("web2"), "guest")
		guest.On = s.own.Host
		s.all[len(s.all)-1] = guest
		s.start(t, checker.Options{})
		time.Sleep(10 * time.Minute)
		for _, lost := range []alf.Cause{alf.CauseTransport, alf.CausePlugin} {
			s.become(lost, false, 0)
			time.Sleep(time.Minute + time.Second)
			if st := s.head(s.link.Key).State; st.Problem() != (lost != alf.CausePlugin) {
				t.Errorf("%v: the link is %+v", lost, st)
			}
			if got := s.problems(t); slices.Contains(got, guest.Key.String()) {
				t.Errorf("%v: problems %q", lost, got)
			}
		}
	})
}

// TestDeadHostIsNotHammered: 50 services and a host check that find no host make
// one attempt to connect at a time, ever more seldom.
func TestDeadHostIsNotHammered(t *testing.T) {
	eachHostCheck(t, 50, func(t *testing.T, s *site) {
		var mu sync.Mutex
		var dials, now, most int
		r, err := runner.New(runner.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			mu.Lock()
			dials, now = dials+1, now+1
			most = max(most, now)
			mu.Unlock()
			time.Sleep(3 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			now--
			return nil, errors.New("no route to host")
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		h := s.own.Host
		h.SSH = alf.SSH{Port: 22, User: "alf", Password: "x", KnownHosts: []string{"/dev/null"}, HostKeyPolicy: alf.HostKeyStrict}
		run := answering(func(ctx context.Context, e alf.Execution) (alf.Exit, error) {
			if e.Host == nil {
				return alf.Exit{}, nil
			}
			return r.Run(ctx, e)
		})
		s.start(t, checker.Options{Runner: run})
		time.Sleep(20 * time.Minute)
		s.stop()
		if total := r.Totals().Dials; most != 1 || dials < 10 || dials > 30 || total != uint64(dials) {
			t.Errorf("%d attempts to connect, %d at a time, Totals has %d; want one at a time, and about one a minute", dials, most, total)
		}
		if n := len(run.starts); n < 1000 {
			t.Errorf("only %d checks ran", n)
		}
	})
}

// TestHostDownNoChecks is RULES H5 as the vector host-down-no-checks has it: the
// services of a host that is DOWN are not run, nor late, and go on at their next
// turn once it is UP. An order is carried out.
func TestHostDownNoChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(pinged, 1)
		disk := s.services[0]
		disk.Interval, disk.Retry, disk.Timeout = 4*time.Second, 2*time.Second, time.Second
		s.own.Passive = true
		s.start(t, checker.Options{HostDownDisablesChecks: true})
		say := func(code int) {
			s.order(t, alf.Command{Verb: alf.Submit, Key: s.own.Key, ReturnCode: code, Output: "as told"})
		}
		time.Sleep(5 * time.Second)
		s.become(alf.CausePlugin, false, 2)
		say(1)
		was := len(s.last(disk.Key))
		time.Sleep(time.Hour)
		if st, n := s.head(disk.Key).State, len(s.last(disk.Key))-was; n != 0 || st.Status != alf.OK || !st.Stale.IsZero() {
			t.Errorf("while the host is DOWN there are %d events, and it is %+v", n, st)
		}
		say(0)
		time.Sleep(8*time.Second + 100*time.Millisecond)
		if st := s.head(disk.Key).State; st.Status != alf.Critical || st.Attempt != 3 || st.HostProblem {
			t.Errorf("once the host is UP, it is %+v, want CRITICAL 3", st)
		}
		say(1)
		s.become(alf.CausePlugin, false, 0)
		s.order(t, alf.Command{Verb: alf.Recheck, Key: disk.Key})
		time.Sleep(time.Second)
		if st := s.head(disk.Key).State; st.Status != alf.OK {
			t.Errorf("ordered while the host is DOWN, it is %+v, want OK", st)
		}
	})
}

// TestHostDownNoChecksIsNotLate: what was not run is not late either when its
// host is back.
func TestHostDownNoChecksIsNotLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(pinged, 1)
		s.start(t, checker.Options{HostDownDisablesChecks: true})
		time.Sleep(10 * time.Minute)
		s.become(alf.CausePlugin, true, 0)
		time.Sleep(time.Hour)
		if got := s.status(t, s.own); got != "DOWN HARD" {
			t.Errorf("the host is %s, want DOWN", got)
		}
		was := len(s.last(s.services[0].Key))
		time.Sleep(time.Hour)
		if n := len(s.last(s.services[0].Key)) - was; n != 0 {
			t.Errorf("%d events of a service whose host is DOWN", n)
		}
		s.become(alf.CausePlugin, false, 0)
		time.Sleep(time.Hour)
		for _, e := range s.last(s.services[0].Key) {
			if e.Change.Has(alf.ChangeStale) {
				t.Errorf("at %v it is %+v", e.Time, e.State.Stale)
			}
		}
	})
}
