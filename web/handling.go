package web

import (
	"fmt"
	"strings"
	"time"

	"alf"
	"alf/api"
	"alf/internal/sanitize"
)

// mark says in a word what people or time did to a state, and more for those who
// point at it.
type mark struct {
	Word, Title string
}

func newMarks(r api.Row) (out []mark) {
	add := func(is bool, word, title string) {
		if is {
			out = append(out, mark{word, sanitize.HTML(title)})
		}
	}
	st := r.State()
	if a := st.Ack; a != nil {
		add(true, "acknowledged", a.Author+": "+a.Text)
	}
	own := st.DowntimeDepth() > 0
	add(own, "downtime", activeDowntimes(st))
	add(r.HostDowntime() && !own, "host downtime", "the host is in downtime")
	add(st.Flap.On, "flapping", percent(st.Flap))
	add(r.HostProblem(), "host problem", "another host is not UP")
	if held := r.Held(); held != nil {
		add(true, "held: "+sanitize.HTML(held.Short()), string(held.Why))
	}
	return out
}

func activeDowntimes(st alf.State) string {
	var texts []string
	for _, d := range st.Downtimes {
		if !d.Began.IsZero() {
			texts = append(texts, "until "+full(d.Until())+", "+d.Author+": "+d.Text)
		}
	}
	return strings.Join(texts, "\n")
}

func percent(f alf.Flap) string { return fmt.Sprintf("%.1f %% state change", f.Percent) }

// handling is what people and time did to a host or service. Its texts are
// clean.
type handling struct {
	Ack       *acknowledgement
	Flapping  string // how much; "" if it is not
	Off       string // what is switched off
	Downtimes []downtime
	Comments  []comment
}

type acknowledgement struct {
	Author, Text string
	Time         moment
	Sticky       bool
	Expires      moment
}

type downtime struct {
	ID, Author, Text string
	Active           bool
	Start, Until     moment
	Type             string
}

type comment struct {
	ID, Author, Text string
	Time             moment
}

func newHandling(st alf.State, now time.Time) handling {
	h := handling{Off: st.Off.String()}
	if st.Flap.On {
		h.Flapping = percent(st.Flap)
	}
	if a := st.Ack; a != nil {
		h.Ack = &acknowledgement{
			Author:  sanitize.HTML(a.Author),
			Text:    sanitize.HTML(a.Text),
			Time:    newMoment(a.Time, now),
			Sticky:  a.Sticky,
			Expires: newMoment(a.Expires, now),
		}
	}
	for _, d := range st.Downtimes {
		h.Downtimes = append(h.Downtimes, newDowntime(d, now))
	}
	for _, c := range st.Comments {
		h.Comments = append(h.Comments, comment{sanitize.HTML(c.ID), sanitize.HTML(c.Author), sanitize.HTML(c.Text), newMoment(c.Time, now)})
	}
	return h
}

func newDowntime(d *alf.Downtime, now time.Time) downtime {
	out := downtime{
		ID:     sanitize.HTML(d.ID),
		Author: sanitize.HTML(d.Author),
		Text:   sanitize.HTML(d.Text),
		Active: !d.Began.IsZero(),
		Start:  newMoment(d.Start, now),
		Until:  newMoment(d.Until(), now),
		Type:   "fixed",
	}
	if d.Flexible() {
		out.Type = "flexible, " + ago(d.Duration)
	}
	if d.Trigger != "" {
		out.Type += ", with " + sanitize.HTML(d.Trigger)
	}
	return out
}
