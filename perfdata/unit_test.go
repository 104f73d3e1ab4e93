package perfdata

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// icinga is Icinga's table of units, built as lib/base/perfdatavalue.cpp of
// Icinga 2.16 builds it; for c, the unit is counter. The second table is the one
// whose case does not matter.
func icinga() (exact, folded map[string]unit) {
	exact = map[string]unit{"": {"", 1, 1}, "%": {"percent", 1, 1}, "c": {"counter", 1, 1}, "C": {"degrees-celsius", 1, 1},
		"b": {"bits", 1, 1}, "B": {"bytes", 1, 1}}
	powers := map[string]float64{"k": 1, "K": 1, "g": 3, "G": 3, "t": 4, "T": 4, "p": 5, "P": 5, "e": 6, "E": 6, "z": 7, "Z": 7, "y": 8, "Y": 8}
	scaled := func(name string, power float64) unit {
		if power < 0 {
			return unit{name, 1, math.Pow(1000, -power)}
		}
		return unit{name, math.Pow(1000, power), 1}
	}
	data := map[string]float64{"m": 2, "M": 2}
	si := map[string]float64{"n": -3, "N": -3, "u": -2, "U": -2, "m": -1, "": 0, "M": 2}
	for p, n := range powers {
		data[p], si[p] = n, n
	}
	for p, n := range data {
		for base, name := range map[string]string{"b": "bits", "B": "bytes"} {
			exact[p+base] = scaled(name, n)
			exact[p+"i"+base] = unit{name, math.Pow(1024, n), 1}
			exact[p+"I"+base] = unit{name, math.Pow(1024, n), 1}
		}
	}
	for p, n := range si {
		for base, name := range map[string]string{"a": "amperes", "A": "amperes", "o": "ohms", "O": "ohms",
			"v": "volts", "V": "volts", "w": "watts", "W": "watts"} {
			exact[p+base] = scaled(name, n)
		}
		for suffix, seconds := range map[string]float64{"s": 1, "S": 1, "m": 60, "M": 60, "h": 3600, "H": 3600} {
			for _, base := range []string{"a", "A"} {
				u := scaled("ampere-seconds", n)
				exact[p+base+suffix] = unit{u.name, u.mul * seconds, u.div}
			}
			for _, base := range []string{"w", "W"} {
				u := scaled("watt-hours", n)
				exact[p+base+suffix] = unit{u.name, u.mul * seconds, u.div * 3600}
			}
		}
	}
	folded = map[string]unit{
		"ns": {"seconds", 1, 1e9}, "us": {"seconds", 1, 1e6}, "ms": {"seconds", 1, 1e3}, "s": {"seconds", 1, 1},
		"m": {"seconds", 60, 1}, "h": {"seconds", 3600, 1}, "d": {"seconds", 86400, 1},
		"ng": {"grams", 1, 1e9}, "ug": {"grams", 1, 1e6}, "mg": {"grams", 1, 1e3}, "g": {"grams", 1, 1},
		"kg": {"grams", 1e3, 1}, "t": {"grams", 1e6, 1},
		"ml": {"liters", 1, 1e3}, "l": {"liters", 1, 1}, "hl": {"liters", 100, 1},
		"lm": {"lumens", 1, 1}, "f": {"degrees-fahrenheit", 1, 1}, "k": {"degrees-kelvin", 1, 1},
	}
	return exact, folded
}

// TestUnitsAreIcingas tries every unit of up to three ASCII characters.
func TestUnitsAreIcingas(t *testing.T) {
	exact, folded := icinga()
	near := func(got, want float64) bool { return math.Abs(got-want) <= 1e-15*want }
	check := func(uom []byte) {
		want, ok := exact[string(uom)]
		if !ok {
			small := make([]byte, len(uom))
			for i, c := range uom {
				small[i] = lower(c)
			}
			if want, ok = folded[string(small)]; !ok {
				want = unit{"", 1, 1}
				if string(small) == "dbm" {
					want, ok = unit{"decibel-milliwatts", 1, 1}, true
				}
			}
		}
		got, found := lookup(string(uom))
		if found != ok || got.name != want.name || !near(got.mul/got.div, want.mul/want.div) {
			t.Errorf("lookup(%q) = %v, %v, want %v, %v", uom, got, found, want, ok)
		}
	}
	check(nil)
	for a := byte(' '); a <= '~'; a++ {
		check([]byte{a})
		for b := byte(' '); b <= '~'; b++ {
			check([]byte{a, b})
			for c := byte(' '); c <= '~'; c++ {
				check([]byte{a, b, c})
			}
		}
	}
}

