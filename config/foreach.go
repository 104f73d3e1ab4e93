package config

import (
	"cmp"
	"iter"
	"maps"
)

// maxTurns bounds how many services one check makes on one host.
const maxTurns = 10_000

// turns yields the variables of for_each, in each combination of their values.
func (s *scope) turns() iter.Seq[map[string]string] {
	return func(yield func(map[string]string) bool) {
		lists, ok := s.lists()
		if ok {
			combine(s.c.forEach, lists, nil, yield)
		}
	}
}

// lists returns the values of each variable of for_each.
func (s *scope) lists() ([][]string, bool) {
	total := 1
	var lists [][]string
	for _, l := range s.c.forEach {
		list, ok := s.list(l)
		if !ok {
			return nil, false
		}
		lists = append(lists, list)
		if total *= len(list); total > maxTurns {
			s.fail(l.at, "for_each makes more than %d services", maxTurns)
			return nil, false
		}
	}
	return lists, true
}

func (s *scope) list(l loop) ([]string, bool) {
	name, x := l.list, l.values
	if x == nil {
		x = s.variable(name)
	}
	switch {
	case x == nil:
		s.miss(l.at, "for_each: there is no variable %q", name)
		return nil, false
	case !x.list:
		s.fail(l.at, "for_each: variable %q is not a list", name)
		return nil, false
	}
	before := len(s.failures)
	s.steps = 0
	v := s.expand(cmp.Or(name, l.name), x)
	if v.Secret {
		s.fail(l.at, "for_each: a secret cannot be in a list of services")
	}
	return v.List, len(s.failures) == before
}

// combine yields each combination of one value of every list.
func combine(loops []loop, lists [][]string, chosen map[string]string, yield func(map[string]string) bool) bool {
	if len(loops) == 0 {
		return yield(chosen)
	}
	for _, text := range lists[0] {
		next := make(map[string]string, len(chosen)+1)
		maps.Copy(next, chosen)
		next[loops[0].name] = text
		if !combine(loops[1:], lists[1:], next, yield) {
			return false
		}
	}
	return true
}
