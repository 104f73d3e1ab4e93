package config

import (
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// mark says where a table header or a key stands in a file. The TOML library
// knows the lines of syntax errors only.
type mark struct {
	path       []string // from the root of the file
	keys       int      // how many pieces of it are the key itself
	header     bool
	list       bool // a header in double brackets
	line       int
	at         int   // byte: the key, or the bracket of a header
	start, end int   // bytes: from the key to the end of its value, or the name in a header
	elems      []int // the lines of the value's elements, if it is an array
}

// notice is a form of TOML 1.1, which the library reads and others do not.
type notice struct {
	line int
	what string
}

// scanner finds the marks of a TOML file. It trusts that the file is valid; in
// another one it finds something, and ends.
type scanner struct {
	src   string
	pos   int
	line  int
	mute  bool // inside an array: tables there are values, not tables of the file
	depth int  // of what is open
	deep  int  // the line that is too deep; it is the last one
	marks []mark
	newer []notice
}

// maxNesting is how deep keys and values may lie in each other. No key needs as
// much.
const maxNesting = 100

// scan returns the marks of src in order, and the forms of TOML 1.1. deep is the
// line where it nests too deep; 0: it does not.
func scan(src string) (marks []mark, newer []notice, deep int) {
	s := scanner{src: src, line: 1}
	var context []string
	for s.blank(); s.more(); s.blank() {
		if s.src[s.pos] == '[' {
			context = s.header()
			continue
		}
		s.pair(context)
	}
	return s.marks, s.newer, s.deep
}

// enter ends the scan if n levels are too many.
func (s *scanner) enter(n int) {
	if n > maxNesting && s.deep == 0 {
		s.deep, s.pos = s.line, len(s.src)
	}
}

func (s *scanner) note(line int, what string) { s.newer = append(s.newer, notice{line, what}) }

// more reports whether there is text left.
func (s *scanner) more() bool { return s.pos < len(s.src) }

// until reports whether there is text left and it does not begin with end.
func (s *scanner) until(end byte) bool { return s.more() && s.src[s.pos] != end }

// step goes n bytes on.
func (s *scanner) step(n int) {
	n = min(n, len(s.src)-s.pos)
	s.line += strings.Count(s.src[s.pos:s.pos+n], "\n")
	s.pos += n
}

// blank goes over white space, newlines and comments.
func (s *scanner) blank() {
	for s.more() {
		switch s.src[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.step(1)
		case '#':
			for s.until('\n') {
				s.step(1)
			}
		default:
			return
		}
	}
}

// breaks is blank, and reports whether there was a newline.
func (s *scanner) breaks() bool {
	line := s.line
	s.blank()
	return s.line > line
}

// header goes over [a.b] or [[a.b]] and returns its path.
func (s *scanner) header() []string {
	at, brackets := s.pos, 1
	if strings.HasPrefix(s.src[s.pos:], "[[") {
		brackets = 2
	}
	s.step(brackets)
	s.blank()
	start, line := s.pos, s.line
	path := s.key(']')
	s.enter(len(path))
	s.step(brackets - 1)
	s.marks = append(s.marks, mark{path: path, header: true, list: brackets == 2, line: line, at: at, start: start, end: s.pos})
	return path
}

// pair goes over key = value.
func (s *scanner) pair(context []string) {
	start, line := s.pos, s.line
	path := slices.Concat(context, s.key('='))
	s.enter(len(path))
	i := len(s.marks)
	if !s.mute {
		s.marks = append(s.marks, mark{path: path, keys: len(path) - len(context), line: line, at: start, start: start})
	}
	s.blank()
	elems := s.value(path)
	if !s.mute {
		s.marks[i].elems, s.marks[i].end = elems, s.pos
	}
}

// key goes over the pieces of a key and the byte that ends it.
func (s *scanner) key(end byte) []string {
	var path []string
	for s.until('\n') {
		switch c := s.src[s.pos]; {
		case c == end:
			s.step(1)
			return path
		case c == '"' || c == '\'':
			path = append(path, unquote(s.str()))
		case c == '.' || c == ' ' || c == '\t':
			s.step(1)
		default:
			path = append(path, s.bare(end))
		}
	}
	return path
}

func (s *scanner) bare(end byte) string {
	start := s.pos
	for s.until(end) && !strings.ContainsRune(". \t\n\"'", rune(s.src[s.pos])) {
		s.step(1)
	}
	return s.src[start:s.pos]
}

// unquote reads a quoted piece of a key.
func unquote(s string) string {
	if !strings.Contains(s, `\`) || s[0] == '\'' {
		return strings.Trim(s, s[:1])
	}
	var doc struct{ K string }
	if _, err := toml.Decode("K = "+s, &doc); err != nil {
		return s
	}
	return doc.K
}

// value goes over the value that path names and returns the lines of its
// elements.
func (s *scanner) value(path []string) []int {
	if !s.more() {
		return nil
	}
	s.depth++
	defer func() { s.depth-- }()
	if s.enter(s.depth); !s.more() {
		return nil
	}
	switch s.src[s.pos] {
	case '[':
		return s.array()
	case '{':
		s.inline(path)
	case '"', '\'':
		s.str()
	default:
		s.step(1)
		for s.more() && !strings.ContainsRune(",]}#\n", rune(s.src[s.pos])) {
			s.step(1)
		}
	}
	return nil
}

func (s *scanner) array() (lines []int) {
	mute := s.mute
	s.mute = true
	s.step(1)
	for s.blank(); s.until(']'); s.blank() {
		if s.src[s.pos] == ',' {
			s.step(1)
			continue
		}
		lines = append(lines, s.line)
		s.value(nil)
	}
	s.step(1)
	s.mute = mute
	return lines
}

func (s *scanner) inline(path []string) {
	line, comma := s.line, false
	s.step(1)
	long := s.breaks()
	for s.until('}') {
		if comma = s.src[s.pos] == ','; comma {
			s.step(1)
		} else {
			s.pair(path)
		}
		long = s.breaks() || long
	}
	switch {
	case long:
		s.note(line, "an inline table over several lines")
	case comma:
		s.note(s.line, "a comma at the end of an inline table")
	}
	s.step(1)
}

// str goes over a string of any of the four kinds and returns it with its
// quotes.
func (s *scanner) str() string {
	start := s.pos
	quote := s.src[s.pos : s.pos+1]
	long := strings.HasPrefix(s.src[s.pos:], strings.Repeat(quote, 3))
	delimiter := quote
	if long {
		delimiter = strings.Repeat(quote, 3)
	}
	s.step(len(delimiter))
	for s.more() && !strings.HasPrefix(s.src[s.pos:], delimiter) {
		if s.src[s.pos] == '\\' && quote == `"` {
			s.step(1)
			s.escape()
		}
		s.step(1)
	}
	s.step(len(delimiter))
	for long && strings.HasPrefix(s.src[s.pos:], quote) { // """a""""" ends in two quotes of its own
		s.step(1)
	}
	return s.src[start:s.pos]
}

// escape looks at what follows a backslash.
func (s *scanner) escape() {
	if s.more() && (s.src[s.pos] == 'e' || s.src[s.pos] == 'x') {
		s.note(s.line, `the escape \`+s.src[s.pos:s.pos+1])
	}
}
