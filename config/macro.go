package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"alf"
)

// scope is where macros are looked up: a check on a host.
type scope struct {
	r      *resolver
	what   string // as addOn has it
	h      *host
	c      *check // nil: the host's own check
	desc   alf.ServiceName
	args   []template
	plugin string
	dirs   []string          // plugin_dir
	each   map[string]string // the variables of for_each

	at       alf.Position // of what is being expanded
	open     []opened     // the variables that are
	steps    int          // how many have been, for one text
	failures []failure
}

// opened is a variable as a host has it.
type opened struct {
	host *host
	name string
}

// failure is what went wrong on one host.
type failure struct {
	at      alf.Position
	text    string
	missing bool // of something that may be where nobody could look
}

func (s *scope) fail(at alf.Position, format string, args ...any) {
	s.failures = append(s.failures, failure{at: at, text: fmt.Sprintf(format, args...)})
}

// miss is fail for what nothing defines.
func (s *scope) miss(at alf.Position, format string, args ...any) {
	s.failures = append(s.failures, failure{at, fmt.Sprintf(format, args...), true})
}

// maxSteps bounds how many macros one text may expand to.
const maxSteps = 1000

// bind returns t with every macro resolved that is not for the checker.
func (s *scope) bind(t template) alf.Template {
	if !t.HasMacro() {
		return t.Template
	}
	s.steps, s.at = 0, t.at
	if x := s.only(t); x != nil {
		if t.last.of != x {
			*t.last = bound{x, t.Bind(s.lookup)}
		}
		return t.last.Template
	}
	out := s.spell(t.Bind(s.lookup))
	for _, name := range out.Macros() {
		if !s.runtime(name) {
			s.miss(t.at, "macro $%s$ is not defined%s", name, s.propose(name))
		}
	}
	return out
}

// propose names the macro that is nearest to one that there is not. Short names
// are near to anything.
func (s *scope) propose(name string) string {
	if len(name) < 5 || standard(name) {
		return ""
	}
	known := slices.Sorted(maps.Keys(hostMacros))
	known = append(known, serviceDesc, serviceCommand)
	all := []vars{s.h.all, s.r.defaults.vars}
	if s.c != nil {
		all = append(all, s.c.above, s.c.vars)
	}
	for _, v := range all {
		known = slices.AppendSeq(known, maps.Keys(v))
	}
	known = slices.AppendSeq(known, maps.Keys(s.each))
	slices.Sort(known)
	return didYouMean(name, known)
}

// bound is what a template is with one variable, which is the same on many hosts.
type bound struct {
	of *variable
	alf.Template
}

// only returns the variable that is all there is to resolve in t, if its value is
// the same on every host that has it; else nil.
func (s *scope) only(t template) *variable {
	if t.last == nil {
		return nil
	}
	if _, taken := s.each[t.macro]; taken {
		return nil
	}
	if x := s.variable(t.macro); x != nil && x.fixed {
		return x
	}
	return nil
}

// text returns t as the text of a setting that has no room for secrets, nor for
// macros without a value.
func (s *scope) text(t template, setting string) string {
	out := s.bind(t)
	for _, name := range out.Macros() {
		if s.runtime(name) {
			s.fail(t.at, "macro $%s$ has no value before the check runs: it cannot stand in %s", name, setting)
		}
	}
	if out.HasSecret() {
		s.fail(t.at, "a secret cannot stand in %s", setting)
		return ""
	}
	return out.Reveal()
}

// link returns t as an address that a page can lead to. It may be empty: then
// there is none.
func (s *scope) link(t template, setting string) string {
	before := len(s.failures)
	out := s.text(t, setting)
	scheme, _, _ := strings.Cut(out, "://")
	if out == "" || len(s.failures) > before || strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https") {
		return out
	}
	s.fail(t.at, "%s: %q begins neither with http:// nor with https://", setting, out)
	return ""
}

