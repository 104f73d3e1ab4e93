package config

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestScan(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		var got []string
		marks, _, _ := scan(src)
		for _, m := range marks {
			got = append(got, strings.Repeat(" ", m.line)+strings.Join(m.path, "/"))
		}
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("scan(%q) (-want +got):\n%s", src, diff)
		}
	}
	f("", "")
	f("# a = 1\n\n", "")
	f("a = 1 # b = 2\nc=2", " a\n  c")
	f("[a]\nb = 1\n[ c . d ]\ne = 1", " a\n  a/b\n   c/d\n    c/d/e")
	f("[[a]]\nb = 1\n[[ a ]]", " a\n  a/b\n   a")
	f(`["a.b".'c"d'."e\"\u0066"]`, ` a.b/c"d/e"f`)
	f(`a . "b" . c = 1`, ` a/b/c`)
	f("a = \"[x]\\\"\"\nb = '\\'\nc = 1", " a\n  b\n   c")
	f("a = \"\"\"x\n\"\" \\\"\"\"\nb = 1 \"\"\"\"\"\nc = '''\n'' b = 1'''''\nd = 1", " a\n    c\n      d")
	f("a = \"\"\nb = ''\nc = \"\"\"\"\"\"\nd = 1", " a\n  b\n   c\n    d")
	f("a = [ # ]\n 1, \"]\", [2,\n3], { b = 1 },\n]\nc = 1", " a\n     c")
	f("a = { b = 1, c.d = [\n1 ], e = { f = \"}\" } }\ng = 1", " a\n a/b\n a/c/d\n  a/e\n  a/e/f\n   g")
	f("a = 1979-05-27 07:32:00\r\nb = 1e5\r\n", " a\n  b")

	marks, _, _ := scan("a = [1, # x\n 2,\n\n [3,\n 4], {\n b = 1 } ]")
	if elems := marks[0].elems; !slices.Equal(elems, []int{1, 2, 4, 5}) {
		t.Errorf("the elements are in lines %v", elems)
	}
}

// TestDeep demands that what lies deep in itself is refused before anything takes
// its time over it.
func TestDeep(t *testing.T) {
	const many = 100_000
	f := func(begin, open, end string) {
		t.Helper()
		for n, line := range map[int]int{maxNesting - 1: 0, many: 2} {
			src := "x = 1\n" + begin + strings.Repeat(open, n) + end
			if _, _, deep := scan(src); deep != line {
				t.Errorf("scan of %.20q with %d levels says line %d, want %d", src, n, deep, line)
			}
		}
	}
	f("a = ", "[", "")
	f("a = ", "{b = ", "")
	f("", "'a'.", "b = 1")
	f("[", "a.", "b]")
	var m mistakes
	parse("x", "x = "+strings.Repeat("{a = ", many)+"1"+strings.Repeat("}", many), &m)
	if got := m.err().Error(); got != "x:1: keys or values lie more than 100 levels deep in each other" {
		t.Errorf("parse says %s", got)
	}
}

// FuzzScan demands that the keys in valid files are those that the TOML library
// finds, and that other files do no harm.
func FuzzScan(f *testing.F) {
	for _, c := range broken {
		f.Add(c.src)
	}
	f.Add("a = [{b = 1}, {c = '''\n'''}]\n[d.\"e\\u0041\"]\nf.g=\"\"\"\\\n\"\"\"\"\"")
	f.Fuzz(func(t *testing.T, src string) {
		src = withoutBOM(src)
		marks, _, deep := scan(src)
		if deep > 0 {
			return
		}
		var doc map[string]any
		md, err := toml.Decode(src, &doc)
		if err != nil || src != withoutBOM(src) || isUTF16(src) { // it cuts off another one
			return
		}
		known := make(map[string]bool)
		for _, key := range md.Keys() {
			known[key.String()] = true
		}
		for _, m := range marks {
			if !known[toml.Key(m.path).String()] {
				t.Errorf("scan finds %q, which is not there, in\n%s", m.path, src)
			}
		}
		same(t, grow("", marks, doc), doc)
	})
}

