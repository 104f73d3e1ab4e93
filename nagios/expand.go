package nagios

import (
	"cmp"
	"iter"
	"slices"

	"alf"
)

// Expand returns the commands that o comes to, one for each key, in the order in
// which they are to be carried out. What o adds gets id as its name. heads are
// looked at where o is about what was added before. The error is a *Refusal: it
// says what is not there.
func (o Order) Expand(id string, inventory *alf.Inventory, heads func() iter.Seq[*alf.Event]) ([]alf.Command, error) {
	e := expansion{o.Command, inventory, heads}
	switch o.Scope {
	case HostsWith, ServicesWith:
		return e.with(o.Scope == HostsWith)
	case AllComments:
		return e.comments()
	case AllDowntimes:
		return e.downtimes(o.Group)
	}
	keys, err := e.keys(o)
	if err != nil {
		return nil, err
	}
	if err := e.trigger(); err != nil {
		return nil, err
	}
	var commands []alf.Command
	for _, key := range keys {
		c := o.Command
		c.Key, c.ID = key, id
		if o.Scope == TriggerFamily && key.Host != o.Command.Key.Host {
			c.ID, c.Trigger = id+"-behind", id
		}
		commands = append(commands, c)
		if o.Remark != "" {
			commands = append(commands, alf.Command{Verb: alf.AddComment, Key: key, ID: id, Author: c.Author, Time: c.Time, Text: o.Remark})
		}
	}
	return commands, nil
}

// expansion is a command, and what it is looked up in.
type expansion struct {
	alf.Command
	inventory *alf.Inventory
	heads     func() iter.Seq[*alf.Event]
}

// keys returns what o is for. The hosts behind a host come before it, so that
// their downtimes wait when its own begins.
func (e *expansion) keys(o Order) ([]alf.Key, error) {
	var hosts []*alf.Host
	var err error
	switch o.Scope {
	case HostsIn, ServicesIn:
		hosts, err = e.group(o.Group)
	default:
		err = e.find()
		if o.Scope == One || err != nil {
			return []alf.Key{e.Key}, err
		}
		hosts = []*alf.Host{e.inventory.Host(e.Key.Host)}
	}
	if o.Scope == Family || o.Scope == TriggerFamily {
		hosts = append(e.behind(e.Key.Host), hosts...)
	}
	var keys []alf.Key
	for _, h := range hosts {
		if o.Scope != ServicesOn && o.Scope != ServicesIn {
			keys = append(keys, alf.Key{Host: h.Name})
			continue
		}
		for _, s := range e.inventory.On(h.Name) {
			if e.Verb != alf.Recheck || s.Scheduled() {
				keys = append(keys, s.Key)
			}
		}
	}
	if err == nil && len(keys) == 0 {
		err = refuse(NotThere, "there are no such services there")
	}
	return keys, err
}

// find sees to it that the key is there. As in Nagios, a result may come under
// the address of a host.
func (e *expansion) find() error {
	if e.Verb == alf.Submit && e.inventory.Host(e.Key.Host) == nil {
		if err := e.atAddress(); err != nil {
			return err
		}
	}
	switch {
	case e.inventory.Host(e.Key.Host) == nil:
		return refuse(NotThere, "there is no host %s", quote(string(e.Key.Host)))
	case e.inventory.Service(e.Key) == nil && e.Key.IsHost():
		return refuse(NotThere, "host %q has no check", e.Key.Host)
	case e.inventory.Service(e.Key) == nil:
		return refuse(NotThere, "there is no service %s on host %q", quote(string(e.Key.Service)), e.Key.Host)
	}
	return nil
}

func (e *expansion) atAddress() error {
	var found []*alf.Host
	for _, h := range e.inventory.Hosts() {
		if h.Address == string(e.Key.Host) {
			found = append(found, h)
		}
	}
	switch {
	case len(found) > 1:
		return refuse(NotThere, "%q is the address of several hosts, %q and %q among them", e.Key.Host, found[0].Name, found[1].Name)
	case len(found) == 1:
		e.Key.Host = found[0].Name
	}
	return nil
}

func (e *expansion) group(name string) ([]*alf.Host, error) {
	var hosts []*alf.Host
	for _, h := range e.inventory.Hosts() {
		if slices.Contains(h.Hostgroups, name) {
			hosts = append(hosts, h)
		}
	}
	if len(hosts) == 0 {
		return nil, refuse(NotThere, "there is no host in a hostgroup %s", quote(name))
	}
	return hosts, nil
}

