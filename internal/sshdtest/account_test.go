package sshdtest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The accounts of a test that was killed are removed with their homes and processes, and those of
// tests that run are not.
func TestOrphansAreRemoved(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making accounts needs root")
	}
	living := newAccount(t, true, "/bin/sh")
	orphan := newAccount(t, true, "/bin/sh")
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	Administer(t, "", "usermod", "--comment", accountNote+strconv.Itoa(ended.Process.Pid), orphan)
	rest := exec.Command("sleep", "300")
	rest.Env = []string{"HOME=/home/" + orphan}
	if err := rest.Start(); err != nil {
		t.Fatal(err)
	}
	rules := SudoRules(orphan)
	t.Cleanup(func() { os.Remove(rules) })
	if err := os.WriteFile(rules, []byte("# nothing\n"), 0o440); err != nil {
		t.Fatal(err)
	}
	removeOrphans(t)
	if err := rest.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("its process ended with %v, want that it was killed", err)
	}
	if _, err := user.Lookup(orphan); err == nil {
		t.Error("the account is still there")
	}
	for _, file := range []string{rules, filepath.Join("/home", orphan)} {
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s is still there", file)
		}
	}
	if _, err := user.Lookup(living); err != nil {
		t.Error(err)
	}
}

// Many tests make accounts at once, and each gets its own.
func TestAccountsAtOnce(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making accounts needs root")
	}
	for i := range 6 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			name := newAccount(t, false, "/bin/sh")
			Administer(t, name+":hunter2\n", "chpasswd")
			if _, err := user.Lookup(name); err != nil {
				t.Error(err)
			}
		})
	}
}
