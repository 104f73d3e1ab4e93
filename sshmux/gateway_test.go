package sshmux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

// word is a Pattern of one text.
func word(s string) Pattern { return Pattern{{Text: s}} }

// words are Patterns of one text each.
func words(texts ...string) []Pattern {
	var all []Pattern
	for _, s := range texts {
		all = append(all, word(s))
	}
	return all
}

// gateways are the shells that a gateway's script must work in, with those that this machine has.
func gateways(t testing.TB) [][]string {
	t.Helper()
	var list [][]string
	for _, shell := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(shell[0]); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			continue
		}
		list = append(list, shell)
	}
	return list
}

// install writes the script of a gateway to a folder that all accounts may enter.
func install(t testing.TB, commands ...Permit) (file, list string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "alf-gateway-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "gateway")
	script, list, err := GatewayScript("web 1", commands)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return file, list
}

// outcome is what a gateway did.
type outcome struct {
	code           int
	stdout, stderr string
}

// ask runs a gateway as sshd would: the leader of a process group, with what was asked for in
// its environment.
func ask(t interface{ Fatalf(string, ...any) }, shell []string, file string, asked, stdin string) outcome {
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell[0], append(slices.Clone(shell[1:]), file)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SSH_ORIGINAL_COMMAND=" + asked}
	if asked == "" {
		cmd.Env = cmd.Env[:1]
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || ctx.Err() != nil {
		t.Fatalf("%q: %v", shell, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// refused reports whether a gateway has said no, in one line, and has run nothing.
func (a outcome) refused() bool {
	return a.code == 126 && a.stdout == "" && strings.HasPrefix(a.stderr, gatewayRefusal) && strings.Count(a.stderr, "\n") == 1
}

// printing is a command that prints what it was given.
func printing(args ...string) []string {
	return append([]string{"sh", "-c", `for a do printf '<%s>' "$a"; done; printf '{%s}' "${VALUE-}"`, "sh"}, args...)
}

// What a gateway runs is what is on its list, byte for byte, and nothing that differs from it.
func TestGatewayRunsItsListOnly(t *testing.T) {
	t.Parallel()
	for _, shell := range gateways(t) {
		rapid.Check(t, func(rt *rapid.T) {
			args := rapid.SliceOfN(text(), 0, 4).Draw(rt, "args")
			value := text().Draw(rt, "value")
			asked := rapid.OneOf(rapid.Just(args), rapid.SliceOfN(text(), 0, 4)).Draw(rt, "asked")
			given := rapid.OneOf(rapid.Just(value), text()).Draw(rt, "given")
			script, _, err := GatewayScript("web1", []Permit{
				{Name: text().Draw(rt, "name"), Argv: words(printing(args...)...), Env: words("VALUE=" + value)},
				{Name: "other", Argv: words("true")},
			})
			if err != nil {
				rt.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "gateway")
			if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
				rt.Fatal(err)
			}
			r, err := Target{Gateway: true}.request(Command{Argv: printing(asked...), Env: []string{"VALUE=" + given}})
			if err != nil {
				rt.Fatal(err)
			}
			got := ask(rt, shell, file, r.line, r.prelude)
			if !slices.Equal(args, asked) || value != given {
				if !got.refused() {
					rt.Fatalf("%q: %+v, want a refusal: asked %q with %q, the list has %q with %q", shell, got, asked, given, args, value)
				}
				return
			}
			var want strings.Builder
			for _, a := range args {
				want.WriteString("<" + a + ">")
			}
			want.WriteString("{" + value + "}")
			p := preamble{nonce: r.nonce}
			if out := p.skip([]byte(got.stdout)); got.code != 0 || p.pid < 2 || string(out) != want.String() {
				rt.Fatalf("%q: %+v, want %q", shell, got, want.String())
			}
		})
	}
}

// What varies keeps to its place in its word, and is no option.
func TestGatewayPatterns(t *testing.T) {
	t.Parallel()
	for _, shell := range gateways(t) {
		line := Pattern{{Text: `printf "<%s>" '`}, {Kind: Quoted}, {Text: `' "a"'`}, {Kind: Quoted}, {Text: `'"b"`}}
		file, _ := install(t,
			Permit{Name: "argv", Argv: append(words(printing("-x")...), Pattern{{Kind: Free}}, Pattern{{Text: "--a="}, {Kind: Free}, {Text: ",b="}, {Kind: Plain}, {Text: "."}})},
			Permit{Name: "shell", Argv: append(words("/bin/sh", "-c"), line)},
			Permit{Name: "secret", Argv: append(words(printing("-p")...), Pattern{{Kind: Hidden, Text: "tiger "}, {Kind: Hidden, Text: "lily"}})},
			Permit{Name: "env", Argv: words(printing()...), Env: []Pattern{{{Text: "VALUE="}, {Kind: Free}}}},
		)
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("tiger")) {
			t.Errorf("the script tells a secret, or %v", err)
		}
		run := func(env []string, argv ...string) outcome {
			r, err := Target{Gateway: true}.request(Command{Argv: argv, Env: env})
			if err != nil {
				t.Fatal(err)
			}
			a := ask(t, shell, file, r.line, r.prelude)
			p := preamble{nonce: r.nonce}
			a.stdout = string(p.skip([]byte(a.stdout)))
			return a
		}
		yes := func(want string, env []string, argv ...string) {
			t.Helper()
			if got := run(env, argv...); got.code != 0 || got.stdout != want {
				t.Errorf("%q: %q with %q: %+v, want %q", shell, argv, env, got, want)
			}
		}
		no := func(env []string, argv ...string) {
			t.Helper()
			if got := run(env, argv...); !got.refused() {
				t.Errorf("%q: %q with %q: %+v, want a refusal", shell, argv, env, got)
			}
		}
		for _, v := range []string{"", "a", "a b", "*", "\n", "$(id)", "`id`", "'", `\`, `\0101`, "é", "\xff", "a;b", "x -y", ".", "|", strings.Repeat("x ", 500)} {
			yes("<-x><"+v+"><--a="+v+",b=1 2:3.>{}", nil, printing("-x", v, "--a="+v+",b=1 2:3.")...)
			yes("{"+v+"}", []string{"VALUE=" + v}, printing()...)
			no([]string{"VALUES=" + v}, printing()...)
			no([]string{"VALUE=" + v, "LD_PRELOAD=x"}, printing()...)
			no([]string{"VALUE=" + v}, printing("")...)
		}
		yes("<-x><><--a=-1,b=.>{}", nil, printing("-x", "", "--a=-1,b=.")...)
		yes("<-p><tiger lily>{}", nil, printing("-p", "tiger lily")...)
		no(nil, printing("-p", "tiger")...)
		no(nil, printing("-p", "")...)
		no(nil, printing("-p", "tiger lily ")...)
		no(nil, printing("-x", "-v", "--a=,b=.")...)
		no(nil, printing("-x", "v", "--a=,b=;.")...)
		no(nil, printing("-x", "v", "--a=,b=-1.")...)
		no(nil, printing("-x", "v", "--a=,b=")...)
		no(nil, printing("-x", "v", "-v", "--a=,b=.")...)
		no(nil, printing("-x", "--a=,b=.")...)
		no(nil, printing("-x", "v", "--a=,b=.", "w")...)
		quoted := func(a, b string) string { // two values, as [Quoted] has them
			q := strings.NewReplacer("'", `'\''`)
			return `printf "<%s>" '` + q.Replace(a) + `' "a"'` + q.Replace(b) + `'"b"`
		}
		for _, v := range []string{"", "a", "it's", "''", `\`, `\'`, "$(id)", "`id`", "a b", "\n", "; id; '", `"`} {
			yes("<"+v+"><a"+v+"b>", nil, "/bin/sh", "-c", quoted(v, v))
		}
		for _, v := range []string{`'; id; '`, `'\'; id '`, `'\`, `\''`, `'''`, `'\'''`, "-n"} {
			no(nil, "/bin/sh", "-c", `printf "<%s>" '`+v+`' "a"''"b"`)
			no(nil, "/bin/sh", "-c", `printf "<%s>" '' "a"'`+v+`'"b"`)
		}
	}
}

// A quoted piece never leaves its quotes, whatever it is: the shell that reads the line sees one
// word there.
func TestGatewayQuoted(t *testing.T) {
	t.Parallel()
	piece := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"'", `\`, `'\''`, `\'`, " ", "x", ";", `"`}), 0, 8), func(s []string) string { return strings.Join(s, "") })
	for _, shell := range gateways(t) {
		file, _ := install(t, Permit{Name: "quoted", Argv: append(words("/bin/sh", "-c"), Pattern{{Text: "printf '<%s>' '"}, {Kind: Quoted}, {Text: "' end"}})})
		rapid.Check(t, func(rt *rapid.T) {
			v := piece.Draw(rt, "v")
			r, err := Target{Gateway: true}.request(Command{Shell: "printf '<%s>' '" + v + "' end"})
			if err != nil {
				rt.Fatal(err)
			}
			got := ask(rt, shell, file, r.line, "")
			if got.refused() {
				if !strings.Contains(v, "'") {
					rt.Fatalf("%q: %q: %+v, want it to run", shell, v, got)
				}
				return
			}
			p := preamble{nonce: r.nonce}
			want := "<" + strings.ReplaceAll(v, `'\''`, "'") + "><end>"
			if out := string(p.skip([]byte(got.stdout))); out != want || got.stderr != "" {
				rt.Fatalf("%q: %q: %+v, want %q", shell, v, got, want)
			}
		})
	}
}

// Whatever is asked for, in whatever form, is answered with one line and runs nothing.
func TestGatewayRefuses(t *testing.T) {
	t.Parallel()
	const run = "alf-gateway/1 run AAAAAAAAAAAAAAAAAAAAAAAAAA "
	marker := filepath.Join(t.TempDir(), "ran")
	touch := gatewayText("touch " + marker)
	for _, shell := range gateways(t) {
		file, _ := install(t,
			Permit{Name: "fixed", Argv: words("true", "a")},
			Permit{Name: "spaced", Argv: words("true", "a b")},
			Permit{Name: "pair", Argv: words("true"), Env: words("A=1", "B=2")},
			Permit{Name: "free", Argv: append(words("true", "-a"), Pattern{{Kind: Free}})},
			Permit{Name: "script", Argv: words("/bin/sh", "-s", "--"), Script: []byte("echo hello\n")},
		)
		if a := ask(t, shell, file, run+`none \ \ true a`, ""); a.code != 0 {
			t.Fatalf("%q: %+v, want 0", shell, a)
		}
		for _, asked := range []string{
			"", " ", "id", "sh -c id", "-c id", "/usr/lib/openssh/sftp-server", "internal-sftp", "scp -t x",
			"exec /bin/sh -c 'echo hello'", "alf-gateway/1", "alf-gateway/1 ", "alf-gateway/2 run A none", "alf-gateway/1  hello A",
			"alf-gateway/1 hello", "alf-gateway/1 hello A B", "alf-gateway/1 hello $(touch " + marker + ")", "alf-gateway/1 hello A\n",
			"alf-gateway/1 hello a", "alf-gateway/1 hello " + strings.Repeat("A", 33), "alf-gateway/1 watch A 1",
			"alf-gateway/1 permitted A none", "alf-gateway/1 exec A sh", "alf-gateway/1 run", "alf-gateway/1 run A", "alf-gateway/1 run A none \\ \\",
			run + `none \ \ true`, run + `none \ \ true a a`, run + `none \ \ true A`, run + `none \ \ true a b`,
			run + `none / \ true a`, run + `none \ /tmp true a`, run + `none . \ true a`, run + `none \ ../.. true a`,
			run + `none \ \ ../bin/true a`, run + `none \ \ /bin/true a`, run + `none \ \ TRUE a`, run + `none \ \ tru? a`, run + `none \ \ * a`,
			run + "none \\ \\ true a\n", run + "none \\ \\ true a;id", run + "none \\ \\ true a`id`", run + "none \\ \\ true a&", run + "none \\ \\ true a | id",
			run + "none \\ \\ true a\r", run + "none \\ \\ true a\x01", run + "none \\ \\ true a\x7f", run + "none \\ \\ true ä", run + "none \\ \\ true a\xff",
			run + `none \ \ true a\0000`, run + `none \ \ true \0141`, run + `none \ \ true a\040b`, run + `none \ \ true a\ b`, run + `none \ \ true a\`,
			run + `none \ \ true \ a`, run + `none \ \ true a \`, run + `none \ \ true \0141\0040b`, run + `none  \ \ true a`, " " + run + `none \ \ true a`,
			run + `none \ \ true -a -x`, run + `none \ \ true -a \0055x`, run + `none \ \ true -a \00`, run + `none \ \ true -a \0`, run + `none \ \ true -a x\`,
			run + `none \ \ true -a \0000`, run + `none \ \ true -a \0400`, run + `none \ \ true -a \0088`, run + `none \ \ true -a \x41`, run + `none \ \ true -a \c`,
			run + `none \ \ true -a \\`, run + `none \ \ true -a x y`, run + `none \ \ true -a`, run + `none \ \ -a true x`,
			run + `all \ \ true a`, run + `\ \ \ true a`, run + `none none \ \ true a`, run + `none | \ \ true a`,
			run + `none \ \ ` + touch + ` a`, run + `none \ \ sh -c ` + touch, run + `none ` + touch + ` \ true a`, run + `none \ ` + touch + ` true a`,
			run + `script \ \ true a`, run + `none \ \ /bin/sh -s --`, run + `script \ \ /bin/sh -s`, run + `script \ \ /bin/sh -s -- x`,
			"alf-gateway/1 run $(id) none \\ \\ true a", "alf-gateway/1 run ;id none \\ \\ true a",
			strings.Repeat("a", 100<<10), run + strings.Repeat("a ", 50<<10) + "a", run + `none \ \ true ` + strings.Repeat("a", 100<<10),
			run + `none \ \ true -a -` + strings.Repeat(`\0040`, 2000),
		} {
			if got := ask(t, shell, file, asked, "touch "+marker+"\n"); !got.refused() {
				t.Errorf("%q: %.200q: %+v, want a refusal", shell, asked, got)
			}
		}
		for _, in := range []string{"", "\n", "A=1\n", "A=1 B=3\n", "B=2 A=1\n", "A=1 B=2 C=3\n", "A=1 B=2 |\n", "A=1 B=2 | \\ \\ true\n", "A=1  B=2\n", "A=1 B=2;id\n", "A=1 B=2 $(touch " + marker + ")\n", "A=1 B=2", "\x00A=1 B=2x\n"} {
			if got := ask(t, shell, file, run+`env \ \ true`, in); !got.refused() {
				t.Errorf("%q: environment %q: %+v, want a refusal", shell, in, got)
			}
		}
		for _, in := range []string{"", "echo hello", "echo hello\n\n", "echo hello \n", "echo  hello\n", "touch " + marker + "\n", "echo hello\ntouch " + marker + "\n", strings.Repeat("#", 3<<20)} {
			if got := ask(t, shell, file, run+`script \ \ /bin/sh -s --`, in); !got.refused() {
				t.Errorf("%q: script %.50q: %+v, want a refusal", shell, in, got)
			}
		}
		if a := ask(t, shell, file, run+`env \ \ true`, "A=1 B=2\n"); a.code != 0 {
			t.Errorf("%q: %+v, want 0", shell, a)
		}
		if a := ask(t, shell, file, run+`script \ \ /bin/sh -s --`, "echo hello\n"); a.code != 0 || !strings.HasSuffix(a.stdout, "\nhello\n") {
			t.Errorf("%q: %+v, want hello", shell, a)
		}
		if _, err := os.Stat(marker); err == nil {
			t.Fatalf("%q: something was run", shell)
		}
	}
}

// FuzzGateway: what is no request of Alf's is refused, and no shell reads it.
func FuzzGateway(f *testing.F) {
	f.Add("alf-gateway/1 run AAAA none \\ \\ true -a x", "")
	f.Add("alf-gateway/1 run AAAA none \\ \\ printf RAN", "")
	f.Add("alf-gateway/1 run AAAA env \\ \\ true -a x", "A=1\n")
	f.Add("alf-gateway/1 hello AAAA", "")
	f.Add("id; id", "")
	shells := gateways(f)
	file, _ := install(f, Permit{Name: "x", Argv: words("printf", "RAN")})
	f.Fuzz(func(t *testing.T, asked, in string) {
		fields := strings.Split(asked, " ")
		if strings.Contains(asked, "\x00") || len(asked) > 10<<10 || len(fields) == 4 && fields[1] == "kill" {
			return // of a kill, TestGatewayKill tells
		}
		permitted := len(fields) == 8 && strings.Join(fields[3:], " ") == `none \ \ printf RAN` && fields[1] == "run"
		for _, shell := range shells {
			got := ask(t, shell, file, asked, in)
			hello := len(fields) == 3 && fields[1] == "hello" && got.code == 0 && strings.HasPrefix(got.stdout, fields[2]+" ")
			if !permitted && !hello && !got.refused() {
				t.Errorf("%q: %q: %+v, want a refusal", shell, asked, got)
			}
		}
	})
}

// The script is what shellcheck likes.
func TestGatewayShellcheck(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("shellcheck"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("shellcheck is missing")
	}
	file, _ := install(t, Permit{Name: "a\nb", Argv: words("true", "it's"), Env: words("A=1")}, Permit{Name: "c", Argv: append(words(printing("1", "2", "3", "4", "5", "6")...), Pattern{{Kind: Plain}})})
	if out, err := exec.Command("shellcheck", "-s", "sh", file).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

// The same commands make the same list, in whatever order, and any change makes another.
func TestGatewayList(t *testing.T) {
	a, b := Permit{Name: "a", Argv: words("true", "1"), Timeout: time.Second}, Permit{Name: "b", Argv: words("true", "2")}
	list := func(commands ...Permit) string {
		t.Helper()
		_, list, err := GatewayScript("web1", commands)
		if err != nil || len(list) != 32 {
			t.Fatalf("GatewayScript = %q, %v", list, err)
		}
		return list
	}
	first := list(a, b)
	if again := list(b, a, b); again != first {
		t.Errorf("list = %s in another order, want %s", again, first)
	}
	for _, other := range [][]Permit{{a}, {a, {Name: "b", Argv: words("true", "3")}}, {{Name: "a", Argv: words("true", "1"), Timeout: time.Minute}, b}} {
		if got := list(other...); got == first {
			t.Errorf("%v makes the same list", other)
		}
	}
	for want, c := range map[string]Permit{
		"NUL byte":                            {Argv: words("true", "\x00")},
		"empty command":                       {},
		"is not known before":                 {Argv: []Pattern{{{Kind: Free}}}},
		"stands beside something that varies": {Argv: []Pattern{{{Text: "true"}}, {{Kind: Hidden, Text: "x"}, {Kind: Free}}}},
		"is not the name of a variable":       {Argv: words("true"), Env: words("A B=1")},
	} {
		if _, _, err := GatewayScript("web1", []Permit{c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
}

// endlessly starts a command that does not end by way of a gateway, and returns its group.
func endlessly(t *testing.T, shell []string, file, nonce, line string) int {
	t.Helper()
	cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), file)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), `SSH_ORIGINAL_COMMAND=alf-gateway/1 run ` + nonce + ` none \ \ /bin/sh -c ` + gatewayWord(line)}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, _ := out.Read(buf)
	if want := fmt.Sprintf("%s %d\n", nonce, cmd.Process.Pid); string(buf[:n]) != want {
		t.Fatalf("%q: output = %q, want %q", shell, buf[:n], want)
	}
	done := make(chan struct{})
	go func() { // as sshd does
		defer close(done)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
	})
	return cmd.Process.Pid
}

// alive reports whether a process of the group runs, one that is dead but not reaped left out.
func alive(group int) bool {
	out, err := exec.Command("ps", "-A", "-o", "pgid=", "-o", "stat=").Output()
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == strconv.Itoa(group) && f[1][0] != 'Z' {
			return true
		}
	}
	return false
}

// A gateway kills what it has started itself, by its nonce, and nothing else.
func TestGatewayKill(t *testing.T) {
	t.Parallel()
	lines := []string{"exec sleep 300", `trap "" TERM; while :; do sleep 300; done`, `sleep 300 | (trap "" TERM; sleep 300)`}
	for _, shell := range gateways(t) {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			var permits []Permit
			for _, line := range lines {
				permits = append(permits, Permit{Name: "endless", Argv: words("/bin/sh", "-c", line), Timeout: time.Minute})
			}
			file, _ := install(t, permits...)
			foreign := exec.Command("sleep", "300")
			foreign.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := foreign.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { foreign.Process.Kill(); foreign.Wait() }()
			kill := func(nonce string, group any) outcome {
				return ask(t, shell, file, fmt.Sprintf("alf-gateway/1 kill %s %v", nonce, group), "")
			}
			for i, line := range lines {
				nonce := "NONCE" + strings.Repeat("A", i)
				group := endlessly(t, shell, file, nonce, line)
				wrongs := []struct {
					nonce string
					group any
				}{
					{nonce, foreign.Process.Pid}, {"OTHER", group}, {nonce + "B", group}, {"", group}, {"NONC.", group},
					{nonce, 0}, {nonce, 1}, {nonce, -1}, {nonce, ""}, {nonce, "1x"}, {nonce, "007"}, {nonce, fmt.Sprintf("%d %d", group, group)},
					{nonce, fmt.Sprintf("-%d", group)}, {nonce, fmt.Sprintf("0%d", group)}, {nonce, "99999999999999999999"}, {nonce, "$PPID"}, {nonce, `\0061`},
				}
				if i > 0 {
					wrongs = wrongs[:1]
				}
				for _, wrong := range wrongs {
					if got := kill(wrong.nonce, wrong.group); !got.refused() {
						t.Errorf("kill %q %v: %+v, want a refusal", wrong.nonce, wrong.group, got)
					}
				}
				if !alive(group) || !alive(foreign.Process.Pid) {
					t.Fatalf("%q: a wrong kill has ended something", line)
				}
				if got := kill(nonce, group); got.code != 0 || got.stdout != "" || got.stderr != "" {
					t.Errorf("%q: kill = %+v, want 0", line, got)
				}
				if alive(group) {
					t.Errorf("%q lives on", line)
				}
				if got := kill(nonce, group); got.code != 0 {
					t.Errorf("%q: kill of what is gone = %+v, want 0", line, got)
				}
			}
			if !alive(foreign.Process.Pid) {
				t.Error("a foreign process was killed")
			}
		})
	}
}

// A gateway ends what has run for too long by itself, and keeps nothing running for what has not;
// also where no setsid takes its watch out of the command's group.
func TestGatewayLimit(t *testing.T) {
	t.Parallel()
	for _, shell := range gateways(t) {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			for _, tools := range []string{"/usr/bin:/bin", pathWith(t, "sh", "ps", "grep", "sleep")} {
				limits(t, shell, tools)
			}
		})
	}
}

// pathWith makes a folder with these tools and no others.
func pathWith(t *testing.T, tools ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, tool := range tools {
		file, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, filepath.Join(dir, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// limits holds a gateway that finds its tools in these folders to its limits.
func limits(t *testing.T, shell []string, tools string) {
	t.Helper()
	lines := []string{"exec sleep 301", `trap "" TERM; while :; do sleep 301; done`}
	permits := []Permit{{Name: "short", Argv: words("true")}}
	for _, line := range lines {
		permits = append(permits, Permit{Name: "endless", Argv: words("/bin/sh", "-c", line)})
	}
	file, _ := install(t, permits...)
	script, err := os.ReadFile(file)
	if err != nil || bytes.Count(script, []byte("alf_limit=10 ")) != 3 || bytes.Count(script, []byte("\nPATH=/usr/bin:/bin:")) != 1 {
		t.Fatalf("%v, or the script has no limits of 10 s, or no PATH:\n%s", err, script)
	}
	script = bytes.ReplaceAll(script, []byte("alf_limit=10 "), []byte("alf_limit=1 "))
	from, rest, _ := bytes.Cut(script, []byte("\nPATH=/usr/bin:/bin:"))
	_, rest, _ = bytes.Cut(rest, []byte("\n"))
	script = slices.Concat(from, []byte("\nPATH="+tools+"\n"), rest)
	if err := os.WriteFile(file, script, 0o755); err != nil {
		t.Fatal(err)
	}
	ask(t, shell, file, `alf-gateway/1 run SHORT none \ \ true`, "")
	var groups []int
	for i, line := range lines {
		groups = append(groups, endlessly(t, shell, file, "LONG"+strings.Repeat("A", i), line))
	}
	sshdtest.Await(t, "the end of what has run for too long", func() bool {
		return !slices.ContainsFunc(groups, alive)
	})
	sshdtest.Await(t, "the end of the watches", func() bool {
		out, _ := exec.Command("ps", "-A", "-o", "args=").Output()
		return !bytes.Contains(out, []byte(file+" watch"))
	})
}

// What plugins have said may be long, and full of what must be written in octal; and a quote that
// ends nothing is found wherever it stands.
func TestGatewayLongText(t *testing.T) {
	long := strings.Repeat("é'", 800) + strings.Repeat("é", 4000)
	quoted := strings.ReplaceAll(long, "'", `'\''`)
	file, _ := install(t,
		Permit{Name: "free", Argv: []Pattern{{{Text: "printf"}}, {{Text: "%s"}}, {{Text: "a "}, {Kind: Free}}}},
		Permit{Name: "quoted", Argv: []Pattern{{{Text: "/bin/sh"}}, {{Text: "-c"}}, {{Text: "printf %s '"}, {Kind: Quoted}, {Text: "'"}}}})
	for _, shell := range gateways(t) {
		f := func(want string, argv ...string) {
			t.Helper()
			r, err := Target{Gateway: true}.request(Command{Argv: argv})
			if err != nil {
				t.Fatal(err)
			}
			switch got := ask(t, shell, file, r.line, ""); {
			case want == "" && !got.refused():
				t.Errorf("%q: %.100q, want a refusal", shell, got.stdout)
			case want != "" && (got.code != 0 || got.stderr != "" || !strings.HasSuffix(got.stdout, "\n"+want)):
				t.Errorf("%q: exit status %d, %q, %d bytes, want %d", shell, got.code, got.stderr, len(got.stdout), len(want))
			}
		}
		f("a "+long, "printf", "%s", "a "+long)
		f(quotedText(quoted), "/bin/sh", "-c", "printf %s '"+quoted+"'")
		f("", "/bin/sh", "-c", "printf %s '"+quoted+"';id;''")
		f("", "/bin/sh", "-c", "printf %s ''"+quoted+"'")
	}
}

// quotedText is what a text stands for between single quotes.
func quotedText(s string) string { return strings.ReplaceAll(s, `'\''`, "'") }

// What stands on standard input of a command is nothing, also where a secret was compared before.
func TestGatewayNoInput(t *testing.T) {
	file, _ := install(t, Permit{Name: "x", Argv: []Pattern{{{Text: "sh"}}, {{Text: "-c"}}, {{Text: "readlink /proc/$$/fd/0"}}, {{Kind: Hidden, Text: "tiger"}}}})
	for _, shell := range gateways(t) {
		got := ask(t, shell, file, `alf-gateway/1 run A none \ \ sh -c readlink\0040/proc/\0044\0044/fd/0 tiger`, "")
		if !strings.HasSuffix(got.stdout, "\n/dev/null\n") || got.code != 0 || got.stderr != "" {
			t.Errorf("%q: %+v, want /dev/null", shell, got)
		}
	}
}

// A gateway that is not the leader of a process group could not end what it starts.
func TestGatewayWantsAGroup(t *testing.T) {
	file, _ := install(t, Permit{Name: "x", Argv: words("true")})
	cmd := exec.Command("sh", "-c", `"$0"; exit $?`, file)
	cmd.Env = append(os.Environ(), `SSH_ORIGINAL_COMMAND=alf-gateway/1 run A none \ \ true`)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 126 || !strings.Contains(string(out), "put exec before its name") {
		t.Errorf("%v, %q, want what to do", err, out)
	}
}

// guarded starts an sshd whose only key leads to a gateway.
func guarded(t *testing.T, o sshdtest.Options, commands ...Permit) (*Mux, Target, *sshdtest.Server, string) {
	t.Helper()
	file, list := install(t, commands...)
	o.KeyOptions = `restrict,command="exec ` + file + `"`
	m, target, server := start(t, o)
	target.Gateway = true
	return m, target, server, list
}

// What a host does that has no other key than that of a gateway.
func TestGatewayThroughSSH(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		script := "echo \"script $1 $SECRET\"; exit 2\n"
		permits := []Permit{
			{Name: "argv", Argv: words(printing("a b", "")...)},
			{Name: "script", Argv: words("/bin/sh", "-s", "--", "x"), Env: []Pattern{{{Text: "SECRET="}, {Kind: Free}}}, Script: []byte(script)},
			{Name: "dir", Argv: words("pwd"), Dir: "/etc"},
			{Name: "nodir", Argv: words("pwd"), Dir: "/nowhere"},
			{Name: "path", Argv: words("check_it"), Path: []string{"/nowhere", "/usr/share"}},
			{Name: "signal", Argv: words("/bin/sh", "-c", "kill -SEGV $$")},
			{Name: "input", Argv: words("cat")},
		}
		for _, line := range endless {
			permits = append(permits, Permit{Name: "endless", Argv: words("/bin/sh", "-c", line), Timeout: time.Minute})
		}
		m, target, server, list := guarded(t, o, permits...)
		run := func(c Command) (string, Exit, error) {
			var out, errs bytes.Buffer
			c.Stdout, c.Stderr = &out, &errs
			exit, err := m.Run(within(t, time.Minute), target, c)
			return out.String(), exit, err
		}
		f := func(c Command, code int, signal, want string) {
			t.Helper()
			if out, exit, err := run(c); err != nil || exit.Code != code || exit.Signal != signal || out != want {
				t.Errorf("%q: %q, %+v, %v, want %q, %d, %q", c.Argv, out, exit, err, want, code, signal)
			}
		}
		f(Command{Argv: printing("a b", "")}, 0, "", "<a b><>{}")
		f(Command{Argv: []string{"/bin/sh", "-s", "--", "x"}, Env: []string{"SECRET=ti\nger"}, Stdin: strings.NewReader(script)}, 2, "", "script x ti\nger\n")
		f(Command{Argv: []string{"pwd"}, Dir: "/etc"}, 0, "", "/etc\n")
		f(Command{Argv: []string{"check_it"}, Path: []string{"/nowhere", "/usr/share"}}, 127, "", "")
		f(Command{Shell: "kill -SEGV $$"}, 139, "SEGV", "")
		f(Command{Argv: []string{"cat"}}, 0, "", "")
		_, _, err := run(Command{Argv: []string{"pwd"}, Dir: "/nowhere"})
		kind(t, err, Config, PhaseExec)

		for _, c := range []Command{
			{Argv: []string{"id"}}, {Shell: "id"}, {Argv: printing("a b", "", "c")}, {Argv: []string{"pwd"}}, {Argv: []string{"pwd"}, Dir: "/etc/.."},
			{Argv: []string{"cat"}, Stdin: strings.NewReader("x")}, {Argv: []string{"cat"}, Env: []string{"LD_PRELOAD=x"}}, {Argv: []string{"cat"}, Path: []string{"/tmp"}},
			{Argv: []string{"/bin/sh", "-s", "--", "x"}, Env: []string{"SECRET="}, Stdin: strings.NewReader(script + "id\n")},
		} {
			_, exit, err := run(c)
			e := kind(t, err, Config, PhaseExec)
			if exit.Code != 126 || !strings.Contains(e.Error(), "the gateway on the host does not allow this command") {
				t.Errorf("%+v, %v, want that the gateway does not allow it", exit, e)
			}
		}

		var wg sync.WaitGroup
		for _, line := range endless {
			wg.Go(func() {
				exit, err := m.Run(t.Context(), target, Command{Shell: line, Timeout: time.Second})
				kind(t, err, Timeout, PhaseOutput)
				if exit.Orphan {
					t.Errorf("%s: %v", line, err)
				}
			})
		}
		wg.Wait()
		server.AwaitNoProcesses()

		if got, err := m.Gateway(within(t, time.Minute), target); err != nil || got != list {
			t.Errorf("Gateway = %q, %v, want %q", got, err, list)
		}
		steps := m.Probe(within(t, time.Minute), target)
		told := slices.ContainsFunc(steps, func(s Step) bool { return s.List == list && strings.HasPrefix(s.Said, "list "+list+", Linux") })
		if last := steps[len(steps)-1]; last.Err != nil || !told {
			t.Errorf("Probe = %+v, want the list of the gateway", steps)
		}
		if n := server.Accepted(); n != 2 { // one of them is the probe's
			t.Errorf("%d logins, want 2", n)
		}
	})
}

// Those that do not fit together say so.
func TestGatewayMismatch(t *testing.T) {
	t.Parallel()
	m, target, server, _ := guarded(t, sshdtest.Options{}, Permit{Name: "x", Argv: words("true")})
	target.Gateway = false
	_, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"true"}})
	if e := kind(t, err, Config, PhaseExec); !strings.Contains(e.Error(), "gateway = true") {
		t.Errorf("err = %v, want what to set", e)
	}
	if _, err := m.Gateway(within(t, time.Minute), target); err == nil {
		t.Error("a host without a gateway told its list")
	}
	server.Stop()
	plain, other, _ := start(t, sshdtest.Options{})
	other.Gateway = true
	_, err = plain.Run(within(t, time.Minute), other, Command{Argv: []string{"sh", "-c", "echo $(id); touch x"}, Env: []string{"A=1"}, Stdin: strings.NewReader("id\n")})
	if e := kind(t, err, Auth, PhaseExec); !strings.Contains(e.Error(), "does not run the gateway: exit status 127") {
		t.Errorf("err = %v, want that there is none", e)
	}
}

// On MaxSessions 1 a kill goes over another connection, whose key leads to the gateway, too.
func TestGatewayKillOnOneSession(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		o.MaxSessions = 1
		m, target, server, _ := guarded(t, o, Permit{Name: "x", Argv: words("sleep", "300")})
		exit, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"sleep", "300"}, Timeout: time.Second})
		kind(t, err, Timeout, PhaseOutput)
		if exit.Orphan {
			t.Error(err)
		}
		server.AwaitNoProcesses()
	})
}

// The key is good for nothing else: no terminal, no forwarding, no files, no shell.
func TestGatewayRestricts(t *testing.T) {
	_, target, server, _ := guarded(t, sshdtest.Options{Config: []string{"Subsystem sftp internal-sftp"}}, Permit{Name: "x", Argv: words("true")})
	client, err := ssh.Dial("tcp", target.Addr, &ssh.ClientConfig{
		User: target.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(server.Signer)}, HostKeyCallback: ssh.FixedHostKey(server.HostKey), Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if c, err := client.Dial("tcp", target.Addr); err == nil {
		c.Close()
		t.Error("a connection was forwarded")
	}
	if l, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
		t.Error("a port was forwarded")
	}
	f := func(name string, begin func(*ssh.Session) error) {
		t.Helper()
		s, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var out, errs bytes.Buffer
		s.Stdout, s.Stderr = &out, &errs
		if err := begin(s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = s.Wait()
		if e, ok := errors.AsType[*ssh.ExitError](err); !ok || e.ExitStatus() != 126 || out.Len() > 0 || !strings.HasPrefix(errs.String(), gatewayRefusal) {
			t.Errorf("%s: %v, %q, %q, want a refusal", name, err, &out, &errs)
		}
	}
	f("shell", func(s *ssh.Session) error {
		if err := s.RequestPty("xterm", 24, 80, nil); err == nil {
			t.Error("there was a terminal")
		}
		if err := s.Setenv("LC_ALL", "x"); err == nil {
			t.Log("the server takes LC_ALL")
		}
		return s.Shell()
	})
	f("command", func(s *ssh.Session) error { return s.Start("true") })
	files := func(server *sshdtest.Server) error {
		return exec.CommandContext(within(t, time.Minute), "sftp", "-b", "/dev/null", "-F", "none", "-i", server.ClientKey, "-P", strconv.Itoa(server.Port),
			"-o", "UserKnownHostsFile="+server.KnownHosts, "-o", "BatchMode=yes", server.User+"@127.0.0.1").Run()
	}
	if err := files(server); err == nil {
		t.Error("sftp got in")
	}
	_, _, server = start(t, sshdtest.Options{Config: []string{"Subsystem sftp internal-sftp"}, KeyOptions: "restrict"})
	if err := files(server); err != nil {
		t.Errorf("sftp does not get in where it may: %v", err)
	}
}
