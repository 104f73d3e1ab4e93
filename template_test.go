package alf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// lookup returns a lookup for Bind that knows values.
func lookup(values map[string]string) func(string) (Value, bool) {
	return func(name string) (Value, bool) {
		v, ok := values[name]
		return Value{Text: v, Secret: strings.HasPrefix(name, "secret")}, ok
	}
}

func TestParseTemplate(t *testing.T) {
	f := func(s, want string, macros ...string) {
		t.Helper()
		got := ParseTemplate(s)
		if got.Reveal() != want || !slices.Equal(got.Macros(), macros) {
			t.Errorf("ParseTemplate(%q) = %q with macros %q, want %q with %q", s, got.Reveal(), got.Macros(), want, macros)
		}
	}
	f("", "")
	f("plain", "plain")
	f("$HOSTNAME$", "$HOSTNAME$", "HOSTNAME")
	f("a$b$c$d$e", "a$b$c$d$e", "b", "d")
	f("$a$$b$", "$a$$b$", "a", "b")
	f("$_HOSTfoo$ $ARG1$", "$_HOSTfoo$ $ARG1$", "_HOSTfoo", "ARG1")
	f("5$", "5$")
	f("$ $x", "$ $x")
	f("$1$", "$1$") // no macro begins with a digit
	f("$a-b$", "$a-b$")
	f("$$HOSTNAME$$", "$HOSTNAME$")
	f("$$$HOSTNAME$", "$$HOSTNAME$", "HOSTNAME")
	f("a$$", "a$")

	f("$HOSTSTATE:web1$ x", "$HOSTSTATE:web1$ x", "HOSTSTATE:web1")
	f("$SERVICESTATE:web1:disk /srv$$SERVICESTATE::Load$", "$SERVICESTATE:web1:disk /srv$$SERVICESTATE::Load$", "SERVICESTATE:web1:disk /srv", "SERVICESTATE::Load")
	f("$HOSTNAME:web:, $$_HOSTx:h$$LASTHOSTCHECK:h$", "$HOSTNAME:web:, $$_HOSTx:h$$LASTHOSTCHECK:h$", "HOSTNAME:web:, ", "_HOSTx:h", "LASTHOSTCHECK:h")
	f("$$HOSTSTATE:web1$", "$HOSTSTATE:web1$")
	for _, plain := range []string{ // texts of shells and others
		"$HOSTNAME:$PORT", "$HOSTNAME: $x", "$HOSTNAME:a $x", "$HOST:80/$x", "$PATH:/bin:$HOME", "$HOSTNAME:a\n$", "$HOSTname:a$", "$_HOST:a$",
		"$HOSTNAME:web1", "$HOSTNAME-web1$", "$MAXDEPTH:1$",
	} {
		f(plain, plain)
	}
}

func TestBind(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		got := ParseTemplate(s).Bind(lookup(map[string]string{"a": "A", "empty": "", "macro": "$a$"})).Reveal()
		if got != want {
			t.Errorf("Bind(%q) = %q, want %q", s, got, want)
		}
	}
	f("", "")
	f("x$a$y", "xAy")
	f("$a$$a$", "AA")
	f("$empty$", "")
	f("$macro$", "$a$") // once is enough
	f("$none$ $a$", "$none$ A")
}

func TestBindList(t *testing.T) {
	got := ParseTemplate("<$l$>").Bind(func(string) (Value, bool) { return Value{List: []string{"a", "b"}}, true })
	if got.Reveal() != "<a,b>" {
		t.Errorf("a list gives %q, want it joined by commas", got.Reveal())
	}
}

func TestBindLeavesTemplate(t *testing.T) {
	tpl := ParseTemplate("a $x$ b")
	tpl.Bind(lookup(map[string]string{"x": "1"}))
	if got := tpl.Reveal(); got != "a $x$ b" {
		t.Errorf("after Bind, the template is %q", got)
	}
}

func TestTemplateKeepsSecrets(t *testing.T) {
	const secret = "hunter2"
	bound := ParseTemplate("-p $secret$ -u $user$").Bind(lookup(map[string]string{"secret": secret, "user": "me"}))
	if got, want := bound.String(), "-p <secret> -u me"; got != want || !bound.HasSecret() {
		t.Errorf("String() = %q, HasSecret() = %v, want %q, true", got, bound.HasSecret(), want)
	}
	if got, want := bound.Reveal(), "-p hunter2 -u me"; got != want {
		t.Errorf("Reveal() = %q, want %q", got, want)
	}
	value := Value{Text: secret, Secret: true}
	list := Value{List: []string{secret}, Secret: true}
	for _, x := range []any{bound, bound[1], value, list, []Value{value}, EnvVar{"A", bound}, map[string]Value{"a": value}, Service{Shell: bound}, Secret(secret)} {
		data, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{fmt.Sprint(x), fmt.Sprintf("%+v", x), fmt.Sprintf("%#v", x), fmt.Sprintf("%q", x), string(data)} {
			if strings.Contains(got, secret) {
				t.Errorf("%T prints its secret: %s", x, got)
			}
		}
	}
}

