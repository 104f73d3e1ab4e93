package perfdata

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// update makes TestCorpus write corpus.golden: go test ./perfdata -run Corpus -update
var update = flag.Bool("update", false, "write testdata/corpus.golden")

// run is one run of a real plugin. The file testdata/corpus.txt has them all.
type run struct {
	line   string // "PLUGIN CODE ARGUMENTS"
	plugin string
	code   int
	output string
}

// corpus reads what tools/capture wrote, and says there how.
func corpus(t testing.TB) []run {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	var runs []run
	for _, record := range strings.Split("\n"+string(text), "\n== ")[1:] {
		line, output, _ := strings.Cut(strings.TrimSuffix(record, "\n"), "\n")
		r := run{line: line, output: unescape(t, output)}
		var code string
		r.plugin, code, _ = strings.Cut(line, " ")
		code, _, _ = strings.Cut(code, " ")
		if r.code, err = strconv.Atoi(code); err != nil {
			t.Fatalf("record %q: %v", line, err)
		}
		runs = append(runs, r)
	}
	return runs
}

// unescape is what the plugin wrote, of the lines that stand for it.
func unescape(t testing.TB, lines string) string {
	t.Helper()
	lines, cut := strings.CutSuffix(lines, `\`)
	if lines != "" && !cut {
		lines += "\n"
	}
	output, err := strconv.Unquote(`"` + strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(lines) + `"`)
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return output
}

// TestCorpus holds Split and Parse to what real plugins write.
func TestCorpus(t *testing.T) {
	var golden strings.Builder
	answered, measured := map[string]bool{}, map[string]bool{}
	codes := map[int]int{}
	for _, r := range corpus(t) {
		o := Split(r.output, 0)
		data, err := Parse(o.Perfdata)
		checkKept(t, r, o, data, err)
		fmt.Fprintf(&golden, "== %s\n%s", r.line, readable(o, data, err))

		codes[r.code]++
		if o.Text != "" && 0 <= r.code && r.code <= 3 {
			answered[r.plugin] = true
		}
		if len(data) > 0 {
			measured[r.plugin] = true
		}
	}
	checkGolden(t, golden.String())

	t.Logf("%d plugins, %d of them with data; runs by return code: %v", len(answered), len(measured), codes)
	if len(answered) < 45 || len(measured) < 25 {
		t.Errorf("%d plugins, %d of them with data, want at least 45 and 25", len(answered), len(measured))
	}
	for code := range 4 {
		if codes[code] < 10 {
			t.Errorf("%d runs returned %d, want at least 10", codes[code], code)
		}
	}
}

// checkKept demands that nothing of the output of r is lost without an error,
// and that each datum round trips.
func checkKept(t *testing.T, r run, o Output, data []Datum, err error) {
	t.Helper()
	if got, want := ink(o.Text+o.Long+o.Perfdata), ink(r.output); o.Cut != 0 || o.Repaired || got != want {
		t.Errorf("%s: Split keeps %d characters of %d: %+v", r.line, got, want, o)
	}
	items := 0
	for _, d := range data {
		items += 1 + strings.Count(d.Label, "=")
		if again, err := Parse(d.String()); err != nil || len(again) != 1 || again[0] != d {
			t.Errorf("%s: Parse(%q) = %+v, %v, want %+v", r.line, d, again, err, d)
		}
		if base := d.Base(); base.Base() != base {
			t.Errorf("%s: %v: base %v is not a base", r.line, d, base)
		}
	}
	if n := strings.Count(o.Perfdata, "="); err == nil && items != n {
		t.Errorf("%s: %d data and no error, want %d of %q", r.line, items, n, o.Perfdata)
	}
}

// ink counts the characters that are neither white space nor '|'.
func ink(s string) int {
	n := 0
	for _, c := range s {
		if c != '|' && !unicode.IsSpace(c) {
			n++
		}
	}
	return n
}

// readable tells all that Split and Parse made of an output, one thing a line.
func readable(o Output, data []Datum, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "text: %s\n", o.Text)
	if o.Long != "" {
		fmt.Fprintf(&b, "long: %s\n", strings.ReplaceAll(o.Long, "\n", "\n      "))
	}
	for _, d := range data {
		base := d.Base()
		fmt.Fprintf(&b, "data: %q value=%v uom=%q", d.Label, d.Value, d.UOM)
		for _, limit := range []struct {
			name string
			set  bool
			v    fmt.Stringer
		}{{"warn", d.Warn.Set, d.Warn}, {"crit", d.Crit.Set, d.Crit}, {"min", d.Min.Set, d.Min}, {"max", d.Max.Set, d.Max}} {
			if limit.set {
				fmt.Fprintf(&b, " %s=%v", limit.name, limit.v)
			}
		}
		if base.UOM != "" {
			fmt.Fprintf(&b, " base=%v %s", base.Value, base.UOM)
		}
		b.WriteByte('\n')
	}
	for _, err := range pieces(err) {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}

func checkGolden(t *testing.T, got string) {
	t.Helper()
	const name = "testdata/corpus.golden"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
