package wire

import (
	"encoding/xml"

	"alf"
)

// Service is a check on a host and what is known of it. A host's own check is
// the Service with no name.
type Service struct {
	XMLName xml.Name `json:"-" xml:"service"`
	Host    string   `json:"host" xml:"host"`
	Service string   `json:"service" xml:"service"`
	Head
	Check    string `json:"check" xml:"check"` // ID of the check in the configuration
	Passive  bool   `json:"passive" xml:"passive"`
	NotesURL string `json:"notes_url" xml:"notes_url"`
}

// Services is a list of services, by host and name.
type Services struct {
	XMLName xml.Name `json:"-" xml:"services"`
	Page
	Services []Service `json:"services" xml:"service"`
}

// Problems is a list of problems, those that nobody handles before the others,
// and of either the worst first. A problem with no service is one of the host
// itself.
type Problems struct {
	XMLName xml.Name `json:"-" xml:"problems"`
	Page
	Problems []Service `json:"problems" xml:"service"`
}

// NewService returns s with its newest event, which may be nil.
func NewService(s *alf.Service, head *alf.Event) Service {
	return Service{
		Host:     string(s.Key.Host),
		Service:  string(s.Key.Service),
		Head:     newHead(s, head),
		Check:    s.Check,
		Passive:  s.Passive,
		NotesURL: s.NotesURL,
	}
}

// Key returns the key of s.
func (s *Service) Key() alf.Key {
	return alf.Key{Host: alf.HostName(s.Host), Service: alf.ServiceName(s.Service)}
}
