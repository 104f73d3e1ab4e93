package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"alf"
)

// vars are the variables of a table, by name.
type vars map[string]*variable

// variable is a text or a list of texts, or a secret.
type variable struct {
	at    alf.Position
	list  bool
	texts []alf.Template
	// fixed: value is what it is on every host, since there is no macro in it.
	fixed bool
	value alf.Value
}

// readVars reads a table of variables into dst. Those that it has stay.
func (l *loader) readVars(dst *vars) reader {
	return func(m *mistakes, key string, v value) {
		if o, asked := v.any.(*origin); asked {
			o.inner = dst.origins()
			return
		}
		t, ok := v.any.(*table)
		if !ok {
			m.take(key, v.at, v.want("a table", func() *shape { return mapping(either(scalars(), list(scalars()), secretTable())) }))
			return
		}
		if *dst == nil {
			*dst = make(vars, len(t.keys))
		}
		for _, name := range t.keys {
			v := t.values[name]
			x, err := l.variable(v)
			if err == nil {
				err = l.checkVar(name)
			}
			if err != nil {
				m.take(key+"."+name, v.at, err)
			}
			if _, ok := (*dst)[name]; !ok {
				(*dst)[name] = x
			}
		}
	}
}

// checkVar refuses a name that no macro could have, or that has a meaning.
func (l *loader) checkVar(name string) error {
	t := alf.ParseTemplate("$" + name + "$")
	switch {
	case len(t) != 1 || t[0].Macro != name:
		return errors.New(`a name has letters, digits and "_" and does not begin with a digit`)
	case standard(name) || l.Runtime(name):
		return fmt.Errorf("$%s$ is a macro with a meaning of its own", name)
	}
	return nil
}

// variable reads a text, a list of texts or a secret. With a mistake, it
// returns an empty variable.
func (l *loader) variable(v value) (*variable, error) {
	switch v.any.(type) {
	case []value:
		texts, err := listOf(scalar)(v)
		return newVariable(v.at, true, texts), err
	case *table:
		secret, err := l.secret(v)
		return &variable{at: v.at, fixed: true, value: alf.Value{Text: string(secret), Secret: true}}, err
	}
	s, err := scalar(v)
	return newVariable(v.at, false, []string{s}), err
}

func newVariable(at alf.Position, list bool, texts []string) *variable {
	x := &variable{at: at, list: list, fixed: true}
	for _, s := range texts {
		t := alf.ParseTemplate(s)
		x.texts = append(x.texts, t)
		x.fixed = x.fixed && len(t.Macros()) == 0
	}
	if x.fixed {
		x.value = x.with(reveal(x.texts))
	}
	return x
}

// with returns the value of x whose texts are these.
func (x *variable) with(texts []string) alf.Value {
	if x.list {
		return alf.Value{List: texts}
	}
	return alf.Value{Text: texts[0]}
}

func reveal(ts []alf.Template) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.Reveal()
	}
	return out
}

// scalar reads a text, or a number or a boolean as a text.
func scalar(v value) (string, error) {
	switch x := v.any.(type) {
	case int64:
		return strconv.FormatInt(x, 10), nil
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), nil
	case bool:
		return strconv.FormatBool(x), nil
	case string:
		return text(v)
	}
	return "", v.want("a text, a number or a list of them", scalars)
}

// envVar is a variable of a check's environment.
type envVar struct {
	name  string
	value template
}

// readEnv reads a table of environment variables into dst.
func (l *loader) readEnv(dst *[]envVar) reader {
	return func(m *mistakes, key string, v value) {
		t, ok := v.any.(*table)
		if !ok {
			m.take(key, v.at, v.want("a table", func() *shape { return mapping(either(scalars(), secretTable())) }))
			return
		}
		for _, name := range t.keys {
			v := t.values[name]
			x, err := l.envValue(v)
			if err == nil && (name == "" || strings.Trim(name, nameLetters) != "" || strings.Contains(digits, name[:1])) {
				err = errors.New(`a name has letters, digits and "_" and does not begin with a digit`)
			}
			if err != nil {
				m.take(key+"."+name, v.at, err)
			}
			*dst = append(*dst, envVar{name, newTemplate(x, v.at)})
		}
	}
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" + digits

// readInput reads what a plugin gets on its standard input.
func (l *loader) readInput(v value) (template, error) {
	x, err := l.envValue(v)
	return newTemplate(x, v.at), err
}

func (l *loader) envValue(v value) (alf.Template, error) {
	if _, ok := v.any.(*table); ok {
		secret, err := l.secret(v)
		return alf.Template{{Text: string(secret), Secret: true}}, err
	}
	s, err := scalar(v)
	return alf.ParseTemplate(s), err
}
