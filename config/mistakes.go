package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"alf"
)

// Error is a mistake in a configuration, or a warning about it.
type Error struct {
	File string
	Line int // 0: the file as a whole
	Text string
}

// Error returns "file:line: text".
func (e *Error) Error() string {
	return where(alf.Position{File: e.File, Line: e.Line}) + ": " + e.Text
}

// where prints a position as compilers do.
func where(p alf.Position) string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// mistakes collects everything that is wrong. What is wrong in the same way on
// many hosts is one mistake that names the first host and counts the others.
type mistakes struct {
	errors   []*Error
	warnings []*Error
	onHosts  map[onHost]*affected
}

// onHost is a mistake that shows on hosts. what says of what, up to the host.
type onHost struct {
	Error
	what string
}

// affected are the hosts on which something is wrong.
type affected struct {
	hosts []alf.HostName // each once
}

func (m *mistakes) add(at alf.Position, format string, args ...any) {
	m.errors = append(m.errors, &Error{at.File, at.Line, fmt.Sprintf(format, args...)})
}

func (m *mistakes) warn(at alf.Position, format string, args ...any) {
	m.warnings = append(m.warnings, &Error{at.File, at.Line, fmt.Sprintf(format, args...)})
}

// addOn notes a mistake that shows on one host. what says of what, such as
// "notes_url of". A host's mistakes must come in a row.
func (m *mistakes) addOn(what string, host alf.HostName, at alf.Position, text string) {
	e := onHost{Error{at.File, at.Line, text}, what}
	a := m.onHosts[e]
	if a == nil {
		if m.onHosts == nil {
			m.onHosts = make(map[onHost]*affected)
		}
		m.onHosts[e] = &affected{hosts: []alf.HostName{host}}
		return
	}
	if a.hosts[len(a.hosts)-1] != host {
		a.hosts = append(a.hosts, host)
	}
}

// err returns all errors, sorted, as one; nil: there are none.
func (m *mistakes) err() error {
	all := slices.Clone(m.errors)
	for e, a := range m.onHosts {
		e.Text = fmt.Sprintf("%s %s: %s", e.what, andOthers(a.hosts[0], len(a.hosts)-1), e.Text)
		all = append(all, &e.Error)
	}
	return errors.Join(sorted(all)...)
}

// andOthers names a host and counts those that it stands for.
func andOthers(first alf.HostName, others int) string {
	if others == 0 {
		return fmt.Sprintf("host %q", first)
	}
	return fmt.Sprintf("host %q and %s", first, count(others, "other"))
}

// sorted returns errs by file and line, each once.
func sorted(errs []*Error) []error {
	slices.SortStableFunc(errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	var out []error
	for i, e := range errs {
		if i == 0 || *e != *errs[i-1] {
			out = append(out, e)
		}
	}
	return out
}
