package calendar

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// field is one place of an expression and what may stand there.
type field struct {
	name     string
	min, max int
	names    string // three letters each, the first for the value min
}

const dayOfWeek = "day of week"

// fields are in the order of an expression. The first may be left out.
var fields = [...]field{
	{"second", 0, 59, ""},
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of month", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{dayOfWeek, 0, 7, "sunmontuewedthufrisat"},
}

var macros = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// Parse reads a cron expression: five fields as in crontab(5), or six, of which
// the first is the second. Names of months and weekdays have three letters, and
// 7 is Sunday as is 0. If both day fields are restricted, that is, do not begin
// with a star, a day that fits one of them is enough. The macros are @yearly,
// @annually, @monthly, @weekly, @daily, @midnight and @hourly.
//
// The expression follows the wall clock of zone, nil being UTC, unless it
// begins with TZ=name or CRON_TZ=name, which zones looks up; without zones such
// a prefix is refused. The error tells every field that is wrong.
func Parse(text string, zone *time.Location, zones Zones) (*Cron, error) {
	c := &Cron{text: text, zone: zone}
	if zone == nil {
		c.zone = time.UTC
	}
	if err := c.parse(strings.Fields(text), zones); err != nil {
		return nil, fmt.Errorf("cron %q: %w", text, err)
	}
	return c, nil
}

// ParseAll reads several expressions as [Parse] does.
func ParseAll(texts []string, zone *time.Location, zones Zones) (Schedule, error) {
	var all Schedule
	var errs []error
	for _, text := range texts {
		c, err := Parse(text, zone, zones)
		all, errs = append(all, c), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

func (c *Cron) parse(words []string, zones Zones) error {
	if len(words) > 0 && strings.Contains(words[0], "=") {
		if err := c.setZone(words[0], zones); err != nil {
			return err
		}
		words = words[1:]
	}
	if len(words) == 1 && strings.HasPrefix(words[0], "@") {
		macro, ok := macros[words[0]]
		if !ok {
			return fmt.Errorf("unknown macro %q", words[0])
		}
		words = strings.Fields(macro)
	}
	if len(words) == len(fields)-1 {
		words = append([]string{"0"}, words...)
	}
	if len(words) != len(fields) {
		return fmt.Errorf("%d fields, want 5, or 6 with seconds", len(words))
	}
	return c.setFields(words)
}

func (c *Cron) setZone(word string, zones Zones) error {
	key, name, _ := strings.Cut(word, "=")
	if key != "TZ" && key != "CRON_TZ" {
		return fmt.Errorf("%q: want TZ= or CRON_TZ=", word)
	}
	if name == "" {
		return fmt.Errorf("%q: no time zone", word)
	}
	if zones == nil {
		return fmt.Errorf("%q: no time zone may be given here", word)
	}
	zone, err := zones(name)
	if err != nil {
		return fmt.Errorf("time zone %q: %w", name, err)
	}
	c.zone = zone
	return nil
}

func (c *Cron) setFields(words []string) error {
	var errs []error
	sets := [len(fields)]*uint64{&c.second, &c.minute, &c.hour, &c.dom, &c.month, &c.dow}
	for i, f := range fields {
		set, err := f.parse(words[i])
		if err != nil {
			err = fmt.Errorf("%s %q: %w", f.name, words[i], err)
		}
		*sets[i], errs = set, append(errs, err)
	}
	if err := join(errs...); err != nil {
		return err
	}
	c.dow |= c.dow >> 7 & 1 // 7 is Sunday, too
	star := func(i int) bool { return words[i][0] == '*' }
	c.fixed = !star(0) && !star(1) && !star(2)
	c.either = !star(3) && !star(5)
	if !c.either && !c.comes() {
		return fmt.Errorf("day of month %q never comes in month %q", words[3], words[4])
	}
	return nil
}

// comes reports whether one of the months has one of the days of the month. If
// so, it falls on each weekday in some year.
func (c *Cron) comes() bool {
	const leap = 2000
	for month := time.January; month <= time.December; month++ {
		if c.month>>month&1 == 1 && bits.TrailingZeros64(c.dom) <= daysIn(leap, month) {
			return true
		}
	}
	return false
}

// parse returns the values that a list such as "1,10-20/5,MON" stands for.
func (f field) parse(list string) (uint64, error) {
	var set uint64
	for item := range strings.SplitSeq(list, ",") {
		from, to, step, err := f.item(item)
		if err != nil {
			return 0, err
		}
		for v := from; v <= to; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

// item reads one of "*", "5", "5-10", each of the ranges also with "/2".
func (f field) item(item string) (from, to, step int, err error) {
	text, every, stepped := strings.Cut(item, "/")
	first, second, ranged := strings.Cut(text, "-")
	from, to = f.min, f.max
	if f.name == dayOfWeek {
		to = 6
	}
	if text != "*" {
		if from, err = f.value(first); err != nil {
			return 0, 0, 0, err
		}
		to = from
	}
	if ranged {
		if to, err = f.value(second); err != nil {
			return 0, 0, 0, err
		}
	}
	if f.name == dayOfWeek && ranged && to == 0 {
		to = 7 // FRI-SUN
	}
	if to < from {
		return 0, 0, 0, fmt.Errorf("range %q ends before it begins", text)
	}
	if !stepped {
		return from, to, 1, nil
	}
	if text != "*" && !ranged {
		return 0, 0, 0, fmt.Errorf("%q: a step needs a range, such as %d-%d/%s", item, from, f.max, every)
	}
	step, err = number(every)
	if err != nil || step < 1 {
		return 0, 0, 0, fmt.Errorf("step %q is not a number from 1 on", every)
	}
	if step > 1 && step > to-from {
		return 0, 0, 0, fmt.Errorf("step %d is longer than the range %d-%d", step, from, to)
	}
	return from, to, step, nil
}

// value reads a number or a name.
func (f field) value(text string) (int, error) {
	if len(text) == 3 {
		if at := strings.Index(f.names, strings.ToLower(text)); at >= 0 && at%3 == 0 {
			return f.min + at/3, nil
		}
	}
	v, err := number(text)
	if err != nil || v < f.min || v > f.max {
		return 0, fmt.Errorf("%q is not %s", text, f.want())
	}
	return v, nil
}

func (f field) want() string {
	want := fmt.Sprintf("from %d to %d", f.min, f.max)
	if f.names != "" {
		want += " nor a name of three letters"
	}
	return want
}

// number reads digits only: no sign, no spaces.
func number(text string) (int, error) {
	v, err := strconv.ParseUint(text, 10, 16)
	return int(v), err
}
