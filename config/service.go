package config

import (
	"cmp"

	"alf"
)

// key returns the name of the service.
func (s *scope) key() alf.Key {
	if !s.c.service.set {
		return alf.Key{Host: s.h.name, Service: alf.ServiceName(s.c.id)}
	}
	name := s.text(s.c.service.v, "service")
	key := alf.Key{Host: s.h.name, Service: alf.ServiceName(name)}
	switch {
	case len(s.failures) > 0:
	case name == "":
		s.fail(s.c.service.at, "the name of the service is empty")
	default:
		if err := key.Validate(); err != nil {
			s.fail(s.c.service.at, "%v", err)
		}
	}
	return key
}

// renamedFrom returns what the service was called before.
func (s *scope) renamedFrom() alf.ServiceName {
	if !s.c.renamed.set {
		return ""
	}
	name := s.text(s.c.renamed.v, "renamed_from")
	if err := alf.ValidateName("renamed_from", name); err != nil && len(s.failures) == 0 {
		s.fail(s.c.renamed.at, "%v", err)
	}
	return alf.ServiceName(name)
}

// service makes the service of that key.
func (s *scope) service(key alf.Key) *alf.Service {
	c, out := s.c, s.c.proto
	out.Key, out.Host = key, s.h.made
	out.NotesURL = s.link(c.notesURL.v, "notes_url")
	out.RenamedFrom = s.renamedFrom()
	if period := s.h.own.notifications; period.set && !c.notifiesOwn {
		out.NotificationPeriod = period.v // RULES N4
	}
	out.Policy = s.r.policy(c.tellsOwn.implied(s.h.own.telling).over(s.r.defaults.telling), c.options)
	if out.Passive {
		return &out
	}
	if !c.run.set || c.run.v == runRemote {
		out.On = s.h.made
	}
	out.Argv, out.Shell = s.command(c.command.v)
	if c.script.set {
		out.Argv = s.bindAll(c.args.v)
	}
	out.Dir = s.text(c.cwd.v, "cwd")
	if c.stdin.set {
		out.Stdin = s.bind(c.stdin.v)
	}
	out.Env = s.environment(c.env)
	if exposed(&out) && !c.warned {
		c.warned = true
		s.r.warn(cmp.Or(c.command.at, c.args.at), "check %q has a secret in its arguments, which all users can see in the process list where it runs; hand it over in env or stdin", c.id)
	}
	return &out
}

// command resolves the macros of a command.
func (s *scope) command(c command) (argv []alf.Template, shell alf.Template) {
	return s.bindAll(c.argv), s.bind(c.shell)
}

func (s *scope) bindAll(ts []template) []alf.Template {
	if len(ts) == 0 {
		return nil
	}
	out := make([]alf.Template, len(ts))
	for i, t := range ts {
		out[i] = s.bind(t)
	}
	return out
}

func (s *scope) environment(env []envVar) []alf.EnvVar {
	if len(env) == 0 {
		return nil
	}
	out := make([]alf.EnvVar, len(env))
	for i, e := range env {
		out[i] = alf.EnvVar{Name: e.name, Value: s.bind(e.value)}
	}
	return out
}
