package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"alf"
	"alf/calendar"
)

// timeperiod is what [timeperiod.NAME] says.
type timeperiod struct {
	name    string
	at      alf.Position
	alias   opt[string]
	zone    opt[*time.Location]
	exclude opt[[]string]
	ranges  map[string]string       // by directive
	places  map[string]alf.Position // of the directives
}

func newTimeperiod(_ *loader, name string, at alf.Position) thing {
	return &timeperiod{name: name, at: at, ranges: make(map[string]string), places: make(map[string]alf.Position)}
}

func (p *timeperiod) keys(*loader) keys {
	return keys{
		"alias":    set(&p.alias, word),
		"timezone": set(&p.zone, zone),
		"exclude":  set(&p.exclude, listOf(word)),
		others:     p.read,
	}
}

// read takes any other key as one of Nagios' directives.
func (p *timeperiod) read(m *mistakes, key string, v value) {
	text, err := word(v)
	if err != nil {
		m.take(key, v.at, err)
		return
	}
	p.ranges[key], p.places[key] = text, v.at
}

func (p *timeperiod) loaded(l *loader, _ bool) {
	l.periods[p.name] = p
}

// zone reads the name of a time zone.
func zone(v value) (*time.Location, error) {
	name, err := word(v)
	if err != nil {
		return nil, err
	}
	at, err := time.LoadLocation(name)
	if err != nil {
		known := func(name string) bool { _, err := time.LoadLocation(name); return err == nil }
		return nil, fmt.Errorf("there is no time zone %q%s", name, meant(titled(name), known))
	}
	return at, nil
}

// titled returns a name in small letters as time zones are written.
func titled(name string) string {
	if name != strings.ToLower(name) || !strings.Contains(name, "/") {
		return name
	}
	out := []byte(name)
	for i, c := range out {
		if first := i == 0 || strings.IndexByte("/_-", out[i-1]) >= 0; first && c >= 'a' && c <= 'z' {
			out[i] -= 'a' - 'A'
		}
	}
	return string(out)
}

// where returns the place of a directive.
func (p *timeperiod) where(directive string) alf.Position {
	if at, ok := p.places[directive]; ok {
		return at
	}
	return p.exclude.at
}

// builtinPeriods are those that need not be defined.
func builtinPeriods() map[string]calendar.Definition {
	week := make(map[string]string)
	for day := time.Sunday; day <= time.Saturday; day++ {
		week[day.String()] = "00:00-24:00"
	}
	return map[string]calendar.Definition{"24x7": {Ranges: week}, "never": {}, "none": {}}
}

// makePeriods makes the timeperiods. What could not be read of one is left out, so
// that all that is wrong with the others is found, too.
func (r *resolver) makePeriods() {
	all := builtinPeriods()
	for name, p := range r.periods {
		all[name] = calendar.Definition{Zone: p.zone.or(some(time.Local)).v, Ranges: p.ranges, Exclude: p.exclude.v}
	}
	made, err := calendar.NewPeriods(all)
	r.refusePeriods(err)
	r.calendar.Periods = make(map[string]alf.Period, len(made))
	for name, p := range made {
		r.calendar.Periods[name] = p
	}
}

// refusePeriods adds what is wrong with timeperiods where it stands.
func (r *resolver) refusePeriods(err error) {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range all.Unwrap() {
			r.refusePeriods(one)
		}
		return
	}
	var wrong *calendar.Error
	if errors.As(err, &wrong) && !(r.partial && wrong.Directive == "exclude") {
		r.add(r.periods[wrong.Period].where(wrong.Directive), "%s%s", wrong.Text, r.proposeFor(wrong))
	}
}

// proposeFor names what may be meant by a directive, or a timeperiod in exclude,
// that there is not.
func (r *resolver) proposeFor(wrong *calendar.Error) string {
	if wrong.Directive != "exclude" {
		word, _, _ := strings.Cut(strings.ToLower(wrong.Directive), " ")
		known := slices.Concat([]string{"alias", "timezone", "exclude", "day"}, dayWords())
		if strings.Trim(word, letters) != "" || slices.Contains(known, word) {
			return ""
		}
		return didYouMean(word, known)
	}
	for _, name := range r.periods[wrong.Period].exclude.v {
		if strings.Contains(wrong.Text, fmt.Sprintf("exclude %q: there is no", name)) {
			return didYouMean(name, r.periodNames())
		}
	}
	return ""
}

// dayWords are the names of weekdays and months.
func dayWords() []string {
	var all []string
	for day := time.Sunday; day <= time.Saturday; day++ {
		all = append(all, strings.ToLower(day.String()))
	}
	for month := time.January; month <= time.December; month++ {
		all = append(all, strings.ToLower(month.String()))
	}
	return all
}

func (r *resolver) periodNames() []string {
	return slices.Concat(slices.Sorted(maps.Keys(r.periods)), slices.Sorted(maps.Keys(builtinPeriods())))
}

// checkPeriod refuses the name of a timeperiod that there is not.
func (r *resolver) checkPeriod(name opt[string]) {
	if name.v == "" || r.periods[name.v] != nil || r.partial {
		return
	}
	if _, builtin := builtinPeriods()[name.v]; builtin {
		return
	}
	r.add(name.at, "there is no timeperiod %q%s", name.v, didYouMean(name.v, r.periodNames()))
}
