package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"alf"
)

// check is what [check.ID] says.
type check struct {
	id       string
	at       alf.Position
	broken   bool // with a mistake in it: only its name is of use
	service  opt[template]
	command  opt[command]
	script   opt[string]
	args     opt[[]template]
	run      opt[string]
	hosts    opt[[]selector]
	forEach  []loop
	vars     vars
	env      []envVar
	cwd      opt[template]
	stdin    opt[template]
	metric   opt[string]
	notesURL opt[template]
	renamed  opt[template] // renamed_from
	volatile opt[bool]
	flaps    opt[statuses] // flap_detection_options
	stalking opt[statuses]
	options  opt[alf.NotifyOptions] // notification_options

	thresholds []alf.Threshold
	expect     expect
	settings
	times timetable

	table   *table // that it was read from
	lacking bool   // a template of it is not there
	above   vars   // those of overrides, which come before the host's

	// What resolve makes of it.
	overridden []alf.Position
	proto      alf.Service // what all its services share
	what       string      // what failures on hosts are failures of
	program    string      // its plugin, without its folder
	warned     bool        // of a secret in the arguments

	notifiesOwn bool    // notification_period is its own rather than the hosts'
	tellsOwn    telling // its own rather than the hosts' or that of [defaults]
}

// loop is a variable of for_each and the texts that it takes in turn.
type loop struct {
	at     alf.Position
	name   string
	list   string    // the name of a variable that is a list
	values *variable // or the list itself
}

// The places where a plugin may run, as run names them. Others are hosts.
const (
	runRemote = "remote"
	runLocal  = "local"
)

func newCheck(_ *loader, name string, at alf.Position) thing { return &check{id: name, at: at} }

func (c *check) keys(l *loader) keys {
	k := c.settings.keys()
	maps.Copy(k, c.times.keys())
	maps.Copy(k, keys{
		"service":   set(&c.service, readLine),
		"command":   set(&c.command, readCommand),
		"script":    set(&c.script, l.readScript),
		"args":      set(&c.args, readArgs),
		"run":       set(&c.run, word),
		"hosts":     set(&c.hosts, readSelectors),
		"for_each":  l.readLoops(&c.forEach),
		"vars":      l.readVars(&c.vars),
		"env":       l.readEnv(&c.env),
		"cwd":       set(&c.cwd, readLine),
		"stdin":     set(&c.stdin, l.readInput),
		"metric":    set(&c.metric, word),
		"notes_url": set(&c.notesURL, readLine),
		useKey:      l.use(),

		"renamed_from": set(&c.renamed, readLine),

		"is_volatile":            set(&c.volatile, boolean),
		"flap_detection_options": set(&c.flaps, readStatuses(serviceStatuses, serviceLetters)),
		"stalking_options":       set(&c.stalking, readStatuses(serviceStatuses, serviceLetters)),
		"notification_options":   set(&c.options, readOptions(serviceStatuses, serviceLetters)),
		"thresholds":             readThresholds(&c.thresholds),
		"expect":                 c.expect.read,
	})
	return k
}

// from implements heir.
func (c *check) from(t *table) { c.table, c.lacking = t, t.lacks }

func (c *check) loaded(l *loader, ok bool) {
	c.finish(l, ok)
	l.checks = append(l.checks, c)
}

// finish is called when all keys are read; ok: without a mistake.
func (c *check) finish(l *loader, ok bool) {
	before := len(l.errors)
	if !c.lacking {
		c.complain(l, ok)
	}
	c.times.make(l, c.interval)
	c.broken = !ok || c.lacking || len(l.errors) > before
	slices.SortFunc(c.env, func(a, b envVar) int { return cmp.Compare(a.name, b.name) })
	slices.SortFunc(c.forEach, func(a, b loop) int { return cmp.Compare(a.name, b.name) })
}