func TestParseShell(t *testing.T) {
	f := func(line, value, want string) {
		t.Helper()
		tpl, err := ParseShell(line)
		if err != nil {
			t.Errorf("ParseShell(%q): %v", line, err)
			return
		}
		if got := tpl.Bind(lookup(map[string]string{"X": value})).Reveal(); got != want {
			t.Errorf("ParseShell(%q) with %q = %q, want %q", line, value, got, want)
		}
	}
	f("echo $X$", "a b", "echo 'a b'")
	f("echo $X$", "", "echo ''")
	f("echo $X$", "it's", `echo 'it'\''s'`)
	f("echo '<$X$>'", "it's", `echo '<it'\''s>'`)
	f(`echo "<$X$>"`, `"$HOME"`, `echo "<"'"$HOME"'">"`)
	f(`echo \"$X$`, "a", `echo \"'a'`)
	f(`echo a#$X$`, "a", `echo a#'a'`)
	f("echo # a\necho $X$", "a", "echo # a\necho 'a'")
	f("echo $$HOME $X$", "a", "echo $HOME 'a'")
	f("( echo $X$ )", "a", "( echo 'a' )")
	f("[ -e $X$ ]", "a", "[ -e 'a' ]")
	f("echo [$X$]", "a", "echo ['a']")
}

func TestParseShellRefuses(t *testing.T) {
	nested := func(line string) {
		t.Helper()
		if _, err := ParseShell(line); !errors.Is(err, ErrNested) {
			t.Errorf("ParseShell(%q): error is %v, want ErrNested", line, err)
		}
	}
	nested("echo $(echo $X$)")
	nested("echo `echo $X$`")
	nested(`echo "$(echo $X$)"`)
	nested("echo ${A:-$X$}")
	nested("echo $((1 + $X$))")
	nested("echo $[1 + $X$]")
	nested(`echo "$[1 + $X$]"`)
	nested("((a = $X$))")
	nested("[[ $X$ -eq 1 ]]")
	nested("a[$X$]=1")
	nested("a[ $X$ ]=1")
	nested("a=( [$X$]=1 )")
	nested("cat <<EOF\n$X$\nEOF\n")
	nested("cat <\\\n<EOF\n$X$\nEOF\n") // a continued line
	nested("echo $\\\n(echo $X$)")
	nested("echo # $X$")
	nested("#$X$")
	nested(`echo \$X$`)
	nested(`echo "\$X$"`)
	nested("echo $$$X$")
	nested("echo $'$X$'")
	nested(`echo $"$X$"`)

	unclosed := func(line string) {
		t.Helper()
		if _, err := ParseShell(line); err == nil || errors.Is(err, ErrNested) {
			t.Errorf("ParseShell(%q): error is %v, want one of the open quote", line, err)
		}
	}
	unclosed("echo 'a")
	unclosed(`echo "a`)
	unclosed(`echo 'a"$X$`)
}

// shells returns those of this machine that may be /bin/sh somewhere.
func shells(t *testing.T) [][]string {
	var found [][]string
	for _, argv := range [][]string{{"dash", "-c"}, {"bash", "--posix", "-c"}, {"bash", "-c"}, {"busybox", "sh", "-c"}, {"ksh", "-c"}, {"mksh", "-c"}, {"zsh", "-c"}} {
		if path, err := exec.LookPath(argv[0]); err == nil {
			argv[0] = path
			found = append(found, argv)
		}
	}
	if found == nil {
		t.Fatal("there is no shell: install the package dash")
	}
	return found
}

// run runs a line in dir, where no program can be found but printf if the shell
// has it built in.
func run(shell []string, line, dir string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell[0], append(shell[1:len(shell):len(shell)], line)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + filepath.Join(dir, "none"), "LC_ALL=C"}
	return cmd.Output()
}

// nasty are pieces of which values are made.
var nasty = []string{
	"'", `"`, `\`, "$", "`", "\n", "\r", "\t", " ", "#", ";", "&", "|", "<", ">", "(", ")", "{", "}", "[", "]", "*", "?", "~", "!", "=", "%", "-",
	"-n", "--", "a", "$HOME", "$(>pwned)", "`>pwned`", ";>pwned;", "\n>pwned\n", "';>pwned;'", `";>pwned;"`, "a[$(>pwned)]", "EOF\n", "'\\''", "\xff", "é",
}

func values() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(nasty), 0, 6).Draw(t, "value"), "")
	})
}

// word is an argument of a shell line, and what the shell shall make of it.
type word struct{ line, want string }

