package sshmux

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// alone returns a server that allows one session, and a Mux that has found that out by two
// commands at once.
func alone(t testing.TB, o sshdtest.Options) (*Mux, Target, *sshdtest.Server) {
	t.Helper()
	o.MaxSessions = 1
	m, target, server := start(t, o)
	target.MaxSessions = 2
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if exit, err := m.Run(t.Context(), target, Command{Shell: "sleep 0.3"}); err != nil || exit.Code != 0 {
				t.Errorf("Run = %+v, %v", exit, err)
			}
		})
	}
	wg.Wait()
	if !m.link(target.Key(), target).isAlone() {
		t.Fatal("the host refuses a second session, and nobody has noticed")
	}
	return m, target, server
}

// Where the host has one session and takes no second connection, the watchdog is what ends a
// command, for root, whom sshd's signals do not serve, as for anybody else.
func TestWatchdogAlone(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		o.MaxStartups = "1:100:1"
		m, target, server := alone(t, o)
		c, err := net.Dial("tcp", server.Addr) // takes the only place of those that have not logged in
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Read(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		for _, line := range endless {
			var out bytes.Buffer
			c := Command{Shell: "printf tail; " + line, Stdout: &out, Timeout: time.Second, Env: []string{"A=1"}}
			exit, err := m.Run(t.Context(), target, c)
			if kind(t, err, Timeout, PhaseOutput); exit.Orphan {
				t.Errorf("%s: %v", line, err)
			}
			if got := out.String(); got != "tail" {
				t.Errorf("%s: output = %q, want %q", line, got, "tail")
			}
			server.AwaitNoProcesses()
		}
		if got := sh(t, m, target, "echo OK"); got != "OK\n" {
			t.Errorf("output = %q after the kills", got)
		}
		server.AwaitNoProcesses()
		if s := m.Stats(); server.Accepted() != 1 || s.Dials != 1 || s.Orphans != 0 {
			t.Errorf("%d logins, Stats() = %+v, want one login and no orphans", server.Accepted(), s)
		}
	})
}

// A command sees nothing of its watchdog, and nothing is left of that when the command has ended.
func TestWatchdogIsInvisible(t *testing.T) {
	logins(t, func(t *testing.T, o sshdtest.Options) {
		many, there, _ := start(t, o)
		one, here, server := alone(t, o)
		run := func(m *Mux, target Target, c Command) string {
			var out, errs bytes.Buffer
			c.Stdout, c.Stderr = &out, &errs
			exit, err := m.Run(within(t, time.Minute), target, c)
			return fmt.Sprintf("%d %s %v %q %q", exit.Code, exit.Signal, err, &out, &errs)
		}
		for _, c := range []Command{
			{Shell: "exit 3"},
			{Shell: "printf 'no newline'; exit 1"},
			{Shell: "kill -KILL $$"},
			{Shell: "kill -TERM $$"},
			{Shell: "kill -USR1 0"}, // to its process group
			{Shell: "cat; readlink /proc/$$/fd/0; set -- /proc/$$/fd/*; echo $#"},
			{Shell: `set -- $(cut -d " " -f 5,6 /proc/$$/stat); [ $1 = $$ ] && [ $2 = $$ ] && echo leads`},
			{Shell: "ps -o comm= --ppid $$; wait; trap; env | grep -c alf_"},
			{Shell: "ps -o comm= -s $$"}, // all of its session
			{Argv: []string{"no_such_plugin"}},
			{Argv: []string{"sh", "-c", "echo $VALUE >&2"}, Env: []string{"VALUE=x"}, Dir: "/"},
			{Shell: "true", Dir: "/nonexistent"},
		} {
			want := strings.NewReplacer(there.Addr, "ADDR").Replace(run(many, there, c))
			if got := strings.NewReplacer(here.Addr, "ADDR").Replace(run(one, here, c)); got != want {
				t.Errorf("%+v with a watchdog: %s, want %s", c, got, want)
			}
			server.AwaitNoProcesses()
		}
		// Standard input is the command's, if it has any.
		if got, want := run(one, here, Command{Argv: []string{"cat"}, Stdin: strings.NewReader("in")}), `0  <nil> "in" ""`; got != want {
			t.Errorf("with standard input: %s, want %s", got, want)
		}
		// Output ends with the command, not a second later.
		shortest := time.Hour
		for range 5 {
			start := time.Now()
			run(one, here, Command{Shell: "true"})
			shortest = min(shortest, time.Since(start))
		}
		if shortest > outputGrace {
			t.Errorf("the shortest of five commands took %v: each waits for its watchdog", shortest)
		}
	})
}

// The watchdog is plain shell text, and does without setsid where there is none.
func TestWatchdogInShells(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	sh(t, m, target, "true")
	bin := tools(t, nil, "ps", "sleep", "grep", "sh")
	f := func(t *testing.T, shell []string, path, command, lastWord, want string) {
		t.Helper()
		r, err := newRequest(Command{Shell: command})
		if err != nil {
			t.Fatal(err)
		}
		r.dog = "WORD"
		r.watchdog = m.link(target.Key(), target).conn.watchdog(r.dog)
		cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), line(r.script()))...)
		cmd.Env = []string{"PATH=" + path}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		said := make([]byte, len(r.nonce)+1)
		if _, err := io.ReadFull(out, said); err != nil {
			t.Fatal(err)
		}
		io.WriteString(in, lastWord)
		in.Close()
		if want == "" {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		rest, err := io.ReadAll(out) // until the command and the watchdog have ended
		cmd.Wait()
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		if string(rest) != want {
			t.Errorf("%q with PATH %s, told %q: %q, %v, want %q", shell, path, lastWord, rest, err, want)
		}
	}
	for _, shell := range loginShells(t) {
		for name, path := range map[string]string{"machine": os.Getenv("PATH"), "bare": bin} {
			t.Run(shell[0]+" "+name, func(t *testing.T) {
				t.Parallel()
				f(t, shell, path, endless[1], "WORD\n", "\nWORD 0\n")
				f(t, shell, path, endless[1], "other\n", "")
				f(t, shell, path, endless[1], "", "")
				if shell[0] == "sh" {
					f(t, shell, path, endless[2], "WORD\n", "\nWORD 0\n")
				}
			})
		}
	}
}

func TestEpilogue(t *testing.T) {
	f := func(in, want, said string) {
		t.Helper()
		for size := 1; size <= len(in); size++ {
			e := newEpilogue("WORD")
			var got []byte
			told := ""
			for piece := range slices.Chunk([]byte(in), size) {
				got = append(got, e.skip(bytes.Clone(piece), func(proven bool) { told += fmt.Sprint(proven) })...)
			}
			if got = append(got, e.held...); string(got) != want || told != said {
				t.Errorf("in pieces of %d, skip(%q) = %q, told %q, want %q, %q", size, in, got, told, want, said)
			}
		}
	}
	f("OK\n", "OK\n", "")
	f("OK", "OK", "")
	f("OK\n\n", "OK\n\n", "")
	f("OK\nWORD 0\n", "OK", "true")
	f("OK\n\nWORD 0\n", "OK\n", "true")
	f("\nWORD 1\n", "", "false")
	f("\nWO\nWORD 1\nmore", "\nWO", "false")
	f("\nWORD", "\nWORD", "")
	f("WORD 0\n", "WORD 0\n", "")
}
