package sshmux

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// HostKeyError says why a host's key was not trusted, and what to do if it should be.
type HostKeyError struct {
	Host        string   // the host as known_hosts names it: "web1", "[10.0.0.7]:2222"
	Fingerprint string   // the type of the key that the host has shown, and its SHA256 fingerprint
	Known       []string // the same of the keys that are known for it, each with file and line; none: the host is unknown
	Revoked     bool     // a known_hosts line revokes the shown key
	File        string   // the file that Line belongs in
	Line        string   // the line that would make the shown key known, without a newline
	Certificate error    // why the certificate that the host has shown is not valid; nil: it has shown a plain key
}

// unknown reports whether nothing is known about the host, for good or ill.
func (e *HostKeyError) unknown() bool {
	return !e.Revoked && e.Certificate == nil && len(e.Known) == 0
}

// Error names the host and the fingerprints, and says what to do.
func (e *HostKeyError) Error() string {
	switch {
	case e.Revoked:
		return fmt.Sprintf("host key of %s is revoked: %s (%s)", e.Host, e.Fingerprint, strings.Join(e.Known, ", "))
	case e.Certificate != nil:
		return fmt.Sprintf("host certificate of %s is not valid: %v; known is %s", e.Host, e.Certificate, strings.Join(e.Known, ", "))
	case len(e.Known) > 0:
		return fmt.Sprintf("host key of %s has changed: known is %s, the host shows %s; if that is right, remove the old one (ssh-keygen -R '%s' -f %s) and add the line: %s",
			e.Host, strings.Join(e.Known, ", "), e.Fingerprint, e.Host, e.File, e.Line)
	}
	return fmt.Sprintf("host key of %s is unknown: the host shows %s; if that is right, add this line to %s: %s", e.Host, e.Fingerprint, e.File, e.Line)
}

// hostKeys holds the known_hosts files that have been read. They are read again when they have
// changed.
type hostKeys struct {
	mu   sync.Mutex
	sets map[string]*hostKeySet // by the names of the files
}

// hostKeySet is a list of known_hosts files.
type hostKeySet struct {
	files []string

	mu    sync.Mutex // held while the files are read or appended to, but not while they are searched
	stamp string     // sizes and times of the files
	db    *knownHosts
}

// trust is what is known about the keys of one target. It is looked up once for each dial.
type trust struct {
	target *Target
	set    *hostKeySet
	db     *knownHosts
	host   string       // the first of the target's names for which any key is known, or the last
	lines  []*knownLine // of host
	wider  []*knownLine // others that may make a key known, but do not make one changed
}

// trust looks up what the target's files, as they are now, say about its keys.
func (h *hostKeys) trust(t *Target) (*trust, error) {
	set := h.set(t.KnownHosts)
	set.mu.Lock()
	db, err := set.refresh()
	set.mu.Unlock()
	if err != nil {
		return nil, err
	}
	k := &trust{target: t, set: set, db: db}
	k.look(db.lookup)
	for _, host := range hosts(*t) {
		k.wider = append(k.wider, db.wider(host)...)
	}
	return k, nil
}

func (h *hostKeys) set(files []string) *hostKeySet {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := strings.Join(files, "\x00")
	if h.sets[key] == nil {
		if h.sets == nil {
			h.sets = make(map[string]*hostKeySet)
		}
		h.sets[key] = &hostKeySet{files: files}
	}
	return h.sets[key]
}

// refresh reads the files unless they are as they were. The caller holds mu.
func (s *hostKeySet) refresh() (*knownHosts, error) {
	stamp, present, err := stampOf(s.files)
	if err != nil {
		return nil, err
	}
	if s.db != nil && stamp == s.stamp {
		return s.db, nil
	}
	db, err := readKnownHosts(present)
	if err != nil {
		return nil, err
	}
	s.db, s.stamp = db, stamp
	return db, nil
}

// look finds the lines for the target.
func (k *trust) look(find func(host string) []*knownLine) {
	for _, k.host = range hosts(*k.target) {
		if k.lines = find(k.host); len(k.lines) > 0 {
			return
		}
	}
}

