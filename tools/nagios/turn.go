package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// turn is the second in which what Nagios says to have done at second at was due:
// it does what is due up to a millisecond early, and nothing but that at the end
// of a second.
func (w *watch) turn(at int) int {
	since := time.Since(w.core.epoch.Add(time.Duration(at+1) * time.Second))
	if since >= 0 && since < 150*time.Millisecond {
		return at + 1
	}
	return at
}

// depths moves the begins and ends of downtimes that the status file had already
// seen at the end of a second to the next one, in which they were due.
func (r *run) depths(states []entry) []entry {
	var out []entry
	last := map[string]entry{}
	for i, e := range states {
		before, seen := last[e.Key]
		if seen && e.Depth != before.Depth && !r.due(e.Key, e.At) && r.due(e.Key, e.At+1) {
			late := e
			late.At++
			if !slices.ContainsFunc(states[i+1:], func(o entry) bool { return o.Key == e.Key && o.At == late.At }) {
				out = append(out, late)
			}
			e.Depth = before.Depth
		}
		last[e.Key] = e
		if before.At = e.At; !seen || e != before {
			out = append(out, e)
		}
	}
	return out
}

// due reports whether a downtime of key may begin or end in second at: Nagios
// said so, or a command that orders one did.
func (r *run) due(key string, at int) bool {
	if slices.ContainsFunc(r.entries, func(e entry) bool { return e.What == "downtime" && e.Key == key && e.At == at }) {
		return true
	}
	return slices.ContainsFunc(r.Steps, func(s step) bool {
		orders := strings.Contains(s.text, "DOWNTIME")
		return orders && (strings.HasPrefix(s.text, "DEL_") && s.at == at || slices.Contains(strings.Split(s.text, ";"), fmt.Sprint("@", at)))
	})
}
