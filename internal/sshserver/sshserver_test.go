package sshserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a Server that serves on a port of its own until the test ends.
type running struct {
	*Server
	addr *net.TCPAddr
	stop func() // ends Run and waits for it
}

func serve(t *testing.T, o Options, change ...func(*Server)) running {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx, l); err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	}()
	r := running{s, l.Addr().(*net.TCPAddr), func() { cancel(); <-ended }}
	t.Cleanup(r.stop)
	return r
}

// dial logs in with the key of the server, checking the host key as a user would.
func (r running) dial(t *testing.T) *ssh.Client {
	t.Helper()
	signer, err := ssh.ParsePrivateKey(r.ClientKey())
	if err != nil {
		t.Fatal(err)
	}
	client, err := r.dialWith(t, ssh.PublicKeys(signer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); _ = client.Wait() })
	return client
}

func (r running) dialWith(t *testing.T, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	t.Helper()
	hostKey, err := knownhosts.New(r.knownHosts(t))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.Dial("tcp", r.addr.String(), &ssh.ClientConfig{
		User: "anybody", Auth: auth, HostKeyCallback: hostKey, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: 10 * time.Second,
	})
}

// knownHosts writes the file of that name.
func (r running) knownHosts(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(r.HostKeyLine("127.0.0.1", r.addr.Port)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func session(t *testing.T, client *ssh.Client) *ssh.Session {
	t.Helper()
	s, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// ended tells whether a process has ended, be it that nobody has waited for it.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestExec(t *testing.T) {
	client := serve(t, Options{}).dial(t)
	f := func(command, stdin, wantOut, wantErr string, wantStatus int, wantSignal string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		s := session(t, client)
		s.Stdin, s.Stdout, s.Stderr = strings.NewReader(stdin), &stdout, &stderr
		status, signal := 0, ""
		err := s.Run(command)
		if exit := (*ssh.ExitError)(nil); errors.As(err, &exit) {
			status, signal = exit.ExitStatus(), exit.Signal()
		} else if err != nil {
			t.Fatalf("run %q: %v", command, err)
		}
		if stdout.String() != wantOut || stderr.String() != wantErr || status != wantStatus || signal != wantSignal {
			t.Errorf("run %q = %q %q %d %q, want %q %q %d %q",
				command, stdout.String(), stderr.String(), status, signal, wantOut, wantErr, wantStatus, wantSignal)
		}
	}
	f("echo out; echo err >&2", "", "out\n", "err\n", 0, "")
	f("exit 3", "", "", "", 3, "")
	f("exit 300", "", "", "", 44, "")
	f("cat; echo end", "line\n", "line\nend\n", "", 0, "")
	f("sh -s -- a 'b c'", `echo "$#:$2"`, "2:b c\n", "", 0, "")
	f("kill -TERM $$", "", "", "", 143, "TERM")
	f("kill -KILL $$", "", "", "", 137, "KILL")
	f("kill -USR1 $$", "", "", "", 128, "USR1") // x/crypto knows no number for this one
	f("kill -SYS $$", "", "", "", 128, "SIG@openssh.com")
	f("/nowhere/plugin 2>/dev/null", "", "", "", 127, "")
	f("", "", "", "", 0, "")
}

func TestEnvironment(t *testing.T) {
	t.Setenv("ALF_SECRET", "not for commands")
	client := serve(t, Options{}).dial(t)
	out, err := session(t, client).Output("env | cut -d= -f1 | tr '\\n' ' '; echo; echo $HOME $USER $SHELL; pwd; ps -o pgid= -p $$; echo $$")
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	folder := me.HomeDir
	if _, err := os.Stat(folder); err != nil {
		folder = "/"
	}
	lines := strings.Split(string(out), "\n")
	// The shell itself adds PWD, others add more.
	for _, name := range strings.Fields(lines[0]) {
		if !strings.Contains(" HOME LOGNAME PATH PWD SHELL USER OLDPWD SHLVL _ ", " "+name+" ") {
			t.Errorf("variable %s is set", name)
		}
	}
	if want := fmt.Sprintf("%s %s /bin/sh", me.HomeDir, me.Username); lines[1] != want || lines[2] != folder {
		t.Errorf("HOME USER SHELL, folder = %q, %q, want %q, %q", lines[1], lines[2], want, folder)
	}
	if strings.TrimSpace(lines[3]) != lines[4] {
		t.Errorf("process group %s of process %s: not its leader", lines[3], lines[4])
	}
}

func TestBigOutput(t *testing.T) {
	client := serve(t, Options{}).dial(t)
	const size = 10 << 20
	s := session(t, client)
	var stderr bytes.Buffer
	s.Stderr = &stderr
	out, err := s.Output(fmt.Sprintf("head -c %d /dev/zero; head -c %d /dev/zero >&2", size, size))
	if err != nil || len(out) != size || stderr.Len() != size {
		t.Errorf("%d and %d bytes, %v, want %d of both", len(out), stderr.Len(), err, size)
	}
	s = session(t, client)
	s.Stdin = bytes.NewReader(make([]byte, size))
	if out, err := s.Output("wc -c"); err != nil || strings.TrimSpace(string(out)) != strconv.Itoa(size) {
		t.Errorf("wc -c = %q, %v, want %d", out, err, size)
	}
}

func TestHalfClose(t *testing.T) {
	client := serve(t, Options{}).dial(t)
	s := session(t, client)
	stdin, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("cat; echo after"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(stdin, "before\n")
	buf := make([]byte, len("before\n"))
	if _, err := io.ReadFull(stdout, buf); err != nil || string(buf) != "before\n" {
		t.Fatalf("while stdin is open: %q, %v", buf, err)
	}
	stdin.Close()
	if rest, err := io.ReadAll(stdout); err != nil || string(rest) != "after\n" {
		t.Errorf("after the end of stdin: %q, %v", rest, err)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("Wait() = %v", err)
	}
}

// begin starts a command that prints the number of a process first, and returns the number.
func begin(t *testing.T, s *ssh.Session, command string) (pid int) {
	t.Helper()
	stdout, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(command); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(stdout, &pid); err != nil {
		t.Fatalf("no process number from %q: %v", command, err)
	}
	return pid
}

func TestSignal(t *testing.T) {
	client := serve(t, Options{}).dial(t)
	s := session(t, client)
	child := begin(t, s, "sleep 300 & echo $!; wait; exit 5")
	if err := s.Signal("NONSENSE"); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal(ssh.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *ssh.ExitError
	if err := s.Wait(); !errors.As(err, &exit) || exit.Signal() != "TERM" {
		t.Errorf("Wait() = %v, want the signal TERM", err)
	}
	eventually(t, "the child of the signalled shell has ended", func() bool { return ended(child) })
}

// The exit status must not wait for children that hold the output, nor the channel end before them.
func TestBackgroundChild(t *testing.T) {
	client := serve(t, Options{}).dial(t)
	channel, requests, err := client.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Close()
	if ok, err := channel.SendRequest("exec", true, ssh.Marshal(struct{ C string }{"sleep 300 & echo $!; exit 7"})); !ok || err != nil {
		t.Fatalf("exec = %v, %v", ok, err)
	}
	var child int
	if _, err := fmt.Fscanln(channel, &child); err != nil {
		t.Fatal(err)
	}
	if r := <-requests; r.Type != "exit-status" || !bytes.Equal(r.Payload, []byte{0, 0, 0, 7}) {
		t.Errorf("first request = %q %v, want exit-status 7", r.Type, r.Payload)
	}
	if ended(child) {
		t.Error("the child has ended with its shell")
	}
	channel.Close()
	eventually(t, "the child has ended with its channel", func() bool { return ended(child) })
}

// A child that keeps nothing open would outlive a login. Here it ends with the channel.
func TestNothingStaysBehind(t *testing.T) {
	client := serve(t, Options{}).dial(t)
	out, err := session(t, client).Output("sleep 300 >/dev/null 2>&1 </dev/null & echo $!")
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child has ended with its channel", func() bool { return ended(child) })
}

func TestCloseKills(t *testing.T) {
	r := serve(t, Options{MaxSessions: 1})
	client := r.dial(t)
	s := session(t, client)
	pid := begin(t, s, "echo $$; trap '' TERM HUP; sleep 300; sleep 300")
	s.Close()
	eventually(t, "the shell has ended with its channel", func() bool { return ended(pid) })
	eventually(t, "the place is free again", func() bool {
		s, err := client.NewSession()
		if err == nil {
			s.Close()
		}
		return err == nil
	})
}

// The end of Run ends all commands, also one that has left its process group but holds the output.
func TestRunEnds(t *testing.T) {
	r := serve(t, Options{})
	client := r.dial(t)
	child := begin(t, session(t, client), "sleep 300 & echo $!; sleep 300")
	deaf := begin(t, session(t, client), "trap '' TERM HUP INT; echo $$; while :; do sleep 300; done")
	escaped := begin(t, session(t, client), "setsid sh -c 'echo $$; exec sleep 300' & wait")
	defer syscall.Kill(escaped, syscall.SIGKILL)
	begin(t, session(t, client), "echo $$; exec cat /dev/zero") // blocked: nobody reads
	r.stop()
	for _, pid := range []int{child, deaf} {
		eventually(t, "the command has ended with Run", func() bool { return ended(pid) })
	}
	if _, err := net.DialTimeout("tcp", r.addr.String(), time.Second); err == nil {
		t.Error("the port still answers")
	}
}

func TestMaxSessions(t *testing.T) {
	client := serve(t, Options{MaxSessions: 3}).dial(t)
	var sessions []*ssh.Session
	for range 3 {
		s := session(t, client)
		begin(t, s, "echo $$; exec sleep 300")
		sessions = append(sessions, s)
	}
	_, err := client.NewSession()
	var refused *ssh.OpenChannelError
	if !errors.As(err, &refused) || refused.Reason != ssh.ConnectionFailed || refused.Message != "open failed" {
		t.Errorf("fourth session: %v, want connection failed, open failed", err)
	}
	if err := sessions[0].Signal(ssh.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = sessions[0].Wait()
	for range 200 { // at the limit all the time: a place must be free as soon as its client knows of the end
		s, err := client.NewSession()
		if err != nil {
			t.Fatalf("after the end of one: %v", err)
		}
		if err := s.Run("exit 0"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	client := serve(t, Options{}).dial(t)
	s := session(t, client)
	for what, err := range map[string]error{
		"env":       s.Setenv("LC_ALL", "C"),
		"pty-req":   s.RequestPty("xterm", 24, 80, nil),
		"shell":     s.Shell(),
		"subsystem": session(t, client).RequestSubsystem("sftp"),
	} {
		if err == nil {
			t.Errorf("%s was granted", what)
		}
	}
	for _, payload := range [][]byte{nil, {0, 0, 0, 9, 'x'}} {
		if ok, err := s.SendRequest("exec", true, payload); ok || err != nil {
			t.Errorf("exec with payload %v = %v, %v, want false", payload, ok, err)
		}
	}
	for typ, want := range map[string]ssh.RejectionReason{"direct-tcpip": ssh.Prohibited, "x11": ssh.ConnectionFailed} {
		_, _, err := client.OpenChannel(typ, ssh.Marshal(struct {
			Host  string
			Port  uint32
			From  string
			FromP uint32
		}{"127.0.0.1", 22, "127.0.0.1", 1}))
		if refused := (*ssh.OpenChannelError)(nil); !errors.As(err, &refused) || refused.Reason != want {
			t.Errorf("%s: %v, want %v", typ, err, want)
		}
	}
	if _, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("a forwarding was granted")
	}
	if ok, _, err := client.SendRequest("keepalive@openssh.com", true, nil); ok || err != nil {
		t.Errorf("keepalive = %v, %v, want an answer, which is no", ok, err)
	}
}

func TestWrongKey(t *testing.T) {
	r := serve(t, Options{})
	other, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(other.ClientKey())
	if err != nil {
		t.Fatal(err)
	}
	for what, auth := range map[string][]ssh.AuthMethod{
		"another key": {ssh.PublicKeys(signer)},
		"a password":  {ssh.Password("")},
		"nothing":     nil,
	} {
		if client, err := r.dialWith(t, auth...); err == nil {
			client.Close()
			t.Errorf("logged in with %s", what)
		} else if strings.Contains(err.Error(), "password keyboard") {
			t.Errorf("passwords are offered: %v", err)
		}
	}
	if bytes.Equal(other.ClientKey(), r.ClientKey()) || other.HostKeyLine("h", 1) == r.HostKeyLine("h", 1) {
		t.Error("two servers have the same key")
	}
}

func TestHostKeyLine(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(host string, port int, want string) {
		t.Helper()
		if got := s.HostKeyLine(host, port); !strings.HasPrefix(got, want+" ssh-ed25519 AAAA") || strings.Contains(got, "\n") {
			t.Errorf("HostKeyLine(%q, %d) = %q, want %q…", host, port, got, want)
		}
	}
	f("127.0.0.1", 2222, "[127.0.0.1]:2222")
	f("127.0.0.1", 22, "127.0.0.1")
	f("::1", 2222, "[::1]:2222")
}

func TestListeners(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for network, addr := range map[string]string{"tcp": "0.0.0.0:0", "tcp4": ":0", "unix": filepath.Join(t.TempDir(), "socket")} {
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), l); !errors.Is(err, errNotLoopback) {
			t.Errorf("Run() on %s %s = %v, want %v", network, addr, err, errNotLoopback)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run() left the listener on %s open", addr)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Run(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run() on a closed listener = %v, want %v", err, net.ErrClosed)
	}
}

// readAll reads what the server says until it closes the connection.
func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	said, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection stays open")
	}
	return string(said)
}

func TestLoginGrace(t *testing.T) {
	r := serve(t, Options{}, func(s *Server) { s.loginGrace = 500 * time.Millisecond })
	for _, say := range []string{"", "SSH-2.0-slow\r\n"} {
		conn, err := net.Dial("tcp", r.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, say)
		if said := readAll(t, conn); !strings.HasPrefix(said, "SSH-2.0-") {
			t.Errorf("the server said %q", said)
		}
	}
	client := r.dial(t)
	if _, err := session(t, client).Output("sleep 0.7"); err != nil {
		t.Errorf("the deadline of the login holds after it: %v", err)
	}
}

func TestMaxStartups(t *testing.T) {
	r := serve(t, Options{})
	for i := range maxStartups {
		conn, err := net.Dial("tcp", r.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil { // the server is waiting for us
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	conn, err := net.Dial("tcp", r.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if said := readAll(t, conn); said != "" {
		t.Errorf("one too many was greeted with %q", said)
	}
}

func TestShellMissing(t *testing.T) {
	client := serve(t, Options{Shell: "/nowhere/sh"}).dial(t)
	if err := session(t, client).Run("true"); err == nil {
		t.Error("a command ran without a shell")
	}
}

// TestOpenSSH talks to the client that everybody has.
func TestOpenSSH(t *testing.T) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ssh is missing: install the package openssh-client")
		}
		t.Skip("ssh is missing: install the package openssh-client")
	}
	r := serve(t, Options{})
	keyFile := func(key []byte) string {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, key, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	hosts, key := r.knownHosts(t), keyFile(r.ClientKey())
	run := func(key, stdin string, args ...string) (string, string, int) {
		t.Helper()
		cmd := exec.Command(program, append([]string{"-F", "/dev/null", "-i", key, "-p", strconv.Itoa(r.addr.Port),
			"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
			"-o", "UserKnownHostsFile=" + hosts, "-o", "GlobalKnownHostsFile=/dev/null", "127.0.0.1"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
	}
	f := func(stdin, wantOut, wantErr string, wantCode int, command ...string) {
		t.Helper()
		stdout, stderr, code := run(key, stdin, command...)
		if stdout != wantOut || stderr != wantErr || code != wantCode {
			t.Errorf("ssh %q = %q %q %d, want %q %q %d", command, stdout, stderr, code, wantOut, wantErr, wantCode)
		}
	}
	f("", "out\n", "err\n", 2, "echo out; echo err >&2; exit 2")
	f("echo \"$1\"", "a b\n", "", 0, "sh", "-s", "--", "'a b'")
	f("", "", "", 255, "kill -KILL $$")
	f(strings.Repeat("x", 1<<20), "1048576\n", "", 0, "wc -c")
	f(strings.Repeat("unread\n", 1<<19), "", "", 0, "true")
	if stdout, _, code := run(key, "", "head -c 10485760 /dev/zero"); len(stdout) != 10<<20 || code != 0 {
		t.Errorf("big output: %d bytes, %d", len(stdout), code)
	}
	other, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := run(keyFile(other.ClientKey()), "", "true"); code != 255 || !strings.Contains(stderr, "Permission denied (publickey)") {
		t.Errorf("with another key = %q %d, want Permission denied (publickey), 255", stderr, code)
	}
	if _, stderr, code := run(key, "", "-s", "sftp"); code == 0 {
		t.Errorf("subsystem = %q %d, want a refusal", stderr, code)
	}
}
