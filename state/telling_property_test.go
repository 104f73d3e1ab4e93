package state_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"alf"
	"alf/state"
)

// history is a service that lives through random results, orders and time, and
// what is told of it.
type history struct {
	t       *rapid.T
	s, host *alf.Service
	st      alf.State
	hostSt  alf.State
	now     time.Time
	memory  state.Memory
	next    time.Time
	contact *alf.Contact

	open  bool // a problem was told, and its end was not
	count int  // of the problem's notifications
	moved bool // its host has changed since it was last decided: whoever is held for that is asked about at the next result or instant
}

func (h *history) Look(key alf.Key) (*alf.Service, alf.State) {
	if key.IsHost() {
		return h.host, h.hostSt
	}
	return h.s, h.st
}

func (h *history) Period(name string) alf.Period {
	if name == "" {
		return nil
	}
	return moment{from: epoch.Add(10 * time.Minute)}
}

func (h *history) HostDownDisablesChecks() bool { return false }

func newHistory(t *rapid.T) *history {
	minutes := func(name string) time.Duration {
		return time.Duration(rapid.IntRange(0, 5).Draw(t, name)) * time.Minute
	}
	p := &alf.Policy{Options: alf.AllOptions(), Interval: minutes("interval"), Delay: minutes("delay"), Contacts: []string{"ops"}}
	p.Options.Recovery = rapid.Bool().Draw(t, "recovery")
	p.Options.Status[1] = rapid.Bool().Draw(t, "warning")
	if rapid.Bool().Draw(t, "escalates") {
		p.Escalations = []*alf.Escalation{{First: 1, Begin: minutes("begin"), Interval: -1, Options: alf.AllOptions(), Actions: []string{"boss"}}}
	}
	h := &history{t: t, now: epoch, contact: &alf.Contact{Name: "ops", Actions: []string{"chat"}, ServiceOptions: alf.AllOptions()}}
	h.contact.ServiceOptions.Status[3] = rapid.Bool().Draw(t, "unknown")
	if rapid.Bool().Draw(t, "in period") {
		h.contact.ServicePeriod = "later"
	}
	h.s = &alf.Service{Key: alf.Key{Host: "h", Service: "s"}, MaxAttempts: rapid.IntRange(1, 3).Draw(t, "attempts"), Interval: time.Minute, Policy: p,
		Volatile: rapid.Bool().Draw(t, "volatile"), Flapping: alf.FlapDetection{Enabled: true, Low: 20, High: 30}}
	h.host = &alf.Service{Key: alf.Key{Host: "h"}, MaxAttempts: 1}
	if rapid.Bool().Draw(t, "period") {
		h.s.NotificationPeriod = "later"
	}
	return h
}

func (h *history) matter(at time.Time, judged bool) *state.Matter {
	return &state.Matter{Service: h.s, State: &h.st, At: at, Judged: judged, Now: at, Memory: h.memory, Known: h}
}

func (h *history) decide(at time.Time, occasion alf.NotificationType, judged bool, each func(state.Said)) state.Verdict {
	return state.Decide(h.matter(at, judged), occasion, func(string) *alf.Contact { return h.contact }, each)
}

// happens decides about an event, and sees that what is told makes sense.
func (h *history) happens(kind alf.Kind, next alf.State, change alf.Change) {
	h.st = next
	e := &alf.Event{Time: h.now, Key: h.s.Key, Kind: kind, Change: change, State: next}
	occasions := state.OccasionsOf(e)
	for _, occasion := range occasions.Types() {
		h.take(occasion, kind == alf.KindResult)
	}
}

func (h *history) take(occasion alf.NotificationType, judged bool) {
	was := h.memory
	h.moved = false
	h.explained(occasion, judged)
	v := h.decide(h.now, occasion, judged, nil)
	h.memory = v.Memory
	if occasion == alf.TypeProblem {
		h.next = v.Next
	}
	if !v.Next.IsZero() && !v.Next.After(h.now) {
		h.t.Fatalf("at %v it is to be asked again at %v", h.now, v.Next)
	}
	if (v.Why == state.Tell) != (len(v.To) > 0) {
		h.t.Fatalf("%v, but told are %v", v.Why, v.To)
	}
	if len(v.To) == 0 {
		return
	}
	switch v.Type {
	case alf.TypeProblem:
		if !h.st.Problem() || h.st.Ack != nil || h.st.DowntimeDepth() > 0 || h.st.Flap.On {
			h.t.Fatalf("a problem is told of %+v", h.st)
		}
		if h.st.LastOK.After(was.Told) {
			h.count = 0
		}
		if h.count++; v.Number != h.count {
			h.t.Fatalf("notification %d has number %d", h.count, v.Number)
		}
		h.open = true
	case alf.TypeRecovery:
		if !h.open || h.st.Status != alf.OK {
			h.t.Fatalf("the end of a problem is told that nobody was told of, at %+v", h.st)
		}
		h.open, h.count = false, 0
	}
}

// explained sees that who asks what is decided about each contact hears what is
// done.
func (h *history) explained(occasion alf.NotificationType, judged bool) {
	told := make(map[string]bool)
	v := h.decide(h.now, occasion, judged, func(s state.Said) {
		for _, action := range s.Actions {
			told[action] = told[action] || s.Why == state.Tell
		}
	})
	for _, to := range v.To {
		if !told[to.Action] {
			h.t.Fatalf("%s is told, but what is said of it is not so", to.Action)
		}
		delete(told, to.Action)
	}
	for action, is := range told {
		if is {
			h.t.Fatalf("%s is said to be told, but is not", action)
		}
	}
}

// unheard reports whether nobody could be told yet, and an escalation by time may bring in who can:
// that is found at the next result or instant, and not when the escalation begins.
func (h *history) unheard() bool {
	return h.memory.Number == 0 && slices.ContainsFunc(h.s.Policy.Escalations, func(e *alf.Escalation) bool { return e.Begin > 0 })
}

