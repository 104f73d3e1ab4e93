package runner

import (
	"context"
	"errors"
	"fmt"

	"alf"
	"alf/sshmux"
)

// GatewayScript returns the script of the gateway of h, which runs what these services run there
// and nothing else, and the name of its list. free says of a macro that has no value before the
// check runs whether it may be any text.
func GatewayScript(h *alf.Host, services []*alf.Service, free func(macro string) bool) (script, list string, err error) {
	var commands []sshmux.Permit
	var errs []error
	for _, s := range services {
		if s.On != h || s.Passive || s.Builtin != "" {
			continue
		}
		p, err := permit(s, free)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Key, err))
			continue
		}
		commands = append(commands, p)
	}
	if err := errors.Join(errs...); err != nil {
		return "", "", err
	}
	return sshmux.GatewayScript(string(h.Name), commands)
}

// Gateway asks the gateway of a host for the name of its list.
func (r *Runner) Gateway(ctx context.Context, h *alf.Host) (list string, err error) {
	return r.mux.Gateway(ctx, target(h))
}

// permit returns what a service runs, as Run would.
func permit(s *alf.Service, free func(string) bool) (sshmux.Permit, error) {
	p := sshmux.Permit{Name: s.Key.String(), Path: s.Path, Dir: s.Dir, Timeout: s.Timeout}
	for _, v := range s.Env {
		word := append(sshmux.Pattern{{Text: v.Name + "="}}, pattern(v.Value, free)...)
		for i, piece := range word {
			if piece.Kind == sshmux.Hidden { // a variable is no argument, and its secret may change
				word[i] = sshmux.Piece{Kind: sshmux.Free}
			}
		}
		p.Env = append(p.Env, word)
	}
	if s.Stdin != nil {
		for _, part := range s.Stdin {
			if part.Macro != "" {
				return p, fmt.Errorf("%s: stdin has the macro $%s$, so that a gateway cannot know it beforehand", s.Key, part.Macro)
			}
			p.Script = append(p.Script, part.Text...)
		}
		p.Script = append([]byte{}, p.Script...) // none is not nil
	}
	if s.Shell != nil {
		p.Argv = []sshmux.Pattern{{{Text: "/bin/sh"}}, {{Text: "-c"}}, pattern(s.Shell, free)}
		return p, nil
	}
	if s.Script != "" {
		script, err := ReadScript(s.Script)
		if err != nil {
			return p, err
		}
		for _, word := range Interpreter(script) {
			p.Argv = append(p.Argv, sshmux.Pattern{{Text: word}})
		}
		p.Script = append([]byte{}, script...) // none is not nil
	}
	for _, t := range s.Argv {
		p.Argv = append(p.Argv, pattern(t, free))
	}
	return p, nil
}

// pattern returns what may stand for a Template.
func pattern(t alf.Template, free func(string) bool) sshmux.Pattern {
	var word sshmux.Pattern
	for _, part := range t {
		switch {
		case part.Macro == "" && part.Secret:
			word = append(word, sshmux.Piece{Kind: sshmux.Hidden, Text: part.Text})
			continue
		case part.Macro == "":
			word = append(word, sshmux.Piece{Text: part.Text})
			continue
		}
		kind := sshmux.Plain
		if free(part.Macro) {
			kind = sshmux.Free
			if part.Quote != alf.NoShell {
				kind = sshmux.Quoted
			}
		}
		quotes := part.Quote.Apply("") // as many that open as that close
		half := len(quotes) / 2
		word = append(word, sshmux.Piece{Text: quotes[:half]}, sshmux.Piece{Kind: kind}, sshmux.Piece{Text: quotes[half:]})
	}
	return word
}
