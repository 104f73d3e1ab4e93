package perfdata

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// checkScan compares scan with strconv for a number that both know.
func checkScan(t interface{ Fatalf(string, ...any) }, s string) {
	want, _ := strconv.ParseFloat(s, 64)
	got, size := scan(s)
	if size != len(s) || math.Float64bits(got) != math.Float64bits(want) {
		t.Fatalf("scan(%q) = %v, %d, want %v, %d", s, got, size, want, len(s))
	}
}

func TestScanIsParseFloat(t *testing.T) {
	for _, s := range []string{
		"0", "-0", "+0", "1", "-1", "1.", ".1", "-.5", "5e3", "5E+3", "5e-3", "1.e5",
		"9007199254740991", "9007199254740992", "9007199254740993", "9007199254740993.0",
		"18446744073709551615", "18446744073709551616", "18446744072660975616", "99999999999999999999",
		"1e22", "1e23", "1e-22", "1e-23", "123456789012345678e5", "0.1", "0.3", "2.2250738585072011e-308",
		"4.9e-324", "1e-999", "1e999", "-1e999", "1e99999999999999999999", "1e-99999999999999999999",
		"0.000000000000000000000000001", "00000000000000000000000000012", "179769313486231570000000000000000000",
		"1." + strings.Repeat("0", 400) + "1", strings.Repeat("9", 400),
	} {
		checkScan(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		checkScan(t, rapid.StringMatching(`[+-]?([0-9]{1,22}(\.[0-9]{0,22})?|\.[0-9]{1,22})([eE][+-]?[0-9]{1,3})?`).Draw(t, "number"))
	})
	rapid.Check(t, func(t *rapid.T) {
		checkScan(t, strconv.FormatFloat(rapid.Float64Range(-1e18, 1e18).Draw(t, "v"),
			rapid.SampledFrom([]byte("feg")).Draw(t, "format"), rapid.IntRange(-1, 17).Draw(t, "precision"), 64))
	})
}

func TestScan(t *testing.T) {
	f := func(s string, want float64, size int) {
		t.Helper()
		if got, n := scan(s); got != want || n != size {
			t.Errorf("scan(%q) = %v, %d, want %v, %d", s, got, n, want, size)
		}
	}
	f("", 0, 0)
	f("-", 0, 0)
	f(".", 0, 0)
	f("e5", 0, 0)
	f(",5", 0, 0)
	f("inf", 0, 0)
	f("5e", 5, 1)
	f("5e+", 5, 1)
	f("5e+x", 5, 1)
	f("5EB", 5, 1)
	f("5e3B", 5000, 3)
	f("5ms", 5, 1)
	f("1,5", 1.5, 3)
	f("1,50000000000000000000000001", 1.5, 28)
	f("1,5e3", 1500, 5)
	f("1,", 1, 1)
	f("1,x", 1, 1)
	f("1,2,3", 1.2, 3)
	f("1.5,7", 1.5, 3)
	f("0x1", 0, 1)
	f("1_0", 1, 1)
}

func TestNumberString(t *testing.T) {
	f := func(n Number, want string) {
		t.Helper()
		if got := n.String(); got != want {
			t.Errorf("%#v: String() = %q, want %q", n, got, want)
		}
	}
	f(Number{}, "")
	f(num(0), "0")
	f(num(270552530944), "270552530944")
	f(num(-.000155), "-0.000155")
	f(num(1e20), "100000000000000000000")
	f(num(1e21), "1e+21")
	f(num(1e-7), "1e-07")
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "v")
		if got, reason := parseNumber(num(v).String(), ""); reason != "" || got != num(v) {
			t.Fatalf("parseNumber(%q) = %v, %q, want %v", num(v), got, reason, v)
		}
	})
}
