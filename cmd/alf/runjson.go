package main

import (
	"encoding/json"
	"io"
	"strings"

	"alf/api/wire"
)

// maxRunOutput bounds what is kept of each stream of a host until it is through.
const maxRunOutput = 1 << 20

// runHost is what alf run --output json prints of a host.
type runHost struct {
	Host       string    `json:"host"`
	Result     string    `json:"result"`
	ReturnCode *int      `json:"return_code"`
	Signal     string    `json:"signal"`
	Cause      string    `json:"cause"`
	Phase      string    `json:"phase"`
	Error      wire.Text `json:"error"`
	Seconds    float64   `json:"seconds"`
	Stdout     wire.Text `json:"stdout"`
	Stderr     wire.Text `json:"stderr"`
	Incomplete bool      `json:"incomplete"` // not all of the output is there

	out, err strings.Builder
}

// jsonShower prints a line for each host when it is through.
type jsonShower struct {
	w        io.Writer
	progress *progress
	hosts    map[string]*runHost // that run
}

func (s *jsonShower) show(e wire.RunEvent) error {
	switch e.Event {
	case wire.RunBegin:
		s.progress.begin(len(e.Hosts))
	case wire.RunOutput:
		s.host(e.Host).add(e)
	case wire.RunEnd:
		h := s.host(e.Host)
		delete(s.hosts, e.Host)
		h.Result, h.ReturnCode, h.Signal = e.Result, e.ReturnCode, e.Signal
		h.Cause, h.Phase, h.Error, h.Seconds = e.Cause, e.Phase, e.Error, e.Seconds
		h.Incomplete = h.Incomplete || e.Incomplete
		h.Stdout, h.Stderr = wire.Text(h.out.String()), wire.Text(h.err.String())
		s.progress.clear()
		err := writeJSONLine(s.w, h)
		s.progress.count(e)
		return err
	}
	return nil
}

func (s *jsonShower) host(name string) *runHost {
	h := s.hosts[name]
	if h == nil {
		h = &runHost{Host: name}
		s.hosts[name] = h
	}
	return h
}

// add keeps a line.
func (h *runHost) add(e wire.RunEvent) {
	to := &h.out
	if e.Stream == "stderr" {
		to = &h.err
	}
	if e.Line == nil || to.Len()+len(*e.Line) > maxRunOutput {
		h.Incomplete = true
		return
	}
	to.WriteString(string(*e.Line))
	if !e.Broken {
		to.WriteByte('\n')
	}
}

func (s *jsonShower) end() error {
	s.progress.end()
	return nil
}

func writeJSONLine(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }
