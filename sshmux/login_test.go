package sshmux

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"pgregory.net/rapid"
)

// open lets all accounts into a folder that t.TempDir has made.
func open(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// accounts runs a test through a real sshd for accounts whose login shell is each of those that
// matter; sh is dash in some systems and bash in others.
func accounts(t *testing.T, o sshdtest.Options, f func(t *testing.T, m *Mux, target Target, s *sshdtest.Server)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("accounts with another login shell need root")
	}
	links := t.TempDir()
	open(t, links)
	for _, name := range []string{"sh", "dash", "bash", "busybox", "csh", "tcsh", "ksh", "zsh", "fish"} {
		shell, err := exec.LookPath(name)
		if err != nil {
			if os.Getenv("CI") != "" && name != "ksh" && name != "zsh" && name != "fish" {
				t.Fatal(err)
			}
			continue
		}
		if name == "busybox" { // does what it is called by
			busybox := shell
			shell = filepath.Join(links, "ash")
			if err := os.Symlink(busybox, shell); err != nil {
				t.Fatal(err)
			}
		}
		o := o
		o.Shell = shell
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, target, server := start(t, o)
			f(t, m, target, server)
		})
	}
}

// promptly runs a command that takes no time. If even its deadline does not end it, the test ends
// with all that may tell why.
func promptly(t *testing.T, m *Mux, target Target, s *sshdtest.Server, c Command) (exit Exit, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		exit, err = m.Run(ctx, target, c)
	}()
	select {
	case <-done:
		return exit, err
	case <-time.After(2 * time.Minute):
		pprof.Lookup("goroutine").WriteTo(t.Output(), 2)
		t.Fatalf("Run of %q does not return; on the host: %q", c.Argv, s.Processes())
		return exit, err
	}
}

// Arguments, values, standard input, PATH and the directory arrive byte for byte at accounts with
// login shells of all kinds, whatever their locale is.
func TestCommandsThroughAccounts(t *testing.T) {
	t.Parallel()
	accounts(t, sshdtest.Options{}, func(t *testing.T, m *Mux, target Target, s *sshdtest.Server) {
		dirs := t.TempDir()
		open(t, dirs)
		rapid.Check(t, func(rt *rapid.T) {
			c, want := command(rt)
			in := text().Draw(rt, "in")
			name := "d" + strings.ReplaceAll(text().Draw(rt, "dir"), "/", "_")
			c.Dir = filepath.Join(dirs, name)
			if err := os.MkdirAll(c.Dir, 0o755); err != nil {
				rt.Fatal(err)
			}
			c.Path = []string{"/no" + strings.ReplaceAll(name, ":", "")}
			c.Argv[2] += `; printf '(%s)' "$PWD" "${PATH%%:*}"; cat`
			c.Env = append(c.Env, "LC_ALL="+rapid.SampledFrom([]string{"C", "C.UTF-8"}).Draw(rt, "locale"))
			c.Stdin = strings.NewReader(in)
			want += "(" + c.Dir + ")(" + c.Path[0] + ")" + in
			var out, errs bytes.Buffer
			c.Stdout, c.Stderr = &out, &errs
			exit, err := promptly(t, m, target, s, c)
			if err != nil { // a command that fails for want of time must not be tried again for each that may be shorter
				t.Fatalf("Run of %q: %v; on the host: %q", c.Argv, err, s.Processes())
			}
			if exit.Code != 0 || out.String() != want {
				rt.Fatalf("Run = %+v, output %q, want %q, stderr %q", exit, &out, want, &errs)
			}
		})
	})
}

// A script arrives whole at its interpreter and leaves nothing behind; neither it nor what the
// environment holds is ever in a process list.
func TestScriptThroughAccounts(t *testing.T) {
	t.Parallel()
	accounts(t, sshdtest.Options{}, func(t *testing.T, m *Mux, target Target, s *sshdtest.Server) {
		const secret = "tiger-lily-4711"
		script := "# " + strings.Repeat("x", 200<<10) + "\nTOKEN=" + secret + "\n" + `echo "$# $1 $SECRET"; ps -A -o args= 2>/dev/null; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '; exit 3` + "\n"
		var out bytes.Buffer
		exit, err := m.Run(within(t, time.Minute), target, Command{
			Argv: []string{"/bin/sh", "-s", "--", "it's $1 `id`"}, Env: []string{"SECRET=" + secret}, Stdin: strings.NewReader(script), Stdout: &out,
		})
		first, list, _ := strings.Cut(out.String(), "\n")
		if err != nil || exit.Code != 3 || first != "1 it's $1 `id` "+secret {
			t.Errorf("Run = %+v, %v, output %q", exit, err, first)
		}
		if strings.Contains(list, secret) || !strings.Contains(list, "/bin/sh -s --") {
			t.Errorf("a secret is in the process list, or the script's interpreter is not:\n%s", list)
		}
		s.AwaitNoProcesses()
	})
}

// What ends of itself, and what does not, on accounts with login shells of all kinds.
func TestTimeoutThroughAccounts(t *testing.T) {
	t.Parallel()
	accounts(t, sshdtest.Options{}, func(t *testing.T, m *Mux, target Target, s *sshdtest.Server) {
		exit, err := m.Run(within(t, time.Minute), target, Command{Argv: []string{"sleep", "300"}, Env: []string{"A=1"}, Timeout: time.Second})
		kind(t, err, Timeout, PhaseOutput)
		if exit.Orphan {
			t.Error(err)
		}
		s.AwaitNoProcesses()
	})
}

// A gateway works for accounts with login shells of all kinds, which all replace themselves by it.
func TestGatewayThroughAccounts(t *testing.T) {
	t.Parallel()
	const script = "# '!\\\necho \"$1 $SECRET\"; ps -A -o args=; exit 3\n"
	file, _ := install(t,
		Permit{Name: "argv", Argv: words(printing("it's", "a!b", `\`, "$HOME", "\n", "é")...)},
		Permit{Name: "script", Argv: words("/bin/sh", "-s", "--", "a b"), Env: []Pattern{{{Text: "SECRET="}, {Kind: Free}}}, Script: []byte(script)},
		Permit{Name: "endless", Argv: words("sleep", "300"), Timeout: time.Minute},
	)
	accounts(t, sshdtest.Options{KeyOptions: `restrict,command="exec ` + file + `"`}, func(t *testing.T, m *Mux, target Target, s *sshdtest.Server) {
		target.Gateway = true
		var out bytes.Buffer
		exit, err := promptly(t, m, target, s, Command{Argv: printing("it's", "a!b", `\`, "$HOME", "\n", "é"), Stdout: &out})
		if want := "<it's><a!b><\\><$HOME><\n><é>{}"; err != nil || exit.Code != 0 || out.String() != want {
			t.Errorf("Run = %+v, %v, %q, want %q", exit, err, &out, want)
		}
		out.Reset()
		exit, err = promptly(t, m, target, s, Command{Argv: []string{"/bin/sh", "-s", "--", "a b"}, Env: []string{"SECRET=tiger'lily"}, Stdin: strings.NewReader(script), Stdout: &out})
		first, list, _ := strings.Cut(out.String(), "\n")
		if err != nil || exit.Code != 3 || first != "a b tiger'lily" || strings.Contains(list, "lily") || !strings.Contains(list, "/bin/sh -s -- a b") {
			t.Errorf("Run = %+v, %v, %q", exit, err, &out)
		}
		_, err = promptly(t, m, target, s, Command{Argv: []string{"id"}})
		kind(t, err, Config, PhaseExec)
		exit, err = m.Run(within(t, time.Minute), target, Command{Argv: []string{"sleep", "300"}, Timeout: time.Second})
		kind(t, err, Timeout, PhaseOutput)
		if exit.Orphan {
			t.Error(err)
		}
		s.AwaitNoProcesses()
	})
}
