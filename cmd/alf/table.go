package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"alf/api/wire"
	"alf/internal/sanitize"
)

// tables are plain text: columns for people, and for awk.
func writeTable(w io.Writer, header string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, header)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = sanitize.Terminal(cell)
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

func writeServices(w io.Writer, services []wire.Service) error {
	var rows [][]string
	for _, s := range services {
		at, output := s.LastStateChange, s.Output
		if s.Stale != nil {
			at, output = &s.Stale.Since, s.Stale.Output
		}
		rows = append(rows, []string{s.Host, orDash(s.Service), stateOf(s.Head), attempt(s.Head), since(at), string(wire.Brief(output))})
	}
	return writeTable(w, "HOST\tSERVICE\tSTATE\tATTEMPT\tSINCE\tOUTPUT", rows)
}

func writeCounts(w io.Writer, c wire.Counts) error {
	h, s := c.Hosts, c.Services
	_, err := fmt.Fprintf(w, "\nHosts: %d, %d up, %d down, %d unreachable, %d pending\nServices: %d, %d ok, %d warning, %d critical, %d unknown, %d pending\nStale: %d\nHeld: %d\nProblems: %d, %d unhandled, %d handled\n",
		h.Total, h.Up, h.Down, h.Unreachable, h.Pending, s.Total, s.OK, s.Warning, s.Critical, s.Unknown, s.Pending, c.Stale, c.Held,
		c.Problems, c.Unhandled, c.Handled)
	return err
}

func writeHost(w io.Writer, h *wire.Host) error {
	f := fields{w: w}
	f.line("Host", h.Name)
	f.line("Alias", h.Alias)
	f.line("Address", h.Address)
	f.line("Hostgroups", strings.Join(h.Hostgroups, ", "))
	f.head(h.Head)
	f.line("Notes", h.NotesURL)
	fmt.Fprintln(w)
	return f.err
}

func writeService(w io.Writer, s *wire.Service) error {
	f := fields{w: w}
	f.line("Host", s.Host)
	f.line("Service", s.Service)
	f.line("Check", s.Check)
	f.head(s.Head)
	f.line("Command", string(s.Command))
	f.line("Notes", s.NotesURL)
	return f.err
}

// fields writes one line for each thing that is known.
type fields struct {
	w   io.Writer
	err error
}

func (f *fields) line(name, value string) {
	if value == "" || f.err != nil {
		return
	}
	_, f.err = fmt.Fprintf(f.w, "%-13s %s\n", name+":", sanitize.Terminal(value))
}

func (f *fields) head(h wire.Head) {
	f.line("State", stateOf(h)+" "+attempt(h))
	f.line("Output", string(h.Output))
	for line := range strings.Lines(string(h.LongOutput)) {
		f.line("", strings.TrimSuffix(line, "\n"))
	}
	for _, d := range h.Perfdata {
		f.line("Perfdata", item(d))
	}
	if h.Stale != nil {
		f.line("Stale", fmt.Sprintf("%s since %s: %s", h.Stale.Cause, local(&h.Stale.Since), h.Stale.Output))
	}
	f.handling(h.Handling)
	f.line("Since", local(h.LastStateChange))
	f.line("Last check", local(h.LastCheck))
	f.line("Next check", local(h.NextCheck))
	if h.Held != nil {
		f.line("Held", string(h.Held.Why))
	}
	f.line("Schedule", h.Schedule)
	f.line("Check period", h.CheckPeriod)
	if h.LastCheck != nil {
		f.line("Ran for", strconv.FormatFloat(h.Duration, 'f', 3, 64)+" s")
	}
}

func item(d wire.Datum) string {
	value := "U"
	if d.Value != nil {
		value = strconv.FormatFloat(*d.Value, 'g', -1, 64)
	}
	return string(d.Label) + " = " + value + string(d.UOM) + bound("warn", d.Warn) + bound("crit", d.Crit)
}

func bound(name string, r *string) string {
	if r == nil {
		return ""
	}
	return ", " + name + " " + *r
}

func writeResults(w io.Writer, results []wire.Result) error {
	var rows [][]string
	for _, r := range results {
		kind := "-"
		if r.Attempt > 0 {
			kind = fmt.Sprintf("%s %d/%d", r.StateType, r.Attempt, r.MaxCheckAttempts)
		}
		rows = append(rows, []string{local(&r.Time), r.State, kind, r.Cause, strconv.FormatFloat(r.Duration, 'f', 3, 64) + "s", string(wire.Brief(r.Output))})
	}
	return writeTable(w, "TIME\tSTATE\tTYPE\tCAUSE\tTOOK\tOUTPUT", rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func stateOf(h wire.Head) string { return h.State + marks(h) }

func attempt(h wire.Head) string {
	if h.Pending {
		return "-"
	}
	return fmt.Sprintf("%s %d/%d", h.StateType, h.Attempt, h.MaxCheckAttempts)
}

// since prints how long ago t was.
func since(t *time.Time) string {
	if t == nil {
		return "-"
	}
	switch d := time.Since(*t).Round(time.Second); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}

func local(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
