package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alf"
	"alf/api/wire"
	"alf/client"
	"alf/config"
)

// daemon returns a client of the running Alf: the one of --socket, of
// $ALF_SOCKET, or of the configuration.
func (o *options) daemon() *client.Client {
	return client.New(cmp.Or(o.socket, os.Getenv("ALF_SOCKET"), config.Socket(o.config)))
}

// show prints what the API answers at path: as it comes, in the format that is
// asked for, or as table makes it.
func (o *options) show(cmd *cobra.Command, path string, table func(context.Context, *client.Client, io.Writer) error) error {
	accept, raw := map[string]string{"json": "application/json", "xml": "application/xml"}[o.output]
	switch {
	case o.output == "table":
		return table(cmd.Context(), o.daemon(), cmd.OutOrStdout())
	case !raw:
		return usageError{fmt.Errorf("output %q is none of table, json, xml", o.output)}
	}
	body, err := o.daemon().Raw(cmd.Context(), path, accept)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(cmd.OutOrStdout(), body)
	return err
}

// key returns the key of a host, or of a service on it, that args name.
func key(args []string) (alf.Key, error) {
	k := alf.Key{Host: alf.HostName(args[0])}
	if len(args) > 1 {
		k.Service = alf.ServiceName(args[1])
	}
	if err := k.Validate(); err != nil {
		return k, usageError{err}
	}
	return k, nil
}

func newStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status [HOST [SERVICE]]", Short: "Show the state of everything, a host or a service", Args: cobra.MaximumNArgs(2), Annotations: readsOutput,
		Long: `Show the state of all services, of those on a host, or all that is known of one
service, as the running daemon has it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return o.show(cmd, "/api/v1/services", statusOfAll)
			case 1:
				f := wire.Filter{Hosts: args}
				return o.show(cmd, "/api/v1/services?"+f.Values().Encode(), func(ctx context.Context, c *client.Client, w io.Writer) error {
					return statusOfHost(ctx, c, w, alf.HostName(args[0]))
				})
			}
			k, err := key(args)
			if err != nil {
				return err
			}
			return o.show(cmd, "/api/v1/"+wire.Path(k), func(ctx context.Context, c *client.Client, w io.Writer) error {
				s, err := c.Service(ctx, k)
				if err != nil {
					return err
				}
				return writeService(w, s)
			})
		},
	}
}

func statusOfAll(ctx context.Context, c *client.Client, w io.Writer) error {
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	hosts, err := c.Hosts(ctx, wire.Filter{})
	if err != nil {
		return err
	}
	services, err := c.Services(ctx, wire.Filter{})
	if err != nil {
		return err
	}
	rows := services.Services
	for _, h := range hosts.Hosts {
		rows = append(rows, wire.Service{Host: h.Name, Head: h.Head})
	}
	slices.SortFunc(rows, func(a, b wire.Service) int { return a.Key().Compare(b.Key()) })
	if err := writeServices(w, rows); err != nil {
		return err
	}
	return writeCounts(w, st.Counts)
}

func statusOfHost(ctx context.Context, c *client.Client, w io.Writer, name alf.HostName) error {
	h, err := c.Host(ctx, name)
	if err != nil {
		return err
	}
	services, err := c.Services(ctx, wire.Filter{Hosts: []string{string(name)}})
	if err != nil {
		return err
	}
	if err := writeHost(w, h); err != nil {
		return err
	}
	return writeServices(w, services.Services)
}

func newProblems(o *options) *cobra.Command {
	var soft, unhandled bool
	cmd := &cobra.Command{
		Use: "problems", Short: "Show what is not as it should be, the worst first", Args: cobra.NoArgs, Annotations: readsOutput,
		Long: `Show what is not as it should be: first what nobody takes care of, then what is
