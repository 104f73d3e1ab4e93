package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"alf"
	"alf/api"
	"alf/config"
	"alf/internal/sanitize/hostile"
	"alf/runner"
)

// TestAsk: whatever a command does, there is an answer or a reason, and soon.
func TestAsk(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	run, err := runner.New(runner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	limit := 20 * time.Second
	f := func(name, shell, want string) {
		t.Helper()
		began := time.Now()
		body, err := ask(t.Context(), run, config.Source{
			Shell: shell, Timeout: limit, MaxOutput: 1 << 20,
			Env: []config.EnvVar{{Name: "TOKEN", Value: "tiger"}, {Name: "SITE", Value: "berlin", Plain: true}},
		}, 7)
		got := string(body)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%s: %.200q, want %q", name, got, want)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	const good = `[{"name":"a"}]`
	f("good", `echo '`+good+`'; echo noise >&2`, good+"\n")
	f("environment", `test $TOKEN-$SITE-$HOME = tiger-berlin-$HOME && echo '`+good+`'`, good+"\n")
	f("exit code", `echo '`+good+`'; echo "no $TOKEN in $SITE" >&2; exit 7`, "error: exit code 7: no <secret> in berlin")
	f("signal", `kill -SEGV $$`, "error: killed by SIGSEGV")
	f("not there", `/nowhere/list 2>/dev/null`, "error: exit code 127")
	f("holds standard output open", `sleep 60 & echo '`+good+`'`, good+"\n")
	f("endless", `yes`, "error: the answer has more than max_output, 1048576 bytes")
	f("100 MB", `head -c 100000000 /dev/zero`, "error: the answer has more than max_output, 1048576 bytes")
	f("endless complaints", `head -c 100000000 /dev/zero | tr '\0' x >&2; exit 1`, "error: exit code 1: "+strings.Repeat("x", maxComplaint)+" ...")
	f("nothing", `true`, "error: it is empty, and no JSON")
	f("no hosts", `echo '[]'`, "error: it names no hosts, and there were 7")
	f("HTML", `echo '<html>'`, "error: it is no JSON: line 1: invalid character '<' looking for beginning of value")
	f("escapes", `printf '\033[2Jred\n\000' >&2; exit 1`, `error: exit code 1: \x1b[2Jred \x00`)
	limit = time.Second
	f("hangs", `sleep 60`, "error: not ended within 1s")
	f("ignores TERM", `trap '' TERM; while :; do sleep 0.1; done`, "error: not ended within 1s")
	f("endless and stubborn", `trap '' PIPE TERM; while :; do cat /dev/zero; done 2>/dev/null`, "error: the answer has more than max_output, 1048576 bytes")
	file := filepath.Join(t.TempDir(), "hosts.json")
	if _, err := ask(t.Context(), run, config.Source{File: file, MaxOutput: 9}, 0); err == nil {
		t.Error("there is no file, and no error")
	}
	for mode, want := range map[os.FileMode]string{0o600: "is larger than 9 bytes", 0o666: "others can write it"} {
		if err := os.WriteFile(file, []byte(good), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t.Context(), run, config.Source{File: file, MaxOutput: 9}, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("mode %o: %v, want %s", mode, err, want)
		}
	}
	run.Close()
	goleak.VerifyNone(t, leaks)
}

// TestAskHostile: what a command complains of is harmless.
func TestAskHostile(t *testing.T) {
	for _, c := range hostile.Outputs() {
		if err := hostile.Check("log", complaint(fmt.Errorf("exit code 1"), c.Text, config.Source{}).Error()); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// writeConfig writes alf.toml with two sources that no command answers for.
func writeConfig(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "alf.toml")
	text := fmt.Sprintf("[daemon]\ndata_dir = %q\n[ssh]\nagent = true\n[source.one]\ncommand = \"false\"\n[source.two]\ncommand = \"false\"\n[host.own]\n%s", filepath.Join(dir, "data"), more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func answerOf(body string) config.Answer {
	a := config.Answer{Body: []byte(body), Last: []byte(body), Time: time.Now()}
	return a
}

// TestSettle: a bad answer never stops the rest, and mistakes of the files are not
// taken for those of an answer.
func TestSettle(t *testing.T) {
	const needs = "[check.x]\ncommand = [\"x\", \"$need$\"]\nhosts = [\"*\", \"!own\"]\n"
	kept := map[string]config.Answer{"one": answerOf(`{"a": {"vars": {"need": 1}}}`), "two": answerOf(`{"b": {"vars": {"need": 1}}}`)}
	f := func(name, files string, fresh map[string]config.Answer, hosts string, errs ...string) {
		t.Helper()
		file := writeConfig(t, files)
		c, err := settle(file, loadOptions(), kept, fresh)
		if err != nil {
			if got := strings.ReplaceAll(err.Error(), file, "alf.toml"); hosts != "" || got != errs[0] {
				t.Errorf("%s: %s, want %v", name, got, errs)
			}
			return
		}
		var names, why []string
		for _, h := range c.Inventory.Hosts() {
			names = append(names, string(h.Name))
		}
		for _, s := range c.Sources {
			if s.Answer.Err != "" {
				why = append(why, s.Name+": "+strings.ReplaceAll(s.Answer.Err, file, "alf.toml"))
			}
		}
		if got := strings.Join(names, " "); got != hosts || strings.Join(why, "\n") != strings.Join(errs, "\n") {
			t.Errorf("%s: hosts %q, want %q; errors %q, want %q", name, got, hosts, why, errs)
		}
	}
	fresh := func(one, two string) map[string]config.Answer {
		out := make(map[string]config.Answer)
		for name, body := range map[string]string{"one": one, "two": two} {
			if body != "" {
				out[name] = config.Answer{Body: []byte(body), Time: time.Now()}
			}
		}
		return out
	}
	good := `{"c": {"vars": {"need": 1}}}`
	f("nothing new", needs, nil, "a b own")
	f("new", needs, fresh(good, ""), "b c own")
	f("one failed", needs, map[string]config.Answer{"one": {Err: "exit code 1"}, "two": answerOf(good)}, "a c own", "one: exit code 1")
	f("one misses a macro", needs, fresh(`{"a": {}, "x": {}, "d": {"vars": {"need": 1}}}`, good), "a c d own")
	f("nothing fits", needs, fresh(`{"x": {}, "y": {}}`, good), "a c own",
		`one: none of its hosts can be taken, of 2: host "x" (line 1) is left out: check "x" on it (alf.toml:11): macro $need$ is not defined`)
	f("not even by itself", "", fresh(`{"x": {"y": 1}}`, good), "a c own",
		`one: none of its hosts can be taken, of 1: host "x" (line 1) is left out: unknown key "y" in [host.x]`)
	f("the files", needs+"y = 1\n", fresh(good, ""), "", `alf.toml:13: unknown key "y" in [check.x]`)
	f("a host that a file needs", "parents = [\"a\"]\n", fresh(good, ""), "a b own", `one: alf.toml:10: there is no [host.a]; did you mean "b"?`)
}

func TestKeep(t *testing.T) {
	d := config.Daemon{DataDir: filepath.Join(t.TempDir(), "data")}
	if a := readKept(d, "cmdb"); a.Body != nil || a.Err != "" {
		t.Errorf("nothing is kept: %+v", a)
	}
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, body := range []string{`{"a": {}}`, `{"b": {}}`} {
		if err := keep(d, "cmdb", []byte(body), at); err != nil {
			t.Fatal(err)
		}
		if a := readKept(d, "cmdb"); string(a.Body) != body || !a.Time.Equal(at) || a.Err != "" {
			t.Errorf("kept %+v, want %s", a, body)
		}
	}
	left, _ := os.ReadDir(sourceDir(d))
	if len(left) != 1 {
		t.Errorf("%d files are left, want 1", len(left))
	}
	if err := os.WriteFile(sourceFile(d, "cmdb"), []byte(`{"a":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := readKept(d, "cmdb"); a.Body != nil || !strings.Contains(a.Err, "cmdb.json is damaged: it is no JSON") {
		t.Errorf("damaged: %+v", a)
	}
}

// TestStartWithOld: a start does not wait for a source that has answered before,
// unless what it said does not fit any more.
func TestStartWithOld(t *testing.T) {
	file := writeConfig(t, "[source.slow]\ncommand = \"echo '{\\\"new\\\": {}}'; touch asked\"\n")
	t.Chdir(filepath.Dir(file))
	d := config.Daemon{DataDir: filepath.Join(filepath.Dir(file), "data")}
	start := func(kept string) (hosts string, asked bool) {
		t.Helper()
		if err := keep(d, "slow", []byte(kept), time.Now()); err != nil {
			t.Fatal(err)
		}
		os.Remove("asked")
		c, err := loadToServe(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range c.Inventory.Hosts() {
			hosts += string(h.Name) + " "
		}
		_, err = os.Stat("asked")
		return hosts, err == nil
	}
	if hosts, asked := start(`{"old": {}}`); hosts != "old own " || asked {
		t.Errorf("hosts %q, asked %v", hosts, asked)
	}
	if hosts, asked := start(`{"old": {"hostgroups": ["gone"]}}`); hosts != "new own " || !asked {
		t.Errorf("hosts %q, asked %v, where the old ones do not fit", hosts, asked)
	}
}

// TestReloadHangs: a new source that hangs holds up a reload for a while only, and
// takes no hosts away.
func TestReloadHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := within(t.Context(), reloadPatience)
		defer cancel()
		hang := runs(func(ctx context.Context, _ alf.Execution) (alf.Exit, error) {
			<-ctx.Done()
			return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Err: context.Cause(ctx)}
		})
		_, err := ask(ctx, hang, config.Source{Shell: "x", Timeout: time.Hour}, 0)
		if err == nil || err.Error() != "no answer within 20s" {
			t.Errorf("%v", err)
		}
	})
}

// TestThousands: what 3,000 hosts of a source take, from its command to a
// configuration.
func TestThousands(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "{\"name\": \"h%d\", \"address\": \"10.0.%d.%d\", \"vars\": {\"site\": \"berlin\"}},\n", i, i/250, i%250)
	}
	hosts := "[" + strings.TrimSuffix(b.String(), ",\n") + "]"
	file := writeConfig(t, fmt.Sprintf("[source.cmdb]\ncommand = [\"cat\", %q]\n[check.x]\ncommand = \"x\"\nhosts = [\"h*\"]\n", filepath.Join(t.TempDir(), "hosts")))
	all, _ := config.ReadSources(file, loadOptions())
	name := all[2].Argv[1]
	if err := os.WriteFile(name, []byte(hosts), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c, err := loadFresh(t.Context(), file, loadOptions())
	if err != nil || c.Counts.Hosts != 3001 || c.Counts.Services != 3000 {
		t.Fatalf("%v, %v", c, err)
	}
	t.Logf("%d hosts in %v", c.Counts.Hosts, time.Since(began))
}

// TestRoster: a source that fails is asked again sooner, one that is asked only when
// ordered is not, and what fails in the same way is logged once.
func TestRoster(t *testing.T) {
	var log syncBuffer
	run := func(context.Context, alf.Execution) (alf.Exit, error) { return alf.Exit{Code: 1}, nil }
	r := newRoster(runs(run), slog.New(slog.NewTextHandler(&log, nil)), func(context.Context, api.ReloadOrder, map[string]config.Answer) error { return nil }, func() {})
	c := &config.Config{Sources: []config.Source{
		{Name: "often", Shell: "x", Interval: time.Hour, Answer: answerOf(`{}`)},
		{Name: "seldom", Shell: "x", Answer: answerOf(`{}`)},
	}}
	r.adopt(c)
	for range 3 {
		due, _ := r.due(time.Now().Add(2 * time.Hour))
		for _, st := range due {
			r.refresh(t.Context(), st)
		}
	}
	if n := strings.Count(log.String(), "no good answer"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, log.String())
	}
	often, seldom := r.all["often"], r.all["seldom"]
	if wait := time.Until(often.next); wait > retryAfter || often.failures != 3 || often.up() {
		t.Errorf("often: in %v, %d failures", wait, often.failures)
	}
	if !seldom.next.IsZero() || seldom.failures != 1 {
		t.Errorf("seldom: %v, %d failures", seldom.next, seldom.failures)
	}
	c.Sources[0].Shell = "y" // it asks something else
	r.adopt(c)
	if due, _ := r.due(time.Now()); len(due) != 1 || due[0].Name != "often" || due[0].failures != 3 {
		t.Errorf("due: %v", due)
	}
}

// TestOrderWhileAsked: an order that comes while a source is being asked has it
// asked once more, because what it answers then may be older.
func TestOrderWhileAsked(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	run := func(context.Context, alf.Execution) (alf.Exit, error) {
		began <- struct{}{}
		<-end
		return alf.Exit{Code: 1}, nil
	}
	r := newRoster(runs(run), slog.New(slog.DiscardHandler), nil, func() {})
	r.adopt(&config.Config{Sources: []config.Source{{Name: "cmdb", Shell: "x"}}})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	<-began
	waits, err := r.ordered([]string{"cmdb"}, api.ReloadOrder{Author: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	end <- struct{}{}
	<-began
	select {
	case <-waits[0]:
		t.Error("the order was answered with what was asked before it")
	default:
	}
	end <- struct{}{}
	<-waits[0]
	if s := r.Sources().Sources[0]; s.Failures != 2 || s.Next != nil {
		t.Errorf("%d failures, next %v, want 2 and none", s.Failures, s.Next)
	}
	stop()
	running.Wait()
}

type runs func(context.Context, alf.Execution) (alf.Exit, error)

func (f runs) Run(ctx context.Context, e alf.Execution) (alf.Exit, error) { return f(ctx, e) }
