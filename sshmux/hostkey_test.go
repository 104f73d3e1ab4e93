package sshmux

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
)

// untrusted runs a command that must fail because of the host's key.
func untrusted(t *testing.T, m *Mux, target Target) *HostKeyError {
	t.Helper()
	_, err := m.Run(within(t, time.Minute), target, Command{Shell: "true"})
	kind(t, err, HostKey, PhaseHostKey)
	e, ok := errors.AsType[*HostKeyError](err)
	if !ok {
		t.Fatalf("err = %v, want a *HostKeyError", err)
	}
	return e
}

func TestUnknownHostKey(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	target.KnownHosts = []string{filepath.Join(t.TempDir(), "missing"), filepath.Join(t.TempDir(), "missing")}
	e := untrusted(t, m, target)
	if want := "ssh-ed25519 " + server.Fingerprint; e.Fingerprint != want || len(e.Known) > 0 || e.File != target.KnownHosts[0] || !strings.Contains(e.Error(), want) {
		t.Errorf("err = %+v, want the fingerprint %q", e, want)
	}
	if server.Failed() != 0 || strings.Contains(server.Log(), "Postponed") {
		t.Error("a key was offered to a host that is not known")
	}
	// Doing what the error says helps.
	if err := os.WriteFile(e.File, []byte(e.Line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sh(t, newMux(t, Options{}), target, "true")
}

func TestChangedHostKey(t *testing.T) {
	t.Parallel()
	for _, policy := range []HostKeyPolicy{Strict, AcceptNew} {
		m, target, server := start(t, sshdtest.Options{})
		target.HostKeyPolicy = policy
		sh(t, m, target, "true")
		old := server.Fingerprint
		server.ReplaceHostKey()
		server.Restart()
		e := untrusted(t, m, target)
		if text := e.Error(); !strings.Contains(text, old) || !strings.Contains(text, server.Fingerprint) || !strings.Contains(text, target.KnownHosts[0]+":1") {
			t.Errorf("err = %v, want both fingerprints and the file", e)
		}
	}
}

func TestRevokedHostKey(t *testing.T) {
	t.Parallel()
	for _, policy := range []HostKeyPolicy{Strict, AcceptNew} {
		m, target, server := start(t, sshdtest.Options{})
		target.HostKeyPolicy = policy
		target.KnownHosts = []string{filepath.Join(t.TempDir(), "known_hosts")}
		if err := os.WriteFile(target.KnownHosts[0], []byte("@revoked * "+sshdtest.AuthorizedKey(server.HostKey)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if e := untrusted(t, m, target); !e.Revoked {
			t.Errorf("err = %+v, want Revoked", e)
		}
	}
}

func TestAcceptNewHostKey(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	file := filepath.Join(t.TempDir(), "new", "known_hosts")
	target.KnownHosts, target.HostKeyPolicy = []string{file}, AcceptNew
	var wg sync.WaitGroup
	for i := range 4 { // the same host by four names, at once
		wg.Go(func() {
			target := target
			target.Name = fmt.Sprint("web", i)
			sh(t, m, target, "true")
		})
	}
	wg.Wait()
	sh(t, m, target, "true")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The address is known after the first.
	if n := strings.Count(string(b), "\n"); n != 1 || !strings.Contains(string(b), fmt.Sprintf("[127.0.0.1]:%d ", server.Port)) {
		t.Errorf("known_hosts = %q, want one line", b)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, want 0600", info.Mode())
	}
	target.HostKeyPolicy = Strict
	sh(t, newMux(t, Options{}), target, "true")
}

func TestAcceptWhereTheLastLineIsOpen(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte("other "+sshdtest.AuthorizedKey(server.HostKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	target.KnownHosts, target.HostKeyPolicy = []string{file}, AcceptNew
	sh(t, m, target, "true")
	if b, _ := os.ReadFile(file); strings.Count(string(b), "\n") != 2 {
		t.Errorf("known_hosts = %q, want two lines", b)
	}
}

func TestBadKnownHostsLine(t *testing.T) {
	m, target, _ := start(t, sshdtest.Options{})
	target.KnownHosts = []string{filepath.Join(t.TempDir(), "known_hosts")}
	if err := os.WriteFile(target.KnownHosts[0], []byte("# fine\nweb1 ssh-ed25519 nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := m.Run(t.Context(), target, Command{Shell: "true"})
	if kind(t, err, Config, PhaseHostKey); !strings.Contains(err.Error(), target.KnownHosts[0]+":2") {
		t.Errorf("err = %v, want the file and line", err)
	}
}

// trusted looks up what is known about a target.
func trusted(t testing.TB, h *hostKeys, target Target) *trust {
	t.Helper()
	known, err := h.trust(&target)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// A host is known by the name that people call it, or else by its address; with a hash, too.
func TestHostKeyNames(t *testing.T) {
	signer, _ := sshdtest.NewKey(t)
	other, _ := sshdtest.NewKey(t)
	key, wrong := sshdtest.AuthorizedKey(signer.PublicKey()), sshdtest.AuthorizedKey(other.PublicKey())
	f := func(addr, lines string, ok bool) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(file, []byte(lines+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		known := trusted(t, new(hostKeys), Target{Name: "web1", Addr: addr, KnownHosts: []string{file}})
		if err := known.check(signer.PublicKey()); (err == nil) != ok {
			t.Errorf("check(%s, %q) = %v, want ok = %v", addr, lines, err, ok)
		}
	}
	f("10.0.0.7:22", "web1 "+key, true)
	f("10.0.0.7:22", "10.0.0.7 "+key, true)
	f("10.0.0.7:22", "web1,10.0.0.7 "+key, true)
	f("10.0.0.7:22", "web1 "+wrong+"\n10.0.0.7 "+key, false)
	f("10.0.0.7:22", "web1 "+key+"\n10.0.0.7 "+wrong, true)
	f("10.0.0.7:22", "web1 "+wrong+"\nweb1 "+key, true)
	f("10.0.0.7:22", "[web1]:2222 "+key, false)
	f("10.0.0.7:2222", "[web1]:2222 "+key, true)
	f("10.0.0.7:2222", "[10.0.0.7]:2222 "+key, true)
	f("[fe80::1]:22", "fe80::1 "+key, true)
	f("10.0.0.7:22", "web* "+key, true)
	f("10.0.0.7:22", "", false)
}

// A host that has keys of several types is asked for one that is known.
func TestHostKnownByAnotherType(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	h, target := newHost(t)
	rsaLine := "web1 " + sshdtest.AuthorizedKey(signer.PublicKey()) + "\n"
	if err := os.WriteFile(target.KnownHosts[0], []byte(rsaLine), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = newMux(t, Options{Dial: h.Dial}).Run(within(t, time.Minute), target, Command{Shell: "true"})
	if kind(t, err, HostKey, PhaseHostKey); !strings.Contains(err.Error(), "ssh-ed25519") {
		t.Errorf("err = %v, want the types of keys", err)
	}
	h.config.AddHostKey(signer)
	if _, err := newMux(t, Options{Dial: h.Dial}).Run(within(t, time.Minute), target, Command{Shell: "true"}); err != nil {
		t.Error(err)
	}
}

// Ten thousand new hosts must not mean reading the file ten thousand times.
func TestAcceptDoesNotReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	signer, _ := sshdtest.NewKey(t)
	other, _ := sshdtest.NewKey(t)
	var h hostKeys
	var first *knownHosts
	for i := range 100 {
		target := Target{Name: fmt.Sprint("host", i), Addr: net.JoinHostPort(fmt.Sprint("10.0.0.", i), "22"), KnownHosts: []string{file}}
		known, late := trusted(t, &h, target), trusted(t, &h, target)
		if added, err := known.accept(signer.PublicKey()); err != nil || !added {
			t.Fatalf("accept = %v, %v", added, err)
		}
		if err := trusted(t, &h, target).check(signer.PublicKey()); err != nil {
			t.Fatal(err)
		}
		if added, err := late.accept(other.PublicKey()); err == nil || added {
			t.Fatalf("accept of another key = %v, %v", added, err)
		}
		if first == nil {
			first = known.db
		}
		if known.db != first {
			t.Fatal("the file was read again")
		}
	}
	known := trusted(t, new(hostKeys), Target{Addr: "10.0.0.50:22", KnownHosts: []string{file}})
	if err := known.check(signer.PublicKey()); err != nil {
		t.Error(err)
	}
}
