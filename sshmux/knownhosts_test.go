package sshmux

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
	"pgregory.net/rapid"
)

// writeKnown writes a known_hosts file.
func writeKnown(t testing.TB, lines ...string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// newKeys returns some host keys.
func newKeys(t testing.TB, n int) (list []ssh.PublicKey) {
	t.Helper()
	for range n {
		signer, _ := sshdtest.NewKey(t)
		list = append(list, signer.PublicKey())
	}
	return list
}

// knownLines generates known_hosts lines of all kinds.
func knownLines(keys []ssh.PublicKey) *rapid.Generator[[]string] {
	name := rapid.SampledFrom([]string{
		"web1", "web2", "10.0.0.7", "[web1]:2222", "[10.0.0.7]:2222", "fe80::1", "[fe80::1]:2222", "web1:2222",
		"web*", "*", "w?b1", "!web1", "!web*", "[web*]:2222", "10.0.0.*", "db*,[web1]:2222", "",
	})
	names := rapid.Map(rapid.SliceOfN(name, 1, 4), func(s []string) string { return strings.Join(s, ",") })
	hashed := rapid.Map(rapid.SampledFrom([]string{"web1", "web2", "[web1]:2222", "[10.0.0.7]:2222", "fe80::1"}), xknownhosts.HashHostname)
	key := rapid.Map(rapid.SampledFrom(keys), sshdtest.AuthorizedKey)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		host := rapid.OneOf(names, hashed).Draw(t, "host")
		marker := rapid.SampledFrom([]string{"", "", "", "@cert-authority "}).Draw(t, "marker")
		comment := rapid.SampledFrom([]string{"", " somebody@somewhere"}).Draw(t, "comment")
		if strings.Trim(host, ",") == "" || rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			return rapid.SampledFrom([]string{"", "# web1", "  "}).Draw(t, "blank")
		}
		return marker + host + " " + key.Draw(t, "key") + comment
	}), 0, 12)
}

// What we find is what x/crypto finds, which searches all lines each time; and a line with a
// wildcard and no port, which it takes for port 22 only, is for all ports, as it is for ssh.
func TestLookupFindsWhatOthersFind(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, 4)
	keys, none := keys[1:], keys[0]
	file := filepath.Join(t.TempDir(), "known_hosts")
	rapid.Check(t, func(t *rapid.T) {
		lines := knownLines(keys).Draw(t, "lines")
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		check, err := xknownhosts.New(file)
		if err != nil {
			t.Fatal(err)
		}
		find := func(host string) (numbers []int) {
			if e, ok := errors.AsType[*xknownhosts.KeyError](check(host, new(net.TCPAddr), none)); ok {
				for _, k := range e.Want {
					numbers = append(numbers, k.Line)
				}
			}
			return numbers
		}
		db, err := readKnownHosts([]string{file})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"web1", "web2", "10.0.0.7", "fe80::1", "db1"} {
			for _, port := range []string{"22", "2222"} {
				host := net.JoinHostPort(name, port)
				want := find(host)
				if len(want) == 0 && port != "22" {
					want = slices.DeleteFunc(find(net.JoinHostPort(name, "22")), func(n int) bool {
						names := strings.Fields(strings.TrimPrefix(lines[n-1], "@cert-authority "))[0]
						_, rest, wild := strings.Cut(names, "*")
						return !wild || strings.Contains(rest, "]:")
					})
				}
				var got []int
				for _, l := range db.lookup(host) {
					got = append(got, l.number)
					if l.authority != strings.HasPrefix(lines[l.number-1], "@") {
						t.Fatalf("line %d: authority = %v, of %s", l.number, l.authority, lines[l.number-1])
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("lookup(%s) = lines %v, want %v, of\n%s", host, got, want, strings.Join(lines, "\n"))
				}
			}
		}
	})
}

