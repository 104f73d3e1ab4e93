package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alf"
	"alf/api/wire"
	"alf/client"
)

func newAvailability(o *options) *cobra.Command {
	var t reportTime
	var soft bool
	cmd := &cobra.Command{
		Use: "availability HOST|HOSTGROUP [SERVICE]", Short: "Report how long hosts and services were in which state", Args: cobra.RangeArgs(1, 2), Annotations: readsOutput,
		Long: `Report how long a host and its services, or those of a hostgroup, were in which
state, last month if nothing else is asked for. Percents are of the whole time:
NOT-RUNNING is when Alf did not run, NO-DATA when the service was pending or not
configured, or what was before the log begins. While a service was stale, its last
known state counts. Of hosts that nothing checks there is no report.

A month and a day are those of the time zone of this command ($TZ). ` + timeHelp,
		Example: `  alf availability web1 --month 2026-10
  alf availability web1 load --from 30d
  alf availability @paris load --from 2026-10-01 --until 2026-10-15`,
		RunE: func(cmd *cobra.Command, args []string) error {
			from, until, err := t.bounds(time.Now())
			if err != nil {
				return usageError{err}
			}
			f := wire.AvailabilityFilter{From: from, Until: until, Soft: soft}
			if len(args) > 1 {
				f.Service = args[1]
			}
			if f.Host, f.Hostgroup, err = o.hostOrGroup(cmd.Context(), args[0]); err != nil {
				return err
			}
			return o.show(cmd, "/api/v1/availability?"+f.Values().Encode(), func(ctx context.Context, c *client.Client, w io.Writer) error {
				a, err := c.Availability(ctx, f)
				if err != nil {
					return err
				}
				return writeAvailability(w, a, time.Local)
			})
		},
	}
	t.flags(cmd)
	cmd.Flags().BoolVar(&soft, "soft", false, "count soft states, too")
	return cmd
}

// hostOrGroup tells what name is: a host, or else a hostgroup, which "@" before
// it makes sure of.
func (o *options) hostOrGroup(ctx context.Context, name string) (host, group string, err error) {
	if group, is := strings.CutPrefix(name, "@"); is {
		return "", group, nil
	}
	var problem *wire.Error
	_, err = o.daemon().Host(ctx, alf.HostName(name))
	if errors.As(err, &problem) && problem.Status == http.StatusNotFound {
		return "", name, nil
	}
	return name, "", err
}

// reportTime is the time to report on, as it was typed.
type reportTime struct{ month, from, until string }

func (t *reportTime) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.month, "month", "", "report on that `MONTH`, such as 2026-10")
	cmd.Flags().StringVar(&t.from, "from", "", "report from `TIME` on")
	cmd.Flags().StringVar(&t.until, "until", "", "report until `TIME` (default now)")
}

// bounds returns the time to report on, in the time zone of now if it is a
// month. A month with a change of the clocks is an hour longer or shorter.
func (t *reportTime) bounds(now time.Time) (from, until time.Time, err error) {
	first := time.Date(now.Year(), now.Month()-1, 1, 0, 0, 0, 0, now.Location())
	if t.month != "" {
		if first, err = time.ParseInLocation("2006-01", t.month, now.Location()); err != nil {
			return first, until, fmt.Errorf("--month: %q is not a month like 2026-10", t.month)
		}
	}
	switch {
	case t.from == "" && t.until == "":
		return first, first.AddDate(0, 1, 0), nil
	case t.month != "":
		return first, until, errors.New("--month goes with neither --from nor --until")
	case t.from == "":
		return first, until, errors.New("--until needs --from, too")
	}
	from, err = timeFlag("from", t.from, now)
	until, untilErr := timeFlag("until", t.until, now)
	return from, until, errors.Join(err, untilErr)
}

func writeAvailability(w io.Writer, a *wire.Availability, zone *time.Location) error {
	kind := "hard states"
	if a.Soft {
		kind = "soft states, too"
	}
	stamp := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05 MST") }
	whole := compact(a.Seconds)
	if _, err := fmt.Fprintf(w, "%s to %s (%s), %s\n", stamp(a.From), stamp(a.Until), whole, kind); err != nil {
		return err
	}
	var rows [][]string
	for _, h := range a.Hosts {
		rows = append(rows, append([]string{h.Host}, hostCells(h.HostShares)...))
	}
	if len(a.Hosts) > 1 {
		rows = append(rows, append([]string{"(average)"}, hostCells(*a.HostAverage)...))
	}
	if err := writePart(w, "HOST\tUP\tDOWN\tUNREACHABLE\tNOT-RUNNING\tNO-DATA", rows); err != nil {
		return err
	}
	rows = nil
	for _, s := range a.Services {
		rows = append(rows, append([]string{s.Host, s.Service}, serviceCells(s.ServiceShares)...))
	}
	if len(a.Services) > 1 {
		rows = append(rows, append([]string{"(average)", "-"}, serviceCells(*a.ServiceAverage)...))
	}
	return writePart(w, "HOST\tSERVICE\tOK\tWARNING\tCRITICAL\tUNKNOWN\tNOT-RUNNING\tNO-DATA", rows)
}

func writePart(w io.Writer, header string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return writeTable(w, header, rows)
}

func hostCells(s wire.HostShares) []string {
	return []string{cell(s.Up), cell(s.Down), cell(s.Unreachable), cell(s.NotRunning), cell(s.NoData)}
}

func serviceCells(s wire.ServiceShares) []string {
	return []string{cell(s.OK), cell(s.Warning), cell(s.Critical), cell(s.Unknown), cell(s.NotRunning), cell(s.NoData)}
}

func cell(s wire.Share) string {
	if s.Seconds == 0 {
		return "0%"
	}
	const tiny = 1e-9                                 // what a float may lack
	percent := math.Floor(s.Percent*1000+tiny) / 1000 // what is not all is not 100%
	return strconv.FormatFloat(percent, 'f', 3, 64) + "% " + compact(s.Seconds)
}

// compact writes a duration in the two largest units that it has.
func compact(seconds float64) string {
	s := int64(seconds + 0.5)
	switch {
	case s >= 24*60*60:
		return fmt.Sprintf("%dd%dh", s/(24*60*60), s%(24*60*60)/(60*60))
	case s >= 60*60:
		return fmt.Sprintf("%dh%dm", s/(60*60), s%(60*60)/60)
	case s >= 60:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}
