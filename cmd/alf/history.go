package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alf"
	"alf/api/wire"
	"alf/client"
)

const (
	fewEntries  = 20     // of a history, if nobody says since when
	mostEntries = 10_000 // that the API hands out at once
)

func newHistory(o *options) *cobra.Command {
	var p period
	var kinds []string
	var limit int
	cmd := &cobra.Command{
		Use: "history [HOST [SERVICE]]", Short: "Show the last results of a service, or what the log says, newest first", Args: cobra.MaximumNArgs(2), Annotations: readsOutput,
		Long: `Show the last results of a service. With --since, --until or --kind, for a host
or for all, show the log instead: what changed, every attempt of a problem that was
being retried, what was ordered, and when Alf itself started and stopped. The log is
kept much longer than results.

` + timeHelp,
		Example: `  alf history web1 load
  alf history web1 load --since 7d
  alf history --since "2026-10-25 02:00" --until "2026-10-25 04:00"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > mostEntries {
				return usageError{fmt.Errorf("limit %d is not a number from 1 to %d", limit, mostEntries)}
			}
			f, err := p.filter(args, kinds)
			if err != nil {
				return err
			}
			f.Limit = limit
			bounded := p != (period{}) || len(kinds) > 0
			if len(args) == 2 && !bounded {
				return o.lastResults(cmd, args, limit)
			}
			if bounded && !cmd.Flags().Changed("limit") {
				f.Limit = mostEntries
			}
			return o.showLog(cmd, f, writeLog)
		},
	}
	p.flags(cmd, "")
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "show only what is of these `KINDS`: result, command, tick, removed, daemon")
	cmd.Flags().IntVar(&limit, "limit", fewEntries, "show at most `N`; with --since, --until or --kind 10000 unless given")
	return cmd
}

func (o *options) lastResults(cmd *cobra.Command, args []string, limit int) error {
	k, err := key(args)
	if err != nil {
		return err
	}
	return o.show(cmd, fmt.Sprintf("/api/v1/%s/results?limit=%d", wire.Path(k), limit), func(ctx context.Context, c *client.Client, w io.Writer) error {
		r, err := c.Results(ctx, k, limit)
		if err != nil {
			return err
		}
		return writeResults(w, r.Results)
	})
}

func newAudit(o *options) *cobra.Command {
	var p period
	cmd := &cobra.Command{
		Use: "audit", Short: "Show who ordered what, and what Alf itself did, newest first", Args: cobra.NoArgs, Annotations: readsOutput,
		Long: `Show who ordered what, which results were submitted and changed something, what was
configured, and when Alf started and stopped.

` + timeHelp,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := p.filter(nil, nil)
			if err != nil {
				return err
			}
			f.Audit, f.Limit = true, mostEntries
			return o.showLog(cmd, f, writeAudit)
		},
	}
	p.flags(cmd, "7d")
	return cmd
}

// showLog prints what the log has for f, and says if that is not all.
func (o *options) showLog(cmd *cobra.Command, f wire.LogFilter, write func(io.Writer, []wire.Event) error) error {
	return o.show(cmd, "/api/v1/events?"+f.Values().Encode(), func(ctx context.Context, c *client.Client, w io.Writer) error {
		log, err := c.Events(ctx, f)
		if err != nil {
			return err
		}
		if len(log.Events) == mostEntries {
			fmt.Fprintf(cmd.ErrOrStderr(), "alf: only the newest %d are shown; --until shows what was before\n", mostEntries)
		}
		return write(w, log.Events)
	})
}

const timeHelp = `A time is a local one (2026-10-25, "2026-10-25 14:30"), RFC 3339, or how long ago it
is: 90m, 24h, 7d, 2w.`

// period is the time that is asked for, as it was typed.
type period struct{ since, until string }

func (p *period) flags(cmd *cobra.Command, since string) {
	cmd.Flags().StringVar(&p.since, "since", since, "show what is not older than `TIME`")
	cmd.Flags().StringVar(&p.until, "until", "", "show what was before `TIME`")
}

// filter returns what to ask the log for.
func (p *period) filter(args, kinds []string) (f wire.LogFilter, err error) {
	if len(args) > 0 {
		k, err := key(args)
		if err != nil {
			return f, err
		}
		f.Host, f.Service = string(k.Host), string(k.Service)
	}
	var errs []error
	for _, name := range kinds {
		kind, ok := alf.ParseKind(name)
		if !ok {
			errs = append(errs, fmt.Errorf("kind %q is none of result, command, tick, removed, daemon", name))
		}
		f.Kinds = append(f.Kinds, kind)
	}
	now := time.Now()
	f.Since, err = timeFlag("since", p.since, now)
	errs = append(errs, err)
	f.Until, err = timeFlag("until", p.until, now)
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return f, usageError{errors.Join(errs...)}
	}
	return f, nil
}

// timeFlag reads the value of a flag; the zero time if there is none.
func timeFlag(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			if err = wire.NotAncient(t); err != nil {
				err = fmt.Errorf("--%s: %w", name, err)
			}
			return t, err
		}
	}
	t, err := wire.ParseTime(strings.TrimSuffix(text, " ago"), now)
	if err != nil {
		return t, fmt.Errorf("--%s: time %q is neither like 2026-10-25 14:30, 2026-10-25T02:30:00Z nor a duration ago like 90m, 24h, 7d", name, text)
	}
	return t, nil
}

func writeLog(w io.Writer, events []wire.Event) error {
	var rows [][]string
	for _, e := range events {
		rows = append(rows, []string{local(&e.Time), orDash(e.Host), orDash(e.Service), orDash(e.State), attemptOf(e), whatIsNew(e), sayLog(e)})
	}
	return writeTable(w, "TIME\tHOST\tSERVICE\tSTATE\tATTEMPT\tNEW\tOUTPUT", rows)
}

func writeAudit(w io.Writer, events []wire.Event) error {
	var rows [][]string
	for _, e := range events {
		what := string(e.Text)
		switch e.Kind {
		case "result":
			what = "submitted " + e.State + ": " + string(wire.Brief(e.Output))
		case "removed":
			what = "left the configuration"
		}
		rows = append(rows, []string{local(&e.Time), orDash(string(e.Author)), orDash(e.Host), orDash(e.Service), what})
	}
	return writeTable(w, "TIME\tWHO\tHOST\tSERVICE\tWHAT", rows)
}

func attemptOf(e wire.Event) string {
	if e.Attempt == 0 {
		return "-"
	}
	return fmt.Sprintf("%s %d/%d", e.StateType, e.Attempt, e.MaxCheckAttempts)
}

// whatIsNew says what e brought: what changed, or what kind of entry it is.
func whatIsNew(e wire.Event) string {
	switch {
	case len(e.Changes) > 0:
		return strings.Join(e.Changes, ",")
	case e.Kind == "result", e.Missing():
		return "retried"
	}
	return e.Kind
}

// sayLog says the rest of it: what the plugin, a person or Alf said.
func sayLog(e wire.Event) string {
	switch {
	case e.Kind == "removed":
		return "left the configuration"
	case e.Missing():
		return string(wire.Brief(e.Output))
	case e.Kind == "tick" && slices.Contains(e.Changes, "stale"):
		return "no answer (" + e.Stale.Cause + "): " + string(wire.Brief(e.Stale.Output))
	case e.Kind != "result":
		return by(string(e.Text), e.Author)
	case e.Stale != nil:
		return "no answer (" + e.Stale.Cause + "): " + string(wire.Brief(e.Stale.Output))
	}
	return by(string(wire.Brief(e.Output)), e.Author)
}

func by(text string, author wire.Text) string {
	if author == "" {
		return text
	}
	return text + " (" + string(author) + ")"
}
