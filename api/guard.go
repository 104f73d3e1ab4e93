package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"alf/api/wire"
)

// secure sets the headers that every answer has. A page's handler replaces the
// content security policy by its own.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

// sameHost lets only requests pass that were made for a name of this machine's
// loopback or one that is allowed. A page whose name was made to point here
// after it was loaded (DNS rebinding) still says its own name.
func sameHost(allowed []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostName(r.Host)
		own := func(name string) bool { return strings.EqualFold(hostName(name), host) }
		if !loopback(host) && !(host != "" && slices.ContainsFunc(allowed, own)) {
			refuse(w, r, wire.NewError(http.StatusMisdirectedRequest,
				"this is not %q: call it localhost, 127.0.0.1 or [::1]; a proxy must pass one of these on as Host", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName returns host without a port, brackets and the root's dot.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(host, ".")
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// sameOrigin refuses what a page of another site asks for.
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, origin := range r.Header.Values("Origin") {
			u, err := url.Parse(origin)
			if err != nil || !strings.EqualFold(u.Host, r.Host) {
				refuse(w, r, wire.NewError(http.StatusForbidden, "a page of %q may not ask this", origin))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
