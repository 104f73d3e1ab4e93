// Package calendar says when: when a cron expression is due, and when a Nagios
// timeperiod holds. It is pure: no clock, no disk, no network. A time zone that
// an expression names is looked up by a function of the caller's.
//
// [Parse] reads one cron expression, [ParseAll] several that count together.
// [NewPeriods] reads timeperiods, which may exclude each other.
//
// Both halves follow the wall clock of a zone through the changes of its
// distance from UTC. A daylight saving change leaves a gap in the wall clock or
// shows a piece of it twice, and at midnight, for half an hour or for a whole
// day just as well. What that means for a job and for a period differs:
//
//   - A job at a fixed time runs once a day: at the end of the gap that
//     swallowed its time, and in the first of two passes. A job whose seconds,
//     minutes or hours begin with a star follows the clock: what is skipped is
//     not made up, and what is shown twice runs twice. That is Vixie cron's
//     rule, but for its limit of three hours: here a gap is made up for unless
//     it takes a whole day.
//   - A period holds while the wall clock shows a time in it. What the clock
//     skips is empty, what it shows twice holds twice.
package calendar

import (
	"fmt"
	"math"
	"time"
)

const (
	day = 24 * 60 * 60 // seconds in a day of 24 hours

	// horizon is how far a search looks, in seconds. The rarest things that
	// come at all are a 29 February on a given weekday and a fifth weekday of
	// February: up to 40 years apart, around a year like 2100.
	horizon = 41 * 366 * day

	// farthest is how far from 1970 a search may begin: 8700 years.
	farthest = 1 << 38
)

// Zones finds a time zone by its name. [time.LoadLocation] is one.
type Zones func(name string) (*time.Location, error)

// A stretch is a time in which a zone keeps its distance from UTC. Start, end
// and offset are in seconds, as in Unix time. Unix time plus offset is wall
// time: what the clock on the wall shows, counted as if the wall were in UTC.
type stretch struct{ start, end, offset int64 }

// stretchAt returns the stretch that unix is in. Two that follow each other may
// have the same offset.
func stretchAt(unix int64, zone *time.Location) stretch {
	t := time.Unix(unix, 0).In(zone)
	_, offset := t.Zone()
	from, to := t.ZoneBounds()
	s := stretch{start: math.MinInt64 / 4, end: math.MaxInt64 / 4, offset: int64(offset)}
	if !from.IsZero() {
		s.start = from.Unix()
	}
	if !to.IsZero() {
		s.end = to.Unix()
	}
	// Where a zone is given by a rule, Go ends a stretch after 365 days of the
	// year at the latest, also in leap years (time/zoneinfo.go, tzset).
	if s.end <= unix {
		s.end = (dayOf(unix) + 1) * day
	}
	return s
}

// dayOf returns the number of the day that wall is on, counted from 1970-01-01.
func dayOf(wall int64) int64 {
	if wall < 0 {
		return (wall+1)/day - 1
	}
	return wall / day
}

// dayNumber returns the number of a date's day.
func dayNumber(year int, month time.Month, dom int) int64 {
	return dayOf(time.Date(year, month, dom, 0, 0, 0, 0, time.UTC).Unix())
}

// date returns the date of a day. Its zone, UTC, means nothing.
func date(number int64) time.Time { return time.Unix(number*day, 0).UTC() }

// join makes one line of errors, nil if there are none.
func join(errs ...error) error {
	var all error
	for _, err := range errs {
		if all != nil && err != nil {
			err = fmt.Errorf("%w; %w", all, err)
		}
		if err != nil {
			all = err
		}
	}
	return all
}
