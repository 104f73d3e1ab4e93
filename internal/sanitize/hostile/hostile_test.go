package hostile

import "testing"

func TestCheck(t *testing.T) {
	f := func(place, out, want string) {
		t.Helper()
		got := ""
		if err := Check(place, out); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Check(%q, %q) = %q, want %q", place, out, got, want)
		}
	}
	f("terminal", "größe \ufffd", "")
	f("terminal", "a\x1b[2J", `control character at byte 1 of terminal output: "a\x1b[2J"`)
	f("terminal", "a\nb", `line break at byte 1 of terminal output: "a\nb"`)
	f("terminal", "a\tb", `control character at byte 1 of terminal output: "a\tb"`)
	f("terminaltext", "a\n\tb", "")
	f("terminaltext", "a\r\nb", `line break at byte 1 of terminaltext output: "a\r\nb"`)
	f("log", "a\u2028b", `line break at byte 1 of log output: "a\u2028b"`)
	f("html", "a\u202eb", `bidi control at byte 1 of html output: "a\u202eb"`)
	f("json", "a\xffb", `invalid UTF-8 at byte 1 of json output: "a\xffb"`)
	f("xml", "a\ufffe", `character that XML has no room for at byte 1 of xml output: "a\ufffe"`)
	f("label", "a\u0085", `line break at byte 1 of label output: "a\u0085"`)
	f("tty", "a", `hostile: unknown place "tty"`)
}

func TestOutputs(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Outputs() {
		if c.Name == "" || seen[c.Name] {
			t.Errorf("case %q has no name of its own", c.Name)
		}
		seen[c.Name] = true
	}
}
