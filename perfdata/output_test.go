package perfdata

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	f := func(output string, want Output) {
		t.Helper()
		if diff := cmp.Diff(want, Split(output, 0)); diff != "" {
			t.Errorf("Split(%q) (-want +got):\n%s", output, diff)
		}
	}
	f("", Output{})
	f("\n", Output{})
	f("|", Output{})
	f("OK", Output{Text: "OK"})
	f(" OK \n", Output{Text: "OK"})
	f("OK\r\n", Output{Text: "OK"})
	f("OK | a=1", Output{Text: "OK", Perfdata: "a=1"})
	f("OK|a=1\r\n", Output{Text: "OK", Perfdata: "a=1"})
	f("|a=1", Output{Perfdata: "a=1"})
	f("OK | a=1 | b=2", Output{Text: "OK", Perfdata: "a=1 | b=2"})
	f("OK |", Output{Text: "OK"})
	f("OK; fine", Output{Text: "OK; fine"})

	// The example of the plugin API.
	f("DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n"+
		"/ 15272 MB (77%);\n/boot 68 MB (69%);\n"+
		"/var/log 819 MB (84%); | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\n/var/log=818MB;970;975;0;980\n",
		Output{Text: "DISK OK - free space: / 3326 MB (56%);",
			Long:     "/ 15272 MB (77%);\n/boot 68 MB (69%);\n/var/log 819 MB (84%);",
			Perfdata: "/=2643MB;5948;5958;0;5968\n/boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\n/var/log=818MB;970;975;0;980"})
	f("OK\r\nline 1\r\n\r\n  line 2\r\n", Output{Text: "OK", Long: "line 1\n\n  line 2"})
	f("OK\nlong | a=1\nb=2 | c=3\n", Output{Text: "OK", Long: "long", Perfdata: "a=1\nb=2 | c=3"})
	f("OK\n|a=1\r\n\r\n b=2 ", Output{Text: "OK", Perfdata: "a=1\nb=2"})
	f("OK | a=1\nlong\n", Output{Text: "OK", Long: "long", Perfdata: "a=1"})
	f("\nsecond", Output{Long: "second"})

	f("OK \x00 x\x00", Output{Text: "OK \uFFFD x\uFFFD", Repaired: true})
	f("caf\xe9 | a=1", Output{Text: "caf\uFFFD", Perfdata: "a=1", Repaired: true})
	f("café | größe=1", Output{Text: "café", Perfdata: "größe=1"})
	f("OK \uFFFD", Output{Text: "OK \uFFFD"})
}

// TestSplitHead: where the output breaks off, the last item may be half of one.
func TestSplitHead(t *testing.T) {
	f := func(output string, limit, missing int, want Output) {
		t.Helper()
		if diff := cmp.Diff(want, SplitHead(output, limit, missing)); diff != "" {
			t.Errorf("SplitHead(%q, %d, %d) (-want +got):\n%s", output, limit, missing, diff)
		}
	}
	f("OK|a=1 b=12", 100, 7, Output{Text: "OK", Perfdata: "a=1", Long: "[... 12 bytes cut]", Cut: 12})
	f("OK|a=12", 100, 1, Output{Text: "OK", Long: "[... 5 bytes cut]", Cut: 5})
	f("OK\nlong", 100, 5000, Output{Text: "OK", Long: "long\n[... 5000 bytes cut]", Cut: 5000})
	f("OK\n1234567890", 10, 5000, Output{Text: "OK", Long: "12345678\n[... 5002 bytes cut]", Cut: 5002})
}

func TestSplitLimit(t *testing.T) {
	f := func(output string, limit int, want Output) {
		t.Helper()
		if diff := cmp.Diff(want, Split(output, limit)); diff != "" {
			t.Errorf("Split(%q, %d) (-want +got):\n%s", output, limit, diff)
		}
	}
	f("1234567890", 10, Output{Text: "1234567890"})
	f("1234567890\n\n", 10, Output{Text: "1234567890"})
	f("12345678901", 10, Output{Text: "1234567890[... 1 bytes cut]", Cut: 1})
	f("123456789é", 10, Output{Text: "123456789[... 2 bytes cut]", Cut: 2})
	f("12345678901|a=1\nlong", 10, Output{Text: "1234567890[... 8 bytes cut]", Cut: 8})
	f("OK\n1234567890", 10, Output{Text: "OK", Long: "12345678\n[... 2 bytes cut]", Cut: 2})
	f("OK|a=1\n1234567890", 10, Output{Text: "OK", Perfdata: "a=1", Long: "12345\n[... 5 bytes cut]", Cut: 5})
	f("OK\n1234567890|a=1", 10, Output{Text: "OK", Perfdata: "a=1", Long: "12345\n[... 5 bytes cut]", Cut: 5})

	// Never inside an item.
	f("OK|a=1 b=23", 10, Output{Text: "OK", Perfdata: "a=1 b=23"})
	f("OK|a=1 b=23", 9, Output{Text: "OK", Perfdata: "a=1", Long: "[... 5 bytes cut]", Cut: 5})
	f("OK|a=1;2;3", 6, Output{Text: "OK", Long: "[... 7 bytes cut]", Cut: 7})
	f("OK|a=1 b=23", 8, Output{Text: "OK", Perfdata: "a=1", Long: "[... 5 bytes cut]", Cut: 5})
	f("OK|a=1 'b=2 c'=3", 12, Output{Text: "OK", Perfdata: "a=1", Long: "[... 10 bytes cut]", Cut: 10})

	long := strings.Repeat("x", DefaultLimit)
	if o := Split(long, -1); o.Text != long || o.Cut != 0 {
		t.Errorf("%d bytes: cut %d", len(long), o.Cut)
	}
	if o := Split(long+"x", 0); o.Cut != 1 {
		t.Errorf("%d bytes: cut %d, want 1", len(long)+1, o.Cut)
	}
}
