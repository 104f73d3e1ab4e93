package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// unknown adds the mistake of a key that t does not have.
func (m *mistakes) unknown(t *table, key string, v value, k keys) {
	if sub, ok := v.any.(*table); ok && t.named() && m.dotted(sub, k) {
		return
	}
	m.add(v.at, "unknown key %q in %v%s", key, t, didYouMean(key, slices.Sorted(maps.Keys(k))))
}

// dotted finds the headers under t of which the writer meant one name with
// dots, as in [host.web1.example.com], and reports whether there are any.
func (m *mistakes) dotted(t *table, k keys) bool {
	if t.header {
		m.add(t.at, "unknown table %v; a name with dots is quoted: [%v]", t, quotedName(t.path, k))
		return true
	}
	var found bool
	for _, key := range t.keys {
		if sub, ok := t.values[key].any.(*table); ok && m.dotted(sub, k) {
			found = true
		}
	}
	return found
}

// quotedName joins the pieces of a name. The last one may be a key of its table.
func quotedName(path []string, k keys) toml.Key {
	last := len(path)
	if k[path[last-1]] != nil {
		last--
	}
	return append(toml.Key{path[0], strings.Join(path[1:last], ".")}, path[last:]...)
}

// unknownTable adds the mistake of a table, or a key outside all tables, that
// there is not.
func (l *loader) unknownTable(name string, v value) {
	var names []string
	for _, s := range sections() {
		names = append(names, s.name)
	}
	switch v.any.(type) {
	case *table, []map[string]any:
		l.add(v.at, "unknown table [%v]%s", toml.Key{name}, didYouMean(name, names))
	default:
		l.add(v.at, "unknown key %q outside of all tables", name)
	}
}

// didYouMean proposes the known name that is nearest to name, if there is one.
func didYouMean(name string, known []string) string {
	best := nearest(name, known)
	if best == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(best) + "?"
}

// nearest returns the known name that is nearest to name, or else holds it; "":
// none is near. What lacks only its first words is nearer than what differs in
// three letters.
func nearest(name string, known []string) string {
	best, least := "", len(name)/3+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k), least); d <= least && k != name {
			if best == "" || d < least {
				best, least = k, d
			}
		}
	}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.HasSuffix(k, "_"+name) }); i >= 0 && least > 2 {
		return known[i]
	}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.Contains(k, name) }); best == "" && i >= 0 && len(name) > 2 {
		best = known[i]
	}
	return best
}

// distance returns how many letters must be added, removed or changed to make b
// of a; more than most: at least that many.
func distance(a, b string, most int) int {
	if d := len(a) - len(b); d > most || -d > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
