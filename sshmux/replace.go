package sshmux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// replace makes a key known in the place of those that the first file has for the target.
func (k *trust) replace(key ssh.PublicKey) (Replaced, error) {
	s := k.set
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Replaced{File: s.files[0]}
	db, err := s.refresh() // so that all lines can be read
	if err != nil {
		return r, err
	}
	for range 5 { // another process may append meanwhile
		e := edit{hosts: hosts(*k.target), key: key, hashed: db.hashed[s.files[0]]}
		again, err := e.file(s.files[0])
		if err != nil {
			return r, fmt.Errorf("replace host key: %w", err)
		}
		if again {
			continue
		}
		r.Added, r.Removed = e.added, e.removed
		s.db = nil
		if db, err = s.refresh(); err != nil {
			return r, err
		}
		k.db = db
		k.look(db.lookup)
		r.Left = db.differing(e.hosts, key)
		return r, nil
	}
	return r, fmt.Errorf("replace host key: %s is being written to by others all the time", s.files[0])
}

// differing returns the lines that have another key for one of the hosts.
func (k *knownHosts) differing(hosts []string, key ssh.PublicKey) []string {
	var list []string
	for _, host := range hosts {
		for _, l := range k.lookup(host) {
			if !l.authority && !sameKey(l.key, key) && !slices.Contains(list, l.String()) {
				list = append(list, l.String())
			}
		}
	}
	return list
}

// edit takes a host's old keys out of a known_hosts file, and puts the new one in.
type edit struct {
	hosts  []string // each with its port
	key    ssh.PublicKey
	hashed bool // hash the names of the new line

	name    string // of the file
	known   []string
	removed []string
	added   bool
}

// file edits a file. It is to be called again with a new edit if another process has written to
// the file meanwhile.
func (e *edit) file(file string) (again bool, err error) {
	e.name = file
	before, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		e.added = true
		_, err := appendLines(file, linesFor(e.hosts, e.key, e.hashed))
		return false, err
	}
	if err != nil {
		return false, err
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	text, err := e.text(string(old))
	if err != nil || text == string(old) {
		return false, err
	}
	return rewrite(file, text, before)
}

// text returns the edited text of the file.
func (e *edit) text(old string) (string, error) {
	var b strings.Builder
	number := 0
	for line := range strings.Lines(old) {
		number++
		l := knownLine{file: e.name, number: number}
		revoked, err := l.read([]byte(line))
		if err != nil {
			return "", fmt.Errorf("%s: %w", l.at(), err)
		}
		if l.key == nil || revoked || l.authority {
			b.WriteString(line)
			continue
		}
		b.WriteString(e.line(line, &l))
	}
	var missing []string
	for _, host := range e.hosts {
		if !slices.Contains(e.known, host) {
			missing = append(missing, host)
		}
	}
	if len(missing) == 0 {
		return b.String(), nil
	}
	e.added = true
	if text := b.String(); text != "" && !strings.HasSuffix(text, "\n") {
		b.WriteByte('\n')
	}
	b.WriteString(linesFor(missing, e.key, e.hashed) + "\n")
	return b.String(), nil
}

// line returns what stays of an ordinary line.
func (e *edit) line(text string, l *knownLine) string {
	hit := e.named(l)
	switch {
	case len(hit) == 0:
		return text
	case sameKey(l.key, e.key):
		e.known = append(e.known, hit...)
		return text
	}
	e.removed = append(e.removed, l.String())
	if l.hash != nil {
		return ""
	}
	start := len(text) - len(strings.TrimLeft(text, " \t"))
	end := start + strings.IndexAny(text[start:], " \t")
	var rest []string
	others := false // a name is left that stands for somebody
	for name := range strings.SplitSeq(text[start:end], ",") {
		if p, err := patternOf(name); err == nil && p.host != "" && !e.means(p) {
			rest = append(rest, name)
			others = others || !p.negated
		}
	}
	if !others {
		return ""
	}
	return text[:start] + strings.Join(rest, ",") + text[end:]
}

// named returns those of the hosts that a line names, and not only by a wildcard.
func (e *edit) named(l *knownLine) []string {
	var hit []string
	for _, host := range e.hosts {
		a, err := split(host)
		if err != nil {
			continue
		}
		byHash := l.hash != nil && l.match(a, []byte(xknownhosts.Normalize(host)))
		if byHash || slices.Contains(l.patterns, pattern{address: a}) {
			hit = append(hit, host)
		}
	}
	return hit
}

// means reports whether a name means one of the hosts and nothing else.
func (e *edit) means(p pattern) bool {
	return slices.ContainsFunc(e.hosts, func(host string) bool {
		a, err := split(host)
		return err == nil && p == pattern{address: a}
	})
}

// rewrite replaces a file at once, unless it is no longer as it was. Its owner and mode stay.
func rewrite(file, text string, before fs.FileInfo) (again bool, err error) {
	file, err = filepath.EvalSymlinks(file) // a link stays one
	if err != nil {
		return false, err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-")
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return false, err
	}
	if err := errors.Join(likeBefore(f, before), f.Sync(), f.Close()); err != nil {
		return false, err
	}
	now, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	if !os.SameFile(now, before) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) {
		return true, nil
	}
	return false, os.Rename(f.Name(), file)
}
