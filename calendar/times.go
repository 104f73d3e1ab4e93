package calendar

import (
	"fmt"
	"strings"
)

// parseTimes reads "09:00-12:00,13:00-17:00". The times 00:00-00:00 are none.
func parseTimes(text string) ([]span, error) {
	var spans []span
	var errs []error
	for item := range strings.SplitSeq(text, ",") {
		s, err := parseSpan(strings.TrimSpace(item))
		if errs = append(errs, err); s != (span{}) {
			spans = append(spans, s)
		}
	}
	return spans, join(errs...)
}

func parseSpan(text string) (span, error) {
	first, second, ok := strings.Cut(text, "-")
	if !ok {
		return span{}, fmt.Errorf("times %q are not HH:MM-HH:MM", text)
	}
	from, err := parseTime(strings.TrimSpace(first))
	to, err2 := parseTime(strings.TrimSpace(second))
	if err = join(err, err2); err != nil {
		return span{}, err
	}
	if from == to && from != 0 {
		return span{}, fmt.Errorf("times %q end where they begin", text)
	}
	if to < from {
		to += day
	}
	return span{from, to}, nil
}

// parseTime reads HH:MM, up to 24:00, as seconds.
func parseTime(text string) (int64, error) {
	hours, minutes, _ := strings.Cut(text, ":")
	h, err := number(hours)
	m, err2 := number(minutes)
	if err != nil || err2 != nil || len(hours) > 2 || len(minutes) != 2 || m > 59 || h*60+m > 24*60 {
		return 0, fmt.Errorf("time %q is not from 00:00 to 24:00", text)
	}
	return int64(h*60+m) * 60, nil
}