// words draws a word of pieces with every kind of quotes around the macro $X$.
func words(value string) *rapid.Generator[word] {
	pieces := []word{
		{"a", "a"}, {`\a`, "a"}, {`\\`, `\`}, {`\'`, "'"}, {`\"`, `"`}, {`\$$`, "$"}, {`\#`, "#"}, {"#", "#"}, {"\\\n", ""},
		{`''`, ""}, {`""`, ""}, {`'a b'`, "a b"}, {`'"'`, `"`}, {`"'"`, "'"}, {`"\\"`, `\`}, {`"\""`, `"`}, {`"\$$"`, "$"}, {`'\'`, `\`}, {`"\a"`, `\a`}, {`'$$'`, "$"}, {"'#'", "#"}, {`" #"`, " #"},
		{"$X$", value}, {`"$X$"`, value}, {`'$X$'`, value}, {`"a$X$b"`, "a" + value + "b"}, {`'a$X$b'`, "a" + value + "b"}, {`"'$X$'"`, "'" + value + "'"}, {`'"$X$"'`, `"` + value + `"`}, {`"$X$$X$"`, value + value}, {`'\$X$'`, `\` + value}, {`"$$"$X$`, "$" + value},
	}
	return rapid.Custom(func(t *rapid.T) word {
		w := word{line: "x", want: "x"} // so that a "#" begins no comment
		for _, p := range rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 6).Draw(t, "pieces") {
			w.line += p.line
			w.want += p.want
		}
		return w
	})
}

// TestShellArguments draws lines with a value in any quotes, and demands that
// real shells see exactly the arguments that were meant.
func TestShellArguments(t *testing.T) {
	for _, shell := range shells(t) {
		t.Run(strings.Join(shell, " "), func(t *testing.T) {
			dir := t.TempDir()
			rapid.Check(t, func(t *rapid.T) {
				value := values().Draw(t, "value")
				around := rapid.SampledFrom([][2]string{{"", ""}, {"true; ", "; true"}, {"( ", " )"}, {"if true; then\n", "\nfi # it's"}, {"# it's\n", "\n# \""}, {"false || ", " && true"}, {"a=$X$ ", ""}}).Draw(t, "around")
				line, want := around[0]+`printf '<%s>'`, ""
				for _, w := range rapid.SliceOfN(words(value), 1, 4).Draw(t, "words") {
					line += " " + w.line
					want += "<" + w.want + ">"
				}
				line += around[1]
				tpl, err := ParseShell(line)
				if err != nil {
					t.Fatalf("ParseShell(%q): %v", line, err)
				}
				bound := tpl.Bind(lookup(map[string]string{"X": value})).Reveal()
				got, err := run(shell, bound, dir)
				if err != nil || string(got) != want {
					t.Fatalf("%q with %q is\n%s\nand prints %q, %v, want %q", line, value, bound, got, err, want)
				}
			})
		})
	}
}

// TestShellSoup draws lines of which most are no valid shell, and demands that a
// value in those that ParseShell accepts never runs anything.
func TestShellSoup(t *testing.T) {
	soup := []string{
		"$X$", "$X$", "$X$", " ", " ", "\n", "a", "'", `"`, `\`, "$$", "`", "#", ";", "&", "|", "<", "<<", "<<EOF\n", "EOF\n", "(", ")", "((", "))", "{", "}", "[", "]", "[[", "]]",
		"$$(", "$$((", "$${", "$$[", "=", "a=", "a=(", "a[", "]=", "a[$X$]=1", "(($X$))", "[[ $X$ -eq 0 ]]", "\\\n", "!", "~", "*", "if ", "then ", "fi", "case a in ", "a) ", ";;", "esac", "echo ", "\t", "\r",
	}
	for _, shell := range shells(t) {
		t.Run(strings.Join(shell, " "), func(t *testing.T) {
			dir := t.TempDir()
			rapid.Check(t, func(t *rapid.T) {
				line := strings.Join(rapid.SliceOfN(rapid.SampledFrom(soup), 1, 12).Draw(t, "line"), "")
				tpl, err := ParseShell(line)
				if err != nil || len(tpl.Macros()) == 0 {
					return
				}
				value := values().Draw(t, "value")
				bound := tpl.Bind(lookup(map[string]string{"X": value})).Reveal()
				run(shell, bound, dir) // most lines fail, each in its way
				pwned := filepath.Join(dir, "pwned")
				if _, err := os.Stat(pwned); err == nil {
					os.Remove(pwned)
					t.Fatalf("%q with %q is\n%s\nand the value ran", line, value, bound)
				}
			})
		})
	}
}

func FuzzParseShell(f *testing.F) {
	f.Add("echo $X$ '$X$' \"$X$\"")
	f.Add("echo $(a $X$)")
	f.Fuzz(func(t *testing.T, line string) {
		tpl, err := ParseShell(line)
		if err != nil {
			return
		}
		if plain := ParseTemplate(line); tpl.Reveal() != plain.Reveal() || !slices.Equal(tpl.Macros(), plain.Macros()) {
			t.Errorf("ParseShell(%q) reads %q, ParseTemplate %q", line, tpl.Reveal(), plain.Reveal())
		}
		if bytes.IndexByte([]byte(line), 0) < 0 && strings.Contains(tpl.Reveal(), "\x00") {
			t.Errorf("ParseShell(%q) makes a NUL", line)
		}
	})
}
