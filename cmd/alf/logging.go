package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"alf/config"
	"alf/internal/sanitize"
)

// logs makes the loggers of the rooms. Levels may be changed at any time.
type logs struct {
	handler slog.Handler
	levels  map[string]*slog.LevelVar
	mu      sync.Mutex // guards changes of several levels
}

// newLogs returns logs that write to w as text or, with format "json", as JSON.
// What hosts say is made safe for a terminal on its way.
func newLogs(w io.Writer, format string) *logs {
	o := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: cleanAttr}
	l := &logs{levels: make(map[string]*slog.LevelVar)}
	for _, room := range config.Rooms() {
		l.levels[room] = new(slog.LevelVar)
	}
	l.handler = slog.NewTextHandler(w, o)
	if format == "json" {
		l.handler = slog.NewJSONHandler(w, o)
	}
	return l
}

func cleanAttr(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindDuration: // JSON would have it in nanoseconds
		a.Value = slog.StringValue(v.Duration().String())
	case slog.KindString:
		a.Value = slog.StringValue(sanitize.Log(v.String()))
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			a.Value = slog.StringValue(sanitize.Log(err.Error()))
		}
	}
	return a
}

// room returns the logger of a room.
func (l *logs) room(name string) *slog.Logger {
	return slog.New(leveled{l.handler, l.levels[name]}).With("room", name)
}

// set gives every room the level base, but those in special theirs.
func (l *logs) set(base slog.Level, special map[string]slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for room, level := range l.levels {
		level.Set(base)
		if s, ok := special[room]; ok {
			level.Set(s)
		}
	}
}

// Levels returns the level of every room.
func (l *logs) Levels() map[string]slog.Level {
	out := make(map[string]slog.Level)
	for room, level := range l.levels {
		out[room] = level.Level()
	}
	return out
}

// SetLevel gives a room another level: debug, info, warn or error.
func (l *logs) SetLevel(room, level string) error {
	v, ok := l.levels[room]
	if !ok {
		return fmt.Errorf("room %q is none of %s", room, strings.Join(slices.Sorted(maps.Keys(l.levels)), ", "))
	}
	var to slog.Level
	if err := to.UnmarshalText([]byte(level)); err != nil {
		return fmt.Errorf("level %q is none of debug, info, warn, error", level)
	}
	v.Set(to)
	return nil
}

// leveled is a handler with a level of its own.
type leveled struct {
	slog.Handler
	level *slog.LevelVar
}

// Enabled implements slog.Handler.
func (h leveled) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h leveled) WithAttrs(a []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(a), h.level}
}

// WithGroup implements slog.Handler.
func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}