func TestAlgorithms(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	ed, rsa := sshdtest.AuthorizedKey(newKeys(t, 1)[0]), sshdtest.AuthorizedKey(public)
	f := func(want string, lines ...string) {
		t.Helper()
		target := Target{Addr: "web1:22", KnownHosts: []string{writeKnown(t, lines...)}}
		if got := strings.Join(trusted(t, new(hostKeys), target).algorithms(), " "); got != want {
			t.Errorf("algorithms of %q = %q, want %q", lines, got, want)
		}
	}
	f("ssh-ed25519", "web1 "+ed)
	f("ssh-ed25519", "web1 "+ed, "web1 "+ed, "@revoked * "+rsa, "web2 "+rsa)
	f("rsa-sha2-512 rsa-sha2-256 ssh-rsa", "web1 "+rsa)
	f("ssh-ed25519 rsa-sha2-512 rsa-sha2-256 ssh-rsa", "web1 "+ed, "web1 "+rsa)
	f("ssh-ed25519-cert-v01@openssh.com ssh-ed25519", "@cert-authority * "+ed, "web1 "+ed)
	f("rsa-sha2-512-cert-v01@openssh.com rsa-sha2-256-cert-v01@openssh.com ssh-rsa-cert-v01@openssh.com", "@cert-authority * "+rsa)
	target := Target{Addr: "web1:22", KnownHosts: []string{writeKnown(t, "web2 "+rsa)}}
	if got := trusted(t, new(hostKeys), target).algorithms(); got[0] != ssh.KeyAlgoED25519 || slices.Contains(got, ssh.CertAlgoED25519v01) {
		t.Errorf("algorithms of an unknown host = %q, want ed25519 first, and no certificates", got)
	}
}

func TestWildcard(t *testing.T) {
	f := func(pattern, s string, want bool) {
		t.Helper()
		if got := wildcard(pattern, s); got != want {
			t.Errorf("wildcard(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	}
	f("", "", true)
	f("", "a", false)
	f("web1", "web1", true)
	f("web1", "web11", false)
	f("web?", "web1", true)
	f("web?", "web", false)
	f("web*", "web", true)
	f("*", "", true)
	f("*b*b", "abab", true)
	f("*b*b", "aba", false)
	f("a**b?", "axxbxbc", true)
	f(strings.Repeat("*a", 50), strings.Repeat("a", 5000)+"b", false) // must not take for ever
}

func TestBadKnownHostsLines(t *testing.T) {
	key := sshdtest.AuthorizedKey(newKeys(t, 1)[0])
	f := func(line, want string) {
		t.Helper()
		file := writeKnown(t, "# fine", line)
		_, err := readKnownHosts([]string{file})
		if err == nil || !strings.Contains(err.Error(), file+":2: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("readKnownHosts(%q) = %v, want one that names the line and has %q", line, err, want)
		}
	}
	f("web1", "want a name")
	f("web1 ssh-ed25519", "invalid entry")
	f("web1 ssh-rsa "+strings.Fields(key)[1], "mismatch")
	f("@trusted web1 "+key, `unknown marker "@trusted"`)
	f("@ web1 "+key, "unknown marker")
	f("@cert-authority @revoked * "+key, "illegal base64")
	f("! "+key, "negation")
	f("[web1 "+key, "missing port")
	f("|1|x "+key, "want |1|salt|hash")
	f("|2|eA==|eA== "+key, "want |1|salt|hash")
	f("|1|x|eA== "+key, "illegal base64")
}

// certify returns a host key with a certificate for the names.
func certify(t *testing.T, authority ssh.Signer, end time.Time, names ...string) ssh.Signer {
	t.Helper()
	key, _ := sshdtest.NewKey(t)
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: names,
		ValidBefore: uint64(end.Unix()),
	}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestHostCertificate(t *testing.T) {
	authority, _ := sshdtest.NewKey(t)
	line := sshdtest.AuthorizedKey(authority.PublicKey())
	f := func(end time.Time, name, known string, want string) {
		t.Helper()
		for _, policy := range []HostKeyPolicy{Strict, AcceptNew} {
			h, target := newHost(t)
			h.config = ssh.ServerConfig{PasswordCallback: h.config.PasswordCallback}
			h.config.AddHostKey(certify(t, authority, end, name))
			target.KnownHosts, target.HostKeyPolicy = []string{writeKnown(t, known)}, policy
			_, err := newMux(t, Options{Dial: h.Dial}).Run(within(t, time.Minute), target, Command{Shell: "true"})
			if want == "" && err != nil {
				t.Errorf("%s, %s, %s: %v", name, known, policy, err)
			}
			if want != "" && !strings.Contains(kind(t, err, HostKey, PhaseHostKey).Error(), want) {
				t.Errorf("%s, %s, %s: err = %v, want %q", name, known, policy, err, want)
			}
		}
	}
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	f(later, "web1", "@cert-authority web* "+line, "")
	f(later, "192.0.2.1", "@cert-authority * "+line, "")
	f(later, "web2", "@cert-authority * "+line, "not in the set of valid principals")
	f(before, "web1", "@cert-authority * "+line, "has expired")
	f(later, "web1", "@cert-authority * "+line+"\n@revoked * "+line, "revoked")
}

// A host that has a certificate, too, is asked for its plain key where no authority is known:
// that can be made known, and checked again.
func TestAcceptNewOfHostWithCertificate(t *testing.T) {
	h, target := newHost(t)
	authority, _ := sshdtest.NewKey(t)
	h.config.AddHostKey(certify(t, authority, time.Now().Add(time.Hour), "web1"))
	target.KnownHosts, target.HostKeyPolicy = []string{writeKnown(t)}, AcceptNew
	for range 2 {
		if _, err := newMux(t, Options{Dial: h.Dial}).Run(within(t, time.Minute), target, Command{Shell: "true"}); err != nil {
			t.Fatal(err)
		}
	}
}

// Dials search at the same time, while hosts become known.
func TestLookupsAtOnce(t *testing.T) {
	keys := newKeys(t, 2)
	var h hostKeys
	file := writeKnown(t, "web* "+sshdtest.AuthorizedKey(keys[0]))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			target := Target{Name: fmt.Sprint("db", i), Addr: net.JoinHostPort(fmt.Sprint("10.0.0.", i), "22"), KnownHosts: []string{file}}
			known := trusted(t, &h, target)
			if added, err := known.accept(keys[1]); err != nil || !added {
				t.Errorf("accept = %v, %v", added, err)
			}
			if err := trusted(t, &h, target).check(keys[1]); err != nil {
				t.Error(err)
			}
			_, changed := errors.AsType[*HostKeyError](trusted(t, &h, target).check(keys[0]))
			if !changed {
				t.Error("another key was accepted")
			}
		})
	}
	wg.Wait()
}

