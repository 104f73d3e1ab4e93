package state

import (
	"fmt"

	"alf"
)

// Reason says in words why the state of key came to be next after prev, and by
// which of the RULES.
func Reason(key alf.Key, prev, next alf.State) (rule, why string) {
	name := func(st alf.State) string { return key.StatusName(st.Status) }
	ok, attempt := key.StatusName(alf.OK), fmt.Sprintf("attempt %d of %d", next.Attempt, next.MaxAttempts)
	was := problemWas(prev)
	switch {
	case next.Pending():
		return "R1", "no result has judged it yet"
	case next.Status == alf.OK && prev.Pending():
		return "R1", "its first result was " + ok
	case next.Status == alf.OK && !was:
		return "R1", "its results are " + ok
	case next.Status == alf.OK && prev.Type == alf.Soft:
		return "R6", fmt.Sprintf("a soft recovery: it was %s again before its %d attempts were used up", ok, prev.MaxAttempts)
	case next.Status == alf.OK:
		return "R7", fmt.Sprintf("a recovery: it had been %s, HARD", name(prev))
	case next.Type == alf.Soft && next.Attempt > 1:
		return "R3", fmt.Sprintf("%s was not %s either", attempt, ok)
	case next.Type == alf.Soft && prev.Pending():
		return "R1", fmt.Sprintf("its first result was not %s, and is tried again before it counts", ok)
	case next.Type == alf.Soft:
		return "R2", fmt.Sprintf("it had been %s, and a result that is not is tried again before it counts", ok)
	case was && prev.Type == alf.Hard:
		return "R5", fmt.Sprintf("it had been %s, HARD, and another problem then counts at once", name(prev))
	case next.HostProblem:
		return "R10", fmt.Sprintf("it was not %s while its host was not UP, so that trying again would tell nothing", ok)
	case key.IsHost() && next.Attempt < next.MaxAttempts:
		return "H4", "a result was submitted that said so, which counts at once of a host"
	case next.MaxAttempts <= 1:
		return "R4", fmt.Sprintf("max_check_attempts is 1, so that one result that is not %s counts", ok)
	}
	return "R4", fmt.Sprintf("%s was not %s either", attempt, ok)
}

// problemWas reports whether st is a problem, settled or not.
func problemWas(st alf.State) bool { return !st.Pending() && st.Status != alf.OK }
