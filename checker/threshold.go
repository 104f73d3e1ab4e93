package checker

import (
	"fmt"
	"strings"

	"alf"
	"alf/perfdata"
)

// limit judges r by thresholds, besides the plugin: the worse of both is the
// status, and the output says why. The items are given the ranges that they
// were judged by. It changes r, which must not be part of an Event yet.
//
// A label that is named and was not measured is UNKNOWN; a pattern may match
// nothing.
func limit(r *alf.Result, thresholds []alf.Threshold) {
	if len(thresholds) == 0 || !r.Cause.Judges() || r.Cause == alf.CauseTimeout {
		return
	}
	var why []string
	done := make([]bool, len(r.Perfdata))
	for _, t := range thresholds {
		measured := alf.IsPattern(t.Label)
		for i := range r.Perfdata {
			if done[i] || !alf.Match(t.Label, r.Perfdata[i].Label) {
				continue
			}
			done[i] = true
			measured = measured || r.Perfdata[i].Value.Set
			why = worse(r, &r.Perfdata[i], t, why)
		}
		if !measured {
			why = worsen(r, alf.Unknown, fmt.Sprintf("%s was not measured", t.Label), why)
		}
	}
	if len(why) > 0 {
		r.Output = strings.TrimSpace(r.Output + " (" + strings.Join(why, ", ") + ")")
	}
}

// maxNumberLines bounds how many lines of text are looked through for numbers.
const maxNumberLines = 1000

// takeNumbers reads an output without perfdata such as "17", whose label is
// "value", or "queue=17 workers=3", also in several lines. A line without
// numbers is text; a piece that cannot be read costs only itself.
func takeNumbers(r *alf.Result) {
	var texts []string
	n := 0
	for line := range strings.Lines(r.Output + "\n" + r.LongOutput) {
		line = strings.TrimSpace(line)
		if n++; n > maxNumberLines {
			break
		}
		named := strings.Contains(line, "=")
		if !named {
			line = "value=" + line
		}
		data, err := perfdata.Parse(line)
		if len(data) == 0 || !named && err != nil {
			continue
		}
		texts = append(texts, line)
		r.Perfdata = append(r.Perfdata, data...)
		r.PerfdataErrors = append(r.PerfdataErrors, Lines(err)...)
	}
	r.PerfdataText = strings.Join(texts, " ")
}

// worse judges d by t and adds to why, if it alerts. People read the value and
// the threshold as they were written.
func worse(r *alf.Result, d *perfdata.Datum, t alf.Threshold, why []string) []string {
	said, asked := d.Value.String()+d.UOM, t // before they are converted
	if t.Unit != "" && !convert(d, &t) {
		return worsen(r, alf.Unknown, fmt.Sprintf("%s is in %q, the threshold in %q", d.Label, d.UOM, t.Unit), why)
	}
	if !d.Value.Set && said != d.UOM {
		return worsen(r, alf.Unknown, fmt.Sprintf("%s is %s, which is too large", d.Label, said), why)
	}
	if t.Warn.Set {
		d.Warn = t.Warn
	}
	if t.Crit.Set {
		d.Crit = t.Crit
	}
	tell := func(status alf.Status, bound perfdata.Range) []string {
		return worsen(r, status, fmt.Sprintf("%s: %s is %s, threshold %s%s", status, d.Label, said, bound, t.Unit), why)
	}
	switch {
	case !d.Value.Set:
	case t.Crit.Set && t.Crit.Alerts(d.Value.V):
		return tell(alf.Critical, asked.Crit)
	case t.Warn.Set && t.Warn.Alerts(d.Value.V):
		return tell(alf.Warning, asked.Warn)
	}
	return why
}

func worsen(r *alf.Result, status alf.Status, text string, why []string) []string {
	if status.Severity() > r.Status.Severity() {
		r.Status = status
	}
	return append(why, text)
}

// convert brings d and t to the same unit: the base unit of both. An item without
// a unit is in that of t. It reports whether they have one in common.
func convert(d *perfdata.Datum, t *alf.Threshold) bool {
	if d.UOM == "" {
		d.UOM = t.Unit
	}
	limits := perfdata.Datum{UOM: t.Unit, Warn: t.Warn, Crit: t.Crit}.Base()
	base := d.Base()
	if base.UOM != limits.UOM {
		return false
	}
	*d, t.Warn, t.Crit = base, limits.Warn, limits.Crit
	return true
}
