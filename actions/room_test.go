package actions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/state"
	"alf/state/memory"
	"alf/state/view"
)

// recorder is an action that notes what it is to tell.
type recorder struct {
	mu   sync.Mutex
	got  []string
	fail func(m *alf.Message) error // nil: never
}

func (r *recorder) Do(_ context.Context, m *alf.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		if err := r.fail(m); err != nil {
			return err
		}
	}
	n := m.Notification
	r.got = append(r.got, fmt.Sprintf("%s %s %d", n.Type, n.Key, n.Number))
	return nil
}

func (r *recorder) fails(f func(m *alf.Message) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = f
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// spec makes a recorder.
type spec struct{ action alf.Action }

func (s *spec) Validate() error                { return nil }
func (s *spec) New(string) (alf.Action, error) { return s.action, nil }

// scene is a room with all around it, in memory.
type scene struct {
	t         *testing.T
	record    *memory.Record
	view      *view.View
	inventory *alf.Inventory
	room      *Room
	log       bytes.Buffer
	stop      func()
	states    map[alf.Key]alf.State
	ledger    state.Ledger // nil: record
}

var disk = alf.Key{Host: "web1", Service: "disk"}

func newScene(t *testing.T, p *alf.Policy, contacts ...*alf.Contact) *scene {
	s := &scene{t: t, record: memory.New(memory.Options{}), view: view.New(), states: make(map[alf.Key]alf.State)}
	host := &alf.Host{Name: "web1", Address: "10.0.0.7"}
	people := alf.People{Contacts: make(map[string]*alf.Contact)}
	for _, c := range contacts {
		people.Contacts[c.Name] = c
	}
	services := []*alf.Service{{Key: alf.Key{Host: "web1"}, Host: host, MaxAttempts: 1, Policy: p}}
	for _, name := range []alf.ServiceName{"disk", "load"} {
		services = append(services, &alf.Service{Key: alf.Key{Host: "web1", Service: name}, Host: host, MaxAttempts: 1, Policy: p, Interval: time.Minute})
	}
	s.inventory = alf.NewInventory([]*alf.Host{host}, services).WithPeople(people).With(alf.Calendar{Periods: map[string]alf.Period{}})
	return s
}

// start starts a room, as Alf does.
func (s *scene) start(all map[string]alf.Action) {
	s.t.Helper()
	if s.ledger == nil {
		s.ledger = s.record
	}
	s.room = New(Options{Feed: s.record, Ledger: s.ledger, Heads: s.view, Inventory: func() *alf.Inventory { return s.inventory },
		Log: slog.New(slog.NewTextHandler(&s.log, nil))})
	s.adopt(all)
	ctx, cancel := context.WithCancel(s.t.Context())
	if err := s.view.Load(ctx, s.record); err != nil {
		s.t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() { _ = s.view.Run(ctx, s.record) })
	wait.Go(func() {
		if err := s.room.Run(ctx); !errors.Is(err, context.Canceled) {
			s.t.Errorf("Run = %v", err)
		}
	})
	s.stop = func() { cancel(); wait.Wait() }
	synctest.Wait()
}

func (s *scene) adopt(all map[string]alf.Action) {
	var configs []alf.ActionConfig
	for name, action := range all {
		configs = append(configs, alf.ActionConfig{Name: name, Type: "test", RetryFor: time.Hour, Spec: &spec{action}})
	}
	if err := s.room.Adopt(configs); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) append(key alf.Key, kind alf.Kind, next alf.State, change alf.Change, result *alf.Result) {
	s.t.Helper()
	s.states[key] = next
	e := &alf.Event{Time: time.Now(), Key: key, Kind: kind, Change: change, State: next, Result: result}
	if err := s.record.Append(s.t.Context(), []*alf.Event{e}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) result(key alf.Key, status alf.Status) {
	s.t.Helper()
	time.Sleep(time.Millisecond) // an OK comes after the problem was told
	r := &alf.Result{Status: status, End: time.Now(), Output: "it is so"}
	host := s.states[alf.Key{Host: key.Host}]
	next, change := state.Next(s.inventory.Service(key), s.states[key], r, state.Around{Now: time.Now(), Host: &host})
	s.append(key, alf.KindResult, next, change, r)
	synctest.Wait()
}

func (s *scene) order(key alf.Key, c alf.Command) {
	s.t.Helper()
	c.Time = time.Now()
	next, change, err := state.Apply(s.inventory.Service(key), s.states[key], c, state.Around{Now: time.Now()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(key, alf.KindCommand, next, change, nil)
	synctest.Wait()
}

func (s *scene) told(r *recorder, want ...string) {
	s.t.Helper()
	synctest.Wait()
	if got := r.take(); !slices.Equal(got, want) {
		s.t.Errorf("at %v told %q, want %q", time.Now().Format(time.TimeOnly), got, want)
	}
}

func everything(actions ...string) *alf.Policy {
	return &alf.Policy{Options: alf.AllOptions(), Interval: time.Hour, Actions: actions}
}

// TestTells: a problem, that it lasts, and its end.
func TestTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, chat := newScene(t, everything("chat")), new(recorder)
		s.start(map[string]alf.Action{"chat": chat})
		defer func() { s.stop() }()
		s.result(disk, alf.OK)
		s.told(chat)
		s.result(disk, alf.Critical)
		s.told(chat, "PROBLEM web1!disk 1")
		s.result(disk, alf.Critical)
		s.told(chat)
		time.Sleep(time.Hour)
		s.told(chat, "PROBLEM web1!disk 2") // because time has passed
		s.result(disk, alf.Warning)
		s.told(chat, "PROBLEM web1!disk 3")
		s.order(disk, alf.Command{Verb: alf.Acknowledge, ID: "a", Author: "ann", Text: "mine"})
		s.told(chat, "ACKNOWLEDGEMENT web1!disk 3")
		time.Sleep(3 * time.Hour)
		s.told(chat)
		s.result(disk, alf.OK)
		s.told(chat, "RECOVERY web1!disk 3")
		time.Sleep(3 * time.Hour)
		s.told(chat)
		if st := s.room.Stats()["chat"]; st.Delivered != 5 || st.Waiting != 0 {
			t.Errorf("stats: %+v", st)
		}
	})
}

// TestContactOutOfPeriod: a contact that may not be told now is told when its period
// begins.
func TestContactOutOfPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := everything()
		p.Contacts = []string{"ops"}
		s, chat := newScene(t, p, &alf.Contact{Name: "ops", Actions: []string{"chat"}, ServicePeriod: "later", ServiceOptions: alf.AllOptions()}), new(recorder)
		s.inventory = s.inventory.With(alf.Calendar{Periods: map[string]alf.Period{"later": from{time.Now().Add(2 * time.Hour)}}})
		s.start(map[string]alf.Action{"chat": chat})
		defer func() { s.stop() }()
		s.result(disk, alf.Critical)
		s.told(chat)
		time.Sleep(2*time.Hour - 2*time.Millisecond)
		s.told(chat)
		time.Sleep(time.Second)
		s.told(chat, "PROBLEM web1!disk 1")
		var whys []string
		for l := range s.record.Lines(t.Context(), disk) {
			if l.Decided != nil {
				for _, n := range l.Decided.Notices {
					whys = append(whys, n.Why.Rule(n.Notification.Type))
				}
			}
		}
		if fmt.Sprint(whys) != "[N17 ]" {
			t.Errorf("the ledger says %v", whys)
		}
	})
}

