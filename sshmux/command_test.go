package sshmux

import (
	"bytes"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"pgregory.net/rapid"
)

// loginShells are the ways in which sshd would hand our line to a login shell, with those that
// this machine has.
func loginShells(t *testing.T) [][]string {
	var list [][]string
	for _, shell := range [][]string{{"sh"}, {"dash"}, {"bash"}, {"busybox", "sh"}, {"tcsh"}, {"csh"}, {"ksh"}, {"zsh"}, {"fish"}} {
		if _, err := exec.LookPath(shell[0]); err == nil {
			list = append(list, append(shell, "-c"))
		}
	}
	t.Logf("login shells: %q", list)
	return list
}

// text generates strings that shells do not like, without NUL.
func text() *rapid.Generator[string] {
	hostile := rapid.SampledFrom([]string{"'", `"`, `\`, "$", "`", "!", "\n", "\r", "\t", " ", "*", "?", "~", "#", "%", "%s", "%b", `\0`, `\c`, "$$", "$(id)", ";", "&", "|", "<", ">", "(", ")", "{", "}", "[", "]", "^", "=", "-", "--", "\x01", "\x7f", "\x80", "\x81", "\x88", "\xff", "é", "日本"})
	piece := rapid.OneOf(hostile, rapid.StringMatching(`[a-z0-9/.-]{1,6}`), rapid.Map(rapid.ByteRange(1, 255), func(b byte) string { return string([]byte{b}) }))
	return rapid.Map(rapid.SliceOfN(piece, 0, 8), func(s []string) string { return strings.Join(s, "") })
}

// command generates a command that prints its arguments, and one line of its environment, and
// what it prints.
func command(t *rapid.T) (Command, string) {
	args := rapid.SliceOfN(text(), 0, 5).Draw(t, "args")
	value := text().Draw(t, "value")
	var c Command
	var b strings.Builder
	c.Argv = append([]string{"sh", "-c", `for a do printf '<%s>' "$a"; done; printf '{%s}' "$VALUE"`, "sh"}, args...)
	c.Env = []string{"VALUE=" + value, "OTHER=1"}
	for _, a := range args {
		b.WriteString("<" + a + ">")
	}
	return c, b.String() + "{" + value + "}"
}

// local runs a request as sshd would, through a login shell of this machine.
func local(t interface{ Fatalf(string, ...any) }, shell []string, r *request, stdin string) (output []byte) {
	cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), r.line)...)
	cmd.Stdin = strings.NewReader(r.prelude + stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q of %q: %v: %s", shell, r.line, err, out)
	}
	p := preamble{nonce: r.nonce}
	out = p.skip(out)
	if !p.begun || p.pid < 2 {
		t.Fatalf("%q of %q: no nonce: %q", shell, r.line, p.said())
	}
	return out
}

func TestArgvThroughLoginShells(t *testing.T) {
	t.Parallel()
	for _, shell := range loginShells(t) {
		rapid.Check(t, func(t *rapid.T) {
			c, want := command(t)
			r, err := newRequest(c)
			if err != nil {
				t.Fatal(err)
			}
			if got := local(t, shell, r, ""); string(got) != want {
				t.Fatalf("%q: output = %q, want %q; line %q", shell, got, want, r.line)
			}
		})
	}
}

// All bytes at once, through each login shell: in an argument, a value, a directory of PATH,
// and standard input behind the environment.
func TestAllBytesThroughLoginShells(t *testing.T) {
	all := make([]byte, 255)
	for i := range all {
		all[i] = byte(i + 1)
	}
	c := Command{
		Argv:  []string{"sh", "-c", `printf '%s|%s|' "$1" "$ALL"; cat`, "sh", string(all)},
		Env:   []string{"ALL=" + string(all)},
		Path:  []string{strings.ReplaceAll(string(all), ":", "")},
		Dir:   "/",
		Stdin: io.MultiReader(),
	}
	r, err := newRequest(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range loginShells(t) {
		in := "first\n" + string(all)
		if got, want := string(local(t, shell, r, in)), string(all)+"|"+string(all)+"|"+in; got != want {
			t.Errorf("%q: output = %q, want %q", shell, got, want)
		}
	}
}

func TestArgvThroughSSH(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		c, want := command(rt)
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		exit, err := m.Run(within(t, time.Minute), target, c)
		if err != nil || exit.Code != 0 || out.String() != want {
			rt.Fatalf("Run = %+v, %v, output %q, want %q, stderr %q", exit, err, &out, want, &errs)
		}
	})
}

