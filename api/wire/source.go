package wire

import (
	"encoding/xml"
	"time"
)

// Source is how something is that says which hosts there are.
type Source struct {
	XMLName     xml.Name      `json:"-" xml:"source"`
	Name        string        `json:"name" xml:"name"`
	Up          bool          `json:"up" xml:"up"` // its last answer was taken
	Hosts       int           `json:"hosts" xml:"hosts"`
	Error       Text          `json:"error" xml:"error"` // why it was not
	Failures    int           `json:"failures" xml:"failures"`
	LastSuccess *time.Time    `json:"last_success" xml:"last_success"`
	LastFailure *time.Time    `json:"last_failure" xml:"last_failure"`
	Next        *time.Time    `json:"next" xml:"next"` // null: only when somebody orders it
	Refused     []RefusedHost `json:"refused" xml:"refused>host"`
}

// RefusedHost is a host of an answer with mistakes.
type RefusedHost struct {
	Host  Text `json:"host" xml:"name"`
	Line  int  `json:"line" xml:"line"`
	Kept  bool `json:"kept" xml:"kept"` // it stays as it was
	Error Text `json:"error" xml:"error"`
}

// Sources is all sources, by name.
type Sources struct {
	XMLName xml.Name `json:"-" xml:"sources"`
	Sources []Source `json:"sources" xml:"source"`
}

// Refresh orders sources to be asked now.
type Refresh struct {
	Sources []string `json:"sources"` // none: all
	Force   bool     `json:"force"`   // take the answers however many hosts disappear with them
}
