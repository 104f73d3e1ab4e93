package alf

import "alf/perfdata"

// Threshold judges the perfdata items that Label names, besides the plugin.
type Threshold struct {
	Label string // a label, or a pattern as [Match] reads it
	Unit  string // what Warn and Crit are in; "": the unit of the item
	Warn  perfdata.Range
	Crit  perfdata.Range
}
