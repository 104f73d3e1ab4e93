package config

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"alf"
)

// resolver puts together what the files say.
type resolver struct {
	*loader
	byName  map[alf.HostName]*host
	byGroup map[string]*hostgroup
	globs   map[string][]*host // the hosts that a pattern matches
	marks   []uint8            // by host: scratch of pick

	spots    map[spot]*alf.Host   // bastions that are none of the hosts
	said     map[Error]bool       // mistakes and warnings that are told once
	sshFiles map[string][]sshLine // of each file of ssh_config
	tried    map[tried]bool       // keys whose passphrases are checked

	checkIDs map[string]bool
	variants map[variantKey]*check

	brokenVariant bool // some check is broken on some hosts

	demands    []demand
	undemanded map[string]string // by macro, what is wrong with it

	policies map[policyKey]*alf.Policy

	claims   map[alf.Key]claim
	services []*alf.Service
	calendar alf.Calendar

	byKey map[alf.Key]*alf.Service        // see service
	on    map[alf.HostName][]*alf.Service // see servicesOn
}

// resolve returns the configuration. It is whole if there are no mistakes.
func (l *loader) resolve(file string) *Config {
	r := newResolver(l)
	r.checkSources()
	r.joinGroups()
	for _, h := range l.hosts {
		r.makeHost(h)
	}
	for _, h := range l.hosts {
		r.bindHost(h)
	}
	r.joinBastions()
	r.joinParents()
	for _, h := range l.hosts {
		r.services = append(r.services, r.ownService(h))
	}
	r.checkAmendments()
	r.collectOverrides()
	r.placeChecks()
	r.warnOverrides()
	r.watchLinks()
	r.makePeriods()
	r.joinTimes()
	r.checkRenamed()
	r.checkDemands()
	r.joinDependencies()
	r.joinDowntimes()
	r.joinEscalations()
	r.dropPolicies()
	r.joinPeople()
	r.warnLogins()
	r.checkPhantoms()
	r.warnNoHosts(file)
	l.finish()
	r.settleWhere()
	return r.config(file)
}

func newResolver(l *loader) *resolver {
	slices.SortFunc(l.hosts, func(a, b *host) int { return cmp.Compare(a.name, b.name) })
	slices.SortFunc(l.groups, func(a, b *hostgroup) int { return cmp.Compare(a.name, b.name) })
	slices.SortFunc(l.checks, func(a, b *check) int {
		return cmp.Or(cmp.Compare(a.at.File, b.at.File), cmp.Compare(a.at.Line, b.at.Line))
	})
	r := &resolver{
		loader:  l,
		byName:  make(map[alf.HostName]*host, len(l.hosts)),
		byGroup: make(map[string]*hostgroup, len(l.groups)),
		globs:   make(map[string][]*host),
		marks:   make([]uint8, len(l.hosts)),

		spots:    make(map[spot]*alf.Host),
		said:     make(map[Error]bool),
		sshFiles: make(map[string][]sshLine),
		tried:    make(map[tried]bool),

		checkIDs: make(map[string]bool, len(l.checks)),
		variants: make(map[variantKey]*check),

		undemanded: make(map[string]string),

		policies: make(map[policyKey]*alf.Policy),
	}
	for _, c := range l.checks {
		r.checkIDs[c.id] = true
	}
	for i, h := range l.hosts {
		h.index = i
		r.byName[h.name] = h
	}
	for _, g := range l.groups {
		r.byGroup[g.name] = g
	}
	l.defaults.settings = l.defaults.settings.over(builtin())
	return r
}

func (r *resolver) config(file string) *Config {
	hosts := make([]*alf.Host, len(r.hosts))
	for i, h := range r.hosts {
		hosts[i] = h.made
	}
	if r.origins != nil {
		r.origins.resolver = r
	}
	return &Config{
		origins: r.origins,

		File:      file,
		Files:     r.files,
		Daemon:    r.daemon,
		Journal:   r.journal,
		Web:       r.web,
		Dialling:  r.dialling,
		Nagios:    r.nagios,
		Sources:   r.sourcesMade(),
		Actions:   r.actionsMade(),
		Policy:    r.ownPolicy(),
		Counts:    Counts{len(hosts), len(r.checks), len(r.services) - len(hosts)},
		Inventory: alf.NewInventory(hosts, r.services).With(r.calendar).WithPeople(r.peopleMade()),
		Warnings:  sorted(r.warnings),
	}
}

