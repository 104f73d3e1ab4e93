package config

import (
	"fmt"
	"path/filepath"
	"time"

	"alf"
)

// ssh are the settings of [ssh], and of the table ssh of a host or a hostgroup.
type ssh struct {
	user           opt[string]
	port           opt[int]
	identityFiles  opt[[]string]
	passphrase     opt[alf.Secret]
	certificates   opt[[]string]
	agent          opt[bool]
	password       opt[alf.Secret]
	knownHosts     opt[[]string]
	hostKeyPolicy  opt[string]
	hostKeyAlias   opt[string]
	connectTimeout opt[time.Duration]
	maxSessions    opt[int]
	gateway        opt[bool]
	proxyJump      opt[[]jump]
	sshConfig      opt[[]string] // files of ssh_config
}

func (s *ssh) keys(l *loader) keys {
	return keys{
		"user":              set(&s.user, word),
		"port":              set(&s.port, number(1, 65535)),
		"identity_files":    set(&s.identityFiles, listOf(l.identityFile)),
		"passphrase":        set(&s.passphrase, l.secret),
		"certificate_files": set(&s.certificates, listOf(l.certificateFile)),
		"agent":             set(&s.agent, boolean),
		"password":          set(&s.password, l.secret),
		"known_hosts":       set(&s.knownHosts, oneOrMore(l.path)),
		"host_key_policy":   set(&s.hostKeyPolicy, oneOf(alf.HostKeyStrict, alf.HostKeyAcceptNew)),
		"host_key_alias":    set(&s.hostKeyAlias, readAlias),
		"connect_timeout":   set(&s.connectTimeout, duration(time.Second, time.Hour)),
		"max_sessions":      set(&s.maxSessions, number(1, 1000)),
		"gateway":           set(&s.gateway, boolean),
		"proxy_jump":        s.readJumps,
		"use_ssh_config":    set(&s.sshConfig, l.sshConfigFiles),
	}
}

// readJumps reads proxy_jump, which a host or hostgroup may have itself or in its
// table ssh.
func (s *ssh) readJumps(m *mistakes, key string, v value) {
	switch v.any.(type) {
	case *shape, *origin: // asked, not set
	default:
		if s.proxyJump.set {
			m.add(v.at, "%s is already set in line %d", key, s.proxyJump.at.Line)
			return
		}
	}
	set(&s.proxyJump, oneOrMore(readJump))(m, key, v)
}

func (s *ssh) loaded(*loader, bool) {}

// readAlias reads a name that can stand in known_hosts.
func readAlias(v value) (string, error) {
	s, err := word(v)
	if err == nil && !isHostName(s) {
		err = fmt.Errorf("%q is no host name", s)
	}
	return s, err
}

// over returns the settings of s, and those of base where s has none.
func (s ssh) over(base ssh) ssh {
	return ssh{
		user:           s.user.or(base.user),
		port:           s.port.or(base.port),
		identityFiles:  s.identityFiles.or(base.identityFiles),
		passphrase:     s.passphrase.or(base.passphrase),
		certificates:   s.certificates.or(base.certificates),
		hostKeyAlias:   s.hostKeyAlias.or(base.hostKeyAlias),
		agent:          s.agent.or(base.agent),
		password:       s.password.or(base.password),
		knownHosts:     s.knownHosts.or(base.knownHosts),
		hostKeyPolicy:  s.hostKeyPolicy.or(base.hostKeyPolicy),
		connectTimeout: s.connectTimeout.or(base.connectTimeout),
		maxSessions:    s.maxSessions.or(base.maxSessions),
		gateway:        s.gateway.or(base.gateway),
		proxyJump:      s.proxyJump.or(base.proxyJump),
		sshConfig:      s.sshConfig.or(base.sshConfig),
	}
}

// sshDefaults are the settings that stand nowhere. The files of known hosts are
// those of ssh itself, the user's own first.
func (l *loader) sshDefaults() ssh {
	known := []string{"/etc/ssh/ssh_known_hosts"}
	if home := l.Getenv("HOME"); home != "" {
		known = append([]string{filepath.Join(home, ".ssh/known_hosts")}, known...)
	}
	return ssh{
		user:           some(currentUser()),
		port:           some(22),
		knownHosts:     some(known),
		hostKeyPolicy:  some(alf.HostKeyStrict),
		connectTimeout: some(10 * time.Second),
		maxSessions:    some(5),
	}
}

// resolved returns s, in which only agent may be missing: the agent is asked
// where nothing else is said.
func (s ssh) resolved(l *loader) alf.SSH {
	agent := s.agent.or(some(!s.identityFiles.set && !s.password.set && l.Getenv("SSH_AUTH_SOCK") != ""))
	return alf.SSH{
		Port:           s.port.v,
		User:           s.user.v,
		IdentityFiles:  s.identityFiles.v,
		Passphrase:     s.passphrase.v,
		Certificates:   s.certificates.v,
		HostKeyAlias:   s.hostKeyAlias.v,
		Agent:          agent.v,
		Password:       s.password.v,
		KnownHosts:     s.knownHosts.v,
		HostKeyPolicy:  s.hostKeyPolicy.v,
		ConnectTimeout: s.connectTimeout.v,
		MaxSessions:    s.maxSessions.v,
		Gateway:        s.gateway.v,
	}
}
