package state_test

import (
	"reflect"
	"testing"
	"time"

	"alf"
	"alf/state"
)

// FuzzNext lets anything happen to a service in any order, a byte or two for
// each thing, at any time or by a schedule, and holds what must always be true.
func FuzzNext(f *testing.F) {
	f.Add([]byte{3, 2, 2, 2, 0}, uint8(3), false)
	f.Add([]byte{2, 20, 2, 21, 40, 30, 60, 0, 9, 1, 80}, uint8(1), true)
	f.Add([]byte{0, 250, 250, 130, 250, 2, 250}, uint8(13), false)
	f.Add([]byte{240, 250, 250, 130, 250, 2, 250}, uint8(33), true)
	office := officeHours(f)
	timings := [...]*state.Times{
		nil, {Schedule: cron(f, "*/5 * * * *"), Up: epoch}, {Period: office, Up: epoch},
		{Schedule: cron(f, "@hourly"), Period: office, Up: epoch.Add(time.Hour)},
	}
	f.Fuzz(func(t *testing.T, steps []byte, max uint8, host bool) {
		s := flapping(service(int(max%10)+1), 20, 30)
		if host {
			s.Key.Service = ""
		}
		s.Interval, s.Freshness = time.Minute, time.Duration(max)*time.Minute
		var last *alf.Result
		now, st := epoch, alf.State{}
		down := alf.State{}
		for i, b := range steps {
			now = now.Add(time.Duration(b) * time.Second)
			down.Status = alf.Status(i / 7 % 2)
			around := state.Around{Now: now, Host: &down, Parents: []alf.State{down}, Started: epoch, Times: timings[max/10%4], Result: last, Running: i%5 == 4}
			was, before := st, copyOf(st)
			next, change := step(s, st, b, around)
			if st = next; !st.LastCheck.Equal(was.LastCheck) {
				last = &alf.Result{Start: now.Add(-time.Duration(b%3) * time.Minute), End: now}
			}
			around.Result = last
			hold(t, s, was, st, change)
			if !reflect.DeepEqual(was, before) {
				t.Fatalf("the state before was changed: %+v, was %+v", was, before)
			}
			for rounds := 0; ; rounds++ {
				next, change, when := state.Tick(s, st, around)
				hold(t, s, st, next, change)
				if missing := state.Missing(st, next); missing != nil {
					around.Result, last = missing, missing
				}
				if st = next; change == 0 {
					if !when.IsZero() && !when.After(now) {
						t.Fatalf("time does something at %v, and it is %v", when, now)
					}
					break
				}
				if rounds > 3 {
					t.Fatalf("time does not come to rest: %v", change)
				}
			}
		}
	})
}

// step does one thing, which b chooses.
func step(s *alf.Service, st alf.State, b byte, around state.Around) (alf.State, alf.Change) {
	id := string(rune('a' + b%5))
	c := alf.Command{ID: id, Time: around.Now, Sticky: b%2 == 0, Start: around.Now.Add(time.Duration(b%3) * time.Minute)}
	c.End = c.Start.Add(time.Duration(b%7) * time.Minute)
	switch b / 16 {
	case 0, 1, 2, 3, 4, 5:
		r := &alf.Result{Status: alf.Status(b % 4), Source: alf.Source(b / 4 % 2), End: around.Now}
		return state.Next(s, st, r, around)
	case 6:
		return state.Next(s, st, &alf.Result{Status: alf.Unknown, Cause: alf.Cause(b % 7), End: around.Now}, around)
	case 7:
		return state.Triggered(st, id, around)
	case 8:
		return state.Calm(s, st, time.Minute, around)
	case 9:
		c.Verb, c.Expires = alf.Acknowledge, around.Now.Add(time.Duration(b%4)*time.Minute)
	case 10:
		c.Verb = alf.Unacknowledge
	case 11:
		c.Verb = alf.ScheduleDowntime
	case 12:
		c.Verb, c.Duration, c.Trigger = alf.ScheduleDowntime, time.Minute, []string{"", "a"}[b%2]
	case 13:
		c.Verb = alf.CancelDowntime
	case 14:
		c.Verb, c.Switch = alf.SwitchOff, alf.Switch(b%16)
	default:
		c.Verb, c.Switch = alf.SwitchOn, alf.Switch(b%16)
	}
	next, change, err := state.Apply(s, st, c, around)
	if err != nil && change != 0 {
		panic("an order that fails changes something")
	}
	return next, change
}

// hold checks what is always true of a state and of what led to it.
func hold(t *testing.T, s *alf.Service, was, st alf.State, change alf.Change) {
	t.Helper()
	// A submitted result of a host, and a new problem behind one that is not UP, are
	// hard at the first attempt.
	first := st.Attempt == 1 || was.Problem()
	switch {
	case st.Pending():
		if st.Status != alf.OK || st.Ack != nil || st.Problem() {
			t.Fatalf("pending: %+v", st)
		}
	case st.Attempt < 1 || st.Attempt > s.MaxAttempts:
		t.Fatalf("attempt %d of %d", st.Attempt, s.MaxAttempts)
	case st.Status != alf.OK && st.Attempt == s.MaxAttempts && st.Type != alf.Hard:
		t.Fatalf("SOFT with all attempts used up: %+v", st)
	case st.Problem() && st.Attempt != s.MaxAttempts && !first:
		t.Fatalf("HARD with attempts left: %+v", st)
	case st.Status == alf.OK && (st.Type != alf.Hard || st.Attempt != 1 || st.Ack != nil):
		t.Fatalf("OK: %+v", st)
	case st.Type == alf.Hard && st.LastHard != st.Status:
		t.Fatalf("HARD, and the last hard status is %v: %+v", st.LastHard, st)
	}
	differs := was.Status != st.Status || was.Type != st.Type || was.Ack != st.Ack || was.Off != st.Off || was.Flap.On != st.Flap.On ||
		was.DowntimeDepth() != st.DowntimeDepth() || len(was.Comments) != len(st.Comments) || was.Stale.Cause != st.Stale.Cause
	if differs && change == 0 {
		t.Fatalf("no change from %+v to %+v", was, st)
	}
}

func copyOf(st alf.State) alf.State {
	st.Downtimes = append([]*alf.Downtime(nil), st.Downtimes...)
	for i, d := range st.Downtimes {
		one := *d
		st.Downtimes[i] = &one
	}
	return st
}
