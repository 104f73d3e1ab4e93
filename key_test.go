package alf

import "testing"

func TestKey(t *testing.T) {
	f := func(s string, want Key) {
		t.Helper()
		got, err := ParseKey(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("ParseKey(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	f("web1", Key{Host: "web1"})
	f("web1!disk /", Key{"web1", "disk /"})
	f("web1!a!b", Key{"web1", "a!b"})
	for _, bad := range []string{"", "!a", "web1!", " web1", "web1!a ", "web1!a\nb", "web1!\x1b[0m", "a\u202eb", "a\u0085b", "web\xff"} {
		if k, err := ParseKey(bad); err == nil {
			t.Errorf("ParseKey(%q) = %v, want an error", bad, k)
		}
	}
}
