// Package sshdtest runs the system's OpenSSH server on loopback for the length of a test, or
// dropbear or tinysshd in its place.
//
// The server has host keys, a client key and a known_hosts file of its own, all below the
// test's temporary folder, which is also $HOME of its logins, so that the machine's own
// profiles do not matter. Nothing of it outlives the test: at cleanup the server ends, and so
// does every process that a login through it has started.
package sshdtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Patience is how long the helpers of this package wait for something that must come to pass.
const Patience = 30 * time.Second

// mark is the environment variable by which the processes of a server's logins are found
// again.
const mark = "ALF_SSHDTEST"

// Options say how a server differs from the usual one. The zero value is a server that admits
// the holder of ClientKey.
type Options struct {
	// Kind is the server to start.
	Kind Kind
	// MaxSessions is sshd's limit of sessions per connection; 0 leaves sshd's default of 10.
	MaxSessions int
	// MaxStartups is sshd's "start:rate:full" for connections that have not logged in; empty
	// allows 500.
	MaxStartups string
	// Config holds further lines of sshd_config. The first value of a keyword wins, and these
	// lines come first.
	Config []string
	// PasswordAuth allows passwords beside keys.
	PasswordAuth bool
	// AuthorizedKeys replaces the lines of the authorized_keys file; nil admits ClientKey.
	AuthorizedKeys []string
	// KeyOptions stand in front of ClientKey in authorized_keys, such as `command="false"`.
	KeyOptions string
	// NormalUser logs in as an unprivileged account. A test that runs as root creates the
	// account "alf-test" if it is missing; any other test logs in as itself anyway.
	NormalUser bool
	// Unprivileged runs the server itself as that account, too. It is for Dropbear and TinySSH;
	// a test that does not run as root has an sshd like that anyway.
	Unprivileged bool
	// Shell logs in as an account of its own with this login shell, which is removed at the end.
	// It needs root; without, the test is skipped.
	Shell string
	// Password, with Shell, is the password of that account.
	Password string
	// Expired, with Shell, is the password of that account, which must be changed at once.
	Expired string
	// Profile is shell text that a bash login reads before each command, the way people's
	// .bashrc is.
	Profile string
}

// Server is a running sshd. Its methods must not be called from several goroutines at once.
type Server struct {
	Addr        string     // host:port
	Port        int        // the port of Addr
	User        string     // the account to log in as
	ClientKey   string     // path of a private key that may log in, mode 0600
	Signer      ssh.Signer // the same key
	KnownHosts  string     // path of a known_hosts file that names this server
	HostKey     ssh.PublicKey
	Fingerprint string // of HostKey, as ssh-keygen -l prints it

	t          testing.TB
	kind       Kind
	dir        string
	home       string              // of the account; empty: dir
	owner      *syscall.Credential // the account; nil: it was there before
	credential *syscall.Credential // who the server runs as; nil: who the test does
	mark       string              // an environment entry that all processes of logins have
	cmd        *exec.Cmd
	done       chan struct{} // closed when cmd has ended
}

// Start starts a server and ends it when the test ends. Without the server's programs it skips
// the test, or fails it if CI=true.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, kind: o.Kind, dir: t.TempDir(), mark: mark + "=" + rand.Text()}
	for _, p := range s.kind.programs() {
		find(t, p[0], p[1])
	}
	// The account that logs in must get through to its home and its authorized_keys.
	if err := os.Chmod(filepath.Dir(s.dir), 0o711); err != nil {
		t.Fatal(err)
	}
	if s.kind == OpenSSH {
		s.User = login(t, o)
		s.writeKeys(o)
		s.write(".bashrc", 0o644, o.Profile)
	} else {
		s.prepare(o)
	}
	t.Cleanup(s.cleanup)
	s.listen(o)
	return s
}

