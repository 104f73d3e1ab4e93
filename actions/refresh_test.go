package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alf"
)

// forgetful is a recorder whose target is to hear of problems every minute.
type forgetful struct {
	recorder
	again []string // of the last round
	calls int
	err   error
}

func (f *forgetful) Refresh() time.Duration { return time.Minute }

func (f *forgetful) Again(_ context.Context, told []*alf.Notification) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	for _, n := range told {
		f.again = append(f.again, fmt.Sprintf("%s %s %d", n.Type, n.Key, n.Number))
	}
	slices.Sort(f.again)
	return f.err
}

// heard returns how many calls there were, and forgets them.
func (f *forgetful) heard() int {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.again, f.calls = nil, 0
	return calls
}

func (f *forgetful) failsAgain(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// hears demands that want was told again by now, and how many calls that took.
func (f *forgetful) hears(t *testing.T, calls int, want ...string) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.again, want) || f.calls != calls {
		t.Errorf("told again %q in %d calls, want %q in %d", f.again, f.calls, want, calls)
	}
	f.again, f.calls = nil, 0
}

var load = alf.Key{Host: "web1", Service: "load"}

// TestRefresh: what lasts is told again and again, also after a restart, and its end
// for a while.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := everything("am", "chat")
		p.Interval = 0
		s, am, chat := newScene(t, p), new(forgetful), new(recorder)
		s.start(map[string]alf.Action{"am": am, "chat": chat})
		defer func() { s.stop() }()
		time.Sleep(10 * time.Minute)
		am.hears(t, 0)
		s.result(disk, alf.Warning)
		s.result(disk, alf.Critical)
		s.result(load, alf.Critical)
		am.take()
		time.Sleep(time.Minute + time.Second)
		am.hears(t, 1, "PROBLEM web1!disk 2", "PROBLEM web1!load 1")
		time.Sleep(3 * time.Minute)
		am.hears(t, 3, "PROBLEM web1!disk 2", "PROBLEM web1!disk 2", "PROBLEM web1!disk 2", "PROBLEM web1!load 1", "PROBLEM web1!load 1", "PROBLEM web1!load 1")

		s.stop()
		s.start(map[string]alf.Action{"am": am, "chat": chat})
		am.hears(t, 1, "PROBLEM web1!disk 2", "PROBLEM web1!load 1")
		s.result(disk, alf.OK)
		s.told(&am.recorder, "RECOVERY web1!disk 2")
		time.Sleep(expiry * time.Minute)
		am.hears(t, 4, "PROBLEM web1!load 1", "PROBLEM web1!load 1", "PROBLEM web1!load 1", "PROBLEM web1!load 1",
			"RECOVERY web1!disk 2", "RECOVERY web1!disk 2", "RECOVERY web1!disk 2", "RECOVERY web1!disk 2")
		time.Sleep(time.Minute)
		am.hears(t, 1, "PROBLEM web1!load 1")

		s.stop()
		s.start(map[string]alf.Action{"am": am, "chat": chat})
		am.hears(t, 1, "PROBLEM web1!load 1")
		s.adopt(map[string]alf.Action{"am": new(recorder), "chat": chat}) // no longer of that kind
		time.Sleep(10 * time.Minute)
		am.hears(t, 0)
	})
}

// TestRefreshEndsByItself: an end that nobody is told ends it, too.
func TestRefreshEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := everything("am")
		p.Options.Recovery = false
		s, am := newScene(t, p), new(forgetful)
		s.start(map[string]alf.Action{"am": am})
		defer func() { s.stop() }()
		s.result(disk, alf.Critical)
		time.Sleep(time.Minute)
		am.hears(t, 1, "PROBLEM web1!disk 1")
		s.result(disk, alf.OK)
		s.inventory.Service(disk).MaxAttempts = 3
		s.result(disk, alf.Critical) // SOFT: of this problem nobody was told
		time.Sleep(10 * time.Minute)
		am.hears(t, 0)

		s.inventory.Service(disk).MaxAttempts = 1
		s.result(disk, alf.Critical)
		time.Sleep(time.Minute)
		if !slices.Contains(am.take(), "PROBLEM web1!disk 1") {
			t.Error("the next problem is not told")
		}
		s.append(disk, alf.KindRemoved, alf.State{}, 0, nil)
		am.heard()
		time.Sleep(10 * time.Minute)
		am.hears(t, 0)
	})
}

// TestRefreshFails: it is tried again soon, noted once, and holds up nothing.
func TestRefreshFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, am := newScene(t, everything("am")), new(forgetful)
		am.err = errors.New("no route")
		s.start(map[string]alf.Action{"am": am})
		defer func() { s.stop() }()
		s.result(disk, alf.Critical)
		time.Sleep(5*time.Minute + 30*time.Second)
		calls := am.heard()
		if calls < 9 || calls > 12 {
			t.Errorf("%d calls within five minutes of failures", calls)
		}
		if n := strings.Count(s.log.String(), "no route"); n != 1 {
			t.Errorf("the same failure is logged %d times", n)
		}
		s.result(load, alf.Critical)
		s.told(&am.recorder, "PROBLEM web1!disk 1", "PROBLEM web1!load 1")
		if st := s.room.Stats()["am"]; st.Stale != uint64(calls) || st.Refreshed != 0 || st.Failed+st.Retried != 0 {
			t.Errorf("stats: %+v", st)
		}
		am.failsAgain(&alf.Partly{Err: errors.New("one member is down")})
		time.Sleep(2 * time.Minute)
		am.heard()
		time.Sleep(5 * time.Minute)
		if n := am.heard(); n != 5 {
			t.Errorf("%d calls within five minutes, want one a minute", n)
		}
	})
}

// TestPartly: what has not arrived everywhere has arrived.
func TestPartly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mail := newScene(t, everything("mail")), new(recorder)
		mail.fails(func(*alf.Message) error {
			return fmt.Errorf("told: %w", &alf.Partly{Err: errors.New("no such mailbox")})
		})
		s.start(map[string]alf.Action{"mail": mail})
		defer func() { s.stop() }()
		s.result(disk, alf.Critical)
		time.Sleep(10 * time.Minute)
		if st := s.room.Stats()["mail"]; st.Delivered != 1 || st.Retried+st.Failed != 0 || st.Waiting != 0 {
			t.Errorf("stats: %+v", st)
		}
		if log := s.log.String(); !strings.Contains(log, "did not arrive everywhere") || !strings.Contains(log, "no such mailbox") {
			t.Errorf("the log is %s", log)
		}
		for l := range s.record.Lines(t.Context(), disk) {
			if o := l.Outcome; o != nil && (o.Result.String() != "delivered" || !strings.Contains(o.Err, "no such mailbox")) {
				t.Errorf("the ledger says %+v", o)
			}
		}
	})
}
