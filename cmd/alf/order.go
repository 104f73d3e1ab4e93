package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alf/api/wire"
	"alf/client"
)

// whom says on the command line whom an order is about.
type whom struct{ wire.Order }

const whomHelp = `Whom it is about: HOST, or SERVICE on HOST; or what the flags select, which are names
or patterns ("web*"). Everything that is given must fit.`

func (x *whom) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&x.Hosts, "host", nil, "hosts of these `NAMES` or patterns")
	f.StringSliceVar(&x.Hostgroups, "hostgroup", nil, "hosts in these `GROUPS`")
	f.StringSliceVar(&x.Services, "service", nil, "services of these `NAMES` or patterns, rather than the hosts themselves")
	f.BoolVar(&x.AllServices, "all-services", false, "the hosts and all services on them")
	f.StringSliceVar(&x.States, "state", nil, "only what is in these `STATES`: critical, down, ...")
	f.BoolVar(&x.DryRun, "dry-run", false, "only show whom it would be about")
	f.StringVar(&x.ID, "id", "", "`ID` of the order: what was given under it before is not given again")
}

// selects reports whether a flag selects somebody.
func (x *whom) selects() bool {
	return len(x.Hosts)+len(x.Hostgroups)+len(x.Services)+len(x.States) > 0 || x.AllServices || x.Later
}

// give gives the order: HOST and SERVICE are names, whatever stands in them;
// with flags, they are what the flags select.
func (x *whom) give(ctx context.Context, c *client.Client, args []string) (*wire.Ordered, error) {
	for i, s := range x.States {
		x.States[i] = strings.ToUpper(s)
	}
	if len(args) == 0 {
		return c.Order(ctx, x.Order)
	}
	k, err := key(args)
	if err != nil {
		return nil, err
	}
	if !x.selects() {
		return c.OrderOne(ctx, k, x.Order)
	}
	x.Hosts = append(x.Hosts, args[0])
	x.Services = append(x.Services, args[1:]...)
	return c.Order(ctx, x.Order)
}

// order gives the order and prints what has come of it.
func (o *options) order(cmd *cobra.Command, x *whom, args []string) error {
	out, err := x.give(cmd.Context(), o.daemon(), args)
	if err != nil {
		return err
	}
	if err := writeOrdered(cmd.OutOrStdout(), out); err != nil {
		return err
	}
	if out.Taken == 0 {
		return fmt.Errorf("%s: refused for all %d", out.Order, out.Refused)
	}
	return nil
}

// fewTargets are listed one by one, when all went well.
const fewTargets = 20

func writeOrdered(w io.Writer, out *wire.Ordered) error {
	verb := "ordered"
	if out.DryRun {
		verb = "would be ordered"
	}
	var rows [][]string
	for _, t := range out.Targets {
		if t.Error != "" || out.DryRun || len(out.Targets) <= fewTargets {
			rows = append(rows, []string{t.Host, orDash(t.Service), orDash(string(t.Error))})
		}
	}
	if len(rows) > 0 {
		if err := writeTable(w, "HOST\tSERVICE\tREFUSED", rows); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s %s for %d, refused for %d; id %s\n", out.Order, verb, out.Taken, out.Refused, orDash(out.ID))
	return err
}

func newAck(o *options) *cobra.Command {
	x := &whom{wire.Order{Order: wire.OrderAcknowledge}}
	var expires string
	cmd := &cobra.Command{
		Use: "ack [HOST [SERVICE]]", Short: "Acknowledge problems: somebody takes care of them", Args: cobra.MaximumNArgs(2), Annotations: readsSocket,
		Long: `Acknowledge problems. An acknowledgement goes when the state changes; a sticky one
when all is well again.

` + whomHelp,
		Example: `  alf ack web1 disk -m "ordered a new one"
  alf ack --hostgroup db --state critical --sticky -m "migration" --expires 4h`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if x.Expires, err = future("expires", expires); err != nil {
				return err
			}
			return o.order(cmd, x, args)
		},
	}
	x.flags(cmd)
	cmd.Flags().StringVarP(&x.Text, "message", "m", "", "say `TEXT` about it")
	cmd.Flags().BoolVar(&x.Sticky, "sticky", false, "keep it until the state is OK or UP")
	cmd.Flags().StringVar(&expires, "expires", "", "drop it at `TIME`, or after so long: 4h, 2d")
	return cmd
}

