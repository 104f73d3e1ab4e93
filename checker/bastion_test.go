package checker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/checker"
	"alf/state/view"
)

// A dead bastion is one problem: its hosts are UNREACHABLE, though a switch
// before them is UP, and what runs on them keeps its state.
func TestDeadBastionIsOneProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		linked := func(h *alf.Host) *alf.Service {
			own := service(h, "")
			own.Builtin, own.MaxAttempts = alf.CheckSSH, 2
			return own
		}
		jump, router := host("jump1"), host("switch")
		all := []*alf.Service{linked(jump), linked(router)}
		var services []*alf.Service
		for _, name := range []string{"web1", "web2", "web3"} {
			h := host(name)
			h.SSH.Via = &alf.Host{Name: "gate", SSH: alf.SSH{Via: jump}} // one that nobody checks, and jump1
			h.Parents = []alf.HostName{"switch", "jump1"}
			all = append(all, linked(h))
			services = append(services, service(h, "disk"))
		}
		var mu sync.Mutex
		dead := false
		// The check of the last one is a ping, which goes another way.
		pinged := host("pinged")
		pinged.SSH.Via, pinged.Parents = jump, []alf.HostName{"jump1"}
		ping, link := service(pinged, ""), service(pinged, string(alf.LinkService))
		ping.On, link.Builtin = nil, alf.CheckSSH
		all = append(all, ping, link)
		b := start(t, checker.Options{Runner: answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			mu.Lock()
			defer mu.Unlock()
			if dead && e.Host != nil && (e.Host == jump || e.Host.SSH.Via != nil) {
				return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Err: errors.New("bastion jump1: no route to host")}
			}
			return alf.Exit{Code: int(min(1, len(e.Argv)))}, nil
		})}, append(all, services...)...)
		set := func(to bool) {
			mu.Lock()
			defer mu.Unlock()
			dead = to
		}
		time.Sleep(10 * time.Minute)
		set(true)
		time.Sleep(10 * time.Minute)
		v := view.New()
		if err := v.Load(t.Context(), b.record); err != nil {
			t.Fatal(err)
		}
		q := api.Query{View: v, Inventory: func() *alf.Inventory { return inventory(append(all, services...)...) }}
		var down []string
		for _, r := range q.Problems(wire.Filter{}) {
			if own := b.head(alf.Key{Host: r.Key().Host}).State; own.Status != alf.Unreachable {
				down = append(down, r.Key().String())
			}
		}
		if !slices.Equal(down, []string{"jump1"}) {
			t.Errorf("problems of their own: %q, want jump1 alone", down)
		}
		if st := b.head(link.Key).State; st.Type == alf.Hard && st.Status != alf.OK || st.Stale.IsZero() {
			t.Errorf("%s: %v %v, stale %v, want no hard problem, but stale", link.Key, st.Status, st.Type, st.Stale)
		}
		for _, s := range services {
			if st := b.head(s.Key).State; st.Status != alf.Warning || st.Stale.IsZero() {
				t.Errorf("%s: %v, stale %v, want WARNING, stale", s.Key, st.Status, st.Stale)
			}
			if st := b.head(alf.Key{Host: s.Key.Host}).State; st.Status != alf.Unreachable || st.Type != alf.Hard {
				t.Errorf("%s: %v %v, want UNREACHABLE HARD", s.Key.Host, st.Status, st.Type)
			}
		}
		set(false)
		time.Sleep(10 * time.Minute)
		for _, s := range append(all, services...) {
			want := alf.Status(alf.Up)
			if slices.Contains(services, s) {
				want = alf.Warning
			}
			if st := b.head(s.Key).State; st.Status != want || !st.Stale.IsZero() {
				t.Errorf("%s: %v, stale %v, want %v", s.Key, st.Status, st.Stale, want)
			}
		}
	})
}
