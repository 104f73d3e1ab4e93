package actions

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"alf"
)

// TestTry: a test goes out beside what waits, is marked, and leaves no trace.
func TestTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, everything("chat"))
		var tests []*alf.Notification
		var fails error
		wait := make(chan struct{})
		close(wait)
		s.start(map[string]alf.Action{"chat": actionFunc(func(_ context.Context, m *alf.Message) error {
			if !m.Notification.Test {
				return errors.New("down")
			}
			<-wait
			tests = append(tests, m.Notification)
			m.Answered("so it is")
			return fails
		})})
		defer func() { s.stop() }()
		s.result(disk, alf.Warning)
		before := s.room.Stats()["chat"]
		try := func(key alf.Key, kind alf.NotificationType) *Tried {
			t.Helper()
			out, err := s.room.Try(t.Context(), Trial{Action: "chat", Key: key, Type: kind, Author: "ann"})
			if err != nil || out.Answer != "so it is" {
				t.Fatalf("Try = %+v, %v", out, err)
			}
			return out
		}
		for _, c := range []struct {
			key   alf.Key
			kind  alf.NotificationType
			state string
		}{
			{disk, alf.TypeProblem, "WARNING"}, // as it is
			{disk, alf.TypeRecovery, "OK"},
			{alf.Key{Host: "web1", Service: "load"}, alf.TypeProblem, "CRITICAL"},
			{alf.Key{Host: "web1"}, alf.TypeProblem, "DOWN"},
			{alf.Key{}, alf.TypeProblem, "CRITICAL"},
		} {
			if out := try(c.key, c.kind); out.Err != nil {
				t.Errorf("%v: %v", c.key, out.Err)
			}
			n := tests[len(tests)-1]
			if n.State() != c.state || n.Type != c.kind || n.StateType != alf.Hard || !strings.Contains(n.Output, "test by ann") || !strings.HasPrefix(headline(n), "TEST: ") || c.key != (alf.Key{}) && n.Key != c.key {
				t.Errorf("%v %v: %+v", c.key, c.kind, n)
			}
		}
		fails = errors.New("no")
		if out := try(disk, alf.TypeProblem); !errors.Is(out.Err, fails) {
			t.Errorf("%+v", out)
		}
		for want, trial := range map[error]Trial{ErrNoAction: {Action: "mail"}, ErrNoService: {Action: "chat", Key: alf.Key{Host: "web9"}}} {
			if _, err := s.room.Try(t.Context(), trial); !errors.Is(err, want) {
				t.Errorf("Try = %v, want %v", err, want)
			}
		}
		wait = make(chan struct{})
		go s.room.Try(t.Context(), Trial{Action: "chat"})
		synctest.Wait()
		if _, err := s.room.Try(t.Context(), Trial{Action: "chat"}); !errors.Is(err, ErrTrying) {
			t.Errorf("two at once: %v", err)
		}
		close(wait)
		synctest.Wait()
		if after := s.room.Stats()["chat"]; after.Waiting != before.Waiting || after.Delivered != 0 {
			t.Errorf("stats: %+v, before %+v", after, before)
		}
		for l := range s.record.Lines(t.Context(), alf.Key{}) {
			if l.Decided != nil && l.Decided.Notices[0].Notification.Test {
				t.Errorf("in the ledger: %+v", l)
			}
		}
	})
}

// TestTestIncident: a test opens and resolves an incident of its own.
func TestTestIncident(t *testing.T) {
	f := new(fakePager)
	a := pager(t, f, PagerDuty{})
	test := func(kind alf.NotificationType, status alf.Status) *alf.Notification {
		n := of(kind, status)
		n.Test = true
		return n
	}
	tell(t, a, of(alf.TypeProblem, alf.Critical))
	tell(t, a, test(alf.TypeProblem, alf.Warning))
	if e := f.event(); !strings.HasPrefix(e.Payload.Summary, "TEST: ") {
		t.Errorf("summary %q", e.Payload.Summary)
	}
	tell(t, a, test(alf.TypeAcknowledgement, alf.Warning))
	tell(t, a, test(alf.TypeRecovery, alf.OK))
	if got := f.all(); got != "critical, warning acknowledged resolved" {
		t.Errorf("the incidents are %q", got)
	}
}
