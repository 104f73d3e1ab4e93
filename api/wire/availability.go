package wire

import (
	"encoding/xml"
	"errors"
	"net/url"
	"time"
)

// Availability is how long hosts and services were in which state.
type Availability struct {
	XMLName        xml.Name              `json:"-" xml:"availability"`
	From           time.Time             `json:"from" xml:"from"`
	Until          time.Time             `json:"until" xml:"until"`
	Seconds        float64               `json:"seconds" xml:"seconds"`
	Soft           bool                  `json:"soft" xml:"soft"` // soft states count, too
	Hosts          []HostAvailability    `json:"hosts" xml:"hosts>host"`
	Services       []ServiceAvailability `json:"services" xml:"services>service"`
	HostAverage    *HostShares           `json:"host_average" xml:"host_average"`
	ServiceAverage *ServiceShares        `json:"service_average" xml:"service_average"`
}

// HostAvailability is how long a host was in which state.
type HostAvailability struct {
	Host string `json:"host" xml:"host"`
	HostShares
}

// ServiceAvailability is how long a service was in which state.
type ServiceAvailability struct {
	Host    string `json:"host" xml:"host"`
	Service string `json:"service" xml:"service"`
	ServiceShares
}

// HostShares is the parts of a time by the state of a host.
type HostShares struct {
	Up          Share `json:"up" xml:"up"`
	Down        Share `json:"down" xml:"down"`
	Unreachable Share `json:"unreachable" xml:"unreachable"`
	Undetermined
}

// ServiceShares is the parts of a time by the state of a service.
type ServiceShares struct {
	OK       Share `json:"ok" xml:"ok"`
	Warning  Share `json:"warning" xml:"warning"`
	Critical Share `json:"critical" xml:"critical"`
	Unknown  Share `json:"unknown" xml:"unknown"`
	Undetermined
}

// Undetermined is the parts of a time in which the state was not known.
type Undetermined struct {
	NotRunning Share `json:"not_running" xml:"not_running"` // Alf did not run
	NoData     Share `json:"no_data" xml:"no_data"`         // not configured, pending, or before the log begins
}

// Share is a part of a time.
type Share struct {
	Seconds      float64  `json:"seconds" xml:"seconds"`
	Percent      float64  `json:"percent" xml:"percent"`             // of the whole time
	PercentKnown *float64 `json:"percent_known" xml:"percent_known"` // of the time in which the state was known; null if it was not
}

// AvailabilityParameters are the parameters of the query of an availability.
var AvailabilityParameters = []string{"from", "host", "hostgroup", "service", "soft", "until"}

// AvailabilityFilter says of what and of which time a report is asked for.
type AvailabilityFilter struct {
	Host, Hostgroup string // one of them
	Service         string // "": all, and the hosts themselves
	From            time.Time
	Until           time.Time // zero: now
	Soft            bool
}

// ParseAvailability reads a query, at that time. Its error names all that
// cannot be read or is missing.
func ParseAvailability(query url.Values, now time.Time) (AvailabilityFilter, error) {
	p := filterParser{query: query}
	p.known(AvailabilityParameters)
	f := AvailabilityFilter{
		Host:      p.one("host"),
		Hostgroup: p.one("hostgroup"),
		Service:   p.one("service"),
		From:      p.moment("from", now),
		Until:     p.moment("until", now),
		Soft:      p.flag("soft"),
	}
	if f.Until.IsZero() || f.Until.After(now) {
		f.Until = now
	}
	if (f.Host == "") == (f.Hostgroup == "") {
		p.fail("one of host and hostgroup must be given")
	}
	switch {
	case !query.Has("from"):
		p.fail("from is missing: RFC 3339, or a duration ago like 30d")
	case !f.From.Before(f.Until):
		p.fail("from must be before until, and before now")
	}
	return f, errors.Join(p.errs...)
}

// Values returns the query that ParseAvailability reads as f.
func (f AvailabilityFilter) Values() url.Values {
	v := url.Values{"from": {f.From.UTC().Format(time.RFC3339Nano)}}
	for name, value := range map[string]string{"host": f.Host, "hostgroup": f.Hostgroup, "service": f.Service} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if !f.Until.IsZero() {
		v.Set("until", f.Until.UTC().Format(time.RFC3339Nano))
	}
	if f.Soft {
		v.Set("soft", "true")
	}
	return v
}
