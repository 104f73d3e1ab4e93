package state_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/state"
)

// differences are the vectors in which Alf does not do what Nagios Core 4.4.6
// did, and why.
var differences = map[string]string{
	"dep-pending":              "Nagios does not heed criterion p, which it documents: a master that was never checked counts as OK and no more",
	"downtime-triggered":       "Nagios ends a flexible downtime in the second in which another one triggers it; Alf's lasts as long as was ordered",
	"downtime-triggered-fixed": "Nagios ends a fixed downtime with the one that triggered it; Alf's lasts to the end that was ordered",
	"host-codes-aggressive":    "Alf has no use_aggressive_host_checking: a plugin that says WARNING has reached the host",
	"host-passive-soft":        "Nagios keeps a host that is UP again SOFT until its next result, but no service; nobody is told of either, and Alf stores both HARD",
	"host-passive-translated":  "Alf has no translate_passive_host_checks: who submits UNREACHABLE means it",
	"host-soft-recovery":       "as host-passive-soft",
}

// TestVectors lets happen what happened to a real Nagios, and compares what
// Alf believes with what that believed when each second ended.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			r := newReplay(t, v)
			for len(v.Story) > 0 {
				n := slices.IndexFunc(v.Story, func(e entry) bool { return e.At != v.Story[0].At })
				if n < 0 {
					n = len(v.Story)
				}
				r.second(v.Story[:n])
				v.Story = v.Story[n:]
			}
			why, differs := differences[v.Name]
			switch {
			case differs && len(r.wrong) == 0:
				t.Errorf("does not differ any more: %s", why)
			case !differs:
				for _, line := range r.wrong {
					t.Error(line)
				}
			}
		})
	}
}

// replay is a vector that is being replayed.
type replay struct {
	t        *testing.T
	v        *vector
	services map[string]*alf.Service
	parents  map[string][]string
	states   map[string]alf.State
	planned  []string       // the IDs of downtimes, in order
	next     map[string]int // when Nagios would check
	now      time.Time
	wrong    []string
	teller   *teller // nil: nobody asks who is told
}

func newReplay(t *testing.T, v *vector) *replay {
	r := &replay{t: t, v: v, services: v.services(t), parents: map[string][]string{}, states: map[string]alf.State{}, next: map[string]int{}}
	for _, o := range v.Objects {
		if o.Define == "host" && o.With["parents"] != "" {
			r.parents[o.Key] = strings.Split(o.With["parents"], ",")
		}
	}
	v.depend(t, r.services)
	return r
}

// services returns what the directives of all objects say.
func (v *vector) services(t *testing.T) map[string]*alf.Service {
	out := map[string]*alf.Service{}
	for _, o := range v.Objects {
		if o.Define != "host" && o.Define != "service" {
			continue
		}
		k, err := alf.ParseKey(o.Key)
		if err != nil {
			t.Fatal(err)
		}
		attempts, err := strconv.Atoi(o.With["max_check_attempts"])
		if err != nil {
			t.Fatal(err)
		}
		s := &alf.Service{
			Key: k, MaxAttempts: attempts, Volatile: o.With["is_volatile"] == "1", Passive: true,
			SoftPassive: v.Main["passive_host_checks_are_soft"] == "1",
			Flapping:    alf.FlapDetection{Enabled: o.With["flap_detection_enabled"] == "1", Low: 20, High: 30},
		}
		threshold(t, &s.Flapping.Low, o.With["low_flap_threshold"])
		threshold(t, &s.Flapping.High, o.With["high_flap_threshold"])
		if options := o.With["flap_detection_options"]; options != "" {
			letters := "owcu"
			if k.IsHost() {
				letters = "odu"
			}
			for i, letter := range letters {
				s.Flapping.Ignore[i] = !strings.ContainsRune(options, letter)
			}
		}
		out[o.Key] = s
	}
	return out
}

func threshold(t *testing.T, to *float64, text string) {
	if text == "" {
		return
	}
	var err error
	if *to, err = strconv.ParseFloat(text, 64); err != nil {
		t.Fatal(err)
	}
}

func (r *replay) around(key string) state.Around {
	a := state.Around{Now: r.now}
	if host, _, found := strings.Cut(key, "!"); found {
		st := r.states[host]
		a.Host = &st
	}
	for _, p := range r.parents[key] {
		a.Parents = append(a.Parents, r.states[p])
	}
	return a
}

// second replays what happened in one second.
func (r *replay) second(entries []entry) {
	r.now = epoch.Add(time.Duration(entries[0].At) * time.Second)
	r.tick()
	for _, what := range []string{"command", "result"} {
		for _, e := range entries {
			switch {
			case e.What != what:
			case what == "command":
				r.command(strings.Split(e.Text, ";"))
			default:
				r.result(e.Key, e.Code, alf.Passive)
			}
		}
	}
	r.held(entries)
	r.checks(entries)
	r.tick()
	for _, e := range entries {
		if e.What == "state" {
			r.compare(e)
		}
	}
	r.told(entries)
}