// same demands that the tree has all that the library found.
func same(t *testing.T, tree *table, doc map[string]any) {
	t.Helper()
	for key, want := range doc {
		got, ok := tree.values[key]
		if !ok {
			t.Errorf("%q is not in %v", key, tree)
			continue
		}
		if sub, ok := want.(map[string]any); ok {
			if table, ok := got.any.(*table); ok {
				same(t, table, sub)
			} else {
				t.Errorf("%q in %v is %s, want a table", key, tree, got.kind())
			}
		}
	}
	if len(tree.keys) != len(doc) {
		t.Errorf("%v has keys %q, want %d", tree, tree.keys, len(doc))
	}
}

// FuzzLoad demands that no file makes Load panic, that every error has a line
// and that a configuration without errors can be shown.
func FuzzLoad(f *testing.F) {
	for _, c := range broken {
		f.Add(c.src)
	}
	f.Add(example)
	f.Add(withSecrets)
	f.Add(byHand)
	dir := f.TempDir()
	file := filepath.Join(dir, "alf.toml")
	f.Fuzz(func(t *testing.T, src string) {
		if err := os.WriteFile(file, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		o := options()
		o.NoSecrets = true
		c, err := Load(file, o)
		if err != nil {
			checkErrors(t, err)
			return
		}
		var out strings.Builder
		if err := c.Show(&out, "", ""); err != nil {
			t.Errorf("Show: %v", err)
		}
		if _, err := toml.Decode(out.String(), new(any)); err != nil {
			t.Errorf("Show prints no TOML: %v\n%s", err, out.String())
		}
	})
}

func checkErrors(t *testing.T, err error) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T is no list of errors", err)
	}
	for _, err := range joined.Unwrap() {
		if e, ok := err.(*Error); !ok || e.Line < 1 || e.File == "" || strings.Contains(e.Text, "\n") {
			t.Errorf("%#v is not one line with a position", err)
		}
	}
}

func TestDistance(t *testing.T) {
	f := func(a, b string, want int) {
		t.Helper()
		if got := distance(a, b, 9); got != want {
			t.Errorf("distance(%q, %q) = %d, want %d", a, b, got, want)
		}
	}
	f("", "", 0)
	f("", "abc", 3)
	f("kitten", "sitting", 3)
	f("web1", "wb1", 1)
	f("ab", "ba", 2)
}

func TestDurations(t *testing.T) {
	for _, s := range []string{"0s", "1s", "1m", "1h30m", "2d", "10d1h5s", "365d", "1s500ms"} {
		d, err := parseDuration(s)
		if got := formatDuration(d); err != nil || got != s {
			t.Errorf("%q is printed as %q, %v", s, got, err)
		}
	}
}

// BenchmarkLoad loads 1,000 hosts with 100 services each.
func BenchmarkLoad(b *testing.B) {
	var src strings.Builder
	src.WriteString("[hostgroup.all]\nmembers = [\"*\"]\nvars = { warn = \"20%\", mounts = [\"/\", \"/srv\"] }\n")
	for i := range 1000 {
		src.WriteString("[host.host" + strconv.Itoa(i) + "]\naddress = \"10.0.0.1\"\nvars = { crit = \"5%\" }\n")
	}
	for i := range 98 {
		src.WriteString("[check.check" + strconv.Itoa(i) + "]\nhosts = [\"@all\"]\ncommand = [\"check_disk\", \"-w\", \"$warn$\", \"-c\", \"$crit$\", \"-H\", \"$HOSTADDRESS$\"]\n")
	}
	src.WriteString("[check.mounts]\nhosts = [\"host*\"]\nfor_each = { m = \"mounts\" }\nservice = \"disk $m$\"\ncommand = \"check_disk -p $m$\"\n")
	file := write(b, src.String())
	b.ReportAllocs()
	for b.Loop() {
		c, err := Load(file, options())
		if err != nil || c.Counts.Services != 100_000 {
			b.Fatalf("Load: %v", err)
		}
	}
}
