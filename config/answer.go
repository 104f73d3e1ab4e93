package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"alf"
)

// Each host of an answer is taken by itself. One with a mistake counts as the last
// good answer has it, or if that does not have it, or has it wrong by now, is left
// out. Which mistakes there are shows only when all is put together, and another
// record may make others, so loading begins again until nothing is found any more.

// maxRounds bounds how often loading begins again.
const maxRounds = 20

// trial is what is known of the answers from one round of loading to the next.
type trial struct {
	answers  map[string]*answer
	verdicts map[sourceHost]*verdict
	round    int
}

func newTrial() *trial {
	return &trial{answers: make(map[string]*answer), verdicts: make(map[sourceHost]*verdict)}
}

// answer is what a source has said, taken apart.
type answer struct {
	records []record
	last    map[string]record // by name, of the answer before
	err     error
}

// record is what an answer says of one host.
type record struct {
	name string // "": it has none
	line int
	raw  json.RawMessage
	err  error // what is wrong with its name
}

// sourceHost names a host of a source.
type sourceHost struct{ source, host string }

// verdict says what counts of a host with mistakes: what the answer before says of
// it, unless that has mistakes, too.
type verdict struct {
	out bool
	why []string
}

// taken is a record that counts.
type taken struct {
	record
	added bool // it makes a host; else a file, or a source before, has it
}

// sourceFile is the name of the file in positions of the hosts of a source. Their
// lines are their numbers in the answer, since all may stand in one line of it.
func sourceFile(name string) string { return "source " + name }

// CheckAnswer returns how many hosts are in the answer of a source, or why it is
// none as a whole.
func CheckAnswer(body []byte) (hosts int, err error) {
	records, err := parseAnswer(body)
	return len(records), err
}

// parseAnswer takes an answer apart: a list of hosts, or an object of hosts by
// name.
func parseAnswer(body []byte) ([]record, error) {
	body = []byte(withoutBOM(string(body)))
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	open, _ := d.Token()
	if open != json.Delim('[') && open != json.Delim('{') {
		return nil, errors.New("want a list of hosts, or an object of hosts by name")
	}
	var records []record
	line, counted := 1, 0
	for d.More() {
		var r record
		if open == json.Delim('{') {
			name, _ := d.Token()
			r.name, _ = name.(string)
		}
		if err := d.Decode(&r.raw); err != nil {
			return nil, err
		}
		begin := int(d.InputOffset()) - len(r.raw)
		line += bytes.Count(body[counted:begin], []byte("\n"))
		counted, r.line = begin, line
		r.readName(open == json.Delim('{'))
		records = append(records, r)
	}
	return records, nil
}

func checkJSON(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("it is empty, and no JSON")
	}
	var all json.RawMessage
	err := json.Unmarshal(body, &all)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := body[:min(max(int(syntax.Offset), 0), len(body))]
		return fmt.Errorf("it is no JSON: line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
	}
	if err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return nil
}

// readName looks for the name. keyed: it has one already.
func (r *record) readName(keyed bool) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(r.raw, &doc); err != nil || doc == nil {
		r.err = errors.New("want an object")
		return
	}
	raw, ok := doc["name"]
	if !ok {
		if !keyed {
			r.err = errors.New("it has no name")
		}
		return
	}
	var name *string
	if err := json.Unmarshal(raw, &name); err != nil || name == nil {
		r.err = errors.New("name: want a string")
		return
	}
	if keyed && *name != r.name {
		r.err = fmt.Errorf("name: %q stands under the name %q", *name, r.name)
		return
	}
	r.name = *name
}

// open takes the answer of a source apart, once for all rounds.
func (t *trial) open(name string, given Answer) *answer {
	if a, ok := t.answers[name]; ok {
		return a
	}
	a := &answer{last: make(map[string]record)}
	a.records, a.err = parseAnswer(given.Body)
	if given.Last != nil {
		last, _ := parseAnswer(given.Last) // it was good once
		for _, r := range last {
			if r.err == nil {
				a.last[r.name] = r
			}
		}
	}
	t.answers[name] = a
	return a
}

