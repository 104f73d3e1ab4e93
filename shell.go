package alf

import (
	"errors"
	"strings"
)

// shellScanner follows the quoting of a POSIX shell line, as far as is needed
// to know how a value must be written at a place (XCU 2.2, Quoting). From the
// first command substitution, parameter expansion, arithmetic, here-document or
// $'...' on it only knows that it does not know.
type shellScanner struct {
	in      Quote // Unquoted, InDouble or InSingle
	last    byte  // the byte before, 0 at the start and after a quoted one
	escape  bool  // the next byte is taken literally
	comment bool  // up to the end of the line
	lost    bool
}

func newShellScanner() shellScanner { return shellScanner{in: Unquoted, last: ' '} }

func (s *shellScanner) read(text string) {
	for i := range len(text) {
		s.last = s.next(text[i])
	}
}

// next takes c in and returns what counts as the byte before the next one.
func (s *shellScanner) next(c byte) byte {
	switch {
	case s.escape:
		s.escape = false
		if c == '\n' { // a continued line: the shell sees neither byte
			return s.last
		}
		return 0
	case s.comment:
		s.comment = c != '\n'
	case s.in == InSingle:
		if c == '\'' {
			s.in = Unquoted
		}
		return 0
	case c == '\\':
		s.escape = true
		return s.last
	case c == '`', s.last == '$' && (c == '(' || c == '{' || c == '['):
		s.lost = true
	case s.in == InDouble:
		if c == '"' {
			s.in = Unquoted
			return 0
		}
	default:
		s.unquoted(c)
	}
	return c
}

func (s *shellScanner) unquoted(c byte) {
	switch c {
	case '\'', '"':
		s.lost = s.lost || s.last == '$' // $'...' is a quoting of its own in some shells
		s.in = map[byte]Quote{'\'': InSingle, '"': InDouble}[c]
	case '<':
		s.lost = s.lost || s.last == '<'
	case '(', '[':
		s.lost = s.lost || s.opensArithmetic(c)
	case '#':
		s.comment = strings.IndexByte(" \t\n;|&()<>", s.last) >= 0
	}
}

// opensArithmetic reports whether c begins what bash evaluates, whatever quotes
// are in it: ((, [[, a subscript or a list of subscripts. Elsewhere /bin/sh may
// read it as something harmless.
func (s *shellScanner) opensArithmetic(c byte) bool {
	if c == '(' {
		return s.last == '(' || s.last == '='
	}
	return s.last == '[' || nameByte(s.last)
}

// quote returns how a value must be written here; false: nobody knows.
func (s *shellScanner) quote() (Quote, bool) {
	dollar := s.in == Unquoted && s.last == '$'
	return s.in, !s.lost && !s.comment && !s.escape && !dollar
}

// value notes that a quoted value stands here.
func (s *shellScanner) value() { s.last = 0 }

// finish reports a line that ends inside quotes.
func (s *shellScanner) finish() error {
	switch {
	case s.lost:
		return nil
	case s.in == InSingle:
		return errors.New("a single quote (') is not closed")
	case s.in == InDouble:
		return errors.New("a double quote (\") is not closed")
	}
	return nil
}
