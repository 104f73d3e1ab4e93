package jetstream

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"alf"
)

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "=", "a", "a b", "a.b", "*", ">", "ü", "=20", "\xff\x00", "\r\n", strings.Repeat("x", longest+1)} {
		f.Add(s, "y")
	}
	f.Fuzz(func(t *testing.T, s, other string) {
		subject := keySubject(resultSubject, "2M", alf.Key{Host: alf.HostName(s), Service: alf.ServiceName(other)})
		if !server.IsValidLiteralSubject(subject) || strings.Count(subject, ".") != 4 || len(subject) > 3000 {
			t.Fatalf("%q has the subject %q", s, subject)
		}
		if got, ok := untoken(token(s)); ok != (len(s) <= longest) || ok && got != s {
			t.Fatalf("untoken(token(%q)) = %q, %v", s, got, ok)
		}
		if (token(s) == token(other)) != (s == other) {
			t.Fatalf("%q and %q have the token %q", s, other, token(s))
		}
	})
}

func TestNewEnough(t *testing.T) {
	for version, want := range map[string]bool{
		"2.14.0": true, "2.15.2": true, "3.0.0-beta": true, "10.1": true,
		"2.9.10": false, "2.13.9": false, "1.99.0": false, "": false, "next": false,
	} {
		if err := newEnough(version); (err == nil) != want {
			t.Errorf("newEnough(%q) = %v, want ok %v", version, err, want)
		}
	}
}

func TestBreaks(t *testing.T) {
	for text, want := range map[string]bool{
		"JetStream stream '$G > ALF_FEED' critical write error: write /x: no space left on device": true,
		"JetStream out of file resources, will be DISABLED":                                        true,
		"Filesystem permission denied while writing msg, disabling JetStream: x":                   true,
		"Error processing inbound source":                                                          false,
	} {
		if breaks(text) != want {
			t.Errorf("breaks(%q) = %v", text, !want)
		}
	}
}
