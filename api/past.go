package api

import (
	"context"
	"slices"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
)

// Span says which entries of the log are wanted: of what, from when on and
// before when, and how many at most.
type Span struct {
	Scope        state.Scope
	Since, Until time.Time // zero: no bound
	Limit        int
	Takes        func(*alf.Event) bool // nil: all
}

// The first look back into the log, by how much each is longer than the one
// before, and the longest that does not take in all that is left.
const (
	firstLook   = time.Hour
	furtherLook = 8
	longestLook = 200 * 24 * time.Hour
)

// Newest returns the newest entries of s, newest first. The log is read forward
// only, so it looks back in ever longer steps.
func (q Query) Newest(ctx context.Context, s Span) ([]*alf.Event, error) {
	var out []*alf.Event
	end := s.Until
	if end.IsZero() {
		end = time.Now()
	}
	part := s
	for look := firstLook; ; look *= furtherLook {
		part.Since = end.Add(-look)
		all := look > longestLook || part.Since.Before(s.Since)
		if all {
			part.Since = s.Since
		}
		part.Limit = s.Limit - len(out)
		found, err := q.tail(ctx, part)
		if err != nil {
			return nil, err
		}
		slices.Reverse(found)
		out = append(out, found...)
		if all || len(out) == s.Limit {
			return out, nil
		}
		part.Until, end = part.Since, part.Since
	}
}

// tail returns the newest entries of s, oldest first.
func (q Query) tail(ctx context.Context, s Span) ([]*alf.Event, error) {
	var out []*alf.Event
	for e, err := range q.Past.Entries(ctx, s.Scope, s.Since, s.Until) {
		if err != nil {
			return nil, err
		}
		if s.Takes != nil && !s.Takes(e) {
			continue
		}
		if out = append(out, e); len(out) >= 2*s.Limit {
			out = slices.Clone(out[len(out)-s.Limit:])
		}
	}
	return out[max(0, len(out)-s.Limit):], ctx.Err()
}

// Oldest returns the oldest entries of s, oldest first.
func (q Query) Oldest(ctx context.Context, s Span) ([]*alf.Event, error) {
	var out []*alf.Event
	for e, err := range q.Past.Entries(ctx, s.Scope, s.Since, s.Until) {
		if err != nil {
			return nil, err
		}
		if s.Takes != nil && !s.Takes(e) {
			continue
		}
		if out = append(out, e); len(out) == s.Limit {
			break
		}
	}
	return out, ctx.Err()
}

// Log returns the entries of the log that f takes in.
func (q Query) Log(ctx context.Context, f wire.LogFilter) ([]*alf.Event, error) {
	members := q.members(f.Hostgroup)
	s := Span{Scope: scope(f.Host, f.Service), Since: f.Since, Until: f.Until, Limit: f.Limit}
	s.Takes = func(e *alf.Event) bool {
		return f.Takes(e) && (f.Hostgroup == "" || members[e.Key.Host])
	}
	if f.OldestFirst {
		return q.Oldest(ctx, s)
	}
	return q.Newest(ctx, s)
}

// scope returns what the log is asked for: as little as says what is wanted.
func scope(host, service string) state.Scope {
	key := alf.Key{Host: alf.HostName(host), Service: alf.ServiceName(service)}
	switch {
	case host == "":
		return state.Scope{}
	case service == "":
		return state.Scope{Key: key, On: true}
	}
	return state.Scope{Key: key}
}

// members returns the hosts of a hostgroup.
func (q Query) members(group string) map[alf.HostName]bool {
	out := make(map[alf.HostName]bool)
	for _, h := range q.Inventory().Hosts() {
		if slices.Contains(h.Hostgroups, group) {
			out[h.Name] = true
		}
	}
	return out
}
