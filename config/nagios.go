package config

import (
	"fmt"
	"os/user"
)

// Nagios is what [nagios] says: what other programs use of Nagios' interfaces.
type Nagios struct {
	CommandFile      string // FIFO into which they write commands; "": none
	CommandFileGroup string // who may write it besides Alf's own user; "": Alf's own group
}

func (n *Nagios) keys(l *loader) keys {
	return keys{
		"command_file":       to(&n.CommandFile, l.path),
		"command_file_group": to(&n.CommandFileGroup, l.group),
	}
}

// loaded adds the mistake that lies between keys.
func (n *Nagios) loaded(l *loader, ok bool) {
	if ok && !l.partial && n.CommandFile == "" && n.CommandFileGroup != "" {
		l.add(l.nagiosAt, "[nagios] has a command_file_group, but no command_file")
	}
}

// group reads the name or the ID of a group of this machine.
func (l *loader) group(v value) (string, error) {
	name, err := word(v)
	if err != nil || l.NoSecrets {
		return name, err
	}
	if _, err := user.LookupGroup(name); err == nil {
		return name, nil
	}
	if _, err := user.LookupGroupId(name); err == nil {
		return name, nil
	}
	return "", fmt.Errorf("there is no group %q", name)
}
