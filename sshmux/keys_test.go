package sshmux

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// authority is who signs certificates.
type authority struct {
	t   *testing.T
	dir string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{t, t.TempDir()}
	if err := os.Chmod(filepath.Dir(a.dir), 0o711); err != nil {
		t.Fatal(err)
	}
	a.keygen("-q", "-t", "ed25519", "-N", "", "-f", "ca")
	return a
}

// keygen runs ssh-keygen in the authority's folder.
func (a authority) keygen(args ...string) {
	a.t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir = a.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		a.t.Fatalf("ssh-keygen %q: %v\n%s", args, err, out)
	}
}

// key makes a key, and a certificate beside it with these further arguments.
func (a authority) key(name string, args ...string) (file string) {
	a.t.Helper()
	a.keygen("-q", "-t", "ed25519", "-N", "", "-f", name)
	if args != nil {
		a.keygen(append(append([]string{"-q", "-s", "ca", "-I", name}, args...), name+".pub")...)
	}
	return filepath.Join(a.dir, name)
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	server := sshdtest.Start(t, sshdtest.Options{AuthorizedKeys: []string{}, Config: []string{"TrustedUserCAKeys " + filepath.Join(a.dir, "ca.pub")}})
	f := func(change func(*Target), says string) {
		t.Helper()
		m := newMux(t, Options{})
		target := target(server)
		target.IdentityFiles = nil
		change(&target)
		_, err := m.Run(within(t, time.Minute), target, Command{Shell: "true"})
		if says == "" {
			if err != nil {
				t.Error(err)
			}
			return
		}
		if kind(t, err, Auth, PhaseAuth); !strings.Contains(err.Error(), says) {
			t.Errorf("err = %v, want one with %q", err, says)
		}
	}
	good := a.key("good", "-n", server.User)
	f(func(t *Target) { t.IdentityFiles = []string{good} }, "")

	elsewhere := a.key("elsewhere", "-n", "nobody,"+server.User)
	if err := os.Rename(elsewhere+"-cert.pub", filepath.Join(a.dir, "other.pub")); err != nil {
		t.Fatal(err)
	}
	f(func(t *Target) { t.IdentityFiles = []string{elsewhere} }, "login as "+server.User+" refused")
	f(func(t *Target) {
		t.IdentityFiles, t.CertificateFiles = []string{elsewhere}, []string{filepath.Join(a.dir, "other.pub")}
	}, "")
	f(func(t *Target) {
		t.IdentityFiles, t.CertificateFiles = []string{elsewhere}, []string{good + "-cert.pub"}
	}, "certificate "+good+"-cert.pub: there is no key for it")

	stranger := a.key("stranger", "-n", "nobody")
	f(func(t *Target) { t.IdentityFiles = []string{stranger} }, `its principals are ["nobody"], and "`+server.User+`" is none of them`)
	old := a.key("old", "-n", server.User, "-V", "20200101:20200201")
	f(func(t *Target) { t.IdentityFiles = []string{old} }, "certificate "+old+"-cert.pub: it has expired at 2020-02-01 ")
	early := a.key("early", "-n", server.User, "-V", "+1d:+2d")
	f(func(t *Target) { t.IdentityFiles = []string{early} }, "it is not valid before 20")
	hosts := a.key("hosts", "-h", "-n", server.User)
	f(func(t *Target) { t.IdentityFiles = []string{hosts} }, "it is a host's, and not a user's")

	// The agent has the key, and a file its certificate.
	ring := agent.NewKeyring()
	socket := agentOf(t, ring)
	f(func(t *Target) {
		t.Agent, t.AgentSocket, t.IdentityFiles, t.CertificateFiles = true, socket, []string{old}, []string{good + "-cert.pub"}
	}, "there is no key for it")
	raw := rawKey(t, good)
	if err := ring.Add(agent.AddedKey{PrivateKey: raw}); err != nil { // the agent is asked anew for each login
		t.Fatal(err)
	}
	f(func(t *Target) {
		t.Agent, t.AgentSocket, t.CertificateFiles = true, socket, []string{good + "-cert.pub"}
	}, "")
}

// An encrypted key is opened with its passphrase, and once for all.
func TestPassphrase(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	file := filepath.Join(t.TempDir(), "key")
	text, err := os.ReadFile(server.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-p", "-a", "8", "-N", "open sesame", "-P", "", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	target.IdentityFiles, target.Passphrase = []string{file}, "open sesame"
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		wg.Go(func() { sh(t, m, called(target, name), "true") })
	}
	wg.Wait()
	one, err1 := m.keys.read(file, "open sesame")
	two, err2 := m.keys.read(file, "open sesame")
	if err1 != nil || err2 != nil || one != two {
		t.Errorf("the key is decrypted again: %v, %v", err1, err2)
	}

	wrong := target
	wrong.Passphrase = "open barley"
	_, err = m.Run(t.Context(), wrong, Command{Shell: "true"})
	kind(t, err, Config, PhaseAuth)
	if !strings.Contains(err.Error(), "identity file "+file+": the passphrase is wrong") || strings.Contains(err.Error(), "barley") {
		t.Errorf("err = %v", err)
	}
	encrypted, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if right, wrong := CheckKey(encrypted, "open sesame"), CheckKey(encrypted, "x"); right != nil || wrong == nil {
		t.Errorf("CheckKey = %v, %v, want nil and an error", right, wrong)
	}
	target = target.Seal()
	if target.Passphrase != "" || target.Key() == wrong.Key() {
		t.Error("the passphrase is not sealed, or no part of the key")
	}
	sh(t, m, target, "true")
}

// The alias stands in known_hosts for name, address and port.
func TestHostKeyAlias(t *testing.T) {
	m, target, server := start(t, sshdtest.Options{})
	target.HostKeyAlias = "cluster"
	_, err := m.Run(t.Context(), target, Command{Shell: "true"})
	kind(t, err, HostKey, PhaseHostKey)
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte("cluster "+sshdtest.AuthorizedKey(server.HostKey)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target.KnownHosts = []string{known}
	sh(t, m, target, "true")
}

// A key is parsed once for all hosts, but a file that has changed is a new key.
func TestKeyCache(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "id_ed25519")
	var cache keyCache
	read := func() ssh.Signer {
		t.Helper()
		signer, err := cache.read(file, "")
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}
	write := func() ssh.PublicKey {
		t.Helper()
		signer, text := sshdtest.NewKey(t)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return signer.PublicKey()
	}
	first := write()
	got := read()
	if !bytes.Equal(got.PublicKey().Marshal(), first.Marshal()) {
		t.Errorf("read %s, want %s", fingerprint(got.PublicKey()), fingerprint(first))
	}
	if again := read(); again != got {
		t.Error("the same file was parsed twice")
	}
	second := write()
	if got := read(); !bytes.Equal(got.PublicKey().Marshal(), second.Marshal()) {
		t.Errorf("after a change read %s, want %s", fingerprint(got.PublicKey()), fingerprint(second))
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.read(file, ""); err == nil {
		t.Error("a file that is gone was read")
	}
}
