package config

import (
	"fmt"
	"net"
	"strconv"
)

// Web is what [web] says: where pages and API are served besides the socket.
type Web struct {
	Listen       string   // host:port; "": nowhere
	AllowedHosts []string // names, besides those of loopback, by which it may be called
}

var defaultWeb = Web{Listen: "127.0.0.1:5690"}

func (w *Web) keys(*loader) keys {
	return keys{
		"listen":        to(&w.Listen, listenAddress),
		"allowed_hosts": to(&w.AllowedHosts, listOf(readAllowedHost)),
	}
}

func (w *Web) loaded(*loader, bool) {}

// listenAddress reads an address that only this machine can reach: nobody is
// asked for a key there.
func listenAddress(v value) (string, error) {
	s, err := text(v)
	if err != nil || s == "" || s == "none" {
		return "", err
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf(`%q is no address such as "127.0.0.1:5690", nor "none"`, s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q: port %q is not between 0 and 65535", s, port)
	}
	if host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return "", fmt.Errorf("%q can be reached from other machines, and nobody would be asked for a key; "+
			"listen on 127.0.0.1, [::1] or localhost, and let a proxy or an SSH tunnel lead there", s)
	}
	return s, nil
}
