package calendar

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Definition is a timeperiod as the configuration gives it.
type Definition struct {
	Zone *time.Location // whose wall clock it follows; nil is UTC

	// Ranges holds the times, such as "09:00-12:00,13:00-17:00", of
	//
	//	monday                              a weekday
	//	monday 3, monday -1 - friday -1     in every month; -1 is the last
	//	monday 3 may                        in one month
	//	day 2, day 10 - -1, day 25 - 5      of every month; -1 is the last
	//	december 25, may 1 - 15, december 24 - january 6
	//	2026-12-25, 2026-02-01 - 2026-03-01
	//
	// A range of days may end with "/ 7": every seventh of them. With
	// "2026-02-01 / 7" the range has no end.
	//
	// Only one of them speaks for a day: a calendar date before a date in a
	// month, that before a day of every month, that before a weekday in one
	// month, that before one in every month, and that before a plain weekday.
	// Of several such the one with the fewest days speaks, and of equals the
	// first in the alphabet.
	//
	// Times that end before they begin, such as "22:00-06:00", run into the
	// next day and belong to the day on which they begin. The times
	// "00:00-00:00" are none: the day is closed.
	Ranges map[string]string

	// Exclude names periods whose time is taken away from this one's.
	Exclude []string
}

// Period is a timeperiod. [NewPeriods] makes it. It never changes, so it may be
// used by many goroutines at once.
type Period struct {
	zone    *time.Location
	rules   []rule // the most specific first
	exclude []*Period

	overnight bool // some times run into the next day

	// A search looks as far as reach, in seconds, and at least until until.
	reach, until int64
}

