package wire

import (
	"encoding/xml"
	"time"
)

// Status is how Alf itself is, and how much it watches.
type Status struct {
	XMLName  xml.Name  `json:"-" xml:"status"`
	Version  string    `json:"version" xml:"version"`
	Started  time.Time `json:"started" xml:"started"`
	Ready    bool      `json:"ready" xml:"ready"`
	NotReady Text      `json:"not_ready" xml:"not_ready"` // why not; empty if Ready
	Counts
}

// Counts says how many hosts and services are in which state.
type Counts struct {
	Hosts        HostCounts    `json:"hosts" xml:"hosts"`
	Services     ServiceCounts `json:"services" xml:"services"`
	Stale        int           `json:"stale" xml:"stale"`               // hosts and services of which nothing new is known
	Problems     int           `json:"problems" xml:"problems"`         // as listed under problems
	Handled      int           `json:"handled" xml:"handled"`           // of them, those that are acknowledged or in downtime
	Unhandled    int           `json:"unhandled" xml:"unhandled"`       // of them, the others
	Acknowledged int           `json:"acknowledged" xml:"acknowledged"` // hosts and services
	Downtime     int           `json:"downtime" xml:"downtime"`         // hosts and services in downtime
	Flapping     int           `json:"flapping" xml:"flapping"`
	Held         int           `json:"held" xml:"held"` // hosts and services whose checks are not run for the time being
}

// HostCounts counts hosts by their state.
type HostCounts struct {
	Total       int `json:"total" xml:"total"`
	Up          int `json:"up" xml:"up"`
	Down        int `json:"down" xml:"down"`
	Unreachable int `json:"unreachable" xml:"unreachable"`
	Pending     int `json:"pending" xml:"pending"`
}

// Add counts a host in the state of that name.
func (c *HostCounts) Add(state string) {
	c.Total++
	switch state {
	case "UP":
		c.Up++
	case "DOWN":
		c.Down++
	case "UNREACHABLE":
		c.Unreachable++
	case Pending:
		c.Pending++
	}
}

// ServiceCounts counts services by their state.
type ServiceCounts struct {
	Total    int `json:"total" xml:"total"`
	OK       int `json:"ok" xml:"ok"`
	Warning  int `json:"warning" xml:"warning"`
	Critical int `json:"critical" xml:"critical"`
	Unknown  int `json:"unknown" xml:"unknown"`
	Pending  int `json:"pending" xml:"pending"`
}

// Add counts a service in the state of that name.
func (c *ServiceCounts) Add(state string) {
	c.Total++
	switch state {
	case "OK":
		c.OK++
	case "WARNING":
		c.Warning++
	case "CRITICAL":
		c.Critical++
	case "UNKNOWN":
		c.Unknown++
	case Pending:
		c.Pending++
	}
}
