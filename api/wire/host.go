package wire

import (
	"encoding/xml"

	"alf"
)

// Host is a machine and what is known of it.
type Host struct {
	XMLName    xml.Name `json:"-" xml:"host"`
	Name       string   `json:"name" xml:"name"`
	Alias      string   `json:"alias" xml:"alias"`
	Address    string   `json:"address" xml:"address"`
	Hostgroups []string `json:"hostgroups" xml:"hostgroups>hostgroup"`
	Head
	Services ServiceCounts `json:"services" xml:"services"`
	NotesURL string        `json:"notes_url" xml:"notes_url"`
}

// Hosts is a list of hosts, by name.
type Hosts struct {
	XMLName xml.Name `json:"-" xml:"hosts"`
	Page
	Hosts []Host `json:"hosts" xml:"host"`
}

// Page says which part of a longer list a list is.
type Page struct {
	Total  int `json:"total" xml:"total,attr"`   // of all parts
	Offset int `json:"offset" xml:"offset,attr"` // of the first member
}

// NewHost returns the host whose own check is s, with its newest event, which
// may be nil.
func NewHost(s *alf.Service, head *alf.Event, services ServiceCounts) Host {
	h := s.Host
	return Host{
		Name:       string(h.Name),
		Alias:      h.Alias,
		Address:    h.Address,
		Hostgroups: append([]string{}, h.Hostgroups...),
		Head:       newHead(s, head),
		Services:   services,
		NotesURL:   h.NotesURL,
	}
}