// Error is one mistake in a definition.
type Error struct {
	Period    string
	Directive string // a key of Ranges, or "exclude"
	Text      string // all of it, with the period and the directive
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// NewPeriods makes periods of definitions by name. The error joins an [*Error]
// for all that is wrong.
func NewPeriods(definitions map[string]Definition) (map[string]*Period, error) {
	periods := make(map[string]*Period, len(definitions))
	names := slices.Sorted(maps.Keys(definitions))
	var errs []error
	for _, name := range names {
		p, all := newPeriod(definitions[name])
		periods[name] = p
		errs = append(errs, within(name, all)...)
	}
	for _, name := range names {
		missing := periods[name].take(definitions[name].Exclude, periods)
		errs = append(errs, within(name, missing)...)
		if way := circle(definitions, map[string]bool{}, name); way != nil {
			text := fmt.Sprintf("timeperiod %q excludes itself: %s", name, strings.Join(way, " excludes "))
			errs = append(errs, &Error{name, "exclude", text})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return periods, nil
}

// wrong is a mistake in one directive of a period whose name is not known there.
type wrong struct {
	directive string
	err       error
}

// within puts the name of the period before each of all.
func within(name string, all []wrong) []error {
	var errs []error
	for _, w := range all {
		errs = append(errs, &Error{name, w.directive, fmt.Sprintf("timeperiod %q: %v", name, w.err)})
	}
	return errs
}

func newPeriod(d Definition) (p *Period, errs []wrong) {
	p = &Period{zone: d.Zone, reach: 16 * day} // a week, and one more for a day that is skipped
	if d.Zone == nil {
		p.zone = time.UTC
	}
	for _, directive := range slices.Sorted(maps.Keys(d.Ranges)) {
		r, err := parseRule(directive, d.Ranges[directive])
		if err == nil && slices.ContainsFunc(p.rules, r.sameDays) {
			err = errors.New("the same days twice")
		}
		if err != nil {
			errs = append(errs, wrong{directive, fmt.Errorf("%q = %q: %w", directive, d.Ranges[directive], err)})
			continue
		}
		p.add(r)
	}
	slices.SortStableFunc(p.rules, func(a, b rule) int { return int(a.kind - b.kind) })
	return p, errs
}

// take lets p exclude the periods of these names.
func (p *Period) take(names []string, periods map[string]*Period) (errs []wrong) {
	for _, name := range names {
		other, ok := periods[name]
		if !ok {
			errs = append(errs, wrong{"exclude", fmt.Errorf("exclude %q: there is no such timeperiod", name)})
		}
		p.exclude = append(p.exclude, other)
	}
	return errs
}

func (p *Period) add(r rule) {
	p.rules = append(p.rules, r)
	p.overnight = p.overnight || slices.ContainsFunc(r.times, func(s span) bool { return s.to > day })
	if r.kind == calendarDate {
		from, _ := r.from.on(0, 0)
		to, _ := r.to.on(0, 0)
		p.until = max(p.until, (max(from, to)+2)*day)
	}
	if r.endless || r.kind != calendarDate && r.kind != weekday {
		p.reach = horizon
	}
}

// circle returns the way by which the last period on path comes to exclude the
// first, or nil. Those that were seen on the way do not.
func circle(definitions map[string]Definition, seen map[string]bool, path ...string) []string {
	last := path[len(path)-1]
	for _, other := range definitions[last].Exclude {
		if other == path[0] {
			return append(path, other)
		}
		if seen[other] {
			continue
		}
		seen[other] = true
		if way := circle(definitions, seen, append(slices.Clip(path), other)...); way != nil {
			return way
		}
	}
	return nil
}

// Contains reports whether t is in the period.
func (p *Period) Contains(t time.Time) bool {
	return p.contains(t.Unix())
}

// Next returns the first instant from t on that is in the period: t itself if
// it is. It returns the zero time if there is none within 41 years.
func (p *Period) Next(t time.Time) time.Time {
	if p.Contains(t) {
		return t
	}
	unix, ok := p.next(t.Unix())
	return instant(unix, ok, t)
}

// End returns the first instant from t on that is not in the period: t itself
// if it is not. It returns the zero time if there is none within 41 years.
func (p *Period) End(t time.Time) time.Time {
	if !p.Contains(t) {
		return t
	}
	unix, ok := p.end(t.Unix())
	return instant(unix, ok, t)
}

func (p *Period) contains(unix int64) bool {
	_, offset := time.Unix(unix, 0).In(p.zone).Zone()
	in, _ := p.at(unix + int64(offset))
	return in && !slices.ContainsFunc(p.exclude, func(e *Period) bool { return e.contains(unix) })
}

func (p *Period) next(unix int64) (int64, bool) {
	for last := p.last(unix); unix < last; {
		start, ok := p.find(unix, true)
		if !ok {
			return 0, false
		}
		if unix = p.free(start); unix == start {
			return start, true
		}
	}
	return 0, false
}

// free returns the first instant from unix on that is worth a look, because
// the exclude that holds at unix has ended: unix itself if none holds.
func (p *Period) free(unix int64) int64 {
	for _, e := range p.exclude {
		if end, ok := e.end(unix); !ok {
			return farthest
		} else if end > unix {
			return end
		}
	}
	return unix
}

func (p *Period) end(unix int64) (int64, bool) {
	end, ok := p.find(unix, false)
	for _, e := range p.exclude {
		if start, found := e.next(unix); found && (!ok || start < end) {
			end, ok = start, true
		}
	}
	return end, ok
}

// last returns how far a search from unix looks. From before 1970 it does not
// look for all the dates there are: that would take seconds.
func (p *Period) last(unix int64) int64 {
	switch {
	case unix < -farthest || unix > farthest:
		return unix
	case unix < 0:
		return unix + p.reach
	}
	return max(unix+p.reach, p.until)
}

// find returns the first instant from unix on at which p, but for its excludes,
// holds, or the first at which it does not.
func (p *Period) find(unix int64, want bool) (int64, bool) {
	for last := p.last(unix); unix < last; {
		s := stretchAt(unix, p.zone)
		for wall := unix + s.offset; wall < min(s.end, last)+s.offset; {
			in, edge := p.at(wall)
			if in == want {
				return wall - s.offset, true
			}
			wall = edge
		}
		unix = s.end
	}
	return 0, false
}

// at reports whether p holds when the wall clock shows wall, and until when
// that is certain.
func (p *Period) at(wall int64) (in bool, edge int64) {
	today := dayOf(wall)
	edge = (today + 1) * day
	first := today
	if p.overnight {
		first--
	}
	for number := first; number <= today; number++ {
		for _, s := range p.times(number) {
			from, to := number*day+s.from, number*day+s.to
			in = in || from <= wall && wall < to
			for _, bound := range [...]int64{from, to} {
				if bound > wall {
					edge = min(edge, bound)
				}
			}
		}
	}
	return in, edge
}

// times returns the times of the rule that speaks for a day.
func (p *Period) times(number int64) []span {
	year, month, _ := date(number).Date()
	var best *rule
	var fewest int64
	for i := range p.rules {
		r := &p.rules[i]
		if best != nil && r.kind != best.kind {
			break
		}
		if days, ok := r.covers(number, year, month); ok && (best == nil || days < fewest) {
			best, fewest = r, days
		}
	}
	if best == nil {
		return nil
	}
	return best.times
}
