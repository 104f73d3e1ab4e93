package sshmux

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// textOf returns what stands in a file.
func textOf(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// shown has the host show its key.
func shown(t *testing.T, m *Mux, target Target) *Shown {
	t.Helper()
	s, err := m.HostKey(within(t, time.Minute), target)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTrust(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	if s := shown(t, m, target); s.Problem != nil || s.New() {
		t.Errorf("a known key: %v", s.Problem)
	}
	file := filepath.Join(t.TempDir(), "new", "known_hosts")
	target.KnownHosts = []string{file}
	s := shown(t, m, target)
	if !s.New() || s.Fingerprint != server.Fingerprint || s.Type != "ssh-ed25519" {
		t.Fatalf("HostKey() = %+v, want a new %s", s, server.Fingerprint)
	}
	if err := s.Trust(); err != nil {
		t.Fatal(err)
	}
	if err := s.Trust(); err != nil || strings.Count(textOf(t, file), "\n") != 1 {
		t.Errorf("Trust() again = %v, file %q", err, textOf(t, file))
	}
	if server.Accepted()+server.Failed() != 0 || strings.Contains(server.Log(), "Postponed") {
		t.Error("somebody logged in to see a key")
	}
	sh(t, m, target, "true")
	server.ReplaceHostKey()
	server.Restart()
	s = shown(t, m, target)
	before := textOf(t, file)
	if err := s.Trust(); s.New() || s.Problem == nil || err == nil || textOf(t, file) != before {
		t.Errorf("Trust() of a changed key = %v, file %q", err, textOf(t, file))
	}
}

// TestOtherType: a host that has lost the type of key that is known for it has changed.
func TestOtherType(t *testing.T) {
	m, target, _ := start(t, sshdtest.Options{})
	ecdsa := "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLfSBPvvj2X6fDjxCk1V2OK4jBIG3YxEp89fWh9eHPGYrfrpYRu8otoiKijYgBky3KHie9jF/0PfdYvPvp6S/fo="
	target.KnownHosts = []string{writeKnown(t, xknownhosts.Normalize(target.Addr)+" "+ecdsa)}
	s := shown(t, m, target)
	if s.New() || s.Problem == nil || len(s.Problem.Known) != 1 {
		t.Errorf("HostKey() = %+v, want a changed key", s)
	}
}

// TestTrustBehindBastion: the key is looked at from the bastion.
func TestTrustBehindBastion(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	bastion := sshdtest.Start(t, sshdtest.Options{})
	via := Target{Name: "jump1", Addr: bastion.Addr, User: bastion.User, IdentityFiles: []string{bastion.ClientKey}, KnownHosts: []string{bastion.KnownHosts}}
	target.Via = &via
	if s := shown(t, m, target); s.Fingerprint != server.Fingerprint || bastion.Accepted() != 1 {
		t.Errorf("HostKey() = %+v, %d logins to the bastion, want 1", s, bastion.Accepted())
	}
	via.KnownHosts = []string{filepath.Join(t.TempDir(), "missing")}
	_, err := m.HostKey(within(t, time.Minute), target)
	kind(t, err, HostKey, PhaseDial)
}

func TestHashedFileStaysHashed(t *testing.T) {
	m, target, _ := start(t, sshdtest.Options{})
	other := sshdtest.AuthorizedKey(newKeys(t, 1)[0])
	file := writeKnown(t, xknownhosts.HashHostname("db1")+" "+other, "@cert-authority *.example.com "+other)
	target.KnownHosts, target.HostKeyPolicy = []string{file}, AcceptNew
	sh(t, m, target, "true")
	text := textOf(t, file)
	if strings.Contains(text, "127.0.0.1") || strings.Contains(text, "web1") || strings.Count(text, "|1|") != 3 {
		t.Errorf("known_hosts = %q, want two hashed names more", text)
	}
	target.HostKeyPolicy = Strict
	for _, name := range []string{"web1", ""} {
		target.Name = name
		sh(t, newMux(t, Options{}), target, "true")
	}
}

// replaced calls Replace for a host web1, 10.0.0.7 on a port, as if it had shown the key.
func replaced(t *testing.T, port string, key ssh.PublicKey, files ...string) (Replaced, error) {
	t.Helper()
	target := Target{Name: "web1", Addr: "10.0.0.7:" + port, KnownHosts: files}
	return trusted(t, new(hostKeys), target).show(key).Replace(ssh.FingerprintSHA256(key))
}

func TestReplace(t *testing.T) {
	keys := newKeys(t, 3)
	old, fresh, other := sshdtest.AuthorizedKey(keys[0]), sshdtest.AuthorizedKey(keys[1]), sshdtest.AuthorizedKey(keys[2])
	hash := func(name, key string) string { return xknownhosts.HashHostname(name) + " " + key }
	db := hash("db1", old)
	f := func(name, port string, before, after []string, removed, left int) {
		t.Helper()
		file := writeKnown(t, before...)
		r, err := replaced(t, port, keys[1], file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, want := textOf(t, file), strings.Join(after, "\n")+"\n"; got != want {
			t.Errorf("%s: known_hosts =\n%swant\n%s", name, got, want)
		}
		if len(r.Removed) != removed || len(r.Left) != left || r.File != file {
			t.Errorf("%s: Replace() = %+v, want %d removed, %d left", name, r, removed, left)
		}
		if err := trusted(t, new(hostKeys), Target{Name: "web1", Addr: "10.0.0.7:" + port, KnownHosts: []string{file}}).check(keys[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	new22, new2222 := "web1,10.0.0.7 "+fresh, "[web1]:2222,[10.0.0.7]:2222 "+fresh
	f("one line", "22", []string{"web1,10.0.0.7 " + old}, []string{new22}, 1, 0)
	f("two lines and others", "22", []string{"# comment", "web1 " + old, "", "web2 " + old + " somebody", "10.0.0.7 " + other}, []string{"# comment", "", "web2 " + old + " somebody", new22}, 2, 0)
	f("names of others", "22", []string{"  db1,web1,10.0.0.7,db2\t" + old + " comment"}, []string{"  db1,db2\t" + old + " comment", new22}, 1, 0)
	f("port", "2222", []string{"web1,[web1]:2222,[10.0.0.7]:2222,[web1]:22 " + old}, []string{"web1,[web1]:22 " + old, new2222}, 1, 0)
	f("default port in words", "22", []string{"[web1]:22,[web1]:2222 " + old}, []string{"[web1]:2222 " + old, new22}, 1, 0)
	f("markers", "22", []string{"@revoked web1 " + other, "@cert-authority web1,10.0.0.7 " + other, "web1 " + old}, []string{"@revoked web1 " + other, "@cert-authority web1,10.0.0.7 " + other, new22}, 1, 0)
	f("known already", "22", []string{"web1 " + old, "web1 " + fresh + " mine"}, []string{"web1 " + fresh + " mine", "10.0.0.7 " + fresh}, 1, 0)
	f("wildcards", "22", []string{"web*,!web2,web1 " + old}, []string{"web*,!web2 " + old, new22}, 1, 1)
	f("negation alone", "22", []string{"!web2,web1 " + old}, []string{new22}, 1, 0)
	f("nothing", "22", []string{"web2 " + old}, []string{"web2 " + old, new22}, 0, 0)

	file := writeKnown(t, db, hash("web1", old), hash("[web1]:2222", old), hash("10.0.0.7", other))
	r, err := replaced(t, "22", keys[1], file)
	lines := strings.Split(strings.TrimSpace(textOf(t, file)), "\n")
	if err != nil || len(r.Removed) != 2 || len(lines) != 4 || lines[0] != db || strings.Contains(textOf(t, file), "web1") {
		t.Errorf("hashed: Replace() = %+v, %v, file\n%s", r, err, textOf(t, file))
	}
}

func TestReplaceLeavesOtherFilesAlone(t *testing.T) {
	keys := newKeys(t, 2)
	old := "web1 " + sshdtest.AuthorizedKey(keys[0])
	first, second := filepath.Join(t.TempDir(), "first"), writeKnown(t, old)
	r, err := replaced(t, "22", keys[1], first, second)
	if err != nil || !r.Added || len(r.Left) != 1 || !strings.Contains(r.Left[0], second+":1") || textOf(t, second) != old+"\n" {
		t.Errorf("Replace() = %+v, %v", r, err)
	}
}

func TestReplaceKeepsModeAndLink(t *testing.T) {
	keys := newKeys(t, 2)
	file := writeKnown(t, "web1 "+sshdtest.AuthorizedKey(keys[0]))
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Chmod(file, 0o640), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := replaced(t, "22", keys[1], link); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if info, err = os.Stat(file); err != nil || info.Mode().Perm() != 0o640 || !strings.Contains(textOf(t, file), sshdtest.AuthorizedKey(keys[1])) {
		t.Errorf("the file is %v, %v: %q", info.Mode(), err, textOf(t, file))
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
}

func TestReplaceRefuses(t *testing.T) {
	keys := newKeys(t, 2)
	before := "web1 " + sshdtest.AuthorizedKey(keys[0])
	file := writeKnown(t, before, "@revoked * "+sshdtest.AuthorizedKey(keys[1]))
	text := textOf(t, file)
	k := trusted(t, new(hostKeys), Target{Name: "web1", Addr: "10.0.0.7:22", KnownHosts: []string{file}})
	if _, err := k.show(keys[1]).Replace(ssh.FingerprintSHA256(keys[1])); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("Replace() by a revoked key = %v", err)
	}
	if _, err := k.show(keys[0]).Replace(ssh.FingerprintSHA256(keys[1])); err == nil || !strings.Contains(err.Error(), "which is not SHA256:") {
		t.Errorf("Replace() with a wrong fingerprint = %v", err)
	}
	if textOf(t, file) != text {
		t.Errorf("known_hosts = %q, want it unchanged", textOf(t, file))
	}
}

// TestReplaceLosesNoLine: what another process appends meanwhile is not lost.
func TestReplaceLosesNoLine(t *testing.T) {
	t.Parallel()
	file := writeKnown(t, "# one")
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := appendLines(file, "# two"); err != nil {
		t.Fatal(err)
	}
	again, err := rewrite(file, "# new\n", before)
	if !again || err != nil || textOf(t, file) != "# one\n# two\n" {
		t.Errorf("rewrite() = %v, %v, file %q, want to be called again", again, err, textOf(t, file))
	}
}
