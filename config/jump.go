package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"alf"
)

// jump is an entry of proxy_jump: the name of a host, or where else to log in.
type jump struct {
	reference
	user, host string   // of "user@host:port"; host is "": name is one of the hosts
	port       int      // 0: that of [ssh]
	files      []string // of ssh_config, where it stands in one
}

// readJump reads the name of a host, or "user@host:port" of which the user or the
// port may be missing.
func readJump(v value) (jump, error) {
	s, err := word(v)
	j := jump{reference: reference{v.at, s}}
	switch {
	case err != nil:
		return j, err
	case strings.Contains(s, ","):
		return j, fmt.Errorf("%q: write a list, %s", s, "["+quoted(strings.Split(s, ","))+"]")
	case !strings.ContainsAny(s, "@:"):
		return j, nil
	}
	user, at, named := strings.Cut(s, "@")
	if !named {
		user, at = "", s
	} else if user == "" {
		return j, fmt.Errorf("%q: there is no user before the @", s)
	}
	j.user = user
	if err := j.place(at); err != nil {
		return j, fmt.Errorf("%q: %w", s, err)
	}
	return j, nil
}

// place reads "host" or "host:port".
func (j *jump) place(at string) error {
	j.host = strings.TrimSuffix(strings.TrimPrefix(at, "["), "]")
	if host, port, err := net.SplitHostPort(at); err == nil {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("port %q is not between 1 and 65535", port)
		}
		j.host, j.port = host, n
	}
	if _, err := netip.ParseAddr(j.host); err != nil && !isHostName(j.host) {
		return fmt.Errorf("%q is neither a host name nor an IP address", j.host)
	}
	return nil
}

// spot is where a bastion stands that is none of the hosts.
type spot struct {
	name, files string
	via         *alf.Host // nil: it is reached directly, or as ssh_config says
}

// joinBastions says through which bastions each host is reached.
func (r *resolver) joinBastions() {
	r.checkJumps(r.ssh.proxyJump)
	for _, g := range r.groups {
		r.checkJumps(g.ssh.proxyJump)
	}
	for _, h := range r.hosts {
		r.checkJumps(h.ssh.proxyJump)
	}
	for _, h := range r.hosts {
		r.joinBastion(h, nil)
	}
}

// checkJumps refuses names that no host has.
func (r *resolver) checkJumps(jumps opt[[]jump]) {
	for _, j := range jumps.v {
		_, known := r.byName[alf.HostName(j.name)]
		if known || j.host != "" || r.partial {
			continue
		}
		r.missing(j.at, "proxy_jump: there is no [host.%v], and a machine that is not checked is written as \"user@%s\"%s",
			toml.Key{j.name}, j.name, didYouMean(j.name, r.hostNames()))
	}
}

// joinBastion sets the bastion of h, and before that those of its bastions. below
// are those that led to h.
func (r *resolver) joinBastion(h *host, below []*host) {
	if i := slices.Index(below, h); i >= 0 {
		h.jumped = true
		r.circleOfBastions(append(below[i:], h))
	}
	if h.jumped {
		return
	}
	h.joining = true
	defer func() { h.joining = false }()
	var via *alf.Host
	for _, j := range h.path() {
		if j.host != "" {
			via = r.elsewhere(j, via, nil)
			continue
		}
		b, ok := r.byName[alf.HostName(j.name)]
		if !ok {
			break
		}
		r.joinBastion(b, append(below, h))
		if via != nil && b.made.SSH.Via != via {
			r.addOnce(j.at, fmt.Sprintf("proxy_jump: host %q is behind %q here, but not by its own settings: set proxy_jump in [host.%v] as well, so that its connection is one and the same",
				b.name, jumpName(via), toml.Key{j.name}))
		}
		via = b.made
	}
	if !h.jumped {
		h.jumped, h.made.SSH.Via = true, via
	}
}

