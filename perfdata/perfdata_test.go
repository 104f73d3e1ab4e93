package perfdata

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func num(v float64) Number             { return Number{V: v, Set: true} }
func outside(start, end float64) Range { return Range{Start: start, End: end, Set: true} }
func inside(start, end float64) Range  { return Range{Start: start, End: end, Inside: true, Set: true} }

var inf = math.Inf(1)

// pieces are the errors that err joins.
func pieces(err error) []error {
	if err == nil {
		return nil
	}
	return err.(interface{ Unwrap() []error }).Unwrap()
}

func TestParse(t *testing.T) {
	// f demands these data and, for each error, "offset: piece: reason".
	f := func(s string, want []Datum, wantErrs ...string) {
		t.Helper()
		got, err := Parse(s)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", s, diff)
		}
		var gotErrs []string
		for _, e := range pieces(err) {
			var p *PieceError
			if !errors.As(e, &p) {
				t.Errorf("Parse(%q): error %v is a %T", s, e, e)
				continue
			}
			gotErrs = append(gotErrs, fmt.Sprintf("%d: %s: %s", p.Offset, p.Piece, p.Reason))
		}
		if diff := cmp.Diff(wantErrs, gotErrs); diff != "" {
			t.Errorf("Parse(%q), errors (-want +got):\n%s", s, diff)
		}
	}
	ab := func(a, b float64) []Datum { return []Datum{{Label: "a", Value: num(a)}, {Label: "b", Value: num(b)}} }
	a := func(v float64) []Datum { return []Datum{{Label: "a", Value: num(v)}} }

	// Nothing.
	f("", nil)
	f(" \t\r\n|;,", nil)

	// The corpus of RULES G8.
	f("'a b'=1", []Datum{{Label: "a b", Value: num(1)}})
	f("'it''s'=1", []Datum{{Label: "it's", Value: num(1)}})
	f("/=5MB;;;0;10", []Datum{{Label: "/", Value: num(5), UOM: "MB", Min: num(0), Max: num(10)}})
	f("a=U", []Datum{{Label: "a"}})
	f("a=1;@1:2;~:5", []Datum{{Label: "a", Value: num(1), Warn: inside(1, 2), Crit: outside(-inf, 5)}})
	f("a=1,5", a(1.5))
	f("a=1;;;;", a(1))
	f("a=-.5", a(-.5))
	f("=1", nil, "0: =1: no label")
	f("a=", nil, "0: a=: no number")
	f("a=1\tb=2", ab(1, 2))
	f("a=1 | b=2", ab(1, 2))
	f("a=1|b=2", ab(1, 2))
	f("a=1\nb=2\r\nc=3", append(ab(1, 2), Datum{Label: "c", Value: num(3)}))

	// Labels.
	f("''''=1", []Datum{{Label: "'", Value: num(1)}})
	f("'a=b'=1", []Datum{{Label: "a=b", Value: num(1)}})
	f("'a|b'=1", []Datum{{Label: "a|b", Value: num(1)}})
	f("' a '=1", []Datum{{Label: " a ", Value: num(1)}})
	f("it's=1", []Datum{{Label: "it's", Value: num(1)}})
	f("cn=1 dc,x=2", []Datum{{Label: "cn", Value: num(1)}, {Label: "dc,x", Value: num(2)}})
	f(`C:\ %=1`, []Datum{{Label: `C:\ %`, Value: num(1)}}, `0: C:\ %=1: label with spaces is not in quotes`)
	f("größe=1 '空 き'=2", []Datum{{Label: "größe", Value: num(1)}, {Label: "空 き", Value: num(2)}})
	f("''=1 a=1", a(1), "0: ''=1: no label")
	f("' '=1 a=1", a(1), "0: ' '=1: no label")
	f("'a' = 1", a(1))
	f("a = 1; b = 2", ab(1, 2))
	f("'CPU Utilization' = 11.11%;10.0;20.0", []Datum{
		{Label: "CPU Utilization", Value: num(11.11), UOM: "%", Warn: outside(0, 10), Crit: outside(0, 20)}})
	f("x= b=1", []Datum{{Label: "b", Value: num(1)}}, "0: x=: no number")
	f("x= 5b=1", []Datum{{Label: "5b", Value: num(1)}}, "0: x=: no number")
	f("a= U b=2", []Datum{{Label: "a"}, {Label: "b", Value: num(2)}})
	f("a=1 a=2", []Datum{{Label: "a", Value: num(1)}, {Label: "a", Value: num(2)}})

	// Spaces without quotes (check_logfiles), commas between items.
	f("some space_lines=0 some space_warnings=1",
		[]Datum{{Label: "some space_lines", Value: num(0)}, {Label: "some space_warnings", Value: num(1)}},
		"0: some space_lines=0: label with spaces is not in quotes",
		"19: some space_warnings=1: label with spaces is not in quotes")
	f("a=1, b=2", ab(1, 2))
	f("a=1,b=2", ab(1, 2))
	f("a=1,5,b=2,5", ab(1.5, 2.5))
	f("'a'=12085620736Bytes; 'b'=94%;80;90;", []Datum{
		{Label: "a", Value: num(12085620736), UOM: "Bytes"},
		{Label: "b", Value: num(94), UOM: "%", Warn: outside(0, 80), Crit: outside(0, 90)}})

	// Values.
	f("a=5e3 b=+3", ab(5000, 3))
	f("a=1.5E-3s", []Datum{{Label: "a", Value: num(.0015), UOM: "s"}})
	f("a=1e10EB", []Datum{{Label: "a", Value: num(1e10), UOM: "EB"}})
	f("a=5EB", []Datum{{Label: "a", Value: num(5), UOM: "EB"}})
	f("a=1.GB", []Datum{{Label: "a", Value: num(1), UOM: "GB"}})
	f("a=5°C", []Datum{{Label: "a", Value: num(5), UOM: "°C"}})
	f("a=5B/s", []Datum{{Label: "a", Value: num(5), UOM: "B/s"}})
	f("a=UB", []Datum{{Label: "a", UOM: "B"}})
	f("a=1;U;U;U;U", a(1))
	f("a=1;1,5:2,5;3", []Datum{{Label: "a", Value: num(1), Warn: outside(1.5, 2.5), Crit: outside(0, 3)}})
	f("a=5%;10%;20%:30%;0%;100%", []Datum{{Label: "a", Value: num(5), UOM: "%",
		Warn: outside(0, 10), Crit: outside(20, 30), Min: num(0), Max: num(100)}})
	f("a=-10C;-20:-5;@~:-30", []Datum{{Label: "a", Value: num(-10), UOM: "C", Warn: outside(-20, -5), Crit: inside(-inf, -30)}})

	// check_multi hands its prefix on.
	f("root::check_disk::/=5MB;;;0;10 /usr=2MB swap::check_swap::swap=1", []Datum{
		{Label: "root::check_disk::/", Value: num(5), UOM: "MB", Min: num(0), Max: num(10)},
		{Label: "root::check_disk::/usr", Value: num(2), UOM: "MB"},
		{Label: "swap::check_swap::swap", Value: num(1)}})
	f("test::a=3 b=4", []Datum{{Label: "test::a", Value: num(3)}, {Label: "test::b", Value: num(4)}})
	f("'x y::a'=3 'it''s'=4", []Datum{{Label: "x y::a", Value: num(3)}, {Label: "x y::it's", Value: num(4)}})
	f("x::p::bad=? b=1", []Datum{{Label: "x::p::b", Value: num(1)}}, "0: x::p::bad=?: not a number")
	f("x::a=1 ::b=2 c=3", []Datum{{Label: "x::a", Value: num(1)}, {Label: "::b", Value: num(2)}, {Label: "c", Value: num(3)}})

	// All at once.
	f("'/ root'=2643MB;5948;5958;0;5968 time=0.0021s;1;2;0 hits=42c pct=12.5%;~:80;@10:20;0;100 bad=U temp=3,5 neg=-1 sci=1e3B", []Datum{
		{Label: "/ root", Value: num(2643), UOM: "MB", Warn: outside(0, 5948), Crit: outside(0, 5958), Min: num(0), Max: num(5968)},
		{Label: "time", Value: num(.0021), UOM: "s", Warn: outside(0, 1), Crit: outside(0, 2), Min: num(0)},
		{Label: "hits", Value: num(42), UOM: "c"},
		{Label: "pct", Value: num(12.5), UOM: "%", Warn: outside(-inf, 80), Crit: inside(10, 20), Min: num(0), Max: num(100)},
		{Label: "bad"},
		{Label: "temp", Value: num(3.5)},
		{Label: "neg", Value: num(-1)},
		{Label: "sci", Value: num(1000), UOM: "B"}})

	// What is wrong with a piece costs only that piece.
	for _, bad := range []struct{ piece, reason string }{
		{"x=inf", "not a finite number"},
		{"x=-Infinity", "not a finite number"},
		{"x=nan;1;2", "not a finite number"},
		{"x=1e999", "number is too large"},
		{"x=foo", "not a number"},
		{"x=;1;2", "no number"},
		{"x==1", "not a number"},
		{"x=UP", "not a number"},
		{"x=.", "not a number"},
		{"x=1.2.3", "what follows the number is no unit"},
		{"x=1,2,3", "what follows the number is no unit"},
		{"x=1,234.5", "what follows the number is no unit"},
		{"x=2024-01-02", "what follows the number is no unit"},
		{"x=0x10", "what follows the number is no unit"},
		{"x=1_0", "what follows the number is no unit"},
		{"x=1y=2", "what follows the number is no unit"},
		{"'x'y=1", "text after the closing quote"},
		{"'x=1", "text after the closing quote"},
		{"'x y'", "no '=' after the label"},
		{"x;5;10", "no '=' after the label"},
		{"=5", "no label"},
	} {
		f("'a'=1 "+bad.piece+" 'b'=2", ab(1, 2), fmt.Sprintf("6: %s: %s", bad.piece, bad.reason))
	}
	f("a=1 garbage 'b'=2", ab(1, 2), "4: garbage: no '=' after the label")
	f("a=1, garbage, b=2", ab(1, 2), "5: garbage: no '=' after the label")
	f("a=1 some stray text", a(1), "4: some stray text: no '=' after the label")
	f("'x y=5 a=1 b=2", ab(1, 2), "0: 'x y=5: quote is never closed")
	f("a=1 'b", a(1), "4: 'b: quote is never closed")

	// A threshold that is wrong costs only itself.
	f("a=1s;foo;2;x;9 b=2", []Datum{
		{Label: "a", Value: num(1), UOM: "s", Crit: outside(0, 2), Max: num(9)},
		{Label: "b", Value: num(2)}},
		`5: foo: warn of "a": not a number`, `11: x: min of "a": not a number`)
	f("a=1;20:10;inf;nan;5x", a(1),
		`4: 20:10: warn of "a": start 20 is above end 10`,
		`10: inf: crit of "a": not a finite number`,
		`14: nan: min of "a": not a finite number`,
		`18: 5x: max of "a": not a number`)
	f("a=1;;;;;", a(1))
	f("a=1;;;;;5;6", a(1), "8: 5;6: more than five fields")
	f("a=1;;;;;5;b=2", a(1), "8: 5;b=2: more than five fields")

	// Items that only a semicolon divides (check_haproxy_stats).
	f("a=1;;;;;b=2", ab(1, 2))
	f("a=1;;;;;;b=2;;;;;", ab(1, 2))
	f("a=1;;;;;x=x;;;;;b=2", ab(1, 2), "8: x=x;;;;: not a number")
	f("a=1;;;;;x=x;;;;;5 b=2", ab(1, 2), "8: x=x;;;;;5: not a number")
	f("a=1;;;;;=5 b=2", ab(1, 2), "8: =5: more than five fields")
	f("stats-BACKEND=0;799;899;0;999;web-FRONTEND=0;7987;8985;0;9984;", []Datum{
		{Label: "stats-BACKEND", Value: num(0), Warn: outside(0, 799), Crit: outside(0, 899), Min: num(0), Max: num(999)},
		{Label: "web-FRONTEND", Value: num(0), Warn: outside(0, 7987), Crit: outside(0, 8985), Min: num(0), Max: num(9984)}})
}

