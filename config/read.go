package config

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"alf"
)

// A reader takes in the value of a key. It adds to m what is wrong with it.
type reader func(m *mistakes, key string, v value)

// keys names all keys of a table and says how each is read.
type keys map[string]reader

// opt is a setting that may be missing.
type opt[T any] struct {
	set bool
	at  alf.Position
	v   T
}

// or returns o, or base if o is not set.
func (o opt[T]) or(base opt[T]) opt[T] {
	if o.set {
		return o
	}
	return base
}

// some returns a setting that stands in no file.
func some[T any](v T) opt[T] { return opt[T]{set: true, v: v} }

// to puts what read makes of a value into dst.
func to[T any](dst *T, read func(value) (T, error)) reader {
	return func(m *mistakes, key string, v value) {
		if _, asked := v.any.(*origin); asked {
			return // it is known of an opt only
		}
		got, err := read(v)
		if err != nil {
			m.take(key, v.at, err)
			return
		}
		*dst = got
	}
}

// set is to for a setting. One with a mistake counts as set.
func set[T any](dst *opt[T], read func(value) (T, error)) reader {
	return func(m *mistakes, key string, v value) {
		if o, asked := v.any.(*origin); asked {
			o.set, o.at = dst.set, dst.at
			return
		}
		dst.set, dst.at = true, v.at
		to(&dst.v, read)(m, key, v)
	}
}

// sub reads a table in a table.
func sub(k keys) reader {
	return func(m *mistakes, key string, v value) {
		if o, asked := v.any.(*origin); asked {
			o.inner = k.origins()
			return
		}
		t, ok := v.any.(*table)
		if !ok {
			m.take(key, v.at, v.want("a table", k.shape))
			return
		}
		m.fill(t, key+".", k)
	}
}

// fill reads all keys of t and reports whether they are without a mistake.
func (m *mistakes) fill(t *table, prefix string, k keys) bool {
	before := len(m.errors)
	for _, key := range t.keys {
		if read, ok := k.reader(key, t.values[key]); ok {
			read(m, prefix+key, t.values[key])
		} else if !t.inherited[key] { // else it is known
			m.unknown(t, key, t.values[key], k)
		}
	}
	for key, v := range t.gone {
		if _, ok := k.reader(key, v); !ok && !t.inherited[key] {
			m.unknown(t, key, v, k)
		}
	}
	return len(m.errors) == before
}

// others is the key of what reads all keys that a table does not name, unless
// they hold tables.
const others = ""

func (k keys) reader(key string, v value) (reader, bool) {
	read, ok := k[key]
	if _, isTable := v.any.(*table); !ok && !isTable {
		read, ok = k[others]
	}
	return read, ok
}

// placed is an error that knows where it belongs.
type placed struct {
	at  alf.Position
	err error
}

func (p *placed) Error() string { return p.err.Error() }

// place says where err belongs, unless it knows that by itself or is nil.
func place(at alf.Position, err error) error {
	var p *placed
	if err == nil || errors.As(err, &p) {
		return err
	}
	return &placed{at, err}
}

// take adds err, which key's value at that place has caused.
func (m *mistakes) take(key string, at alf.Position, err error) {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			m.take(key, at, one)
		}
	case *placed:
		m.take(key, e.at, e.err)
	default:
		m.add(at, "%s: %v", key, err)
	}
}

// want is the error of a value of the wrong type. looks says what one of the
// right type looks like: whoever asks for that passes a *shape as the value.
func (v value) want(what string, looks func() *shape) error {
	if s, ok := v.any.(*shape); ok {
		*s = *looks()
		return errAsked
	}
	return fmt.Errorf("want %s, got %s", what, v.kind())
}

func text(v value) (string, error) {
	s, ok := v.any.(string)
	if !ok {
		return "", v.want("a string", func() *shape { return texts("") })
	}
	if strings.Contains(s, "\x00") {
		return "", errors.New("contains a NUL byte")
	}
	return s, nil
}

// word reads a text that says something and is one line.
func word(v value) (string, error) {
	s, err := text(v)
	switch {
	case err != nil:
		return "", err
	case s == "":
		return "", errEmpty
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", fmt.Errorf("%q contains a control character", s)
	}
	return s, nil
}

func boolean(v value) (bool, error) {
	b, ok := v.any.(bool)
	if !ok {
		return false, v.want("true or false", func() *shape { return &shape{Type: "boolean"} })
	}
	return b, nil
}

func number(least, most int) func(value) (int, error) {
	return func(v value) (int, error) {
		n, ok := v.any.(int64)
		switch {
		case !ok:
			return 0, v.want("an integer", func() *shape { return between("integer", float64(least), float64(most)) })
		case n < int64(least) || n > int64(most):
			return 0, fmt.Errorf("%d is not between %d and %d", n, least, most)
		}
		return int(n), nil
	}
}

// oneOf reads one of a few words.
func oneOf(words ...string) func(value) (string, error) {
	return func(v value) (string, error) {
		s, ok := v.any.(string)
		if !ok {
			return "", v.want("a string", func() *shape { return &shape{Type: "string", Enum: words} })
		}
		var err error
		if !slices.Contains(words, s) {
			err = fmt.Errorf("%q is none of %s%s", s, quoted(words), didYouMean(s, words))
		}
		return s, err
	}
}

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strconv.Quote(w)
	}
	return strings.Join(out, ", ")
}

