package checker_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/checker"
)

// TestOrderedFirst: what somebody orders goes before what is due and has to
// wait, for its host or for a turn at all, but does not hold it up for ever.
func TestOrderedFirst(t *testing.T) {
	f := func(name string, o checker.Options, rechecks int, want string) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var order strings.Builder
				o.Runner = answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
					mu.Lock()
					name := strings.TrimPrefix(e.Argv[0], "check_")
					if e.Priority == alf.AdHoc && e.Ordered {
						name = strings.ToUpper(name)
					}
					order.WriteString(name)
					mu.Unlock()
					time.Sleep(time.Hour)
					return alf.Exit{}, nil
				})
				var all []*alf.Service
				for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
					s := service(host("web1"), name)
					s.Host.Name, s.Timeout = "web1", 10*time.Hour
					s.Interval, s.Retry = 0, time.Minute // once, within a minute
					all = append(all, s)
				}
				h := all[0].Host
				for _, s := range all {
					s.Host, s.On = h, h
				}
				b := start(t, o, all...)
				time.Sleep(2 * time.Minute) // one runs, and the others wait
				mu.Lock()
				first := order.String()
				mu.Unlock()
				ordered := 0
				for _, s := range all {
					if string(s.Key.Service) != first && ordered < rechecks {
						ordered++
						b.order(t, alf.Command{Verb: alf.Recheck, Key: s.Key})
					}
				}
				time.Sleep(10 * time.Hour)
				mu.Lock()
				defer mu.Unlock()
				if got := order.String(); strings.Map(upper, got[1:]) != want || len(got) != len(all) {
					t.Errorf("in the order %q, want of each after the first %q", got, want)
				}
			})
		})
	}
	// Upper case: ordered; which of the others comes first is a matter of their slots.
	f("for its host", checker.Options{MaxPerHost: 1}, 2, "OO.....")
	f("all for their host", checker.Options{MaxPerHost: 1}, 7, "OOOOOOO")
	f("many for their host", checker.Options{MaxPerHost: 1}, 5, "OOO.OO.")
	f("for a turn", checker.Options{MaxConcurrent: 1}, 5, "OOOOO..")
}

// upper shows whether a run was ordered.
func upper(r rune) rune {
	if r < 'a' {
		return 'O'
	}
	return '.'
}
