package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"alf/api/wire"
	"alf/internal/sanitize/hostile"
)

// TestNothingIsLeft: a whole Alf with checks under way ends within five seconds
// and leaves no goroutine.
func TestNothingIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	d, err := newDemoHouse("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer d.remove()
	ctx, stop := context.WithCancel(t.Context())
	var log syncBuffer
	c, err := load(d.path("alf.toml"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		done <- d.with(ctx, func(ctx context.Context) error { return serve(ctx, c, &log, nil) })
	}()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "msg=connected"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing was connected to:\n%s", log.String())
		}
	}
	began := time.Now()
	stop()
	if err := <-done; err != nil {
		t.Errorf("run = %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	goleak.VerifyNone(t, before)
}

// syncBuffer is a buffer that a logger and a test share.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestLogLevels(t *testing.T) {
	var out bytes.Buffer
	l := newLogs(&out, "json")
	l.set(slog.LevelWarn, map[string]slog.Level{"ssh": slog.LevelDebug})
	l.room("checker").Info("quiet")
	l.room("ssh").With("host", "web1").Debug("loud")
	if err := l.SetLevel("checker", "info"); err != nil {
		t.Fatal(err)
	}
	l.room("checker").WithGroup("g").Info("now", "a", 1)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2:\n%s", len(lines), out.String())
	}
	var first map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first["room"] != "ssh" || first["msg"] != "loud" || first["host"] != "web1" {
		t.Errorf("%s: %v", lines[0], err)
	}
}

// TestHostileLog: whatever a host says stays on one line and is plain text.
func TestHostileLog(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		for _, c := range hostile.Outputs() {
			var out bytes.Buffer
			newLogs(&out, format).room("checker").Warn("said", "output", c.Text, "err", errors.New(c.Text), slog.Group("g", "x", c.Text))
			if err := hostile.Check("log", strings.TrimSuffix(out.String(), "\n")); err != nil {
				t.Errorf("%s, %s: %v", format, c.Name, err)
			}
		}
	}
}

// TestHostileTables: nor does any of it reach the terminal.
func TestHostileTables(t *testing.T) {
	for _, c := range hostile.Outputs() {
		var out bytes.Buffer
		if err := writeTable(&out, "A\tB", [][]string{{c.Text, c.Text}}); err != nil {
			t.Fatal(err)
		}
		text := wire.Text(c.Text)
		x := wire.Explanation{Host: c.Text, State: "OK", Attempt: 1, Output: text, Changes: []wire.Event{{Kind: "result", Output: text, Author: text, Stale: &wire.Stale{Output: text}}}}
		if err := errors.Join(writeExplanation(&out, &x, time.UTC), writeAudit(&out, x.Changes)); err != nil {
			t.Fatal(err)
		}
		f := fields{w: &out}
		f.line("Output", c.Text)
		report(&out, newRoot(&options{}), errors.New(c.Text))
		if err := hostile.Check("terminaltext", out.String()); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
