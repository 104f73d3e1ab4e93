package config

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"alf"
)

const sshFiles = `
[ssh]
use_ssh_config = ["ssh_config", "system"]

[host.web1]
[host.web2]
address = "192.0.2.9"
ssh     = { user = "alf", port = 23 }
[host.web3]
[host.DB1]
[host.db2]
[host.jump]
[host.plain]
ssh = { use_ssh_config = false }
[host.gate]
[host.deep]
[host.alias]
proxy_jump = []
[host.toml]
proxy_jump = "carol@alias"
-- ssh_config --
# a comment
Host web1 # another
  HostName=%h.example.com
	User "bob"
  port   =   2222
  IdentityFile %d/../keys/one.key
Host web? !web3
  User alice
  IdentityFile ${KEYS}/two.key
  CertificateFile two-cert.pub
  ConnectTimeout 90
  StrictHostKeyChecking accept-new
  IdentitiesOnly yes
Host web3
  Include more/*.conf
Host db?
  HostKeyAlias dbs
  UserKnownHostsFile ~/known /dev/%u-%r
  ProxyJump jump
Host deep
  ProxyJump ops@alias:2022,gate
Host gate
  ProxyJump ops@alias:2022
Host alias
  HostName 192.0.2.7
  ProxyJump hop
Host hop
  Port 24
Match all
  User all
Match user nobody
  Port 99
Host *
  Compression yes
  ProxyCommand nc %h %p
-- more/1.conf --
Host web3
  Port 31
Host web1
  Port 32
-- more/2.conf --
Port 33
HostName three.example.com
-- system --
Host *
  Port 34
  User system
  ProxyJump jump
  ConnectTimeout 7
-- keys/one.key --
-- keys/two.key --
-- two-cert.pub --
ssh-ed25519-cert-v01@openssh.com AAAA
-- known --
`

// withHome returns options for which the folder of file is the home folder.
func withHome(file string) Options {
	o := options()
	o.Getenv = func(name string) string {
		switch name {
		case "HOME":
			return filepath.Join(filepath.Dir(file), "more")
		case "KEYS":
			return filepath.Join(filepath.Dir(file), "keys")
		}
		return ""
	}
	return o
}

func TestSSHConfig(t *testing.T) {
	file := write(t, strings.ReplaceAll(sshFiles, "CertificateFile two", "CertificateFile %d/../two"))
	c, err := Load(file, withHome(file))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file) + "/"
	f := func(name alf.HostName, want string) {
		t.Helper()
		h := c.Inventory.Host(name)
		s := h.SSH
		got := []string{s.User + "@" + h.Address + ":" + strconv.Itoa(s.Port), s.ConnectTimeout.String(), s.HostKeyPolicy}
		got = append(append(got, s.IdentityFiles...), s.Certificates...)
		got = append(append(append(got, s.HostKeyAlias), jumpNames(s)...), s.KnownHosts...)
		text := strings.NewReplacer(dir+"more", "~", dir, "", currentUser(), "ME").Replace(strings.Join(got, " "))
		if text != want {
			t.Errorf("%s\n got %s\nwant %s", name, text, want)
		}
	}
	known := " ~/.ssh/known_hosts /etc/ssh/ssh_known_hosts"
	f("web1", "bob@web1.example.com:2222 1m30s accept-new keys/one.key keys/two.key two-cert.pub  jump"+known)
	f("web2", "alf@192.0.2.9:23 1m30s accept-new keys/two.key two-cert.pub  jump"+known)
	f("web3", "all@three.example.com:31 7s strict  jump"+known)
	f("DB1", "all@DB1:34 7s strict  jump"+known)
	f("db2", "all@db2:34 7s strict dbs jump ~/known /dev/ME-all /etc/ssh/ssh_known_hosts")
	f("jump", "all@jump:34 7s strict "+known)
	f("plain", "ME@plain:22 10s strict "+known)
	f("gate", "all@gate:34 7s strict  jump all@hop:24 ops@192.0.2.7:2022"+known)
	f("deep", "all@deep:34 7s strict  jump all@hop:24 ops@192.0.2.7:2022 gate"+known)
	f("toml", "all@toml:34 7s strict  jump all@hop:24 carol@192.0.2.7:34"+known)
	var warned []string
	for _, w := range c.Warnings {
		warned = append(warned, strings.ReplaceAll(w.Error(), dir, ""))
	}
	want := `ssh_config:31: Match is not understood: what stands from here to the next Host or Match is left out
ssh_config:35: ProxyCommand is not followed: hosts are reached directly, or through proxy_jump`
	if got := strings.Join(warned, "\n"); !strings.HasSuffix(got, want) {
		t.Errorf("warnings:\n%s\nwant\n%s", got, want)
	}
}

