package calendar

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// kind is what a directive names. A smaller one goes before a greater one, as
// in Nagios.
type kind int

const (
	calendarDate kind = iota // 2026-12-25
	monthDate                // december 25
	monthDay                 // day 25
	monthWeekday             // monday 3 may
	everyWeekday             // monday 3
	weekday                  // monday
)

// mark is a day as a directive writes it. What is zero was not written, but for
// the weekday, which counts if nth does.
type mark struct {
	year    int
	month   time.Month
	dom     int // negative: from the end of the month
	weekday time.Weekday
	nth     int // the number of the weekday in its month; negative: from the end
}

// days says which days a rule covers.
type days struct {
	kind     kind
	from, to mark
	every    int64 // of the days from from on, the first of so many
	endless  bool  // to does not count
}

// rule is one directive with its times.
type rule struct {
	days
	times []span
}

func (r rule) sameDays(other rule) bool { return r.days == other.days }

// span is from one second of a day until before another, perhaps of the next day.
type span struct{ from, to int64 }

// covers reports whether d covers the day of this number, year and month, and
// in how many days in a row.
func (d *days) covers(number int64, year int, month time.Month) (count int64, ok bool) {
	if d.kind == weekday {
		return 1, d.from.weekday == date(number).Weekday()
	}
	if d.from == d.to && d.from.month != 0 && d.from.month != month && !d.endless {
		return 0, false // most days, most rules
	}
	if count, ok = d.coversIn(number, year, month); !ok && d.yearly() {
		return d.coversIn(number, year-1, month) // december 24 - january 6
	}
	return count, ok
}

func (d *days) yearly() bool { return d.kind == monthDate || d.kind == monthWeekday }

func (d *days) coversIn(number int64, year int, month time.Month) (count int64, ok bool) {
	from, hasFrom := d.from.on(year, month)
	to, hasTo := d.last(year, month)
	if to < from && d.yearly() {
		to, hasTo = d.last(year+1, month)
	}
	if !hasFrom || !hasTo {
		return 0, false
	}
	tail := number >= from && (number-from)%d.every == 0
	if to < from { // day 25 - 5: the head of each month and its tail, as in Nagios
		head := number <= to && d.every == 1
		return (to-from+31)/d.every + 1, head || tail
	}
	return (to-from)/d.every + 1, tail && number <= to
}

// last returns the last day. One that is later than its month, such as day 31
// of April, is the last of the month.
func (d *days) last(year int, month time.Month) (number int64, ok bool) {
	if d.endless {
		return farthest, true
	}
	if number, ok = d.to.on(year, month); ok || d.to.dom < 0 || d.to.nth < 0 {
		return number, ok
	}
	return mark{year: d.to.year, month: d.to.month, dom: -1}.on(year, month)
}

// on returns the number of the day that m is in this year and month, unless it
// has its own, and whether there is one.
func (m mark) on(year int, month time.Month) (number int64, ok bool) {
	if m.year != 0 {
		year = m.year
	}
	if m.month != 0 {
		month = m.month
	}
	first, length := dayNumber(year, month, 1), daysIn(year, month)
	dom := m.dom
	switch {
	case m.nth > 0:
		dom = 7*(m.nth-1) + 1 + until(date(first).Weekday(), m.weekday)
	case m.nth < 0:
		dom = 7*(m.nth+1) + length - until(m.weekday, date(first+int64(length)-1).Weekday())
	case dom < 0:
		dom += length + 1
	}
	return first + int64(dom) - 1, dom >= 1 && dom <= length
}

// until returns how many days it is from one weekday to the next other one.
func until(from, to time.Weekday) int { return int(to-from+7) % 7 }

// lengths are those of the months of a common year.
var lengths = [...]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func daysIn(year int, month time.Month) int {
	if month == time.February && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 29
	}
	return lengths[month]
}

// The forms of a directive; the last group of each is the step. Nagios is as lenient
// about spaces.
var (
	byDate = regexp.MustCompile(`^(\d{4})-(\d\d?)-(\d\d?)(?:\s*-\s*(\d{4})-(\d\d?)-(\d\d?))?(?:\s*/\s*(\d+))?$`)
	byWord = regexp.MustCompile(`^([a-z]+)(?:\s+(-?\d+)(?:\s+([a-z]+))?(?:\s*-\s*(?:([a-z]+)\s+)?(-?\d+)(?:\s+([a-z]+))?(?:\s*/\s*(\d+))?)?)?$`)
)

