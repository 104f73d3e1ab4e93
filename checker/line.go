package checker

import (
	"slices"
	"time"
)

// maxOvertaken is how many checks in a row that people ordered overtake those
// that wait by their schedule.
const maxOvertaken = 3

// line is what waits for a place: what people ordered goes first, but not for
// ever.
type line struct {
	ordered, due []*item
	overtaken    int
}

func (q *line) len() int { return len(q.ordered) + len(q.due) }

func (q *line) join(it *item, ordered bool) {
	if ordered {
		q.ordered = append(q.ordered, it)
		return
	}
	q.due = append(q.due, it)
}

// hurry lets it go before what nobody ordered, if it waits.
func (q *line) hurry(it *item) {
	if i := slices.Index(q.due, it); i >= 0 {
		q.due = slices.Delete(q.due, i, i+1)
		q.ordered = append(q.ordered, it)
	}
}

// next takes out whose turn it is. There must be somebody.
func (q *line) next() *item {
	from := &q.due
	if len(q.ordered) > 0 && (len(q.due) == 0 || q.overtaken < maxOvertaken) {
		from = &q.ordered
	}
	if q.overtaken++; from == &q.due || len(q.due) == 0 {
		q.overtaken = 0
	}
	it := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	return it
}

// hurried reports whether somebody has ordered it for now, and waits.
func (it *item) hurried(now time.Time) bool {
	return !it.ordered.IsZero() && !now.Before(it.ordered)
}
