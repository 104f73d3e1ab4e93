package perfdata

import (
	"math"
	"strconv"
	"strings"
)

// Number is a number that may be missing. A number that is set is finite.
type Number struct {
	V   float64 // 0 if not set
	Set bool    // false: missing or, for a value, U
}

// String prints n in the shortest form that reads back as n; empty if not set.
func (n Number) String() string {
	return string(n.append(nil))
}

func (n Number) append(b []byte) []byte {
	if !n.Set {
		return b
	}
	return appendFloat(b, n.V)
}

// appendFloat appends v without an exponent where that is readable, because
// many readers of performance data know none.
func appendFloat(b []byte, v float64) []byte {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// parseValue reads a value with its unit (RULES G2, G3). A U may have a unit if
// it is a known one.
func parseValue(s string) (n Number, uom, reason string) {
	v, size := scan(s)
	if size == 0 {
		if rest, ok := strings.CutPrefix(s, "U"); ok && known(rest) {
			return Number{}, rest, ""
		}
		return Number{}, "", noNumber(s)
	}
	if math.IsInf(v, 0) {
		return Number{}, "", "number is too large"
	}
	if uom = s[size:]; !isUnit(uom) {
		return Number{}, "", "what follows the number is no unit"
	}
	return Number{v, true}, uom, ""
}

// parseNumber reads a number that may be followed by uom and nothing else.
func parseNumber(s, uom string) (n Number, reason string) {
	v, size := scan(s)
	switch {
	case size == 0:
		return Number{}, noNumber(s)
	case math.IsInf(v, 0):
		return Number{}, "number is too large"
	case size < len(s) && s[size:] != uom:
		return Number{}, "not a number"
	}
	return Number{v, true}, ""
}

// noNumber says why s, which does not begin with a number, is none.
func noNumber(s string) string {
	if s == "" {
		return "no number"
	}
	word := s[skipSign(s):]
	word = word[:min(len(word), len("inf"))]
	if strings.EqualFold(word, "inf") || strings.EqualFold(word, "nan") {
		return "not a finite number"
	}
	return "not a number"
}

// isUnit says whether s may be a unit: it has no digit, no quote and nothing
// that belongs to another number or a range.
func isUnit(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '.', ',', ':', '@', '~', '=', '\'', '"':
			return false
		}
	}
	return len(s) <= MaxUOM
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// scan reads the decimal number that s begins with and says how many bytes it
// takes: 0 if there is none. A number that is too large is infinite. The result
// is the one of strconv.ParseFloat, which is asked only when the short way, an
// exact mantissa times an exact power of ten, is not open.
func scan(s string) (v float64, size int) {
	first := skipSign(s)
	m, i := scanDigits(s, first, 0)
	digits, exp := i-first, 0
	comma := digits > 0 && i+1 < len(s) && s[i] == ',' && isDigit(s[i+1])
	if comma || i < len(s) && s[i] == '.' {
		point := i + 1
		m, i = scanDigits(s, point, m)
		exp = point - i
		digits -= exp
	}
	if digits == 0 {
		return 0, 0
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		e, n := scanExponent(s[i:])
		exp += e
		i += n
	}
	const maxDigits = 19 // more could overflow m
	if digits > maxDigits || m>>53 != 0 || exp < -maxExact || exp > maxExact {
		return scanLong(s[:i], comma), i
	}
	v = float64(m)
	if exp < 0 {
		v /= pow10[-exp]
	} else {
		v *= pow10[exp]
	}
	if s[0] == '-' {
		v = -v
	}
	return v, i
}

// skipSign is the length of the sign that s begins with.
func skipSign(s string) int {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return 1
	}
	return 0
}

// scanDigits appends the digits of s from i on to the number m.
func scanDigits(s string, i int, m uint64) (uint64, int) {
	for ; i < len(s) && isDigit(s[i]); i++ {
		m = m*10 + uint64(s[i]-'0')
	}
	return m, i
}

// scanExponent reads the exponent that s begins with, its e included. An e
// without digits is none; it belongs to a unit.
func scanExponent(s string) (e, size int) {
	sign := skipSign(s[1:])
	first := 1 + sign
	i := first
	for ; i < len(s) && isDigit(s[i]); i++ {
		e = min(e*10+int(s[i]-'0'), 10_000)
	}
	if i == first {
		return 0, 0
	}
	if s[1] == '-' {
		e = -e
	}
	return e, i
}

// scanLong reads a number of which scan has checked the form.
func scanLong(s string, comma bool) float64 {
	if comma {
		s = strings.Replace(s, ",", ".", 1)
	}
	// The only possible error is that of the range, and then v is infinite.
	v, _ := strconv.ParseFloat(s, 64)
	return v
}

// maxExact is the largest n of which 10ⁿ is exact in a float64.
const maxExact = 22

var pow10 = [maxExact + 1]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}
