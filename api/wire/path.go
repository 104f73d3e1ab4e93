package wire

import (
	"net/url"
	"strings"
	"time"

	"alf"
)

// Path returns where a host or service stands under /api/v1/, and among the
// pages under /: hosts/web1, services/web1/disk%20%2F.
func Path(key alf.Key) string {
	if key.IsHost() {
		return "hosts/" + Names(key)
	}
	return "services/" + Names(key)
}

// ExplainPath returns where, under /api/v1/, the explanation of the state of key
// at that time stands; the zero time is now.
func ExplainPath(key alf.Key, at time.Time) string {
	path := "explain/" + Names(key)
	if at.IsZero() {
		return path
	}
	return path + "?at=" + url.QueryEscape(at.UTC().Format(time.RFC3339Nano))
}

// Names returns the names in key as parts of a path: web1, web1/disk%20%2F.
func Names(key alf.Key) string {
	host := segment(string(key.Host))
	if key.IsHost() {
		return host
	}
	return host + "/" + segment(string(key.Service))
}

// segment escapes one part of a path. Dots alone would walk up and down in it.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}