// joinGroups says which host is in which groups: those that the host names, in
// its order, then those that name the host, by name.
func (r *resolver) joinGroups() {
	for _, h := range r.hosts {
		for _, name := range h.hostgroups {
			r.join(h, name)
		}
	}
	for _, g := range r.groups {
		for _, m := range r.pick(g.members) {
			if !slices.Contains(m.host.groups, g) {
				m.host.groups = append(m.host.groups, g)
			}
		}
	}
	for _, h := range r.hosts {
		for _, g := range h.groups {
			g.hosts = append(g.hosts, h)
		}
	}
}

func (r *resolver) join(h *host, name reference) {
	g, ok := r.byGroup[name.name]
	switch {
	case !ok:
		r.unknownGroup(name.at, name.name)
		r.assume(h, name.name)
	case slices.Contains(h.groups, g):
		r.add(name.at, "hostgroup %q is named twice", name.name)
	default:
		h.groups = append(h.groups, g)
	}
}

// assume gives h the variables of a group that is not there, so that they are not
// missed as well: those of the group that is meant, if one can tell.
func (r *resolver) assume(h *host, group string) {
	g, ok := r.byGroup[nearest(group, r.groupNames())]
	if !ok {
		h.unsure = true
		return
	}
	h.vars = h.vars.over(g.vars)
}

func (r *resolver) unknownGroup(at alf.Position, name string) {
	if r.partial {
		return
	}
	r.add(at, "there is no [hostgroup.%v]%s", toml.Key{name}, didYouMean(name, r.groupNames()))
}

func (r *resolver) groupNames() []string { return slices.Sorted(maps.Keys(r.byGroup)) }

func (r *resolver) unknownHost(at alf.Position, name string) {
	if r.partial {
		return
	}
	r.missing(at, "there is no [host.%v]%s", toml.Key{name}, didYouMean(name, r.hostNames()))
}

// missing adds the mistake of a host that is not there, or a warning while the
// host may be one of a source that has not answered yet.
func (r *resolver) missing(at alf.Position, format string, args ...any) {
	if r.unanswered {
		r.warn(at, format, args...)
		return
	}
	r.add(at, format, args...)
}

func (r *resolver) hostNames() []string {
	names := make([]string, len(r.hosts))
	for i, h := range r.hosts {
		names[i] = string(h.name)
	}
	return names
}

// makeHost fills in h what its groups and the defaults say.
func (r *resolver) makeHost(h *host) {
	h.all = maps.Clone(h.vars)
	for _, g := range h.groups {
		h.own = h.own.over(g.own)
		h.all = h.all.over(g.vars)
	}
	h.full, h.place = r.withSSHConfig(string(h.name), r.sshOf(h), h.address)
	h.made = &alf.Host{
		Name:    h.name,
		Alias:   h.alias.v,
		Address: h.place.or(some(string(h.name))).v,
		SSH:     h.full.resolved(r.loader),
		Where:   h.at,

		RenamedFrom: alf.HostName(h.renamed.v),
	}
	for _, g := range h.groups {
		h.made.Hostgroups = append(h.made.Hostgroups, g.name)
	}
}

// sshOf returns how h is reached, as far as these files say.
func (r *resolver) sshOf(h *host) ssh {
	out := h.ssh
	for _, g := range h.groups {
		out = out.over(g.ssh)
	}
	return out.over(r.ssh)
}

// varsOf returns all variables of h.
func (r *resolver) varsOf(h *host) vars { return maps.Clone(h.all).over(r.defaults.vars) }

// bindHost resolves the macros of h, which may speak of other hosts.
func (r *resolver) bindHost(h *host) {
	s := &scope{r: r, h: h, what: "notes_url of", dirs: r.defaults.pluginDir.v}
	h.made.NotesURL = s.link(h.notesURL.v, "notes_url")
	r.publish(s)
	h.made.Vars = s.show(r.varsOf(h))
	r.checkKeys(h.full.passphrase.at, h.made.SSH)
}

