package config

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"alf"
	"alf/perfdata"
)

const judged = `
[host.web1]
[check.queue]
command = ["wc-queue"]
hosts   = ["web1"]
[check.queue.thresholds]
"age_*"  = { warn = 30, unit = "m" }
deferred = { warn = "@5:10", crit = 99.5 }
[check.queue.expect]
exit_codes = 0
output     = "^done$"
stderr_not = "x"
otherwise  = "warning"
[check.plain]
command = ["true"]
hosts   = ["web1"]
expect  = {}
`

func TestJudging(t *testing.T) {
	c := load(t, judged)
	s := c.Inventory.Service(alf.Key{Host: "web1", Service: "queue"})
	equal(t, "thresholds", s.Thresholds, []alf.Threshold{
		{Label: "deferred", Warn: perfdata.Range{Start: 5, End: 10, Inside: true, Set: true}, Crit: perfdata.Range{End: 99.5, Set: true}},
		{Label: "age_*", Unit: "m", Warn: perfdata.Range{End: 30, Set: true}},
	})
	e := s.Expect
	if e.Otherwise != alf.Warning || len(e.ExitCodes) != 1 || !e.Output.MatchString("a\ndone\nb") || e.OutputNot != nil || !e.StderrNot.MatchString("x") {
		t.Errorf("expect %+v", e)
	}
	plain := c.Inventory.Service(alf.Key{Host: "web1", Service: "plain"}).Expect
	if plain == nil || plain.Otherwise != alf.Critical || plain.Output != (*regexp.Regexp)(nil) {
		t.Errorf("an empty expect is %+v, want exit code 0 or CRITICAL", plain)
	}
	var out bytes.Buffer
	if err := c.Show(&out, "web1", "queue"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`.thresholds.deferred]`, `warn = "@5:10"`, `unit = "m"`, `exit_codes = [0]`, `output = "^done$"`, `otherwise = "warning"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Show lacks %s:\n%s", want, &out)
		}
	}
}
