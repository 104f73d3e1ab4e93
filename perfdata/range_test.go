package perfdata

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseRange(t *testing.T) {
	f := func(s string, want Range, printed string) {
		t.Helper()
		got, err := ParseRange(s)
		if err != nil || got != want {
			t.Errorf("ParseRange(%q) = %+v, %v, want %+v", s, got, err, want)
		}
		if got.String() != printed {
			t.Errorf("ParseRange(%q).String() = %q, want %q", s, got, printed)
		}
	}
	f("10", outside(0, 10), "10")
	f("10:", outside(10, inf), "10:")
	f("~:10", outside(-inf, 10), "~:10")
	f("10:20", outside(10, 20), "10:20")
	f("@10:20", inside(10, 20), "@10:20")
	f(":10", outside(0, 10), "10")
	f("0:10", outside(0, 10), "10")
	f("0", outside(0, 0), "0")
	f("0:", outside(0, inf), "0:")
	f(":", outside(0, inf), "0:")
	f("~:", outside(-inf, inf), "~:")
	f("10:~", outside(10, inf), "10:")
	f("@~:0", inside(-inf, 0), "@~:0")
	f("@10", inside(0, 10), "@10")
	f("-10:-5", outside(-10, -5), "-10:-5")
	f("-5:", outside(-5, inf), "-5:")
	f("7:7", outside(7, 7), "7:7")
	f("0.5:2000.25", outside(.5, 2000.25), "0.5:2000.25")
	f("1e1", outside(0, 10), "10")
	f("-.5:+3", outside(-.5, 3), "-0.5:3")
	f("1,5:2,5", outside(1.5, 2.5), "1.5:2.5")
	f("18446744072660975616", outside(0, 18446744072660975616), "18446744072660976000")
}

func TestParseRangeRefused(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		got, err := ParseRange(s)
		if err == nil || !strings.Contains(err.Error(), want) || got != (Range{}) {
			t.Errorf("ParseRange(%q) = %+v, %v, want an error with %q", s, got, err, want)
		}
	}
	f("", `range "": no number`)
	f("@", "no number")
	f("~", "no colon after ~")
	f("@~", "no colon after ~")
	f("20:10", `range "20:10": start 20 is above end 10`)
	f("-5", "start 0 is above end -5")
	f("10:20:30", "not a number")
	f("10::", "not a number")
	f("@@10", "not a number")
	f("10%", "not a number")
	f(" 10", "not a number")
	f("ten", "not a number")
	f("inf", "not a finite number")
	f("nan:5", "not a finite number")
	f("5:-Inf", "not a finite number")
	f("1e999", "number is too large")
	f("5:~5", "not a number")
	f("1,2,3", "not a number")
	f("0x10", "not a number")
	f(strings.Repeat("x", 1000), "…")
}

func TestRangeAlerts(t *testing.T) {
	f := func(s string, alerts, quiet []float64) {
		t.Helper()
		r, err := ParseRange(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range alerts {
			if !r.Alerts(v) {
				t.Errorf("%s does not alert at %v", s, v)
			}
		}
		for _, v := range append(quiet, math.NaN()) {
			if r.Alerts(v) {
				t.Errorf("%s alerts at %v", s, v)
			}
		}
	}
	f("10", []float64{-1e-9, 10.1, inf}, []float64{0, 5, 10})
	f("10:", []float64{9.9, -inf}, []float64{10, 1e9, inf})
	f("~:10", []float64{10.1}, []float64{-1e9, 10, -inf})
	f("10:20", []float64{9, 21}, []float64{10, 15, 20})
	f("@10:20", []float64{10, 15, 20}, []float64{9, 21})
	f("@~:0", []float64{0, -5}, []float64{1})
	f("~:", nil, []float64{-inf, 0, inf})
	f("@~:", []float64{-inf, 0, inf}, nil)
	if (Range{}).Alerts(5) {
		t.Error("a range that is not set alerts")
	}
}

func TestRangeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.OneOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), rapid.Float64Range(-100, 100),
			rapid.SampledFrom([]float64{0, 1, -1, 10}))
		r := Range{Set: true, Inside: rapid.Bool().Draw(t, "inside")}
		r.Start, r.End = bound.Draw(t, "start"), bound.Draw(t, "end")
		if r.Start > r.End {
			r.Start, r.End = r.End, r.Start
		}
		if rapid.Bool().Draw(t, "from minus infinity") {
			r.Start = -inf
		}
		if rapid.Bool().Draw(t, "open") {
			r.End = inf
		}
		if got, err := ParseRange(r.String()); err != nil || got != r {
			t.Fatalf("ParseRange(%q) = %+v, %v, want %+v", r, got, err, r)
		}
	})
}
