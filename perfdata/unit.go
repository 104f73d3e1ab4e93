package perfdata

import "math"

// Base is d in base units: value, warn, crit, min and max are scaled together,
// and UOM is the name of the base unit. The names and factors are those of
// Icinga (RULES G3), so decimal prefixes are powers of 1000:
//
//	seconds              ns us ms s m h d
//	bytes, bits          B KB MB … and KiB MiB …; b kb mb … and Kib …
//	percent              %, not divided by 100
//	counter              c (Icinga: no unit, and a mark)
//	amperes volts watts ohms, ampere-seconds, watt-hours
//	degrees-celsius degrees-fahrenheit degrees-kelvin
//	grams liters lumens decibel-milliwatts packets
//
// Before B and b the case of a prefix does not matter (mB is MB); before A, V,
// W and O, m is milli and M is mega. m alone is minutes. In the data that
// Windows tools print, Gb is often meant to be GB; here, as in Icinga, it is
// gigabits.
//
// A unit that is not known is dropped and the numbers stay as they are. A
// number that becomes too large is no longer set, and a bound that does is the
// largest number. Base of Base is the same datum.
func (d Datum) Base() Datum {
	u, _ := lookup(d.UOM)
	d.UOM = u.name
	d.Value, d.Min, d.Max = u.number(d.Value), u.number(d.Min), u.number(d.Max)
	d.Warn, d.Crit = u.bounds(d.Warn), u.bounds(d.Crit)
	return d
}

// unit is a unit of measurement: v of it is v*mul/div of the base unit name.
// Two factors, because dividing by 1000 is exact where multiplying by 0.001 is
// not.
type unit struct {
	name     string
	mul, div float64
}

func (u unit) number(n Number) Number {
	v := n.V * u.mul / u.div
	if !n.Set || math.IsInf(v, 0) {
		return Number{}
	}
	return Number{v, true}
}

func (u unit) bounds(r Range) Range {
	r.Start, r.End = u.bound(r.Start), u.bound(r.End)
	return r
}

// bound scales one end of a range. Only an open end is infinite.
func (u unit) bound(v float64) float64 {
	if math.IsInf(v, 0) {
		return v
	}
	return min(max(v*u.mul/u.div, -math.MaxFloat64), math.MaxFloat64)
}

// known says whether uom is a unit that Base scales.
func known(uom string) bool {
	_, ok := lookup(uom)
	return ok
}

// lookup finds a unit. For an unknown one it returns the unit without a name,
// which scales nothing.
func lookup(uom string) (u unit, ok bool) {
	if u, ok = lookupNamed(uom); ok {
		return u, true
	}
	if u, ok = lookupData(uom); ok {
		return u, true
	}
	if u, ok = lookupElectric(uom); ok {
		return u, true
	}
	if u, ok = lookupFolded(uom); ok {
		return u, true
	}
	return unit{"", 1, 1}, false
}

// lookupNamed knows the units that have one spelling, and the names of the base
// units themselves.
func lookupNamed(uom string) (unit, bool) {
	switch uom {
	case "%":
		return unit{"percent", 1, 1}, true
	case "c":
		return unit{"counter", 1, 1}, true
	case "C":
		return unit{"degrees-celsius", 1, 1}, true
	case "", "seconds", "bytes", "bits", "percent", "counter",
		"amperes", "volts", "watts", "ohms", "ampere-seconds", "watt-hours",
		"degrees-celsius", "degrees-fahrenheit", "degrees-kelvin",
		"grams", "liters", "lumens", "decibel-milliwatts", "packets":
		return unit{uom, 1, 1}, true
	}
	return unit{}, false
}

// lookupData knows bits and bytes: [prefix[i]]b and [prefix[i]]B.
func lookupData(uom string) (unit, bool) {
	n := len(uom)
	if n == 0 || n > 3 {
		return unit{}, false
	}
	u := unit{"bytes", 1, 1}
	switch uom[n-1] {
	case 'B':
	case 'b':
		u.name = "bits"
	default:
		return unit{}, false
	}
	if n == 1 {
		return u, true
	}
	power := prefixPower(uom[0])
	if uom[0] == 'm' {
		power = 2
	}
	if power < 1 || n == 3 && lower(uom[1]) != 'i' {
		return unit{}, false
	}
	if n == 3 {
		u.mul = math.Ldexp(1, 10*power)
	} else {
		u.mul = pow1000(power)
	}
	return u, true
}

