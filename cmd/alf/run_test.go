package main

import (
	"bytes"
	"strings"
	"testing"

	"alf/api/wire"
	"alf/internal/sanitize/hostile"
)

func said(host, stream, line string) wire.RunEvent {
	text := wire.Text(line)
	return wire.RunEvent{Event: wire.RunOutput, Host: host, Stream: stream, Line: &text}
}

func ended(host string, code int) wire.RunEvent {
	e := wire.RunEvent{Event: wire.RunEnd, Host: host, Result: wire.RunOK, ReturnCode: &code}
	if code != 0 {
		e.Result = wire.RunFailed
	}
	return e
}

// TestRunProgress: on a terminal it stands below the lines and is gone at the end; elsewhere
// it is there only if somebody wants it.
func TestRunProgress(t *testing.T) {
	begin := wire.RunEvent{Event: wire.RunBegin, Hosts: []string{"a", "b"}}
	events := []wire.RunEvent{begin, said("a", "stdout", "x"), ended("a", 0), ended("b", 3), {Event: wire.RunDone, OK: 1, Failed: 1}}
	f := func(name string, p progress, events []wire.RunEvent, want string) {
		t.Helper()
		var out bytes.Buffer
		p.w = &out
		s := lineShower{out: &out, err: &out, progress: &p}
		for _, e := range events {
			if err := s.show(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.end(); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v, want %q", name, out.String(), err, want)
		}
	}
	const summary = "alf: b: exit 3\nalf: 2 hosts: 1 ok, 1 failed\n"
	f("terminal", progress{place: true, shared: true}, events, "\r0/2 done, 0 failed\x1b[K"+"\r\x1b[K"+"a: x\n"+"\r0/2 done, 0 failed\x1b[K"+
		"\r1/2 done, 0 failed\x1b[K"+"\r2/2 done, 1 failed\x1b[K"+"\r\x1b[K"+summary)
	f("nobody", progress{}, events, "a: x\n"+summary)
	f("wanted", progress{wanted: true}, events, "a: x\nalf: 1/2 done, 0 failed\nalf: 2/2 done, 1 failed\n"+summary)
	f("one host", progress{place: true, shared: true}, []wire.RunEvent{{Event: wire.RunBegin, Hosts: []string{"a"}}, said("a", "stderr", "x"), ended("a", 0), {Event: wire.RunDone, OK: 1}}, "a: x\n")
}

// TestRunHostile: whatever a host says, or is called, a line stays a line and acts on nothing.
func TestRunHostile(t *testing.T) {
	for _, c := range hostile.Outputs() {
		var out bytes.Buffer
		s := lineShower{out: &out, err: &out, progress: &progress{w: &out}}
		dropped := said(c.Text, c.Text, "")
		dropped.Event = wire.RunDropped
		bad := ended(c.Text, 0)
		bad.Result, bad.ReturnCode, bad.Incomplete = wire.RunFailed, nil, true
		bad.Error, bad.Cause, bad.Phase = wire.Text(c.Text), c.Text, c.Text
		list := listShower{&out, "table"}
		begin := wire.RunEvent{Event: wire.RunBegin, Hosts: []string{c.Text}}
		for _, err := range []error{s.show(said("web1", "stdout", c.Text)), s.show(dropped), s.show(bad), s.end(), list.show(begin)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := hostile.Check("terminaltext", out.String()); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if n := strings.Count(out.String(), "\n"); n != 5 {
			t.Errorf("%s: %d lines, want 5: %q", c.Name, n, out.String())
		}
	}
}

// TestRunJSONIsBounded: of a host that says too much, the beginning is kept.
func TestRunJSONIsBounded(t *testing.T) {
	var out bytes.Buffer
	s := jsonShower{w: &out, progress: &progress{w: &out}, hosts: make(map[string]*runHost)}
	line := strings.Repeat("x", 10_000)
	for range 200 {
		if err := s.show(said("web1", "stdout", line)); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.hosts["web1"].out.Len(); n > maxRunOutput {
		t.Errorf("%d bytes are kept", n)
	}
	if err := s.show(ended("web1", 0)); err != nil || len(s.hosts) != 0 || !strings.Contains(out.String(), `"incomplete":true`) {
		t.Errorf("%v, %d hosts are kept", err, len(s.hosts))
	}
}
