package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"alf"
	"alf/perfdata"
)

// readThresholds reads [check.ID.thresholds]: a table for each label or
// pattern. Names come before patterns, so that they win; else the order of the
// file stays.
func readThresholds(dst *[]alf.Threshold) reader {
	return func(m *mistakes, key string, v value) {
		t, ok := v.any.(*table)
		if !ok {
			m.take(key, v.at, v.want(`a table such as { time = { warn = "0.5", crit = "1" } }`, func() *shape { return mapping(thresholdKeys(new(alf.Threshold)).shape()) }))
			return
		}
		for _, label := range t.keys {
			x := alf.Threshold{Label: label}
			at, before := t.values[label], len(m.errors)
			if label == "" {
				m.take(key, at.at, errors.New("a label is empty"))
			}
			sub(thresholdKeys(&x))(m, key+"."+label, at)
			if len(m.errors) == before && !x.Warn.Set && !x.Crit.Set {
				m.take(key+"."+label, at.at, fmt.Errorf("neither warn nor crit"))
			}
			*dst = append(*dst, x)
		}
		slices.SortStableFunc(*dst, func(a, b alf.Threshold) int {
			return cmp.Compare(pattern(a.Label), pattern(b.Label))
		})
	}
}

func thresholdKeys(x *alf.Threshold) keys {
	return keys{
		"warn": to(&x.Warn, readRange),
		"crit": to(&x.Crit, readRange),
		"unit": to(&x.Unit, readUnit),
	}
}

func pattern(label string) int {
	if alf.IsPattern(label) {
		return 1
	}
	return 0
}

// readRange reads a range such as "10:20", or a number.
func readRange(v value) (perfdata.Range, error) {
	var s string
	switch x := v.any.(type) {
	case int64:
		s = strconv.FormatInt(x, 10)
	case float64:
		s = strconv.FormatFloat(x, 'f', -1, 64)
	case string:
		s = x
	default:
		return perfdata.Range{}, v.want(`a range such as "10:20"`, func() *shape { return either(texts(""), &shape{Type: "number"}) })
	}
	return perfdata.ParseRange(s)
}

// readUnit reads a unit that can be compared with others of its kind.
func readUnit(v value) (string, error) {
	s, err := word(v)
	if err != nil {
		return "", err
	}
	if base := (perfdata.Datum{UOM: s}).Base().UOM; base == "" || base == s {
		return "", fmt.Errorf("%q is no unit that perfdata may have, such as ms, KB or %%", s)
	}
	return s, nil
}
