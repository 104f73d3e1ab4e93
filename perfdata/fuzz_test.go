package perfdata

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// seeds are texts that reach the odd corners.
var seeds = append([]string{
	"", "OK", "OK - fine|a=1", "OK | 'a b'=1.5ms;10:20;@~:5;0;100 b=U;;;; \nlong\nmore | c=5,5B, d=3\ne=1",
	"'it''s'=1 x::y::z=2 w=3 'q=1 'r'=2 s = 5", "a=1e400 b=nan c=1;2;x;;;9;;", "\x00\xff|\xfe='\r\n'",
	"a=" + strings.Repeat("9", 30) + "e-10,b=1,234,5", "a=Us;1 b=-0;-0:5;~:~;@:",
}, hostile...)

func FuzzSplit(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, 10)
		f.Add(s, 0)
	}
	for _, r := range corpus(f) {
		f.Add(r.output, 100)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		o := Split(s, limit)
		if limit <= 0 {
			limit = DefaultLimit
		}
		const mark = len("\n[... 9223372036854775807 bytes cut]")
		if n := len(o.Text) + len(o.Long) + len(o.Perfdata); n > limit && (o.Cut == 0 || n-mark > limit) {
			t.Errorf("%d bytes kept of limit %d, %d cut", n, limit, o.Cut)
		}
		for _, part := range []string{o.Text, o.Long, o.Perfdata} {
			if !utf8.ValidString(part) || strings.ContainsRune(part, 0) {
				t.Errorf("%q is not repaired", part)
			}
		}
		if strings.Contains(o.Text, "\n") {
			t.Errorf("line break in %+v", o)
		}
		if o.Cut > 0 && !strings.HasSuffix(o.Text+o.Long, " bytes cut]") {
			t.Errorf("cut %d bytes without a mark: %+v", o.Cut, o)
		}
		// The limit drops data; it never changes one.
		whole, _ := Parse(Split(s, len(s)*3+1).Perfdata)
		if kept, _ := Parse(o.Perfdata); !slices.Equal(kept, whole[:min(len(kept), len(whole))]) {
			t.Errorf("data %v, want the first of %v", kept, whole)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	for _, r := range corpus(f) {
		f.Add(Split(r.output, 0).Perfdata)
	}
	f.Fuzz(func(t *testing.T, s string) {
		data, err := Parse(s)
		if n := strings.Count(s, "="); len(data) > n || len(data) > MaxData {
			t.Fatalf("%d data of %d '='", len(data), n)
		}
		for _, d := range data {
			if len(d.Label) > MaxLabel || isBlank(d.Label) {
				t.Errorf("label %q", d.Label)
			}
			if again, err := Parse(d.String()); err != nil || len(again) != 1 || again[0] != d {
				t.Errorf("Parse(%q) = %+v, %v, want %+v", d, again, err, d)
			}
			if base := d.Base(); base.Base() != base {
				t.Errorf("%v: base %v is not a base", d, base)
			}
		}
		list := pieces(err)
		if len(list) > MaxErrors+2 {
			t.Errorf("%d errors", len(list))
		}
		for _, err := range list {
			var p *PieceError
			if errors.As(err, &p) && (p.Offset < 0 || p.Offset > len(s) || len(p.Piece) > 100 ||
				!strings.HasPrefix(s[p.Offset:], strings.TrimSuffix(p.Piece, "…"))) {
				t.Errorf("error %v is not of the text", err)
			}
		}
		if len(data) == 0 && err == nil && strings.Trim(s, " \t\r\n\v\f|,;") != "" {
			t.Errorf("%q gives neither data nor an error", s)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"10", "10:", "~:10", "10:20", "@10:20", "-5:-1", "1e3:", ":", "@", "~", "1,5:2,5", "20:10", "inf", "5:~"} {
		f.Add(s, 1.0)
	}
	f.Fuzz(func(t *testing.T, s string, v float64) {
		r, err := ParseRange(s)
		if (err == nil) != r.Set {
			t.Fatalf("ParseRange(%q) = %+v, %v", s, r, err)
		}
		if err != nil {
			return
		}
		if !(r.Start <= r.End) {
			t.Errorf("ParseRange(%q) = %+v ends before it starts", s, r)
		}
		again, err := ParseRange(r.String())
		if err != nil || again != r {
			t.Errorf("ParseRange(%q) = %+v, %v, want %+v", r, again, err, r)
		}
		if r.Alerts(v) != again.Alerts(v) {
			t.Errorf("%v and %v differ at %v", r, again, v)
		}
	})
}