// lookupElectric knows amperes, ohms, volts and watts, alone or, for amperes
// and watts, times seconds, minutes or hours: [prefix](A|O|V|W)[s|m|h].
func lookupElectric(uom string) (unit, bool) {
	rest, seconds := cutTime(uom)
	n := len(rest)
	if n == 0 || n > 2 {
		return unit{}, false
	}
	u, ok := electric(lower(rest[n-1]), seconds)
	if !ok || n == 1 {
		return u, ok
	}
	power := prefixPower(rest[0])
	if power > 0 {
		u.mul *= pow1000(power)
	} else {
		u.div *= pow1000(-power)
	}
	return u, power != 0
}

// cutTime cuts the s, m or h off a unit of charge or energy and says how many
// seconds it means; 0 if it is not such a unit.
func cutTime(uom string) (rest string, seconds float64) {
	n := len(uom)
	if n < 2 || lower(uom[n-2]) != 'a' && lower(uom[n-2]) != 'w' {
		return uom, 0
	}
	switch lower(uom[n-1]) {
	case 's':
		return uom[:n-1], 1
	case 'm':
		return uom[:n-1], 60
	case 'h':
		return uom[:n-1], 3600
	}
	return uom, 0
}

// electric is the unit that a small letter stands for, times seconds if that is
// not 0.
func electric(letter byte, seconds float64) (unit, bool) {
	switch {
	case letter == 'a' && seconds > 0:
		return unit{"ampere-seconds", seconds, 1}, true
	case letter == 'w' && seconds > 0:
		return unit{"watt-hours", 1, 3600 / seconds}, true
	case letter == 'a':
		return unit{"amperes", 1, 1}, true
	case letter == 'o':
		return unit{"ohms", 1, 1}, true
	case letter == 'v':
		return unit{"volts", 1, 1}, true
	case letter == 'w':
		return unit{"watts", 1, 1}, true
	}
	return unit{}, false
}

// folded are the units whose case does not matter, in small letters.
var folded = map[string]unit{
	"ns": {"seconds", 1, 1e9}, "us": {"seconds", 1, 1e6}, "ms": {"seconds", 1, 1e3},
	"s": {"seconds", 1, 1}, "m": {"seconds", 60, 1}, "h": {"seconds", 3600, 1}, "d": {"seconds", 86400, 1},

	"ng": {"grams", 1, 1e9}, "ug": {"grams", 1, 1e6}, "mg": {"grams", 1, 1e3},
	"g": {"grams", 1, 1}, "kg": {"grams", 1e3, 1}, "t": {"grams", 1e6, 1},

	"ml": {"liters", 1, 1e3}, "l": {"liters", 1, 1}, "hl": {"liters", 100, 1},

	"packets": {"packets", 1, 1},
	"lm":      {"lumens", 1, 1},
	"dbm":     {"decibel-milliwatts", 1, 1},
	"f":       {"degrees-fahrenheit", 1, 1},
	"k":       {"degrees-kelvin", 1, 1},
}

// lookupFolded knows the units in folded.
func lookupFolded(uom string) (unit, bool) {
	var small [len("packets")]byte
	if len(uom) > len(small) {
		return unit{}, false
	}
	for i := range len(uom) {
		small[i] = lower(uom[i])
	}
	u, ok := folded[string(small[:len(uom)])]
	return u, ok
}

// prefixPower is the power of 1000 that a prefix stands for, 0 if it is none.
// Only m and M differ by their case.
func prefixPower(c byte) int {
	switch c {
	case 'm':
		return -1
	case 'M':
		return 2
	}
	switch lower(c) {
	case 'n':
		return -3
	case 'u':
		return -2
	case 'k':
		return 1
	case 'g':
		return 3
	case 't':
		return 4
	case 'p':
		return 5
	case 'e':
		return 6
	case 'z':
		return 7
	case 'y':
		return 8
	}
	return 0
}

func pow1000(n int) float64 {
	return [...]float64{1, 1e3, 1e6, 1e9, 1e12, 1e15, 1e18, 1e21, 1e24}[n]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
