package config

import (
	"fmt"

	"alf"
)

// checkRenamed refuses new names that cannot take over what was known under an
// old one: because that is still in use, or because another one takes it over.
func (r *resolver) checkRenamed() {
	heirs := make(map[string]*host)
	for _, h := range r.hosts {
		if !h.renamed.set {
			continue
		}
		name := h.renamed.v
		if r.byName[alf.HostName(name)] != nil {
			r.add(h.renamed.at, "renamed_from: host %q is still configured; leave it out if that is another one", name)
		}
		if other := heirs[name]; other != nil {
			r.add(h.renamed.at, "renamed_from: host %q was renamed from %q, too (%s)", other.name, name, where(other.renamed.at))
		}
		heirs[name] = h
	}
	r.checkRenamedServices()
}

func (r *resolver) checkRenamedServices() {
	byID := make(map[string]*check, len(r.checks))
	for _, c := range r.checks {
		byID[c.id] = c
	}
	heirs := make(map[alf.Key]*alf.Service)
	for _, s := range r.services {
		if s.RenamedFrom == "" {
			continue
		}
		c, old := byID[s.Check], alf.Key{Host: s.Key.Host, Service: s.RenamedFrom}
		if r.service(old) != nil {
			r.addOn(c.what, s.Key.Host, c.renamed.at, fmt.Sprintf("renamed_from: service %q is still configured; leave it out if that is another one", old.Service))
		}
		if other := heirs[old]; other != nil {
			r.addOn(c.what, s.Key.Host, c.renamed.at, fmt.Sprintf("renamed_from: service %q was renamed from %q, too; name the variables of for_each as in service", other.Key.Service, old.Service))
		}
		heirs[old] = s
	}
}
