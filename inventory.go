package alf

import (
	"cmp"
	"slices"
)

// Inventory is all that is checked. It is read-only: a reload makes a new one.
type Inventory struct {
	hosts    []*Host
	services []*Service
	calendar Calendar
	people   People
}

// NewInventory returns an Inventory of hosts and services, which it takes over
// and sorts. Names must be unique, and every service's host be among hosts.
func NewInventory(hosts []*Host, services []*Service) *Inventory {
	slices.SortFunc(hosts, func(a, b *Host) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(services, func(a, b *Service) int { return a.Key.Compare(b.Key) })
	return &Inventory{hosts: hosts, services: services}
}

// With returns v with a calendar, which it takes over.
func (v *Inventory) With(c Calendar) *Inventory {
	return &Inventory{v.hosts, v.services, c, v.people}
}

// WithPeople returns v with those who can be told, whom it takes over.
func (v *Inventory) WithPeople(p People) *Inventory {
	return &Inventory{v.hosts, v.services, v.calendar, p}
}

// Contact returns the contact of that name; nil: there is none.
func (v *Inventory) Contact(name string) *Contact { return v.people.Contacts[name] }

// Contacts returns all contacts by name. The caller must not change the map.
func (v *Inventory) Contacts() map[string]*Contact { return v.people.Contacts }

// Plus returns v with more hosts and services, whose keys it does not have.
func (v *Inventory) Plus(hosts []*Host, services []*Service) *Inventory {
	return NewInventory(append(slices.Clone(v.hosts), hosts...), append(slices.Clone(v.services), services...)).With(v.calendar).WithPeople(v.people)
}

// Period returns the timeperiod of that name; nil: there is none.
func (v *Inventory) Period(name string) Period { return v.calendar.Periods[name] }

// Timetable returns the timetable of that text; nil: there is none.
func (v *Inventory) Timetable(text string) *Timetable { return v.calendar.Timetables[text] }

// Recurring returns the recurring downtime of that name; nil: there is none.
func (v *Inventory) Recurring(name string) *Recurring { return v.calendar.Recurring[name] }

// Hosts returns all hosts by name. The caller must not change the slice.
func (v *Inventory) Hosts() []*Host { return v.hosts }

// Services returns all services by key, every host's own check before the
// services on it. The caller must not change the slice.
func (v *Inventory) Services() []*Service { return v.services }

// Host returns the host of that name, or nil.
func (v *Inventory) Host(name HostName) *Host {
	i, found := slices.BinarySearchFunc(v.hosts, name, func(h *Host, n HostName) int { return cmp.Compare(h.Name, n) })
	if !found {
		return nil
	}
	return v.hosts[i]
}

// Service returns the service of that key, or nil.
func (v *Inventory) Service(key Key) *Service {
	i, found := slices.BinarySearchFunc(v.services, key, func(s *Service, k Key) int { return s.Key.Compare(k) })
	if !found {
		return nil
	}
	return v.services[i]
}

// On returns the services of a host, without the host's own check. The caller
// must not change the slice.
func (v *Inventory) On(host HostName) []*Service {
	from, _ := slices.BinarySearchFunc(v.services, host, func(s *Service, h HostName) int {
		if s.Key.Host == h && s.Key.IsHost() {
			return -1
		}
		return cmp.Compare(s.Key.Host, h)
	})
	to := from
	for to < len(v.services) && v.services[to].Key.Host == host {
		to++
	}
	return v.services[from:to]
}
