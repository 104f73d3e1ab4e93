//go:build !linux

package sshmux

import "net"

// tune does nothing: only Linux has TCP_USER_TIMEOUT.
func tune(net.Conn) {}
