package sshmux

import (
	"io"
	"sync"
	"testing"
	"time"

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

// BenchmarkSilentDrop tells how long it takes to notice that the network lets nothing through
// any more, with the options that are the default: the 30 s of docs/operate.md.
func BenchmarkSilentDrop(b *testing.B) {
	f := func(name, command string) {
		b.Run(name, func(b *testing.B) {
			server := sshdtest.Start(b, sshdtest.Options{})
			r, target := behindRelay(b, server)
			m := newMux(b, Options{})
			if _, err := m.Run(b.Context(), target, Command{Argv: []string{"true"}}); err != nil {
				b.Fatal(err)
			}
			ended := make(chan error, 1)
			if command != "" {
				begun := &signal{told: make(chan struct{})}
				go func() {
					_, err := m.Run(b.Context(), target, Command{Shell: command, Stdout: begun})
					ended <- err
				}()
				<-begun.told
			}
			r.allow(0)
			took := noticed(b, m)
			if command != "" {
				kind(b, <-ended, Transport, PhaseOutput)
			}
			if took > 30*time.Second {
				b.Errorf("noticed after %v, want at most 30s", took)
			}
			for b.Loop() { // once is all
			}
			b.ReportMetric(took.Seconds(), "s-to-notice")
			b.ReportMetric(0, "ns/op")
		})
	}
	f("idle", "")
	f("running", "echo begun; sleep 300")
	f("output", "while echo begun; do sleep 0.1; done")
}

// signal tells of the first thing that is written to it.
type signal struct {
	once sync.Once
	told chan struct{}
}

func (s *signal) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.told) })
	return len(p), nil
}
