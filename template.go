package alf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Template is an argument or a shell line with macros in it, `$NAME$` as in
// Nagios. `$$` is a dollar sign, and so is a dollar that begins no macro
// (RULES M1). One that speaks of another host or service says so behind a colon,
// as part of its name: `$HOSTSTATE:web1$` (RULES M4).
type Template []Part

// Part is a piece of a Template: a text, or a macro that has no value yet.
type Part struct {
	Text   string // already quoted as Quote says
	Macro  string // its name; "": Text stands
	Quote  Quote  // how a value must be written at this place
	Secret bool   // Text must not be shown
}

// Value is what a macro stands for: a text or a list of texts.
type Value struct {
	Text   string
	List   []string
	Secret bool
}

// Quote is the quoting around a place in a shell line.
type Quote uint8

// The quotings. NoShell is an argument that no shell reads.
const (
	NoShell Quote = iota
	Unquoted
	InDouble
	InSingle
)

// Apply writes s so that a shell reads it as one literal piece of the word at
// that place. s may hold any bytes but NUL.
func (q Quote) Apply(s string) string {
	const end, begin = `'\''`, `'`
	switch q {
	case Unquoted:
		return begin + strings.ReplaceAll(s, "'", end) + begin
	case InDouble: // leave the double quotes, and come back
		return `"'` + strings.ReplaceAll(s, "'", end) + `'"`
	case InSingle:
		return strings.ReplaceAll(s, "'", end)
	}
	return s
}

// ParseTemplate reads an argument that no shell will read.
func ParseTemplate(s string) Template {
	var t Template
	for s != "" {
		text, name, rest := cutMacro(s)
		t = t.add(Part{Text: text})
		if name != "" {
			t = append(t, Part{Macro: name})
		}
		s = rest
	}
	return t
}

// ErrNested is the error of ParseShell for a macro where quoting would be
// guesswork.
var ErrNested = errors.New("stands inside or behind $( ), ${ }, backticks, arithmetic, a subscript, [[ ]], a here-document or a comment, where it cannot be quoted safely; hand it over in env")

// ParseShell reads a line for /bin/sh -c. A value keeps to its argument
// whatever quotes surround the macro; where that cannot be had, inside command
// substitutions, arithmetic and here-documents, a macro is refused.
func ParseShell(s string) (Template, error) {
	var t Template
	scan := newShellScanner()
	for s != "" {
		text, name, rest := cutMacro(s)
		t = t.add(Part{Text: text})
		scan.read(text)
		if name != "" {
			quote, ok := scan.quote()
			if !ok {
				return nil, fmt.Errorf("$%s$ %w", name, ErrNested)
			}
			t = append(t, Part{Macro: name, Quote: quote})
			scan.value()
		}
		s = rest
	}
	return t, scan.finish()
}

// cutMacro parts s into the text before the first macro, with `$$` made `$`,
// the macro's name, and the rest. Without a macro, name is empty and rest too.
func cutMacro(s string) (text, name, rest string) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String(), "", ""
		}
		if strings.HasPrefix(after, "$") {
			b.WriteByte('$')
			s = after[1:]
			continue
		}
		if n := macroLen(after); n > 0 {
			return b.String(), after[:n], after[n+1:]
		}
		b.WriteByte('$')
		s = after
	}
}

// macroLen returns how many bytes at the start of s, up to a dollar, are the
// name of a macro; 0: none.
func macroLen(s string) int {
	n := nameLen(s)
	switch {
	case n == 0 || n == len(s):
		return 0
	case s[n] == '$':
		return n
	case s[n] != ':' || !demandable(s[:n]):
		return 0
	}
	of, _, found := strings.Cut(s[n+1:], "$")
	first, _, _ := strings.Cut(of, ":")
	if !found || of == "" || first != strings.TrimSpace(first) || strings.ContainsFunc(of, unicode.IsControl) {
		return 0
	}
	return n + 1 + len(of)
}

