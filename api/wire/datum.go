package wire

import "alf/perfdata"

// Datum is one piece of perfdata as the plugin wrote it.
type Datum struct {
	Label Text     `json:"label" xml:"label"`
	Value *float64 `json:"value" xml:"value"` // null: the plugin wrote U
	UOM   Text     `json:"uom" xml:"uom"`
	Warn  *string  `json:"warn" xml:"warn"` // the text of the range
	Crit  *string  `json:"crit" xml:"crit"`
	Min   *float64 `json:"min" xml:"min"`
	Max   *float64 `json:"max" xml:"max"`
}

// NewPerfdata returns data in their order.
func NewPerfdata(data []perfdata.Datum) []Datum {
	out := make([]Datum, len(data))
	for i, d := range data {
		out[i] = Datum{
			Label: Text(d.Label),
			Value: number(d.Value),
			UOM:   Text(d.UOM),
			Warn:  rangeText(d.Warn),
			Crit:  rangeText(d.Crit),
			Min:   number(d.Min),
			Max:   number(d.Max),
		}
	}
	return out
}

func number(n perfdata.Number) *float64 {
	if !n.Set {
		return nil
	}
	return &n.V
}

func rangeText(r perfdata.Range) *string {
	s := r.String()
	if s == "" {
		return nil
	}
	return &s
}
