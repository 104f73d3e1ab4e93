// Package sanitize makes words that came from another machine safe to show: a
// plugin's output, a label, a banner. There is one function per place where
// such words come out, because each place breaks on something else:
//
//	Terminal      a line on a terminal, or in a pipe that may end at one
//	TerminalText  a text of several lines there
//	Log           a line of a log
//	HTML          text that html/template then escapes
//	XML           text that encoding/xml then escapes
//	JSON          text that encoding/json then escapes
//	Label         the value of a Prometheus label
//
// All of them make invalid UTF-8 valid and make visible what would act instead
// of being seen: control characters (ESC among them, and the C1 controls that
// are an ESC in one character), the marks that reorder a line (U+061C, U+200E,
// U+200F, U+202A to U+202E, U+2066 to U+2069), and the line and paragraph
// separators. They appear as in a Go string: \x1b, \r, \u202e. Invalid bytes
// become U+FFFD.
//
// A backslash that was there before stays as it is, so the result is for
// reading; it cannot be turned back. A clean string is returned as it is and
// nothing is allocated. Nothing is cut: a bound on length is the caller's.
package sanitize

import "unicode/utf8"

// place says how one place differs from a line on a terminal.
type place uint8

const (
	multiline place = 1 << iota // \n and \t stay
	xml10                       // what XML 1.0 has no room for becomes U+FFFD
	quoted                      // a backslash and a quote get a backslash
)

// Terminal makes s fit for one line on a terminal, or for a pipe that may end at
// one. Line breaks and tabs are made visible, too.
func Terminal(s string) string { return clean(s, 0) }

// TerminalText is Terminal for a text of several lines: \n and \t stay. A \r is
// made visible, since it lets a line overwrite itself.
func TerminalText(s string) string { return clean(s, multiline) }

// Log makes s fit for a log: always one line, whatever the handler quotes.
func Log(s string) string { return clean(s, 0) }

// HTML makes s fit for a page; \n and \t stay. It escapes no '<', '&' or quote:
// that is for html/template, through which the result must still go.
func HTML(s string) string { return clean(s, multiline) }

// XML makes s fit for an XML 1.0 document, which has no room for most control
// characters, not even escaped (XML 1.0, section 2.2): these become U+FFFD, as
// do U+FFFE and U+FFFF. \n and \t stay; \r, which a parser may take for a line
// break, and what is allowed but acts (DEL, C1, bidi marks) are made visible.
// It escapes no '<' or '&': that is for encoding/xml.
func XML(s string) string { return clean(s, multiline|xml10) }

// JSON makes s fit for a JSON string; \n and \t stay. JSON could carry the rest,
// but those who print it with jq -r would have it act on their terminal. It
// escapes no quote: that is for encoding/json.
func JSON(s string) string { return clean(s, multiline) }

// Label makes s fit for the value of a Prometheus label, in one line. It is the
// value itself, not yet escaped for the text format; see [AppendLabel].
func Label(s string) string { return clean(s, 0) }

// AppendLabel appends Label(s) to dst, escaped for the value of a label in the
// Prometheus text format, without the quotes around it, and returns the extended
// slice. It allocates only if dst has no room.
func AppendLabel(dst []byte, s string) []byte { return appendClean(dst, s, quoted) }

// clean is s made fit for p.
func clean(s string, p place) string {
	n := cleanLen(s, p)
	if n == len(s) {
		return s
	}
	const room = 32 // for the first few escapes
	dst := make([]byte, 0, len(s)+room)
	dst = append(dst, s[:n]...)
	return string(appendClean(dst, s[n:], p))
}

// cleanLen is the length of the beginning of s that is fit for p.
func cleanLen(s string, p place) int {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if !p.takes(c) {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || acts(r) || p&xml10 != 0 && notXML(r) {
			return i
		}
		i += size
	}
	return len(s)
}

// takes says whether an ASCII character may stay.
func (p place) takes(c byte) bool {
	if ' ' <= c && c <= '~' {
		return p&quoted == 0 || c != '\\' && c != '"'
	}
	return p&multiline != 0 && (c == '\n' || c == '\t')
}

// acts says whether r, which is not ASCII, does something instead of showing:
// C1 controls, bidi controls, line and paragraph separators.
func acts(r rune) bool {
	switch {
	case r < 0xa0:
		return true
	case r < 0x2000:
		return r == 0x061c
	case r <= 0x202e:
		return r == 0x200e || r == 0x200f || r >= 0x2028
	}
	return 0x2066 <= r && r <= 0x2069
}

// notXML says whether XML 1.0 has no room for r. A surrogate cannot get here: in
// UTF-8 it is invalid.
func notXML(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
}

// appendClean appends s made fit for p.
func appendClean(dst []byte, s string, p place) []byte {
	for len(s) > 0 {
		n := cleanLen(s, p)
		dst = append(dst, s[:n]...)
		if s = s[n:]; s == "" {
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		dst = appendVisible(dst, r, p)
		s = s[size:]
	}
	return dst
}

// appendVisible appends a character that may not stay in a form that may.
func appendVisible(dst []byte, r rune, p place) []byte {
	if r == utf8.RuneError || p&xml10 != 0 && notXML(r) {
		return utf8.AppendRune(dst, utf8.RuneError)
	}
	dst = append(dst, '\\')
	if r == '\\' || r == '"' {
		return append(dst, byte(r))
	}
	if p&quoted != 0 {
		dst = append(dst, '\\')
	}
	const hex = "0123456789abcdef"
	switch {
	case r == '\n':
		return append(dst, 'n')
	case r == '\r':
		return append(dst, 'r')
	case r == '\t':
		return append(dst, 't')
	case r < utf8.RuneSelf:
		return append(dst, 'x', hex[r>>4], hex[r&15])
	}
	return append(dst, 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
