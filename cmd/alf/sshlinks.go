package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"alf/api/wire"
	"alf/client"
	"alf/sshmux"
)

func newSSHLinks(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "links [HOST...]", Short: "Show the connections of the daemon to hosts", Annotations: readsOutput,
		Long: `Show the connections that the daemon has to these hosts, or to all that it has logged in
to: whether they are up, dialling, idle (closed until they are needed, see idle_timeout) or
down, how many sessions are in use of how many, how many checks wait for one, whether one is
opened ahead (see prefetch), the newest round trip, and the newest failure.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/api/v1/links"
			if len(args) > 0 {
				path += "?" + url.Values{"host": args}.Encode()
			}
			return o.show(cmd, path, func(ctx context.Context, c *client.Client, w io.Writer) error {
				l, err := c.Links(ctx, args...)
				if err != nil {
					return err
				}
				return writeLinks(w, l.Links)
			})
		},
	}
}

func writeLinks(w io.Writer, all []wire.Link) error {
	var rows [][]string
	for _, l := range all {
		rows = append(rows, []string{
			string(l.Host), string(l.Address), orDash(string(l.Via)), l.State, since(l.Since), sessions(l), strconv.Itoa(l.Queued),
			ahead(l), roundTrip(l), strconv.FormatUint(l.Dials, 10), since(l.LastFailure), orDash(string(l.Error)),
		})
	}
	return writeTable(w, "HOST\tADDRESS\tVIA\tSTATE\tSINCE\tSESSIONS\tQUEUED\tAHEAD\tRTT\tDIALS\tFAILURE\tERROR", rows)
}

func sessions(l wire.Link) string {
	if l.Limit == 0 {
		return "-"
	}
	text := fmt.Sprintf("%d/%d", l.InUse, l.Limit)
	if l.Held > 0 {
		text += fmt.Sprintf(" (%d held)", l.Held)
	}
	return text
}

func ahead(l wire.Link) string {
	switch {
	case !l.Prefetch:
		return "-"
	case l.Ahead:
		return "yes"
	}
	return "no"
}

func roundTrip(l wire.Link) string {
	if l.RTTSeconds == nil {
		return "-"
	}
	return time.Duration(*l.RTTSeconds * float64(time.Second)).Round(10 * time.Microsecond).String()
}

// links is what the API says of the connections.
func (h *house) links() wire.Links {
	all := h.runner.Links()
	out := wire.Links{Links: make([]wire.Link, 0, len(all))}
	for _, l := range all {
		out.Links = append(out.Links, linkOf(l))
	}
	return out
}

func linkOf(l sshmux.LinkStats) wire.Link {
	out := wire.Link{
		Host: wire.Text(l.Name), Address: wire.Text(l.Addr), User: wire.Text(l.User), Via: wire.Text(l.Via),
		State: string(l.State), Since: moment(l.Since),
		InUse: l.InUse, Held: l.Held, Limit: l.MaxSessions, Queued: l.Queued, Prefetch: l.Prefetch, Ahead: l.Ahead,
		Dials: l.Dials, Failures: l.Failures, LastFailure: moment(l.LastErrorAt),
	}
	if l.RTT > 0 {
		seconds := l.RTT.Seconds()
		out.RTTSeconds = &seconds
	}
	if l.LastError != nil {
		out.Error = wire.Text(l.LastError.Error())
	}
	if l.Retry.After(time.Now()) {
		out.Retry = moment(l.Retry)
	}
	return out
}

// moment returns a time as the API has it: null for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
