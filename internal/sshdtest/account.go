package sshdtest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	// accountPrefix begins the names of the accounts that a test makes for itself.
	accountPrefix = "alf-t-"
	// accountNote is the comment of such an account in front of the PID of the test that made it.
	accountNote = "Alf test of process "
	// accountLock is held by who changes accounts: of two at once, one may fail.
	accountLock = "/run/alf-sshdtest.lock"
)

// newAccount makes an account of the test's own, which nobody else uses, with or without a home,
// by useradd with these further arguments. It is removed at the end, or by a later test if this
// one is killed.
func newAccount(t testing.TB, home bool, shell string, further ...string) string {
	t.Helper()
	removeOrphans(t)
	name := accountPrefix + strings.ToLower(rand.Text()[:8])
	// The password "*" fits nothing, while useradd's default "!" locks the account for keys, too.
	args := []string{"useradd", "--system", "--shell", shell, "--password", "*", "--comment", accountNote + strconv.Itoa(os.Getpid())}
	if home {
		args = append(args, "--create-home", "--home-dir", filepath.Join("/home", name))
	} else {
		args = append(args, "--no-create-home", "--home-dir", "/")
	}
	t.Cleanup(func() { removeAccount(t, name) })
	Administer(t, "", append(append(args, further...), name)...)
	return name
}

// removeAccount removes an account with its home and group.
func removeAccount(t testing.TB, name string) {
	t.Helper()
	var out []byte
	if !soon(func() bool {
		if unlock := lockAccounts(t); unlock != nil {
			out, _ = exec.Command("userdel", "--force", name).CombinedOutput()
			unlock()
		}
		_, err := user.Lookup(name)
		return err != nil
	}) {
		t.Errorf("remove account %s: %s", name, out)
	}
	// Not by userdel, which takes a home for its own only if nothing of the account is alive.
	if err := os.RemoveAll(filepath.Join("/home", name)); err != nil {
		t.Error(err)
	}
}

// Administer runs a program that changes the accounts of the machine, with this standard input.
// Those of other tests wait meanwhile, and it waits for others that do the same.
func Administer(t testing.TB, in string, args ...string) {
	t.Helper()
	var out []byte
	var err error
	Await(t, fmt.Sprintf("%q", args), func() bool {
		unlock := lockAccounts(t)
		if unlock == nil {
			return false
		}
		defer unlock()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = strings.NewReader(in)
		out, err = cmd.CombinedOutput()
		return err == nil || !lockedOut(out)
	})
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
}

// lockedOut reports whether a program has failed for a lock that another one than a test holds.
func lockedOut(out []byte) bool { return bytes.Contains(out, []byte("lock /etc/")) }

// lockAccounts takes accountLock and returns what gives it back, or nil if it is taken.
func lockAccounts(t testing.TB) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(accountLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Errorf("lock the accounts: %v", err)
		return nil
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	return func() { f.Close() }
}

// removeOrphans removes the accounts of tests that were killed, with what they have left.
func removeOrphans(t testing.TB) {
	t.Helper()
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(passwd)) {
		f := strings.Split(line, ":")
		if len(f) < 7 || !strings.HasPrefix(f[0], accountPrefix) || !strings.HasPrefix(f[4], accountNote) {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimPrefix(f[4], accountNote))
		if err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		for _, p := range processes() {
			if p.has("HOME=/home/" + f[0]) {
				syscall.Kill(p.pid, syscall.SIGKILL)
			}
		}
		os.Remove(SudoRules(f[0]))
		removeAccount(t, f[0])
	}
}

// SudoRules returns the file for the rules of sudo that are an account's. Who writes it removes
// it.
func SudoRules(name string) string { return filepath.Join("/etc/sudoers.d", name) }
