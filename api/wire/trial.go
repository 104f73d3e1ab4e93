package wire

import "encoding/xml"

// Trial orders a notification that is marked as a test.
type Trial struct {
	Host    string `json:"host"` // empty: it is about nothing that there is
	Service string `json:"service"`
	Type    string `json:"type"` // as of notifications; empty: PROBLEM
}

// Tried is what became of one.
type Tried struct {
	XMLName   xml.Name `json:"-" xml:"tried"`
	Action    string   `json:"action" xml:"action"`
	Kind      string   `json:"kind" xml:"kind"` // type of the action
	Type      string   `json:"type" xml:"type"` // of the notification
	Delivered bool     `json:"delivered" xml:"delivered"`
	Answer    Text     `json:"answer" xml:"answer"`       // of the target; empty: there was none
	Error     Text     `json:"error" xml:"error"`         // empty: it was delivered
	Permanent bool     `json:"permanent" xml:"permanent"` // a notification that failed so is not sent again
	Seconds   float64  `json:"seconds" xml:"seconds"`     // that it took
}
