package config

import (
	"fmt"
	"slices"
	"time"

	"alf"
)

// judging is how results are judged, besides the attempts.
type judging struct {
	flapping  opt[bool]
	low, high opt[float64]
	fresh     opt[bool]
	freshness opt[time.Duration]
}

func (j *judging) keys() keys {
	return keys{
		"flap_detection_enabled": set(&j.flapping, boolean),
		"low_flap_threshold":     set(&j.low, percent),
		"high_flap_threshold":    set(&j.high, percent),
		"check_freshness":        set(&j.fresh, boolean),
		"freshness_threshold":    set(&j.freshness, duration(time.Second, maxInterval)),
	}
}

func (j judging) over(base judging) judging {
	out := judging{
		flapping:  j.flapping.or(base.flapping),
		low:       j.low.or(base.low),
		high:      j.high.or(base.high),
		fresh:     j.fresh.or(base.fresh),
		freshness: j.freshness.or(base.freshness),
	}
	// Whoever says how old is too old wants it to be looked at.
	if j.freshness.set && !j.fresh.set {
		out.fresh = opt[bool]{set: true, v: true, at: j.freshness.at}
	}
	return out
}

// builtinJudging is Nagios', but for flapping, which is off unless it is wanted
// (RULES T5). Freshness is left open: it is wanted of what has a schedule.
func builtinJudging() judging {
	return judging{flapping: some(false), low: some(20.0), high: some(30.0)}
}

// freshGrace is what Nagios allows a result to be late beyond its interval
// (additional_freshness_latency, RULES N27).
const freshGrace = 15 * time.Second

// submitGrace is how long after its slot a job elsewhere may submit its result,
// besides freshGrace: nobody knows how long it takes.
const submitGrace = 15 * time.Minute

// apply writes j, which must be whole, into a service whose schedule is there.
func (j judging) apply(to *alf.Service) {
	to.Flapping.Enabled, to.Flapping.Low, to.Flapping.High = j.flapping.v, j.low.v, j.high.v
	// Whoever says when a job is due wants to hear if it is not done.
	job := to.Schedule != "" && (to.Scheduled() || to.Passive)
	switch {
	case !j.fresh.or(some(job)).v:
		to.Freshness = 0
	case j.freshness.set:
		to.Freshness = j.freshness.v
	case !to.Passive:
		to.Freshness = to.Interval + freshGrace + to.Timeout
	case job:
		to.Freshness = freshGrace + submitGrace
	default:
		to.Freshness = to.Interval + freshGrace
	}
}

// complain adds the mistakes that lie between keys.
func (j judging) complain(l *loader) {
	if j.low.v > j.high.v {
		at := j.low.at
		if !j.low.set || at.Line == 0 {
			at = j.high.at
		}
		l.add(at, "low_flap_threshold %g is above high_flap_threshold %g", j.low.v, j.high.v)
	}
}

func percent(v value) (float64, error) {
	var p float64
	switch n := v.any.(type) {
	case int64:
		p = float64(n)
	case float64:
		p = n
	default:
		return 0, v.want("a number", func() *shape { return between("number", 0, 100) })
	}
	if !(p >= 0 && p <= 100) {
		return 0, fmt.Errorf("%v is not between 0 and 100 percent", v.any)
	}
	return p, nil
}

// statuses is a set of statuses, by number.
type statuses [4]bool

// The names of statuses in lists, and the letters that Nagios has for them.
var (
	serviceStatuses = []string{"ok", "warning", "critical", "unknown"}
	hostStatuses    = []string{"up", "down", "unreachable"}
	serviceLetters  = []string{"o", "w", "c", "u"}
	hostLetters     = []string{"o", "d", "u"}
)

// readStatuses reads a list of statuses by name or by Nagios' letters: of hosts,
// "u" is UNREACHABLE.
func readStatuses(names, letters []string) func(value) (statuses, error) {
	return func(v value) (statuses, error) {
		var out statuses
		all, err := listOf(oneOf(append(slices.Clone(names), letters...)...))(v)
		for _, s := range all {
			out[max(slices.Index(names, s), slices.Index(letters, s), 0)] = true
		}
		return out, err
	}
}

// ignored returns those that a list of options leaves out; without a list, none.
func ignored(counts opt[statuses]) [4]bool {
	var out [4]bool
	for i := range out {
		out[i] = counts.set && !counts.v[i]
	}
	return out
}