func TestParsePlugins(t *testing.T) {
	disk := func(label string, used, warn, crit, size float64) Datum {
		return Datum{Label: label, Value: num(used), UOM: "B", Warn: outside(0, warn), Crit: outside(0, crit), Min: num(0), Max: num(size)}
	}
	// Output of monitoring-plugins 2.3.3.
	f := func(output, text string, want ...Datum) {
		t.Helper()
		o := Split(output, 0)
		if o.Text != text || o.Cut != 0 || o.Repaired {
			t.Errorf("Split(%q) = %+v, want text %q", output, o, text)
		}
		got, err := Parse(o.Perfdata)
		if err != nil {
			t.Errorf("Parse(%q): %v", o.Perfdata, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", o.Perfdata, diff)
		}
	}
	f("DISK OK - free space: / 81089MiB (86% inode=97%);| /=12764315648B;216442024755;243497277849;0;270552530944\n",
		"DISK OK - free space: / 81089MiB (86% inode=97%);",
		disk("/", 12764315648, 216442024755, 243497277849, 270552530944))
	f("DISK OK - free space: / 81089MiB (86% inode=97%); /dev/shm 24105MiB (100% inode=99%);| /=12764315648B;216442024755;243497277849;0;270552530944 /dev/shm=0B;20220739584;22748332032;0;25275924480\n",
		"DISK OK - free space: / 81089MiB (86% inode=97%); /dev/shm 24105MiB (100% inode=99%);",
		disk("/", 12764315648, 216442024755, 243497277849, 270552530944),
		disk("/dev/shm", 0, 20220739584, 22748332032, 25275924480))
	// check_disk subtracts more than there is: 20 digits.
	f("DISK CRITICAL - free space: /mnt 0MiB (100% inode=99%);| /mnt=0B;18446744072660975616;18446744073185263616;0;0\n",
		"DISK CRITICAL - free space: /mnt 0MiB (100% inode=99%);",
		disk("/mnt", 0, 18446744072660975616, 18446744073185263616, 0))
	f("LOAD OK - total load average: 0.12, 0.26, 0.12|load1=0.120;5.000;10.000;0; load5=0.260;4.000;8.000;0; load15=0.120;3.000;6.000;0; \n",
		"LOAD OK - total load average: 0.12, 0.26, 0.12",
		Datum{Label: "load1", Value: num(.12), Warn: outside(0, 5), Crit: outside(0, 10), Min: num(0)},
		Datum{Label: "load5", Value: num(.26), Warn: outside(0, 4), Crit: outside(0, 8), Min: num(0)},
		Datum{Label: "load15", Value: num(.12), Warn: outside(0, 3), Crit: outside(0, 6), Min: num(0)})
	f("PING OK - Packet loss = 0%, RTA = 0.16 ms|rta=0.155000ms;100.000000;500.000000;0.000000 pl=0%;20;60;0;\n",
		"PING OK - Packet loss = 0%, RTA = 0.16 ms",
		Datum{Label: "rta", Value: num(.155), UOM: "ms", Warn: outside(0, 100), Crit: outside(0, 500), Min: num(0)},
		Datum{Label: "pl", Value: num(0), UOM: "%", Warn: outside(0, 20), Crit: outside(0, 60), Min: num(0)})
	f("OK - 127.0.0.1: rta 0.021ms, lost 0%|rta=0.021ms;200.000;500.000;0; pl=0%;40;80;; rtmax=0.053ms;;;; rtmin=0.012ms;;;; \n",
		"OK - 127.0.0.1: rta 0.021ms, lost 0%",
		Datum{Label: "rta", Value: num(.021), UOM: "ms", Warn: outside(0, 200), Crit: outside(0, 500), Min: num(0)},
		Datum{Label: "pl", Value: num(0), UOM: "%", Warn: outside(0, 40), Crit: outside(0, 80)},
		Datum{Label: "rtmax", Value: num(.053), UOM: "ms"},
		Datum{Label: "rtmin", Value: num(.012), UOM: "ms"})
	f("OK - 127.0.0.1 responds to ICMP. Packet 1, rta 0.031ms|pkt=1;;;0;5 rta=0.031;1000.000;1000.000;;\n",
		"OK - 127.0.0.1 responds to ICMP. Packet 1, rta 0.031ms",
		Datum{Label: "pkt", Value: num(1), Min: num(0), Max: num(5)},
		Datum{Label: "rta", Value: num(.031), Warn: outside(0, 1000), Crit: outside(0, 1000)})
	f("PROCS CRITICAL: 0 processes with command name 'cron' | procs=0;:200;1:;0;\n",
		"PROCS CRITICAL: 0 processes with command name 'cron'",
		Datum{Label: "procs", Value: num(0), Warn: outside(0, 200), Crit: outside(1, inf), Min: num(0)})
	f("PROCS OK: 73 processes | procs=73;~:200;@1:5;0;\n", "PROCS OK: 73 processes",
		Datum{Label: "procs", Value: num(73), Warn: outside(-inf, 200), Crit: inside(1, 5), Min: num(0)})
	f("PROCS OK: 73 processes | procs=73;-5:1e3;0.5:2000.25;0;\n", "PROCS OK: 73 processes",
		Datum{Label: "procs", Value: num(73), Warn: outside(-5, 1000), Crit: outside(.5, 2000.25), Min: num(0)})
	f("USERS WARNING - 0 users currently logged in |users=0;@0:3;~:10;0\n", "USERS WARNING - 0 users currently logged in",
		Datum{Label: "users", Value: num(0), Warn: inside(0, 3), Crit: outside(-inf, 10), Min: num(0)})
	f("USERS OK - 0 users currently logged in |users=0;1e1;2e1;0\n", "USERS OK - 0 users currently logged in",
		Datum{Label: "users", Value: num(0), Warn: outside(0, 10), Crit: outside(0, 20), Min: num(0)})
	f("SWAP CRITICAL - 0% free (0MB out of 0MB) - Swap is either disabled, not present, or of zero size. |swap=0B;0;0;0;0\n",
		"SWAP CRITICAL - 0% free (0MB out of 0MB) - Swap is either disabled, not present, or of zero size.",
		disk("swap", 0, 0, 0, 0))
	f("HTTP OK: HTTP/1.0 200 OK - 548 bytes in 0.002 second response time |time=0.002460s;1.000000;2.000000;0.000000;10.000000 size=548B;1;0;0;\n",
		"HTTP OK: HTTP/1.0 200 OK - 548 bytes in 0.002 second response time",
		Datum{Label: "time", Value: num(.00246), UOM: "s", Warn: outside(0, 1), Crit: outside(0, 2), Min: num(0), Max: num(10)},
		Datum{Label: "size", Value: num(548), UOM: "B", Warn: outside(0, 1), Crit: outside(0, 0), Min: num(0)})
	f("FILE_AGE OK: /etc/passwd is 236 seconds old and 1347 bytes | age=236s;240;600 size=1347B;0;0;0\n",
		"FILE_AGE OK: /etc/passwd is 236 seconds old and 1347 bytes",
		Datum{Label: "age", Value: num(236), UOM: "s", Warn: outside(0, 240), Crit: outside(0, 600)},
		Datum{Label: "size", Value: num(1347), UOM: "B", Warn: outside(0, 0), Crit: outside(0, 0), Min: num(0)})
	f("APT CRITICAL: 133 packages available for upgrade (81 critical updates). |available_upgrades=133;;;0 critical_updates=81;;;0\napt (security)\nca-certificates (security)\n",
		"APT CRITICAL: 133 packages available for upgrade (81 critical updates).",
		Datum{Label: "available_upgrades", Value: num(133), Min: num(0)},
		Datum{Label: "critical_updates", Value: num(81), Min: num(0)})
	f("CLUSTER WARNING: x: 1 ok, 1 warning, 0 unknown, 1 critical\n", "CLUSTER WARNING: x: 1 ok, 1 warning, 0 unknown, 1 critical")
	f("connect to address 127.0.0.1 and port 9: Connection refused\n", "connect to address 127.0.0.1 and port 9: Connection refused")
	f(" : Timeout from host 127.0.0.1\n\n", ": Timeout from host 127.0.0.1")
}

func TestAppend(t *testing.T) {
	buf := make([]Datum, 0, 4)
	buf = append(buf, Datum{Label: "first"})
	got, err := Append(buf, "a=1 b=2")
	if err != nil || len(got) != 3 || got[0].Label != "first" || got[2].Label != "b" || &got[0] != &buf[0] {
		t.Errorf("Append = %v, %v, want the data after the first, in the same array", got, err)
	}
}

func TestDatumString(t *testing.T) {
	f := func(d Datum, want string) {
		t.Helper()
		if got := d.String(); got != want {
			t.Errorf("%#v: String() = %q, want %q", d, got, want)
		}
		if got, err := Parse(want); err != nil || len(got) != 1 || got[0] != d {
			t.Errorf("Parse(%q) = %v, %v, want %v", want, got, err, d)
		}
	}
	f(Datum{Label: "a"}, "a=U")
	f(Datum{Label: "a", UOM: "s"}, "a=Us")
	f(Datum{Label: "a b", Value: num(-1.5), UOM: "ms"}, "'a b'=-1.5ms")
	f(Datum{Label: "it's", Value: num(12764315648), UOM: "B", Max: num(270552530944)}, "'it''s'=12764315648B;;;;270552530944")
	f(Datum{Label: "a,b", Value: num(1e21), Warn: outside(10, 20)}, "'a,b'=1e+21;10:20")
	f(Datum{Label: "x::y::/", Value: num(1e-7), Crit: inside(-inf, 5), Min: num(0)}, "x::y::/=1e-07;;@~:5;0")
}

func TestPieceError(t *testing.T) {
	_, err := Parse("a=1 b=\x1b[2J c=3")
	const want = `perfdata at byte 4: "b=\x1b[2J": not a number`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	_, err = Parse("a=" + strings.Repeat("é", 1000))
	var p *PieceError
	if !errors.As(err, &p) || len(p.Piece) > 100 || !strings.HasSuffix(p.Piece, "é…") {
		t.Errorf("error %v, want a piece cut after a whole character", err)
	}
}

func TestBounds(t *testing.T) {
	data, err := Parse(strings.Repeat("a=1 ", MaxData+5))
	if len(data) != MaxData || len(pieces(err)) != 1 {
		t.Errorf("%d data and errors %v, want %d data and one error", len(data), err, MaxData)
	}
	data, err = Parse(strings.Repeat("a=x ", 100) + "b=1")
	if n := len(pieces(err)); len(data) != 1 || n != MaxErrors+1 || !strings.HasSuffix(err.Error(), "\nand 80 more") {
		t.Errorf("%d data and %d errors, want 1 and %d: %v", len(data), n, MaxErrors+1, err)
	}
	long := strings.Repeat("x", MaxLabel)
	data, err = Parse(long + "=1 " + long + "x=2 b=3")
	if len(data) != 2 || len(pieces(err)) != 1 {
		t.Errorf("labels of %d and %d bytes: %d data and errors %v, want 2 and one", MaxLabel, MaxLabel+1, len(data), err)
	}
	data, err = Parse("a=1" + strings.Repeat("x", MaxUOM+1) + " b=3")
	if len(data) != 1 || len(pieces(err)) != 1 {
		t.Errorf("unit too long: %d data and errors %v, want one each", len(data), err)
	}
	// A long prefix is not copied into ten thousand labels.
	data, err = Parse(strings.Repeat("x", MaxLabel-3) + "::a=1 " + strings.Repeat("bb=2 ", 50))
	if len(data) != 1 || err == nil {
		t.Errorf("long prefix: %d data and error %v, want 1 and some", len(data), err)
	}
}

// hostile are texts that a careless parser reads again and again.
var hostile = []string{
	"'", "''", "'''", "'a", "'a ", "'a=", "'a=1 ", "'a'", "'a' ", "'a''", "''a", "''''a ",
	"a", "a ", "=", "a=", "a= ", "a=1", "a=1 ", "a=1;", ";", "; ", ",", "|", " ", "1", "1,", "1.", "-", "e",
	"a= 5=", "a b", "a::", "a::b=1 ", "::", "a=1;x ", "a=1;2:1;", "a=1;1", "\x00", "\xff", "é", "a=1e9", "a=U;",
	"a=1;;;;;", "a=x;;;;;", "a=1;;;;;;5",
}

func TestLinear(t *testing.T) {
	const size, bound = 256 << 10, 5 * time.Second // a quadratic parser takes minutes
	for _, h := range hostile {
		s := strings.Repeat(h, size/len(h))
		for _, s := range []string{s, "|" + s, "'" + s, "a=" + s, s + "=1", "a=1;" + s} {
			start := time.Now()
			o := Split(s, size/2)
			_, _ = Parse(o.Perfdata)
			_, _ = Parse(s)
			if took := time.Since(start); took > bound {
				t.Errorf("%d times %q took %v", size/len(h), h, took)
			}
		}
	}
}