// checks takes the results of active checks: of each object the first, then of
// each the second.
func (r *replay) checks(entries []entry) {
	var rounds [][]entry
	seen := map[string]int{}
	for _, e := range entries {
		if e.What != "check" {
			continue
		}
		n := seen[e.Key]
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], e)
		seen[e.Key]++
	}
	for _, e := range slices.Concat(rounds...) {
		r.result(e.Key, e.Code, alf.Active)
	}
}

func (r *replay) result(key string, code alf.Status, source alf.Source) {
	s := r.services[key]
	if r.states[key].Off.Has(alf.SwitchPassive) && source == alf.Passive {
		return
	}
	result := &alf.Result{Status: code, Source: source, End: r.now}
	next, change := state.Next(s, r.states[key], result, r.around(key))
	r.setBy(key, alf.KindResult, next, change)
	if host, _, found := strings.Cut(key, "!"); found {
		next, change := state.Calm(r.services[host], r.states[host], 0, r.around(host))
		r.setBy(host, alf.KindTick, next, change)
	}
}

// setBy notes a new state, to which that kind of event led, and begins the downtimes that wait for one of it.
func (r *replay) setBy(key string, kind alf.Kind, next alf.State, change alf.Change) {
	r.states[key] = next
	if r.teller != nil && (change != 0 || kind == alf.KindResult) {
		r.teller.event(key, kind, change)
	}
	if !change.Has(alf.ChangeDowntime) {
		return
	}
	for _, d := range next.Downtimes {
		for other, st := range r.states {
			if !d.Began.IsZero() && other != key {
				r.triggered(other, st, d.ID)
			} else if !d.Began.IsZero() {
				r.triggered(key, r.states[key], d.ID)
			}
		}
	}
}

// triggered begins the downtimes that wait for one.
func (r *replay) triggered(key string, st alf.State, id string) {
	next, change := state.Triggered(st, id, r.around(key))
	r.states[key] = next
	if r.teller != nil && change != 0 {
		r.teller.event(key, alf.KindTick, change)
	}
}

func (r *replay) tick() {
	for key, s := range r.services {
		was := r.states[key]
		next, change, _ := state.Tick(s, was, r.around(key))
		kind := alf.KindTick
		if state.Missing(was, next) != nil {
			kind = alf.KindResult
		}
		r.setBy(key, kind, next, change)
	}
}

// command carries out what is about a state; all else is left out.
func (r *replay) command(w []string) {
	arg := func(i int) string { return w[i] }
	svc, host := "", ""
	if len(w) > 1 {
		host = arg(1)
	}
	if len(w) > 2 {
		svc = host + "!" + arg(2)
	}
	c := alf.Command{Time: r.now}
	switch w[0] {
	case "PROCESS_SERVICE_CHECK_RESULT", "PROCESS_HOST_CHECK_RESULT":
		r.submit(w)
	case "ACKNOWLEDGE_SVC_PROBLEM":
		c.Verb, c.ID, c.Sticky = alf.Acknowledge, r.now.String(), arg(3) == "2"
		r.apply(svc, c)
	case "ACKNOWLEDGE_HOST_PROBLEM":
		c.Verb, c.ID, c.Sticky = alf.Acknowledge, r.now.String(), arg(2) == "2"
		r.apply(host, c)
	case "REMOVE_SVC_ACKNOWLEDGEMENT":
		c.Verb = alf.Unacknowledge
		r.apply(svc, c)
	case "REMOVE_HOST_ACKNOWLEDGEMENT":
		c.Verb = alf.Unacknowledge
		r.apply(host, c)
	case "SCHEDULE_SVC_DOWNTIME":
		r.downtime([]string{svc}, w[3:])
	case "SCHEDULE_HOST_DOWNTIME":
		r.downtime([]string{host}, w[2:])
	case "SCHEDULE_HOST_SVC_DOWNTIME":
		r.downtime(r.on(host), w[2:])
	case "SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME":
		r.downtime([]string{host}, w[2:])
		first := strconv.Itoa(len(r.planned))
		for child, parents := range r.parents {
			if slices.Contains(parents, host) {
				triggered := slices.Clone(w[2:])
				triggered[3] = "#" + first
				r.downtime([]string{child}, triggered)
			}
		}
	case "DEL_SVC_DOWNTIME", "DEL_HOST_DOWNTIME":
		n, err := strconv.Atoi(strings.TrimPrefix(arg(1), "#"))
		if err != nil {
			r.t.Fatal(err)
		}
		r.cancel(r.planned[n-1])
	case "DEL_DOWNTIME_BY_HOST_NAME":
		for _, key := range append(r.on(host), host) {
			for _, d := range r.states[key].Downtimes {
				r.cancel(d.ID)
			}
		}
	case "DISABLE_SVC_NOTIFICATIONS":
		c.Verb, c.Switch = alf.SwitchOff, alf.SwitchNotifications
		r.apply(svc, c)
	case "ENABLE_SVC_NOTIFICATIONS":
		c.Verb, c.Switch = alf.SwitchOn, alf.SwitchNotifications
		r.apply(svc, c)
	case "DISABLE_SVC_FLAP_DETECTION":
		c.Verb, c.Switch = alf.SwitchOff, alf.SwitchFlapping
		r.apply(svc, c)
	case "ENABLE_SVC_FLAP_DETECTION":
		c.Verb, c.Switch = alf.SwitchOn, alf.SwitchFlapping
		r.apply(svc, c)
	case "DISABLE_PASSIVE_SVC_CHECKS":
		c.Verb, c.Switch = alf.SwitchOff, alf.SwitchPassive
		r.apply(svc, c)
	case "ENABLE_PASSIVE_SVC_CHECKS":
		c.Verb, c.Switch = alf.SwitchOn, alf.SwitchPassive
		r.apply(svc, c)
	}
}

