package sshmux

import (
	"io"
	"testing"

	"alf/internal/sshdtest"
)

// BenchmarkRun runs one command after the other over a real sshd.
func BenchmarkRun(b *testing.B) {
	m, target, _ := start(b, sshdtest.Options{})
	c := Command{Argv: []string{"true"}, Stdout: io.Discard, Stderr: io.Discard}
	if _, err := m.Ping(b.Context(), target); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if exit, err := m.Run(b.Context(), target, c); err != nil || exit.Code != 0 {
			b.Fatal(exit, err)
		}
	}
}

// BenchmarkRunParallel keeps ten commands in flight over one connection. sshd allows as many,
// but frees a session a little late.
func BenchmarkRunParallel(b *testing.B) {
	m, target, _ := start(b, sshdtest.Options{MaxSessions: 20})
	target.MaxSessions = 10
	c := Command{Argv: []string{"true"}, Stdout: io.Discard, Stderr: io.Discard}
	if _, err := m.Ping(b.Context(), target); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(5)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if exit, err := m.Run(b.Context(), target, c); err != nil || exit.Code != 0 {
				b.Error(exit, err)
				return
			}
		}
	})
}

// BenchmarkNewRequest wraps a command, which every check pays for.
func BenchmarkNewRequest(b *testing.B) {
	c := Command{Argv: []string{"check_disk", "-w", "20%", "-c", "10%", "-p", "/"}, Path: []string{"/usr/lib/nagios/plugins"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newRequest(c); err != nil {
			b.Fatal(err)
		}
	}
}
