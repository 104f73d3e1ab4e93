package config

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

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

// TestFlappingAndFreshness: what is said beside a check, or above it.
func TestFlappingAndFreshness(t *testing.T) {
	c := load(t, `
[defaults]
flap_detection_enabled = true
high_flap_threshold    = 60.5

[host.router]
check_command = "none"

[host.web1]
parents                      = ["router"]
check_freshness              = true
flap_detection_options       = ["d", "up"]
passive_host_checks_are_soft = true

[check.passive]
hosts               = ["web1"]
freshness_threshold = "1h"
stalking_options    = ["c", "unknown"]

[check.derived]
hosts           = ["web1"]
check_freshness = true

[check.off]
hosts                  = ["web1"]
freshness_threshold    = "1h"
check_freshness        = false
flap_detection_enabled = false
low_flap_threshold     = 5
`)
	f := func(key string) *alf.Service { return service(t, c, key) }
	equal(t, "parents", c.Inventory.Host("web1").Parents, []alf.HostName{"router"})
	equal(t, "flapping of the host", f("web1").Flapping, alf.FlapDetection{Enabled: true, Low: 20, High: 60.5, Ignore: [4]bool{false, false, true, true}})
	equal(t, "soft", f("web1").SoftPassive, true)
	equal(t, "freshness of the host", f("web1").Freshness, 5*time.Minute+time.Minute+15*time.Second)
	equal(t, "freshness", f("web1!passive").Freshness, time.Hour)
	equal(t, "stalking", f("web1!passive").Stalking, [4]bool{false, false, true, true})
	equal(t, "derived freshness", f("web1!derived").Freshness, 5*time.Minute+15*time.Second)
	equal(t, "no freshness", f("web1!off").Freshness, time.Duration(0))
	equal(t, "no flapping", f("web1!off").Flapping, alf.FlapDetection{Low: 5, High: 60.5})
}
