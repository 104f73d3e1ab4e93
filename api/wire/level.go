package wire

import "encoding/xml"

// Level is from which level on a room logs.
type Level struct {
	XMLName xml.Name `json:"-" xml:"level"`
	Room    string   `json:"room" xml:"room"`
	Level   string   `json:"level" xml:"level"` // DEBUG, INFO, WARN or ERROR
}

// Levels is the log levels of all rooms, by name.
type Levels struct {
	XMLName xml.Name `json:"-" xml:"levels"`
	Levels  []Level  `json:"levels" xml:"level"`
}
