package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	"alf/actions"
	"alf/api"
	"alf/checker"
	"alf/config"
	"alf/plugins"
	"alf/runner"
	"alf/sinks"
	"alf/sshmux"
	"alf/state"
	"alf/state/jetstream"
	"alf/state/view"
	"alf/web"
)

func newServe(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the daemon", Args: cobra.NoArgs, Annotations: readsConfig,
		Long: `Run the daemon until SIGTERM or SIGINT. SIGHUP reads the configuration again; if
it is wrong, the old one goes on.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hup := make(chan os.Signal, 1) // from now on, a SIGHUP ends nothing
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more is no reason to end
			c, err := loadToServe(cmd.Context(), o.config)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.ErrOrStderr(), hup)
		},
	}
}

// serve runs the daemon on its journal until ctx ends.
func serve(ctx context.Context, c *config.Config, log io.Writer, hup <-chan os.Signal) (err error) {
	logs := newLogs(log, c.Daemon.LogFormat)
	logs.set(c.Daemon.LogLevel, c.Daemon.LogLevels)
	record, err := openJournal(ctx, c, logs.room("journal"))
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	defer func() { err = errors.Join(err, record.Close()) }()
	h, err := build(withOwn(c), record, logs)
	if err != nil {
		return err
	}
	h.measureJournal(record)
	return h.serve(ctx, hup)
}

func openJournal(ctx context.Context, c *config.Config, log *slog.Logger) (*jetstream.Record, error) {
	return jetstream.Open(ctx, journalOptions(c, log))
}

func journalOptions(c *config.Config, log *slog.Logger) jetstream.Options {
	j := c.Journal
	return jetstream.Options{
		Dir: filepath.Join(c.Daemon.DataDir, "journal"), URL: j.URL, Credentials: j.Credentials, CA: j.CA, Cert: j.Cert, Key: j.Key, Replicas: j.Replicas,
		History: j.History, MaxAge: j.Retention, MaxBytes: int64(j.MaxBytes),
		LogAge: j.LogRetention, LogBytes: int64(j.LogMaxBytes), SyncAlways: j.SyncAlways,
		Version: version(), Log: log,
	}
}

// journal is what every engine of the record does.
type journal interface {
	state.Recorder
	state.Reader
	state.Feed
	state.Log
	state.Ledger
	Run(ctx context.Context) error
}

// house is Alf with all its rooms. Building it opens nothing.
type house struct {
	started *config.Config // what it was built with
	config  atomic.Pointer[config.Config]
	logs    *logs
	loaded  reloads

	runner  *runner.Runner
	record  journal
	view    *view.View
	checker *checker.Checker
	metrics *sinks.Prometheus
	actions *actions.Room
	api     *api.API
	roster  *roster

	commandFile *commandFile // nil: none
}

// refresh is how often a page loads itself again.
const refresh = 10 * time.Second

func build(c *config.Config, record journal, logs *logs) (*house, error) {
	h := &house{started: c, logs: logs, record: record, view: view.New()}
	h.actions = actions.New(actions.Options{
		Feed: record, Ledger: record, Heads: h.view, Inventory: h.inventory, Log: logs.room("actions"),
		HostDownDisablesChecks: c.Daemon.HostDownDisablesChecks,
	})
	h.adopt(c, 0)
	var err error
	h.runner, err = runner.New(runner.Options{
		Log: h.logs.room("ssh"), LocalUser: c.Daemon.LocalUser,
		DialRate: c.Dialling.Rate, MaxDials: c.Dialling.Most,
		KeepaliveInterval: c.Dialling.KeepaliveInterval, KeepaliveCount: c.Dialling.KeepaliveCount,
	})
	if err != nil {
		return nil, err
	}
	h.checker = checker.New(checker.Options{
		Runner: h.runner, Record: h.record, Reader: h.record, Past: h.record, Log: h.logs.room("checker"),
		Version:       version(),
		KeepRemoved:   c.Daemon.KeepRemoved,
		MaxConcurrent: c.Daemon.MaxConcurrentChecks, MaxPerHost: c.Daemon.MaxChecksPerHost,
		HostDownDisablesChecks: c.Daemon.HostDownDisablesChecks,
	}, c.Inventory)
	h.roster = newRoster(h.runner, h.logs.room("main"), h.takeAnswers, func() { h.tell(context.Background(), "sources") })
	h.roster.adopt(c)
	h.metrics = sinks.NewPrometheus(version(), h.view.Heads)
	h.measure()
	pages := web.New(web.Options{
		View: h.view, Reader: h.record, Past: h.record, Inventory: h.inventory, Log: h.logs.room("api"),
		HostDownDisablesChecks: c.Daemon.HostDownDisablesChecks,
		Hints:                  h.hints(), History: c.Journal.History, Refresh: refresh, Version: version(),
	})
	h.api = api.New(api.Options{
		View: h.view, Reader: h.record, Past: h.record, Inventory: h.inventory, Log: h.logs.room("api"),
		Submit: h.checker.Submit, Reload: h.reload, Diff: h.diff, Ready: h.checker.Ready,
		Metrics: h.metrics, Pages: pages, Levels: h.logs, Journal: keeperOf(record), Sources: h.roster, Ledger: ledger{h.record, h.actions}, Links: h.links, AllowedHosts: c.Web.AllowedHosts,
		Runner: h.runner, Remark: h.checker.Remark, Paused: h.runner.Paused, Try: h.try,
		HostDownDisablesChecks: c.Daemon.HostDownDisablesChecks,
		History:                c.Journal.History, Version: version(), Started: time.Now(),
	})
	return h, nil
}

// ledger is what the API reads of notifications.
type ledger struct {
	state.Ledger
	*actions.Room
}

func loadOptions() config.Options {
	return config.Options{
		Actions:  actions.Kinds(),
		Plugins:  func(name string) bool { _, ok := plugins.Open(name); return ok },
		Runtime:  checker.RuntimeMacro,
		CheckKey: sshmux.CheckKey,
	}
}

// hints say on the pages how to go on.
func (h *house) hints() []web.Hint {
	ask, read := "alf", "alf"
	if c := h.started; c.Daemon.Socket != config.Socket("") {
		ask, read = "alf --socket "+c.Daemon.Socket, "alf --config "+c.File
	}
	return []web.Hint{
		{Command: ask + " status", Text: "shows the same in a terminal; so do problems and history HOST SERVICE"},
		{Command: read + " check HOST SERVICE", Text: "runs a check now and prints what the plugin says"},
		{Command: ask + " recheck HOST SERVICE", Text: "lets the daemon run it now"},
		{Command: filepath.Join(filepath.Dir(h.started.File), "conf.d"), Text: "is where hosts and checks are defined, in TOML; then config check and reload"},
	}
}

func (h *house) inventory() *alf.Inventory { return h.config.Load().Inventory }

// serve runs the house until ctx ends: first the listeners, so that a port that
// is taken is told before anything starts; last the readers, which see all. It
// reloads at every signal of hup.
func (h *house) serve(ctx context.Context, hup <-chan os.Signal) (err error) {
	if err := h.openCommandFile(h.started.Nagios); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.commandFile.close()) }()
	servers, err := h.listen()
	if err != nil {
		return err
	}
	h.logs.room("main").Info("started", "version", version(), "config", h.started.File, "found", h.config.Load().Counts.String())
	ctx, fail := context.WithCancelCause(ctx)
	var serving sync.WaitGroup
	for _, s := range servers {
		serving.Go(func() { s.run(fail) })
		serving.Go(func() { <-ctx.Done(); s.stop() })
	}
	serving.Go(func() { h.reloadOn(ctx, hup) })
	serving.Go(func() { h.roster.Run(ctx) })
	serving.Go(func() { h.tell(ctx) })
	if h.started.Daemon.ReloadOnChange {
		serving.Go(func() { h.watch(ctx) })
	}
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
	readers.Go(func() { reader("journal", func() error { return h.record.Run(reading) }) })
	readers.Go(func() { reader("view", func() error { return h.view.Run(reading, h.record) }) })
	readers.Go(func() { reader("actions", func() error { return h.actions.Run(reading) }) })
	readers.Go(func() {
		reader("prometheus", func() error { return h.record.Consume(reading, "prometheus", state.Now, h.metrics.Write) })
	})
	if h.commandFile != nil {
		readers.Go(func() {
			if err := h.commandFile.Run(ctx); err != nil {
				fail(err)
			}
		})
	}
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
