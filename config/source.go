package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"alf"
)

// Source is what [source.NAME] says: something besides the files that says which
// hosts there are. Whoever loads the configuration asks it and hands its answer
// over in Options.
type Source struct {
	Name  string
	File  string   // JSON; "": a command
	Argv  []string // never read by a shell
	Shell string   // instead of Argv: a line for /bin/sh -c
	Env   []EnvVar

	Interval  time.Duration // 0: only at the start and when somebody says so
	Timeout   time.Duration // of the command
	MaxOutput int           // bytes of an answer
	Where     alf.Position

	Answer  Answer    // what the hosts are from
	Hosts   int       // that are in the configuration because of it
	Refused []Refused // hosts of the answer with mistakes
	// Taken is what counts of the answer, as JSON: with the last records of hosts
	// that were refused. Nil: there is no answer.
	Taken []byte
}

// EnvVar is a variable of the environment of a source's command.
type EnvVar struct {
	Name  string
	Value alf.Secret
	Plain bool // it is no secret, and may be shown
}

// Answer is what a source has said.
type Answer struct {
	Body []byte    // JSON; nil: there is no answer
	Time time.Time // when it was given
	// Last is the answer that was taken before this one. What it says of a host
	// counts where Body has mistakes. Nil: there is none.
	Last []byte
	Err  string // why there is no newer answer; "": it is not known that there should be
}

// Refused is a host of an answer that has mistakes.
type Refused struct {
	Host string // "": it has no name
	Line int    // in the answer
	Kept bool   // what the last good answer said of it counts
	Why  string
}

// String returns for example `host "web1" (line 12) is left out: alias: is empty`.
func (r Refused) String() string {
	what, how := fmt.Sprintf("host %q (line %d)", r.Host, r.Line), "is left out"
	if r.Host == "" {
		what = fmt.Sprintf("the host in line %d", r.Line)
	}
	if r.Kept {
		how = "stays as it was"
	}
	return fmt.Sprintf("%s %s: %s", what, how, r.Why)
}

// ReadSources returns the [source.NAME] of file and conf.d, as far as they are without
// mistakes, and what [daemon] says, so that they can be asked before all is loaded.
// Mistakes are for Load to name.
func ReadSources(file string, o Options) ([]Source, Daemon) {
	o.Answers = nil
	l := newLoader(o)
	l.read(file)
	for _, s := range sections() {
		if v, ok := l.root.values[s.name]; ok && slices.Contains([]string{"secret", "daemon", "source"}, s.name) {
			l.decodeSection(s, v)
		}
	}
	var out []Source
	for _, s := range l.sources {
		out = append(out, s.made)
	}
	return out, l.daemon
}

// source is a [source.NAME].
type source struct {
	at         alf.Position
	made       Source
	command    opt[sourceCommand]
	file       opt[string]
	env        opt[[]EnvVar]
	timeout    opt[time.Duration]
	hostgroups []reference
	vars       vars

	taken []taken
}

// sourceCommand is a list of arguments or a line for the shell, as they are.
type sourceCommand struct {
	argv  []string
	shell string
}

// What a source does that says nothing else.
const (
	sourceInterval  = 10 * time.Minute
	sourceTimeout   = 30 * time.Second
	sourceMaxOutput = 16 << 20
	minInterval     = time.Second
	maxSourceTime   = time.Hour
)

func newSource(_ *loader, name string, at alf.Position) thing {
	return &source{at: at, made: Source{
		Name: name, Where: at, Interval: sourceInterval, Timeout: sourceTimeout, MaxOutput: sourceMaxOutput,
	}}
}

func (s *source) keys(l *loader) keys {
	return keys{
		"command":    set(&s.command, readSourceCommand),
		"file":       set(&s.file, l.path),
		"env":        set(&s.env, l.sourceEnv),
		"interval":   to(&s.made.Interval, interval),
		"timeout":    set(&s.timeout, duration(minInterval, maxSourceTime)),
		"max_output": to(&s.made.MaxOutput, size(1<<10, 256<<20)),
		"hostgroups": to(&s.hostgroups, listOf(readReference)),
		"vars":       l.readVars(&s.vars),
	}
}