// takeAnswer adds the hosts that s has named.
func (l *loader) takeAnswer(s *source) {
	name := s.made.Name
	s.made.Answer = l.Answers[name]
	if s.made.Answer.Body == nil {
		l.unanswered = true
		l.warn(s.at, "source %q has no answer yet, and its hosts are missing%s", name, because(s.made.Answer.Err))
		return
	}
	if why := s.made.Answer.Err; why != "" {
		l.warn(s.at, "source %q: its hosts are those of %s%s", name, s.made.Answer.Time.UTC().Format(time.RFC3339), because(why))
	}
	a := l.trial.open(name, s.made.Answer)
	if a.err != nil {
		l.add(s.at, "source %q: %v", name, a.err)
		return
	}
	l.folders[sourceFile(name)] = filepath.Dir(s.at.File)
	seen := make(map[string]record, len(a.records))
	nameless := 0
	for i, r := range a.records {
		first, again := seen[r.name]
		switch {
		case r.name == "":
			if nameless++; r.err == nil {
				r.err = checkName("host", r.name)
			}
			l.refuse(s, Refused{Line: r.line, Why: r.err.Error() + keptAll(a)})
		case again:
			l.refuse(s, Refused{Host: r.name, Line: r.line, Why: fmt.Sprintf("it is already in line %d, which counts", first.line)})
		default:
			seen[r.name] = r
			l.takeHost(s, r, alf.Position{File: sourceFile(name), Line: i + 1})
		}
	}
	if nameless > 0 {
		l.keepMissing(s, a, seen)
	}
	s.made.Taken = compose(s.taken)
}

// keptAll says what becomes of the hosts that were there when a host without a
// name may be any of them.
func keptAll(a *answer) string {
	if len(a.last) == 0 {
		return ""
	}
	return "; it may be any, so no host is removed"
}

