package wire

import (
	"encoding/xml"
	"fmt"
	"net/http"
)

// Error is the answer to a request that was not done: the problem details of
// RFC 9457.
type Error struct {
	XMLName xml.Name `json:"-" xml:"urn:ietf:rfc:7807 problem"`
	Type    string   `json:"type" xml:"type"` // always about:blank: Status says all
	Title   string   `json:"title" xml:"title"`
	Status  int      `json:"status" xml:"status"` // of HTTP
	Detail  Text     `json:"detail" xml:"detail"`
}

// NewError returns an Error of that HTTP status with a formatted detail.
func NewError(status int, format string, args ...any) *Error {
	return &Error{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: Text(fmt.Sprintf(format, args...)),
	}
}

// Error returns the detail, or the title if there is none.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Title
	}
	return string(e.Detail)
}
