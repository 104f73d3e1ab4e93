package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"alf/internal/sanitize/hostile"
	"alf/internal/sshdtest"
)

func TestMain(m *testing.M) {
	testscript.Main(stories{m}, map[string]func(){"alf": main})
}

// stories runs more of them at a time than there are processors, since they wait
// most of the time.
type stories struct{ *testing.M }

func (s stories) Run() int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("6")
	}
	return s.M.Run()
}

// TestScripts tells what a user sees: a story in each file of testdata. Besides
// testscript's own, the stories have these commands:
//
//	sshd                  starts a real sshd; sets $SSH_PORT, $SSH_USER, $SSH_KEY, $SSH_KNOWN_HOSTS and more
//	sshd stop|start       stops it, and starts it again
//	sshd reinstall        starts it again with a new key; sets $SSH_FINGERPRINT, as sshd does
//	sshd bastion start    starts another one, for [host.jump1], writes its settings and sets $BASTION_KEY; then stop, start,
//	                      and connections N, which asserts how many connections its log tells of
//	configure [LINE...]   writes alf.toml for that sshd, with further lines of [daemon]; sets $WEB
//	accepted N            asserts how many logins its log tells of
//	port NAME             sets $NAME to a free port
//	until REGEXP CMD...   runs CMD until its standard output matches, at most 20 s
//	get PATH [HEADER]     asks the Alf at $WEB
//	signal NAME           sends it to the alf serve of $WORK/alf.toml
//	processes N TEXT      asserts, within 20 s, how many processes have TEXT in their command line
//	took MIN MAX CMD...   runs CMD, which must take as many seconds
//	promtool              asserts that promtool likes the last standard output
//	receiver [down|hold|up]
//	                      starts a strict receiver of webhooks; sets $HOOK and writes hook.key. Then: has it refuse
//	                      all with 503, take a request and never answer, and work again
//	received REGEXP...    asserts, within 20 s, that it took just these messages since the last time, in that order
//	received -until REGEXP
//	                      waits until it took one that matches, whatever comes before
//	repeated N            asserts how many messages came to it more than once so far
//	clean PLACE           asserts that nothing hostile is left in the last standard output
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("ALF_UPDATE_SCRIPTS") != "",
		Setup:               setup,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sshd": sshd, "configure": configure, "accepted": accepted, "port": port, "until": until, "get": get,
			"receiver": receive, "received": received, "repeated": repeated, "processes": processes, "took": took, "clean": clean, "signal": send, "promtool": promtool,
		},
	})
}

// condition says whether a program is here that a story needs. Under CI it
// always is: there a missing component fails.
func condition(cond string) (bool, error) {
	files := map[string]string{"plugins": "/usr/lib/nagios/plugins/check_dummy", "promtool": "promtool"}
	file, ok := files[cond]
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	_, err := exec.LookPath(file)
	return err == nil || os.Getenv("CI") == "true", nil
}

type sshdKey struct{}

func setup(env *testscript.Env) error {
	env.Values[sshdKey{}] = &sshdOf{t: env.T().(testing.TB)}
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("USER", os.Getenv("USER"))
	env.Setenv("ALF_SOCKET", filepath.Join(env.WorkDir, "alf.sock"))
	return nil
}

// sshdOf is the sshd of a story.
type sshdOf struct {
	t       testing.TB
	server  *sshdtest.Server
	bastion *sshdtest.Server

	receiver *receiver
}

func sshd(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(sshdKey{}).(*sshdOf)
	switch {
	case len(args) == 0:
		s.server = sshdtest.Start(s.t, sshdtest.Options{})
		ts.Setenv("SSH_PORT", strconv.Itoa(s.server.Port))
		ts.Setenv("SSH_USER", s.server.User)
		ts.Setenv("SSH_KEY", s.server.ClientKey)
		ts.Setenv("SSH_KNOWN_HOSTS", s.server.KnownHosts)
		ts.Setenv("SSH_FINGERPRINT", s.server.Fingerprint)
	case args[0] == "bastion":
		s.control(ts, args[1:])
	case args[0] == "stop":
		s.server.Stop()
	case args[0] == "start":
		s.server.Restart()
	case args[0] == "reinstall":
		s.server.ReplaceHostKey()
		s.server.Restart()
		ts.Setenv("SSH_FINGERPRINT", s.server.Fingerprint)
	default:
		ts.Fatalf("usage: sshd [stop|start|reinstall]")
	}
}