// passes lets time pass. Before the time that was given, nothing is told.
func (h *history) passes(d time.Duration) {
	end := h.now.Add(d)
	for {
		early := end
		if !h.next.IsZero() && h.next.Before(end) {
			early = h.next
		}
		for _, at := range []time.Time{h.now.Add(early.Sub(h.now) / 2), early.Add(-1)} {
			if at.Before(h.now) || !at.Before(early) || h.moved || h.unheard() {
				continue
			}
			if v := h.decide(at, alf.TypeProblem, false, nil); v.Why == state.Tell && h.next.IsZero() {
				h.t.Fatalf("nobody has to ask again, but at %v people would be told", at)
			} else if v.Why == state.Tell && at.After(h.now) {
				h.t.Fatalf("people would be told at %v, before %v", at, h.next)
			}
		}
		if !early.Before(end) {
			break
		}
		h.now = early
		h.take(alf.TypeProblem, false)
	}
	h.now = end
}

// TestTelling lives through random histories.
func TestTelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		n := 0
		order := func(c alf.Command) {
			n++
			c.ID, c.Time = string(rune('A'+n%26))+string(rune('a'+n/26%26)), h.now
			if next, change, err := state.Apply(h.s, h.st, c, state.Around{Now: h.now, Host: &h.hostSt}); err == nil && change != 0 {
				h.happens(alf.KindCommand, next, change)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"result": func(t *rapid.T) {
				h.passes(time.Duration(rapid.IntRange(1, 90).Draw(t, "after")) * time.Second)
				r := &alf.Result{Status: alf.Status(rapid.SampledFrom([]int{0, 0, 1, 2, 2, 3}).Draw(t, "status")), End: h.now}
				next, change := state.Next(h.s, h.st, r, state.Around{Now: h.now, Host: &h.hostSt})
				h.happens(alf.KindResult, next, change)
			},
			"time": func(t *rapid.T) {
				h.passes(time.Duration(rapid.IntRange(1, 900).Draw(t, "for")) * time.Second)
				next, change, _ := state.Tick(h.s, h.st, state.Around{Now: h.now, Host: &h.hostSt})
				if change != 0 {
					h.happens(alf.KindTick, next, change)
				}
			},
			"acknowledge": func(*rapid.T) { order(alf.Command{Verb: alf.Acknowledge}) },
			"downtime": func(t *rapid.T) {
				order(alf.Command{Verb: alf.ScheduleDowntime, Start: h.now, End: h.now.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "lasts")) * time.Second)})
			},
			"cancel": func(*rapid.T) {
				if len(h.st.Downtimes) > 0 {
					c := alf.Command{Verb: alf.CancelDowntime, ID: h.st.Downtimes[0].ID}
					next, change, err := state.Apply(h.s, h.st, c, state.Around{Now: h.now})
					if err == nil {
						h.happens(alf.KindCommand, next, change)
					}
				}
			},
			"switch off": func(*rapid.T) { order(alf.Command{Verb: alf.SwitchOff, Switch: alf.SwitchNotifications}) },
			"switch on":  func(*rapid.T) { order(alf.Command{Verb: alf.SwitchOn, Switch: alf.SwitchNotifications}) },
			"host": func(t *rapid.T) {
				r := &alf.Result{Status: alf.Status(2 * rapid.IntRange(0, 1).Draw(t, "down")), End: h.now}
				h.hostSt, _ = state.Next(h.host, h.hostSt, r, state.Around{Now: h.now})
				h.moved = true
			},
		})
	})
}

// BenchmarkNotify decides about the result of a service that is well, and of one
// whose problem was told: nobody is told either time.
func BenchmarkNotify(b *testing.B) {
	for name, status := range map[string]alf.Status{"ok": alf.OK, "told": alf.Critical} {
		b.Run(name, func(b *testing.B) {
			s := service(1)
			s.Policy = &alf.Policy{Options: alf.AllOptions(), Interval: time.Hour, Contacts: []string{"ops"}}
			st, _ := state.Next(s, alf.State{}, &alf.Result{Status: status, End: epoch}, state.Around{Now: epoch})
			m := &state.Matter{Service: s, State: &st, Now: epoch, Judged: true, Known: periods{}}
			c := &alf.Contact{Name: "ops", Actions: []string{"chat"}, ServiceOptions: alf.AllOptions()}
			contact := func(string) *alf.Contact { return c }
			v := state.Decide(m, alf.TypeProblem, contact, nil)
			if (v.Why == state.Tell) != (status != alf.OK) {
				b.Fatalf("the first time: %v", v.Why)
			}
			memory := v.Memory
			b.ReportAllocs()
			for b.Loop() {
				m.Memory = memory
				if v := state.Decide(m, alf.TypeProblem, contact, nil); v.Why == state.Tell {
					b.Fatal("told")
				}
			}
		})
	}
}

// TestNotifyAllocates: what nobody is told of costs no garbage.
func TestNotifyAllocates(t *testing.T) {
	s := service(1)
	s.Policy = &alf.Policy{Options: alf.AllOptions(), Interval: time.Hour, Contacts: []string{"ops"}}
	st, _ := state.Next(s, alf.State{}, &alf.Result{Status: alf.OK, End: epoch}, state.Around{Now: epoch})
	m := &state.Matter{Service: s, State: &st, Now: epoch, Judged: true, Known: periods{}}
	contact := func(string) *alf.Contact { return nil }
	if n := testing.AllocsPerRun(100, func() { state.Decide(m, alf.TypeProblem, contact, nil) }); n != 0 {
		t.Errorf("a decision allocates %v times", n)
	}
}
