package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"alf"
	"alf/api/wire"
	"alf/client"
	"alf/state"
)

func newNotifications(o *options) *cobra.Command {
	var f wire.NoticeFilter
	cmd := &cobra.Command{
		Use: "notifications [HOST [SERVICE]]", Short: "Show what people were told, and what was held back", Args: cobra.MaximumNArgs(2), Annotations: readsOutput,
		Long: `Show what people were told of all hosts and services, of a host and its services, or
of one service, the newest first: by which action, and what became of it. A line
without an action says why nobody was told. Of each host and service the last 20
decisions are kept.`,
		Example: `  alf notifications
  alf notifications web1 load
  alf notifications --result failed,retrying`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				f.Host = args[0]
			}
			if len(args) > 1 {
				f.Service = args[1]
			}
			if _, err := wire.ParseNoticeFilter(f.Values()); err != nil {
				return usageError{err}
			}
			return o.show(cmd, "/api/v1/notifications?"+f.Values().Encode(), func(ctx context.Context, c *client.Client, w io.Writer) error {
				n, err := c.Notifications(ctx, f)
				if err != nil {
					return err
				}
				return writeNotices(w, n.Notices)
			})
		},
	}
	cmd.Flags().StringSliceVar(&f.Results, "result", nil, "only those of which some delivery has one of these `RESULTS`: "+strings.Join(wire.NoticeResults, ", "))
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "show at most `N`")
	return cmd
}

func writeNotices(w io.Writer, all []wire.Notice) error {
	var rows [][]string
	for _, n := range all {
		kind := n.Type
		if n.Number > 0 && n.Held == nil && n.Type == alf.TypeProblem.String() {
			kind = fmt.Sprintf("%s %d", n.Type, n.Number)
		}
		row := func(action, contacts, result string) {
			rows = append(rows, []string{local(&n.Time), n.Host, orDash(n.Service), kind, n.State, orDash(action), orDash(contacts), result})
		}
		if h := n.Held; h != nil {
			row("", "", held(h))
		}
		for _, d := range n.Deliveries {
			row(d.Action, strings.Join(d.Contacts, ","), delivery(d))
		}
	}
	return writeTable(w, "TIME\tHOST\tSERVICE\tTYPE\tSTATE\tACTION\tCONTACTS\tRESULT", rows)
}

// held says why nobody was told.
func held(h *wire.Holding) string {
	text := fmt.Sprintf("held: %s (%s)", h.Why, h.Rule)
	if h.Dependency != "" {
		text += ": " + h.Dependency
	}
	if h.Until != nil {
		text += ", until " + local(h.Until)
	}
	return text
}

// delivery says what became of a notification.
func delivery(d wire.NoticeDelivery) string {
	text := d.Result
	if d.Attempts > 1 {
		text += fmt.Sprintf(" after %d attempts", d.Attempts)
	}
	if d.Error != "" {
		if d.Result == state.Delivered.String() {
			text += ", but not everywhere"
		}
		text += ": " + string(wire.Brief(d.Error))
	}
	if d.Next != nil {
		text += ", again at " + local(d.Next)
	}
	return text
}
