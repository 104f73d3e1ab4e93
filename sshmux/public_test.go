package sshmux

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alf/internal/sshdtest"
)

func TestPublicKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keygen := func(name string, args ...string) (file, public string) {
		t.Helper()
		file = filepath.Join(dir, name)
		out, err := exec.Command("ssh-keygen", append([]string{"-q", "-f", file, "-C", "", "-t", "rsa", "-b", "2048"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
		return file, strings.TrimSpace(textOf(t, file+".pub"))
	}
	plain, one := keygen("plain", "-N", "")
	sealed, two := keygen("sealed", "-N", "secret")
	old, three := keygen("old", "-N", "secret", "-m", "PEM")
	socket, key := keyring(t)
	m := newMux(t, Options{})
	f := func(target Target, fails string, want ...string) {
		t.Helper()
		got, err := m.PublicKeys(t.Context(), target)
		if !slices.Equal(got, want) || (err != nil) != (fails != "") || err != nil && !strings.Contains(err.Error(), fails) {
			t.Errorf("PublicKeys(%q) = %q, %v, want %q, %q", target.IdentityFiles, got, err, want, fails)
		}
	}
	f(Target{IdentityFiles: []string{plain, sealed, old}}, "", one, two, three)
	f(Target{IdentityFiles: []string{plain}, Agent: true, AgentSocket: socket}, "", one, sshdtest.AuthorizedKey(key))
	for _, file := range []string{plain, sealed, old} {
		if err := os.Remove(file + ".pub"); err != nil {
			t.Fatal(err)
		}
	}
	f(Target{IdentityFiles: []string{plain, sealed, old}}, "identity file "+old, one, two)
	f(Target{IdentityFiles: []string{old}, Passphrase: "secret"}, "", three)
	f(Target{IdentityFiles: []string{filepath.Join(dir, "none")}}, "none: no such file")
	f(Target{Password: "x"}, "no key is configured")
}