// listen starts the server on a free port; on another if that was taken meanwhile.
func (s *Server) listen(o Options) {
	s.t.Helper()
	for range 5 {
		s.Port = freePort(s.t)
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
		s.writeKnownHosts(s.HostKey)
		s.write("sshd_config", 0o600, s.config(o))
		if s.launch() {
			return
		}
	}
	s.t.Fatalf("%v does not start: %s", s.kind, s.Log())
}

// login returns the account to use and makes it if need be.
func login(t testing.TB, o Options) string {
	t.Helper()
	if os.Geteuid() != 0 && o.Shell != "" {
		t.Skip("an account with another login shell needs root")
	}
	if os.Geteuid() != 0 {
		u, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		return u.Username
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's privilege separation directory
		t.Fatal(err)
	}
	name := "root"
	switch {
	case o.Shell != "":
		name = addShellUser(t, o)
	case o.NormalUser:
		name = "alf-test"
		addUser(t, name)
	}
	refuseLocked(t, name)
	return name
}

func addUser(t testing.TB, name string) {
	t.Helper()
	if _, err := user.Lookup(name); err == nil {
		return
	}
	Await(t, "account "+name, func() bool { // another test may make it meanwhile
		unlock := lockAccounts(t)
		if unlock == nil {
			return false
		}
		defer unlock()
		if _, err := user.Lookup(name); err == nil {
			return true
		}
		// The password is as that of newAccount.
		out, err := exec.Command("useradd", "--system", "--create-home", "--home-dir", "/home/"+name, "--shell", "/bin/sh", "--password", "*", name).CombinedOutput()
		if err != nil && !lockedOut(out) {
			t.Fatalf("make account %s: %v: %s", name, err, out)
		}
		return err == nil
	})
}

// addShellUser makes an account for the length of the test, and returns its name.
func addShellUser(t testing.TB, o Options) string {
	t.Helper()
	name := newAccount(t, false, o.Shell)
	if o.Password != "" {
		Administer(t, name+":"+o.Password+"\n", "chpasswd")
	}
	if o.Expired != "" {
		Administer(t, name+":"+o.Expired, "chpasswd")
		Administer(t, "", "chage", "--lastday", "0", name)
	}
	return name
}

