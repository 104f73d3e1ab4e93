// Package hostile is for tests: outputs that a plugin on a compromised host
// could write, and a check of what is left of them where they come out. It
// shares no code with package sanitize, so that each proves the other.
package hostile

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Case is one hostile output.
type Case struct {
	Name string // one or a few words, for t.Run
	Text string
}

// Outputs returns the cases, a new slice each time. They are whole plugin
// outputs; most do harm as a label, a name or a comment as well.
func Outputs() []Case {
	return []Case{
		// On a terminal.
		{"colour", "OK \x1b[32mgreen\x1b[0m"},
		{"clear screen", "OK\x1b[2J\x1b[H"},
		{"overwritten by escape", "CRITICAL\x1b[8DOK      "},
		{"overwritten by return", "CRITICAL\rOK      "},
		{"overwritten by backspace", "CRITICAL\b\b\b\b\b\b\b\bOK      "},
		{"window title", "OK\x1b]0;pwned\a"},
		{"clipboard", "OK\x1b]52;c;cm0gLXJmIH4K\x1b\\"},
		{"hyperlink", "OK\x1b]8;;https://evil.example/\x1b\\click\x1b]8;;\x1b\\"},
		{"answerback", "OK\x1b[c\x1b[6n\x05"},
		{"device control", "OK\x1bP+q544e\x1b\\"},
		{"hidden text", "OK\x1b[8m secret \x1b[0m"},
		{"C1 in UTF-8", "OK\u009b2J\u009d0;pwned\u009c"},
		{"C1 as a byte", "OK\x9b2J\x9d0;pwned\x9c"},
		{"bell", "OK\a\a\a"},
		{"shift out", "OK\x0etext\x0f"},
		{"delete", "OK\x7f\x7f"},
		{"next line", "OK\u0085CRITICAL"},
		{"form feed", "OK\f\v"},
		{"escape in perfdata", "OK|'a\x1b[2J'=1\x1b[31mB;1\x1b;2"},
		{"escape in long output", "OK\nline\x1b[2J\nline | b\x1b[1m=2"},

		// To the eye.
		{"bidi override", "OK \u202eLACITIRC\u202c"},
		{"bidi embedding", "OK \u202a\u202b text \u202c\u202d"},
		{"bidi isolate", "OK \u2066\u2067\u2068 text \u2069"},
		{"bidi mark", "OK \u200e\u200f\u061c text"},
		{"line separator", "OK\u2028CRITICAL\u2029UNKNOWN"},
		{"combining", "O\u0300\u0301\u0302\u0303\u0304\u0305K"},

		// To a line-based log or protocol.
		{"forged log line", "OK\ntime=2026-01-01T00:00:00Z level=ERROR msg=\"disk failed\""},
		{"forged header", "OK\r\nBcc: everyone@example.com\r\n\r\nHello"},
		{"forged metric", "OK|a=1\nalf_service_state{host=\"x\"} 0\n# EOF\n"},
		{"forged label", "OK|'a\",host=\"other'=1"},
		{"forged Graphite line", "OK|'a 1 0\nservers.db1.load'=1"},
		{"forged Influx tag", "OK|'a,host=other value'=1"},
		{"forged command", "OK\n[1700000000] SHUTDOWN_PROGRAM"},
		{"trailing backslash", "OK \\"},
		{"quotes", "OK \"quoted\" 'quoted' \\\"escaped\\\" `quoted`"},

		// To a page or a document.
		{"script", "<script>alert(1)</script>"},
		{"attribute", "\" onmouseover=\"alert(1)\" x=\""},
		{"image", "<img src=x onerror=alert(1)>"},
		{"end of comment", "--><script>alert(1)</script><!--"},
		{"end of CDATA", "]]><script>alert(1)</script><![CDATA["},
		{"entity", "&lt;script&gt; &#27; &#x1b; &xxe;"},
		{"link", "javascript:alert(1) [x](javascript:alert(1)) <https://evil.example|OK>"},
		{"template", "{{.Secret}} ${x} #{x} <%= x %>"},
		{"mention", "<!channel> @everyone"},
		{"not XML", "OK \x01\x02\x08\x0b\x1f \ufffe\uffff"},
		{"JSON", "\",\"status\":\"OK\",\"x\":\""},

		// To a shell or printf.
		{"shell", "OK; $(reboot) `reboot` && reboot | reboot > /etc/passwd"},
		{"macro", "$HOSTADDRESS$ $USER1$ $_HOSTPASSWORD$"},
		{"format", "%s%s%n%x %!d(MISSING)"},

		// To whoever expects UTF-8.
		{"NUL", "OK\x00CRITICAL|a=1\x00"},
		{"Latin-1", "Temp\xe9rature \xb5s \xa0"},
		{"overlong", "OK \xc0\xaf \xe0\x80\xaf \xc0\x80"},
		{"surrogate", "OK \xed\xa0\x80\xed\xb0\x80"},
		{"beyond Unicode", "OK \xf4\x90\x80\x80 \xff\xfe"},
		{"cut character", "OK \xe2\x82"},
		{"UTF-16", "\xff\xfeO\x00K\x00\n\x00"},
		{"byte order mark", "\ufeffOK"},

		// By size.
		{"empty", ""},
		{"only perfdata", "|"},
		{"long line", "OK " + strings.Repeat("A", 64<<10)},
		{"many lines", "OK\n" + strings.Repeat("\n", 10_000)},
		{"many escapes", strings.Repeat("\x1b", 10_000)},
		{"many items", "OK|" + strings.Repeat("a=1 ", 10_001)},
	}
}

// Check says what hostile characters are left in out, which is what came out at
// place; nil if none are. Places are named as the functions of package sanitize,
// in small letters: terminal, terminaltext, log, html, xml, json, label. An
// unknown place is an error. The error names the first offence, quoted.
//
// Check looks for characters, not for grammar: whether a '<' is escaped is a
// test of the page.
func Check(place string, out string) error {
	kept := ""
	switch place {
	case "terminaltext", "html", "xml", "json":
		kept = "\n\t"
	case "terminal", "log", "label":
	default:
		return fmt.Errorf("hostile: unknown place %q", place)
	}
	for i, r := range out {
		if what := offence(r, kept); what != "" {
			return offenceError(place, out, i, what)
		}
		if place == "xml" && (r == 0xfffe || r == 0xffff) {
			return offenceError(place, out, i, "character that XML has no room for")
		}
		if _, size := utf8.DecodeRuneInString(out[i:]); r == utf8.RuneError && size == 1 {
			return offenceError(place, out, i, "invalid UTF-8")
		}
	}
	return nil
}

// offence says what is hostile in r; nothing if kept has it.
func offence(r rune, kept string) string {
	switch {
	case strings.ContainsRune(kept, r):
		return ""
	case r == '\n' || r == '\r' || r == '\u0085':
		return "line break"
	case unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
		return "line break"
	case unicode.Is(unicode.Cc, r):
		return "control character"
	case unicode.Is(unicode.Bidi_Control, r):
		return "bidi control"
	}
	return ""
}

func offenceError(place, out string, i int, what string) error {
	from, to := max(0, i-20), min(len(out), i+20)
	return fmt.Errorf("%s at byte %d of %s output: %q", what, i, place, out[from:to])
}
