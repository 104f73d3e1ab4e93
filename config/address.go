package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// readAddress reads where a host is: a name or an IP address.
func readAddress(v value) (string, error) {
	return hostOnly(v, "the port belongs into ssh.port")
}

// readAllowedHost reads a name by which the pages may be asked for.
func readAllowedHost(v value) (string, error) {
	return hostOnly(v, "leave the port out")
}

// hostOnly reads a name or an IP address without anything around it. aboutPort is
// what to say to a port.
func hostOnly(v value, aboutPort string) (string, error) {
	s, err := word(v)
	if err != nil || isHostName(s) {
		return s, err
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return s, nil
	}
	hint := ""
	if inner := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"); len(inner) == len(s)-2 {
		hint = ": leave the brackets out"
	} else if host, port, err := net.SplitHostPort(s); err == nil && host != "" && strings.Trim(port, digits) == "" {
		hint = ": " + aboutPort
	}
	return "", fmt.Errorf("%q is neither a host name nor an IP address%s", s, hint)
}

const (
	maxHostName = 253
	maxLabel    = 63
)

// isHostName reports whether a resolver could know s. Underscores are no part of
// host names, but are found in them.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > maxHostName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, nameLetters+"-") != "" {
			return false
		}
	}
	return true
}
