package jetstream

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"alf"
)

// Names of hosts and services may hold anything; subjects may not. A space is
// refused, a dot makes a level, "*" and ">" are taken for wildcards. So each
// byte that is not a letter, a digit, "-" or "_" is written as "=" and two
// hexadecimal digits, and an empty name as "=". A subject has at most 4 KB, so a
// very long name is written as "=x" and a checksum, which no
// other name can look like.

const longest = 400 // bytes of a name that is written in full

const hexDigits = "0123456789ABCDEF"

// token returns name as one level of a subject.
func token(name string) string {
	if name == "" {
		return "="
	}
	if len(name) > longest {
		sum := sha256.Sum256([]byte(name))
		return "=x" + hex.EncodeToString(sum[:])
	}
	if strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 || !plain(byte(r)) }) < 0 {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// untoken returns the name that token wrote; false: it did not, or it was too
// long.
func untoken(s string) (string, bool) {
	if s == "=" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case plain(s[i]):
			b.WriteByte(s[i])
		case s[i] == '=' && i+2 < len(s):
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

func plain(c byte) bool {
	return c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// The subjects. Everything of Alf's begins with "alf.".
const (
	feedSubject   = "alf.feed"
	placeSubject  = "alf.place."
	resultSubject = "alf.result."
	tickSubject   = "alf.tick."
	logSubject    = "alf.log."
	docSubject    = "alf.doc."
	ledgerSubject = "alf.ledger."
)

// keySubject returns the subject of key's events of one kind in one class.
func keySubject(kind, class string, key alf.Key) string {
	return kind + class + "." + token(string(key.Host)) + "." + token(string(key.Service))
}