// Common commands are sent as they are, so that people recognise them in a process list, and
// no printf is needed.
func TestLineIsReadable(t *testing.T) {
	f := func(c Command, want string) {
		t.Helper()
		r, err := newRequest(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(r.line, r.nonce, "NONCE"); got != want {
			t.Errorf("line = %q, want %q", got, want)
		}
	}
	f(Command{Argv: []string{"check_disk", "-w", "20%", "-c", "10%", "-p", "/"}}, `exec /bin/sh -c 'echo NONCE $$; exec check_disk -w 20% -c 10% -p / </dev/null'`)
	f(Command{Argv: []string{"check_x", "a b", ""}, Path: []string{"/usr/lib/nagios/plugins"}},
		`exec /bin/sh -c 'PATH=/usr/lib/nagios/plugins${PATH:+:$PATH}; export PATH; echo NONCE $$; exec check_x "a b" "" </dev/null'`)
	f(Command{Shell: "uptime | wc -l"}, `exec /bin/sh -c 'echo NONCE $$; exec /bin/sh -c "uptime | wc -l" </dev/null'`)
}

func TestPreamble(t *testing.T) {
	const nonce = "NONCE7"
	f := func(in, want, said string, pid int) {
		t.Helper()
		for size := 1; size <= len(in); size++ {
			p := preamble{nonce: nonce}
			var got []byte
			for piece := range slices.Chunk([]byte(in), size) {
				got = append(got, p.skip(piece)...)
			}
			if string(got) != want || p.pid != pid || string(p.said()) != said {
				t.Errorf("in pieces of %d, skip(%q) = %q, pid %d, said %q, want %q, %d, %q", size, in, got, p.pid, p.said(), want, pid, said)
			}
		}
	}
	f("NONCE7 42\nOK\n", "OK\n", "", 42)
	f("NONCE7 42\n", "", "", 42)
	f("motd\nNONCE7 42\nOK NONCE7 43\n", "OK NONCE7 43\n", "motd\n", 42)
	f("no newline NONCE7 42\nOK", "OK", "no newline ", 42)
	f("echo NONCE7 $$; NONCE7 x\nNONCE7 42\nOK", "OK", "echo NONCE7 $$; NONCE7 x\n", 42)
	f("NONCENONCE7 42\nOK", "OK", "NONCE", 42)
	f("NONCE7 dir\nOK", "OK", "", 0)
	f("not available\n", "", "not available\n", 0)
	f("NONCE7 -1\nNONCE7 1\nNONCE7\n", "", "NONCE7 -1\nNONCE7 1\nNONCE7\n", 0)
	f("NONCE7 4", "", "NONCE7 4", 0)
	f(strings.Repeat("x", 10000)+"NONCE7 42\nOK", "OK", strings.Repeat("x", keepSaid), 42)
	f("NONCE7 "+strings.Repeat("x", 5000)+"\nNONCE7 42\nOK", "OK", "NONCE7 "+strings.Repeat("x", keepSaid-7), 42)
}

func FuzzPreamble(f *testing.F) {
	f.Add([]byte("motd NONCE7 x\nNONCE7 42\nOK"), 3)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		whole := preamble{nonce: "NONCE7"}
		want := whole.skip(in)
		pieces := preamble{nonce: "NONCE7"}
		var got []byte
		for piece := range slices.Chunk(in, min(max(size, 1), 1000)) {
			got = append(got, pieces.skip(piece)...)
		}
		if len(in) < 4000 && (whole.begun != pieces.begun || !bytes.Equal(got, want)) {
			t.Errorf("skip(%q) = %q in one, %q in pieces of %d", in, want, got, size)
		}
	})
}

func TestClean(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := clean([]byte(in)); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	f("", "")
	f(" \r\n a \x1b[31m\tb\xff\n", "a [31m b?")
	f(strings.Repeat("x", 300), strings.Repeat("x", 200)+"...")
}
