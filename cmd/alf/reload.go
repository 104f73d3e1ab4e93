package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"alf/config"
)

// reloads remembers how the last reload went.
type reloads struct {
	one sync.Mutex // one reload at a time

	mu       sync.Mutex // guards what follows
	ok       bool
	lastOK   time.Time
	failures float64
}

func (r *reloads) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ok = false
	r.failures++
}

// adopt makes c the configuration that all rooms read.
func (h *house) adopt(c *config.Config) {
	h.config.Store(c)
	h.logs.set(c.Daemon.LogLevel, c.Daemon.LogLevels)
	for _, w := range c.Warnings {
		h.logs.room("main").Warn("configuration", "err", w)
	}
	h.loaded.mu.Lock()
	defer h.loaded.mu.Unlock()
	h.loaded.ok, h.loaded.lastOK = true, time.Now()
}

// reload reads the configuration again. If it is wrong, the old one goes on. If
// it is not, all rooms go over to it, whether or not the caller waits for it.
func (h *house) reload(ctx context.Context, author string) error {
	return h.reloadWith(ctx, author, h.roster.gather(ctx, h.started.File))
}

// reloadWith is reload with answers of sources that are new.
func (h *house) reloadWith(ctx context.Context, author string, fresh map[string]config.Answer) error {
	h.loaded.one.Lock()
	defer h.loaded.one.Unlock()
	ctx = context.WithoutCancel(ctx)
	log := h.logs.room("main")
	c, err := h.roster.load(h.started.File, fresh)
	if err == nil {
		err = losing(h.inventory(), c)
	}
	if err != nil {
		h.loaded.refuse()
		log.Error("the configuration is wrong, the old one goes on", "config", h.started.File, "err", err)
		return err
	}
	if len(c.Inventory.Hosts()) == 0 && len(h.inventory().Hosts()) > 0 {
		err := errors.New("no hosts are left in the configuration; restart Alf if that is meant")
		h.loaded.refuse()
		log.Error("the configuration is refused, the old one goes on", "config", h.started.File, "err", err)
		return err
	}
	for _, what := range h.needRestart(c) {
		log.Warn("takes effect at the next start", "setting", what)
	}
	diff, err := h.checker.Reload(ctx, c.Inventory, author)
	if err != nil {
		return err
	}
	h.adopt(c)
	h.roster.adopt(c)
	h.runner.Retain(c.Inventory)
	log.Info("reloaded", "config", h.started.File, "found", c.Counts.String(), "services", diff.String())
	return nil
}

// needRestart names the settings of c that differ from those that Alf was
// started with and cannot be changed while it runs.
func (h *house) needRestart(c *config.Config) []string {
	was := h.started
	var names []string
	f := func(name string, differs bool) {
		if differs {
			names = append(names, name)
		}
	}
	f("[daemon] socket", was.Daemon.Socket != c.Daemon.Socket)
	f("[daemon] log_format", was.Daemon.LogFormat != c.Daemon.LogFormat)
	f("[daemon] local_user", was.Daemon.LocalUser != c.Daemon.LocalUser)
	f("[daemon] data_dir", was.Daemon.DataDir != c.Daemon.DataDir)
	f("[journal]", was.Journal != c.Journal)
	f("[daemon] max_concurrent_checks", was.Daemon.MaxConcurrentChecks != c.Daemon.MaxConcurrentChecks)
	f("[daemon] max_checks_per_host", was.Daemon.MaxChecksPerHost != c.Daemon.MaxChecksPerHost)
	f("[daemon] host_down_disable_service_checks", was.Daemon.HostDownDisablesChecks != c.Daemon.HostDownDisablesChecks)
	f("[web] listen", was.Web.Listen != c.Web.Listen)
	f("[nagios]", was.Nagios != c.Nagios)
	f("[web] allowed_hosts", !slices.Equal(was.Web.AllowedHosts, c.Web.AllowedHosts))
	return names
}

// reloadOn reloads at every signal until ctx ends.
func (h *house) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			_ = h.reload(ctx, "SIGHUP") // it was logged
		}
	}
}
