package wire

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseTime reads a moment: RFC 3339, or how long ago it is, as 90m, 24h, 7d or
// 2w.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, NotAncient(t)
	}
	ago, err := parseAgo(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q is neither like 2026-10-25T02:30:00Z nor a duration ago like 90m, 24h, 7d", text)
	}
	return now.Add(-ago), nil
}

// NotAncient fails for a time before 1970: there was no Alf, and durations from
// then on may be too long to count.
func NotAncient(t time.Time) error {
	if t.Unix() < 0 {
		return fmt.Errorf("time %s is before 1970", t.Format(time.RFC3339))
	}
	return nil
}

func parseAgo(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if text == "" || units[text[len(text)-1]] == 0 {
		d, err := time.ParseDuration(text)
		if d < 0 || strings.HasPrefix(text, "+") {
			return 0, strconv.ErrRange
		}
		return d, err
	}
	const most = 100_000 // days or weeks
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if n > most/7 {
		return 0, strconv.ErrRange
	}
	return time.Duration(n) * units[text[len(text)-1]], err
}