// lookup returns the value of a macro. What for_each says comes before the
// variables of overrides, of the host, its groups, the check and [defaults].
func (s *scope) lookup(name string) (alf.Value, bool) {
	if s.steps++; s.steps > maxSteps {
		if s.steps == maxSteps+1 {
			s.fail(s.place(), "macro $%s$: there are more than %d macros in macros", name, maxSteps)
		}
		return alf.Value{}, true
	}
	if text, ok := s.each[name]; ok {
		return alf.Value{Text: text}, true
	}
	if x := s.variable(name); x != nil {
		return s.expand(name, x), true
	}
	return s.standard(name)
}

// place returns where the check is.
func (s *scope) place() alf.Position {
	if s.c != nil {
		return s.c.at
	}
	return s.h.at
}

// variable returns the variable of that name, or nil.
func (s *scope) variable(name string) *variable {
	if s.c != nil {
		if x, ok := s.c.above[name]; ok {
			return x
		}
	}
	if x, ok := s.h.all[name]; ok {
		return x
	}
	if s.c != nil {
		if x, ok := s.c.vars[name]; ok {
			return x
		}
	}
	return s.r.defaults.vars[name]
}

// expand returns the value of x with the macros in it resolved.
func (s *scope) expand(name string, x *variable) alf.Value {
	if x.fixed {
		return x.value
	}
	this := opened{s.h, name}
	if i := slices.Index(s.open, this); i >= 0 {
		s.fail(x.at, "macro refers to itself: %s", circleOf(append(s.open[i:], this)))
		return x.value
	}
	s.open = append(s.open, this)
	before := s.at
	s.at = x.at
	defer func() { s.open, s.at = s.open[:len(s.open)-1], before }()
	texts := make([]string, len(x.texts))
	var secret bool
	for i, t := range x.texts {
		bound := t.Bind(s.lookup)
		s.leftOver(bound, name, x.at)
		secret = secret || bound.HasSecret()
		texts[i] = bound.Reveal()
	}
	v := x.with(texts)
	v.Secret = secret
	return v
}

// circleOf prints variables that refer to each other.
func circleOf(vars []opened) string {
	var names []string
	for _, v := range vars {
		names = append(names, "$"+v.name+"$")
	}
	return strings.Join(names, " > ")
}

// runtime reports whether a macro gets its value when the check runs, whatever it
// speaks of.
func (s *scope) runtime(name string) bool {
	base, _, _ := strings.Cut(name, ":")
	return s.r.Runtime(base)
}

// leftOver adds what is wrong with the macros that remain in a variable.
func (s *scope) leftOver(t alf.Template, variable string, at alf.Position) {
	for _, name := range t.Macros() {
		if s.runtime(name) {
			s.fail(at, "macro $%s$ has no value before the check runs: it can stand in command and env, but not in $%s$", name, variable)
		} else {
			s.miss(at, "macro $%s$, which $%s$ refers to, is not defined%s", name, variable, s.propose(name))
		}
	}
}

// hostMacros are Nagios' names for what is known of a host.
var hostMacros = map[string]func(*alf.Host) string{
	"HOSTNAME":    func(h *alf.Host) string { return string(h.Name) },
	"HOSTADDRESS": func(h *alf.Host) string { return h.Address },
	"HOSTALIAS": func(h *alf.Host) string {
		if h.Alias == "" {
			return string(h.Name)
		}
		return h.Alias
	},
	"HOSTGROUPNAME": func(h *alf.Host) string {
		if len(h.Hostgroups) == 0 {
			return ""
		}
		return h.Hostgroups[0]
	},
	"HOSTGROUPNAMES": func(h *alf.Host) string { return strings.Join(h.Hostgroups, ",") },
}

// The other standard macros that are known by now, and the beginnings of those
// that name a variable.
const (
	serviceDesc    = "SERVICEDESC"
	serviceCommand = "SERVICECHECKCOMMAND"
	pluginFolder   = "USER1" // unless a variable has this name
	hostVar        = "_HOST"
	serviceVar     = "_SERVICE"
)

