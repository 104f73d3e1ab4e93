package sshmux

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// probed returns the steps of a probe as text, and the last one.
func probed(t *testing.T, m *Mux, target Target) (string, Step) {
	t.Helper()
	steps := m.Probe(within(t, time.Minute), target)
	var names []string
	for _, s := range steps {
		names = append(names, s.Name)
		if s.Took <= 0 {
			t.Errorf("step %s took %v", s.Name, s.Took)
		}
	}
	return strings.Join(names, " "), steps[len(steps)-1]
}

func TestProbe(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	_, port, _ := net.SplitHostPort(target.Addr)
	target.Addr, target.HostKeyAlias = "localhost:"+port, "web"
	target.KnownHosts = []string{writeKnown(t, "web "+sshdtest.AuthorizedKey(server.HostKey))}
	other, text := sshdtest.NewKey(t)
	file := filepath.Join(t.TempDir(), "other")
	server2 := other.PublicKey()
	writeKey(t, file, text)
	target.IdentityFiles = append([]string{file}, target.IdentityFiles...)
	steps := m.Probe(within(t, time.Minute), target)
	want := map[string]string{
		"resolve": "127.0.0.1", "dial": "127.0.0.1:" + port, "banner": "SSH-2.0-OpenSSH", "kex": "ssh-ed25519", "ping": "5 round trips, from ",
		"profile": "the login prints nothing of its own", "clock": "as Alf's", "sessions": "10 at a time, or more; Alf uses up to 5",
		"hostkey": server.Fingerprint + ", known from " + target.KnownHosts[0] + ":1",
		"auth":    "publickey " + fingerprint(server.Signer.PublicKey()), "exec": "login shell /",
	}
	for _, s := range steps {
		if said, ok := want[s.Name]; !ok || !strings.Contains(s.Said, said) || s.Err != nil || s.Took <= 0 {
			t.Errorf("step %+v, want %q", s, said)
		}
		delete(want, s.Name)
	}
	if len(want) > 0 || !strings.Contains(steps[2].Said, "SSH-2.0") {
		t.Errorf("Probe() = %+v, missing %v", steps, want)
	}
	if strings.Contains(steps[5].Said, fingerprint(server2)) {
		t.Errorf("auth says %q: that key was refused", steps[5].Said)
	}
	if server.Accepted() != 1 {
		t.Errorf("%d logins, want 1", server.Accepted())
	}
}

// anew returns a Target for another sshd.
func anew(t *testing.T) Target { return target(sshdtest.Start(t, sshdtest.Options{})) }

func TestProbeFails(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	f := func(target Target, want string, k Kind, said string) {
		t.Helper()
		names, last := probed(t, m, target)
		if last.Err == nil || names != want || last.Err.Kind != k || !strings.Contains(last.Said, said) {
			t.Errorf("Probe() = %q, %+v, want %q, %v, %q", names, last, want, k, said)
		}
	}
	stranger := target
	_, text := sshdtest.NewKey(t)
	stranger.IdentityFiles = []string{filepath.Join(t.TempDir(), "key")}
	writeKey(t, stranger.IdentityFiles[0], text)
	f(stranger, "dial banner kex hostkey auth", Auth, "the host allows publickey; it refused publickey with ssh-ed25519 SHA256:")
	target = anew(t) // one more refused login and the host is spared
	unknown := target
	unknown.KnownHosts = []string{filepath.Join(t.TempDir(), "missing")}
	f(unknown, "dial banner kex hostkey", HostKey, "ssh-ed25519 SHA256:")
	nowhere := target
	nowhere.Addr = "host.invalid:22"
	f(nowhere, "resolve", Transport, "")
	behind := target
	jump := anew(t)
	jump.IdentityFiles = stranger.IdentityFiles
	behind.Via = &jump
	f(behind, "bastion", Auth, "")
	target.Addr = "127.0.0.1:1"
	f(target, "dial", Transport, "")
}

