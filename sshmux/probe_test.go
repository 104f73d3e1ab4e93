package sshmux

import (
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
	steps := m.Probe(within(t, 20*time.Second), target)
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
	m, target, server := start(t, sshdtest.Options{})
	_, port, _ := net.SplitHostPort(target.Addr)
	target.Addr, target.HostKeyAlias = "localhost:"+port, "web"
	target.KnownHosts = []string{writeKnown(t, "web "+sshdtest.AuthorizedKey(server.HostKey))}
	other, text := sshdtest.NewKey(t)
	file := filepath.Join(t.TempDir(), "other")
	server2 := other.PublicKey()
	writeKey(t, file, text)
	target.IdentityFiles = append([]string{file}, target.IdentityFiles...)
	steps := m.Probe(within(t, 20*time.Second), target)
	want := map[string]string{
		"resolve": "127.0.0.1", "dial": "127.0.0.1:" + port, "banner": "SSH-2.0-OpenSSH", "kex": "ssh-ed25519", "ping": "",
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
	f(stranger, "dial banner kex hostkey auth", Auth, "the host allows publickey")
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

// TestProbeThroughBastion: a probe goes the way of the commands.
func TestProbeThroughBastion(t *testing.T) {
	m, target, _ := start(t, sshdtest.Options{})
	bastion := sshdtest.Start(t, sshdtest.Options{})
	target.Via = &Target{Name: "jump1", Addr: bastion.Addr, User: bastion.User, IdentityFiles: []string{bastion.ClientKey}, KnownHosts: []string{bastion.KnownHosts}}
	if names, last := probed(t, m, target); names != "bastion dial banner kex hostkey auth ping exec" || last.Err != nil {
		t.Errorf("Probe() = %q, %+v", names, last)
	}
}

func writeKey(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
