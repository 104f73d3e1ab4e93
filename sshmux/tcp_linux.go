package sshmux

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout is how long sent bytes may stay unacknowledged until the kernel gives a
// connection up. The kernel's own limit is about a quarter of an hour.
const userTimeout = 20 * time.Second

// tune sets userTimeout on a TCP connection. It is a bonus: where it cannot be had, the
// keepalives find the loss a little later.
func tune(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
}
