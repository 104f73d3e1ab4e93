package config

import (
	"time"

	"alf"
	"alf/calendar"
)

// timetable is a schedule of a check or of hosts' own checks, instead of a
// check_interval.
type timetable struct {
	schedule opt[[]reference] // cron expressions
	zone     opt[*time.Location]
	made     *alf.Timetable // nil: there is none
}

func (t *timetable) keys() keys {
	return keys{
		"schedule": set(&t.schedule, readSchedule),
		"timezone": set(&t.zone, zone),
	}
}

func readSchedule(v value) ([]reference, error) {
	all, err := oneOrMore(readReference)(v)
	if err == nil && len(all) == 0 {
		err = errEmpty
	}
	return all, err
}

// make makes the timetable of a table that has this check_interval, and adds the
// mistakes that lie between its keys.
func (t *timetable) make(l *loader, interval opt[time.Duration]) {
	switch {
	case !t.schedule.set && t.zone.set:
		l.add(t.zone.at, "timezone has no meaning here: there is no schedule")
	case t.schedule.set && interval.set:
		l.add(t.schedule.at, "both schedule and check_interval (line %d): a check is due by one of them", interval.at.Line)
	}
	all := l.crons(t.schedule.v, t.zone)
	if len(all) == 0 {
		return
	}
	t.made = &alf.Timetable{Schedule: all}
	for _, c := range all {
		t.made.Crons = append(t.made.Crons, c.String())
	}
	if t.zone.set && t.zone.v != nil {
		t.made.Zone = t.zone.v.String()
	}
}

// crons returns a schedule. Its expressions follow the clock of a zone; not set:
// Alf's own.
func (l *loader) crons(texts []reference, zone opt[*time.Location]) calendar.Schedule {
	var all calendar.Schedule
	for _, text := range texts {
		c, err := calendar.Parse(text.name, zone.or(some(time.Local)).v, time.LoadLocation)
		if err != nil {
			l.add(text.at, "schedule: %v", err)
			continue
		}
		all = append(all, c)
	}
	return all
}

// over returns t, or base if the table of t says nothing of when.
func (t timetable) over(base timetable, interval opt[time.Duration]) timetable {
	if t.schedule.set || interval.set {
		return t
	}
	return base
}

// table gives s its schedule, if it has one.
func (r *resolver) table(s *alf.Service, t timetable) {
	if t.made == nil {
		return
	}
	s.Schedule = t.made.String()
	if r.calendar.Timetables == nil {
		r.calendar.Timetables = make(map[string]*alf.Timetable)
	}
	if r.calendar.Timetables[s.Schedule] == nil {
		r.calendar.Timetables[s.Schedule] = t.made
	}
}

// joinTimes refuses timeperiods that are not there, and warns of schedules that
// never fall into theirs.
func (r *resolver) joinTimes() {
	all := []*schedule{&r.defaults.schedule}
	for _, h := range r.hosts {
		all = append(all, &h.own.schedule)
	}
	for _, g := range r.groups {
		all = append(all, &g.own.schedule)
	}
	for _, c := range r.checks {
		all = append(all, &c.schedule)
	}
	for _, s := range all {
		r.checkPeriod(s.period)
		r.checkPeriod(s.notifications)
	}
	seen := make(map[[2]string]bool)
	for _, s := range r.services {
		pair := [2]string{s.Schedule, s.CheckPeriod}
		if s.Schedule == "" || s.CheckPeriod == "" || seen[pair] {
			continue
		}
		seen[pair] = true
		period := r.calendar.Periods[s.CheckPeriod]
		if period != nil && alf.NextWithin(r.calendar.Timetables[s.Schedule], period, time.Now()).IsZero() {
			r.warn(s.Where, "schedule %q never falls into check_period %q", s.Schedule, s.CheckPeriod)
		}
	}
}