// path returns the bastions of h. What a group or [ssh] says is not for those that
// it names: they are behind the ones before.
func (h *host) path() []jump {
	own := func(j jump) bool { return (j.host == "" || j.files != nil) && j.name == string(h.name) }
	if i := slices.IndexFunc(h.full.proxyJump.v, own); i >= 0 && !h.ssh.proxyJump.set {
		return h.full.proxyJump.v[:i]
	}
	return h.full.proxyJump.v
}

func (r *resolver) circleOfBastions(hosts []*host) {
	var names []alf.HostName
	for _, h := range hosts {
		names = append(names, h.name)
	}
	before := hosts[len(hosts)-2]
	r.addOnce(before.full.proxyJump.at, "proxy_jump goes round in a circle: "+circle(names))
}

// addOnce adds a mistake unless it is there already: what a group says is read
// once for each host in it.
func (r *resolver) addOnce(at alf.Position, text string) {
	if e := (Error{at.File, at.Line, text}); !r.said[e] {
		r.said[e] = true
		r.add(at, "%s", text)
	}
}

// elsewhere returns a bastion that is none of the hosts. Those who name the same
// one share it. below are those that led to it by what ssh_config says of them.
func (r *resolver) elsewhere(j jump, via *alf.Host, below []string) *alf.Host {
	key := spot{j.name, strings.Join(j.files, "\x00"), via}
	if b := r.spots[key]; b != nil {
		return b
	}
	s := ssh{proxyJump: some[[]jump](nil)}
	if via == nil && (j.files != nil || r.ssh.sshConfig.v != nil) {
		s.proxyJump = opt[[]jump]{}
	}
	if j.files != nil {
		s.sshConfig = some(j.files)
	}
	if j.user != "" {
		s.user = some(j.user)
	}
	if j.port != 0 {
		s.port = some(j.port)
	}
	base := r.ssh
	base.proxyJump = opt[[]jump]{} // is for the hosts
	s, address := r.withSSHConfig(j.host, s.over(base), opt[string]{})
	b := &alf.Host{Name: alf.HostName(j.host), Address: address.or(some(j.host)).v, SSH: s.resolved(r.loader)}
	r.checkKeys(s.passphrase.at, b.SSH)
	if via == nil {
		via = r.before(j, s.proxyJump, append(below, j.host))
	}
	b.SSH.Via = via
	r.spots[key] = b
	return b
}

// before returns the bastion that by ssh_config stands before another one.
func (r *resolver) before(j jump, jumps opt[[]jump], below []string) (via *alf.Host) {
	for _, first := range jumps.v {
		name := first.host
		if name == "" {
			name = first.name
		}
		if name == j.host {
			break // ssh does not go through a host to that host, either
		}
		b := r.byName[alf.HostName(first.name)]
		if slices.Contains(below, name) || b != nil && b.joining {
			r.addOnce(jumps.at, fmt.Sprintf("ProxyJump goes round in a circle: %s behind %s", strings.Join(below, " behind "), name))
			return nil
		}
		if b != nil && first.host == "" {
			r.joinBastion(b, nil)
			via = b.made
			continue
		}
		via = r.elsewhere(first, via, below)
	}
	return via
}

// bastionParent returns the last of the bastions of h that is one of the hosts:
// their parent, beside those that it names (RULES T2). ok: there is one.
func (h *host) bastionParent() (name alf.HostName, ok bool) {
	for via := h.made.SSH.Via; via != nil; via = via.SSH.Via {
		if via.Where != (alf.Position{}) {
			return via.Name, true
		}
	}
	return "", false
}

// jumpName returns what proxy_jump calls a bastion.
func jumpName(b *alf.Host) string {
	if b.Where != (alf.Position{}) {
		return string(b.Name)
	}
	return b.SSH.User + "@" + net.JoinHostPort(b.Address, strconv.Itoa(b.SSH.Port))
}

// jumpNames returns proxy_jump as it would lead to a host.
func jumpNames(s alf.SSH) []string {
	var names []string
	for _, b := range s.Bastions() {
		names = append(names, jumpName(b))
	}
	return names
}
