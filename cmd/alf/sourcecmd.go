package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"alf/api/wire"
	"alf/client"
	"alf/internal/sanitize"
)

func newSource(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "source", Short: "Show or ask the sources of hosts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSourceList(o), newSourceRefresh(o))
	return cmd
}

func newSourceList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show the sources of hosts, and how they are", Args: cobra.NoArgs, Annotations: readsOutput,
		Long: `Show the sources of hosts ([source.NAME]): how many hosts each gives, when it last
had a good answer, when it is asked next, and what is wrong with it or with its hosts.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.show(cmd, "/api/v1/sources", func(ctx context.Context, c *client.Client, w io.Writer) error {
				s, err := c.Sources(ctx)
				if err != nil {
					return err
				}
				return writeSources(w, s.Sources)
			})
		},
	}
}

func newSourceRefresh(o *options) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "refresh [NAME...]", Short: "Ask sources of hosts now", Annotations: readsSocket,
		Long: `Ask the sources of these names for their hosts now, or all of them, and take what
they answer. An answer with which more would be removed than max_removed allows, or
that names no hosts any more, is refused unless there is --force. The exit code is 1
if one has no good answer; its last one goes on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.daemon().RefreshSources(cmd.Context(), args, force)
			if err != nil {
				return err
			}
			if err := writeSources(cmd.OutOrStdout(), s.Sources); err != nil {
				return err
			}
			var errs []error
			for _, one := range s.Sources {
				if !one.Up {
					errs = append(errs, fmt.Errorf("source %q: %s", one.Name, one.Error))
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "take the answers however many hosts disappear with them")
	return cmd
}

func writeSources(w io.Writer, all []wire.Source) error {
	var rows [][]string
	for _, s := range all {
		state, next := "UP", "-"
		if !s.Up {
			state = "DOWN"
		}
		if s.Next != nil {
			next = local(s.Next)
		}
		rows = append(rows, []string{s.Name, state, strconv.Itoa(s.Hosts), strconv.Itoa(len(s.Refused)), since(s.LastSuccess), since(s.LastFailure), next, orDash(string(s.Error))})
	}
	if err := writeTable(w, "SOURCE\tSTATE\tHOSTS\tREFUSED\tSUCCESS\tFAILURE\tNEXT\tERROR", rows); err != nil {
		return err
	}
	for _, s := range all {
		for _, r := range s.Refused {
			how := "left out"
			if r.Kept {
				how = "as it was"
			}
			fmt.Fprintf(w, "%s: host %q, line %d, %s: %s\n", s.Name, string(r.Host), r.Line, how, sanitize.Terminal(string(r.Error)))
		}
	}
	return nil
}