// What Alf reads in such a file is what ssh does.
func TestSSHConfigAgainstSSH(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ssh is missing: install the package openssh-client")
		}
		t.Skip("ssh is missing: install the package openssh-client")
	}
	text := `
Host web* !web2 "other"
  User a
Host !web3 web*
  User b
  Port 2201
Host w?b1
  Port = 2202
  HostName "%h.example.com"
Include DIR/more
Host web* !web*
  HostKeyAlias never
Match all
  HostKeyAlias always
Host other
  ConnectTimeout 30
Host *
  User c
  Port 2203
  ConnectTimeout=40
-- more --
Host web2 web3
  HostName two
Match all
  ConnectTimeout 20
`
	var toml strings.Builder
	toml.WriteString("[ssh]\nuse_ssh_config = \"ssh_config\"\n")
	names := []string{"web1", "web2", "web3", "WEB1", "other", "wxb1", "x"}
	for _, name := range names {
		toml.WriteString("[host." + name + "]\n")
	}
	file := write(t, toml.String()+"-- ssh_config --"+text)
	config := filepath.Join(filepath.Dir(file), "ssh_config")
	data, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(string(data), "DIR", filepath.Dir(file))), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		out, err := exec.Command("ssh", "-G", "-F", config, name).Output()
		if err != nil {
			t.Fatal(err)
		}
		says := make(map[string]string)
		for line := range strings.Lines(string(out)) {
			key, v, _ := strings.Cut(strings.TrimSpace(line), " ")
			says[key] = v
		}
		h := c.Inventory.Host(alf.HostName(name))
		got := []string{strings.ToLower(h.Address), h.SSH.User, strconv.Itoa(h.SSH.Port), h.SSH.HostKeyAlias, strconv.Itoa(int(h.SSH.ConnectTimeout.Seconds()))}
		want := []string{strings.ToLower(says["hostname"]), says["user"], says["port"], says["hostkeyalias"], says["connecttimeout"]}
		equal(t, name, got, want)
	}
}

func TestBrokenSSHConfig(t *testing.T) {
	file := write(t, `
[ssh]
use_ssh_config = "ssh_config"
[host.web1]
[host.web2]
[host.a]
[host.b.ssh]
use_ssh_config = ["none", "ssh_config"]
[host.c.ssh]
use_ssh_config = 5
[host.d]
-- ssh_config --
Host
User "x
Port 70000
Port 22
HostName a b
HostName web:1
StrictHostKeyChecking perhaps
IdentityFile none.key
IdentityFile text.key
IdentityFile %Z/key
IdentitiesOnly maybe
Ciphers aes128-ctr
Include ssh_config
Host a
  ProxyJump b
Host b
  ProxyJump x
Host x
  ProxyJump y
Host y
  ProxyJump x
Host d
  ProxyJump y,x@
Host web2
  ProxyJump x
-- text.key --
no key
`)
	_, err := Load(file, options())
	got := strings.ReplaceAll(message(err, file), filepath.Dir(file)+"/", "")
	want := `alf.toml:8: ssh.use_ssh_config: stat none: no such file or directory
alf.toml:10: ssh.use_ssh_config: want true, false, or files, got an integer
ssh_config:1: Host: there is nothing behind it
ssh_config:2: a quotation mark is missing
ssh_config:3: Port: 70000 is not between 1 and 65535
ssh_config:7: StrictHostKeyChecking: "perhaps" is none of yes, ask, accept-new, no
ssh_config:9: IdentityFile: text.key: no PEM private key in it
ssh_config:10: IdentityFile: "%Z/key": "%Z" is not known here
ssh_config:11: IdentitiesOnly: "maybe" is neither yes nor no
ssh_config:13: Include: more than 16 files in one another
ssh_config:19: ProxyJump goes round in a circle: y behind x behind y
ssh_config:23: ProxyJump: "x@": "" is neither a host name nor an IP address`
	if got != want {
		t.Errorf("Load says\n%s\nwant\n%s", got, want)
	}
}

func FuzzSSHWords(f *testing.F) {
	for line := range strings.Lines(sshFiles) {
		f.Add(line)
	}
	f.Add("Host \"a b\"c = # d")
	f.Fuzz(func(t *testing.T, line string) {
		words, err := sshWords(line)
		if err != nil && words != nil {
			t.Errorf("sshWords(%q) = %q and %v", line, words, err)
		}
		for _, w := range words {
			if !strings.Contains(line, w) {
				t.Errorf("sshWords(%q) = %q: %q is not in it", line, words, w)
			}
		}
		sshMatches(words, line)
	})
}

func BenchmarkSSHWords(b *testing.B) {
	for b.Loop() {
		sshWords("  UserKnownHostsFile  \"/etc/alf/known hosts\" ~/.ssh/known_hosts # both\n")
	}
}