// joinParents gives every host its parents, of which its bastion is one. Nobody
// is behind himself, however many stand between.
func (r *resolver) joinParents() {
	for _, h := range r.hosts {
		for _, p := range h.parents {
			parent, ok := r.byName[alf.HostName(p.name)]
			switch {
			case !ok:
				r.unknownHost(p.at, p.name)
			case slices.Contains(h.made.Parents, parent.name):
				r.add(p.at, "parent %q is named twice", p.name)
			default:
				h.made.Parents = append(h.made.Parents, parent.name)
			}
		}
		if bastion, ok := h.bastionParent(); ok && !slices.Contains(h.made.Parents, bastion) {
			h.made.Parents = append(h.made.Parents, bastion)
		}
	}
	done := make(map[alf.HostName]bool, len(r.hosts))
	for _, h := range r.hosts {
		r.refuseCircle(h, nil, done)
	}
}

// refuseCircle refuses hosts that are their own ancestors. below are those that
// led to h.
func (r *resolver) refuseCircle(h *host, below []alf.HostName, done map[alf.HostName]bool) {
	if i := slices.Index(below, h.name); i >= 0 {
		r.add(r.byName[below[len(below)-1]].parentsAt(), "parents go round in a circle: %s", circle(append(below[i:], h.name)))
	}
	if done[h.name] {
		return
	}
	done[h.name] = true
	for _, p := range h.made.Parents {
		r.refuseCircle(r.byName[p], append(below, h.name), done)
	}
}

// parentsAt returns where h says what stands before it.
func (h *host) parentsAt() alf.Position {
	if len(h.parents) > 0 {
		return h.parents[0].at
	}
	return h.full.proxyJump.at
}

func circle(names []alf.HostName) string { return strings.Join(textsOf(names), " behind ") }

func textsOf(names []alf.HostName) []string {
	var texts []string
	for _, n := range names {
		texts = append(texts, string(n))
	}
	return texts
}

// over returns the variables of v, and those of base that v has not. v is used
// up.
func (v vars) over(base vars) vars {
	if len(base) == 0 {
		return v
	}
	if v == nil {
		v = make(vars, len(base))
	}
	for name, x := range base {
		if _, ok := v[name]; !ok {
			v[name] = x
		}
	}
	return v
}

// ownSettings returns those of the host's own check.
func (r *resolver) ownSettings(h *host) settings {
	set := r.defaults.settings
	set.schedule = h.own.schedule.over(set.schedule)
	if h.own.times.made != nil {
		set = set.scheduled(h.own.schedule)
	}
	return set
}

// ownService returns the check of the host itself, which runs beside Alf.
func (r *resolver) ownService(h *host) *alf.Service {
	set := r.ownSettings(h)
	c := h.own.command.or(some(hostCommand{builtin: alf.CheckSSH}))
	out := &alf.Service{
		Key:      alf.Key{Host: h.name},
		Host:     h.made,
		Builtin:  c.v.builtin,
		NotesURL: h.made.NotesURL,
		Metric:   cmp.Or(metricName(c.v.plugin()), c.v.builtin, "host"),
		Where:    cmp.Or(c.at, h.at),
	}
	set.judging.complain(r.loader)
	r.table(out, h.own.times)
	set.apply(out)
	out.Flapping.Ignore, out.Stalking, out.SoftPassive = ignored(h.own.flaps), h.own.stalking.v, h.own.soft.v
	out.Policy = r.policy(set.telling, h.own.options)
	if c.v.builtin == alf.CheckSSH {
		out.On = h.made
		return out
	}
	s := &scope{r: r, h: h, what: "check_command of", plugin: c.v.plugin(), dirs: out.Path}
	out.Argv, out.Shell = s.command(c.v.command)
	r.publish(s)
	if exposed(out) {
		r.warn(out.Where, "check_command has a secret in its arguments, which all users of this machine can see in the process list")
	}
	return out
}

// claim says which check gives a service.
type claim struct {
	check  *check
	direct bool // it names the host itself
}