type from struct{ time.Time }

func (f from) Contains(t time.Time) bool { return !t.Before(f.Time) }
func (f from) Next(time.Time) time.Time  { return f.Time }

// TestRetries: what cannot be delivered is tried again, ever less often, in the
// order in which it was decided, and holds up nothing else for long.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, chat, mail := newScene(t, everything("chat", "mail")), new(recorder), new(recorder)
		var attempts []time.Duration
		began := time.Now()
		chat.fails(func(m *alf.Message) error {
			attempts = append(attempts, time.Since(began))
			return errors.New("no route")
		})
		s.start(map[string]alf.Action{"chat": chat, "mail": mail})
		defer func() { s.stop() }()
		s.result(disk, alf.Critical)
		s.told(mail, "PROBLEM web1!disk 1")
		time.Sleep(10 * time.Minute)
		s.told(chat)
		for i := 1; i < len(attempts); i++ {
			gap, want := attempts[i]-attempts[i-1], min(time.Second<<(i-1), 5*time.Minute)
			if gap < want*4/5 || gap > want*6/5+time.Millisecond {
				t.Errorf("the pause before attempt %d is %v, want about %v", i+1, gap, want)
			}
		}
		if len(attempts) < 7 || len(attempts) > 14 {
			t.Errorf("%d attempts within ten minutes: %v", len(attempts), attempts)
		}
		if n := strings.Count(s.log.String(), "no route"); n != 1 {
			t.Errorf("the same failure is logged %d times", n)
		}
		s.result(disk, alf.OK)
		s.told(mail, "RECOVERY web1!disk 1")
		chat.fails(nil)
		time.Sleep(6 * time.Minute)
		s.told(chat, "PROBLEM web1!disk 1", "RECOVERY web1!disk 1")
		if len(s.room.decider.next.at) != 0 {
			t.Errorf("still to be asked: %v", s.room.decider.next.at)
		}
	})
}

