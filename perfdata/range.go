package perfdata

import (
	"fmt"
	"math"
	"strings"
)

// Range is a threshold: [@]start:end (RULES G4). Start is not above End; they
// are -Inf for ~ and +Inf for an open end. The zero Range is no threshold. Two
// ranges are the same if == says so.
type Range struct {
	Start, End float64
	Inside     bool // @: alert within start and end, not outside
	Set        bool // false: no threshold
}

// ParseRange reads a threshold:
//
//	10      alert below 0 or above 10
//	10:     alert below 10
//	~:10    alert above 10
//	10:20   alert below 10 or above 20
//	@10:20  alert from 10 to 20, both included
//
// A start that is left out is 0, so -5 alone is refused, as the plugins do: it
// ends before it starts. An end of ~ is read as an open end, because go-check
// prints it so. An empty string is not a range. The error quotes s and says
// what is wrong.
func ParseRange(s string) (Range, error) {
	r, reason := parseRange(s, "")
	if reason != "" {
		return Range{}, fmt.Errorf("range %q: %s", clip(s), reason)
	}
	return r, nil
}

// parseRange reads a range whose numbers may be followed by uom.
func parseRange(s, uom string) (r Range, reason string) {
	s, inside := strings.CutPrefix(s, "@")
	r = Range{End: math.Inf(1), Inside: inside, Set: true}
	end := s
	if start, after, ok := strings.Cut(s, ":"); ok {
		end = after
		if r.Start, reason = parseBound(start, uom, 0, math.Inf(-1)); reason != "" {
			return Range{}, reason
		}
	} else if s == "" {
		return Range{}, "no number"
	} else if s == "~" {
		return Range{}, "no colon after ~"
	}
	if r.End, reason = parseBound(end, uom, math.Inf(1), math.Inf(1)); reason != "" {
		return Range{}, reason
	}
	if r.Start > r.End {
		return Range{}, fmt.Sprintf("start %s is above end %s", appendFloat(nil, r.Start), appendFloat(nil, r.End))
	}
	return r, ""
}

// parseBound reads one bound: empty if nothing is there, tilde for a ~.
func parseBound(s, uom string, empty, tilde float64) (v float64, reason string) {
	switch s {
	case "":
		return empty, ""
	case "~":
		return tilde, ""
	}
	n, reason := parseNumber(s, uom)
	return n.V, reason
}

// Alerts says whether v is a problem by this threshold. Outside, the bounds
// themselves are fine; with @, they alert (RULES G4). Neither a range that is
// not set nor a v that is not a number alerts.
func (r Range) Alerts(v float64) bool {
	switch {
	case !r.Set:
		return false
	case r.Inside:
		return r.Start <= v && v <= r.End
	}
	return v < r.Start || v > r.End
}

// String prints r in its shortest form, which ParseRange reads as r again. A
// range that is not set is an empty string.
func (r Range) String() string {
	return string(r.append(nil))
}

func (r Range) append(b []byte) []byte {
	if !r.Set {
		return b
	}
	if r.Inside {
		b = append(b, '@')
	}
	open := math.IsInf(r.End, 1)
	switch {
	case math.IsInf(r.Start, -1):
		b = append(b, "~:"...)
	case r.Start != 0 || open:
		b = append(appendFloat(b, r.Start), ':')
	}
	if open {
		return b
	}
	return appendFloat(b, r.End)
}
