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
	heritage
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

// parse reads a file. What is set twice is a mistake, and reading goes on without
// the second one, which comes as a tree of its own behind the first tree. whole:
// nothing of the file was left out, as it is for other mistakes of syntax.
func parse(file, src string, m *mistakes) (trees []*table, whole bool) {
	src = withoutBOM(src)
	if isUTF16(src) {
		m.add(alf.Position{File: file, Line: 1}, "the file is not UTF-8 but UTF-16: save it as UTF-8")
		return nil, false
	}
	var apart []string
	var last int // the line of the last duplicate
	for range maxDuplicates {
		marks, newer, deep := scan(src)
		if deep > 0 { // for which the library takes forever
			m.add(alf.Position{File: file, Line: deep}, "keys or values lie more than %d levels deep in each other", maxNesting)
			return nil, false
		}
		var doc map[string]any
		_, err := toml.Decode(src, &doc)
		first, again, twice := duplicate(marks, err)
		switch {
		case twice:
			again = again.whole(src, marks)
			m.add(alf.Position{File: file, Line: again.line}, "%s is already set in line %d", describe(first, again), first.line)
			if !again.inList(marks) {
				apart = append(apart, again.alone(src))
			}
			last = again.line
			src = src[:again.at] + blank(src[again.at:again.end]) + src[again.end:]
		case err != nil:
			m.add(syntaxError(file, src, err))
			return nil, false
		default:
			m.warnNewer(file, newer)
			return parseApart(grow(file, marks, doc), file, apart, m)
		}
	}
	m.add(alf.Position{File: file, Line: last}, "too much is set twice: the rest of the file was not examined")
	return nil, false
}

// parseApart reads what was cut out of a file.
func parseApart(first *table, file string, apart []string, m *mistakes) (trees []*table, whole bool) {
	trees, whole = []*table{first}, true
	for _, src := range apart {
		more, ok := parse(file, src, m)
		trees = append(trees, more...)
		whole = whole && ok
	}
	return trees, whole
}

// warnNewer warns of what only tools for TOML 1.1 can read.
func (m *mistakes) warnNewer(file string, newer []notice) {
	for _, n := range newer {
		m.warn(alf.Position{File: file, Line: n.line}, "%s is TOML 1.1: tools for TOML 1.0 refuse this file", n.what)
	}
}

// withoutBOM cuts off the mark that editors may begin a file with, as the library
// does.
func withoutBOM(src string) string { return strings.TrimPrefix(src, "\xef\xbb\xbf") }

// isUTF16 reports whether src begins with a mark of UTF-16, over which the library
// would only go.
func isUTF16(src string) bool {
	return strings.HasPrefix(src, "\xff\xfe") || strings.HasPrefix(src, "\xfe\xff")
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

// duplicate returns the marks of two keys that cannot both be: those that err, an
// error of the library, is about, or that the library lets pass.
func duplicate(marks []mark, err error) (first, again mark, found bool) {
	if err == nil {
		return overlooked(marks)
	}
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return mark{}, mark{}, false
	}
	for i, again := range marks { // the outermost first: it is what goes
		at := parse.Position.Start
		if again.start > at || again.end <= at {
			continue
		}
		for _, m := range marks[:i] {
			if again.holds(m.path) || !m.header && m.end <= again.start && m.holds(again.path) {
				return m, again, true
			}
		}
	}
	return mark{}, mark{}, false
}

// holds reports whether path is in the table at m, or is m itself.
func (m mark) holds(path []string) bool {
	return len(path) >= len(m.path) && slices.Equal(path[:len(m.path)], m.path)
}

// overlooked returns what the library lets pass, and loses: a value where a table
// is already, and a header of a table that dotted keys have made.
func overlooked(marks []mark) (first, again mark, found bool) {
	tables, dotted := make(map[string]int), make(map[string]int) // by path, the first mark in it
	for i, m := range marks {
		path := strings.Join(m.path, "\x00")
		known := tables
		if m.header {
			known = dotted
		}
		if first, ok := known[path]; ok && !m.inList(marks[:i+1]) {
			return marks[first], m, true
		}
		for n, end := 1, 0; n < len(m.path); n++ {
			end += len(m.path[n-1])
			outer := path[:end+n-1]
			remember(tables, outer, i)
			if !m.header && n > len(m.path)-m.keys {
				remember(dotted, outer, i)
			}
		}
	}
	return mark{}, mark{}, false
}

func remember(marks map[string]int, path string, i int) {
	if _, ok := marks[path]; !ok {
		marks[path] = i
	}
}

// inList reports whether m is inside one of several tables of one path.
func (m mark) inList(marks []mark) bool {
	return slices.ContainsFunc(marks, func(list mark) bool { return list.list && list.holds(m.path) })
}

// whole returns m with all that belongs to it: of a header, up to the next one.
func (m mark) whole(src string, marks []mark) mark {
	if !m.header {
		return m
	}
	m.end = len(src)
	if i := slices.IndexFunc(marks, func(next mark) bool { return next.header && next.at > m.at }); i >= 0 {
		m.end = marks[i].at
	}
	return m
}

// alone returns m with all that belongs to it as a file of its own, in its line.
func (m mark) alone(src string) string {
	lines, outer := strings.Repeat("\n", m.line-1), ""
	if n := len(m.path) - m.keys; !m.header && n > 0 {
		outer = toml.Key(m.path[:n]).String() + "."
	}
	return lines + outer + src[m.at:m.end]
}

// blank returns as many lines as s, without their text.
func blank(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) }

// describe names what again would set a second time.
func describe(first, again mark) string {
	if len(first.path) < len(again.path) {
		return toml.Key(first.path).String()
	}
	if again.header {
		return "[" + toml.Key(again.path).String() + "]"
	}
	return toml.Key(again.path).String()
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