// placeChecks makes a service of each check on each host that it selects. The
// checks that name a host itself come first, since they win.
func (r *resolver) placeChecks() {
	picked := make([][]matched, len(r.checks))
	most := 0
	for i, c := range r.checks {
		picked[i] = r.pickFor(c)
		r.prepare(c)
		most += len(picked[i])
	}
	r.claims = make(map[alf.Key]claim, most)
	r.services = slices.Grow(r.services, most)
	for _, direct := range []bool{true, false} {
		for i, c := range r.checks {
			for _, m := range picked[i] {
				if m.direct == direct && !c.broken {
					r.place(c, m)
				}
			}
		}
	}
}

// service returns the service of that key, or nil. It is asked when there are no
// more services to come; where nobody asks, nothing is sorted by key.
func (r *resolver) service(key alf.Key) *alf.Service {
	if r.byKey == nil {
		r.byKey = make(map[alf.Key]*alf.Service, len(r.services))
		for _, s := range r.services {
			r.byKey[s.Key] = s
		}
	}
	return r.byKey[key]
}

// servicesOn returns those of a host, with its own check. It is asked like service.
func (r *resolver) servicesOn(host alf.HostName) []*alf.Service {
	if r.on == nil {
		r.on = make(map[alf.HostName][]*alf.Service, len(r.hosts))
		for _, s := range r.services {
			r.on[s.Key.Host] = append(r.on[s.Key.Host], s)
		}
	}
	return r.on[host]
}

// prepare sets what is the same for all services of c.
func (r *resolver) prepare(c *check) {
	c.what, c.program = fmt.Sprintf("check %q on", c.id), c.plugin()
	own := c.schedule
	c.settings = c.settings.over(r.defaults.settings)
	if c.times.made != nil {
		c.settings = c.settings.scheduled(own)
	}
	c.notifiesOwn, c.tellsOwn = own.notifications.set, own.telling
	c.proto = alf.Service{
		Check:   c.id,
		Passive: c.passive(),
		Script:  c.script.v,
		Metric:  c.label(),
		Where:   c.at,

		Overridden: c.overridden,
		Volatile:   c.volatile.v,
		Thresholds: c.thresholds,
		Expect:     c.expect.made(),
	}
	c.settings.judging.complain(r.loader)
	r.table(&c.proto, c.times)
	c.settings.apply(&c.proto)
	c.proto.Flapping.Ignore, c.proto.Stalking = ignored(c.flaps), c.stalking.v
	if !c.run.set || c.run.v == runRemote || c.run.v == runLocal {
		return
	}
	on, ok := r.byName[alf.HostName(c.run.v)]
	if !ok {
		r.unknownPlace(c)
		c.broken = true
		return
	}
	c.proto.On = on.made
}

func (r *resolver) unknownPlace(c *check) {
	if r.partial {
		return
	}
	known := append(r.hostNames(), runRemote, runLocal)
	r.missing(c.run.at, "run: %q is neither %q, %q nor a host%s", c.run.v, runRemote, runLocal, didYouMean(c.run.v, known))
}

// place makes the services of c on one host.
func (r *resolver) place(base *check, m matched) {
	c := r.variant(base, m.host)
	if c.broken {
		return
	}
	s := &scope{r: r, h: m.host, c: c, what: c.what, args: c.args.v, plugin: c.program, dirs: c.proto.Path}
	for each := range s.turns() {
		s.each, s.desc = each, ""
		key := s.key()
		if len(s.failures) == 0 && r.claim(s, key, claim{base, m.direct}) {
			s.desc = key.Service
			r.services = append(r.services, s.service(key))
			if r.origins != nil {
				kept := *s
				r.origins.placed[key] = &kept
			}
		}
	}
	r.publish(s)
}

// claim reports whether the check of c gives the service.
func (r *resolver) claim(s *scope, key alf.Key, c claim) bool {
	old, taken := r.claims[key]
	switch {
	case !taken:
		r.claims[key] = c
		return true
	case old.check == c.check:
		s.fail(c.check.at, "for_each makes service %q more than once; name its variable in service", key.Service)
	case old.direct && c.direct:
		s.fail(c.check.at, "service %q comes from check %q (%s), too, and both name the host itself", key.Service, old.check.id, where(old.check.at))
	case !old.direct:
		s.fail(c.check.at, "service %q comes from check %q (%s), too; one of them must name the host itself, or leave it out", key.Service, old.check.id, where(old.check.at))
	}
	return false
}