// TestOneBadMessage: a message that the target never takes stops no others, and is
// given up.
func TestOneBadMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, chat := newScene(t, everything("chat")), new(recorder)
		chat.fails(func(m *alf.Message) error {
			if m.Notification.Key == disk {
				return errors.New("500")
			}
			return nil
		})
		s.start(map[string]alf.Action{"chat": chat})
		defer func() { s.stop() }()
		load := alf.Key{Host: "web1", Service: "load"}
		s.result(disk, alf.Critical)
		time.Sleep(30 * time.Second)
		s.result(load, alf.Critical)
		time.Sleep(time.Minute)
		s.told(chat, "PROBLEM web1!load 1")
		time.Sleep(2 * time.Hour)
		s.told(chat, "PROBLEM web1!load 2", "PROBLEM web1!load 3")
		if st := s.room.Stats()["chat"]; st.Failed == 0 {
			t.Errorf("nothing was given up after retry_for: %+v", st)
		}
		chat.fails(func(m *alf.Message) error { return fmt.Errorf("400 (%w)", alf.ErrPermanent) })
		failed := s.room.Stats()["chat"].Failed
		s.result(load, alf.OK)
		time.Sleep(6 * time.Minute)
		if st := s.room.Stats()["chat"]; st.Failed <= failed {
			t.Errorf("what the target refuses is not given up: %+v", st)
		}
	})
}

// TestRestart: whenever Alf stops, everything is told once in the end, in order.
// What was under way comes again with the same ID.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, chat := newScene(t, everything("chat")), new(recorder)
		chat.fails(func(*alf.Message) error { return errors.New("down") })
		s.start(map[string]alf.Action{"chat": chat})
		s.result(disk, alf.Critical)
		s.stop()
		s.start(map[string]alf.Action{"chat": chat})
		s.told(chat)
		s.result(disk, alf.OK)
		s.stop()
		chat.fails(nil)
		s.start(map[string]alf.Action{"chat": chat})
		time.Sleep(time.Minute)
		s.told(chat, "PROBLEM web1!disk 1", "RECOVERY web1!disk 1")
		s.stop()
		s.start(map[string]alf.Action{"chat": chat})
		time.Sleep(time.Hour)
		s.told(chat)

		// The target takes a message, but nobody learns of it.
		var ids []string
		chat.fails(func(m *alf.Message) error { ids = append(ids, m.ID); return errors.New("connection reset") })
		s.result(disk, alf.Critical)
		s.stop()
		chat.fails(func(m *alf.Message) error { ids = append(ids, m.ID); return nil })
		s.start(map[string]alf.Action{"chat": chat})
		time.Sleep(time.Minute)
		s.told(chat, "PROBLEM web1!disk 1")
		chat.fails(nil)
		if len(ids) != 2 || ids[0] != ids[1] {
			t.Errorf("the IDs are %q, want the same", ids)
		}
		time.Sleep(2 * time.Hour)
		s.stop()
		s.told(chat, "PROBLEM web1!disk 2", "PROBLEM web1!disk 3")
		time.Sleep(90 * time.Minute)
		s.start(map[string]alf.Action{"chat": chat})
		defer func() { s.stop() }()
		s.told(chat, "PROBLEM web1!disk 4") // it was due meanwhile
	})
}

