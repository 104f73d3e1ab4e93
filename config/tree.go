package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"alf"
)

// value is a TOML value and where it stands.
type value struct {
	at  alf.Position
	any any // string, int64, float64, bool, time.Time, []value or *table
}

// table is a TOML table. Its keys keep the order of the file.
type table struct {
	at     alf.Position
	path   []string
	header bool // it has a [header] of its own
	keys   []string
	values map[string]value
}

func newTable(path []string, at alf.Position) *table {
	return &table{at: at, path: path, values: make(map[string]value)}
}

// String returns the header of the table.
func (t *table) String() string { return "[" + toml.Key(t.path).String() + "]" }

func (t *table) set(key string, v value) {
	if _, ok := t.values[key]; !ok {
		t.keys = append(t.keys, key)
	}
	t.values[key] = v
}

// sub returns the table at key, which it makes if there is none.
func (t *table) sub(key string, at alf.Position) *table {
	if sub, ok := t.values[key].any.(*table); ok {
		return sub
	}
	sub := newTable(append(slices.Clone(t.path), key), at)
	t.set(key, value{at, sub})
	return sub
}

// maxDuplicates bounds how often a file is read again for the next mistake.
const maxDuplicates = 20

// parse reads a file. A key that is set twice is a mistake, and reading goes on
// without the second one; for other mistakes of syntax it returns nil.
func parse(file, src string, m *mistakes) *table {
	src = withoutBOM(src)
	for range maxDuplicates {
		var doc map[string]any
		_, err := toml.Decode(src, &doc)
		if err == nil {
			return grow(file, scan(src), doc)
		}
		first, again, ok := duplicate(src, err)
		if !ok {
			m.add(syntaxError(file, src, err))
			return nil
		}
		m.add(alf.Position{File: file, Line: again.line}, "%s is already set in line %d", describe(again), first.line)
		src = src[:again.start] + blank(src[again.start:again.end]) + src[again.end:]
	}
	return nil
}

// withoutBOM cuts off the marks that editors may begin a file with, as the
// library does.
func withoutBOM(src string) string {
	for _, bom := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} {
		if rest, ok := strings.CutPrefix(src, bom); ok {
			return rest
		}
	}
	return src
}

// syntaxError returns the arguments of mistakes.add for an error of the library.
// The line that the library counts is one too many where a newline is the error.
func syntaxError(file, src string, err error) (alf.Position, string, any) {
	at := alf.Position{File: file}
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return at, "%v", err
	}
	start := min(max(parse.Position.Start, 0), len(src))
	at.Line = 1 + strings.Count(src[:start], "\n")
	return at, "%s", oneLine(parse.Message)
}

// oneLine returns s with what cannot be printed written as in Go.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// duplicate returns the marks of the two keys, if that is what err is about.
func duplicate(src string, err error) (first, again mark, ok bool) {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return mark{}, mark{}, false
	}
	marks := scan(src)
	for i, again := range slices.Backward(marks) {
		at := parse.Position.Start
		if again.start > at || again.end <= at {
			continue
		}
		for _, m := range marks[:i] {
			if n := len(again.path); len(m.path) >= n && slices.Equal(m.path[:n], again.path) {
				return m, again.whole(src, marks[i+1:]), true
			}
		}
	}
	return mark{}, mark{}, false
}

// whole returns m with all that belongs to it: of a header, up to the next one.
func (m mark) whole(src string, later []mark) mark {
	if !m.header {
		return m
	}
	bracket := func(m mark) int { return max(0, strings.LastIndexByte(src[:m.start], '[')) }
	m.start, m.end = bracket(m), len(src)
	if i := slices.IndexFunc(later, func(m mark) bool { return m.header }); i >= 0 {
		m.end = bracket(later[i])
	}
	return m
}

// blank returns as many lines as s, without their text.
func blank(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) }

// describe names what a mark marks.
func describe(m mark) string {
	if m.header {
		return "[" + toml.Key(m.path).String() + "]"
	}
	return toml.Key(m.path).String()
}

// grow puts values and positions together.
func grow(file string, marks []mark, doc map[string]any) *table {
	root := newTable(nil, alf.Position{File: file})
	for _, m := range marks {
		root.plant(alf.Position{File: file, Line: m.line}, m, doc)
	}
	return root
}

// plant sets what stands at m.
func (t *table) plant(at alf.Position, m mark, doc map[string]any) {
	last := len(m.path) - 1
	for _, key := range m.path[:last] {
		sub, ok := doc[key].(map[string]any)
		if !ok {
			return // it is inside an array of tables, which is a value by itself
		}
		doc, t = sub, t.sub(key, at)
	}
	key := m.path[last]
	if _, ok := doc[key].(map[string]any); !ok {
		if _, again := t.values[key]; !again { // [[a]] comes several times
			t.set(key, leaf(at, doc[key], m.elems))
		}
		return
	}
	sub := t.sub(key, at)
	if m.header {
		sub.at, sub.header = at, true
		t.values[key] = value{at, sub}
	}
}

// leaf returns a value that is no table. lines are those of its elements.
func leaf(at alf.Position, v any, lines []int) value {
	list, ok := v.([]any)
	if !ok {
		return value{at, v}
	}
	elems := make([]value, len(list))
	for i, e := range list {
		elems[i] = leaf(at, e, nil)
		if i < len(lines) {
			elems[i].at.Line = lines[i]
		}
	}
	return value{at, elems}
}

// kind says what v is. It never prints v, which may be a secret that stands in
// the wrong place.
func (v value) kind() string {
	switch v.any.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date"
	case []value:
		return "a list"
	case *table, map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return fmt.Sprintf("a %T", v.any)
}
