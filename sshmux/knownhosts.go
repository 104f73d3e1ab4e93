package sshmux

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// knownHosts is what known_hosts files say. Names that mean only themselves are found by a
// look-up; all other lines are searched one by one, as they must be, but once for each host, and
// without a lock: they stay as they were read.
type knownHosts struct {
	revoked map[string]*knownLine // by key
	hashed  map[string]bool       // by file: the last name in it is hashed
	others  []*knownLine          // those with a hash, a wildcard or a negation

	mu    sync.RWMutex
	plain map[address][]*knownLine // grows by what we append to the files
	found map[address][]*knownLine // of others, for the hosts that were looked up
}

// address is a host and its port.
type address struct{ host, port string }

// defaultPort is what a name without a port means in a known_hosts file.
const defaultPort = "22"

// knownLine is a line of a known_hosts file.
type knownLine struct {
	file      string
	number    int // 0: we have appended it ourselves
	order     int // among all lines of all files
	key       ssh.PublicKey
	authority bool // the key signs host keys
	anyPort   bool // it has a wildcard and no port, and so is for hosts on any port

	patterns   []pattern // of an ordinary line
	salt, hash []byte    // of a hashed one
}

// pattern is one name of a line.
type pattern struct {
	address
	negated bool
}

// readKnownHosts reads files. The error names file and line.
func readKnownHosts(files []string) (*knownHosts, error) {
	k := &knownHosts{
		revoked: make(map[string]*knownLine),
		hashed:  make(map[string]bool),
		plain:   make(map[address][]*knownLine),
		found:   make(map[address][]*knownLine),
	}
	order := 0
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for number := 1; lines.Scan(); number++ {
			order++
			if err := k.add(lines.Bytes(), knownLine{file: file, number: number, order: order}); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, number, err)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return k, nil
}

// add takes a line's text, and the line with its place.
func (k *knownHosts) add(text []byte, l knownLine) error {
	revoked, err := l.read(text)
	switch {
	case err != nil:
		return err
	case l.key == nil:
	case revoked:
		k.revoked[plainKey(l.key)] = &l
	default:
		if !l.authority {
			k.hashed[l.file] = l.hash != nil
		}
		k.file(&l)
	}
	return nil
}

// read reads a line's text. One that says nothing has no key.
func (l *knownLine) read(text []byte) (revoked bool, err error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] == '#' {
		return false, nil
	}
	marker, names, key, _, _, err := ssh.ParseKnownHosts(text)
	if errors.Is(err, io.EOF) {
		return false, errors.New("want a name, a type and a key")
	}
	if err != nil {
		return false, err
	}
	if (text[0] == '@' && marker == "") || strings.HasPrefix(names[0], "@") {
		return false, errors.New("unknown marker")
	}
	l.key = key
	switch marker {
	case "revoked":
		return true, nil
	case "cert-authority":
		l.authority = true
	case "":
	default:
		return false, fmt.Errorf("unknown marker %q", "@"+marker)
	}
	return false, l.name(names)
}

// file puts a line where it will be found.
func (k *knownHosts) file(l *knownLine) {
	if !l.plain() {
		k.others = append(k.others, l)
		return
	}
	for _, p := range l.patterns {
		if !slices.Contains(k.plain[p.address], l) {
			k.plain[p.address] = append(k.plain[p.address], l)
		}
	}
}