// hosts returns what a target is called in known_hosts files, the first name first, each with
// its port.
func hosts(t Target) []string {
	t.Addr, t.Name = strings.ToLower(t.Addr), strings.ToLower(t.Name)
	if t.HostKeyAlias != "" {
		return []string{net.JoinHostPort(strings.ToLower(t.HostKeyAlias), "22")}
	}
	list := []string{t.Addr}
	if host, port, err := net.SplitHostPort(t.Addr); err == nil && t.Name != "" && t.Name != host && plainName(t.Name) {
		list = slices.Insert(list, 0, net.JoinHostPort(t.Name, port))
	}
	return list
}

// plainName reports whether a name can stand in a known_hosts file and mean only itself.
func plainName(s string) bool {
	return s != "" && strings.Trim(s, "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") == ""
}

// algorithms returns the types of host keys to ask the target for: those that are known, so
// that a host that has several keys shows one that can be checked.
func (k *trust) algorithms() []string {
	var list []string
	known := slices.Concat(k.lines, k.wider)
	slices.SortStableFunc(known, func(a, b *knownLine) int { return a.class() - b.class() })
	for _, l := range known {
		for _, algorithm := range algorithmsOf(l) {
			if !slices.Contains(list, algorithm) {
				list = append(list, algorithm)
			}
		}
	}
	if len(k.lines) > 0 {
		return list
	}
	// What is known of a name without its port may be of another server on the same host.
	for _, algorithm := range plainAlgorithms() {
		if !slices.Contains(list, algorithm) {
			list = append(list, algorithm)
		}
	}
	return list
}

// allAlgorithms returns first those that are known, and then all others.
func (k *trust) allAlgorithms() []string {
	list := k.algorithms()
	for _, algorithm := range plainAlgorithms() {
		if !slices.Contains(list, algorithm) {
			list = append(list, algorithm)
		}
	}
	return list
}

// plainAlgorithms returns the types of keys that are no certificates.
func plainAlgorithms() []string {
	// ssh asks for ed25519 first; x/crypto would ask for ECDSA. Where no authority is known, a
	// certificate says nothing.
	all := slices.DeleteFunc(ssh.SupportedAlgorithms().HostKeys, func(a string) bool { return strings.HasSuffix(a, certSuffix) })
	slices.SortStableFunc(all, func(a, b string) int { return rank(a) - rank(b) })
	return all
}

// class sorts authorities before plain keys: a certificate is good for longer than a key.
func (l *knownLine) class() int {
	if l.authority {
		return 0
	}
	return 1
}

// certSuffix ends the names of the types of certificates.
const certSuffix = "-cert-v01@openssh.com"

