package alf

import "strings"

// Match reports whether name is what pattern says: "*" stands for any text, "?"
// for any one byte. Nothing else is special.
func Match(pattern, name string) bool {
	star, mark := -1, 0
	var p, n int
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0: // let the last star stand for one byte more
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// IsPattern reports whether Match would take in other names than pattern itself.
func IsPattern(pattern string) bool { return strings.ContainsAny(pattern, "*?") }
