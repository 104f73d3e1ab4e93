package checker

import (
	"fmt"
	"testing"
	"time"

	"alf"
)

// TestReloadShiftsNothing: a host that is added to 5,000 leaves the schedule, the
// states and the items of all others as they are, and that soon.
func TestReloadShiftsNothing(t *testing.T) {
	site := func(hosts int) *alf.Inventory {
		var all []*alf.Host
		var services []*alf.Service
		for i := range hosts {
			h := &alf.Host{Name: alf.HostName(fmt.Sprintf("web%05d", i)), Where: alf.Position{Line: hosts + i}}
			all = append(all, h)
			for _, name := range []alf.ServiceName{"", "a", "b", "c", "d"} {
				services = append(services, &alf.Service{Key: alf.Key{Host: h.Name, Service: name}, Host: h, On: h, Where: h.Where,
					Argv: []alf.Template{alf.Text("check_x"), alf.Text("-w")}, Interval: time.Hour, Retry: time.Minute, MaxAttempts: 3})
			}
		}
		return alf.NewInventory(all, services)
	}
	before, after := site(5000), site(5001)
	c := New(Options{}, before)
	l := &loop{Checker: c, checked: before, items: make(map[alf.Key]*item), places: make(map[spotKey]*place), waiters: make(map[string]map[*item]bool)}
	now := time.Now()
	due := make(map[*item]time.Time)
	for i, s := range before.Services() {
		it := l.add(s)
		it.state = alf.State{Status: alf.Critical, Type: alf.Soft, Attempt: 1 + i%2, Ack: &alf.Ack{ID: "x"}}
		l.plan(it, firstDue(s, it.state, time.Time{}, now.Add(-time.Duration(i)*time.Millisecond)))
		due[it] = it.check.due
	}
	began := time.Now()
	diff := Compare(before, after)
	d := l.reload(reload{inventory: after, diff: diff, former: make(map[alf.Key]*alf.Event)})
	took := time.Since(began)
	if d != (Diff{Added: 5, Kept: len(before.Services())}) {
		t.Errorf("reload = %v", d)
	}
	for i, s := range before.Services() {
		it := l.items[s.Key]
		if at, same := due[it]; !same || !at.Equal(it.check.due) || it.state.Attempt != 1+i%2 || it.state.Ack == nil {
			t.Fatalf("%v was shifted from %v to %v, or begins anew: %+v", s.Key, at, it.check.due, it.state)
		}
		if it.service != after.Service(s.Key) {
			t.Fatalf("%v goes on with the old settings", s.Key)
		}
	}
	if most := 5 * time.Second; took > most { // bench has the figure; this is for a slow machine and the race detector
		t.Errorf("it took %v, want less than %v", took, most)
	}
}

// TestReloadAfterUnheardOne: who compared with an inventory that the loop has left
// behind, since nobody waited for the answer of a reload, changes what differs from
// the newer one all the same.
func TestReloadAfterUnheardOne(t *testing.T) {
	one := func(interval time.Duration) *alf.Inventory {
		h := &alf.Host{Name: "web1"}
		s := &alf.Service{Key: alf.Key{Host: h.Name, Service: "disk"}, Host: h, On: h, Interval: interval, Retry: time.Second, MaxAttempts: 1}
		return alf.NewInventory([]*alf.Host{h}, []*alf.Service{s})
	}
	before, unheard, after := one(time.Second), one(time.Hour), one(time.Second)
	l := &loop{Checker: New(Options{}, before), checked: unheard, items: make(map[alf.Key]*item)}
	it := l.add(unheard.Services()[0])
	l.plan(it, time.Now().Add(time.Hour))
	if d := l.reload(reload{inventory: after, diff: Compare(before, after)}); d != (Diff{Changed: 1}) {
		t.Errorf("reload = %v, want one changed", d)
	}
	if wait := time.Until(it.check.due); wait > time.Minute {
		t.Errorf("it is due in %v, want its new interval of a second", wait)
	}
}
