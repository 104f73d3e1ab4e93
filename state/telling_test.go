package state_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/state"
)

// toldDifferences are the vectors in which Alf does not tell what Nagios Core
// 4.4.6 told, and why.
var toldDifferences = map[string]string{
	"ack-silent":                  "Alf has no acknowledgement of which nobody is told",
	"custom":                      "Alf has no custom notifications, which Nagios counts",
	"custom-host":                 "as custom",
	"delayed":                     "Alf has no DELAY_SVC_NOTIFICATION",
	"delayed-other-problem":       "as delayed",
	"dep-notify-recovery":         "Alf tells of the end of a problem that was told when nothing holds it back any more; Nagios forgets it",
	"dep-pending":                 "as in differences",
	"downtime-flexible-unused":    "Nagios tells of the end of a flexible downtime that never began",
	"downtime-host-flexible":      "Nagios tells of a host's problem that begins its flexible downtime, but of no service's",
	"downtime-recovery-inside":    "Alf tells of the end of a problem that was told when nothing holds it back any more; Nagios forgets it",
	"downtime-triggered":          "as in differences",
	"downtime-triggered-fixed":    "as in differences",
	"escalation-number-set":       "Alf has no SET_SVC_NOTIFICATION_NUMBER",
	"flap-own-thresholds":         "Alf tells of the end of a problem when the flapping ends, as Nagios does since 4.5.6",
	"flap-own-thresholds-between": "as flap-own-thresholds",
	"flap-stops-after-told":       "as flap-own-thresholds",
	"host-codes-aggressive":       "as in differences",
	"host-down-service-active":    "which of two results of the same second came first, the recording does not tell",
	"host-down-service-first":     "Nagios takes the end of a problem that began while the host was DOWN for a soft recovery, though it was told",
	"host-down-service-recovers":  "Alf tells of the end of a problem that was told when nothing holds it back any more; Nagios forgets it",
	"host-passive-translated":     "as in differences",
	"switched-off-contact":        "Alf has no DISABLE_CONTACT_SVC_NOTIFICATIONS",
	"switched-off-recovery":       "Alf tells of the end of a problem that was told when nothing holds it back any more; Nagios forgets it",
}

// TestVectorsTell lets happen what happened to a real Nagios, asks of each event
// who is told, and compares that with whom Nagios told of it, and with what it
// remembered. Nagios asks again when a result comes, and so does this; that Alf
// asks when time has passed, too, is for other tests.
func TestVectorsTell(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			r := newReplay(t, v)
			r.teller = newTeller(t, v, r)
			for story := v.Story; len(story) > 0; {
				n := slices.IndexFunc(story, func(e entry) bool { return e.At != story[0].At })
				if n < 0 {
					n = len(story)
				}
				r.second(story[:n])
				r.teller.compare(story[:n])
				story = story[n:]
			}
			why, differs := toldDifferences[v.Name]
			switch {
			case differs && len(r.teller.wrong) == 0:
				t.Errorf("does not differ any more: %s", why)
			case !differs:
				for _, line := range r.teller.wrong {
					t.Error(line)
				}
			}
		})
	}
}

// teller decides who is told in a replay.
type teller struct {
	r        *replay
	contacts map[string]*alf.Contact
	memories map[string]state.Memory
	told     []string // in this second
	wrong    []string
}

