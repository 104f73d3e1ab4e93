package sshmux

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// oracle is a real sshd with keys and certificates, and a real ssh that judges known_hosts files
// beside us.
type oracle struct {
	t      *testing.T
	a      authority
	server *sshdtest.Server
	target Target
	host   string // as known_hosts has it: "[127.0.0.1]:port"
}

// newOracle starts an sshd that shows those of its keys, with the further lines.
func newOracle(t *testing.T, a authority, lines ...string) *oracle {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ssh is missing: install the package openssh-client")
		}
		t.Skip("ssh is missing: install the package openssh-client")
	}
	server := sshdtest.Start(t, sshdtest.Options{Config: lines})
	o := &oracle{t: t, a: a, server: server, target: target(server), host: fmt.Sprintf("[127.0.0.1]:%d", server.Port)}
	o.target.Name = "127.0.0.1"
	return o
}

// public returns the public half of a key of the authority's folder, without its comment.
func (a authority) public(name string) string {
	a.t.Helper()
	fields := strings.Fields(textOf(a.t, filepath.Join(a.dir, name+".pub")))
	return fields[0] + " " + fields[1]
}

// ssh has the real client judge a file. It is asked for what it shows, too.
func (o *oracle) ssh(file, policy, alias string) (ok bool, said string) {
	o.t.Helper()
	cmd := exec.Command("ssh", "-F", "none", "-i", o.server.ClientKey, "-p", fmt.Sprint(o.server.Port), "-l", o.server.User,
		"-o", "UserKnownHostsFile="+file, "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking="+policy,
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "UpdateHostKeys=no",
		"-o", "CheckHostIP=no", "-o", "LogLevel=ERROR", "127.0.0.1", "true")
	if alias != "" {
		cmd.Args = append(cmd.Args[:1:1], append([]string{"-o", "HostKeyAlias=" + alias}, cmd.Args[1:]...)...)
	}
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

// judge compares what ssh and we say about a file with both policies, and which of them learn.
func (o *oracle) judge(name, alias string, lines ...string) {
	o.t.Helper()
	o.t.Run(name, func(t *testing.T) {
		t.Parallel()
		for _, policy := range []HostKeyPolicy{Strict, AcceptNew} {
			word := map[HostKeyPolicy]string{Strict: "yes", AcceptNew: "accept-new"}[policy]
			theirs, ours := writeKnown(t, lines...), writeKnown(t, lines...)
			want, said := o.ssh(theirs, word, alias)
			target := o.target
			target.KnownHosts, target.HostKeyPolicy, target.HostKeyAlias = []string{ours}, policy, alias
			_, err := newMux(t, Options{}).Run(within(t, time.Minute), target, Command{Shell: "true"})
			if (err == nil) != want {
				t.Errorf("%s: we say %v, ssh says ok = %v: %s, of\n%s", policy, err, want, said, strings.Join(lines, "\n"))
			}
			if err != nil {
				kind(t, err, HostKey, PhaseHostKey)
			}
			// What one of us has written, the other one believes.
			if learned := textOf(t, ours) != textOf(t, writeKnown(t, lines...)); learned != (textOf(t, theirs) != textOf(t, writeKnown(t, lines...))) {
				t.Errorf("%s: we have learned a key: %v, and ssh has not, or the other way round", policy, learned)
			} else if ok, said := o.ssh(ours, "yes", alias); learned && !ok {
				t.Errorf("ssh does not believe what we have written: %s\n%s", said, textOf(t, ours))
			}
			target.KnownHosts, target.HostKeyPolicy = []string{theirs}, Strict
			_, err = newMux(t, Options{}).Run(within(t, time.Minute), target, Command{Shell: "true"})
			if (err == nil) != want {
				t.Errorf("%s: of the file as ssh has left it we say %v, want ok = %v", policy, err, want)
			}
		}
	})
}

// stricter shows a file that we refuse with both policies, though ssh believes it with one.
func (o *oracle) stricter(name, alias, says string, lines ...string) {
	o.t.Helper()
	o.t.Run(name, func(t *testing.T) {
		t.Parallel()
		if ok, said := o.ssh(writeKnown(t, lines...), "accept-new", alias); !ok {
			t.Errorf("ssh is as strict: %s", said)
		}
		for _, policy := range []HostKeyPolicy{Strict, AcceptNew} {
			file := writeKnown(t, lines...)
			before := textOf(t, file)
			target := o.target
			target.KnownHosts, target.HostKeyPolicy, target.HostKeyAlias = []string{file}, policy, alias
			_, err := newMux(t, Options{}).Run(within(t, time.Minute), target, Command{Shell: "true"})
			if e := kind(t, err, HostKey, PhaseHostKey); !strings.Contains(e.Error(), says) {
				t.Errorf("%s: err = %v, want one with %q", policy, e, says)
			}
			if textOf(t, file) != before {
				t.Errorf("%s: the file has been changed", policy)
			}
		}
	})
}

// hash has the real ssh-keygen hash the names of lines.
func (a authority) hash(lines ...string) string {
	a.t.Helper()
	file := writeKnown(a.t, lines...)
	a.keygen("-q", "-H", "-f", file)
	return strings.TrimSuffix(textOf(a.t, file), "\n")
}

// A known_hosts file means to us what it means to ssh, over keys of several types; but to us a key
// that is revoked for one host is revoked for all.
func TestKnownHostsAsSSHReadsThem(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for _, args := range [][]string{{"rsa", "-b", "2048"}, {"ecdsa"}, {"ed25519"}} {
		a.keygen(append([]string{"-q", "-N", "", "-f", args[0], "-t"}, args...)...)
		a.keygen("-q", "-N", "", "-t", args[0], "-f", "other_"+args[0])
	}
	o := newOracle(t, a, "HostKey "+filepath.Join(a.dir, "rsa"), "HostKey "+filepath.Join(a.dir, "ecdsa"))
	own := sshdtest.AuthorizedKey(o.server.HostKey)
	rsa, ecdsa := a.public("rsa"), a.public("ecdsa")
	port := fmt.Sprint(o.server.Port)
	o.judge("unknown", "")
	o.judge("ed25519", "", o.host+" "+own)
	o.judge("rsa", "", o.host+" "+rsa)
	o.judge("ecdsa", "", o.host+" "+ecdsa)
	o.judge("all", "", o.host+" "+rsa, o.host+" "+ecdsa, o.host+" "+own)
	o.judge("changed", "", o.host+" "+a.public("other_ed25519"))
	o.judge("one of two changed", "", o.host+" "+a.public("other_ed25519"), o.host+" "+rsa)
	o.judge("two of one type", "", o.host+" "+a.public("other_ed25519"), o.host+" "+own)
	o.judge("no port", "", "127.0.0.1 "+own)
	o.judge("other port", "", "[127.0.0.1]:1 "+own)
	o.judge("wildcard", "", "127.0.0.* "+own)
	o.judge("wildcard with a port", "", "[127.0.0.?]:"+port+" "+own)
	o.judge("negated", "", "*,!"+o.host+" "+own)
	o.judge("list", "", "web1,"+o.host+",web2 "+own)
	o.judge("hashed", "", a.hash(o.host+" "+rsa, "web1 "+own, o.host+" "+ecdsa))
	o.judge("hashed and changed", "", a.hash(o.host+" "+a.public("other_ed25519"), o.host+" "+a.public("other_rsa"), o.host+" "+a.public("other_ecdsa")))
	o.judge("hashed without a port", "", a.hash("127.0.0.1 "+own))
	o.judge("revoked", "", o.host+" "+own, "@revoked * "+own)
	o.stricter("revoked for others", "", "is revoked", o.host+" "+own, "@revoked web1 "+own)
	o.judge("another revoked", "", o.host+" "+own, "@revoked * "+rsa)
	o.judge("alias", "cluster", "cluster "+own)
	o.judge("alias in another case", "CLUSTER", "cluster "+own)
	o.judge("names in another case", "cluster", "CLUSTER "+own)
	o.judge("hashed alias", "cluster", a.hash("cluster "+rsa))
	o.judge("comments", "", "# a line", "", "   ", "  "+o.host+"  "+own+" me@here")
	scanned, err := exec.Command("ssh-keyscan", "-H", "-p", port, "127.0.0.1").Output()
	if err != nil || len(scanned) == 0 {
		t.Fatalf("ssh-keyscan: %v", err)
	}
	o.judge("scanned", "", strings.TrimSpace(string(scanned)))
}

// Host certificates mean to us what they mean to ssh; but with accept-new it takes the plain key of
// one that is not valid, which we do not.
func TestHostCertificatesAsSSHReadsThem(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.keygen("-q", "-t", "ed25519", "-N", "", "-f", "wrong")
	f := func(name, alias string, sign []string, judge func(o *oracle, ca, wrong, key string)) {
		a.keygen("-q", "-t", "ed25519", "-N", "", "-f", name)
		if sign != nil {
			a.keygen(append(append([]string{"-q", "-s", "ca", "-I", name, "-h"}, sign...), name+".pub")...)
		}
		// It is the only key, so that nobody falls back on another.
		o := newOracle(t, a, "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519", "HostKey "+filepath.Join(a.dir, name),
			"HostCertificate "+filepath.Join(a.dir, name+"-cert.pub"))
		judge(o, a.public("ca"), a.public("wrong"), a.public(name))
	}
	f("good", "", []string{"-n", "127.0.0.1,web1", "-V", "-1h:+1h"}, func(o *oracle, ca, wrong, key string) {
		o.judge("all hosts", "", "@cert-authority * "+ca)
		o.judge("pattern", "", "@cert-authority 127.0.* "+ca)
		o.judge("pattern with a port", "", "@cert-authority [127.0.*]:* "+ca)
		o.judge("name", "", "@cert-authority "+o.host+" "+ca)
		o.judge("other pattern", "", "@cert-authority web* "+ca)
		o.stricter("wrong authority", "", "no authorities", "@cert-authority * "+wrong)
		o.judge("two authorities", "", "@cert-authority * "+wrong, "@cert-authority * "+ca)
		o.judge("not an authority", "", o.host+" "+ca)
		o.judge("the plain key", "", o.host+" "+key)
		o.judge("authority and another key", "", "@cert-authority * "+ca, o.host+" "+wrong)
		o.judge("wrong authority and the key", "", "@cert-authority * "+wrong, o.host+" "+key)
		o.judge("revoked authority", "", "@cert-authority * "+ca, "@revoked * "+ca)
		o.judge("revoked key", "", "@cert-authority * "+ca, "@revoked * "+key)
		o.judge("hashed authority", "", a.hash("@cert-authority "+o.host+" "+ca))
		o.judge("alias that is a principal", "web1", "@cert-authority web1 "+ca)
		o.stricter("alias that is none", "web2", "valid principals", "@cert-authority web2 "+ca)
	})
	f("expired", "", []string{"-n", "127.0.0.1", "-V", "-2h:-1h"}, func(o *oracle, ca, wrong, key string) {
		o.stricter("expired", "", "has expired", "@cert-authority * "+ca)
		o.judge("expired, and the key is known", "", "@cert-authority * "+ca, o.host+" "+key)
	})
	f("early", "", []string{"-n", "127.0.0.1", "-V", "+1h:+2h"}, func(o *oracle, ca, wrong, key string) {
		o.stricter("not yet valid", "", "not yet valid", "@cert-authority * "+ca)
	})
	f("principal", "", []string{"-n", "web9"}, func(o *oracle, ca, wrong, key string) {
		o.stricter("other principal", "", "valid principals", "@cert-authority * "+ca)
	})
	f("none", "", []string{}, func(o *oracle, ca, wrong, key string) {
		o.judge("no principals", "", "@cert-authority * "+ca)
	})
}