acknowledged or in downtime, of each the worst first.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := wire.Filter{Soft: soft}
			if unhandled {
				f.Handled = new(false)
			}
			return o.show(cmd, "/api/v1/problems?"+f.Values().Encode(), func(ctx context.Context, c *client.Client, w io.Writer) error {
				p, err := c.Problems(ctx, f)
				if err != nil {
					return err
				}
				if len(p.Problems) == 0 {
					_, err := fmt.Fprintln(w, "No problems.")
					return err
				}
				return writeServices(w, p.Problems)
			})
		},
	}
	cmd.Flags().BoolVar(&unhandled, "unhandled", false, "leave out what is acknowledged or in downtime")
	cmd.Flags().BoolVar(&soft, "soft", false, "show those, too, that are still being retried")
	return cmd
}

func newSubmit(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "submit HOST [SERVICE] STATUS [OUTPUT]", Short: "Hand in a result that somebody else found", Args: cobra.RangeArgs(2, 4), Annotations: readsSocket,
		Long: `Hand in the result of a check that was run elsewhere (a passive result). STATUS
of a service is a return code from 0 to 3 or its name; without SERVICE it is the
host's own: 0 to 2, or UP, DOWN, UNREACHABLE. OUTPUT is what a plugin prints, perfdata
behind a "|" included; without it, it is read from standard input.`,
		Example: `  alf submit db1 backup 0 "OK - 12 GB in 4 min|size=12GB"
  backup.sh | alf submit db1 backup OK
  alf submit printer1 DOWN "out of order"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			k, status, rest, err := submitted(args)
			if err != nil {
				return err
			}
			output, err := outputOf(cmd, rest)
			if err != nil {
				return err
			}
			return o.daemon().Submit(cmd.Context(), k, wire.Submission{Status: k.StatusName(status), Output: output})
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf(`%w; STATUS is a return code from 0 to 3 or a name, and before an OUTPUT that begins with "-" goes "--"`, err)}
	})
	return cmd
}

// submitted reads what a result is for, its status, and the rest. Of three, the
// last one is the status if it can be: HOST SERVICE STATUS.
func submitted(args []string) (alf.Key, alf.Status, []string, error) {
	n := 2
	if len(args) == 2 || len(args) == 3 && ofHost(args) {
		n = 1
	}
	k, err := key(args[:n])
	if err != nil {
		return k, 0, nil, err
	}
	status, err := k.ParseStatus(args[n])
	if err != nil {
		return k, 0, nil, usageError{err}
	}
	return k, status, args[n+1:], nil
}

// ofHost reports whether three arguments are HOST STATUS OUTPUT.
func ofHost(args []string) bool {
	_, service := alf.ParseStatus(args[2])
	_, host := alf.Key{Host: alf.HostName(args[0])}.ParseStatus(args[1])
	return service != nil && host == nil
}

// maxSubmit bounds what is read from standard input; the API takes no more.
const maxSubmit = 1 << 20

func outputOf(cmd *cobra.Command, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxSubmit))
	if err != nil {
		return "", fmt.Errorf("read the output: %w", err)
	}
	return string(raw), nil
}

func newReload(o *options) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "reload", Short: "Make the daemon read its configuration again", Args: cobra.NoArgs, Annotations: readsSocket,
		Long: `Make the daemon read its configuration again, as SIGHUP does. If it is wrong, all
mistakes are printed and the old one goes on. So it does if more hosts or services
would disappear than max_removed in [daemon] allows, unless --force is given.
"alf config diff" shows before what would change.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reload := o.daemon().Reload
			if force {
				reload = o.daemon().ForceReload
			}
			if err := reload(cmd.Context()); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "however many hosts and services disappear")
	return cmd
}

func newLog(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "log [ROOM LEVEL]", Short: "Show or change what the daemon logs", Args: cobra.MatchAll(cobra.MaximumNArgs(2), notOne), Annotations: readsSocket,
		Long: `Show the log level of each part of the daemon, or change one until the next
reload: debug, info, warn or error.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return o.daemon().SetLevel(cmd.Context(), args[0], args[1])
			}
			levels, err := o.daemon().Levels(cmd.Context())
			if err != nil {
				return err
			}
			for _, l := range levels {
				fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s\n", l.Room, strings.ToLower(l.Level))
			}
			return nil
		},
	}
}

func notOne(_ *cobra.Command, args []string) error {
	if len(args) == 1 {
		return fmt.Errorf("room %q needs a level, too", args[0])
	}
	return nil
}
