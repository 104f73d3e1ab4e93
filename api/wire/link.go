package wire

import "encoding/xml"

// Link is whether Alf tries to connect to a host when a command needs it.
type Link struct {
	XMLName xml.Name `json:"-" xml:"link"`
	Host    string   `json:"host" xml:"host"`
	Paused  bool     `json:"paused" xml:"paused"` // it does not, since it has failed just now
	Cause   string   `json:"cause" xml:"cause"`   // of that failure: transport, auth, hostkey, config
	Phase   string   `json:"phase" xml:"phase"`
	Error   Text     `json:"error" xml:"error"` // with the time of the next attempt
}
