package config

import (
	"maps"

	"alf"
)

// host is what [host.NAME] says.
type host struct {
	name       alf.HostName
	at         alf.Position
	alias      opt[string]
	address    opt[string]
	hostgroups []reference
	parents    []reference
	notesURL   opt[template]
	renamed    opt[string] // renamed_from
	ssh        ssh
	own        ownCheck
	vars       vars
	overrides  []*override
	amended    []*override // of an amendment

	// What resolve makes of it.
	layers  [][]*override // its own and those of its groups
	index   int           // among all hosts
	groups  []*hostgroup
	unsure  bool // a group or template of it is not there, and nobody knows its variables
	all     vars // its own and those of its groups
	made    *alf.Host
	jumped  bool // made has its bastion
	joining bool // it is being found

	full  ssh         // as it is reached in the end
	place opt[string] // its address
}

// reference is the name of something else, and where it stands.
type reference struct {
	at   alf.Position
	name string
}

func newHost(_ *loader, name string, at alf.Position) thing {
	return &host{name: alf.HostName(name), at: at}
}

func (h *host) keys(l *loader) keys {
	k := keys{
		"address":    set(&h.address, readAddress),
		"alias":      set(&h.alias, word),
		"hostgroups": to(&h.hostgroups, listOf(readReference)),
		"parents":    to(&h.parents, listOf(readReference)),
		"notes_url":  set(&h.notesURL, readLine),
		"proxy_jump": h.ssh.readJumps,
		"ssh":        sub(h.ssh.keys(l)),
		"vars":       l.readVars(&h.vars),
		useKey:       l.use(),
		overrideKey:  l.readOverrides(&h.overrides),

		"renamed_from": set(&h.renamed, readHostName),
	}
	maps.Copy(k, h.own.keys())
	return k
}

// from implements heir. Of a template that is not there, nobody knows the
// variables.
func (h *host) from(t *table) { h.unsure = t.lacks }

func (h *host) loaded(l *loader, _ bool) {
	h.own.times.make(l, h.own.interval)
	l.hosts = append(l.hosts, h)
}

// readHostName reads the name of a host that need not be there.
func readHostName(v value) (string, error) {
	s, err := word(v)
	if err == nil {
		err = checkName("host", s)
	}
	return s, err
}

func readReference(v value) (reference, error) {
	s, err := word(v)
	return reference{v.at, s}, err
}

// readLine reads one line of text with macros.
func readLine(v value) (template, error) {
	s, err := word(v)
	return newTemplate(alf.ParseTemplate(s), v.at), err
}

// ownCheck is the check of a host itself.
type ownCheck struct {
	schedule
	times    timetable
	command  opt[hostCommand]
	flaps    opt[statuses] // flap_detection_options
	stalking opt[statuses]
	soft     opt[bool]              // passive_host_checks_are_soft
	options  opt[alf.NotifyOptions] // notification_options
}

// hostCommand is what check_command says.
type hostCommand struct {
	builtin string // alf.CheckSSH or alf.CheckNone; "": command stands
	command
}

func (c *ownCheck) keys() keys {
	k := keys{
		"check_command":                set(&c.command, readHostCommand),
		"flap_detection_options":       set(&c.flaps, readStatuses(hostStatuses, hostLetters)),
		"stalking_options":             set(&c.stalking, readStatuses(hostStatuses, hostLetters)),
		"passive_host_checks_are_soft": set(&c.soft, boolean),
		"notification_options":         set(&c.options, readOptions(hostStatuses, hostLetters)),
	}
	maps.Copy(k, c.schedule.keys())
	maps.Copy(k, c.times.keys())
	return k
}

func readHostCommand(v value) (hostCommand, error) {
	if s, ok := v.any.(string); ok && (s == alf.CheckSSH || s == alf.CheckNone) {
		return hostCommand{builtin: s}, nil
	}
	c, err := readCommand(v)
	return hostCommand{command: c}, err
}

func (c ownCheck) over(base ownCheck) ownCheck {
	return ownCheck{
		schedule: c.schedule.over(base.schedule),
		times:    c.times.over(base.times, c.interval),
		command:  c.command.or(base.command),
		flaps:    c.flaps.or(base.flaps),
		stalking: c.stalking.or(base.stalking),
		soft:     c.soft.or(base.soft),
		options:  c.options.or(base.options),
	}
}

// hostgroup is what [hostgroup.NAME] says.
type hostgroup struct {
	name    string
	at      alf.Position
	alias   opt[string]
	members []selector
	ssh     ssh
	own     ownCheck // of each host in it
	vars    vars

	overrides []*override // for each host in it
	phantom   bool        // there is only that, so it must be named elsewhere

	hosts []*host // in order, as resolve finds them
}

func newHostgroup(_ *loader, name string, at alf.Position) thing {
	return &hostgroup{name: name, at: at}
}

func (g *hostgroup) keys(l *loader) keys {
	k := keys{
		"alias":      set(&g.alias, word),
		"members":    to(&g.members, readMembers),
		"proxy_jump": g.ssh.readJumps,
		"ssh":        sub(g.ssh.keys(l)),
		"vars":       l.readVars(&g.vars),

		overrideKey: l.readOverrides(&g.overrides),
	}
	maps.Copy(k, g.own.keys())
	return k
}

// from implements heir.
func (g *hostgroup) from(t *table) { g.phantom = t.overridesOnly() }

func (g *hostgroup) loaded(l *loader, _ bool) {
	g.own.times.make(l, g.own.interval)
	l.groups = append(l.groups, g)
}
