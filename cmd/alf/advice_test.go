package main

import (
	"errors"
	"strings"
	"testing"

	"alf"
	"alf/sshmux"
)

// Who logs in with a password is not told to look for a key.
func TestAdviceOnLogins(t *testing.T) {
	refused := sshmux.Step{Name: "auth", Err: &sshmux.Error{Kind: sshmux.Auth, Phase: sshmux.PhaseAuth, Err: errors.New("refused")}}
	f := func(name string, ssh alf.SSH, want string) {
		t.Helper()
		ssh.User = "monitor"
		if got := advice(&alf.Host{Name: "web1", SSH: ssh}, refused); !strings.HasPrefix(got, want) {
			t.Errorf("%s: advice = %q, want %q", name, got, want)
		}
	}
	f("key", alf.SSH{IdentityFiles: []string{"id"}}, "see that the key stands in ~monitor/.ssh/authorized_keys")
	f("agent", alf.SSH{Agent: true}, "see that the key stands in ~monitor/.ssh/authorized_keys")
	f("password", alf.SSH{}, "see that password is that of monitor")
}
