package checker_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/checker"
	"alf/perfdata"
)

func ranges(t *testing.T, s string) perfdata.Range {
	t.Helper()
	if s == "" {
		return perfdata.Range{}
	}
	r, err := perfdata.ParseRange(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestThresholds(t *testing.T) {
	limit := func(label, unit, warn, crit string) alf.Threshold {
		return alf.Threshold{Label: label, Unit: unit, Warn: ranges(t, warn), Crit: ranges(t, crit)}
	}
	f := func(name string, code int, stdout string, want alf.Status, output string, limits ...alf.Threshold) {
		t.Helper()
		s := service(host("web1"), "load")
		s.Thresholds = limits
		r, err := checker.Run(t.Context(), says(code, stdout), s, time.Time{})
		if err != nil || r.Status != want || r.Output != output {
			t.Errorf("%s: %v %q, %v, want %v %q", name, r.Status, r.Output, err, want, output)
		}
	}
	time10 := limit("time", "", "1", "10")
	f("fine", 0, "OK|time=0.5s", alf.OK, "OK", time10)
	f("warning", 0, "OK|time=1.5s", alf.Warning, "OK (WARNING: time is 1.5s, threshold 1)", time10)
	f("critical", 0, "OK|time=11s", alf.Critical, "OK (CRITICAL: time is 11s, threshold 10)", time10)
	f("the plugin is worse", 2, "BAD|time=1.5s", alf.Critical, "BAD (WARNING: time is 1.5s, threshold 1)", time10)
	f("unknown is worse than warning", 3, "?|time=1.5s", alf.Unknown, "? (WARNING: time is 1.5s, threshold 1)", time10)
	f("range", 0, "OK|n=5", alf.Warning, "OK (WARNING: n is 5, threshold @1:9)", limit("n", "", "@1:9", ""))
	f("lower bound", 0, "OK|free=3%", alf.Critical, "OK (CRITICAL: free is 3%, threshold 5:)", limit("free", "", "10:", "5:"))
	f("pattern", 0, "OK|/=91% /srv=50%", alf.Warning, "OK (WARNING: / is 91%, threshold 90)", limit("/*", "", "90", ""))
	f("a name before a pattern", 0, "OK|/=91% /srv=93%", alf.Warning, "OK (WARNING: /srv is 93%, threshold 90)", limit("/", "", "95", ""), limit("*", "", "90", ""))
	f("pattern that matches nothing", 0, "OK|a=1", alf.OK, "OK", limit("b*", "", "1", ""))
	f("not measured", 0, "OK|a=1", alf.Unknown, "OK (time was not measured)", time10)
	f("unknown value", 0, "OK|time=U", alf.Unknown, "OK (time was not measured)", time10)
	f("unit", 0, "OK|time=1500ms", alf.Warning, "OK (WARNING: time is 1500ms, threshold 1s)", limit("time", "s", "1", "10"))
	f("unit of bytes", 0, "OK|size=3GB", alf.Critical, "OK (CRITICAL: size is 3GB, threshold 2000MB)", limit("size", "MB", "1000", "2000"))
	f("units that differ", 0, "OK|time=3B", alf.Unknown, `OK (time is in "B", the threshold in "s")`, limit("time", "s", "1", ""))
	f("a number without a unit is in that of the threshold", 0, "age=45", alf.Warning, "age=45 (WARNING: age is 45, threshold 30m)", limit("age", "m", "30", "60"))
	f("too large for the base unit", 0, "OK|v=1e308TB", alf.Unknown, "OK (v is 1e+308TB, which is too large)", limit("v", "GB", "", "1"))
	f("a number a line", 0, "queue=17\nworkers=3\n", alf.Critical, "queue=17 (CRITICAL: queue is 17, threshold 10)", limit("queue", "", "", "10"), limit("workers", "", "1:", ""))
	f("numbers behind a text", 0, "result:\n17\n", alf.Critical, "result: (CRITICAL: value is 17, threshold 10)", limit("value", "", "", "10"))
	f("a bad neighbour", 0, "queue=17 workers=n/a", alf.Critical, "queue=17 workers=n/a (CRITICAL: queue is 17, threshold 10)", limit("queue", "", "", "10"))
	f("an odd exit code", 5, "queue=17", alf.Critical, "(Return code of 5 is out of bounds) queue=17 (CRITICAL: queue is 17, threshold 10)", limit("queue", "", "", "10"))
	f("two", 0, "OK|a=5 b=6", alf.Critical, "OK (CRITICAL: a is 5, threshold 4, WARNING: b is 6, threshold 4)", limit("a", "", "", "4"), limit("b", "", "4", ""))
	f("a bare number", 0, "17\n", alf.Critical, "17 (CRITICAL: value is 17, threshold 10)", limit("value", "", "", "10"))
	f("only numbers", 0, "queue=17 workers=3\n", alf.Critical, "queue=17 workers=3 (CRITICAL: queue is 17, threshold 10)", limit("queue", "", "", "10"))
	f("no numbers", 0, "hello\n", alf.Unknown, "hello (queue was not measured)", limit("queue", "", "", "10"))
}

// TestThresholdsAreExported: what an item was judged by goes on to the sinks.
func TestThresholdsAreExported(t *testing.T) {
	s := service(host("web1"), "load")
	s.Thresholds = []alf.Threshold{{Label: "a", Crit: ranges(t, "@1:3")}}
	r, err := checker.Run(t.Context(), says(0, "OK|a=9;5;7 b=1;2;3"), s, time.Time{})
	if err != nil || len(r.Perfdata) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := r.Perfdata[0].String() + " " + r.Perfdata[1].String(); got != "a=9;5;@1:3 b=1;2;3" {
		t.Errorf("perfdata %q", got)
	}
	if r.PerfdataText != "a=9;5;7 b=1;2;3" {
		t.Errorf("what the plugin wrote became %q", r.PerfdataText)
	}
}

func TestThresholdsJudgeAnswersOnly(t *testing.T) {
	s := service(host("web1"), "load")
	s.Thresholds = []alf.Threshold{{Label: "a", Crit: ranges(t, "1")}}
	for _, cause := range []alf.Cause{alf.CauseTimeout, alf.CauseTransport} {
		run := answering(func(_ context.Context, e alf.Execution) (alf.Exit, error) {
			fmt.Fprint(e.Stdout, "x|a=5")
			return alf.Exit{}, &alf.RunError{Cause: cause, Err: fmt.Errorf("no")}
		})
		r, err := checker.Run(t.Context(), run, s, time.Time{})
		if err != nil || strings.Contains(r.Output, "threshold") || strings.Contains(r.Output, "measured") {
			t.Errorf("%v: %q, %v", cause, r.Output, err)
		}
	}
}

func TestExpect(t *testing.T) {
	re := func(s string) *regexp.Regexp { return regexp.MustCompile("(?m)" + s) }
	f := func(name string, e alf.Expect, code int, signal, stdout, stderr string, want alf.Status, output string) {
		t.Helper()
		if e.ExitCodes == nil {
			e.ExitCodes = []int{0}
		}
		if e.Otherwise == alf.OK {
			e.Otherwise = alf.Critical
		}
		s := service(host("web1"), "job")
		s.Expect = &e
		run := answering(func(_ context.Context, x alf.Execution) (alf.Exit, error) {
			fmt.Fprint(x.Stdout, stdout)
			fmt.Fprint(x.Stderr, stderr)
			return alf.Exit{Code: code, Signal: signal}, nil
		})
		r, err := checker.Run(t.Context(), run, s, time.Time{})
		if err != nil || r.Status != want || r.Output != output {
			t.Errorf("%s: %v %q, %v, want %v %q", name, r.Status, r.Output, err, want, output)
		}
	}
	f("fine", alf.Expect{}, 0, "", "copied | 12 files\nmore|x\n", "", alf.OK, "copied | 12 files")
	f("silent", alf.Expect{}, 0, "", "", "", alf.OK, "OK - as expected")
	f("exit code", alf.Expect{}, 1, "", "", "", alf.Critical, "CRITICAL - exit code 1, expected 0")
	f("what it said", alf.Expect{}, 4, "", "", "disk full\n", alf.Critical, "CRITICAL - exit code 4, expected 0: disk full")
	f("other codes", alf.Expect{ExitCodes: []int{0, 24}}, 24, "", "partial", "", alf.OK, "partial")
	f("none of them", alf.Expect{ExitCodes: []int{0, 24}}, 1, "", "x", "", alf.Critical, "CRITICAL - exit code 1, expected 0 or 24: x")
	f("a warning", alf.Expect{Otherwise: alf.Warning}, 2, "", "", "", alf.Warning, "WARNING - exit code 2, expected 0")
	f("signal", alf.Expect{}, 137, "KILL", "", "", alf.Critical, "CRITICAL - killed by signal KILL")
	f("127", alf.Expect{}, 127, "", "", "sh: job: not found", alf.Critical, "CRITICAL - exit code 127, expected 0: sh: job: not found")
	f("output", alf.Expect{Output: re("^done$")}, 0, "", "start\ndone\n", "", alf.OK, "start")
	f("output lacks", alf.Expect{Output: re("^done$")}, 0, "", "start\n", "", alf.Critical, `CRITICAL - output lacks "^done$": start`)
	f("output has", alf.Expect{OutputNot: re("ERROR")}, 0, "", "x\nERROR 5\n", "", alf.Critical, `CRITICAL - output has "ERROR": x`)
	f("stderr has", alf.Expect{StderrNot: re(".")}, 0, "", "fine", "deprecated", alf.Critical, `CRITICAL - stderr has ".": fine`)
	f("stderr lacks", alf.Expect{Stderr: re("0 errors")}, 0, "", "fine", "", alf.Critical, `CRITICAL - stderr lacks "0 errors": fine`)
}

// TestLongJobs: the verdict of a long job stands at its end; what was not seen
// is not taken for good.
func TestLongJobs(t *testing.T) {
	long := strings.Repeat("copied another file\n", 1000)
	f := func(name string, e alf.Expect, stdout string, want alf.Status, output string) {
		t.Helper()
		e.ExitCodes, e.Otherwise = []int{0}, alf.Critical
		s := service(host("web1"), "job")
		s.Expect, s.MaxOutput = &e, 1000
		r, err := checker.Run(t.Context(), says(0, stdout), s, time.Time{})
		if err != nil || r.Status != want || !strings.HasPrefix(r.Output, output) {
			t.Errorf("%s: %v %q, %v, want %v %q", name, r.Status, r.Output, err, want, output)
		}
	}
	re := regexp.MustCompile
	f("verdict at the end", alf.Expect{Output: re(`(?m)^verified$`)}, long+"verified\n", alf.OK, "copied")
	f("error at the end", alf.Expect{OutputNot: re("ERROR")}, long+"ERROR disk full\n", alf.Critical, `CRITICAL - output has "ERROR"`)
	f("not all of it seen", alf.Expect{OutputNot: re("ERROR")}, long, alf.Critical, "CRITICAL - output is too long to be searched")
	f("line ends of Windows", alf.Expect{Output: re(`(?m)^verified$`)}, "start\r\nverified\r\n", alf.OK, "start")
}

// TestCutInsideAnItem: a value that was cut is no value.
func TestCutInsideAnItem(t *testing.T) {
	s := service(host("web1"), "load")
	s.MaxOutput = 1024
	r, err := checker.Run(t.Context(), says(0, "OK"+strings.Repeat(" ", 5109)+"|a=1 b=123456789"), s, time.Time{})
	if err != nil || len(r.Perfdata) != 1 || r.Perfdata[0].Label != "a" || r.Cut == 0 || !strings.Contains(r.LongOutput, "bytes cut") {
		t.Errorf("%+v, cut %d, %q, %v", r.Perfdata, r.Cut, r.LongOutput, err)
	}
}

// TestExpectAndThresholds: a job may print perfdata, too.
func TestExpectAndThresholds(t *testing.T) {
	s := service(host("web1"), "job")
	s.Expect = &alf.Expect{ExitCodes: []int{0}, Otherwise: alf.Critical}
	s.Thresholds = []alf.Threshold{{Label: "files", Warn: ranges(t, "10:")}}
	r, err := checker.Run(t.Context(), says(0, "copied|files=3"), s, time.Time{})
	if err != nil || r.Status != alf.Warning || r.Output != "copied (WARNING: files is 3, threshold 10:)" {
		t.Errorf("%v %q, %v", r.Status, r.Output, err)
	}
}