// TestSuperseded: of a problem that is told again and again while the target is
// away, only the newest is delivered.
func TestSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := everything("chat")
		p.Interval = time.Minute
		s, chat := newScene(t, p), new(recorder)
		chat.fails(func(*alf.Message) error { return errors.New("down") })
		s.start(map[string]alf.Action{"chat": chat})
		s.result(disk, alf.Critical)
		time.Sleep(30 * time.Minute)
		if st := s.room.Stats()["chat"]; st.Waiting != 1 || st.Skipped < 29 {
			t.Errorf("stats: %+v", st)
		}
		s.stop()
		chat.fails(nil)
		s.start(map[string]alf.Action{"chat": chat})
		defer func() { s.stop() }()
		time.Sleep(6 * time.Minute)
		got := chat.take()
		if len(got) == 0 || got[0] == "PROBLEM web1!disk 1" || len(got) > 7 {
			t.Errorf("told %q", got)
		}
	})
}

// TestReload: other actions take over, and what an action that is gone had to tell is
// noted as failed.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, chat, other := newScene(t, everything("chat")), new(recorder), new(recorder)
		chat.fails(func(*alf.Message) error { return errors.New("down") })
		s.start(map[string]alf.Action{"chat": chat})
		defer func() { s.stop() }()
		s.result(disk, alf.Critical)
		s.adopt(map[string]alf.Action{"chat": other}) // at once, with the new one
		s.told(other, "PROBLEM web1!disk 1")
		other.fails(func(*alf.Message) error { return errors.New("down") })
		s.result(disk, alf.OK)
		s.adopt(nil)
		synctest.Wait()
		var last *state.Outcome
		for l := range s.record.Lines(t.Context(), disk) {
			if l.Outcome != nil {
				last = l.Outcome
			}
		}
		if last == nil || last.Result != state.Failed || !strings.Contains(last.Err, "no more") {
			t.Errorf("the ledger ends with %+v", last)
		}
		s.result(disk, alf.Critical) // nobody can be told, and nothing breaks
	})
}

// TestLedgerBroken: what was decided while the ledger takes nothing is told when it
// does.
func TestLedgerBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, chat := newScene(t, everything("chat")), new(recorder)
		broken := &brokenLedger{Ledger: s.record}
		s.start(map[string]alf.Action{})
		s.stop()
		s.room = nil
		o := Options{Feed: s.record, Ledger: broken, Heads: s.view, Inventory: func() *alf.Inventory { return s.inventory }, Log: slog.New(slog.NewTextHandler(&s.log, nil))}
		room := New(o)
		if err := room.Adopt([]alf.ActionConfig{{Name: "chat", RetryFor: time.Hour, Spec: &spec{chat}}}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { _ = s.view.Run(ctx, s.record) })
		wait.Go(func() { _ = room.Run(ctx) })
		defer wait.Wait()
		defer cancel()
		synctest.Wait()
		broken.set(errors.New("disk full"))
		s.result(disk, alf.Critical)
		time.Sleep(time.Minute)
		s.told(chat)
		broken.set(nil)
		time.Sleep(10 * time.Second)
		s.told(chat, "PROBLEM web1!disk 1")
		if n := strings.Count(s.log.String(), "disk full"); n != 1 {
			t.Errorf("it is logged %d times:\n%s", n, s.log.String())
		}
	})
}

