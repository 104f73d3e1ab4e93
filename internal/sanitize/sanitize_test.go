package sanitize

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"alf/internal/sanitize/hostile"
)

// places are the sanitisers under the names that hostile.Check knows.
var places = []struct {
	name string
	f    func(string) string
}{
	{"terminal", Terminal},
	{"terminaltext", TerminalText},
	{"log", Log},
	{"html", HTML},
	{"xml", XML},
	{"json", JSON},
	{"label", Label},
	{"label", func(s string) string { return string(AppendLabel(nil, s)) }},
}

// cleanTexts are texts that no place changes.
var cleanTexts = []string{
	"", "OK", "DISK OK - free space: / 81089MiB (86% inode=97%);", "größe 5 µs", "空き容量", "שלום", "مرحبا", "👍🏽 👨‍👩‍👧",
	"\u00a0\u200b\u200d\u2010\u2027\u202f\u2030\u2065\u206a", "\ufeff", "\ufffd", strings.Repeat("x", 1000),
}

func TestHostile(t *testing.T) {
	for _, p := range places {
		for _, c := range hostile.Outputs() {
			got := p.f(c.Text)
			if err := hostile.Check(p.name, got); err != nil {
				t.Errorf("%s, %s: %v", p.name, c.Name, err)
			}
		}
	}
}

func TestClean(t *testing.T) {
	for _, p := range places {
		for _, s := range cleanTexts {
			if got := p.f(s); got != s {
				t.Errorf("%s(%q) = %q, want it unchanged", p.name, s, got)
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	const in = "a\x1b[2J\r\n\tb\x00\x7f\u0085\u009b\u202e\u2028\u061c\xff\ufffe\\\"<&"
	f := func(name string, sanitise func(string) string, want string) {
		t.Helper()
		if got := sanitise(in); got != want {
			t.Errorf("%s(%q)\n got %q\nwant %q", name, in, got, want)
		}
	}
	const rest = `\u0085\u009b\u202e\u2028\u061c` + "\ufffd"
	f("Terminal", Terminal, `a\x1b[2J\r\n\tb\x00\x7f`+rest+"\ufffe\\\"<&")
	f("Log", Log, `a\x1b[2J\r\n\tb\x00\x7f`+rest+"\ufffe\\\"<&")
	f("Label", Label, `a\x1b[2J\r\n\tb\x00\x7f`+rest+"\ufffe\\\"<&")
	f("TerminalText", TerminalText, `a\x1b[2J\r`+"\n\tb"+`\x00\x7f`+rest+"\ufffe\\\"<&")
	f("HTML", HTML, `a\x1b[2J\r`+"\n\tb"+`\x00\x7f`+rest+"\ufffe\\\"<&")
	f("JSON", JSON, `a\x1b[2J\r`+"\n\tb"+`\x00\x7f`+rest+"\ufffe\\\"<&")
	f("XML", XML, "a\ufffd[2J"+`\r`+"\n\tb\ufffd"+`\x7f`+rest+"\ufffd\\\"<&")
	f("AppendLabel", func(s string) string { return string(AppendLabel([]byte("x="), s)) },
		`x=a\\x1b[2J\\r\\n\\tb\\x00\\x7f\\u0085\\u009b\\u202e\\u2028\\u061c`+"\ufffd\ufffe"+`\\\"<&`)
}

// TestEveryRune holds each place against the independent check for all of
// Unicode.
func TestEveryRune(t *testing.T) {
	for _, p := range places {
		for r := rune(0); r <= utf8.MaxRune; r++ {
			s := string(r)
			got := p.f(s)
			if err := hostile.Check(p.name, got); err != nil {
				t.Errorf("%s: %v", p.name, err)
			}
			quoted := p.name == "label" && (r == '\\' || r == '"')
			if got != s && hostile.Check(p.name, s) == nil && !quoted {
				t.Errorf("%s(%q) = %q, which changes a harmless character", p.name, s, got)
			}
		}
	}
}

func TestAllocs(t *testing.T) {
	const s = "DISK OK - free space: / 81089MiB (86% inode=97%); größe"
	for _, p := range places[:len(places)-1] {
		if n := testing.AllocsPerRun(100, func() { p.f(s) }); n != 0 {
			t.Errorf("%s: %v allocations for a clean string", p.name, n)
		}
	}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { buf = AppendLabel(buf[:0], s+"\x1b\"\\") }); n != 0 {
		t.Errorf("AppendLabel: %v allocations with room", n)
	}
}

// FuzzSanitize checks that nothing hostile is left, that doing it twice is
// doing it once, and that those who decode the result see all of it.
func FuzzSanitize(f *testing.F) {
	for _, c := range hostile.Outputs() {
		f.Add(c.Text[:min(len(c.Text), 200)])
	}
	for _, s := range cleanTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range places {
			got := p.f(s)
			if err := hostile.Check(p.name, got); err != nil {
				t.Error(err)
			}
			if len(got) > 7*len(s) {
				t.Errorf("%s(%q): %d bytes became %d", p.name, s, len(s), len(got))
			}
		}
		for _, p := range places[:len(places)-1] {
			if once := p.f(s); p.f(once) != once {
				t.Errorf("%s(%q) = %q, and again %q", p.name, s, once, p.f(once))
			}
		}
		if got, want := unescape(string(AppendLabel(nil, s))), Label(s); got != want {
			t.Errorf("AppendLabel(%q) reads as %q, want %q", s, got, want)
		}
		if got, want := throughXML(t, XML(s)), XML(s); got != want {
			t.Errorf("XML(%q) reads as %q, want %q", s, got, want)
		}
		if got, want := throughJSON(t, JSON(s)), JSON(s); got != want {
			t.Errorf("JSON(%q) reads as %q, want %q", s, got, want)
		}
	})
}

// unescape reads a label value of the Prometheus text format.
func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(s)
}

func throughXML(t *testing.T, s string) string {
	var b strings.Builder
	b.WriteString("<x>")
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		t.Fatal(err)
	}
	b.WriteString("</x>")
	var got struct {
		Text string `xml:",chardata"`
	}
	if err := xml.NewDecoder(strings.NewReader(b.String())).Decode(&got); err != nil && err != io.EOF {
		t.Fatalf("%q: %v", b.String(), err)
	}
	return got.Text
}

func throughJSON(t *testing.T, s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func BenchmarkSanitize(b *testing.B) {
	f := func(name, s string) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				Terminal(s)
			}
		})
	}
	f("clean", strings.Repeat("DISK OK - free space: / 81089MiB (86% inode=97%); ", 20))
	f("clean UTF-8", strings.Repeat("größe 空き容量 ", 50))
	f("one escape", "OK "+strings.Repeat("x", 500)+"\x1b"+strings.Repeat("x", 500))
	f("all escapes", strings.Repeat("\x1b", 1000))
}

func BenchmarkAppendLabel(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendLabel(buf[:0], `C:\ %`)
	}
}
