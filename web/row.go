package web

import (
	"context"
	"fmt"
	"strings"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/internal/sanitize"
)

// row is a host or a service as a line of a table. Its texts are clean.
type row struct {
	IsHost   bool
	Host     string
	Service  string
	HostLink string
	Link     string
	State    badge
	Retried  string // "SOFT 2/3" as long as a problem is being retried
	Since    moment // when the state last changed
	Output   string
	Stale    *stale
	Marks    []mark
	Handled  bool // a problem that somebody takes care of
	Runs     runs
}

// badge is a state as a word and as a class of the style sheet.
type badge struct {
	Word, Class string
}

// stale says why and since when nothing new is known.
type stale struct {
	Cause, Output string
	Since         moment
}

// moment is a time for people and for programs. The zero moment is never.
type moment struct {
	Ago, Full, Machine string
}

// runs is the last results, the oldest first.
type runs struct {
	Summary string // in words
	Runs    []run
}

type run struct {
	Class, Title string
}

// shownRuns is how many results the small row of blocks shows.
const shownRuns = 20

func (s *site) row(r api.Row, now time.Time) row {
	key, st := r.Key(), r.State()
	out := row{
		IsHost:   key.IsHost(),
		Host:     sanitize.HTML(string(key.Host)),
		Service:  sanitize.HTML(string(key.Service)),
		HostLink: "/" + wire.Path(alf.Key{Host: key.Host}),
		Link:     "/" + wire.Path(key),
		State:    newBadge(r.StateName()),
		Since:    newMoment(st.LastChange, now),
		Output:   sanitize.HTML(wire.Brief(r.Output())),
		Stale:    newStale(st.Stale, now),
		Marks:    newMarks(r),
		Handled:  r.Handled() && (r.Problem() || r.Retried()),
	}
	if r.Retried() {
		out.Retried = attempt(st)
	}
	return out
}

func (s *site) rows(ctx context.Context, rows []api.Row, now time.Time) ([]row, error) {
	out := make([]row, len(rows))
	for i, r := range rows {
		events, err := s.o.Reader.Last(ctx, r.Key(), shownRuns)
		if err != nil {
			return nil, err
		}
		out[i] = s.row(r, now)
		out[i].Runs = newRuns(events)
	}
	return out, nil
}

func attempt(st alf.State) string {
	return fmt.Sprintf("%s %d/%d", st.Type, st.Attempt, st.MaxAttempts)
}

func newBadge(word string) badge { return badge{word, "s-" + strings.ToLower(word)} }

func newStale(s alf.Stale, now time.Time) *stale {
	if s.IsZero() {
		return nil
	}
	return &stale{s.Cause.String(), sanitize.HTML(s.Output), newMoment(s.Since, now)}
}

func newMoment(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{Ago: ago(now.Sub(t)), Full: full(t), Machine: t.UTC().Format(time.RFC3339)}
}

func full(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// ago writes d in the two largest units that it has.
func ago(d time.Duration) string {
	ahead := ""
	if d < 0 {
		d, ahead = -d, "in "
	}
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%s%dd %dh", ahead, d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%s%dh %dm", ahead, d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%s%dm %ds", ahead, d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%s%ds", ahead, d/time.Second)
}

// newRuns shows events, which come newest first.
func newRuns(events []*alf.Event) runs {
	out := runs{Runs: make([]run, 0, len(events))}
	var words []string
	for i := len(events) - 1; i >= 0; i-- {
		word, class := outcome(events[i])
		words = append(words, word)
		out.Runs = append(out.Runs, run{class, word + " " + events[i].Time.UTC().Format("15:04:05 MST")})
	}
	out.Summary = inWords(words)
	return out
}

// outcome returns what a result was, as a word and a class.
func outcome(e *alf.Event) (word, class string) {
	if !e.State.Stale.IsZero() {
		return "no answer", "s-stale"
	}
	st := newBadge(wire.StateName(e.Key, e.State))
	return st.Word, st.Class
}

// inWords joins words, oldest first, with those that repeat counted: "3 OK,
// 1 CRITICAL".
func inWords(words []string) string {
	var out []string
	for i := 0; i < len(words); {
		n := 1
		for i+n < len(words) && words[i+n] == words[i] {
			n++
		}
		out = append(out, fmt.Sprintf("%d %s", n, words[i]))
		i += n
	}
	return strings.Join(out, ", ")
}
