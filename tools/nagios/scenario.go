package main

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed scenarios/*.txt
var files embed.FS

// A scenario is a few objects and what happens to them, written like this:
//
//	scenario soft-recovery
//	about A problem that goes before its last attempt is told to nobody.
//	rules R6
//	needs schedule
//	main cached_host_check_horizon=15
//	host web parents=gw
//	service web!disk max_check_attempts=3
//	3 web!disk CRITICAL
//	5/2 web!disk CRITICAL OK
//	9 answer web UP
//	10 SCHEDULE_SVC_DOWNTIME;web;disk;@12;@20;1;0;0;ops;work
//	until 24
//
// A number is the second at which a step is done, and with a slash those of the
// results that follow it, so many seconds apart. A step is a passive result, or
// what the plugin of an active check answers from then on, or an external
// command; in a command @N is second N and #N the scenario's Nth downtime. Every
// other directive is Nagios' own and adds to the defaults in config.go; a host
// that a service names need not be declared. Lines that begin with "# " are
// comments.
type scenario struct {
	Name    string
	About   string
	Rules   []string          // of RULES that it shows
	Needs   []string          // what a replay must know besides results
	Main    map[string]string // settings of nagios.cfg that differ from the defaults
	Objects []object
	Steps   []step
	Until   int
}

type object struct {
	Define string            `json:"define"`
	Key    string            `json:"key,omitempty"`
	With   map[string]string `json:"with"`
}

type step struct {
	at   int
	what string // result, answer or command
	key  string
	code int
	text string
}

var codes = map[string]int{
	"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3,
	"UP": 0, "DOWN": 1, "UNREACHABLE": 2,
}

var name = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// scenarios reads all of them.
func scenarios() ([]*scenario, error) {
	paths, err := fs.Glob(files, "scenarios/*.txt")
	if err != nil {
		return nil, err
	}
	var all []*scenario
	var errs []error
	for _, path := range paths {
		text, err := files.ReadFile(path)
		if err != nil {
			return nil, err
		}
		some, err := parse(path, string(text))
		all, errs = append(all, some...), append(errs, err)
	}
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("there are two scenarios %s", s.Name))
		}
		seen[s.Name] = true
		s.finish()
	}
	return all, errors.Join(errs...)
}

func parse(path, text string) ([]*scenario, error) {
	var all []*scenario
	var errs []error
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		var err error
		switch {
		case line == "" || word == "#":
		case word == "scenario" && name.MatchString(rest):
			all = append(all, &scenario{Name: rest, Main: map[string]string{}})
		case len(all) == 0 || rest == "":
			err = errors.New("what is this?")
		default:
			err = all[len(all)-1].line(word, rest)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %q: %w", path, n, line, err))
		}
	}
	return all, errors.Join(errs...)
}

// line adds what one line says.
func (s *scenario) line(word, rest string) (err error) {
	switch word {
	case "about":
		s.About = strings.TrimSpace(s.About + " " + rest)
	case "rules":
		s.Rules = strings.Fields(rest)
	case "needs":
		s.Needs = strings.Fields(rest)
	case "main":
		return pairs(s.Main, strings.Fields(rest))
	case "until":
		s.Until, err = strconv.Atoi(rest)
	default:
		if word[0] >= '0' && word[0] <= '9' {
			return s.step(word, rest)
		}
		return s.define(word, strings.Fields(rest))
	}
	return err
}

// define adds an object; one that is not a dependency or an escalation begins
// with its name.
func (s *scenario) define(kind string, words []string) error {
	o := object{Define: kind, With: map[string]string{}}
	if !strings.Contains(words[0], "=") {
		o.Key, words = words[0], words[1:]
	}
	s.Objects = append(s.Objects, o)
	return pairs(o.With, words)
}

func pairs(into map[string]string, words []string) error {
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("%q is no directive", word)
		}
		into[key] = value
	}
	return nil
}

func (s *scenario) step(when, rest string) error {
	first, every, many := strings.Cut(when, "/")
	at, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	if strings.Contains(rest, ";") || strings.ToUpper(rest) == rest {
		s.Steps = append(s.Steps, step{at: at, what: "command", text: rest})
		return nil
	}
	what := "result"
	words := strings.Fields(rest)
	if words[0] == "answer" {
		what, words = "answer", words[1:]
	}
	apart := 0
	if many {
		if apart, err = strconv.Atoi(every); err != nil {
			return err
		}
	}
	for i, word := range words[1:] {
		code, ok := codes[word]
		if what == "answer" && word == "DOWN" {
			code = 2 // 1 would be UP
		}
		if !ok {
			return fmt.Errorf("%q is no state", word)
		}
		s.Steps = append(s.Steps, step{at: at + i*apart, what: what, key: words[0], code: code})
	}
	return nil
}

// finish adds the defaults and the hosts that nobody declared, and sorts.
func (s *scenario) finish() {
	slices.SortStableFunc(s.Steps, func(a, b step) int { return a.at - b.at })
	if s.Until == 0 && len(s.Steps) > 0 {
		s.Until = s.Steps[len(s.Steps)-1].at + 3
	}
	hosts := s.hosts()
	for _, o := range slices.Clone(s.Objects) {
		host, _, _ := strings.Cut(o.Key, "!")
		if o.Define == "service" && !slices.Contains(hosts, host) {
			s.Objects = append(s.Objects, object{Define: "host", Key: host, With: map[string]string{}})
			hosts = append(hosts, host)
		}
	}
	if !slices.ContainsFunc(s.Objects, func(o object) bool { return o.Define == "contact" }) {
		s.Objects = append(s.Objects, object{Define: "contact", Key: "ops", With: map[string]string{}})
	}
	for i := range s.Objects {
		s.Objects[i].complete()
	}
	rank := []string{"contact", "host", "service"}
	slices.SortStableFunc(s.Objects, func(a, b object) int {
		return slices.Index(rank, a.Define)&7 - slices.Index(rank, b.Define)&7 // any other last
	})
}

// hosts returns the names of the hosts.
func (s *scenario) hosts() []string { return s.named("host") }

func (s *scenario) named(kind string) []string {
	var names []string
	for _, o := range s.Objects {
		if o.Define == kind {
			names = append(names, o.Key)
		}
	}
	return names
}

// main returns the settings that Nagios judges by.
func (s *scenario) main() map[string]string {
	main := maps.Clone(judging)
	maps.Copy(main, s.Main)
	return main
}