// submit takes a result as whoever reads a command file hands it on: a code that
// is none is UNKNOWN, and of a host refused.
func (r *replay) submit(w []string) {
	key, at := w[1], 2
	if w[0] == "PROCESS_SERVICE_CHECK_RESULT" {
		key, at = w[1]+"!"+w[2], 3
	}
	code, err := strconv.Atoi(w[at])
	switch valid := err == nil && code >= 0 && code <= 3; {
	case r.services[key].Key.IsHost() && (!valid || code == 3):
		return
	case !valid:
		code = int(alf.Unknown)
	}
	r.result(key, alf.Status(code), alf.Passive)
}

func (r *replay) on(host string) []string {
	var out []string
	for key := range r.services {
		if strings.HasPrefix(key, host+"!") {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// downtime plans one: start, end, fixed, trigger, duration and more.
func (r *replay) downtime(keys, w []string) {
	second := func(text string) time.Time {
		n, err := strconv.Atoi(strings.TrimPrefix(text, "@"))
		if err != nil {
			r.t.Fatal(err)
		}
		return epoch.Add(time.Duration(n) * time.Second)
	}
	c := alf.Command{Verb: alf.ScheduleDowntime, Time: r.now, Start: second(w[0]), End: second(w[1])}
	if w[2] == "0" {
		n, err := strconv.Atoi(w[4])
		if err != nil {
			r.t.Fatal(err)
		}
		c.Duration = time.Duration(n) * time.Second
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(w[3], "#")); err == nil && n > 0 {
		c.Trigger = r.planned[n-1]
	}
	for _, key := range keys {
		c.ID = "d" + strconv.Itoa(len(r.planned)+1)
		if r.apply(key, c) {
			r.planned = append(r.planned, c.ID)
		}
	}
}

func (r *replay) cancel(id string) {
	for key := range r.services {
		r.apply(key, alf.Command{Verb: alf.CancelDowntime, ID: id})
	}
}

// apply gives an order and reports whether it is taken.
func (r *replay) apply(key string, c alf.Command) bool {
	next, change, err := state.Apply(r.services[key], r.states[key], c, r.around(key))
	if err == nil {
		r.setBy(key, alf.KindCommand, next, change)
	}
	return err == nil
}

// compare holds a state against Nagios'.
func (r *replay) compare(want entry) {
	got, key := r.states[want.Key], r.services[want.Key].Key
	f := func(what string, a, b any) {
		if a != b {
			r.wrong = append(r.wrong, strings.TrimSpace("at "+strconv.Itoa(want.At)+", "+want.Key+": "+what+" "+text(a)+", want "+text(b)))
		}
	}
	f("pending", got.Pending(), want.Pending)
	if !got.Pending() {
		f("status", key.StatusName(got.Status), want.State)
		f("type", got.Type.String(), want.Type)
		f("attempt", got.Attempt, want.Attempt)
		f("last hard", key.StatusName(got.LastHard), want.LastHard)
		if !key.IsHost() { // TestCalm says how a host's is calmed
			f("percent", math.Round(float64(got.Flap.Percent)*100)/100, want.Percent)
		}
	}
	acked := ""
	if got.Ack != nil {
		acked = map[bool]string{true: "sticky", false: "normal"}[got.Ack.Sticky]
	}
	f("acknowledged", acked, want.Acknowledged)
	f("depth", got.DowntimeDepth(), want.Depth)
	f("flapping", got.Flap.On, want.Flapping)
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	}
	return strconv.FormatFloat(v.(float64), 'f', 2, 64)
}
