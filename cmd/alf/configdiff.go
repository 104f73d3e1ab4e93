package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"alf/api/wire"
	"alf/client"
	"alf/internal/sanitize"
)

func newConfigDiff(o *options) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "diff", Short: "Show what a reload would change", Args: cobra.NoArgs, Annotations: readsOutput,
		Long: `Show what a reload would add (+), remove (-), rename (>) and change (~), down to
the setting, whether it would be refused, and what has to wait for the next start. The running
daemon reads its files and compares; it changes nothing. The exit code is 0 whether
or not anything differs, and 1 if the files are wrong: then all mistakes are printed.
Of very many, the first ones are shown, unless --all is given; --output json and xml
have all of them.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.show(cmd, "/api/v1/config/diff", func(ctx context.Context, c *client.Client, w io.Writer) error {
				d, err := c.ConfigDiff(ctx)
				if err != nil {
					return err
				}
				for _, text := range d.Warnings {
					fmt.Fprintln(cmd.ErrOrStderr(), "alf: warning: "+sanitize.Terminal(string(text)))
				}
				p := diffPrinter{bufio.NewWriter(w), diffShown}
				if all {
					p.most = 0
				}
				return p.print(d)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "show all, however many there are")
	return cmd
}

// diffShown is how many of a kind are shown unless all are wanted.
const diffShown = 20

// diffPrinter prints a difference for people. Its writer keeps the first error.
type diffPrinter struct {
	w    *bufio.Writer
	most int // of each kind; 0: all
}

func (p diffPrinter) line(format string, args ...any) {
	fmt.Fprintln(p.w, sanitize.Terminal(fmt.Sprintf(format, args...)))
}

func (p diffPrinter) print(d *wire.ConfigDiff) error {
	p.added(d)
	p.keys("-", d.Removed)
	for i, r := range d.Renamed {
		if p.cut(">", i, len(d.Renamed)) {
			break
		}
		p.line("> %s (was %s)", r.To.Key(), r.From.Key())
	}
	p.changed(d.Changed)
	if n := d.Counts; n.Added+n.Removed+n.Changed+n.Renamed == 0 {
		p.line("No host and no service would change: %d kept.", n.Kept)
	} else {
		p.line("%d added, %d removed, %d renamed, %d changed, %d kept (hosts and services).", n.Added, n.Removed, n.Renamed, n.Changed, n.Kept)
	}
	for i, t := range d.Tables {
		if p.cut("~", i, len(d.Tables)) {
			break
		}
		p.line("[%s] is %s.", t.Name, t.Change)
	}
	if len(d.Restart) > 0 {
		p.line("At the next start: %s.", strings.Join(d.Restart, ", "))
	}
	if d.Refused != "" {
		p.line("A reload would be refused: %s", d.Refused)
	}
	return p.w.Flush()
}

// added prints what is new, and with what of before it goes on.
func (p diffPrinter) added(d *wire.ConfigDiff) {
	was := make(map[wire.ConfigKey]wire.ConfigKey)
	for _, r := range d.Returning {
		was[r.To] = r.From
	}
	for i, k := range d.Added {
		if p.cut("+", i, len(d.Added)) {
			return
		}
		from, returns := was[k]
		switch {
		case !returns:
			p.line("+ %s", k.Key())
		case from == k:
			p.line("+ %s (goes on as it was)", k.Key())
		default:
			p.line("+ %s (goes on as %s was)", k.Key(), from.Key())
		}
	}
}

func (p diffPrinter) keys(mark string, keys []wire.ConfigKey) {
	for i, k := range keys {
		if p.cut(mark, i, len(keys)) {
			return
		}
		p.line("%s %s", mark, k.Key())
	}
}

// cut reports whether the rest of n is left out, and says so.
func (p diffPrinter) cut(mark string, i, n int) bool {
	if p.most == 0 || i < p.most {
		return false
	}
	p.line("%s and %d more", mark, n-i)
	return true
}

// changed prints together what has the same settings changed.
func (p diffPrinter) changed(all []wire.ConfigChanged) {
	groups, order := make(map[string][]wire.ConfigKey), []string(nil)
	for _, c := range all {
		text := settingsText(c.Settings)
		if groups[text] == nil {
			order = append(order, text)
		}
		groups[text] = append(groups[text], c.ConfigKey)
	}
	for i, text := range order {
		if p.cut("~", i, len(order)) {
			return
		}
		p.keys("~", groups[text])
		for line := range strings.Lines(text) {
			p.line("    %s", strings.TrimSuffix(line, "\n"))
		}
	}
}

func settingsText(settings []wire.ConfigSetting) string {
	if len(settings) == 0 {
		return "its host differs\n"
	}
	var b strings.Builder
	for _, s := range settings {
		if s.From == s.To {
			fmt.Fprintf(&b, "%s differs\n", s.Name)
			continue
		}
		fmt.Fprintf(&b, "%s: %s -> %s\n", s.Name, orNone(s.From), orNone(s.To))
	}
	return b.String()
}

func orNone(t wire.Text) string {
	if t == "" {
		return "(none)"
	}
	return strings.Join(strings.Fields(string(t)), " ")
}
