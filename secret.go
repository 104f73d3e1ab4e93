package alf

import "log/slog"

// Secret is a string that prints, logs and marshals as "<secret>". The text is
// had only by converting it: string(s).
type Secret string

// Redacted is what stands where a secret would.
const Redacted = "<secret>"

// String returns Redacted, or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Redacted
}

// GoString returns what String does, so that %#v tells nothing.
func (s Secret) GoString() string { return s.String() }

// LogValue makes slog print what String does.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText makes JSON, XML and TOML print what String does.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
