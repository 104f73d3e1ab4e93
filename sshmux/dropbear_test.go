package sshmux

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
)

// dropbear runs a dropbear on loopback, with an account of its own, and returns the target.
func dropbear(t *testing.T) Target {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("an account of its own needs root")
	}
	if _, err := exec.LookPath("dropbear"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("dropbear is missing: install the package dropbear-bin")
		}
		t.Skip("dropbear is missing: install the package dropbear-bin")
	}
	const account = "alf-test-dropbear"
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
		return string(out)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	exec.Command("userdel", "--force", account).Run() // of a test that was killed
	run("useradd", "--system", "--create-home", "--home-dir", file("home"), "--shell", "/bin/sh", "--password", "*", account)
	t.Cleanup(func() { exec.Command("userdel", "--force", account).Run() })
	t.Cleanup(func() { exec.Command("pkill", "-KILL", "-u", account).Run() })

	signer, text := sshdtest.NewKey(t)
	for name, text := range map[string]string{
		"key":                       text,
		"home/.ssh/authorized_keys": string(ssh.MarshalAuthorizedKey(signer.PublicKey())),
	} {
		os.MkdirAll(filepath.Dir(file(name)), 0o700)
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("chown", "-R", account, file("home"))
	run("dropbearkey", "-t", "ed25519", "-f", file("host"))
	_, public, _ := strings.Cut(run("dropbearkey", "-y", "-f", file("host")), "\nssh-ed25519 ")
	public, _, _ = strings.Cut(public, "\n")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	var log bytes.Buffer
	cmd := exec.Command("dropbear", "-F", "-E", "-r", file("host"), "-p", addr)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("dropbear's log:\n%s", &log)
		}
	})
	sshdtest.Await(t, "dropbear to listen", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	_, port, _ := net.SplitHostPort(addr)
	known := fmt.Sprintf("[127.0.0.1]:%s ssh-ed25519 %s\n", port, public)
	if err := os.WriteFile(file("known_hosts"), []byte(known), 0o600); err != nil {
		t.Fatal(err)
	}
	return Target{Name: "web1", Addr: addr, User: account, IdentityFiles: []string{file("key")}, KnownHosts: []string{file("known_hosts")}}
}

// dropbear gives commands no process group of their own: an empty one proves nothing there.
func TestTimeoutOnDropbear(t *testing.T) {
	t.Parallel()
	target := dropbear(t)
	m := newMux(t, Options{})
	sh(t, m, target, "true")
	for _, line := range endless {
		exit, err := m.Run(t.Context(), target, Command{Shell: line, Timeout: 300 * time.Millisecond})
		if kind(t, err, Timeout, PhaseOutput); exit.Orphan {
			t.Errorf("%s: %v", line, err)
		}
		out, _ := exec.Command("ps", "-u", target.User, "-o", "stat=", "-o", "args=").Output()
		for left := range strings.Lines(string(out)) {
			if !strings.HasPrefix(left, "Z") && !strings.Contains(left, "dropbear -F") {
				t.Errorf("%s: left on the host: %q", line, left)
			}
		}
	}
	if s := m.Stats(); s.Orphans != 0 || s.InUse != 0 || s.Dials != 1 {
		t.Errorf("Stats() = %+v, want no orphans and no slot in use", s)
	}
}
