package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// clock is what second 0 is to Nagios.
const clock = "12:00:30"

// vector is the file that comes of a scenario: one line for each object, and one
// for each entry of the story.
type vector struct {
	Name    string            `json:"name"`
	About   string            `json:"about"`
	Rules   []string          `json:"rules"`
	Needs   []string          `json:"needs"`
	Clock   string            `json:"clock"`
	Main    map[string]string `json:"main"`
	Objects []object          `json:"objects"`
	Story   []entry           `json:"story"`
}

// entry is one thing that happened in a second. Those of the same second stand in
// the order of kinds, because Nagios' own times have no more to say; a state is
// what it was when the second ended, and there only when something in it is new.
// A time of 0 is none.
type entry struct {
	At   int    `json:"at"`
	What string `json:"what"`
	Key  string `json:"key,omitempty"`

	Code *int   `json:"code,omitempty"` // of a result, an answer or a check
	Text string `json:"text,omitempty"` // a command, or what kind of notification, flapping or downtime

	Why       string `json:"why,omitempty"` // nobody is told
	Contact   string `json:"contact,omitempty"`
	Escalated bool   `json:"escalated,omitempty"`

	Pending          bool    `json:"pending,omitempty"`
	State            string  `json:"state,omitempty"`
	Type             string  `json:"type,omitempty"`
	Attempt          int     `json:"attempt,omitempty"`
	LastHard         string  `json:"lastHard,omitempty"`
	LastChange       int     `json:"lastChange,omitempty"`
	LastHardChange   int     `json:"lastHardChange,omitempty"`
	LastCheck        int     `json:"lastCheck,omitempty"`
	NextCheck        int     `json:"nextCheck,omitempty"`
	Acknowledged     string  `json:"acknowledged,omitempty"`
	Depth            int     `json:"depth,omitempty"`
	Flapping         bool    `json:"flapping,omitempty"`
	Percent          float64 `json:"percent,omitempty"`
	Number           int     `json:"number,omitempty"`
	LastNotification int     `json:"lastNotification,omitempty"`
	NextNotification int     `json:"nextNotification,omitempty"`
	NoMore           bool    `json:"noMore,omitempty"`
}

// kinds in the order in which entries of the same second stand.
var kinds = []string{
	"command", "result", "answer", "refused", "stale", "check", "downtime", "flapping", "alert", "handler", "withheld", "notification", "state",
}

// note adds e to the story.
func (r *run) note(e entry) {
	if e.At <= r.Until {
		r.entries = append(r.entries, e)
	}
}

// vector returns what was recorded, in an order that does not depend on how long
// Nagios took for it.
func (r *run) vector(main map[string]string) vector {
	var states, others []entry
	for _, e := range r.entries {
		if e.What == "state" {
			states = append(states, e)
		} else {
			others = append(others, e)
		}
	}
	r.entries = append(others, r.depths(states)...)
	slices.SortStableFunc(r.entries, func(a, b entry) int {
		rank := func(e entry) int { return slices.Index(kinds, e.What) }
		c := cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(rank(a), rank(b)))
		if a.What != "state" && a.What != "notification" && a.What != "check" {
			return c
		}
		return cmp.Or(c, cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Contact, b.Contact))
	})
	return vector{
		Name: r.Name, About: r.About, Rules: notNil(r.Rules), Needs: notNil(r.Needs), Clock: clock,
		Main: main, Objects: r.Objects, Story: r.entries,
	}
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// write writes v so that it reads well.
func write(path string, v vector) error {
	var b bytes.Buffer
	b.WriteString("{\n")
	for _, f := range []struct {
		name  string
		value any
	}{
		{"name", v.Name}, {"about", v.About}, {"rules", v.Rules}, {"needs", v.Needs}, {"clock", v.Clock}, {"main", v.Main},
	} {
		fmt.Fprintf(&b, "%q: %s,\n", f.name, line(f.value))
	}
	list(&b, "objects", v.Objects)
	b.WriteString(",\n")
	list(&b, "story", v.Story)
	b.WriteString("\n}\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// list writes a list with one line for each element.
func list[T any](b *bytes.Buffer, name string, all []T) {
	fmt.Fprintf(b, "%q: [", name)
	for i, one := range all {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, "\n %s", line(one))
	}
	b.WriteString("\n]")
}

func line(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // there is nothing in it that could fail
	}
	return string(bytes.TrimSpace(b.Bytes()))
}
