package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watch reads what Nagios and its commands write, as it grows.
type watch struct {
	core    *core
	byName  map[string]*run
	done    map[string]int64 // bytes of each file
	written time.Time        // when the last status file was
	try     try              // the notification that the debug file speaks of
}

func newWatch(c *core) *watch {
	w := &watch{core: c, byName: map[string]*run{}, done: map[string]int64{}}
	for _, r := range c.runs {
		w.byName[r.Name] = r
		r.states = map[string]entry{}
	}
	return w
}

func (w *watch) read() error {
	for _, f := range []struct {
		name string
		line func(string)
	}{
		{"nagios.log", w.log},
		{"checks", w.check},
		{"notifications", w.notification},
		{"debug", w.debug},
	} {
		if err := w.lines(f.name, f.line); err != nil {
			return err
		}
	}
	return w.status()
}

// lines hands the new whole lines of a file on.
func (w *watch) lines(name string, line func(string)) error {
	f, err := os.Open(filepath.Join(w.core.dir, name))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == w.done[name] {
		return err
	}
	text := make([]byte, info.Size()-w.done[name])
	if _, err := f.ReadAt(text, w.done[name]); err != nil {
		return err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	w.done[name] += int64(len(text))
	for l := range strings.Lines(string(text)) {
		line(strings.TrimSuffix(l, "\n"))
	}
	return nil
}

// find returns the run that a host of Nagios belongs to, and the key in it.
func (w *watch) find(host, service string) (*run, string) {
	name, host, _ := strings.Cut(host, ".")
	if service != "" {
		host += "!" + service
	}
	return w.byName[name], host
}

// second is what the scenarios call the Unix time in text.
func (w *watch) second(text string) int {
	t, err := strconv.ParseFloat(text, 64)
	if err != nil || t == 0 {
		return 0
	}
	return int(time.Unix(int64(t), 0).Sub(w.core.epoch) / time.Second)
}

// objects are the lines of nagios.log that speak of one, and what they are here.
var objects = map[string]string{
	"SERVICE ALERT":          "alert",
	"HOST ALERT":             "alert",
	"SERVICE EVENT HANDLER":  "handler",
	"HOST EVENT HANDLER":     "handler",
	"SERVICE FLAPPING ALERT": "flapping",
	"HOST FLAPPING ALERT":    "flapping",
	"SERVICE DOWNTIME ALERT": "downtime",
	"HOST DOWNTIME ALERT":    "downtime",
}

func (w *watch) log(line string) {
	when, text, ok := strings.Cut(strings.TrimPrefix(line, "["), "] ")
	if !ok {
		return
	}
	at := w.turn(w.second(when))
	kind, rest, _ := strings.Cut(text, ": ")
	fields := strings.Split(rest, ";")
	switch {
	case kind == "EXTERNAL COMMAND":
		if r := w.core.sent[strings.TrimSuffix(rest, ";")]; r != nil {
			r.accepted = append(r.accepted, at)
		}
	case kind == "Error" && strings.HasPrefix(rest, "External command failed"):
		w.refused(at, rest)
	case kind == "Warning" && strings.Contains(rest, " are stale by "):
		w.stale(at, rest)
	case objects[kind] != "":
		w.object(at, kind, fields)
	}
}

func (w *watch) object(at int, kind string, fields []string) {
	service := ""
	host, fields := fields[0], fields[1:]
	if strings.HasPrefix(kind, "SERVICE") {
		service, fields = fields[0], fields[1:]
	}
	r, key := w.find(host, service)
	e := entry{At: at, What: objects[kind], Key: key}
	switch e.What {
	case "flapping", "downtime":
		e.Text = fields[0]
	default:
		e.State, e.Type = fields[0], fields[1]
		e.Attempt, _ = strconv.Atoi(fields[2])
	}
	r.note(e)
}

// refused notes that Nagios has not obeyed a command.
func (w *watch) refused(at int, text string) {
	_, text, _ = strings.Cut(text, "-> ")
	for _, f := range strings.Split(text, ";") {
		name, _, _ := strings.Cut(f, ".")
		if r := w.byName[name]; r != nil {
			r.note(entry{At: at, What: "refused", Text: strings.ReplaceAll(text, name+".", "")})
			return
		}
	}
}

// stale notes that Nagios found a result too old: its line quotes the names.
func (w *watch) stale(at int, text string) {
	quoted := strings.Split(text, "'")
	r, key := w.find(quoted[1], "")
	if strings.Contains(text, "results of service") {
		r, key = w.find(quoted[3], quoted[1])
	}
	r.note(entry{At: at, What: "stale", Key: key})
}

// check notes that a plugin was started.
func (w *watch) check(line string) {
	fields := strings.Fields(line)
	host, service, _ := strings.Cut(fields[0], "!")
	r, key := w.find(host, service)
	code, _ := strconv.Atoi(fields[1])
	r.note(entry{At: w.second(fields[2]), What: "check", Key: key, Code: &code})
}

func (w *watch) notification(line string) {
	f := strings.Split(line, "^")
	r, key := w.find(f[1], f[2])
	attempt, _ := strconv.Atoi(f[7])
	number, _ := strconv.Atoi(f[8])
	_, contact, _ := strings.Cut(f[3], ".")
	r.note(entry{
		At: w.turn(w.second(f[0])), What: "notification", Key: key, Contact: contact, Text: f[4],
		State: f[5], Type: f[6], Attempt: attempt, Number: number, Escalated: f[9] == "1",
	})
}

// try is an attempt to notify.
type try struct {
	run *run
	entry
}

// debug notes why Nagios tells nobody: what it says of an attempt first, if the
// attempt fails.
func (w *watch) debug(line string) {
	when, text, _ := strings.Cut(strings.TrimPrefix(line, "["), "] ")
	_, text, _ = strings.Cut(text, "] ")
	_, text, _ = strings.Cut(text, "] ")
	switch {
	case strings.HasPrefix(text, "** "):
		w.try = try{}
		quoted := strings.Split(text, "'")
		if len(quoted) < 3 || !strings.Contains(text, "Notification Attempt") {
			return
		}
		service := ""
		if len(quoted) > 3 {
			service = quoted[3]
		}
		r, key := w.find(quoted[1], service)
		_, kind, _ := strings.Cut(text, "Type: ")
		kind, _, _ = strings.Cut(kind, ",")
		w.try = try{r, entry{At: w.turn(w.second(when)), What: "withheld", Key: key, Text: kind}}
	case w.try.run == nil:
	case strings.HasPrefix(text, "Notification viability test failed"):
		w.try.run.note(w.try.entry)
		w.try = try{}
	case w.try.Why == "":
		w.try.Why = text
	}
}