// loaded adds the hosts of the source's answer to the others.
func (s *source) loaded(l *loader, ok bool) {
	switch name := s.made.Name; {
	case strings.Trim(name, nameLetters+".-") != "" || strings.HasPrefix(name, ".") || len(name) > 100:
		l.add(s.at, `source name %q has more than 100 bytes, or others than letters, digits, "_", "-" and, not first, "."`, name)
		return
	case !ok:
		return
	case s.command.set == s.file.set:
		l.add(s.at, "source %q: want one of command, file", name)
		return
	case s.file.set && s.env.set:
		l.add(s.env.at, "env: is for a command, and nothing is run for a file")
		return
	case s.file.set && s.timeout.set:
		l.add(s.timeout.at, "timeout: is for a command, and nothing is run for a file")
		return
	}
	m := &s.made
	m.Argv, m.Shell, m.File, m.Env = s.command.v.argv, s.command.v.shell, s.file.v, s.env.v
	m.Timeout = s.timeout.or(some(m.Timeout)).v
	l.sources = append(l.sources, s)
	if l.Answers == nil {
		l.unanswered = true
		return
	}
	l.takeAnswer(s)
}

// readSourceCommand reads arguments or a line for the shell. A dollar is a dollar:
// there are no macros.
func readSourceCommand(v value) (sourceCommand, error) {
	if _, ok := v.any.([]value); ok {
		argv, err := listOf(scalar)(v)
		if err == nil && (len(argv) == 0 || argv[0] == "") {
			err = errEmpty
		}
		return sourceCommand{argv: argv}, err
	}
	s, err := text(v)
	switch {
	case err != nil:
		return sourceCommand{}, v.want("a list of arguments or a line for the shell", func() *shape { return either(texts(""), list(scalars())) })
	case strings.TrimSpace(s) == "":
		return sourceCommand{}, errEmpty
	}
	return sourceCommand{shell: s}, nil
}

// sourceEnv reads a table of environment variables: texts, or secrets.
func (l *loader) sourceEnv(v value) ([]EnvVar, error) {
	t, ok := v.any.(*table)
	if !ok {
		return nil, v.want("a table", func() *shape { return mapping(either(scalars(), secretTable())) })
	}
	var out []EnvVar
	var errs []error
	for _, name := range t.keys {
		v := t.values[name]
		x, err := l.sourceEnvValue(name, v)
		if err == nil && (name == "" || strings.Trim(name, nameLetters) != "" || strings.Contains(digits, name[:1])) {
			err = errors.New(`a name has letters, digits and "_" and does not begin with a digit`)
		}
		if err != nil {
			errs = append(errs, place(v.at, fmt.Errorf("%s: %w", name, err)))
		}
		out = append(out, x)
	}
	return out, errors.Join(errs...)
}

func (l *loader) sourceEnvValue(name string, v value) (EnvVar, error) {
	if _, ok := v.any.(*table); ok {
		secret, err := l.secret(v)
		return EnvVar{Name: name, Value: secret}, err
	}
	s, err := scalar(v)
	return EnvVar{name, alf.Secret(s), true}, err
}

// ReadAnswer reads the file of a source.
func ReadAnswer(s Source) ([]byte, error) {
	return readOwn(s.File, int64(s.MaxOutput), notWritable)
}

// checkSources refuses groups that are not there, whether or not there are hosts.
func (r *resolver) checkSources() {
	for _, s := range r.sources {
		for _, g := range s.hostgroups {
			if _, ok := r.byGroup[g.name]; !ok {
				r.unknownGroup(g.at, g.name)
			}
		}
	}
}

func (p *printer) sources(all []Source) {
	for _, s := range all {
		p.table("source", s.Name)
		p.optional("file", s.File)
		p.optional("command", s.Shell)
		if len(s.Argv) > 0 {
			p.list("command", s.Argv)
		}
		p.set("interval", s.Interval)
		if s.File == "" {
			p.set("timeout", s.Timeout)
		}
		p.set("max_output", s.MaxOutput)
		if len(s.Env) > 0 {
			p.table("source", s.Name, "env")
		}
		for _, e := range s.Env {
			p.set(e.Name, e.shown())
		}
	}
}

func (e EnvVar) shown() string {
	if e.Plain {
		return string(e.Value)
	}
	return alf.Redacted
}