// keepMissing takes the hosts of the last answer that are not in this one, which
// has hosts without a name.
func (l *loader) keepMissing(s *source, a *answer, seen map[string]record) {
	line := len(a.records)
	for _, name := range slices.Sorted(maps.Keys(a.last)) {
		if _, ok := seen[name]; !ok {
			line++
			l.takeHost(s, a.last[name], alf.Position{File: sourceFile(s.made.Name), Line: line})
		}
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// takeHost adds one host, as the verdict on it is so far.
func (l *loader) takeHost(s *source, r record, at alf.Position) {
	v := l.trial.verdicts[sourceHost{s.made.Name, r.name}]
	if v != nil {
		last, ok := l.trial.answers[s.made.Name].last[r.name]
		kept := ok && !v.out && !bytes.Equal(last.compact(), r.compact())
		l.refuse(s, Refused{Host: r.name, Line: r.line, Kept: kept, Why: strings.Join(v.why, "; ")})
		if ok && !kept { // it may be good again when the files have changed
			s.taken = append(s.taken, taken{record: last})
		}
		if !kept {
			return
		}
		r = last
	}
	l.fromSource[at] = sourceHost{s.made.Name, r.name}
	t, err := r.table(at)
	if err == nil {
		err = checkName("host", r.name)
	}
	if err != nil {
		l.add(at, "%v", err)
		return
	}
	if other, ok := l.hostAt(r.name); ok {
		l.warn(s.at, "source %q: host %q is already set in %s, which counts", s.made.Name, r.name, where(other))
		s.taken = append(s.taken, taken{record: r})
		return
	}
	l.bySource[alf.HostName(r.name)] = s.made.Name
	if _, ok := t.values[useKey]; ok {
		t = l.heir(t, "host")
	}
	l.decodeTable(hostSection(), r.name, t)
	h := l.hosts[len(l.hosts)-1]
	for _, g := range s.hostgroups {
		if !slices.ContainsFunc(h.hostgroups, func(own reference) bool { return own.name == g.name }) {
			h.hostgroups = append(h.hostgroups, g)
		}
	}
	h.vars = h.vars.over(s.vars)
	if a := l.amendments[h.name]; a != nil {
		h.amended = a.overrides
	}
	s.taken = append(s.taken, taken{r, true})
}

func hostSection() section { return section{"host", true, newHost} }

// hostAt returns where a host is defined that is there already.
func (l *loader) hostAt(name string) (alf.Position, bool) {
	if _, ok := l.opened[newTable([]string{"host", name}, alf.Position{}).String()]; !ok {
		return alf.Position{}, false
	}
	i := slices.IndexFunc(l.hosts, func(h *host) bool { return string(h.name) == name })
	return l.hosts[max(i, 0)].at, i >= 0
}

// maxRefused is how many hosts of a source are named that were refused.
const maxRefused = 20

// refuse notes that a host of s is not taken as the answer has it.
func (l *loader) refuse(s *source, r Refused) {
	s.made.Refused = append(s.made.Refused, r)
	if len(s.made.Refused) <= maxRefused {
		l.warn(s.at, "source %q: %v", s.made.Name, r)
	}
}

// settleWhere lets the hosts of a source, and what they have, stand in it as a
// whole: none is another one because one before it has gone.
func (r *resolver) settleWhere() {
	if len(r.folders) == 0 {
		return
	}
	for _, h := range r.hosts {
		if _, ok := r.folders[h.made.Where.File]; ok {
			h.made.Where.Line = 0
		}
	}
	for _, s := range r.services {
		if _, ok := r.folders[s.Where.File]; ok {
			s.Where.Line = 0
		}
	}
}

// SameAnswer reports whether two answers say the same of the same hosts, in
// whatever order.
func SameAnswer(a, b []byte) bool {
	one, ok := normal(a)
	other, also := normal(b)
	return ok && also && bytes.Equal(one, other)
}

// normal returns what an answer says in one form.
func normal(body []byte) ([]byte, bool) {
	records, err := parseAnswer(body)
	seen := make(map[string]bool, len(records))
	all := make([]taken, 0, len(records))
	for _, r := range records {
		if err != nil || r.err != nil || seen[r.name] {
			return nil, false
		}
		seen[r.name] = true
		all = append(all, taken{record: r})
	}
	return compose(all), err == nil
}

// sourcesMade returns the sources by name.
func (l *loader) sourcesMade() []Source {
	var out []Source
	for _, s := range l.sources {
		out = append(out, s.made)
	}
	slices.SortFunc(out, func(a, b Source) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// finish says how many hosts came of each source.
func (l *loader) finish() {
	for _, s := range l.sources {
		if n := len(s.made.Refused) - maxRefused; n > 0 {
			l.warn(s.at, "source %q: and so with %s", s.made.Name, count(n, "other host"))
		}
		for _, t := range s.taken {
			if t.added {
				s.made.Hosts++
			}
		}
	}
}

// blame finds the hosts of sources that mistakes are about, and takes these
// mistakes away. It reports whether loading must begin again without these hosts.
func (l *loader) blame() bool {
	if l.trial.round++; l.trial.round > maxRounds {
		return false
	}
	found := make(map[sourceHost][]string)
	l.errors = slices.DeleteFunc(l.errors, func(e *Error) bool {
		h, ok := l.fromSource[alf.Position{File: e.File, Line: e.Line}]
		if ok {
			found[h] = append(found[h], e.Text)
		}
		return ok
	})
	for e, a := range l.onHosts {
		h, ok := l.fromSource[alf.Position{File: e.File, Line: e.Line}]
		if ok || l.BlameHosts && l.blameAll(e, a, found) {
			if ok {
				found[h] = append(found[h], e.what+" it: "+e.Text)
			}
			delete(l.onHosts, e)
		}
	}
	for h, texts := range found {
		slices.Sort(texts)
		l.trial.condemn(h, slices.Compact(texts))
	}
	return len(found) > 0
}

// blameAll reports whether only hosts of sources have the mistake, which is then
// theirs.
func (l *loader) blameAll(e onHost, a *affected, found map[sourceHost][]string) bool {
	for _, name := range a.hosts {
		if l.bySource[name] == "" {
			return false
		}
	}
	for _, name := range a.hosts {
		h := sourceHost{l.bySource[name], string(name)}
		found[h] = append(found[h], fmt.Sprintf("%s it (%s): %s", e.what, where(alf.Position{File: e.File, Line: e.Line}), e.Text))
	}
	return true
}

// condemn makes the verdict on a host one step harder.
func (t *trial) condemn(h sourceHost, texts []string) {
	v := t.verdicts[h]
	if v == nil {
		t.verdicts[h] = &verdict{why: texts}
		return
	}
	v.out = true
	v.why = append(v.why, "as it was before: "+strings.Join(texts, "; "))
}

// compose makes one answer of the records that count: an object by name, so that
// no name is there twice.
func compose(all []taken) []byte {
	slices.SortFunc(all, func(a, b taken) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	b.WriteString("{")
	for i, r := range all {
		if i > 0 {
			b.WriteString(",")
		}
		name, _ := json.Marshal(r.name)
		b.WriteString("\n")
		b.Write(name)
		b.WriteString(": ")
		b.Write(r.compact())
	}
	b.WriteString("\n}\n")
	return b.Bytes()
}

// compact returns r without white space.
func (r record) compact() []byte {
	var b bytes.Buffer
	_ = json.Compact(&b, r.raw) // it was read before
	return b.Bytes()
}

// table makes of r the table that [host.NAME] would be.
func (r record) table(at alf.Position) (*table, error) {
	switch {
	case r.err != nil:
		return nil, r.err
	case !utf8.Valid(r.raw):
		return nil, errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(r.raw))
	d.UseNumber()
	v, _, err := readJSON(d, []string{"host", r.name}, at)
	if err != nil {
		return nil, err
	}
	t := v.any.(*table)
	t.header = true
	t.drop("name")
	if groups, ok := t.values["groups"]; ok {
		if _, both := t.values["hostgroups"]; both {
			return nil, errors.New("groups: the same as hostgroups, which is there, too")
		}
		t.drop("groups")
		t.set("hostgroups", groups)
	}
	return t, nil
}

// maxDepth is how deep values may lie in each other. No key needs as much.
const maxDepth = 10

// readJSON reads one value. null: it is none.
func readJSON(d *json.Decoder, path []string, at alf.Position) (v value, null bool, err error) {
	if len(path) > maxDepth {
		return value{}, false, errors.New("values lie too deep in each other")
	}
	token, err := d.Token()
	if err != nil {
		return value{}, false, err
	}
	switch x := token.(type) {
	case json.Delim:
		if x == '[' {
			v, err = readJSONList(d, path, at)
		} else {
			v, err = readJSONObject(d, path, at)
		}
	case json.Number:
		v, err = readJSONNumber(x, at)
	case nil:
		return value{}, true, nil
	default:
		v = value{at, x}
	}
	return v, false, err
}

func readJSONList(d *json.Decoder, path []string, at alf.Position) (value, error) {
	elems := []value{}
	for d.More() {
		inner := append(path[:len(path):len(path)], strconv.Itoa(len(elems)))
		v, null, err := readJSON(d, inner, at)
		if err == nil && null {
			err = fmt.Errorf("%s: null in a list", strings.Join(inner[2:], "."))
		}
		if err != nil {
			return value{}, err
		}
		elems = append(elems, v)
	}
	_, err := d.Token()
	return value{at, elems}, err
}

// readJSONObject reads a table. A key that is null is one that is not there.
func readJSONObject(d *json.Decoder, path []string, at alf.Position) (value, error) {
	t := newTable(path, at)
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return value{}, err
		}
		key, _ := token.(string)
		inner := append(path[:len(path):len(path)], key)
		v, null, err := readJSON(d, inner, at)
		if err == nil && seen[key] {
			err = fmt.Errorf("%s is set twice", strings.Join(inner[2:], "."))
		}
		if err != nil {
			return value{}, err
		}
		seen[key] = true
		if !null {
			t.set(key, v)
		}
	}
	_, err := d.Token()
	return value{at, t}, err
}

func readJSONNumber(n json.Number, at alf.Position) (value, error) {
	if i, err := n.Int64(); err == nil {
		return value{at, i}, nil
	}
	f, err := n.Float64()
	if err != nil {
		return value{}, fmt.Errorf("%s is too large a number", n)
	}
	return value{at, f}, nil
}