// maxStep is the longest step, in days.
const maxStep = 9999

func parseRule(directive, text string) (rule, error) {
	d, err := parseDays(strings.ToLower(strings.TrimSpace(directive)))
	times, err2 := parseTimes(text)
	return rule{d, times}, join(err, err2)
}

func parseDays(directive string) (days, error) {
	var d days
	var err, err2 error
	var step string
	if w := byDate.FindStringSubmatch(directive); w != nil {
		d.from, err = dateMark(w[1], w[2], w[3])
		if d.to = d.from; w[4] != "" {
			d.to, err2 = dateMark(w[4], w[5], w[6])
		}
		step, d.endless = w[7], w[4] == "" && w[7] != ""
	} else if w := byWord.FindStringSubmatch(directive); w != nil {
		d.from, err = wordMark(w[1], w[2], w[3])
		if d.to = d.from; w[5] != "" {
			if w[4] == "" {
				w[4] = w[1]
			}
			d.to, err2 = wordMark(w[4], w[5], w[6])
		}
		step = w[7]
	} else {
		return d, errors.New("not a weekday, a date, or a range of them")
	}
	if err = join(err, err2); err != nil {
		return d, err
	}
	err = d.finish(step)
	return d, err
}

// finish sets what follows from the marks, and refuses what covers no day ever.
func (d *days) finish(step string) error {
	d.kind, d.every = d.from.kind(), 1
	if d.kind != d.to.kind() {
		return errors.New("a range from one kind of day to another")
	}
	if d.kind == calendarDate {
		from, _ := d.from.on(0, 0)
		if to, _ := d.to.on(0, 0); to < from {
			return errors.New("the range ends before it begins")
		}
	}
	if step == "" {
		return nil
	}
	every, err := number(step)
	if err != nil || every < 1 || every > maxStep {
		return fmt.Errorf("step %s is not from 1 to %d", step, maxStep)
	}
	d.every = int64(every)
	return nil
}

func (m mark) kind() kind {
	switch {
	case m.year != 0:
		return calendarDate
	case m.month != 0 && m.nth == 0:
		return monthDate
	case m.month != 0:
		return monthWeekday
	case m.dom != 0:
		return monthDay
	case m.nth != 0:
		return everyWeekday
	}
	return weekday
}

// dateMark reads a calendar date, of which the pattern leaves only digits.
func dateMark(year, month, dom string) (mark, error) {
	y, _ := strconv.Atoi(year)
	m, _ := strconv.Atoi(month)
	d, _ := strconv.Atoi(dom)
	at := mark{year: y, month: time.Month(m), dom: d}
	if y < 1970 || y > 2199 {
		return at, fmt.Errorf("year %s is not from 1970 to 2199", year)
	}
	if m < 1 || m > 12 || d < 1 || d > daysIn(y, at.month) {
		return at, fmt.Errorf("there is no day %s-%s-%s", year, month, dom)
	}
	return at, nil
}

// wordMark reads "day 2", "may 2", "monday 2 may", "monday 2" and "monday".
func wordMark(word, count, month string) (mark, error) {
	n, err := strconv.Atoi(count)
	if count != "" && (err != nil || n == 0) {
		return mark{}, fmt.Errorf("%s %s: there is no such day", word, count)
	}
	var m mark
	limit := 31
	if m.weekday, err = named(word, time.Saturday); err == nil {
		m.nth, limit = n, 5
	} else if m.month, err = named(word, time.December); err == nil && count != "" && month == "" {
		m.dom, limit = n, daysIn(2000, m.month)
	} else if word == "day" && count != "" && month == "" {
		m.dom = n
	} else {
		return mark{}, fmt.Errorf("%q is not a day", strings.TrimSpace(word+" "+count+" "+month))
	}
	if n < -limit || n > limit {
		return mark{}, fmt.Errorf("%s %s: there is no such day", word, count)
	}
	if month == "" {
		return m, nil
	}
	m.month, err = named(month, time.December)
	return m, err
}

// named finds a weekday or a month, up to last, by its English name.
func named[T interface {
	~int
	String() string
}](name string, last T) (T, error) {
	for v := T(0); v <= last; v++ {
		if strings.EqualFold(v.String(), name) {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%q: no such name", name)
}