// learn makes a key known under plain names, each with its port.
func (k *knownHosts) learn(file string, hosts []string, key ssh.PublicKey) {
	l := &knownLine{file: file, key: key}
	for _, host := range hosts {
		if a, err := split(host); err == nil {
			l.patterns = append(l.patterns, pattern{address: a})
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.file(l)
}

// named returns the lines that name a host and port and use no hash and no wildcard for it.
func (k *knownHosts) named(host string) []*knownLine {
	a, err := split(host)
	if err != nil {
		return nil
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.Clone(k.plain[a])
}

// lookup returns the lines that are for a host and port, in their order.
func (k *knownHosts) lookup(host string) []*knownLine {
	a, err := split(host)
	if err != nil {
		return nil
	}
	lines := append(k.named(host), k.search(host, a)...)
	if len(lines) > 0 || a.port == defaultPort {
		slices.SortStableFunc(lines, func(x, y *knownLine) int { return cmp.Compare(x.order, y.order) })
		return lines
	}
	a.port = defaultPort
	return slices.DeleteFunc(slices.Clone(k.others), func(l *knownLine) bool { return !l.anyPort || !l.match(a, nil) })
}

// search returns those of the others that are for a host.
func (k *knownHosts) search(host string, a address) []*knownLine {
	k.mu.RLock()
	lines, known := k.found[a]
	k.mu.RUnlock()
	if known {
		return lines
	}
	normal := []byte(xknownhosts.Normalize(host))
	for _, l := range k.others {
		if l.match(a, normal) {
			lines = append(lines, l)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found[a] = lines
	return lines
}

// wider returns the lines that ssh finds for a host beside those of lookup: it matches wildcards
// with the brackets and the port as a part of the name, and looks for a name without its port where
// nothing is known of it with the port.
func (k *knownHosts) wider(host string) []*knownLine {
	a, err := split(host)
	if err != nil || a.port == defaultPort {
		return nil
	}
	var lines []*knownLine
	normal := xknownhosts.Normalize(host)
	for _, l := range k.others {
		if l.matchText(normal) {
			lines = append(lines, l)
		}
	}
	if len(k.lookup(host)) == 0 {
		lines = append(lines, k.lookup(net.JoinHostPort(a.host, defaultPort))...)
	}
	return lines
}

// matchText reports whether one of the line's names is a pattern of a text.
func (l *knownLine) matchText(text string) bool {
	found := false
	for _, p := range l.patterns {
		name := p.host
		if p.port != defaultPort {
			name = "[" + p.host + "]:" + p.port
		}
		if !wildcard(name, text) {
			continue
		}
		if p.negated {
			return false
		}
		found = true
	}
	return found
}

// revokes returns the line that revokes a key, if any. A certificate is revoked with the key
// that it certifies, and with its authority's.
func (k *knownHosts) revokes(key ssh.PublicKey) *knownLine {
	if cert, ok := key.(*ssh.Certificate); ok && k.revoked[plainKey(cert.SignatureKey)] != nil {
		return k.revoked[plainKey(cert.SignatureKey)]
	}
	return k.revoked[plainKey(key)]
}

// plainKey returns a key, or the one that a certificate certifies, as a map's key.
func plainKey(key ssh.PublicKey) string {
	if cert, ok := key.(*ssh.Certificate); ok {
		return string(cert.Key.Marshal())
	}
	return string(key.Marshal())
}

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// name takes the line's names.
func (l *knownLine) name(names []string) error {
	if strings.HasPrefix(names[0], "|") {
		return l.nameHash(strings.Join(names, ","))
	}
	for _, name := range names {
		p, err := patternOf(name)
		if err != nil {
			return err
		}
		if p.host != "" {
			l.patterns = append(l.patterns, p)
		}
	}
	field := strings.Join(names, ",")
	star := strings.IndexByte(field, '*')
	l.anyPort = star >= 0 && !strings.Contains(field[star:], "]:")
	return nil
}

// patternOf reads one name of a line; an empty one is none.
func patternOf(name string) (pattern, error) {
	bare := strings.TrimPrefix(name, "!")
	switch {
	case name == "":
		return pattern{}, nil
	case bare == "":
		return pattern{}, errors.New("negation without a name")
	}
	a, err := split(bare)
	if err != nil && bare[0] == '[' {
		return pattern{}, err
	}
	if err != nil {
		a = address{strings.ToLower(bare), defaultPort}
	}
	return pattern{a, bare != name}, nil
}

// nameHash takes the name of a hashed line: "|1|", the salt and the hash.
func (l *knownLine) nameHash(name string) error {
	parts := strings.Split(name, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return fmt.Errorf("hashed name %q: want |1|salt|hash", name)
	}
	var err error
	if l.salt, err = base64.StdEncoding.DecodeString(parts[2]); err != nil {
		return fmt.Errorf("hashed name %q: %w", name, err)
	}
	if l.hash, err = base64.StdEncoding.DecodeString(parts[3]); err != nil {
		return fmt.Errorf("hashed name %q: %w", name, err)
	}
	return nil
}

// plain reports whether each of the line's names means only itself.
func (l *knownLine) plain() bool {
	return l.hash == nil && !slices.ContainsFunc(l.patterns, func(p pattern) bool {
		return p.negated || strings.ContainsAny(p.host, "*?")
	})
}

// match reports whether the line is for a host; normal is what its hash is made of.
func (l *knownLine) match(a address, normal []byte) bool {
	if l.hash != nil {
		mac := hmac.New(sha1.New, l.salt)
		mac.Write(normal)
		return bytes.Equal(mac.Sum(nil), l.hash)
	}
	found := false
	for _, p := range l.patterns {
		if p.port != a.port || !wildcard(p.host, a.host) {
			continue
		}
		if p.negated {
			return false
		}
		found = true
	}
	return found
}

// wildcard reports whether s matches a pattern in which "*" stands for any bytes and "?" for
// one.
func wildcard(pattern, s string) bool {
	star, from := -1, 0 // the newest star, and the rest of s that it may have to eat
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// split reads "host:port". Names are the same in any case, as they are for ssh.
func split(host string) (address, error) {
	h, port, err := net.SplitHostPort(host)
	return address{strings.ToLower(h), port}, err
}

// stampOf returns a text that changes when the files do, and those of them that are there.
func stampOf(files []string) (stamp string, present []string, err error) {
	var b strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			b.WriteString("-\n")
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if info.Mode()&fs.ModeNamedPipe != 0 {
			return "", nil, fmt.Errorf("%s is a pipe", file) // to open it could take for ever
		}
		present = append(present, file)
		fmt.Fprintln(&b, info.Size(), info.ModTime().UnixNano())
	}
	return b.String(), present, nil
}

// String returns the fingerprint of the line's key, and where the line stands.
func (l *knownLine) String() string {
	if l.authority {
		return fmt.Sprintf("the authority %s (%s)", fingerprint(l.key), l.at())
	}
	return fmt.Sprintf("%s (%s)", fingerprint(l.key), l.at())
}

// at returns file and line.
func (l *knownLine) at() string {
	if l.number == 0 {
		return l.file
	}
	return fmt.Sprintf("%s:%d", l.file, l.number)
}