func newUnack(o *options) *cobra.Command {
	x := &whom{wire.Order{Order: wire.OrderUnacknowledge}}
	cmd := &cobra.Command{
		Use: "unack [HOST [SERVICE]]", Short: "Drop acknowledgements", Args: cobra.MaximumNArgs(2), Annotations: readsSocket,
		Long: "Drop acknowledgements.\n\n" + whomHelp,
		RunE: func(cmd *cobra.Command, args []string) error { return o.order(cmd, x, args) },
	}
	x.flags(cmd)
	return cmd
}

func newDowntime(o *options) *cobra.Command {
	x := &whom{wire.Order{Order: wire.OrderDowntime}}
	var start, end, length string
	cmd := &cobra.Command{
		Use: "downtime [HOST [SERVICE]]", Short: "Plan a time in which problems are expected", Args: cobra.MaximumNArgs(2), Annotations: readsSocket,
		Long: `Plan a downtime: fixed, from --start, or now, to --end or for as long as --for says; or
with --flexible, for as long as --for says from the first problem between --start and
--end on. A downtime of a host covers its services. "alf cancel ID" ends it.

` + whomHelp,
		Example: `  alf downtime web1 --for 2h -m "new disk"
  alf downtime --hostgroup paris --all-services --start "2026-12-01 22:00" --for 4h --later
  alf downtime web1 --flexible --end "2026-12-02 06:00" --for 1h
  alf downtime router1 --for 1h --children too`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if x.Start, err = future("start", start); err != nil {
				return err
			}
			if x.End, err = future("end", end); err != nil {
				return err
			}
			if length != "" {
				if err := x.Duration.UnmarshalText([]byte(length)); err != nil {
					return usageError{fmt.Errorf("--for: %w", err)}
				}
			}
			return o.order(cmd, x, args)
		},
	}
	x.flags(cmd)
	f := cmd.Flags()
	f.StringVarP(&x.Text, "message", "m", "", "say `TEXT` about it")
	f.StringVar(&start, "start", "", "begin at `TIME`, or after so long: 4h, 2d")
	f.StringVar(&end, "end", "", "end at `TIME`, or after so long")
	f.StringVar(&length, "for", "", "last for `DURATION`: 90m, 4h, 2d")
	f.BoolVar(&x.Flexible, "flexible", false, "begin with the first problem between --start and --end")
	f.StringVar(&x.Trigger, "trigger", "", "begin with the downtime of this `ID`")
	f.StringVar(&x.Children, "children", "", "hosts behind it: too, the same for them; triggered, theirs begins with its")
	f.BoolVar(&x.Later, "later", false, "also for hosts and services that are added later")
	return cmd
}

func newComment(o *options) *cobra.Command {
	x := &whom{wire.Order{Order: wire.OrderComment}}
	cmd := &cobra.Command{
		Use: "comment [HOST [SERVICE]] -m TEXT", Short: "Note something about hosts and services", Args: cobra.MaximumNArgs(2), Annotations: readsSocket,
		Long: "Note something. \"alf cancel ID\" drops it.\n\n" + whomHelp,
		RunE: func(cmd *cobra.Command, args []string) error { return o.order(cmd, x, args) },
	}
	x.flags(cmd)
	cmd.Flags().StringVarP(&x.Text, "message", "m", "", "the `TEXT`")
	return cmd
}

