package alf

import (
	"slices"
	"time"
)

// Host is a machine that is checked. A Host is read-only once it is loaded.
type Host struct {
	Name       HostName
	Alias      string
	Address    string // name or IP address; default: Name
	Hostgroups []string
	Parents    []HostName       // what stands between it and Alf (RULES H2)
	Vars       map[string]Value // its own, over its groups' and the defaults
	NotesURL   string
	SSH        SSH
	Where      Position // where it is defined
	// RenamedFrom is what the host was called before; "": it was not renamed. What
	// was known under the old name goes over to it, once.
	RenamedFrom HostName
}

// SSH says how to reach a host. Every field is resolved: host over hostgroup
// over [ssh].
type SSH struct {
	Port           int
	User           string
	HostKeyAlias   string   // what known_hosts calls it; "": by its name and address
	IdentityFiles  []string // tried in order within one login
	Passphrase     Secret   // of those that are encrypted
	Certificates   []string // files, besides those that lie beside the identity files
	Agent          bool     // use the agent that SSH_AUTH_SOCK names
	Password       Secret
	KnownHosts     []string // files; the first one takes new keys
	HostKeyPolicy  string   // HostKeyStrict or HostKeyAcceptNew
	ConnectTimeout time.Duration
	MaxSessions    int // commands at a time over the one connection
	// Gateway says that its key leads to a gateway, which runs what is on its list only.
	Gateway bool
	// Via is the bastion from which it is reached; nil: it is reached directly. It is another
	// Host, or one that stands for "user@host:port": that has no Where, and nobody checks it.
	Via *Host
}

// Bastions returns those through which a host is reached, the first one first.
func (s SSH) Bastions() []*Host {
	var all []*Host
	for via := s.Via; via != nil; via = via.SSH.Via {
		all = append(all, via)
	}
	slices.Reverse(all)
	return all
}

// The host key policies.
const (
	HostKeyStrict    = "strict"     // an unknown key is refused
	HostKeyAcceptNew = "accept-new" // an unknown key is remembered; a changed one is refused
)

// Position is a place in a configuration file. The zero Position: built in.
type Position struct {
	File string
	Line int
}
