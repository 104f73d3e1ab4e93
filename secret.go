package alf

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a string that prints, logs and marshals as "<secret>". The text is
// had only by converting it: string(s). Keep it in exported fields: package fmt
// asks no methods of what lies in others.
type Secret string

// Format makes every verb of package fmt print what String returns.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// Redacted is what stands where a secret would.
const Redacted = "<secret>"

// String returns Redacted, or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Redacted
}

// LogValue makes slog print what String does.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText makes JSON, XML and TOML print what String does.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