// listOf reads a list of what read reads.
func listOf[T any](read func(value) (T, error)) func(value) ([]T, error) {
	return func(v value) ([]T, error) {
		elems, ok := v.any.([]value)
		if !ok {
			return nil, v.want("a list", func() *shape { return list(shapeOf(read)) })
		}
		out := make([]T, len(elems))
		var errs []error
		for i, e := range elems {
			var err error
			out[i], err = read(e)
			errs = append(errs, place(e.at, err))
		}
		return out, errors.Join(errs...)
	}
}

// oneOrMore reads a list, or a single one.
func oneOrMore[T any](read func(value) (T, error)) func(value) ([]T, error) {
	return func(v value) ([]T, error) {
		if _, ok := v.any.([]value); ok {
			return listOf(read)(v)
		}
		one, err := read(v)
		if s, ok := v.any.(*shape); ok {
			single := *s
			*s = *either(&single, list(&single))
		}
		return []T{one}, err
	}
}

// duration reads a text such as "1h30m". Zero is allowed if least is zero.
func duration(least, most time.Duration) func(value) (time.Duration, error) {
	return func(v value) (time.Duration, error) {
		s, ok := v.any.(string)
		if !ok {
			return 0, v.want(`a duration with a unit, such as "30s"`, func() *shape { return texts(durationPattern) })
		}
		d, err := parseDuration(s)
		switch {
		case err != nil:
			return 0, err
		case d < least:
			return 0, fmt.Errorf("%q is less than %s", s, formatDuration(least))
		case d > most:
			return 0, fmt.Errorf("%q is more than %s", s, formatDuration(most))
		}
		return d, nil
	}
}

const day = 24 * time.Hour

// units are the units of a duration.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day,
}

const digits = "0123456789"

// What durations and sizes look like, for editors. Whether they are right, only
// reading them will tell.
const (
	durationPattern = `^([0-9]*\.?[0-9]+(ms|s|m|h|d|w))+$`
	sizePattern     = `^[0-9]+ *(B|KB|MB|GB|KiB|MiB|GiB)?$`
)

func parseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf(`%q is no duration such as "30s", "5m" or "1h30m"`, s)
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("%q is negative", s)
	}
	if s != "" && strings.Trim(s, digits) == "" {
		return 0, fmt.Errorf(`%q has no unit: write "%[1]ss" for seconds, or use ms, m, h, d, w`, s)
	}
	var sum float64
	for rest := s; ; {
		number := rest[:len(rest)-len(strings.TrimLeft(rest, digits+"."))]
		rest = rest[len(number):]
		name := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))]
		rest = rest[len(name):]
		n, err := strconv.ParseFloat(number, 64)
		unit, ok := units[name]
		if err != nil || !ok {
			return 0, bad
		}
		if sum += n * float64(unit); sum > math.MaxInt64/2 {
			return 0, fmt.Errorf("%q is too long", s)
		}
		if rest == "" {
			return time.Duration(sum), nil
		}
	}
}

// formatDuration prints d as a configuration would have it.
func formatDuration(d time.Duration) string {
	var b strings.Builder
	for _, unit := range []string{"d", "h", "m", "s", "ms"} {
		if n := d / units[unit]; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit)
			d -= n * units[unit]
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// sizes are the units of a size.
var sizes = map[string]int{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// size reads a number of bytes: an integer, or a text such as "256KiB".
func size(least, most int) func(value) (int, error) {
	return func(v value) (int, error) {
		s, ok := v.any.(string)
		if !ok {
			n, err := number(least, most)(v)
			if s, ok := v.any.(*shape); ok {
				plain := *s
				*s = *either(&plain, texts(sizePattern))
			}
			return n, err
		}
		digits := s[:len(s)-len(strings.TrimLeft(s, digits))]
		n, err := strconv.Atoi(digits)
		unit, ok := sizes[strings.TrimSpace(s[len(digits):])]
		switch {
		case err != nil || !ok:
			return 0, fmt.Errorf(`%q is no size such as "256KiB"`, s)
		case n > most/unit || n*unit < least:
			return 0, fmt.Errorf("%q is not between %d and %d bytes", s, least, most)
		}
		return n * unit, nil
	}
}

// path reads the name of a file: "~/" is the home folder, and a relative name
// begins at the folder of the file that it stands in.
func (l *loader) path(v value) (string, error) {
	s, err := word(v)
	if err != nil {
		return "", err
	}
	if rest, ok := strings.CutPrefix(s, "~/"); ok {
		home := l.Getenv("HOME")
		if home == "" {
			return "", fmt.Errorf("%q: HOME is not set", s)
		}
		return filepath.Join(home, rest), nil
	}
	if filepath.IsAbs(s) {
		return filepath.Clean(s), nil
	}
	dir, ok := l.folders[v.at.File]
	if !ok {
		dir = filepath.Dir(v.at.File)
	}
	return filepath.Abs(filepath.Join(dir, s))
}
