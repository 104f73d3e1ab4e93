package calendar

import (
	"math/bits"
	"time"
)

// Cron is one cron expression. [Parse] makes it. It never changes, so it may be
// used by many goroutines at once.
type Cron struct {
	text string
	zone *time.Location

	second, minute, hour uint64 // the values that fit, one bit each
	dom, month, dow      uint64
	either               bool // both day fields are restricted: one that fits is enough
	fixed                bool // no star in the time of day: runs once a day for each of its times
}

// String returns the expression as it was given to [Parse].
func (c *Cron) String() string { return c.text }

// Zone returns the zone whose wall clock the expression follows.
func (c *Cron) Zone() *time.Location { return c.zone }

// Next returns when c is due next, later than after, in after's location. It
// returns the zero time if that is not within 41 years, which happens only to
// an expression whose times a zone always skips.
func (c *Cron) Next(after time.Time) time.Time {
	unix, ok := c.next(after.Unix())
	return instant(unix, ok, after)
}

// Prev returns when c was due last, earlier than before, in before's location.
// It returns the zero time if that was not within 41 years.
func (c *Cron) Prev(before time.Time) time.Time {
	end := before.Unix()
	if before.Nanosecond() > 0 {
		end++
	}
	unix, ok := c.prev(end)
	return instant(unix, ok, before)
}

func instant(unix int64, ok bool, like time.Time) time.Time {
	if !ok {
		return time.Time{}
	}
	return time.Unix(unix, 0).In(like.Location())
}

func (c *Cron) next(after int64) (int64, bool) {
	if after < -farthest || after > farthest {
		return 0, false
	}
	from, last := after+1, after+horizon
	for s := stretchAt(after, c.zone); from < last; {
		if wall, ok := c.find(max(from+s.offset, c.fresh(s, from)), min(s.end, last)+s.offset); ok {
			return wall - s.offset, true
		}
		next := stretchAt(s.end, c.zone)
		if c.skipped(s, next) {
			return s.end, true
		}
		s, from = next, s.end
	}
	return 0, false
}

// fresh returns the wall time from which on c may be due in s, for a search
// that begins at from: a job at a fixed time is not due again while the clock
// shows what it has shown in the stretch before.
func (c *Cron) fresh(s stretch, from int64) int64 {
	if !c.fixed || from-s.start > 2*day {
		return s.start + s.offset
	}
	return s.start + max(s.offset, stretchAt(s.start-1, c.zone).offset)
}

// skipped reports whether c was to be due between the stretches s and next, in
// times that the clock skips. A day that is skipped whole is not made up: the
// calendar has no such day (Apia, 2011-12-30).
func (c *Cron) skipped(s, next stretch) bool {
	if !c.fixed || next.offset-s.offset >= day {
		return false
	}
	_, ok := c.find(s.end+s.offset, s.end+next.offset)
	return ok
}

// prev looks for the last second whose next due time is before end, first in
// strides that grow, then in halves: next never goes back.
func (c *Cron) prev(end int64) (int64, bool) {
	due := func(after int64) bool {
		unix, ok := c.next(after)
		return ok && unix < end
	}
	low, high := end-2, end-1
	for stride := int64(2); !due(low); stride *= 2 {
		if stride > 2*horizon {
			return 0, false
		}
		low, high = end-1-stride, low
	}
	for high-low > 1 {
		if middle := low + (high-low)/2; due(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return c.next(low)
}

// find returns the first wall time that fits, from on and before to.
func (c *Cron) find(from, to int64) (int64, bool) {
	for from < to {
		number := c.findDay(dayOf(from), dayOf(to-1))
		from = max(from, number*day)
		if second := c.findSecond(from - number*day); second < day {
			wall := number*day + second
			return wall, wall < to
		}
		from = (number + 1) * day
	}
	return 0, false
}

// findDay returns the first day that fits, number on, or one later than last.
func (c *Cron) findDay(number, last int64) int64 {
	for number <= last {
		d := date(number)
		year, month, dom := d.Date()
		if c.month>>month&1 == 0 {
			number = dayNumber(year, month+1, 1)
			continue
		}
		if c.fits(dom, d.Weekday()) {
			return number
		}
		number++
	}
	return number
}

func (c *Cron) fits(dom int, dow time.Weekday) bool {
	byDom, byDow := c.dom>>dom&1 == 1, c.dow>>dow&1 == 1
	if c.either {
		return byDom || byDow
	}
	return byDom && byDow
}

// findSecond returns the first second of a day that fits, from on; day or more
// if there is none.
func (c *Cron) findSecond(from int64) int64 {
	for from < day {
		hour, minute := from/3600, from/60
		if h := bit(c.hour, hour); h > hour {
			from = h * 3600
		} else if m := bit(c.minute, minute%60); m > minute%60 {
			from = hour*3600 + min(m, 60)*60
		} else if s := bit(c.second, from%60); s < 60 {
			return minute*60 + s
		} else {
			from = (minute + 1) * 60
		}
	}
	return from
}

// bit returns the first bit that is set, from on; 64 or more if there is none.
func bit(set uint64, from int64) int64 {
	return from + int64(bits.TrailingZeros64(set>>from))
}

// Schedule is several expressions that count together: it is due whenever one
// of them is, and once if several are due at the same instant.
type Schedule []*Cron

// Next is [Cron.Next] of whichever is first.
func (s Schedule) Next(after time.Time) time.Time {
	var first time.Time
	for _, c := range s {
		if t := c.Next(after); first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

// Prev is [Cron.Prev] of whichever is last.
func (s Schedule) Prev(before time.Time) time.Time {
	var last time.Time
	for _, c := range s {
		if t := c.Prev(before); t.After(last) {
			last = t
		}
	}
	return last
}
