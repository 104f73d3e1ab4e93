package sshdtest

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Kind says which server Start starts.
type Kind string

// The kinds of servers. Of Options, the others than OpenSSH know AuthorizedKeys, KeyOptions,
// NormalUser, Unprivileged and Profile. They take the keys of an account from its home, and so
// the account is made for the length of the test, which needs root.
const (
	OpenSSH  Kind = ""         // sshd
	Dropbear Kind = "dropbear" // the server of small systems
	TinySSH  Kind = "tinyssh"  // one session per connection; a tcpserver listens for it
)

// String returns the name of the server's program.
func (k Kind) String() string {
	switch k {
	case Dropbear:
		return "dropbear"
	case TinySSH:
		return "tinysshd"
	}
	return "sshd"
}

// programs returns what a kind needs: the program, and the Debian package that has it.
func (k Kind) programs() [][2]string {
	switch k {
	case Dropbear:
		return [][2]string{{"dropbear", "dropbear-bin"}, {"dropbearkey", "dropbear-bin"}}
	case TinySSH:
		return [][2]string{{"tcpserver", "ucspi-tcp"}, {"tinysshd", "tinysshd"}, {"tinysshd-makekey", "tinysshd"}}
	}
	return [][2]string{{"sshd", "openssh-server"}}
}

// commands returns what the processes of the server itself are called.
func (k Kind) commands() []string {
	if k == TinySSH {
		return []string{"tcpserver", "tinysshd"}
	}
	return []string{k.String()}
}

// said returns the parts of log lines that tell of a login, and of a connection.
func (k Kind) said() (login, connection string) {
	if k == Dropbear {
		return " Pubkey auth succeeded for ", " Child connection from "
	}
	return " accepted {", " info: connection from "
}

// find returns the path of a program. Without it, it skips the test, or fails it if CI=true.
func find(t testing.TB, name, of string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path // sshd executes itself again and wants an absolute path, which LookPath gives
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install the package %s", name, of)
	}
	t.Skipf("%s is missing: install the package %s", name, of)
	return ""
}

// prepare makes the account and the host key of a server that is not sshd.
func (s *Server) prepare(o Options) {
	s.t.Helper()
	if os.Geteuid() != 0 {
		s.t.Skipf("%v takes the keys of an account from its home, and to make an account needs root", s.kind)
	}
	s.makeAccount(o)
	s.Signer = s.newKey("client_ed25519")
	s.ClientKey = s.path("client_ed25519")
	s.writeHome(o)
	s.makeHostKey()
	s.Fingerprint = ssh.FingerprintSHA256(s.HostKey)
	s.mark = "HOME=" + s.home
	if o.Unprivileged {
		s.credential = s.owner
		s.give(s.dir)
	}
}

// makeAccount makes an account that logs in, normal or another one of root's. Its home is not in
// a folder that everybody may write to, since tinysshd trusts no keys there.
func (s *Server) makeAccount(o Options) {
	s.t.Helper()
	var further []string
	if !o.NormalUser && !o.Unprivileged {
		further = []string{"--non-unique", "--uid", "0"}
	}
	s.User = newAccount(s.t, true, "/bin/sh", further...)
	u, err := user.Lookup(s.User)
	if err != nil {
		s.t.Fatal(err)
	}
	s.home = u.HomeDir
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		s.t.Fatalf("account %s: %v, %v", s.User, err1, err2)
	}
	s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// writeHome writes what the server and the login shell read in the account's home.
func (s *Server) writeHome(o Options) {
	s.t.Helper()
	lines := o.AuthorizedKeys
	if lines == nil {
		lines = []string{strings.TrimSpace(o.KeyOptions + " " + AuthorizedKey(s.Signer.PublicKey()))}
	}
	dir := filepath.Join(s.home, ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for file, text := range map[string]string{
		filepath.Join(dir, "authorized_keys"): strings.Join(lines, "\n") + "\n",
		filepath.Join(s.home, ".bashrc"):      o.Profile,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.give(s.home)
}

// give makes a folder and what is in it the account's.
func (s *Server) give(dir string) {
	s.t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(s.owner.Uid), int(s.owner.Gid))
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// makeHostKey has the server's own program make its key.
func (s *Server) makeHostKey() {
	s.t.Helper()
	if s.kind == TinySSH {
		s.run("tinysshd-makekey", "-q", s.path("keys"))
		raw, err := os.ReadFile(s.path("keys/ed25519.pk"))
		if err != nil {
			s.t.Fatal(err)
		}
		if s.HostKey, err = ssh.NewPublicKey(ed25519.PublicKey(raw)); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	s.run("dropbearkey", "-t", "ed25519", "-f", s.path("host_ed25519"))
	for line := range strings.Lines(s.run("dropbearkey", "-y", "-f", s.path("host_ed25519"))) {
		if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
			s.HostKey = key
		}
	}
	if s.HostKey == nil {
		s.t.Fatal("dropbearkey shows no key")
	}
}

// run runs one of the kind's programs.
func (s *Server) run(name string, args ...string) string {
	s.t.Helper()
	out, err := exec.Command(s.program(name), args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// program returns the path of one of the kind's programs.
func (s *Server) program(name string) string {
	s.t.Helper()
	for _, p := range s.kind.programs() {
		if p[0] == name {
			return find(s.t, p[0], p[1])
		}
	}
	s.t.Fatalf("%s is no program of %v", name, s.kind)
	return ""
}

// daemon returns what starts the server. It does not go into the background.
func (s *Server) daemon() *exec.Cmd {
	s.t.Helper()
	var cmd *exec.Cmd
	switch s.kind {
	case Dropbear:
		cmd = exec.Command(s.program("dropbear"), "-F", "-E", "-s", "-r", s.path("host_ed25519"), "-p", s.Addr, "-P", s.path("pid"))
	case TinySSH:
		cmd = exec.Command(s.program("tcpserver"), "-HRDl0", "-c", "100", "127.0.0.1", strconv.Itoa(s.Port), s.program("tinysshd"), "-v", s.path("keys"))
	default:
		return exec.Command(s.program("sshd"), "-D", "-e", "-f", s.path("sshd_config"))
	}
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.Dir = "/"
	// In a group of its own, so that a test that signals the group of a command cannot be hit.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.credential}
	return cmd
}

// listens reports whether the server takes connections, as it says itself or as the kernel does.
func (s *Server) listens(before int) bool {
	if s.kind == OpenSSH {
		return strings.Count(s.Log(), listening) > before
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		s.t.Error(err)
	}
	want := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32([]byte{127, 0, 0, 1}), s.Port)
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == want && f[3] == "0A" {
			return true
		}
	}
	return false
}

// isDaemon reports whether a process is called as one of the server's own is.
func (s *Server) isDaemon(p process) bool { return slices.Contains(s.kind.commands(), p.comm) }
