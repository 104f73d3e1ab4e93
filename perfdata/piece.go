package perfdata

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// PieceError says which piece of the performance data could not be read.
type PieceError struct {
	Offset int    // of the piece, in bytes from the start of what was parsed
	Piece  string // its text, cut to some 80 bytes; not sanitised
	Reason string
}

// Error tells place, piece and reason in one line. The piece is quoted.
func (e *PieceError) Error() string {
	return fmt.Sprintf("perfdata at byte %d: %q: %s", e.Offset, e.Piece, e.Reason)
}

func newPieceError(offset int, text, reason string) *PieceError {
	return &PieceError{Offset: offset, Piece: strings.Clone(clip(text)), Reason: reason}
}

// clip bounds s for an error message.
func clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return s[:runeStart(s, limit)] + "…"
}

// runeStart is the largest start of a character in s that is not above n.
func runeStart(s string, n int) int {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// What a byte means outside quotes. A byte that is none of these is plain.
const (
	blank     = 1 << iota // white space
	separator             // may stand between two items
	ender                 // may end a value
	special               // means something in a label
)

var class = [256]uint8{
	' ':  blank | separator | ender | special,
	'\t': blank | separator | ender | special,
	'\n': blank | separator | ender | special,
	'\v': blank | separator | ender | special,
	'\f': blank | separator | ender | special,
	'\r': blank | separator | ender | special,
	'|':  separator | ender | special,
	',':  separator | ender | special,
	';':  separator | special,
	'\'': special,
	'=':  special,
}

// piece is where one item of performance data stands, or what looks like one.
type piece struct {
	start, value, end int    // the item is text[start:end], its value text[value:end]
	label             string // without quotes
	doubled           bool   // the label has doubled quotes
	spaced            bool   // the label has spaces and no quotes
	reason            string // not empty: not an item, and why
}

// next finds the first piece of s at or after i. There is none if ok is false.
// What is left of a piece that makes no sense is cut so that its neighbours
// are found.
func next(s string, i int) (p piece, ok bool) {
	for i < len(s) && class[s[i]]&separator != 0 {
		i++
	}
	if i == len(s) {
		return piece{}, false
	}
	p.start = i
	if s[i] == '\'' {
		p.quoted(s)
	} else {
		p.plain(s)
	}
	return p, true
}

// plain finds the rest of a piece whose label is not quoted.
func (p *piece) plain(s string) {
	word := p.start // the end of the last word so far
	for i := p.start; i < len(s); i++ {
		switch c := s[i]; {
		case class[c] == 0:
			p.spaced = p.spaced || i > word
			word = i + 1
		case c == '=':
			p.label = s[p.start:word]
			p.valueAt(s, i+1)
			return
		case c == '\n': // a label ends with its line
			p.bad(word)
			return
		case class[c]&blank != 0:
		case c == '|', c == '\'' && i > word, c == ',' && (i+1 == len(s) || class[s[i+1]]&blank != 0):
			p.bad(word)
			return
		case c == ';':
			p.bad(wordEnd(s, i))
			return
		default: // a quote or a comma within a word
			p.spaced = p.spaced || i > word
			word = i + 1
		}
	}
	p.bad(word)
}

// quoted finds the rest of a piece whose label is quoted.
func (p *piece) quoted(s string) {
	for i := p.start + 1; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		if i+1 == len(s) || s[i+1] != '\'' {
			p.label = s[p.start+1 : i]
			p.closed(s, i+1)
			return
		}
		p.doubled = true
		i++
	}
	p.broken(s, "quote is never closed")
}

// closed goes on after the closing quote, at i.
func (p *piece) closed(s string, i int) {
	j := skipBlanks(s, i)
	switch {
	case j < len(s) && s[j] == '=':
		p.valueAt(s, j+1)
	case i == len(s) || class[s[i]]&separator != 0:
		p.bad(i)
	default:
		p.broken(s, "text after the closing quote")
	}
}

// valueAt ends the piece with the value that begins at i. If there is none but
// a number after some spaces, as in "a = 1", that is the value.
func (p *piece) valueAt(s string, i int) {
	p.value, p.end = i, wordEnd(s, i)
	if p.end > i || i == len(s) || class[s[i]]&blank == 0 {
		return
	}
	j := skipBlanks(s, i)
	end := wordEnd(s, j)
	if word := s[j:end]; startsValue(word) && strings.IndexByte(word, '=') < 0 {
		p.value, p.end = j, end
	}
}

// bad ends a piece that has no value.
func (p *piece) bad(end int) {
	p.end, p.reason = end, "no '=' after the label"
}

// broken ends a piece whose quotes are wrong: after what would be its value if
// there were no quotes, so that an opening quote too many costs one item.
func (p *piece) broken(s, reason string) {
	p.reason, p.end = reason, len(s)
	if i := strings.IndexByte(s[p.start:], '='); i >= 0 {
		p.end = wordEnd(s, p.start+i+1)
	}
}

// wordEnd is the end of the word in s that begins at i.
func wordEnd(s string, i int) int {
	for ; i < len(s); i++ {
		if class[s[i]]&ender != 0 && endsItem(s, i) {
			return i
		}
	}
	return i
}

// endsItem says whether the ender at i is one: a comma before a digit is a
// decimal comma.
func endsItem(s string, i int) bool {
	return s[i] != ',' || i+1 == len(s) || !isDigit(s[i+1])
}

func startsValue(word string) bool {
	return word == "U" || word != "" && (isDigit(word[0]) || strings.IndexByte("+-.", word[0]) >= 0)
}

func skipBlanks(s string, i int) int {
	for i < len(s) && class[s[i]]&blank != 0 {
		i++
	}
	return i
}

func isBlank(s string) bool { return skipBlanks(s, 0) == len(s) }