// manyHosts writes a file with a line for each of n hosts.
func manyHosts(b *testing.B, n int, name func(string) string) (file string, key ssh.PublicKey) {
	b.Helper()
	key = newKeys(b, 1)[0]
	line := sshdtest.AuthorizedKey(key)
	var lines []string
	for i := range n {
		lines = append(lines, name(fmt.Sprint("host", i))+" "+line)
	}
	return writeKnown(b, lines...), key
}

// BenchmarkTrust does what the first dial to each host does with a known_hosts file of ten
// thousand lines.
func BenchmarkTrust(b *testing.B) {
	const n = 10_000
	f := func(name string, write func(string) string, host string) {
		file, key := manyHosts(b, n, write)
		var h hostKeys
		target := Target{Addr: "10.0.0.7:22", KnownHosts: []string{file}}
		trusted(b, &h, target)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var next atomic.Int64
			b.RunParallel(func(p *testing.PB) {
				for target := target; p.Next(); {
					target.Name = fmt.Sprint(host, next.Add(1)%n)
					known, err := h.trust(&target)
					if err != nil {
						b.Error(err)
						return
					}
					known.algorithms()
					known.check(key)
				}
			})
		})
	}
	plain := func(s string) string { return s }
	f("plain", plain, "host")
	f("plain-unknown", plain, "other")
	f("hashed", xknownhosts.HashHostname, "host")
	f("hashed-unknown", xknownhosts.HashHostname, "other")
}

// BenchmarkReadKnownHosts reads ten thousand lines, as after each change of the file.
func BenchmarkReadKnownHosts(b *testing.B) {
	file, _ := manyHosts(b, 10_000, func(s string) string { return s })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readKnownHosts([]string{file}); err != nil {
			b.Fatal(err)
		}
	}
}
