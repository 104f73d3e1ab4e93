package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"alf/api/wire"
	"alf/client"
	"alf/internal/sanitize"
)

func newExplain(o *options) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use: "explain HOST [SERVICE]", Short: "Say how a state came to be what it is, or was", Args: cobra.RangeArgs(1, 2), Annotations: readsOutput,
		Long: `Say in which state a host or service is, or was at a time, since when, by which of
Nagios' rules it came to be so, who acknowledged it, planned a downtime or switched
something off, whether its host is the problem, and what the log has from before.

R1 is a first result; R2 a problem, SOFT at first; R3 the same, tried again; R4 the
problem as it becomes HARD; R5 one HARD problem after another; R6 a soft recovery; R7 a
recovery; R10 a problem of a service whose host is not UP; R13 no check_interval; H1 a
host that nothing checks; H4 a result of a host that was submitted; and T1 is Alf's own:
what gives no answer judges nothing.

` + timeHelp,
		Example: `  alf explain web1 load
  alf explain web1 load --at "2026-10-25 02:30"
  alf explain web1 --at 2h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := key(args)
			if err != nil {
				return err
			}
			when, err := timeFlag("at", at, time.Now())
			if err != nil {
				return usageError{err}
			}
			return o.show(cmd, "/api/v1/"+wire.ExplainPath(k, when), func(ctx context.Context, c *client.Client, w io.Writer) error {
				x, err := c.Explain(ctx, k, when)
				if err != nil {
					return err
				}
				return writeExplanation(w, x, time.Local)
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "explain the state at `TIME` (default now)")
	return cmd
}

func writeExplanation(w io.Writer, x *wire.Explanation, zone *time.Location) error {
	x.Write(zone)
	for _, s := range x.Sentences {
		if _, err := fmt.Fprintln(w, sanitize.Terminal(string(s))); err != nil {
			return err
		}
	}
	if len(x.Changes) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return writeLog(w, x.Changes)
}
