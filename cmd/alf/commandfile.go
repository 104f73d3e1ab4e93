package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strconv"
	"time"

	"alf"
	"alf/checker"
	"alf/config"
	"alf/nagios"
	"alf/state/view"
)

// commandFile carries out what is written into Nagios' command file.
type commandFile struct {
	*nagios.Pipe
	log       *slog.Logger
	view      *view.View
	inventory func() *alf.Inventory
	give      func(context.Context, alf.Command) (alf.ID, error)
	ready     func() error

	last alf.ID // of the last event that a line led to
	id   int64  // that was last given
}

const (
	patience = 5 * time.Second       // of a line, until what it led to is durable
	hurry    = 10 * time.Millisecond // the same, while nothing becomes durable
)

// openCommandFile opens it, if there is to be one.
func (h *house) openCommandFile(c config.Nagios) error {
	if c.CommandFile == "" {
		return nil
	}
	f := &commandFile{log: h.logs.room("nagios"), view: h.view, inventory: h.inventory, give: h.checker.Submit, ready: h.checker.Ready}
	var err error
	f.Pipe, err = nagios.Open(nagios.Options{Path: c.CommandFile, Group: c.CommandFileGroup, Take: f.take, Refused: f.refused})
	if err == nil {
		h.commandFile = f
		h.measureCommandFile(f.Stats)
	}
	return err
}

func (f *commandFile) close() error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// take carries out a line. It fails if any of its commands does; the others are
// carried out all the same.
func (f *commandFile) take(ctx context.Context, line string) error {
	order, err := nagios.Parse(line, time.Now())
	if err != nil {
		return err
	}
	commands, err := order.Expand(f.newID(), f.inventory(), func() iter.Seq[*alf.Event] { return f.heads(ctx) })
	if err != nil {
		return err
	}
	for _, c := range commands {
		if failed := f.submit(ctx, c); failed != nil && err == nil {
			err = failed
		}
	}
	return err
}

// heads returns what is known of everything, with all that lines led to.
func (f *commandFile) heads(ctx context.Context) iter.Seq[*alf.Event] {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = f.view.Wait(ctx, f.last)
	return f.view.Heads()
}

// submit has a command carried out.
func (f *commandFile) submit(ctx context.Context, c alf.Command) error {
	id, err := f.wait(ctx, c)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	f.last = max(f.last, id)
	level := slog.LevelInfo
	if c.Verb == alf.Submit {
		level = slog.LevelDebug
	}
	f.log.Log(ctx, level, "order taken", "host", c.Key.Host, "service", c.Key.Service, "order", c.Verb.String(), "id", c.ID, "author", c.Author)
	return nil
}

// wait waits for the record, but not for ever: once the checker has the command,
// it is carried out. While the record fails, those who write must not wait for
// it with every line.
func (f *commandFile) wait(ctx context.Context, c alf.Command) (id alf.ID, err error) {
	for began := time.Now(); time.Since(began) < patience; {
		limit := patience
		if f.ready() != nil {
			limit = hurry
		}
		once, cancel := context.WithTimeout(ctx, limit)
		id, err = f.give(once, c)
		cancel()
		if ctx.Err() != nil || !errors.Is(err, checker.ErrBusy) {
			break
		}
	}
	return id, err
}

func (f *commandFile) refused(line string, err error) {
	const enough = 200
	f.log.Warn("line refused", "line", line[:min(len(line), enough)], "err", err)
}

// newID returns the ID of what a line adds. It is short, as people type it.
func (f *commandFile) newID() string {
	f.id = max(f.id+1, time.Now().UnixMilli())
	return "x" + strconv.FormatInt(f.id, 36)
}