// algorithmsOf returns the types by which a host can show the key of a line, or a certificate
// of that authority.
func algorithmsOf(l *knownLine) []string {
	list := []string{l.key.Type()}
	if list[0] == ssh.KeyAlgoRSA { // one type of key, but three of signatures
		list = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	if l.authority {
		for i, algorithm := range list {
			list[i] = strings.TrimSuffix(algorithm, "@openssh.com") + certSuffix
		}
	}
	return list
}

func rank(algorithm string) int {
	if algorithm == ssh.KeyAlgoED25519 {
		return 0
	}
	return 1
}

// check returns nil if the key is known for the target. The error is a *HostKeyError.
func (k *trust) check(key ssh.PublicKey) error {
	if l := k.db.revokes(key); l != nil {
		e := k.refuse(key)
		e.Revoked, e.Known = true, []string{fmt.Sprintf("%s:%d", l.file, l.number)}
		return e
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		return k.checkCertificate(cert)
	}
	if k.knows(key) != nil {
		return nil
	}
	return k.refuse(key)
}

// knows returns the line that makes a plain key known, if any.
func (k *trust) knows(key ssh.PublicKey) *knownLine {
	for _, l := range k.lines {
		if sameKey(l.key, key) {
			return l
		}
	}
	for _, l := range k.wider {
		if !l.authority && sameKey(l.key, key) {
			return l
		}
	}
	return nil
}

// checkCertificate returns nil if the certificate is for one of the target's names, and its
// authority is known for that.
func (k *trust) checkCertificate(cert *ssh.Certificate) error {
	var problems []error
	for _, host := range hosts(*k.target) {
		lines := slices.Concat(k.db.lookup(host), k.wider)
		checker := ssh.CertChecker{IsHostAuthority: func(authority ssh.PublicKey, _ string) bool {
			return slices.ContainsFunc(lines, func(l *knownLine) bool { return l.authority && sameKey(l.key, authority) })
		}}
		err := checker.CheckHostKey(host, nil, cert)
		if err == nil {
			return nil
		}
		problems = append(problems, err)
	}
	if k.knows(cert.Key) != nil {
		return nil // its certificate adds nothing
	}
	e := k.refuse(cert)
	e.Certificate = errors.Join(problems...)
	return e
}

// refuse says that a key is not known.
func (k *trust) refuse(key ssh.PublicKey) *HostKeyError {
	e := &HostKeyError{
		Host:        xknownhosts.Normalize(k.host),
		Fingerprint: fingerprint(key),
		File:        k.set.files[0],
		Line:        xknownhosts.Line([]string{xknownhosts.Normalize(k.host)}, key),
	}
	for _, l := range k.lines {
		e.Known = append(e.Known, l.String())
		e.File = l.file
	}
	if len(k.lines) == 0 {
		e.Line = lineFor(*k.target, key)
	}
	return e
}

// accept makes an unknown key known: it appends a line to the first file. It refuses a key
// that differs from a known one. The result tells whether a line was added.
func (k *trust) accept(key ssh.PublicKey) (added bool, err error) {
	s := k.set
	s.mu.Lock()
	defer s.mu.Unlock()
	db, err := s.refresh() // another process may have been faster
	if err != nil {
		return false, err
	}
	find := db.lookup
	if db == k.db {
		find = db.named // the other lines are as they were, and long to search
	}
	k.db = db
	k.look(find)
	err = k.check(key)
	if e, ok := errors.AsType[*HostKeyError](err); !ok || !e.unknown() {
		return false, err
	}
	if err := s.append(linesFor(hosts(*k.target), key, db.hashed[s.files[0]])); err != nil {
		return false, fmt.Errorf("remember host key: %w", err)
	}
	db.learn(s.files[0], hosts(*k.target), key)
	return true, nil
}

// append appends lines to the first file. It spares reading the files again for that, which
// would take the square of their length; unless someone else has written, too. The caller
// holds mu.
func (s *hostKeySet) append(lines string) error {
	alone, err := appendLines(s.files[0], lines)
	if err != nil || !alone {
		return err
	}
	if stamp, _, err := stampOf(s.files); err == nil {
		s.stamp = stamp
	}
	return nil
}

// lineFor returns the known_hosts line that makes the key known under all names of the target.
func lineFor(t Target, key ssh.PublicKey) string { return linesFor(hosts(t), key, false) }

// linesFor returns the known_hosts lines that make the key known under those names, without the
// last newline. A hash is of one name, and so stands in a line of its own.
func linesFor(hosts []string, key ssh.PublicKey, hashed bool) string {
	var names, lines []string
	for _, host := range hosts {
		name := xknownhosts.Normalize(host)
		names = append(names, name)
		lines = append(lines, xknownhosts.Line([]string{xknownhosts.HashHostname(name)}, key))
	}
	if hashed {
		return strings.Join(lines, "\n")
	}
	return xknownhosts.Line(names, key)
}

// appendLines appends lines to a file, in one write, and makes the file if need be. It reports
// whether nobody else has written meanwhile.
func appendLines(file, lines string) (alone bool, err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return false, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return false, err
	}
	defer f.Close()
	before, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	text := lines + "\n"
	if last := make([]byte, 1); before > 0 {
		if _, err := f.ReadAt(last, before-1); err != nil {
			return false, err
		}
		if last[0] != '\n' {
			text = "\n" + text
		}
	}
	if _, err := f.WriteString(text); err != nil {
		return false, err
	}
	after, err := f.Seek(0, io.SeekEnd)
	return after == before+int64(len(text)), err
}

// fingerprint returns the type of a key and its SHA256 fingerprint, as ssh-keygen -l prints
// it.
func fingerprint(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}