// behind returns all hosts that have the host between them and Alf.
func (e *expansion) behind(host alf.HostName) []*alf.Host {
	front := map[alf.HostName]bool{host: true}
	var hosts []*alf.Host
	for grown := true; grown; {
		grown = false
		for _, h := range e.inventory.Hosts() {
			if !front[h.Name] && slices.ContainsFunc(h.Parents, func(p alf.HostName) bool { return front[p] }) {
				front[h.Name], grown = true, true
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// trigger sees to it that the downtime is there that a new one waits for.
func (e *expansion) trigger() error {
	if e.Trigger == "" {
		return nil
	}
	for h := range e.heads() {
		for _, d := range h.State.Downtimes {
			if d.ID == e.Trigger {
				return nil
			}
		}
	}
	return refuse(NotThere, "there is no downtime %q that it could begin with", e.Trigger)
}

// with returns a command for each host, or each service, that has what is named.
// A downtime takes those with it that wait for it.
func (e *expansion) with(hosts bool) ([]alf.Command, error) {
	var commands []alf.Command
	for h := range e.heads() {
		if h.Key.IsHost() != hosts {
			continue
		}
		for _, id := range e.ids(h.State) {
			if id == e.ID {
				commands = append(commands, e.of(h.Key, id))
			}
		}
	}
	if len(commands) == 0 {
		return nil, refuse(NotThere, "there is no %s %q of a %s", e.thing(), e.ID, map[bool]string{true: "host", false: "service"}[hosts])
	}
	return e.triggered(commands), nil
}

// triggered sorts commands, and adds to what is cancelled the downtimes that wait
// for it, which would wait in vain.
func (e *expansion) triggered(commands []alf.Command) []alf.Command {
	slices.SortFunc(commands, func(a, b alf.Command) int { return cmp.Or(a.Key.Compare(b.Key), cmp.Compare(a.ID, b.ID)) })
	waiting := make(map[string][]alf.Command)
	for h := range e.heads() {
		for _, d := range h.State.Downtimes {
			if d.Trigger != "" && e.Verb == alf.CancelDowntime {
				waiting[d.Trigger] = append(waiting[d.Trigger], e.of(h.Key, d.ID))
			}
		}
	}
	for i := 0; i < len(commands); i++ {
		for _, c := range waiting[commands[i].ID] {
			same := func(o alf.Command) bool { return o.Key == c.Key && o.ID == c.ID }
			if !slices.ContainsFunc(commands, same) {
				commands = append(commands, c)
			}
		}
		delete(waiting, commands[i].ID)
	}
	return commands
}

func (e *expansion) comments() ([]alf.Command, error) {
	if err := e.find(); err != nil {
		return nil, err
	}
	var commands []alf.Command
	for h := range e.heads() {
		if h.Key == e.Key {
			for _, id := range e.ids(h.State) {
				commands = append(commands, e.of(h.Key, id))
			}
		}
	}
	return commands, nil
}

// downtimes returns a command for each downtime that is meant.
func (e *expansion) downtimes(group string) ([]alf.Command, error) {
	var hosts []*alf.Host
	if group != "" {
		var err error
		if hosts, err = e.group(group); err != nil {
			return nil, err
		}
	}
	var commands []alf.Command
	for h := range e.heads() {
		in := group == "" || slices.ContainsFunc(hosts, func(x *alf.Host) bool { return x.Name == h.Key.Host })
		if !in || e.Key.Host != "" && e.Key.Host != h.Key.Host || e.Key.Service != "" && e.Key.Service != h.Key.Service {
			continue
		}
		for _, d := range h.State.Downtimes {
			if (e.Start.IsZero() || e.Start.Equal(d.Start)) && (e.Text == "" || e.Text == d.Text) {
				commands = append(commands, e.of(h.Key, d.ID))
			}
		}
	}
	if len(commands) == 0 {
		return nil, refuse(NotThere, "there is no such downtime")
	}
	return e.triggered(commands), nil
}

// of returns the command for the downtime or the comment of that ID.
func (e *expansion) of(key alf.Key, id string) alf.Command {
	return alf.Command{Verb: e.Verb, Key: key, ID: id, Author: e.Author, Time: e.Time}
}

func (e *expansion) thing() string {
	if e.Verb == alf.CancelDowntime {
		return "downtime"
	}
	return "comment"
}

func (e *expansion) ids(s alf.State) []string {
	var ids []string
	if e.Verb == alf.CancelDowntime {
		for _, d := range s.Downtimes {
			ids = append(ids, d.ID)
		}
		return ids
	}
	for _, c := range s.Comments {
		ids = append(ids, c.ID)
	}
	return ids
}
