package wire

import (
	"net/url"
	"strings"

	"alf"
)

// Path returns where a host or service stands under /api/v1/, and among the
// pages under /: hosts/web1, services/web1/disk%20%2F.
func Path(key alf.Key) string {
	host := segment(string(key.Host))
	if key.IsHost() {
		return "hosts/" + host
	}
	return "services/" + host + "/" + segment(string(key.Service))
}

// segment escapes one part of a path. Dots alone would walk up and down in it.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}
