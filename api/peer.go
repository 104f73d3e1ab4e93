package api

import (
	"context"
	"net"
	"net/http"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"alf/api/wire"
)

type peerKey struct{}

// ConnContext notes in ctx who is at the other end of a Unix socket, as the
// kernel tells. It is the ConnContext of an http.Server.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return ctx
	}
	cred, err := credentials(raw)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, cred)
}

func credentials(raw syscall.RawConn) (cred *unix.Ucred, err error) {
	control := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if control != nil {
		return nil, control
	}
	return cred, err
}

// peer returns the name of the user who is calling.
func peer(ctx context.Context) (string, bool) {
	cred, ok := ctx.Value(peerKey{}).(*unix.Ucred)
	if !ok {
		return "", false
	}
	return userName(cred.Uid), true
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(id)
	if err != nil {
		return "uid " + id
	}
	return u.Username
}

// knownPeer lets only those pass of whom the kernel says who they are.
func knownPeer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := r.Context().Value(peerKey{}).(*unix.Ucred); !ok {
			refuse(w, r, wire.NewError(http.StatusForbidden, "the socket does not say who is calling"))
			return
		}
		next.ServeHTTP(w, r)
	})
}