// demandable reports whether a macro of that name may speak of something else
// than what is checked, as $HOSTSTATE:web1$ does (RULES M4).
func demandable(name string) bool {
	for _, about := range []string{"_HOST", "_SERVICE"} {
		if strings.HasPrefix(name, about) {
			return len(name) > len(about)
		}
	}
	for _, of := range []string{"LAST", "LONG", "MAX"} {
		name = strings.TrimPrefix(name, of)
	}
	rest, host := strings.CutPrefix(name, "HOST")
	if !host {
		rest, host = strings.CutPrefix(name, "SERVICE")
	}
	return host && rest != "" && rest == strings.ToUpper(rest)
}

// nameLen returns how many bytes at the start of s may be a macro's name.
func nameLen(s string) int {
	for i := range len(s) {
		if !nameByte(s[i]) || i == 0 && s[i] <= '9' {
			return i
		}
	}
	return len(s)
}

// nameByte reports whether c may stand in a name: a letter, a digit or "_".
func nameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// Text returns a Template that is only s.
func Text(s string) Template { return Template{}.add(Part{Text: s}) }

// add appends p, a text or a macro; texts that say the same of themselves merge.
func (t Template) add(p Part) Template {
	if p.Macro != "" {
		return append(t, p)
	}
	if p.Text == "" {
		return t
	}
	if n := len(t); n > 0 && t[n-1].Macro == "" && t[n-1].Secret == p.Secret {
		t[n-1].Text += p.Text
		return t
	}
	return append(t, p)
}

// Macros returns the names of the macros that have no value yet, in order.
func (t Template) Macros() []string {
	var names []string
	for _, p := range t {
		if p.Macro != "" {
			names = append(names, p.Macro)
		}
	}
	return names
}

// HasMacro reports whether Macros returns any.
func (t Template) HasMacro() bool {
	return slices.ContainsFunc(t, func(p Part) bool { return p.Macro != "" })
}

// Bind returns t with the macros that lookup knows replaced by their values. A
// list is joined by commas. t itself stays as it is.
func (t Template) Bind(lookup func(name string) (Value, bool)) Template {
	var out Template
	for _, p := range t {
		if p.Macro != "" {
			if v, ok := lookup(p.Macro); ok {
				p = Part{Text: p.Quote.Apply(v.Reveal()), Secret: v.Secret}
			}
		}
		out = out.add(p)
	}
	return out
}

// Reveal returns the text of the value, even of a secret; a list's are joined
// by commas.
func (v Value) Reveal() string {
	if v.List != nil {
		return strings.Join(v.List, ",")
	}
	return v.Text
}

// String returns what Reveal does, or Redacted for a secret.
func (v Value) String() string {
	if v.Secret {
		return Redacted
	}
	return v.Reveal()
}

// GoString returns what String does, quoted, so that %#v tells nothing.
func (v Value) GoString() string { return strconv.Quote(v.String()) }

// MarshalText makes JSON, XML and logs print what String does.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Reveal returns the text with its secrets. Macros without a value stand as
// `$NAME$`.
func (t Template) Reveal() string { return t.print(func(p Part) string { return p.Text }) }

// String returns the text with Redacted for each secret, for people to see.
func (t Template) String() string {
	return t.print(func(p Part) string {
		if p.Secret {
			return Redacted
		}
		return p.Text
	})
}

// GoString returns what String does, quoted, so that %#v tells nothing.
func (t Template) GoString() string { return strconv.Quote(t.String()) }

// MarshalText makes JSON, XML and logs print what String does.
func (t Template) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func (t Template) print(text func(Part) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.Macro != "" {
			b.WriteString("$" + p.Macro + "$")
		} else {
			b.WriteString(text(p))
		}
	}
	return b.String()
}

// String returns what a Template of only p does.
func (p Part) String() string { return Template{p}.String() }

// GoString returns what String does, quoted, so that %#v tells nothing.
func (p Part) GoString() string { return strconv.Quote(p.String()) }

// MarshalText makes JSON, XML and logs print what String does.
func (p Part) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// HasSecret reports whether t holds a secret.
func (t Template) HasSecret() bool {
	for _, p := range t {
		if p.Secret {
			return true
		}
	}
	return false
}
