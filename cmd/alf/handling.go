package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alf/api/wire"
	"alf/client"
)

func newDowntimes(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "downtimes [HOST [SERVICE]]", Short: "List the downtimes, planned and active", Args: cobra.MaximumNArgs(2), Annotations: readsOutput,
		Long: `List the downtimes that are planned or active: all, those of a host and the
services on it, or those of a service. The ID is what cancels one.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return showList(cmd, o, "downtimes", args, func(w io.Writer, l *wire.Downtimes) error { return writeDowntimes(w, l.Downtimes) })
		},
	}
}

func newComments(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "comments [HOST [SERVICE]]", Short: "List the comments, the newest first", Args: cobra.MaximumNArgs(2), Annotations: readsOutput,
		Long: `List what people noted: all, what is about a host and the services on it, or what
is about a service. The ID is what deletes one.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return showList(cmd, o, "comments", args, func(w io.Writer, l *wire.Comments) error { return writeComments(w, l.Comments) })
		},
	}
}

// showList shows the API's list of that name about what args name.
func showList[T any](cmd *cobra.Command, o *options, name string, args []string, write func(io.Writer, *T) error) error {
	path := "/api/v1/" + name
	if len(args) > 0 {
		if _, err := key(args); err != nil {
			return err
		}
		path += "?" + wire.Filter{Hosts: args[:1], Services: args[1:]}.Values().Encode()
	}
	return o.show(cmd, path, func(ctx context.Context, c *client.Client, w io.Writer) error {
		body, err := c.Raw(ctx, path, "application/json")
		if err != nil {
			return err
		}
		defer body.Close()
		all := new(T)
		if err := json.NewDecoder(body).Decode(all); err != nil {
			return fmt.Errorf("read the list of %s: %w", name, err)
		}
		return write(w, all)
	})
}

func writeDowntimes(w io.Writer, all []wire.DowntimeOrder) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No downtimes.")
		return err
	}
	var rows [][]string
	for _, d := range all {
		until := d.Until()
		rows = append(rows, []string{string(d.ID), phase(d.Downtime), local(start(d.Downtime)), local(&until), kind(d.Downtime),
			covered(d.Keys), string(d.Author), string(d.Text)})
	}
	return writeTable(w, "ID\tSTATE\tSTART\tEND\tTYPE\tFOR\tAUTHOR\tTEXT", rows)
}

func writeComments(w io.Writer, all []wire.CommentOrder) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No comments.")
		return err
	}
	var rows [][]string
	for _, c := range all {
		rows = append(rows, []string{string(c.ID), local(&c.Time), covered(c.Keys), string(c.Author), string(c.Text)})
	}
	return writeTable(w, "ID\tTIME\tFOR\tAUTHOR\tTEXT", rows)
}

func phase(d wire.Downtime) string {
	if d.InEffect {
		return wire.Active
	}
	return wire.Planned
}

// start returns when d begins, or when it did, if something else than its start
// began it.
func start(d wire.Downtime) *time.Time {
	if d.Began != nil && (d.Flexible || d.Began.Before(d.Start)) {
		return d.Began
	}
	return &d.Start
}

// kind says what begins d, and how long it lasts if that is not said by its end.
func kind(d wire.Downtime) string {
	text := "fixed"
	if d.Flexible {
		text = "flexible " + compact(d.Duration)
	}
	if d.Trigger != "" {
		text += " with " + string(d.Trigger)
	}
	return text
}

// covered names the first few of keys.
func covered(keys []wire.Key) string {
	const shown = 2
	text := ""
	for i, k := range keys {
		switch {
		case i == shown:
			return text + " and " + strconv.Itoa(len(keys)-shown) + " more"
		case i > 0:
			text += ", "
		}
		text += k.Host
		if k.Service != "" {
			text += "!" + k.Service
		}
	}
	return text
}

// marks are what stands behind a state in a table.
func marks(h wire.Head) (out string) {
	mark := func(text string, is bool) {
		if is {
			out += " (" + text + ")"
		}
	}
	if h.Stale != nil {
		mark("stale: "+h.Stale.Cause, true)
	}
	mark("ack", h.Acknowledged)
	mark("downtime", h.DowntimeDepth > 0)
	mark("host downtime", h.HostDowntime && h.DowntimeDepth == 0)
	mark("flapping", h.Flapping)
	mark("host problem", h.HostProblem)
	if h.Held != nil {
		mark("held: "+h.Held.Short(), true)
	}
	return out
}

// handling says in the detail view what people and time did.
func (f *fields) handling(h wire.Handling) {
	if h.Acknowledgement != nil {
		f.line("Acknowledged", acknowledged(h.Acknowledgement))
	}
	for _, d := range h.Downtimes {
		f.line("Downtime", string(d.ID)+", "+when(d)+", "+kind(d)+", by "+string(d.Author)+noted(d.Text))
	}
	if h.HostDowntime {
		f.line("Downtime", "that of the host")
	}
	for _, c := range h.Comments {
		f.line("Comment", fmt.Sprintf("%s, %s, by %s%s", c.ID, local(&c.Time), c.Author, noted(c.Text)))
	}
	if h.Flapping {
		f.line("Flapping", strconv.FormatFloat(h.PercentStateChange, 'f', 1, 64)+"% state change")
	}
	f.line("Switched off", strings.Join(h.Disabled, ", "))
}

func acknowledged(a *wire.Acknowledgement) string {
	text := local(&a.Time)
	if a.Sticky {
		text += ", sticky"
	}
	if a.Expires != nil {
		text += ", until " + local(a.Expires)
	}
	return text + ", by " + string(a.Author) + noted(a.Text)
}

// when says when d is in effect, or may come to be.
func when(d wire.Downtime) string {
	until := d.Until()
	if d.InEffect {
		return "in effect from " + local(start(d)) + " to " + local(&until)
	}
	return "planned from " + local(&d.Start) + " to " + local(&until)
}

func noted(text wire.Text) string {
	if text == "" {
		return ""
	}
	return ": " + string(text)
}