// standard reports whether a macro's name is Nagios', so that no variable may
// have it.
func standard(name string) bool {
	return strings.Contains(name, ":") || hostMacros[name] != nil || name == serviceDesc || name == serviceCommand || argument(name) > 0 ||
		strings.HasPrefix(name, hostVar) || strings.HasPrefix(name, serviceVar)
}

// argument returns the number of $ARGn$, or 0.
func argument(name string) int {
	digits, ok := strings.CutPrefix(name, "ARG")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > maxArgs || strconv.Itoa(n) != digits {
		return 0
	}
	return n
}

// standard returns the value of a macro of Nagios'.
func (s *scope) standard(name string) (alf.Value, bool) {
	if base, of, ok := strings.Cut(name, ":"); ok {
		return s.demand(base, of)
	}
	if value := hostMacros[name]; value != nil {
		return alf.Value{Text: value(s.h.made)}, true
	}
	switch {
	case name == pluginFolder && len(s.dirs) > 0:
		return alf.Value{Text: s.dirs[0]}, true
	case name == serviceDesc:
		return alf.Value{Text: string(s.desc)}, s.desc != ""
	case name == serviceCommand:
		return s.checkCommand()
	case strings.HasPrefix(name, hostVar):
		return s.custom(name[len(hostVar):], s.h.all, s.r.defaults.vars)
	case strings.HasPrefix(name, serviceVar) && s.c != nil:
		return s.serviceVar(name[len(serviceVar):])
	}
	n := argument(name)
	if n == 0 || n > len(s.args) {
		return alf.Value{}, false
	}
	return s.arg(n), true
}

// arg returns the value of $ARGn$.
func (s *scope) arg(n int) alf.Value {
	t := s.args[n-1]
	return s.expand(fmt.Sprintf("ARG%d", n), &variable{at: t.at, texts: []alf.Template{t.Template}})
}

// checkCommand returns $SERVICECHECKCOMMAND$: the plugin and its args, as in a
// check_command of Nagios.
func (s *scope) checkCommand() (alf.Value, bool) {
	if s.c == nil || s.c.passive() {
		return alf.Value{}, false
	}
	v := alf.Value{Text: s.plugin}
	if v.Text == "" {
		v.Text = s.c.id
	}
	for i := range s.args {
		arg := s.arg(i + 1)
		v.Text += "!" + arg.Reveal()
		v.Secret = v.Secret || arg.Secret
	}
	return v, true
}

// custom returns the value of a variable whose name is written in any case, as
// in $_HOSTDISK$.
func (s *scope) custom(name string, from ...vars) (alf.Value, bool) {
	for _, vars := range from {
		best := ""
		for k := range vars {
			if strings.EqualFold(k, name) && (best == "" || k < best) {
				best = k
			}
		}
		if best != "" {
			return s.expand(best, vars[best]), true
		}
	}
	return alf.Value{}, false
}

func (s *scope) serviceVar(name string) (alf.Value, bool) {
	for _, l := range s.c.forEach {
		if strings.EqualFold(l.name, name) {
			text, ok := s.each[l.name]
			return alf.Value{Text: text}, ok
		}
	}
	return s.custom(name, s.c.above, s.c.vars)
}

// show returns the values of all variables for people to see. One whose macros
// need a check to have a value stays as it is written.
func (s *scope) show(all vars) map[string]alf.Value {
	if len(all) == 0 {
		return nil
	}
	out := make(map[string]alf.Value, len(all))
	for name, x := range all {
		s.steps = 0
		out[name] = s.expand(name, x)
		if len(s.failures) > 0 {
			out[name] = x.with(asWritten(x.texts))
			s.failures = nil
		}
	}
	return out
}

func asWritten(ts []alf.Template) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.String()
	}
	return out
}
