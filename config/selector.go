package config

import (
	"errors"
	"fmt"
	"strings"

	"alf"
)

// selector picks hosts: by name, by a pattern of names, or by their groups.
type selector struct {
	at      alf.Position
	text    string // as it was written
	exclude bool   // "!"
	group   bool   // "@"
	pattern string
}

// glob reports whether s may stand for several names.
func (s selector) glob() bool { return strings.ContainsAny(s.pattern, "*?") }

func readSelector(v value) (selector, error) {
	written, err := word(v)
	if err != nil {
		return selector{}, err
	}
	s := selector{at: v.at, text: written}
	s.pattern, s.exclude = strings.CutPrefix(written, "!")
	s.pattern, s.group = strings.CutPrefix(s.pattern, "@")
	if s.pattern == "" {
		return s, fmt.Errorf("%q names nothing", written)
	}
	return s, nil
}

// readSelectors reads a list of selectors. The order does not matter: all
// without "!" add, then those with "!" remove.
func readSelectors(v value) ([]selector, error) {
	all, err := listOf(readSelector)(v)
	if err != nil {
		return all, err
	}
	for _, s := range all {
		if !s.exclude {
			return all, nil
		}
	}
	if len(all) == 0 {
		return all, errEmpty
	}
	return all, errors.New(`only takes hosts away; what remains must be named, too, for example "*"`)
}

// readMembers reads the selectors of a hostgroup, which cannot name groups.
func readMembers(v value) ([]selector, error) {
	all, err := readSelectors(v)
	for _, s := range all {
		if s.group && err == nil {
			err = place(s.at, fmt.Errorf("%q: a group cannot be a member of a group", s.text))
		}
	}
	return all, err
}
