package sshmux

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// A password is taken by a real sshd by either method, and by the system's PAM.
func TestPasswordOfRealAccount(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("an account with a password needs root")
	}
	f := func(name, allowed string, lines ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, target, server := start(t, sshdtest.Options{
				Shell: "/bin/sh", Password: "hunter2", Config: append(lines, "PubkeyAuthentication no", "LogLevel VERBOSE"),
			})
			target.IdentityFiles, target.Password = nil, "hunter2"
			if got := sh(t, m, target.Seal(), "id -un"); got != server.User+"\n" {
				t.Errorf("output = %q, want %s", got, server.User)
			}
			if log := server.Log(); !strings.Contains(log, "Accepted "+allowed+" for "+server.User) || strings.Contains(log, "hunter2") {
				t.Errorf("sshd's log does not have %q: %s", "Accepted "+allowed, log)
			}
			target.Password = "hunter3"
			_, err := m.Run(within(t, time.Minute), target, Command{Shell: "true"})
			if e := kind(t, err, Auth, PhaseAuth); strings.Contains(e.Error(), "hunter") || !strings.Contains(e.Error(), server.User) {
				t.Errorf("err = %v, want one that names the account and no password", e)
			}
		})
	}
	f("password", "password", "UsePAM no", "PasswordAuthentication yes")
	f("password by PAM", "password", "UsePAM yes", "PasswordAuthentication yes")
	f("keyboard-interactive", "keyboard-interactive/pam", "UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes")
}

// The agent is dialled for each login: one that was started again on the same socket, with
// another key, is asked as it is by then.
func TestAgentThatIsStartedAgain(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh-agent"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ssh-agent is missing: install the package openssh-client")
		}
		t.Skip("ssh-agent is missing: install the package openssh-client")
	}
	m, target, server := start(t, sshdtest.Options{})
	dir, err := os.MkdirTemp("", "alf-agent") // the name of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent")
	run := func(keys ...string) (stop func()) {
		t.Helper()
		agent := exec.Command("ssh-agent", "-D", "-a", socket)
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		sshdtest.Await(t, "ssh-agent", func() bool { _, err := os.Stat(socket); return err == nil })
		for _, key := range keys {
			add := exec.Command("ssh-add", "-q", key)
			add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
			if out, err := add.CombinedOutput(); err != nil {
				t.Errorf("ssh-add: %v: %s", err, out)
			}
		}
		return func() {
			agent.Process.Kill()
			agent.Wait()
			os.Remove(socket)
		}
	}
	target.IdentityFiles, target.Agent, target.AgentSocket = nil, true, socket
	other := filepath.Join(t.TempDir(), "other")
	_, text := sshdtest.NewKey(t)
	writeKey(t, other, text)

	stop := run(server.ClientKey)
	sh(t, m, target, "true")
	stop()
	sh(t, m, target, "true") // the connection does not need it
	server.Restart()
	sshdtest.Await(t, "the end of the connection", func() bool { return m.Stats().States[Up] == 0 })
	stop = run(other, server.ClientKey)
	defer stop()
	sh(t, m, target, "true")
	if got := server.Accepted(); got != 2 {
		t.Errorf("sshd accepted %d logins, want 2", got)
	}
}
