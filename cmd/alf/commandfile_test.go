package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"alf"
	"alf/checker"
)

// TestCommandFileWaits: a line waits until it is durable, but while nothing
// becomes durable, those who write do not wait for that with every line.
func TestCommandFileWaits(t *testing.T) {
	f := func(what string, ready error, give func(context.Context, int) error, tries int, took time.Duration, want error) {
		synctest.Test(t, func(t *testing.T) {
			n, began := 0, time.Now()
			file := &commandFile{
				log:   slog.New(slog.DiscardHandler),
				ready: func() error { return ready },
				give: func(ctx context.Context, _ alf.Command) (alf.ID, error) {
					n++
					return 0, give(ctx, n)
				},
			}
			err := file.submit(t.Context(), alf.Command{})
			if !errors.Is(err, want) || n != tries || time.Since(began) != took {
				t.Errorf("%s: %v after %d tries and %v, want %v, %d, %v", what, err, n, time.Since(began), want, tries, took)
			}
		})
	}
	taken := func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
	busy := func(ctx context.Context, _ int) error { <-ctx.Done(); return checker.ErrBusy }
	broken := errors.New("no space left")
	f("durable", nil, func(context.Context, int) error { return nil }, 1, 0, nil)
	f("refused", nil, func(context.Context, int) error { return checker.ErrFull }, 1, 0, checker.ErrFull)
	f("slow", nil, taken, 1, patience, nil)
	f("not durable", broken, taken, 1, hurry, nil)
	f("busy", nil, busy, 1, patience, checker.ErrBusy)
	f("busy, not durable", broken, busy, int(patience/hurry), patience, checker.ErrBusy)
	f("busy for a while", broken, func(ctx context.Context, n int) error {
		if n < 3 {
			return busy(ctx, n)
		}
		return taken(ctx, n)
	}, 3, 3*hurry, nil)
}