func TestBase(t *testing.T) {
	f := func(s string, want Datum) {
		t.Helper()
		data, err := Parse(s)
		if err != nil || len(data) != 1 {
			t.Fatalf("Parse(%q) = %v, %v", s, data, err)
		}
		raw := data[0]
		got := data[0].Base()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s in base units (-want +got):\n%s", s, diff)
		}
		if again := got.Base(); again != got {
			t.Errorf("%s: Base of Base = %v, want %v", s, again, got)
		}
		if data[0] != raw {
			t.Errorf("%s: Base changed the datum to %v", s, data[0])
		}
	}
	f("a=155ms;100;~:500;0;1000", Datum{Label: "a", Value: num(.155), UOM: "seconds",
		Warn: outside(0, .1), Crit: outside(-inf, .5), Min: num(0), Max: num(1)})
	f("a=3us", Datum{Label: "a", Value: num(3e-6), UOM: "seconds"})
	f("a=2643MB;@5948:5958;10:;0;5968", Datum{Label: "a", Value: num(2643e6), UOM: "bytes",
		Warn: inside(5948e6, 5958e6), Crit: outside(10e6, inf), Min: num(0), Max: num(5968e6)})
	f("a=2KiB", Datum{Label: "a", Value: num(2048), UOM: "bytes"})
	f("a=2Kib", Datum{Label: "a", Value: num(2048), UOM: "bits"})
	f("a=2mB", Datum{Label: "a", Value: num(2e6), UOM: "bytes"})
	f("a=2mA", Datum{Label: "a", Value: num(.002), UOM: "amperes"})
	f("a=2MW", Datum{Label: "a", Value: num(2e6), UOM: "watts"})
	f("a=7200kWs", Datum{Label: "a", Value: num(2000), UOM: "watt-hours"})
	f("a=2Ah", Datum{Label: "a", Value: num(7200), UOM: "ampere-seconds"})
	f("a=2m", Datum{Label: "a", Value: num(120), UOM: "seconds"})
	f("a=12.5%;80", Datum{Label: "a", Value: num(12.5), UOM: "percent", Warn: outside(0, 80)})
	f("a=42c", Datum{Label: "a", Value: num(42), UOM: "counter"})
	f("a=20C", Datum{Label: "a", Value: num(20), UOM: "degrees-celsius"})
	f("a=-20dBm", Datum{Label: "a", Value: num(-20), UOM: "decibel-milliwatts"})
	f("a=5packets", Datum{Label: "a", Value: num(5), UOM: "packets"})
	f("a=5", Datum{Label: "a", Value: num(5)})
	f("a=5furlongs;6", Datum{Label: "a", Value: num(5), Warn: outside(0, 6)})
	f("a=U;1;2", Datum{Label: "a", Warn: outside(0, 1), Crit: outside(0, 2)})
	f("a=Ums;1000", Datum{Label: "a", UOM: "seconds", Warn: outside(0, 1)})
	f("a=1e308GB;1e308;0;0;1e308", Datum{Label: "a", UOM: "bytes", Warn: outside(0, math.MaxFloat64), Crit: outside(0, 0), Min: num(0)})
	f("a=1KiB;1e308:", Datum{Label: "a", Value: num(1024), UOM: "bytes", Warn: outside(math.MaxFloat64, inf)})
}

// TestBaseKeepsVerdict checks that a threshold says the same of a value before
// and after scaling.
func TestBaseKeepsVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) float64 { return float64(rapid.IntRange(-1000, 1000).Draw(t, name)) }
		start, end := n("start"), n("end")
		d := Datum{Label: "a", Value: num(n("value")), Warn: outside(min(start, end), max(start, end)),
			UOM: rapid.SampledFrom([]string{"", "ns", "us", "ms", "s", "h", "d", "KB", "MiB", "%", "mA", "kWs", "x"}).Draw(t, "unit")}
		b := d.Base()
		if d.Warn.Alerts(d.Value.V) != b.Warn.Alerts(b.Value.V) {
			t.Fatalf("%v and %v differ", d, b)
		}
	})
}
