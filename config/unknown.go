package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"alf"
)

// unknown adds the mistake of a key that t does not have.
func (m *mistakes) unknown(t *table, key string, v value, k keys) {
	if sub, ok := v.any.(*table); ok && t.named() && m.dotted(sub, k) {
		return
	}
	proposal, ok := elsewhere(t, key)
	if !ok {
		proposal = didYouMean(key, slices.Sorted(maps.Keys(k)))
	}
	m.add(v.at, "unknown key %q in %v%s", key, t, proposal)
}

// elsewhere says what Alf has for a key that is one of Nagios', or of other
// tables.
func elsewhere(t *table, key string) (proposal string, ok bool) {
	if len(t.path) != 2 {
		return "", false
	}
	kind := t.path[0]
	if kind == "hostgroup" && key == useKey {
		return "; only hosts, checks and templates use templates", true
	}
	if proposal, ok = nagiosKeys[kind][key]; ok && proposal != "" {
		proposal = "; in Alf it is " + proposal
	}
	return proposal, ok
}

// nagiosKeys says, by the kind of table, what Alf has for the directives of Nagios
// that have another name; "": nothing.
var nagiosKeys = map[string]map[string]string{
	"check": {
		"host_name":             "hosts",
		"hostgroup_name":        `hosts = ["@NAME"]`,
		"hostgroups":            `hosts = ["@NAME"]`,
		"service_description":   "service",
		"check_command":         "command",
		"normal_check_interval": "check_interval",
		"retry_check_interval":  "retry_interval",
		"contact_groups":        "contacts",
	},
	"host": {
		"host_name":             "the name in [host.NAME]",
		"display_name":          "alias",
		"normal_check_interval": "check_interval",
		"retry_check_interval":  "retry_interval",
		"contact_groups":        "contacts",
	},
	"action": {
		"kind": "type",
	},
	"contact": {
		"contact_name":                  "the name in [contact.NAME]",
		"host_notification_commands":    "actions",
		"service_notification_commands": "actions",
	},
	"escalation": {
		"host_name":           "hosts",
		"hostgroup_name":      `hosts = ["@NAME"]`,
		"service_description": "services",
		"contact_groups":      "contacts",
	},
	"hostgroup": {
		"hostgroup_name":    "the name in [hostgroup.NAME]",
		"hostgroup_members": "members",
	},
	"timeperiod": {
		"timeperiod_name": "the name in [timeperiod.NAME]",
	},
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
		l.add(v.at, "unknown key %q outside of all tables%s", name, tableOf(name))
	}
}

// tableOf names the tables that have a key.
func tableOf(key string) string {
	var have []string
	blank := newLoader(Options{})
	for _, s := range sections() {
		if !s.named && s.open(blank, "", alf.Position{}).keys(blank)[key] != nil {
			have = append(have, "["+s.name+"]")
		}
	}
	if len(have) == 0 {
		return ""
	}
	return "; it is one of " + strings.Join(have, " and ")
}

// didYouMean proposes the known name that is nearest to name, if there is one.
func didYouMean(name string, known []string) string {
	best := nearest(name, known)
	if best == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(best) + "?"
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// meant proposes a name that is known and at most one letter away from name, where
// nobody can list those that are known.
func meant(name string, known func(string) bool) string {
	try := func(head, middle, tail string) string {
		if k := head + middle + tail; k != "" && known(k) {
			return "; did you mean " + strconv.Quote(k) + "?"
		}
		return ""
	}
	if len(name) > 50 {
		return ""
	}
	found := try(name, "", "")
	for i := 0; i <= len(name) && found == ""; i++ {
		head, tail := name[:i], name[i:]
		if len(tail) > 1 {
			found = try(head, tail[1:2]+tail[:1], tail[2:])
		}
		if len(tail) > 0 && found == "" {
			found = try(head, "", tail[1:])
		}
		for _, c := range letters + "_" {
			if found == "" {
				found = try(head, string(c), tail)
			}
			if len(tail) > 0 && found == "" {
				found = try(head, string(c), tail[1:])
			}
		}
	}
	return found
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
