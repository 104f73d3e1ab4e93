package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alf"
	"alf/checker"
	"alf/config"
	"alf/internal/sanitize"
	"alf/runner"
)

func newCheck(o *options) *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use: "check HOST [SERVICE]", Short: "Run one check now, in this process", Args: cobra.RangeArgs(1, 2),
		Long: `Run the check of a service, or a host's own, once and now, in a process of its
own. Nothing is recorded and no daemon is asked. It prints and exits as the
plugin did: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; also if there was no answer.`,
		Annotations: map[string]string{likePlugin: "yes", reads: "config"},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := load(o.config)
			if err != nil {
				return err
			}
			warnSources(cmd.ErrOrStderr(), c)
			s, err := find(c, args)
			if err != nil {
				return err
			}
			log := slog.New(slog.DiscardHandler)
			if verbose {
				l := newLogs(cmd.ErrOrStderr(), "text")
				l.set(slog.LevelDebug, nil)
				log = l.room("ssh")
			}
			r, err := checkOnce(cmd.Context(), c, s, log)
			if err != nil {
				return err
			}
			printLikePlugin(cmd.OutOrStdout(), r)
			return exitCode(r.Status)
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "tell on standard error what happens on the link")
	return cmd
}

// find returns the service that args name.
func find(c *config.Config, args []string) (*alf.Service, error) {
	key := alf.Key{Host: alf.HostName(args[0])}
	if len(args) > 1 {
		key.Service = alf.ServiceName(args[1])
	}
	s := c.Inventory.Service(key)
	switch {
	case c.Inventory.Host(key.Host) == nil:
		return nil, fmt.Errorf("host %q is not configured", key.Host)
	case s == nil:
		return nil, fmt.Errorf("host %q has no service %q", key.Host, key.Service)
	case !s.Scheduled():
		return nil, fmt.Errorf("%q has nothing to run: its results are submitted, or it has no check", key)
	}
	return s, nil
}

func checkOnce(ctx context.Context, c *config.Config, s *alf.Service, log *slog.Logger) (*alf.Result, error) {
	run, err := runner.New(runner.Options{Log: log, LocalUser: c.Daemon.LocalUser})
	if err != nil {
		return nil, err
	}
	defer run.Close()
	return checker.Run(ctx, run, s, time.Time{})
}

// printLikePlugin prints r as a plugin would have: output, perfdata, long output.
func printLikePlugin(w io.Writer, r *alf.Result) {
	var b strings.Builder
	b.WriteString(sanitize.Terminal(r.Output))
	if r.PerfdataText != "" {
		b.WriteString(" | " + sanitize.Terminal(r.PerfdataText))
	}
	b.WriteByte('\n')
	if r.LongOutput != "" {
		b.WriteString(sanitize.TerminalText(r.LongOutput) + "\n")
	}
	io.WriteString(w, b.String())
}
