package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"alf"
)

const jumps = `
[ssh]
user       = "monitor"
proxy_jump = "jump1"

[hostgroup.far]
proxy_jump = ["jump1", "jump2"]
[hostgroup.else]
ssh = { proxy_jump = ["ops@gate.example.com:2222", "[2001:db8::1]:22", "x@y"] }

[host.jump1]
[host.jump2]
hostgroups = ["far"]
ssh = { port = 2222 }
[host.near]
proxy_jump = []
[host.all]
parents = ["switch"]
[host.switch]
proxy_jump = []
[host.far1]
hostgroups = ["far"]
parents    = ["jump2"]
[host.else1]
hostgroups = ["else"]
[host.else2]
hostgroups = ["else"]
[host.mixed]
proxy_jump = ["jump1", "gate.example.com:23"]
`

func TestProxyJump(t *testing.T) {
	c, err := Load(write(t, jumps), options())
	if err != nil {
		t.Fatal(err)
	}
	f := func(name alf.HostName, bastions, parents string) {
		t.Helper()
		h := c.Inventory.Host(name)
		if got := strings.Join(jumpNames(h.SSH), " "); got != bastions {
			t.Errorf("%s is behind %q, want %q", name, got, bastions)
		}
		if got := strings.Join(textsOf(h.Parents), " "); got != parents {
			t.Errorf("parents of %s = %q, want %q", name, got, parents)
		}
	}
	f("jump1", "", "")
	f("near", "", "")
	f("all", "jump1", "switch jump1")
	f("jump2", "jump1", "jump1")
	f("far1", "jump1 jump2", "jump2")
	f("else1", "ops@gate.example.com:2222 monitor@[2001:db8::1]:22 x@y:22", "")
	f("mixed", "jump1 monitor@gate.example.com:23", "jump1")
	far, jump2 := c.Inventory.Host("far1").SSH.Via, c.Inventory.Host("jump2")
	if far != jump2 || far.SSH.Port != 2222 {
		t.Errorf("far1 is behind %+v, want host jump2 itself", far)
	}
	one, two := c.Inventory.Host("else1").SSH.Via, c.Inventory.Host("else2").SSH.Via
	if one != two {
		t.Error("the bastion of else1 is not that of else2")
	}
	var out bytes.Buffer
	if err := c.Show(&out, "far1", ""); err != nil || !strings.Contains(out.String(), "\nproxy_jump = [\"jump1\", \"jump2\"]\n") {
		t.Errorf("Show prints %s, %v", &out, err)
	}
	if again, err := Load(c.File, options()); err != nil || !slices.Equal(jumpNames(again.Inventory.Host("mixed").SSH), jumpNames(c.Inventory.Host("mixed").SSH)) {
		t.Errorf("Load again = %v", err)
	}
}

func TestKeySettings(t *testing.T) {
	c := load(t, `
[ssh]
identity_files    = ["locked.key"]
passphrase        = { file = "right.secret" }
certificate_files = ["locked-cert.pub"]
[host.web1.ssh]
host_key_alias = "cluster"
-- locked-cert.pub --
ssh-ed25519-cert-v01@openssh.com AAAA
-- right.secret --
right
-- locked.key --
`+privateKey("aes256-ctr"))
	s := c.Inventory.Host("web1").SSH
	if s.Passphrase != "right" || len(s.Certificates) != 1 || s.HostKeyAlias != "cluster" {
		t.Errorf("SSH = %+v", s)
	}
	var out bytes.Buffer
	if err := c.Show(&out, "web1", ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"passphrase = \"<secret>\"\n", "certificate_files = [\"/", "host_key_alias = \"cluster\"\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Show prints %s, want %s", &out, want)
		}
	}
}
