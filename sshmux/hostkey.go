package sshmux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
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
}

// Error names the host and the fingerprints, and says what to do.
func (e *HostKeyError) Error() string {
	switch {
	case e.Revoked:
		return fmt.Sprintf("host key of %s is revoked: %s (%s)", e.Host, e.Fingerprint, strings.Join(e.Known, ", "))
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

// hostKeySet is what a list of known_hosts files says.
type hostKeySet struct {
	mu    *sync.Mutex // of hostKeys; guards what follows
	files []string
	stamp string // sizes and times of the files
	db    *knownhosts.HostKeyDB
	added map[string][]ssh.PublicKey // what we have appended since db was read, by host
}

// load returns the set of the files as they are now.
func (h *hostKeys) load(files []string) (*hostKeySet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := strings.Join(files, "\x00")
	set := h.sets[key]
	if set == nil {
		set = &hostKeySet{mu: &h.mu, files: files}
	}
	if err := set.refresh(); err != nil {
		return nil, err
	}
	if h.sets == nil {
		h.sets = make(map[string]*hostKeySet)
	}
	h.sets[key] = set
	return set, nil
}

// refresh reads the files unless they are as they were. The caller holds mu.
func (s *hostKeySet) refresh() error {
	stamp, present, err := stampOf(s.files)
	if err != nil {
		return err
	}
	if s.db != nil && stamp == s.stamp {
		return nil
	}
	db, err := knownhosts.NewDB(present...)
	if err != nil {
		return err
	}
	s.db, s.stamp, s.added = db, stamp, nil
	return nil
}

// stampOf returns a text that changes when the files do, and those of them that are there.
func stampOf(files []string) (stamp string, present []string, err error) {
	var b strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, os.ErrNotExist) {
			b.WriteString("-\n")
			continue
		}
		if err != nil {
			return "", nil, err
		}
		present = append(present, file)
		fmt.Fprintln(&b, info.Size(), info.ModTime().UnixNano())
	}
	return b.String(), present, nil
}

// hosts returns what a target is called in known_hosts files, the first name first, each with
// its port.
func hosts(t Target) []string {
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

// algorithms returns the types of host keys to ask a target for: those that are known, so that
// a host that has several keys shows one that can be checked.
func (s *hostKeySet) algorithms(t Target) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, host := range hosts(t) {
		if known := s.db.HostKeyAlgorithms(host); len(known) > 0 {
			return known
		}
		if keys := s.added[host]; len(keys) > 0 {
			return []string{keys[0].Type()}
		}
	}
	// ssh asks for ed25519 first; x/crypto would ask for ECDSA.
	all := ssh.SupportedAlgorithms().HostKeys
	slices.SortStableFunc(all, func(a, b string) int { return rank(a) - rank(b) })
	return all
}

func rank(algorithm string) int {
	if algorithm == ssh.KeyAlgoED25519 {
		return 0
	}
	return 1
}

// check returns nil if the key is known for the target. The first of the target's names for
// which any key is known decides. The error is a *HostKeyError.
func (s *hostKeySet) check(t Target, key ssh.PublicKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.look(t, key)
}

// look is check for a caller who holds mu.
func (s *hostKeySet) look(t Target, key ssh.PublicKey) error {
	var unknown *HostKeyError
	for _, host := range hosts(t) {
		err := s.lookHost(host, key)
		if err == nil {
			return nil
		}
		e := s.describe(host, key, err)
		if len(e.Known) > 0 || e.Revoked {
			return e
		}
		unknown = e // the last one is the address
	}
	unknown.Line = lineFor(t, key)
	return unknown
}

func (s *hostKeySet) lookHost(host string, key ssh.PublicKey) error {
	for _, k := range s.added[host] {
		if bytes.Equal(k.Marshal(), key.Marshal()) {
			return nil
		}
	}
	// The address of the peer counts only where there is no host name; there always is one.
	return s.db.HostKeyCallback()(host, new(net.TCPAddr), key)
}

// describe turns a refusal into an error for people.
func (s *hostKeySet) describe(host string, key ssh.PublicKey, err error) *HostKeyError {
	e := &HostKeyError{
		Host:        xknownhosts.Normalize(host),
		Fingerprint: fingerprint(key),
		File:        s.files[0],
		Line:        xknownhosts.Line([]string{xknownhosts.Normalize(host)}, key),
	}
	if refused, ok := errors.AsType[*xknownhosts.KeyError](err); ok {
		for _, k := range refused.Want {
			e.Known = append(e.Known, fmt.Sprintf("%s (%s:%d)", fingerprint(k.Key), k.Filename, k.Line))
			e.File = k.Filename
		}
	}
	if revoked, ok := errors.AsType[*xknownhosts.RevokedError](err); ok {
		e.Revoked = true
		e.Known = []string{fmt.Sprintf("%s:%d", revoked.Revoked.Filename, revoked.Revoked.Line)}
	}
	for _, k := range s.added[host] {
		e.Known = append(e.Known, fmt.Sprintf("%s (%s)", fingerprint(k), s.files[0]))
	}
	return e
}

// accept makes an unknown key known: it appends a line to the first file. It refuses a key
// that differs from a known one. The result tells whether a line was added.
func (s *hostKeySet) accept(t Target, key ssh.PublicKey) (added bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil { // another process may have been faster
		return false, err
	}
	err = s.look(t, key)
	if e, ok := errors.AsType[*HostKeyError](err); err == nil || !ok || e.Revoked || len(e.Known) > 0 {
		return false, err
	}
	written, err := appendLine(s.files[0], lineFor(t, key))
	if err != nil {
		return false, fmt.Errorf("remember host key: %w", err)
	}
	s.remember(t, key, written)
	return true, nil
}

// remember spares reading the files again for each line that we append, which would take the
// square of their length.
func (s *hostKeySet) remember(t Target, key ssh.PublicKey, alone bool) {
	if s.added == nil {
		s.added = make(map[string][]ssh.PublicKey)
	}
	for _, host := range hosts(t) {
		s.added[host] = append(s.added[host], key)
	}
	if stamp, _, err := stampOf(s.files); err == nil && alone {
		s.stamp = stamp
	}
}

// lineFor returns the known_hosts line that makes the key known under all names of the target.
func lineFor(t Target, key ssh.PublicKey) string {
	var names []string
	for _, host := range hosts(t) {
		names = append(names, xknownhosts.Normalize(host))
	}
	return xknownhosts.Line(names, key)
}

// appendLine appends a line to a file, in one write, and makes the file if need be. It reports
// whether nobody else has written meanwhile.
func appendLine(file, line string) (alone bool, err error) {
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
	text := line + "\n"
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