// control does what "sshd bastion" asks for.
func (s *sshdOf) control(ts *testscript.TestScript, args []string) {
	switch {
	case args[0] == "start" && s.bastion != nil:
		s.bastion.Restart()
	case args[0] == "start":
		s.bastion = sshdtest.Start(s.t, sshdtest.Options{})
		text := fmt.Sprintf("host.jump1.address = \"127.0.0.1\"\nhost.jump1.ssh.port = %d\nhost.jump1.ssh.user = %q\nhost.jump1.ssh.identity_files = [%q]\nhost.jump1.ssh.known_hosts = %q\n",
			s.bastion.Port, s.bastion.User, s.bastion.ClientKey, s.bastion.KnownHosts)
		file := ts.MkAbs("conf.d/web.toml")
		ts.Setenv("BASTION_KEY", s.bastion.ClientKey)
		rest, err := os.ReadFile(file)
		ts.Check(err)
		ts.Check(os.WriteFile(file, append([]byte(text), rest...), 0o600))
	case args[0] == "stop":
		s.bastion.Stop()
	default:
		if got := strconv.Itoa(s.bastion.Connections()); got != args[1] {
			ts.Fatalf("%s connections to the bastion, want %s", got, args[1])
		}
	}
}

func configure(ts *testscript.TestScript, neg bool, args []string) {
	port(ts, false, []string{"WEB_PORT"})
	ts.Setenv("WEB", "127.0.0.1:"+ts.Getenv("WEB_PORT"))
	text := fmt.Sprintf(`[daemon]
socket   = %q
data_dir = %q
%s
[web]
listen = %q

[ssh]
user           = %q
port           = %s
identity_files = [%q]
known_hosts    = [%q]
`, ts.Getenv("ALF_SOCKET"), ts.MkAbs("data"), strings.Join(args, "\n"), ts.Getenv("WEB"), ts.Getenv("SSH_USER"),
		ts.Getenv("SSH_PORT"), ts.Getenv("SSH_KEY"), ts.Getenv("SSH_KNOWN_HOSTS"))
	ts.Check(os.WriteFile(ts.MkAbs("alf.toml"), []byte(text), 0o600))
}

func accepted(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := ts.Value(sshdKey{}).(*sshdOf).server.Accepted(); got != want {
		ts.Fatalf("%d logins, want %d", got, want)
	}
}

func port(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var stdout, stderr bytes.Buffer
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		stdout.Reset()
		stderr.Reset()
		program, err := exec.LookPath(args[1])
		ts.Check(err)
		cmd := exec.Command(program, args[2:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), &stdout, &stderr
		cmd.Env = append(os.Environ(), "ALF_SOCKET="+ts.Getenv("ALF_SOCKET"))
		_ = cmd.Run() // it may well fail for a while
		if want.MatchString(stdout.String()) {
			fmt.Fprint(ts.Stdout(), stdout.String())
			return
		}
	}
	ts.Fatalf("%v does not print what matches %q, but:\n%s%s", args[1:], args[0], &stdout, &stderr)
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+ts.Getenv("WEB")+args[0], nil)
	ts.Check(err)
	for _, header := range args[1:] {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), string(body))
	if failed := resp.StatusCode >= 300; failed != neg {
		ts.Fatalf("GET %s: %s\n%s", args[0], resp.Status, body)
	}
}

func processes(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := -1
	for deadline := time.Now().Add(20 * time.Second); got != want && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		got = countProcesses(args[1])
	}
	if got != want {
		ts.Fatalf("%d processes have %q in their command line, want %d", got, args[1], want)
	}
}

func countProcesses(text string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	n := 0
	for _, file := range files {
		line, _ := os.ReadFile(file)
		if strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), text) {
			n++
		}
	}
	return n
}

// send sends a signal to the alf serve of this story.
func send(ts *testscript.TestScript, neg bool, args []string) {
	to := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}[args[0]]
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, _ := os.ReadFile(file)
		if !strings.Contains(string(line), ts.MkAbs("alf.toml")+"\x00serve") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		ts.Check(err)
		ts.Check(syscall.Kill(pid, to))
		return
	}
	ts.Fatalf("no alf serve runs with %s", ts.MkAbs("alf.toml"))
}

func took(ts *testscript.TestScript, neg bool, args []string) {
	from, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	to, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	began := time.Now()
	if err := ts.Exec(args[2], args[3:]...); (err != nil) != neg {
		ts.Fatalf("%v: %v", args[2:], err)
	}
	if s := time.Since(began).Seconds(); s < from || s > to {
		ts.Fatalf("%v took %.2f s, want %v to %v", args[2:], s, from, to)
	}
}

func clean(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(hostile.Check(args[0], ts.ReadFile("stdout")))
}

// promtool asserts that the tool of that name finds nothing to say about the
// last standard output.
func promtool(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(ts.ReadFile("stdout"))
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("promtool check metrics: %v\n%s", err, out)
	}
}
