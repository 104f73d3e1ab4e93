package api

import (
	"os/user"
	"testing"
)

func TestUserName(t *testing.T) {
	f := func(uid uint32, want string) {
		t.Helper()
		if got := userName(uid); got != want {
			t.Errorf("userName(%d) = %q, want %q", uid, got, want)
		}
	}
	root, err := user.LookupId("0")
	if err != nil {
		t.Fatal(err)
	}
	f(0, root.Username)
	f(4_000_000_000, "uid 4000000000")
}
