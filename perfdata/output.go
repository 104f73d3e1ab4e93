package perfdata

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// DefaultLimit is how many bytes of an output Split keeps unless told
// otherwise. Nagios keeps 8 KB, NRPE carries 1 or 64 KB (RULES P5).
const DefaultLimit = 256 << 10

// Output is what a plugin wrote to stdout, taken apart (RULES P1 to P7). All of
// it is valid UTF-8 without NUL, and nothing more: control characters are still
// in it.
type Output struct {
	Text     string // the first line up to its first '|', trimmed; may be empty
	Long     string // the long output: lines joined by '\n', without the last
	Perfdata string // all lines of the performance data, joined by '\n'
	Cut      int    // bytes that the limit dropped; 0: none
	Repaired bool   // NUL or invalid UTF-8 was replaced by U+FFFD
}

// Split takes the output of a plugin apart as Nagios does. The first '|' of the
// first line begins the performance data of that line. The first '|' after that
// line ends the long output, and all that follows, to the last line, is
// performance data. (Icinga divides each line at its '|'.) Lines end with LF or
// CRLF. A ';' in the text is left as it is; Nagios stores a ':'.
//
// Of Text, Perfdata and Long together no more than limit bytes are kept, in
// that order; a limit of 0 or less means [DefaultLimit]. Performance data is cut
// between two items only. What was cut is counted in Cut, and a mark at the end
// of Long, or of Text if that was cut, says so to people: "[... 123 bytes cut]".
// The mark is not counted.
//
// The strings may be parts of output and keep it alive.
func Split(output string, limit int) Output { return SplitHead(output, limit, 0) }

// SplitHead is Split for the beginning of an output, of which missing bytes more
// are gone. They count as cut, and so does the last item, if it is where the
// output breaks off.
func SplitHead(output string, limit, missing int) Output {
	if limit <= 0 {
		limit = DefaultLimit
	}
	var o Output
	output, o.Repaired = repair(output)
	first, rest, _ := strings.Cut(output, "\n")
	text, perfdata, _ := strings.Cut(first, "|")
	long, more, _ := strings.Cut(rest, "|")

	o.Text = strings.TrimSpace(text)
	o.Long = strings.TrimRight(strings.ReplaceAll(long, "\r\n", "\n"), " \t\r\n")
	o.Perfdata = join(perfdata, more)
	if missing > 0 && o.Perfdata != "" {
		whole := wholeItems(o.Perfdata, len(o.Perfdata)-1)
		missing += len(o.Perfdata) - len(whole)
		o.Perfdata = whole
	}
	if missing > 0 || len(o.Text)+len(o.Long)+len(o.Perfdata) > limit {
		o.cut(limit, missing)
	}
	return o
}

// repair makes s valid UTF-8 without NUL and says whether it was not.
func repair(s string) (string, bool) {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s, false
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ReplaceAll(s, "\x00", "\uFFFD"), true
}

// join puts the performance data of the first line and of the later lines
// together. They stay lines, so that a stray one does not become part of the
// label after it.
func join(first, more string) string {
	first, more = strings.TrimSpace(first), strings.TrimSpace(more)
	if more == "" {
		return first
	}
	var b strings.Builder
	b.Grow(len(first) + len(" ") + len(more))
	b.WriteString(first)
	for line := range strings.Lines(more) {
		line = strings.TrimSpace(line)
		if line != "" && b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(line)
	}
	return b.String()
}

// cut keeps no more than limit bytes of o and marks what it drops, with the
// bytes that are missing already.
func (o *Output) cut(limit, missing int) {
	had := len(o.Text) + len(o.Perfdata) + len(o.Long) + missing
	if len(o.Text) > limit {
		o.Text = o.Text[:runeStart(o.Text, limit)]
		o.Perfdata, o.Long = "", ""
		o.Cut = had - len(o.Text)
		o.Text += o.mark()
		return
	}
	limit -= len(o.Text)
	o.Perfdata = wholeItems(o.Perfdata, limit)
	limit -= len(o.Perfdata)
	o.Long = o.Long[:runeStart(o.Long, min(limit, len(o.Long)))]
	o.Cut = had - len(o.Text) - len(o.Perfdata) - len(o.Long)
	if o.Long != "" {
		o.Long += "\n"
	}
	o.Long += o.mark()
}

func (o *Output) mark() string {
	return fmt.Sprintf("[... %d bytes cut]", o.Cut)
}

// wholeItems is the longest beginning of s that has at most limit bytes and
// ends with an item.
func wholeItems(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := 0
	for {
		p, ok := next(s, end)
		if !ok || p.end > limit {
			return s[:end]
		}
		end = p.end
	}
}
