package state_test

import (
	"testing"
	"time"
	"unsafe"

	"alf"
	"alf/state"
)

// BenchmarkNext judges a service in its steady state, and prints what a state
// takes in memory.
func BenchmarkNext(b *testing.B) {
	for name, status := range map[string]alf.Status{"ok": alf.OK, "critical": alf.Critical} {
		b.Run(name, func(b *testing.B) {
			s := flapping(service(3), 20, 30)
			r := &alf.Result{Status: status, Output: "DISK OK - free space: / 3326 MB", End: epoch}
			up := alf.State{Attempt: 1}
			around := state.Around{Now: epoch, Host: &up, Started: epoch}
			var st alf.State
			b.ReportAllocs()
			for b.Loop() {
				st, _ = state.Next(s, st, r, around)
				around.Now = around.Now.Add(time.Minute)
			}
			b.ReportMetric(float64(unsafe.Sizeof(st)), "B/state")
		})
	}
}
