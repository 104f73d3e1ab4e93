package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// status notes which states differ in a new status file from the one before.
// Nagios writes it at the turn of a second, so that it says how the last one ended.
func (w *watch) status() error {
	path := filepath.Join(w.core.dir, "status.dat")
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil || info.ModTime().Equal(w.written) {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	w.written = info.ModTime()
	at := int(w.written.Sub(w.core.epoch).Round(time.Second)/time.Second) - 1
	for block := range strings.SplitSeq(string(text), "\n\n") {
		kind, rest, _ := strings.Cut(block, " {\n")
		switch kind {
		case "hoststatus", "servicestatus":
			w.state(at, fields(rest))
		case "hostdowntime", "servicedowntime":
			w.downtime(fields(rest))
		}
	}
	return nil
}

func fields(block string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(block) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		m[key] = value
	}
	return m
}

func (w *watch) downtime(f map[string]string) {
	r, _ := w.find(f["host_name"], "")
	id, err := strconv.Atoi(f["downtime_id"])
	if err == nil && !slices.Contains(r.downtimes, id) {
		r.downtimes = append(r.downtimes, id)
		slices.Sort(r.downtimes)
	}
}

var (
	hostStates    = []string{"UP", "DOWN", "UNREACHABLE"}
	serviceStates = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}
	types         = []string{"SOFT", "HARD"}
	acks          = []string{"", "normal", "sticky"}
)

func (w *watch) state(at int, f map[string]string) {
	r, key := w.find(f["host_name"], f["service_description"])
	if r == nil {
		return
	}
	names := serviceStates
	if f["service_description"] == "" {
		names = hostStates
	}
	number := func(key string) int {
		n, _ := strconv.Atoi(f[key])
		return n
	}
	percent, _ := strconv.ParseFloat(f["percent_state_change"], 64)
	acknowledged := ""
	if number("problem_has_been_acknowledged") == 1 {
		acknowledged = acks[max(1, number("acknowledgement_type")%3)]
	}
	acknowledged = strings.TrimSpace(acknowledged)
	e := entry{
		What: "state", Key: key, Pending: number("has_been_checked") == 0,
		State: names[number("current_state")], Type: types[number("state_type")], Attempt: number("current_attempt"),
		LastHard:     names[number("last_hard_state")],
		Acknowledged: acknowledged, Depth: number("scheduled_downtime_depth"),
		Flapping: number("is_flapping") == 1, Percent: percent,
		Number: number("current_notification_number"), NoMore: number("no_more_notifications") == 1,
		LastChange: w.second(f["last_state_change"]), LastHardChange: w.second(f["last_hard_state_change"]),
		LastCheck: w.second(f["last_check"]), NextCheck: w.second(f["next_check"]),
		LastNotification: w.second(f["last_notification"]), NextNotification: w.second(f["next_notification"]),
	}
	if number("should_be_scheduled") == 0 {
		e.NextCheck = 0
	}
	if r.states[key] == e {
		return
	}
	r.states[key] = e
	e.At = at
	r.note(e)
}
