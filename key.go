package alf

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// HostName names a host. It may not be empty nor contain "!" or a control character.
type HostName string

// ServiceName is the description of a service, unique on its host.
type ServiceName string

// Key names what has a state: a service on a host, or, with no Service, the host itself.
type Key struct {
	Host    HostName
	Service ServiceName
}

// IsHost reports whether k names a host rather than one of its services.
func (k Key) IsHost() bool { return k.Service == "" }

// String returns "host!service", or only the host's name for a host.
func (k Key) String() string {
	if k.IsHost() {
		return string(k.Host)
	}
	return string(k.Host) + "!" + string(k.Service)
}

// Compare orders keys by host, then by service; a host comes before its services.
func (k Key) Compare(o Key) int {
	if c := cmp.Compare(k.Host, o.Host); c != 0 {
		return c
	}
	return cmp.Compare(k.Service, o.Service)
}

// ParseKey reads what [Key.String] prints. The first "!" parts host and service.
func ParseKey(s string) (Key, error) {
	host, service, found := strings.Cut(s, "!")
	k := Key{HostName(host), ServiceName(service)}
	if found && service == "" {
		return Key{}, fmt.Errorf("key %q: no service after \"!\"", s)
	}
	return k, k.Validate()
}

// Validate reports what makes k unusable as a name: an empty host, a "!" in the
// host, a control character, or more than 255 bytes in either part.
func (k Key) Validate() error {
	if k.Host == "" {
		return errors.New("host name is empty")
	}
	if strings.Contains(string(k.Host), "!") {
		return fmt.Errorf("host name %q contains \"!\"", k.Host)
	}
	return errors.Join(ValidateName("host name", string(k.Host)), ValidateName("service name", string(k.Service)))
}

// ValidateName reports what makes s unusable as the name of a thing of kind
// what: more than 255 bytes, a space at either end, a control character, or
// bytes that are not UTF-8.
func ValidateName(what, s string) error {
	const limit = 255
	if len(s) > limit {
		return fmt.Errorf("%s %q... is longer than %d bytes", what, s[:32], limit)
	}
	if s != strings.TrimSpace(s) {
		return fmt.Errorf("%s %q begins or ends with a space", what, s)
	}
	if strings.ContainsFunc(s, invisible) {
		return fmt.Errorf("%s %q contains a control character or is not UTF-8", what, s)
	}
	return nil
}

// invisible reports whether r would have to be written otherwise wherever names
// are shown, so that two names could look the same.
func invisible(r rune) bool {
	return r == '\uFFFD' || r == '\u2028' || r == '\u2029' || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}