// complain adds the mistakes that lie between keys. ok: there are none in them.
func (c *check) complain(l *loader, ok bool) {
	if ok && !c.hosts.set {
		l.add(c.at, "check %q: no hosts", c.id)
	}
	if c.command.set && c.script.set {
		l.add(c.script.at, "check %q has both command and script", c.id)
	}
	if c.stdin.set && c.script.set {
		l.add(c.stdin.at, "check %q has both stdin and script, which takes the standard input for itself", c.id)
	}
	for _, x := range c.forEach {
		if x.values != nil && len(x.values.texts) == 0 {
			l.warn(x.at, "for_each: the list of %q is empty, so check %q makes no services", x.name, c.id)
		}
	}
	if c.passive() {
		c.complainPassive(l)
	}
}

// passive reports whether nothing is run: results are submitted.
func (c *check) passive() bool { return !c.command.set && !c.script.set }

// complainPassive refuses what only a plugin could heed.
func (c *check) complainPassive(l *loader) {
	idle := []struct {
		key string
		set bool
		at  alf.Position
	}{
		{"args", c.args.set, c.args.at},
		{"run", c.run.set, c.run.at},
		{"cwd", c.cwd.set, c.cwd.at},
		{"stdin", c.stdin.set, c.stdin.at},
		{"check_timeout", c.timeout.set, c.timeout.at},
		{"timeout_state", c.timeoutState.set, c.timeoutState.at},
		{"compat", c.compat.set, c.compat.at},
		{"plugin_dir", c.pluginDir.set, c.pluginDir.at},
	}
	for _, k := range idle {
		if k.set {
			l.add(k.at, "%s has no meaning here: check %q has neither command nor script, so it is passive", k.key, c.id)
		}
	}
	if c.expect.set {
		l.add(c.at, "expect has no meaning here: check %q has neither command nor script, so it is passive", c.id)
	}
	for _, e := range c.env {
		l.add(e.value.at, "env has no meaning here: check %q has neither command nor script, so it is passive", c.id)
	}
}

// readScript reads the name of one of Alf's own plugins, or of a file.
func (l *loader) readScript(v value) (string, error) {
	s, err := word(v)
	if err != nil || l.Plugins(s) {
		return s, err
	}
	if !strings.Contains(s, "/") {
		return "", fmt.Errorf("%q is none of Alf's own plugins; the name of a file has a slash, as in %q%s", s, "./"+s, meant(s, l.Plugins))
	}
	file, err := l.path(v)
	if err != nil {
		return "", err
	}
	return file, checkFile(file, notWritable)
}

// readLoops reads for_each into dst.
func (l *loader) readLoops(dst *[]loop) reader {
	return func(m *mistakes, key string, v value) {
		t, ok := v.any.(*table)
		if !ok {
			m.take(key, v.at, v.want(`a table such as { mount = "mounts" }`, func() *shape { return mapping(either(list(scalars()), texts(""))) }))
			return
		}
		for _, name := range t.keys {
			x, err := l.readLoop(name, t.values[name])
			if err != nil {
				m.take(key+"."+name, t.values[name].at, err)
			}
			*dst = append(*dst, x)
		}
	}
}

func (l *loader) readLoop(name string, v value) (loop, error) {
	x := loop{at: v.at, name: name}
	if err := l.checkVar(name); err != nil {
		return x, err
	}
	var err error
	if _, ok := v.any.([]value); ok {
		x.values, err = l.variable(v)
		return x, err
	}
	if x.list, err = word(v); err != nil {
		err = v.want("a list, or the name of a variable that is one", func() *shape { return either(list(scalars()), texts("")) })
	}
	return x, err
}

// plugin returns the name of the plugin that c runs; "": nobody can tell.
func (c *check) plugin() string {
	switch {
	case c.script.set:
		return filepath.Base(c.script.v)
	case c.command.set:
		return c.command.v.plugin()
	}
	return ""
}

// label names c in metrics.
func (c *check) label() string {
	if c.metric.set {
		return c.metric.v
	}
	return metricName(cmp.Or(c.plugin(), c.id))
}