// refuseLocked skips the test if sshd would refuse the account whatever its key (RULES S9).
func refuseLocked(t testing.TB, name string) {
	t.Helper()
	shadow, err := os.ReadFile("/etc/shadow")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(shadow)) {
		if f := strings.Split(line, ":"); len(f) > 1 && f[0] == name && strings.HasPrefix(f[1], "!") {
			t.Skipf("account %s is locked (password %q in /etc/shadow): run usermod -p '*' %[1]s", name, "!")
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *Server) config(o Options) string {
	var b strings.Builder
	for _, line := range o.Config {
		fmt.Fprintln(&b, line)
	}
	if o.MaxSessions > 0 {
		fmt.Fprintln(&b, "MaxSessions", o.MaxSessions)
	}
	if o.MaxStartups == "" {
		o.MaxStartups = "500:30:500"
	}
	yes := map[bool]string{true: "yes", false: "no"}
	fmt.Fprintf(&b, `Port %d
ListenAddress 127.0.0.1
HostKey %s
PidFile none
AuthorizedKeysFile %s
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin yes
PermitUserEnvironment no
PasswordAuthentication %s
KbdInteractiveAuthentication no
MaxStartups %s
SetEnv %s HOME=%s
LogLevel VERBOSE
`, s.Port, s.path("host_ed25519"), s.path("authorized_keys"), yes[o.PasswordAuth || o.Expired != ""], o.MaxStartups, s.mark, s.dir)
	return b.String()
}

// writeKeys makes the host's and the client's key.
func (s *Server) writeKeys(o Options) {
	s.t.Helper()
	s.HostKey = s.newKey("host_ed25519").PublicKey()
	s.Fingerprint = ssh.FingerprintSHA256(s.HostKey)
	s.Signer = s.newKey("client_ed25519")
	s.ClientKey = s.path("client_ed25519")
	lines := o.AuthorizedKeys
	if lines == nil {
		lines = []string{strings.TrimSpace(o.KeyOptions + " " + AuthorizedKey(s.Signer.PublicKey()))}
	}
	s.write("authorized_keys", 0o644, strings.Join(lines, "\n")+"\n")
}

// newKey writes a new private key to a file of that name and returns it.
func (s *Server) newKey(name string) ssh.Signer {
	s.t.Helper()
	signer, text := NewKey(s.t)
	s.write(name, 0o600, text)
	return signer
}

// NewKey returns a new ed25519 key, and its private half as the text of an OpenSSH key file.
func NewKey(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "sshdtest")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// AuthorizedKey returns the line of an authorized_keys file for a key, without a newline.
func AuthorizedKey(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func (s *Server) writeKnownHosts(key ssh.PublicKey) {
	s.t.Helper()
	s.write("known_hosts", 0o600, fmt.Sprintf("[127.0.0.1]:%d %s\n", s.Port, AuthorizedKey(key)))
	s.KnownHosts = s.path("known_hosts")
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) write(name string, mode os.FileMode, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

// ReplaceHostKey gives the server a new host key from the next Restart on. KnownHosts keeps
// the old one.
func (s *Server) ReplaceHostKey() {
	s.t.Helper()
	if s.kind != OpenSSH {
		s.t.Fatalf("no new key can be made for %v", s.kind)
	}
	s.HostKey = s.newKey("host_ed25519").PublicKey()
	s.Fingerprint = ssh.FingerprintSHA256(s.HostKey)
}

// Restart stops the server if it runs, and starts it again on the same port. Logins end, but
// not what they run.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if !s.launch() {
		s.t.Fatalf("%v does not start again: %s", s.kind, s.Log())
	}
}

// launch starts the server and waits until it listens. It reports whether it does.
func (s *Server) launch() bool {
	s.t.Helper()
	log, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	before := strings.Count(s.Log(), listening)
	s.cmd = s.daemon()
	s.cmd.Stdout, s.cmd.Stderr = log, log // of dropbear, connections have it as their standard output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan<- struct{}) {
		cmd.Wait()
		close(done)
	}(s.cmd, s.done)
	ended := false
	Await(s.t, s.kind.String()+" to listen", func() bool {
		select {
		case <-s.done:
			ended = true
		default:
		}
		return ended || s.listens(before)
	})
	if ended {
		s.cmd = nil
	}
	return !ended
}

const listening = "Server listening on "

// Stop kills the server and all its logins, but not the commands that they run. It does
// nothing if the server does not run.
func (s *Server) Stop() {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	// Frozen, none of them starts another child, which would be nobody's by then.
	for _, p := range s.freeze() {
		syscall.Kill(p.pid, syscall.SIGKILL)
	}
	<-s.done
	s.cmd = nil
}

// Pause freezes the server and all its logins; the kernel goes on taking bytes for them.
func (s *Server) Pause() {
	s.t.Helper()
	s.freeze()
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.t.Helper()
	for _, p := range s.daemons() {
		s.signal(p, syscall.SIGCONT)
	}
}

// freeze stops the server's own processes and returns them. A login forks when it has let the
// client in, and the client may know that first; so the family is read until all of it stands.
func (s *Server) freeze() []process {
	s.t.Helper()
	var family []process
	Await(s.t, s.kind.String()+" to freeze", func() bool {
		family = s.daemons()
		frozen := true
		for _, p := range family {
			if p.state != 'T' {
				s.signal(p, syscall.SIGSTOP)
				frozen = false
			}
		}
		return frozen
	})
	return family
}

func (s *Server) signal(p process, sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.t.Errorf("signal %v to process %d: %v", sig, p.pid, err)
	}
}

// Log returns what sshd has logged.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.path("log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Error(err)
	}
	return string(b)
}

// Accepted returns how many logins have succeeded since Start.
func (s *Server) Accepted() int {
	if s.kind != OpenSSH {
		login, _ := s.kind.said()
		return strings.Count(s.Log(), login)
	}
	return s.count("Accepted publickey ", "Accepted password ")
}

