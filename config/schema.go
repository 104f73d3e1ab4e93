package config

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"alf"
)

// A shape is what a value may look like, as a JSON Schema. The zero shape is
// anything.
//
// Nobody writes down the shapes of the keys: a reader that is given a value of
// none of its types says what it wants, and of a shape as that value it writes
// into it what that looks like (see value.want). So a key cannot be read and be
// missing in the schema, nor the other way round.
type shape struct {
	Schema      string            `json:"$schema,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        string            `json:"type,omitempty"`
	Enum        []string          `json:"enum,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	Minimum     *float64          `json:"minimum,omitempty"`
	Maximum     *float64          `json:"maximum,omitempty"`
	Items       *shape            `json:"items,omitempty"`
	AnyOf       []*shape          `json:"anyOf,omitempty"`
	Properties  map[string]*shape `json:"properties,omitempty"`
	// Others is the shape of properties that are not named: a *shape, or false.
	Others any `json:"additionalProperties,omitempty"`
}

// errAsked is the error of a reader that was asked for its shape.
var errAsked = errors.New("asked for its shape")

// shapeOf asks read what it wants.
func shapeOf[T any](read func(value) (T, error)) *shape {
	s := new(shape)
	_, _ = read(value{any: s})
	return s
}

// texts is the shape of a text that matches pattern, or of any.
func texts(pattern string) *shape { return &shape{Type: "string", Pattern: pattern} }

func between(what string, least, most float64) *shape {
	return &shape{Type: what, Minimum: &least, Maximum: &most}
}

func list(items *shape) *shape { return &shape{Type: "array", Items: items} }

// mapping is a table whose keys the writer chooses.
func mapping(values *shape) *shape { return &shape{Type: "object", Others: values} }

func either(shapes ...*shape) *shape { return &shape{AnyOf: shapes} }

// or is the shape of what s or o takes.
func (s *shape) or(o *shape) *shape {
	if reflect.DeepEqual(s, o) {
		return s
	}
	return either(s, o)
}

// scalars are what becomes a text.
func scalars() *shape {
	return either(texts(""), &shape{Type: "number"}, &shape{Type: "boolean"})
}

// secrets are what stands for a secret: the name of a [secret.NAME], or a table.
func secrets() *shape { return either(texts(""), secretTable()) }

func secretTable() *shape { return new(secretSource).inlineKeys(newLoader(Options{})).shape() }

// shape returns that of a table with these keys.
func (k keys) shape() *shape {
	s := &shape{Type: "object", Properties: make(map[string]*shape), Others: false}
	for key, read := range k {
		of := new(shape)
		read(new(mistakes), key, value{any: of})
		if key == others {
			s.Others = of
			continue
		}
		s.Properties[key] = of
	}
	return s
}

// Schema writes a JSON Schema (draft 7) of all that a file may say, for editors.
// manual is docs/configure.md, whose tables tell what each key means; of o, only the
// kinds of actions count.
func Schema(w io.Writer, manual string, o Options) error {
	known := meanings(manual)
	all := &shape{
		Schema: "http://json-schema.org/draft-07/schema#", Title: "Alf's configuration",
		Type: "object", Properties: make(map[string]*shape), Others: false,
	}
	o.NoSecrets = true
	l := newLoader(o)
	for _, s := range sections() {
		table := s.open(l, "x", alf.Position{}).keys(l).shape()
		table.explain(s.name, known)
		if s.named {
			table = mapping(table)
		}
		all.Properties[s.name] = table
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(all)
}

// explain adds to all in s what they mean. chapter is where the manual tells of
// them.
func (s *shape) explain(chapter string, known map[string]map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[key]
		for _, at := range explained(chapter) {
			if p.Description == "" || strings.HasPrefix(p.Description, byDefault) {
				p.Description = known[at][key]
			}
		}
		inner := chapter + "." + key
		if known[inner] == nil && ofOthers(chapter) {
			inner = "check." + key
		}
		if known[inner] == nil {
			inner = key // as [ssh] is explained once
		}
		p.explain(inner, known)
		if others, ok := p.Others.(*shape); ok {
			others.explain(inner, known)
		}
	}
}

// explained returns the chapters that may explain a key, best first.
func explained(chapter string) []string {
	if ofOthers(chapter) {
		return []string{chapter, "check", "defaults", "host"}
	}
	return []string{chapter, "defaults"} // which explains once for all
}

// ofOthers reports whether a table has the keys of other tables.
func ofOthers(chapter string) bool {
	return chapter == templateSection || strings.HasSuffix(chapter, "."+overrideKey)
}

// meanings reads the tables of the manual: what each key of each chapter means.
// A chapter is called as its header without the name, such as "check.expect".
func meanings(manual string) map[string]map[string]string {
	known := make(map[string]map[string]string)
	var chapter string
	for line := range strings.Lines(manual) {
		if strings.HasPrefix(line, "#") {
			chapter = ""
			if header, ok := strings.CutPrefix(strings.TrimLeft(line, "# "), "["); ok {
				path := strings.Split(strings.TrimSuffix(strings.TrimSpace(header), "]"), ".")
				chapter = strings.Join(slices.DeleteFunc(path, func(s string) bool { return s == strings.ToUpper(s) }), ".")
				known[chapter] = make(map[string]string)
			}
			continue
		}
		key, cells, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |")
		if ok && chapter != "" && strings.HasPrefix(line, "| `") {
			known[chapter][key] = meaning(strings.Split(strings.TrimSuffix(strings.TrimSpace(cells), "|"), " | "))
		}
	}
	return known
}

// byDefault stands before the default of a key.
const byDefault = "\nDefault: "

// meaning makes a text of the cells behind a key: type, default and meaning, or
// type and meaning.
func meaning(cells []string) string {
	text := strings.TrimSpace(cells[len(cells)-1])
	if len(cells) > 2 {
		if def := strings.TrimSpace(cells[1]); !slices.Contains([]string{"", "none", "see right", "see below"}, def) {
			text += byDefault + def
		}
	}
	return strings.NewReplacer("`", "", `\|`, "|").Replace(text)
}
