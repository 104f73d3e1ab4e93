package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"alf"
	"alf/api"
	"alf/checker"
	"alf/config"
	"alf/plugins"
	"alf/runner"
	"alf/sinks"
	"alf/state"
	"alf/state/memory"
	"alf/state/view"
	"alf/web"
)

func newServe(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the daemon", Args: cobra.NoArgs,
		Long: `Run the daemon until SIGTERM or SIGINT. SIGHUP reads the configuration again; if
it is wrong, the old one goes on.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hup := make(chan os.Signal, 1) // from now on, a SIGHUP ends nothing
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			h, err := build(o.config, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return h.serve(cmd.Context(), hup)
		},
	}
}

// house is Alf with all its rooms. Building it opens nothing but the
// configuration.
type house struct {
	file    string
	started *config.Config // what it was built with
	config  atomic.Pointer[config.Config]
	logs    *logs
	loaded  reloads

	runner  *runner.Runner
	record  *memory.Record
	view    *view.View
	checker *checker.Checker
	metrics *sinks.Prometheus
	api     *api.API
}

// refresh is how often a page loads itself again.
const refresh = 10 * time.Second

func build(file string, log io.Writer) (*house, error) {
	c, err := load(file)
	if err != nil {
		return nil, err
	}
	h := &house{file: file, started: c, logs: newLogs(log, c.Daemon.LogFormat), view: view.New()}
	h.adopt(c)
	h.runner, err = runner.New(runner.Options{Log: h.logs.room("ssh"), LocalUser: c.Daemon.LocalUser})
	if err != nil {
		return nil, err
	}
	h.record = memory.New(memory.Options{History: c.Daemon.History})
	h.checker = checker.New(checker.Options{
		Runner: h.runner, Record: h.record, Reader: h.record, Log: h.logs.room("checker"),
		MaxConcurrent: c.Daemon.MaxConcurrentChecks, MaxPerHost: c.Daemon.MaxChecksPerHost,
	}, c.Inventory)
	h.metrics = sinks.NewPrometheus(version(), h.view.Heads)
	h.measure()
	pages := web.New(web.Options{
		View: h.view, Reader: h.record, Inventory: h.inventory, Log: h.logs.room("api"),
		Hints: h.hints(), History: c.Daemon.History, Refresh: refresh, Version: version(),
	})
	h.api = api.New(api.Options{
		View: h.view, Reader: h.record, Inventory: h.inventory, Log: h.logs.room("api"),
		Submit: h.checker.Submit, Reload: h.reload, Ready: h.checker.Ready,
		Metrics: h.metrics, Pages: pages, Levels: h.logs, AllowedHosts: c.Web.AllowedHosts,
		History: c.Daemon.History, Version: version(), Started: time.Now(),
	})
	return h, nil
}

// load reads the configuration as the daemon needs it.
func load(file string) (*config.Config, error) { return config.Load(file, loadOptions()) }

func loadOptions() config.Options {
	return config.Options{
		Plugins: func(name string) bool { _, ok := plugins.Open(name); return ok },
		Runtime: checker.RuntimeMacro,
	}
}

// hints say on the pages how to go on.
func (h *house) hints() []web.Hint {
	return []web.Hint{
		{Command: "alf status", Text: "shows the same in a terminal; so do alf problems and alf history HOST SERVICE"},
		{Command: "alf check HOST SERVICE", Text: "runs a check now and prints what the plugin says"},
		{Command: "alf recheck HOST SERVICE", Text: "lets the daemon run it now"},
		{Command: filepath.Join(filepath.Dir(h.file), "conf.d"), Text: "is where hosts and checks are defined, in TOML; then alf config check and alf reload"},
	}
}

func (h *house) inventory() *alf.Inventory { return h.config.Load().Inventory }

// serve runs the house until ctx ends: first the listeners, so that a port that
// is taken is told before anything starts; last the readers, which see all. It
// reloads at every signal of hup.
func (h *house) serve(ctx context.Context, hup <-chan os.Signal) error {
	servers, err := h.listen()
	if err != nil {
		return err
	}
	h.logs.room("main").Info("started", "version", version(), "config", h.file, "found", h.config.Load().Counts.String())
	ctx, fail := context.WithCancelCause(ctx)
	var serving sync.WaitGroup
	for _, s := range servers {
		serving.Go(func() { s.run(fail) })
		serving.Go(func() { <-ctx.Done(); s.stop() })
	}
	serving.Go(func() { h.reloadOn(ctx, hup) })
	h.check(ctx, fail)
	fail(nil)
	serving.Wait()
	h.logs.room("main").Info("stopped")
	return failure(ctx)
}

// check runs the line and its readers until ctx ends and all of it has ended.
func (h *house) check(ctx context.Context, fail context.CancelCauseFunc) {
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	var readers sync.WaitGroup
	reader := func(what string, run func() error) {
		if err := run(); !errors.Is(err, context.Canceled) {
			fail(fmt.Errorf("%s: %w", what, err))
		}
	}
	if err := h.view.Load(ctx, h.record); err != nil {
		fail(fmt.Errorf("read the known states: %w", err))
	}
	readers.Go(func() { reader("view", func() error { return h.view.Run(reading, h.record) }) })
	readers.Go(func() {
		reader("prometheus", func() error { return h.record.Consume(reading, "prometheus", state.Now, h.metrics.Write) })
	})
	if err := h.checker.Run(ctx); err != nil {
		fail(err)
	}
	h.runner.Close()
	stop()
	readers.Wait()
}

// failure returns why ctx ended, if it was not told to.
func failure(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// server is one listener and what answers there.
type server struct {
	*http.Server
	listener net.Listener
}

func (h *house) listen() ([]server, error) {
	c := h.config.Load()
	socket, err := api.Listen(c.Daemon.Socket)
	if err != nil {
		return nil, err
	}
	log := h.logs.room("api")
	servers := []server{{api.Server(h.api.Private(), log), socket}}
	if c.Web.Listen == "" {
		return servers, nil
	}
	public, err := net.Listen("tcp", c.Web.Listen)
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("listen on %s: %w", c.Web.Listen, err)
	}
	return append(servers, server{api.Server(h.api.Public(), log), public}), nil
}

func (s server) run(fail context.CancelCauseFunc) {
	if err := s.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		fail(err)
	}
}

// stop gives the requests that run a second to end.
func (s server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
}
