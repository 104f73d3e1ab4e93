package sshmux

import "testing"

// Who asks before and who asks after see the same.
func TestLatch(t *testing.T) {
	isClosed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	var early, late latch
	before := early.whenShut()
	if early.isShut() || isClosed(before) {
		t.Error("shut before it was")
	}
	early.shut()
	late.shut()
	if !early.isShut() || !isClosed(before) || !isClosed(early.whenShut()) {
		t.Error("asked before: not shut")
	}
	if !late.isShut() || !isClosed(late.whenShut()) || !isClosed(late.whenShut()) {
		t.Error("asked after: not shut")
	}
}
