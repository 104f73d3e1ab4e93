package checker

import (
	"context"
	"time"

	"alf"
)

// formerFor bounds how long the log is asked for what left the configuration.
const formerFor = 30 * time.Second

// former returns what was known of those of services that left the configuration
// not longer ago than it is kept, under their own key or a former one: the
// entries of the log with which they left.
func (c *Checker) former(ctx context.Context, services []*alf.Service) map[alf.Key]*alf.Event {
	found := make(map[alf.Key]*alf.Event)
	if c.o.Past == nil || c.o.KeepRemoved <= 0 || len(services) == 0 {
		return found
	}
	var keys []alf.Key
	for _, s := range services {
		keys = append(append(keys, s.Key), s.Former()...)
	}
	ctx, cancel := context.WithTimeout(ctx, formerFor)
	defer cancel()
	now := time.Now()
	entries, err := c.o.Past.At(ctx, now.Add(formerAhead), keys...)
	if err != nil {
		c.o.Log.Error("what was known of services that are new is not found, and they begin anew", "services", len(services), "err", err)
		return found
	}
	for _, e := range entries {
		if e != nil && c.keeps(e, now) {
			found[e.Key] = e
		}
	}
	return found
}

// keeps reports whether e says that a key left the configuration, not too long ago.
func (c *Checker) keeps(e *alf.Event, now time.Time) bool {
	return e.Kind == alf.KindRemoved && now.Sub(e.Time) <= c.o.KeepRemoved
}

// formerAhead is by how much a clock may have been set back since a removal.
const formerAhead = 365 * 24 * time.Hour

// origin says where what is known of a new item comes from. The zero origin:
// nothing is.
type origin struct {
	why   string
	moved alf.Key // another key that it had there, which nobody has noted yet; zero: none
}

// inherit gives it, which is new, what is known of it from before: from, if that
// is the item that it was until now, or else what the log has, if that is not too
// long ago.
func (l *loop) inherit(it *item, from *item, former map[alf.Key]*alf.Event) origin {
	if from != nil {
		it.state, it.result, it.ordered = from.state, from.result, from.ordered
		return origin{why: renamedFrom(from.service.Key)}
	}
	e := legacy(it.service, former)
	if e == nil {
		return origin{}
	}
	it.state, it.result = e.State, e.Result
	if e.Key == it.service.Key {
		return origin{why: "configured again"}
	}
	return origin{renamedFrom(e.Key), e.Key}
}

// legacy returns with what s, which is new, goes on of what former has: of its own
// key, or else of one that it had; nil: nothing.
func legacy(s *alf.Service, former map[alf.Key]*alf.Event) *alf.Event {
	for _, key := range append([]alf.Key{s.Key}, s.Former()...) {
		if e := former[key]; e != nil && !blank(e) {
			return e
		}
	}
	return nil
}

// Returning returns who of those that d adds would go on with what was known of one
// that left the configuration, not too long ago: of itself, or of another name that
// it had. It asks the log, and so takes a while for many.
func (c *Checker) Returning(ctx context.Context, d *Difference) []Renamed {
	former := c.former(ctx, d.added)
	var all []Renamed
	for _, s := range d.added {
		if _, renamed := d.from[s.Key]; renamed || s.Own() {
			continue
		}
		if e := legacy(s, former); e != nil {
			all = append(all, Renamed{e.Key, s.Key})
		}
	}
	return all
}

func renamedFrom(key alf.Key) string { return "renamed from " + key.String() }

// blank reports whether nothing was known of what e removed.
func blank(e *alf.Event) bool {
	st := e.State
	return e.Result == nil && st.Pending() && st.Stale.IsZero() && st.Off == 0 && st.Ack == nil && len(st.Downtimes)+len(st.Comments) == 0
}

// goOn notes that it goes on with a state from before; only then, that another
// key has lost it.
func (l *loop) goOn(it *item, o origin, now time.Time) {
	if o.why == "" {
		return
	}
	e := it.event(alf.KindTick, 0, now)
	e.Text = o.why
	l.record(e)
	if o.moved != (alf.Key{}) {
		l.moved(o.moved, it.service.Key, now)
	}
}

// moved notes that key has another name, so that its state is not there for
// another one of the old name.
func (l *loop) moved(key, to alf.Key, now time.Time) {
	l.record(&alf.Event{Time: now, Key: key, Kind: alf.KindRemoved, Text: "renamed to " + to.String()})
}

// left notes that key left the configuration, with all that was known of it.
func (l *loop) left(key alf.Key, st alf.State, result *alf.Result, now time.Time) {
	e := &alf.Event{Time: now, Key: key, Kind: alf.KindRemoved, State: st, Result: result}
	l.record(e)
	l.lately = append(l.lately, e)
}

// latest adds to former what may not have been in the log when that was asked:
// what the last reload removed, and what waits for the record.
func (l *loop) latest(former map[alf.Key]*alf.Event, now time.Time) {
	if l.o.KeepRemoved <= 0 {
		return
	}
	for _, events := range [][]*alf.Event{l.lately, l.queue} {
		for _, e := range events {
			if l.keeps(e, now) {
				former[e.Key] = e
			}
		}
	}
	l.lately = nil
}

// recall is inherit for a service that is new since Alf last ran; heads are the
// newest events from then. What has moved is taken out of them.
func (l *loop) recall(it *item, heads, former map[alf.Key]*alf.Event) origin {
	for _, key := range it.service.Former() {
		if e := heads[key]; e != nil && l.checked.Service(key) == nil {
			delete(heads, key)
			it.state, it.result = e.State, e.Result
			return origin{renamedFrom(key), key}
		}
	}
	return l.inherit(it, nil, former)
}
