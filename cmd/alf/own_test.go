package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alf"
	"alf/config"
)

func loadText(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "alf.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(file)
}

// TestOwnServices: serve adds them to a host alf, which the configuration may
// have; a service of the same name there is a mistake.
func TestOwnServices(t *testing.T) {
	f := func(text string, hosts, services int, address string) {
		t.Helper()
		c, err := loadText(t, text)
		if err != nil {
			t.Fatal(err)
		}
		v := withOwn(c).Inventory
		if len(v.Hosts()) != hosts || len(v.Services()) != services || v.Host(alf.OwnHost).Address != address {
			t.Errorf("%d hosts, %d services, %v", len(v.Hosts()), len(v.Services()), v.Host(alf.OwnHost))
		}
		for _, s := range ownServices {
			if !s.applies(c) {
				continue
			}
			if own := v.Service(alf.Key{Host: alf.OwnHost, Service: s.name}); own == nil || !own.Own() || !own.Passive {
				t.Errorf("service %q is %+v", s.name, own)
			}
		}
		if n := len(c.Inventory.Hosts()); n != c.Counts.Hosts {
			t.Errorf("what was loaded has %d hosts, want %d as before", n, c.Counts.Hosts)
		}
	}
	f("", 1, 2, "localhost")
	f("[host.web1]\n[check.load]\nhosts = [\"*\"]\n", 2, 4, "localhost")
	f("[host.alf]\naddress = \"10.0.0.1\"\n[check.load]\nhosts = [\"*\"]\n", 1, 3, "10.0.0.1")
	_, err := loadText(t, "[host.alf]\n[check.x]\nhosts = [\"alf\"]\nservice = \"configuration\"\n")
	if err == nil || !strings.Contains(err.Error(), `alf.toml:2: check "x" on host "alf": service "configuration" is what Alf calls one of its own there; choose another name`) {
		t.Errorf("err = %v", err)
	}
}

// TestSaysConfiguration: what the service says, whatever the mistakes hold.
func TestSaysConfiguration(t *testing.T) {
	c, err := loadText(t, "[host.web1]\n[check.load]\nhosts = [\"web1\"]\n[check.none]\nhosts = [\"x*\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{}
	h.config.Store(c)
	h.loaded.accept(1e6)
	f := func(err error, want alf.Status, parts ...string) {
		t.Helper()
		if err != nil {
			h.loaded.refuse(err)
		}
		status, text := h.saysConfiguration()
		if status != want {
			t.Errorf("%v: %v", err, status)
		}
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%q is without %q", text, part)
			}
		}
	}
	f(nil, alf.OK, "OK - 1 host, 2 checks, 1 service, read at 20", ", with warnings: 2|hosts=1 checks=2 services=1 time=0.001s\nwarning: ")
	f(errors.New("a.toml:1: no | such key"), alf.Warning, "WARNING - the files are not what runs, that is of 20", ": a.toml:1: no ¦ such key|hosts=1 ")
	var many []error
	for range 60 {
		many = append(many, errors.New("a.toml:1: x"))
	}
	f(errors.Join(many...), alf.Warning, "WARNING - 60 mistakes, and what runs is of 20", "\nand 10 more: alf config check")
}
