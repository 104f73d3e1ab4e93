package main

import (
	"testing"

	"alf/api/wire"
)

// TestDelivery: what became of a notification, in words.
func TestDelivery(t *testing.T) {
	f := func(d wire.NoticeDelivery, want string) {
		t.Helper()
		if got := delivery(d); got != want {
			t.Errorf("delivery(%+v) = %q, want %q", d, got, want)
		}
	}
	f(wire.NoticeDelivery{Result: "delivered", Attempts: 1}, "delivered")
	f(wire.NoticeDelivery{Result: "delivered", Attempts: 2, Error: "no such mailbox"}, "delivered after 2 attempts, but not everywhere: no such mailbox")
	f(wire.NoticeDelivery{Result: "failed", Attempts: 1, Error: "404"}, "failed: 404")
}
