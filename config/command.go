package config

import (
	"errors"
	"path"
	"strings"

	"alf"
)

// template is a text with macros and where it stands.
type template struct {
	alf.Template
	at    alf.Position
	macro string // the only one in it
	last  *bound // what it was last; nil: it has more macros, or none
}

// newTemplate returns a template that stands at a place.
func newTemplate(t alf.Template, at alf.Position) template {
	out := template{Template: t, at: at}
	if names := t.Macros(); len(names) == 1 {
		out.macro, out.last = names[0], new(bound)
	}
	return out
}

// command is what a check runs: arguments, or a line for the shell.
type command struct {
	argv  []template
	shell template
}

// readCommand reads a list of arguments or a line for /bin/sh -c.
func readCommand(v value) (command, error) {
	if _, ok := v.any.([]value); ok {
		argv, err := listOf(readTemplate)(v)
		if err == nil && (len(argv) == 0 || len(argv[0].Template) == 0) {
			err = errEmpty
		}
		return command{argv: argv}, err
	}
	s, err := text(v)
	if err != nil {
		return command{}, v.want("a list of arguments or a line for the shell", func() *shape { return either(texts(""), list(scalars())) })
	}
	if strings.TrimSpace(s) == "" {
		return command{}, errEmpty
	}
	line, err := alf.ParseShell(s)
	return command{shell: newTemplate(line, v.at)}, err
}

// readTemplate reads a text with macros that no shell will read.
func readTemplate(v value) (template, error) {
	s, err := scalar(v)
	return newTemplate(alf.ParseTemplate(s), v.at), err
}

// readArgs reads arguments, as many as Nagios has macros for.
func readArgs(v value) ([]template, error) {
	args, err := listOf(readTemplate)(v)
	if err == nil && len(args) > maxArgs {
		err = errors.New("are more than 32, and there is no $ARG33$")
	}
	return args, err
}

const maxArgs = 32

// plugin returns the name of the plugin that c runs, without its folder; "":
// only the macros know.
func (c command) plugin() string {
	if len(c.argv) > 0 {
		return baseName(c.argv[0].String())
	}
	words := strings.Fields(c.shell.String())
	if len(words) == 0 {
		return ""
	}
	return baseName(strings.Trim(words[0], `'"`))
}

func baseName(word string) string {
	name := path.Base(word)
	if len(alf.ParseTemplate(name).Macros()) > 0 {
		return ""
	}
	return name
}

// metricName returns the name of a plugin in metrics.
func metricName(plugin string) string { return strings.TrimPrefix(plugin, "check_") }
