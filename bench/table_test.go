package bench

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// table is what a benchmark has seen beside what was wanted of it. A target that is missed
// fails nothing, because machines differ; it is marked.
type table struct{ rows []row }

type row struct {
	name, wanted, seen, note string
	met                      bool
}

// most adds a figure that should be no more than limit.
func (t *table) most(name, unit string, limit, seen float64, note string) {
	t.rows = append(t.rows, row{name, "<= " + number(limit, unit), number(seen, unit), note, seen <= limit})
}

// least adds a figure that should be no less than limit.
func (t *table) least(name, unit string, limit, seen float64, note string) {
	t.rows = append(t.rows, row{name, ">= " + number(limit, unit), number(seen, unit), note, seen >= limit})
}

// tell adds a figure of which nothing is wanted.
func (t *table) tell(name, unit string, seen float64, note string) {
	t.rows = append(t.rows, row{name, "", number(seen, unit), note, true})
}

func number(v float64, unit string) string {
	digits := 2
	if v >= 10 {
		digits = 0
	}
	return fmt.Sprintf("%.*f %s", digits, v, unit)
}

// print writes the table below the line of the benchmark.
func (t *table) print(b *testing.B) {
	b.Helper()
	var s strings.Builder
	w := tabwriter.NewWriter(&s, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\twanted\tseen\t\t")
	for _, r := range t.rows {
		mark := ""
		if !r.met {
			mark = "MISSED "
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s%s\t\n", r.name, r.wanted, r.seen, mark, r.note)
	}
	w.Flush()
	for line := range strings.Lines(s.String()) {
		fmt.Fprintln(b.Output(), strings.TrimRight(line, " \n"))
	}
}

// cpuOf returns the milliseconds of CPU time that each of n calls of f costs.
func cpuOf(who, n int, f func()) float64 {
	before := usage(who)
	for range n {
		f()
	}
	return (usage(who) - before).Seconds() * 1000 / float64(n)
}

// cpuOfMany is cpuOf for calls of which ten are under way at a time.
func cpuOfMany(n int, f func()) float64 {
	const atOnce = 10
	before := usage(syscall.RUSAGE_SELF)
	each(n, atOnce, func(int) { f() })
	return (usage(syscall.RUSAGE_SELF) - before).Seconds() * 1000 / float64(n)
}

// each calls f with 0 to n-1, of which so many are under way at a time.
func each(n, atOnce int, f func(i int)) {
	next := make(chan int)
	done := make(chan struct{})
	for range atOnce {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range next {
				f(i)
			}
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	for range atOnce {
		<-done
	}
}

func usage(who int) time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// ratio returns the median of a/b, each of one round: what disturbs a round disturbs both.
func ratio(a, b []float64) float64 {
	var v []float64
	for i := range a {
		v = append(v, a[i]/b[i])
	}
	return median(v)
}