// TestWrittenTwice: a decision that the ledger took without saying so is written once
// more, and told once, also after a restart.
func TestWrittenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, chat := newScene(t, everything("chat")), new(recorder)
		s.start(map[string]alf.Action{"chat": chat})
		s.result(disk, alf.Critical)
		s.told(chat, "PROBLEM web1!disk 1")
		s.stop()
		var lines []*state.Line
		for l := range s.record.Lines(t.Context(), disk) {
			again := *l
			lines = append(lines, &again)
		}
		other := newScene(t, everything("chat"))
		if err := other.record.Enter(t.Context(), append([]*state.Line{lines[0]}, lines...)); err != nil {
			t.Fatal(err)
		}
		other.start(map[string]alf.Action{"chat": chat})
		defer func() { other.stop() }()
		time.Sleep(time.Minute)
		s.told(chat)
	})
}

// TestKilled ends everything at random moments, as kill -9 does: from then on nothing
// is written any more, whatever was under way. Each problem is told and ended once,
// in order; what comes twice has the same ID.
func TestKilled(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			random, theirs := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
			s := newScene(t, everything("chat"))
			broken := &brokenLedger{Ledger: s.record}
			s.ledger = broken
			var mu sync.Mutex
			var told []string
			seen := map[string]bool{}
			chat := actionFunc(func(_ context.Context, m *alf.Message) error {
				mu.Lock()
				takes := time.Duration(theirs.IntN(400)) * time.Millisecond
				mu.Unlock()
				time.Sleep(takes)
				mu.Lock()
				defer mu.Unlock()
				if theirs.IntN(4) == 0 {
					return errors.New("503")
				}
				if !seen[m.ID] {
					told = append(told, m.Notification.Type.String())
				}
				seen[m.ID] = true
				if theirs.IntN(4) == 0 {
					return errors.New("connection reset") // though it has arrived
				}
				return nil
			})
			var want []string
			for i := range 12 {
				s.start(map[string]alf.Action{"chat": chat})
				status, text := alf.Critical, "PROBLEM"
				if i%2 == 1 {
					status, text = alf.OK, "RECOVERY"
				}
				s.result(disk, status)
				want = append(want, text)
				time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
				broken.set(errors.New("killed"))
				s.stop()
				broken.set(nil)
			}
			s.start(map[string]alf.Action{"chat": chat})
			time.Sleep(30 * time.Minute)
			s.stop()
			if !slices.Equal(told, want) {
				t.Errorf("seed %d: told %v, want %v", seed, told, want)
			}
		})
	}
}

type actionFunc func(context.Context, *alf.Message) error

func (f actionFunc) Do(ctx context.Context, m *alf.Message) error { return f(ctx, m) }

type brokenLedger struct {
	state.Ledger
	mu  sync.Mutex
	err error
}

func (b *brokenLedger) set(err error) { b.mu.Lock(); b.err = err; b.mu.Unlock() }

func (b *brokenLedger) Enter(ctx context.Context, lines []*state.Line) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Ledger.Enter(ctx, lines)
}

// BenchmarkDecider decides about results of services that are well.
func BenchmarkDecider(b *testing.B) {
	s := newScene(nil, everything("chat"))
	d := newDecider(Options{Heads: s.view, Inventory: func() *alf.Inventory { return s.inventory }, Log: slog.New(slog.DiscardHandler)}, nil)
	e := &alf.Event{ID: 1, Key: disk, Kind: alf.KindResult, State: alf.State{Type: alf.Hard, Attempt: 1, MaxAttempts: 1}}
	b.ReportAllocs()
	for b.Loop() {
		if lines := d.event(nil, s.inventory, e); lines != nil {
			b.Fatal(lines)
		}
	}
}