// Failed returns how many attempts to log in sshd has refused since Start.
func (s *Server) Failed() int { return s.count("Failed publickey ", "Failed password ") }

// Connections returns how many connections were made to the server since Start.
func (s *Server) Connections() int {
	if s.kind != OpenSSH {
		_, connection := s.kind.said()
		return strings.Count(s.Log(), connection)
	}
	return s.count("Connection from ")
}

// count returns how many lines of the log begin with one of the prefixes.
func (s *Server) count(prefixes ...string) int {
	n := 0
	for line := range strings.Lines(s.Log()) {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			n++
		}
	}
	return n
}

// Processes lists the living processes that logins of this server have started, each as its
// PID and command line.
func (s *Server) Processes() []string {
	var list []string
	for _, p := range processes() {
		if !s.isDaemon(p) && p.has(s.mark) {
			list = append(list, fmt.Sprintf("%d %s", p.pid, p.command()))
		}
	}
	return list
}

// KillProcesses kills those of Processes.
func (s *Server) KillProcesses() {
	s.t.Helper()
	for _, p := range processes() {
		if !s.isDaemon(p) && p.has(s.mark) {
			s.signal(p, syscall.SIGKILL)
		}
	}
}

// AwaitNoProcesses fails the test if Processes does not become empty soon.
func (s *Server) AwaitNoProcesses() {
	s.t.Helper()
	var left []string
	if !soon(func() bool { left = s.Processes(); return len(left) == 0 }) {
		s.t.Errorf("left on the host: %q", left)
	}
}

// daemons returns the server's own processes, parents before their children; those that have
// ended are left out.
func (s *Server) daemons() []process {
	all := processes()
	var list []process
	for _, p := range all {
		if p.pid == s.cmd.Process.Pid {
			list = append(list, p)
		}
	}
	for i := 0; i < len(list); i++ {
		for _, p := range all {
			if p.parent == list[i].pid && s.isDaemon(p) {
				list = append(list, p)
			}
		}
	}
	return list
}

func (s *Server) cleanup() {
	s.Stop()
	for _, p := range processes() {
		if p.has(s.mark) {
			syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
	if s.t.Failed() {
		s.t.Logf("log of %v:\n%s", s.kind, s.Log())
	}
}

// Await asks ok again and again until it says yes, and fails the test when its patience ends.
// It must be called by the test's own goroutine.
func Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !soon(ok) {
		t.Fatalf("waited %v in vain for %s", Patience, what)
	}
}

// soon asks ok again and again until it says yes, or Patience ends. It returns its last answer.
func soon(ok func() bool) bool {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(Patience); ; <-again.C {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// process is a line of the process table. Zombies are left out of it.
type process struct {
	pid, parent int
	state       byte // as proc(5) names it: 'R' running, 'S' sleeping, 'T' stopped, …
	comm        string
}

// processes reads the process table from /proc.
func processes() []process {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var list []process
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // ended meanwhile
		}
		if p, ok := parseStat(stat); ok {
			list = append(list, p)
		}
	}
	return list
}

// parseStat reads "pid (comm) state ppid …"; comm may hold spaces and parentheses.
func parseStat(stat []byte) (process, bool) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 1 || end < open {
		return process{}, false
	}
	rest := strings.Fields(string(stat[end+1:]))
	if len(rest) < 2 || rest[0] == "Z" || rest[0] == "X" {
		return process{}, false
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(string(stat[:open])))
	parent, err2 := strconv.Atoi(rest[1])
	return process{pid: pid, parent: parent, state: rest[0][0], comm: string(stat[open+1 : end])}, err1 == nil && err2 == nil
}

// has reports whether the process has this entry in its environment.
func (p process) has(entry string) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
	if err != nil {
		return false
	}
	return slices.Contains(strings.Split(string(env), "\x00"), entry)
}

func (p process) command() string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " "))
}
