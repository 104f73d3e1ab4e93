// Package wire is the shapes of the API's bodies and queries: one struct for
// JSON and XML, used by the API, the pages and the client alike.
//
// Times are RFC 3339 in UTC. What is not known is null in JSON and left out in
// XML; a list without members is empty, never null.
package wire

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"time"
	"unicode/utf8"

	"alf/internal/sanitize"
)

// Text is what a host, a plugin or a person wrote. It is made harmless on its
// way out, for the format in which it goes out. Who has read one must make it
// harmless for the place it goes to next.
type Text string

// MarshalJSON writes t without what a reader of JSON should not meet.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(sanitize.JSON(string(t))) }

// MarshalXML writes t without what XML does not allow.
func (t Text) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(sanitize.XML(string(t)), start)
}

// brief is how many bytes of an output stand in a table, or among other sentences.
const brief = 500

// Brief returns as much of an output as has room in a table, and how long all of it
// is if that is more.
func Brief[T ~string](output T) T {
	if len(output) <= brief {
		return output
	}
	end := brief
	for end > brief-utf8.UTFMax && !utf8.RuneStart(output[end]) {
		end--
	}
	return output[:end] + T(fmt.Sprintf(" ... (%d bytes)", len(output)))
}

func texts(in []string) []Text {
	out := make([]Text, len(in))
	for i, s := range in {
		out[i] = Text(s)
	}
	return out
}

// moment returns t in UTC, or nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
