package main

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"alf/api"
	"alf/config"
)

const (
	watchQuiet = 2 * time.Second  // without a change, before the files are read
	watchMost  = 30 * time.Second // that changes in a row put that off
	watchRetry = 10 * time.Second // after the watch was lost
)

// watch reloads when what the files say has changed, until ctx ends.
func (h *house) watch(ctx context.Context) {
	w := watcher{house: h}
	for {
		err := w.run(ctx)
		if ctx.Err() != nil {
			return
		}
		h.logs.room("main").Warn("changes of the configuration go unnoticed, trying again", "in", watchRetry, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchRetry):
		}
	}
}

// watcher watches folders rather than files, because editors, and those who
// deliver configurations, replace files and links.
type watcher struct {
	*house
	events *fsnotify.Watcher
	tried  config.Snapshot // when it last reloaded
}

var errUnwatched = errors.New("the kernel tells nothing any more")

// run watches until ctx ends or the watch is lost. What changed before is found
// at once.
func (w *watcher) run(ctx context.Context) error {
	var err error
	if w.events, err = fsnotify.NewWatcher(); err != nil {
		return err
	}
	defer w.events.Close()
	if err := w.catchUp(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(watchMost)
	defer timer.Stop()
	var first time.Time // of the changes that wait; zero: none does
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-w.events.Events:
			if !open {
				return errUnwatched
			}
		case err, open := <-w.events.Errors:
			if !open || !errors.Is(err, fsnotify.ErrEventOverflow) {
				return errors.Join(errUnwatched, err)
			}
		case <-timer.C:
			if !first.IsZero() {
				first = time.Time{}
				if err := w.catchUp(ctx); err != nil {
					return err
				}
			}
			timer.Reset(watchMost)
			continue
		}
		if first.IsZero() {
			first = time.Now()
		}
		timer.Reset(min(watchQuiet, time.Until(first.Add(watchMost))))
	}
}

// catchUp watches all folders that there are now, and reloads if the files do
// not say what they did when it last reloaded.
func (w *watcher) catchUp(ctx context.Context) error {
	now, err := w.look()
	if err != nil || now.Digest == w.tried.Digest {
		return err
	}
	w.tried = now
	if w.same() {
		w.logs.room("main").Debug("the files have changed, the configuration has not")
		return nil
	}
	_ = w.reload(ctx, api.ReloadOrder{Author: "reload_on_change"}) // it was logged
	return nil
}

// look returns the sources once all their folders are watched, so that nothing
// comes between.
func (w *watcher) look() (config.Snapshot, error) {
	for {
		now, added := config.Look(w.started.File), false
		watched := make(map[string]bool)
		for _, folder := range w.events.WatchList() {
			watched[folder] = true
		}
		for _, folder := range now.Folders {
			if watched[folder] {
				continue
			}
			if err := w.events.Add(folder); err != nil {
				return now, err
			}
			added = true
		}
		if !added {
			return now, nil
		}
	}
}

// same reports whether the files say what runs already. What is wrong with them
// is left to a reload to tell.
func (w *watcher) same() bool {
	p, err := w.plan(nil)
	return err == nil && w.loaded.good() == 1 && reflect.DeepEqual(aside(p.config), aside(w.config.Load()))
}

// aside returns c without what the sources have answered. Their hosts are in the
// inventory.
func aside(c *config.Config) config.Config {
	out := *c
	out.Sources = slices.Clone(c.Sources)
	for i := range out.Sources {
		s := &out.Sources[i]
		s.Answer, s.Hosts, s.Refused, s.Taken = config.Answer{}, 0, nil, nil
	}
	return out
}