func newCancel(o *options) *cobra.Command {
	x := &whom{wire.Order{Order: wire.OrderCancel}}
	cmd := &cobra.Command{
		Use: "cancel [ID] [HOST [SERVICE]]", Short: "Cancel downtimes, acknowledgements or comments", Args: cobra.MaximumNArgs(3), Annotations: readsSocket,
		Long: `Cancel all that was ordered under an ID: a downtime, whether it has begun or not, an
acknowledgement or a comment. With HOST or flags, only that of those, and of the
services on these hosts.

Without an ID: --downtimes cancels every downtime of HOST or of what the flags select;
--recurring those that are there of [downtime.NAME], of everybody or of those. The
occurrences that follow are planned as ever.`,
		Example: `  alf cancel ticket-1
  alf cancel --downtimes --host "web*" --dry-run
  alf cancel --recurring backup`,
		RunE: func(cmd *cobra.Command, args []string) error {
			byID := !x.Downtimes && x.Recurring == ""
			switch {
			case byID && len(args) == 0:
				return usageError{errors.New("which one? give an ID, --downtimes or --recurring")}
			case byID:
				x.ID, args = args[0], args[1:]
			case len(args) > 2:
				return usageError{errors.New("with --downtimes and --recurring there is no ID, only HOST and SERVICE")}
			}
			return o.order(cmd, x, args)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&x.Hosts, "host", nil, "hosts of these `NAMES` or patterns")
	f.StringSliceVar(&x.Hostgroups, "hostgroup", nil, "hosts in these `GROUPS`")
	f.StringSliceVar(&x.Services, "service", nil, "services of these `NAMES` or patterns")
	f.BoolVar(&x.AllServices, "all-services", false, "the hosts and all services on them")
	f.BoolVar(&x.Downtimes, "downtimes", false, "rather than by an ID, cancel all downtimes of the selected")
	f.StringVar(&x.Recurring, "recurring", "", "rather than by an ID, cancel what is there of [downtime.`NAME`]")
	f.BoolVar(&x.DryRun, "dry-run", false, "only show whom it would be about")
	return cmd
}

func newSwitch(o *options, order, short string) *cobra.Command {
	x := &whom{wire.Order{Order: order}}
	cmd := &cobra.Command{
		Use: order + " WHAT [HOST [SERVICE]]", Short: short, Args: cobra.RangeArgs(1, 3), Annotations: readsSocket,
		Long: "WHAT is one or several, joined by commas, of " + strings.Join(wire.Switches, ", ") + ".\n\n" + whomHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			x.What = strings.Split(args[0], ",")
			return o.order(cmd, x, args[1:])
		},
	}
	x.flags(cmd)
	return cmd
}

func newRecheck(o *options) *cobra.Command {
	x := &whom{wire.Order{Order: wire.OrderRecheck}}
	cmd := &cobra.Command{
		Use: "recheck [HOST [SERVICE]]", Short: "Run checks now, whatever their schedule says", Args: cobra.MaximumNArgs(2), Annotations: readsSocket,
		Long: "Run checks now. It does not wait for the results.\n\n" + whomHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || x.selects() {
				return o.order(cmd, x, args)
			}
			k, err := key(args)
			if err != nil {
				return err
			}
			return o.daemon().Recheck(cmd.Context(), k)
		},
	}
	x.flags(cmd)
	return cmd
}

// future reads a time to come: an absolute one as elsewhere, or how long from now.
func future(name, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	now := time.Now()
	var in wire.Duration
	if in.UnmarshalText([]byte(text)) == nil {
		return new(now.Add(time.Duration(in))), nil
	}
	t, err := timeFlag(name, text, now)
	if err != nil {
		return nil, usageError{fmt.Errorf("--%s: %q is neither like 2026-10-25 14:30, 2026-10-25T02:30:00Z nor a duration from now like 90m, 4h, 2d", name, text)}
	}
	return &t, nil
}