// TestProbeSessions: it finds what sshd is set to, leaves no session and no process, and runs
// beside the link's own commands.
func TestProbeSessions(t *testing.T) {
	t.Parallel()
	f := func(allowed, most int, want string) {
		t.Helper()
		m, target, server := start(t, sshdtest.Options{MaxSessions: allowed})
		target.MaxSessions = most
		began := make(chan bool)
		ctx, stop := context.WithCancel(within(t, time.Minute))
		ended := make(chan error)
		go func() {
			_, err := m.Run(ctx, target, Command{Shell: "echo begun; sleep 60", Stdout: writerFunc(func([]byte) { close(began) })})
			ended <- err
		}()
		<-began
		steps := m.Probe(within(t, time.Minute), target)
		if last := steps[len(steps)-2]; last.Name != "sessions" || last.Err != nil || last.Said != want {
			t.Errorf("MaxSessions %d: %+v, want %q", allowed, last, want)
		}
		select {
		case err := <-ended:
			t.Errorf("MaxSessions %d: the command of the link ended: %v", allowed, err)
		default:
		}
		stop()
		<-ended
		server.AwaitNoProcesses()
		if n := server.Accepted(); n != 2 && allowed > 1 { // where there is one session, a kill needs another connection
			t.Errorf("MaxSessions %d: %d logins, want 2", allowed, n)
		}
	}
	f(1, 5, "1 at a time, no more; Alf uses 1")
	f(4, 5, "4 at a time, no more; Alf uses 2")
	f(8, 5, "8 at a time, no more; Alf uses 5")
	f(10, 8, "10 at a time, or more; Alf uses up to 8")
}

// writerFunc is a Writer that never fails.
type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

// TestProbeProfile: what the login prints by itself is told, and where.
func TestProbeProfile(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{Shell: "/bin/bash", Profile: "echo 'Welcome to \x1b[31mweb1'; echo 'quota exceeded' >&2", Config: []string{"Banner " + writeKnown(t, "keep out")}})
	said := make(map[string]string)
	for _, s := range m.Probe(within(t, time.Minute), target) {
		if s.Err != nil {
			t.Errorf("%s: %v", s.Name, s.Err)
		}
		said[s.Name] = s.Said
	}
	for name, want := range map[string]string{
		"auth":    `it says "keep out"`,
		"exec":    "login shell /bin/bash, /bin/sh is ",
		"profile": `the login prints "Welcome to [31mweb1" before each command, which Alf drops; the login prints "quota exceeded" on standard error, which Alf cannot tell from the command's`,
	} {
		if !strings.Contains(said[name], want) {
			t.Errorf("%s says %q, want %q", name, said[name], want)
		}
	}
}

func TestProbeClock(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_800_000_000, 300_000_000)
	exit := Exit{Started: began, Ended: began.Add(400 * time.Millisecond)}
	f := func(told, want string) {
		t.Helper()
		if got, ok := clock(told, exit); got != want || ok != (want != "") {
			t.Errorf("clock(%q) = %q, %v, want %q", told, got, ok, want)
		}
	}
	const same = "as Alf's, to within a second or two"
	f("1800000000", same)
	f("1800000001", "1s ahead of Alf's")
	f("1799999999", "1s behind Alf's")
	f("1800003600", "1h0m0s ahead of Alf's")
	f("1799996400", "1h0m0s behind Alf's")
	f("+%s", "")
	f("", "")
}

// TestProbeThroughBastion: a probe goes the way of the commands.
func TestProbeThroughBastion(t *testing.T) {
	t.Parallel()
	m, target, _ := start(t, sshdtest.Options{})
	bastion := sshdtest.Start(t, sshdtest.Options{})
	target.Via = &Target{Name: "jump1", Addr: bastion.Addr, User: bastion.User, IdentityFiles: []string{bastion.ClientKey}, KnownHosts: []string{bastion.KnownHosts}}
	if names, last := probed(t, m, target); names != "bastion dial banner kex hostkey auth exec profile clock sessions ping" || last.Err != nil {
		t.Errorf("Probe() = %q, %+v", names, last)
	}
}

func writeKey(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