// watchLinks gives a service for its link to each host on which something runs
// over SSH and whose own check is another than the link (RULES T2). That name is
// then taken: a check that has it is a mistake.
func (r *resolver) watchLinks() {
	used := make(map[*alf.Host]bool)
	for _, s := range r.services {
		if s.On != nil {
			used[s.On] = true
		}
	}
	for _, h := range r.hosts {
		c := h.own.command
		if !used[h.made] || !c.set || c.v.builtin == alf.CheckSSH {
			continue
		}
		if other, taken := r.claims[alf.Key{Host: h.name, Service: alf.LinkService}]; taken {
			r.addOn(other.check.what, h.name, other.check.at, fmt.Sprintf("service %q is what Alf calls its own check of the connection; choose another name", alf.LinkService))
			continue
		}
		r.services = append(r.services, r.linkService(h))
	}
}

// linkService returns the check of the link of h, beside the host's own and as
// often.
func (r *resolver) linkService(h *host) *alf.Service {
	out := &alf.Service{
		Key:      alf.Key{Host: h.name, Service: alf.LinkService},
		Host:     h.made,
		On:       h.made,
		Builtin:  alf.CheckSSH,
		NotesURL: h.made.NotesURL,
		Metric:   alf.CheckSSH,
		Where:    h.at,
	}
	r.table(out, h.own.times)
	set := r.ownSettings(h)
	set.apply(out)
	out.Policy = r.policy(set.telling, opt[alf.NotifyOptions]{})
	return out
}

// publish adds what failed on one host to the mistakes, unless another mistake
// may be all there is to it.
func (r *resolver) publish(s *scope) {
	for _, f := range s.failures {
		if f.missing && (r.partial || s.h.unsure) {
			continue
		}
		r.addOn(s.what, s.h.name, f.at, f.text)
	}
	s.failures = nil
}

// exposed reports whether the command of s holds a secret.
func exposed(s *alf.Service) bool {
	return s.Shell.HasSecret() || slices.ContainsFunc(s.Argv, alf.Template.HasSecret)
}

// warnEncrypted warns of keys that nobody is there to decrypt.
func (r *resolver) warnEncrypted(s alf.SSH) {
	if s.Agent {
		return
	}
	for _, file := range s.IdentityFiles {
		if key, ok := r.encrypted[file]; ok {
			r.warn(key.at, "identity_files: %s is encrypted and cannot be used: set passphrase, or load it into an agent and set agent = true", file)
		}
	}
}

// warnNoHosts warns of a configuration that watches nothing, and says where that
// was looked for.
func (r *resolver) warnNoHosts(file string) {
	if len(r.hosts) > 0 {
		return
	}
	dir := confD(file)
	others := filepath.Join(dir, "**", "*.toml")
	if _, err := os.Stat(dir); err != nil {
		others = dir + ", which is not there"
	}
	r.warn(alf.Position{File: file}, "no hosts are configured: there is no [host.NAME] here, nor in %s", others)
}

// warnLogins warns of hosts that are logged in to, without anything to log in
// with.
func (r *resolver) warnLogins() {
	var first *alf.Host
	seen := make(map[*alf.Host]bool)
	var used []*alf.Host
	known := make(map[*alf.Host]bool, len(r.hosts))
	for _, s := range r.services {
		if s.On != nil && !known[s.On] {
			known[s.On] = true
			used = append(append(used, s.On), s.On.SSH.Bastions()...)
		}
	}
	for _, h := range used {
		if !seen[h] && h.SSH.IdentityFiles == nil && !h.SSH.Agent && h.SSH.Password == "" {
			seen[h] = true
			if first == nil || h.Name < first.Name {
				first = h
			}
		}
	}
	if first == nil {
		return
	}
	r.warn(first.Where, "%s: there is nothing to log in with; set identity_files, agent or password in [ssh]", andOthers(first.Name, len(seen)-1))
}