func newTeller(t *testing.T, v *vector, r *replay) *teller {
	x := &teller{r: r, contacts: map[string]*alf.Contact{}, memories: map[string]state.Memory{}}
	escalations := map[string][]*alf.Escalation{}
	for _, o := range v.Objects {
		switch o.Define {
		case "contact":
			x.contacts[o.Key] = &alf.Contact{
				Name: o.Key, Actions: []string{o.Key},
				HostPeriod: o.With["host_notification_period"], ServicePeriod: o.With["service_notification_period"],
				HostOptions: options("odu", o.With["host_notification_options"]), ServiceOptions: options("owcu", o.With["service_notification_options"]),
			}
		case "hostescalation", "serviceescalation":
			key := o.With["host_name"]
			letters := "odu"
			if service := o.With["service_description"]; service != "" {
				key, letters = key+"!"+service, "owcu"
			}
			e := &alf.Escalation{Interval: -1, Period: o.With["escalation_period"], Options: alf.AllOptions(), Contacts: strings.Split(o.With["contacts"], ",")}
			e.First, e.Last = atoi(t, o.With["first_notification"]), atoi(t, o.With["last_notification"])
			if text := o.With["notification_interval"]; text != "" {
				e.Interval = seconds(t, text)
			}
			if text := o.With["escalation_options"]; text != "" {
				e.Options = options(letters, text)
			}
			escalations[key] = append(escalations[key], e)
		}
	}
	for _, o := range v.Objects {
		if o.Define != "host" && o.Define != "service" {
			continue
		}
		letters := "owcu"
		if o.Define == "host" {
			letters = "odu"
		}
		p := &alf.Policy{Options: alf.AllOptions(), Interval: seconds(t, o.With["notification_interval"]),
			Delay: seconds(t, o.With["first_notification_delay"]), Escalations: escalations[o.Key]}
		if text := o.With["notification_options"]; text != "" {
			p.Options = options(letters, text)
		}
		if o.With["contacts"] != "" {
			p.Contacts = strings.Split(o.With["contacts"], ",")
		}
		s := r.services[o.Key]
		if s.Policy, s.NotificationPeriod = p, o.With["notification_period"]; s.NotificationPeriod == "null" {
			s.NotificationPeriod = r.services[string(s.Key.Host)].NotificationPeriod
		}
	}
	return x
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func seconds(t *testing.T, text string) time.Duration {
	t.Helper()
	return time.Duration(atoi(t, text)) * time.Second
}

// options reads Nagios' letters.
func options(letters, text string) alf.NotifyOptions {
	o := alf.NotifyOptions{Recovery: strings.Contains(text, "r"), Flapping: strings.Contains(text, "f"), Downtime: strings.Contains(text, "s")}
	for i, letter := range letters {
		o.Status[i] = i > 0 && strings.ContainsRune(text, letter)
	}
	return o
}

// moment is a timeperiod that begins or ends once.
type moment struct{ from, until time.Time }

func (m moment) Contains(t time.Time) bool {
	return !t.Before(m.from) && (m.until.IsZero() || t.Before(m.until))
}

func (m moment) Next(t time.Time) time.Time {
	if t.Before(m.from) {
		return m.from
	}
	return time.Time{}
}

// event decides about an event that has led to the state of key.
func (x *teller) event(key string, kind alf.Kind, change alf.Change) {
	s, st := x.r.services[key], x.r.states[key]
	e := &alf.Event{Time: x.r.now, Key: s.Key, Kind: kind, Change: change, State: st}
	occasions := state.OccasionsOf(e)
	for _, occasion := range occasions.Types() {
		if occasion == alf.TypeProblem && kind != alf.KindResult {
			continue
		}
		m := &state.Matter{Service: s, State: &st, At: e.Time, Judged: kind == alf.KindResult, Now: x.r.now, Memory: x.memories[key], Known: x.r}
		v := state.Decide(m, occasion, func(name string) *alf.Contact { return x.contacts[name] }, nil)
		x.memories[key] = v.Memory
		for _, to := range v.To {
			x.told = append(x.told, fmt.Sprint(key, " ", v.Type, " to ", to.Contacts[0], escalated(v.Escalated)))
		}
	}
}

func escalated(is bool) string {
	if is {
		return ", escalated"
	}
	return ""
}

// compare holds who was told in a second, and what is remembered of it, against
// Nagios.
func (x *teller) compare(entries []entry) {
	var want []string
	for _, e := range entries {
		if e.What == "notification" && e.Text != "CUSTOM" {
			want = append(want, fmt.Sprint(e.Key, " ", e.Text, " to ", e.Contact, escalated(e.Escalated)))
		}
	}
	slices.Sort(want)
	slices.Sort(x.told)
	if !slices.Equal(x.told, want) {
		x.wrong = append(x.wrong, fmt.Sprintf("at %d told %q, want %q", entries[0].At, x.told, want))
	}
	x.told = nil
	for _, e := range entries {
		closed := func(o entry) bool { return o.Key == e.Key && strings.Contains(o.Why, "sent out at this time") } // which Nagios notes as its next time
		if e.What == "state" && e.State != "OK" && e.State != "UP" && e.Type == "HARD" && !slices.ContainsFunc(entries, closed) {
			x.remembers(e)
		}
	}
}

// remembers compares what is remembered of a problem.
func (x *teller) remembers(want entry) {
	m := x.memories[want.Key]
	next := 0
	if m.Number > 0 && !m.Next.IsZero() {
		next = int(m.Next.Sub(epoch) / time.Second)
	}
	if m.Number != want.Number || next != want.NextNotification || m.NoMore != want.NoMore {
		x.wrong = append(x.wrong, fmt.Sprintf("at %d, %s: number %d, next %d, no more %v; want %d, %d, %v",
			want.At, want.Key, m.Number, next, m.NoMore, want.Number, want.NextNotification, want.NoMore))
	}
}
