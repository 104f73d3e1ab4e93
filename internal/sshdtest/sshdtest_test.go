package sshdtest

import (
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// dial logs in the way a client does.
func dial(t *testing.T, s *Server) *ssh.Client {
	t.Helper()
	c, err := ssh.Dial("tcp", s.Addr, &ssh.ClientConfig{
		User:            s.User,
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(s.Signer)},
		HostKeyCallback: ssh.FixedHostKey(s.HostKey),
		Timeout:         Patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func output(t *testing.T, c *ssh.Client, command string) string {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Output(command)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSpace(string(out))
}

func TestServer(t *testing.T) {
	for _, o := range []Options{{}, {NormalUser: true}} {
		s := Start(t, o)
		if got := output(t, dial(t, s), "id -un"); got != s.User {
			t.Errorf("id -un = %q, want %q", got, s.User)
		}
		if got := s.Accepted(); got != 1 {
			t.Errorf("Accepted() = %d, want 1", got)
		}
		s.Restart()
		dial(t, s)
		if got := s.Accepted(); got != 2 {
			t.Errorf("Accepted() after Restart = %d, want 2", got)
		}
	}
}

func TestServerAgreesWithOpenSSH(t *testing.T) {
	s := Start(t, Options{})
	_, port, _ := net.SplitHostPort(s.Addr)
	cmd := exec.Command("ssh", "-F", "none", "-i", s.ClientKey, "-p", port, "-o", "UserKnownHostsFile="+s.KnownHosts,
		"-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", s.User+"@127.0.0.1", "echo hello")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "hello\n" {
		t.Errorf("ssh = %q, %v, want %q", out, err, "hello\n")
	}
}

func TestProcessesOutliveStop(t *testing.T) {
	s := Start(t, Options{})
	session, err := dial(t, s).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("exec sleep 300"); err != nil {
		t.Fatal(err)
	}
	Await(t, "the command", func() bool { return len(s.Processes()) == 1 })
	s.Stop()
	left := s.Processes()
	if len(left) != 1 || !strings.Contains(left[0], "sleep 300") {
		t.Errorf("Processes() after Stop = %q, want sleep 300", left)
	}
	s.cleanup()
	s.AwaitNoProcesses()
}

func TestPause(t *testing.T) {
	s := Start(t, Options{})
	c := dial(t, s)
	s.Pause()
	answer := make(chan error, 1)
	go func() {
		_, _, err := c.SendRequest("keepalive@openssh.com", true, nil)
		answer <- err
	}()
	select {
	case err := <-answer:
		t.Fatalf("a paused server answered (%v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	s.Resume()
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

func TestStopEndsLogins(t *testing.T) {
	s := Start(t, Options{})
	c := dial(t, s)
	daemons := s.daemons()
	if len(daemons) < 2 {
		t.Fatalf("daemons() = %v, want the listener and a login", daemons)
	}
	s.Stop()
	c.Wait()
	for _, d := range daemons {
		Await(t, "sshd to end", func() bool {
			return !slices.ContainsFunc(processes(), func(p process) bool { return p.pid == d.pid })
		})
	}
}
