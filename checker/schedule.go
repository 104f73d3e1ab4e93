package checker

import (
	"cmp"
	"container/heap"
	"time"

	"alf"
)

// firstWithin bounds how long a service waits for its first check.
const firstWithin = 5 * time.Minute

// nextDue returns when s is due after a check that ended at end and led to st;
// zero: not by itself. A SOFT or stale state is looked at again after the retry
// interval (RULES R2); all else keeps to the grid of its own.
func nextDue(s *alf.Service, st alf.State, end time.Time) time.Time {
	soft := st.Type == alf.Soft && !st.Pending()
	switch {
	case !s.Scheduled():
		return time.Time{}
	case soft || !st.Stale.IsZero():
		return end.Add(s.Retry)
	case s.Interval == 0:
		return time.Time{}
	}
	return grid(s.Key, s.Interval, end)
}

// firstDue returns when s is due for the first time since Alf was started or
// learnt of it. What was planned for a time that has passed meanwhile is made up
// soon, in a slot of its own: after a night all are overdue at once.
func firstDue(s *alf.Service, st alf.State, planned, now time.Time) time.Time {
	switch {
	case !s.Scheduled():
		return time.Time{}
	case st.Pending():
		return grid(s.Key, min(cmp.Or(s.Interval, s.Retry), firstWithin), now)
	case st.Type == alf.Soft || !st.Stale.IsZero():
		return grid(s.Key, min(s.Retry, firstWithin), now)
	case s.Interval == 0:
		return time.Time{}
	case !planned.IsZero() && planned.Before(now):
		return grid(s.Key, min(s.Interval, firstWithin), now)
	}
	return grid(s.Key, s.Interval, now)
}

// grid returns the first time after now that is key's own slot of every
// interval. It depends on nothing else, so a restart shifts no schedule.
func grid(key alf.Key, interval time.Duration, now time.Time) time.Time {
	n, i := now.UnixNano(), int64(interval)
	phase := int64(hash(key) % uint64(i))
	since := (n - phase) % i
	if since < 0 {
		since += i
	}
	return now.Add(time.Duration(i - since))
}

// hash spreads keys evenly: FNV-1a, and a last mix of its bits.
func hash(key alf.Key) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [...]string{string(key.Host), "!", string(key.Service)} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// missed returns how many slots of s passed between due and now.
func missed(s *alf.Service, due, now time.Time) uint64 {
	if s.Interval <= 0 || due.IsZero() || now.Before(due) {
		return 0
	}
	return uint64(now.Sub(due) / s.Interval)
}

// entry is a place in an agenda. An item has one in each.
type entry struct {
	item  *item
	due   time.Time // zero: never
	index int       // in the agenda; -1: not there
	first bool      // somebody waits for it, who has ordered it for now
}

// agenda is a heap of entries by due time. Those without one are not in it.
type agenda []*entry

var _ heap.Interface = (*agenda)(nil)

func (a agenda) Len() int { return len(a) }

// Less puts what is ordered for now before what is due, however long.
func (a agenda) Less(i, j int) bool {
	if a[i].first != a[j].first {
		return a[i].first
	}
	return a[i].due.Before(a[j].due)
}

func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	e := x.(*entry)
	e.index = len(*a)
	*a = append(*a, e)
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	e.index = -1
	return e
}

// set puts e at its due time, or takes it out if it has none.
func (a *agenda) set(e *entry, due time.Time) {
	e.due = due
	switch {
	case due.IsZero() && e.index >= 0:
		heap.Remove(a, e.index)
	case due.IsZero():
	case e.index >= 0:
		heap.Fix(a, e.index)
	default:
		heap.Push(a, e)
	}
}

// next returns the entry that is due first, or nil.
func (a agenda) next() *entry {
	if len(a) == 0 {
		return nil
	}
	return a[0]
}

// take returns the first entry and takes it out, if it is due; else nil. It keeps
// its due time.
func (a *agenda) take(now time.Time) *entry {
	if e := a.next(); e == nil || e.due.After(now) {
		return nil
	}
	return heap.Pop(a).(*entry)
}
