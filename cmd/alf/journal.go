package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"alf/api"
	"alf/api/wire"
	"alf/client"
	"alf/config"
	"alf/state/archive"
	"alf/state/jetstream"
)

func newJournal(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "journal", Short: "Show, export or import what Alf remembers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newJournalInfo(o), newJournalExport(o), newJournalImport(o))
	return cmd
}

func newJournalInfo(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "info", Short: "Show what is kept, and how much of it", Args: cobra.NoArgs, Annotations: readsOutput,
		Long: `Show what the journal keeps: its parts with their sizes, ages and bounds, what was
found damaged, and how far its readers are. The daemon is asked; if none runs, the
journal that --config names is opened, to look into it only.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write := map[string]func(io.Writer, *wire.Journal) error{"table": writeJournal, "json": writeJSON, "xml": writeXML}[o.output]
			if write == nil {
				return usageError{fmt.Errorf("output %q is none of table, json, xml", o.output)}
			}
			info, err := o.daemon().Journal(cmd.Context())
			if errors.Is(err, client.ErrAbsent) {
				err = o.look(cmd, func(k keeper) (err error) { info, err = k.info(cmd.Context()); return err })
			}
			if err != nil {
				return err
			}
			return write(cmd.OutOrStdout(), info)
		},
	}
}

func newJournalExport(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "export [FILE]", Short: "Write all that is kept into a file", Args: cobra.MaximumNArgs(1), Annotations: readsSocket,
		Long: `Write all that is kept as JSON lines into FILE, or to standard output: what people
made, the last results of everything, the log, and the events that wait for readers.
The daemon goes on meanwhile; what it had kept before is in the export. If none runs,
the journal that --config names is opened, to look into it only.

The last line counts the lines before it, so that a file that was cut off is noticed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return toFile(cmd.OutOrStdout(), fileOf(args), func(w io.Writer) error {
				from, err := o.daemon().Export(cmd.Context())
				if errors.Is(err, client.ErrAbsent) {
					return o.look(cmd, func(k keeper) error { return k.Export(cmd.Context(), w) })
				}
				if err != nil {
					return err
				}
				defer from.Close()
				if _, err = io.Copy(w, from); err != nil {
					return fmt.Errorf("the export broke off: %w", err)
				}
				return nil
			})
		},
	}
}

func newJournalImport(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Make a journal of what was exported", Args: cobra.ExactArgs(1), Annotations: readsSocket,
		Long: `Make the journal that --config names of an export in FILE, or on standard input if
FILE is "-". There must be no journal yet, and no daemon may run. If the import fails,
nothing is left of it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := o.daemon().Status(cmd.Context())
			if err == nil {
				return errors.New("the daemon is running: stop it before an import")
			}
			if !errors.Is(err, client.ErrAbsent) {
				return fmt.Errorf("is the daemon running? %w", err)
			}
			from := cmd.InOrStdin()
			if fileOf(args) != "" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				from = f
			}
			return o.restore(cmd, from, args[0])
		},
	}
}

// fileOf returns the file that args name, or "" for standard input or output.
func fileOf(args []string) string {
	if len(args) == 0 || args[0] == "-" {
		return ""
	}
	return args[0]
}

// toFile lets write write a file, or to standard output if it has no name. The
// file is there as a whole or not at all, and nobody else may read it.
func toFile(stdout io.Writer, name string, write func(io.Writer) error) error {
	if name == "" {
		return write(stdout)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// journalOptions are those of the journal that --config names.
func (o *options) journalOptions(cmd *cobra.Command) (jetstream.Options, error) {
	load := loadOptions()
	load.NoSecrets = true // the rest of the configuration is not needed
	c, err := config.Load(o.config, load)
	if err != nil {
		return jetstream.Options{}, err
	}
	logs := newLogs(cmd.ErrOrStderr(), c.Daemon.LogFormat)
	logs.set(slog.LevelWarn, nil)
	j := journalOptions(c, logs.room("journal"))
	if j.URL == "" {
		err = ours(j.Dir)
	}
	return j, err
}

// ours refuses a directory of somebody else: what is written there by another
// user, and be it root, the daemon could not open any more.
func ours(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		return ours(filepath.Dir(dir))
	}
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if int(owner) == os.Geteuid() {
		return nil
	}
	name := strconv.Itoa(int(owner))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return fmt.Errorf("%s belongs to %s: run this as that user, or the daemon could not use it afterwards", dir, name)
}

// look opens the journal for f to look into it.
func (o *options) look(cmd *cobra.Command, f func(keeper) error) error {
	j, err := o.journalOptions(cmd)
	if err != nil {
		return err
	}
	j.ReadOnly = true
	record, err := jetstream.Open(cmd.Context(), j)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	return errors.Join(f(keeper{record, nil}), record.Close())
}

// restore makes the journal of an export.
func (o *options) restore(cmd *cobra.Command, from io.Reader, name string) error {
	j, err := o.journalOptions(cmd)
	if err != nil {
		return err
	}
	counts := make(map[archive.Type]int)
	err = jetstream.Restore(cmd.Context(), j, func(add func(archive.Item) error) error {
		return archive.Read(from, name, func(i archive.Item) error { counts[i.Type]++; return add(i) })
	})
	if err != nil {
		return fmt.Errorf("nothing was imported: %w", err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "imported: %d documents, %d places, %d events of histories, %d of the log, %d of the feed\n",
		counts[archive.Document], counts[archive.Place], counts[archive.History], counts[archive.Log], counts[archive.Feed])
	if n := counts[archive.Damaged]; n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "alf: warning: %d damaged parts were left out by the export\n", n)
	}
	return err
}

// keeper says what a record keeps. It implements api.Journal.
type keeper struct {
	record *jetstream.Record
	stats  func() jetstream.Stats // nil: it is only looked into
}

// keeperOf returns the keeper of the daemon's record; nil: the engine is another.
func keeperOf(record journal) api.Journal {
	if r, ok := record.(*jetstream.Record); ok {
		return keeper{r, r.Stats}
	}
	return nil
}

// Export implements api.Journal.
func (k keeper) Export(ctx context.Context, w io.Writer) error {
	return archive.Write(w, archive.Header{Alf: version(), Time: time.Now().UTC()}, func(add func(archive.Item) error) error {
		return k.record.Dump(ctx, add)
	})
}

// Info implements api.Journal.
func (k keeper) Info(ctx context.Context) (wire.Journal, error) {
	info, err := k.info(ctx)
	if err != nil {
		return wire.Journal{}, err
	}
	return *info, nil
}

func (k keeper) info(ctx context.Context) (*wire.Journal, error) {
	i, err := k.record.Info(ctx)
	if err != nil {
		return nil, err
	}
	out := &wire.Journal{
		Where: wire.Text(i.Where), Server: i.Server, Alf: i.Alf, Schema: i.Schema, EventsVersion: i.Events,
		Keys: i.Keys, LastID: uint64(i.Last), Streams: []wire.Stream{}, Consumers: []wire.Consumer{},
	}
	if k.stats != nil {
		s := k.stats()
		out.Daemon = &wire.Engine{Broken: s.Broken, Restarts: s.Restarts, Behind: s.Behind, IndexErrors: s.IndexErrors}
	}
	for _, s := range i.Streams {
		out.Streams = append(out.Streams, wire.Stream{
			Name: s.Name, Messages: s.Messages, Bytes: s.Bytes, Oldest: wire.Moment(s.Oldest), Newest: wire.Moment(s.Newest),
			MaxBytes: s.MaxBytes, MaxAgeSeconds: s.MaxAge.Seconds(), PerKey: s.PerKey, Lost: s.Lost, LostBytes: s.LostBytes,
		})
	}
	for _, p := range i.Places {
		out.Consumers = append(out.Consumers, wire.Consumer{Name: wire.Text(p.Name), Done: uint64(p.Done), Lag: p.Lag, Dropped: p.Dropped})
	}
	return out, nil
}

func writeJSON(w io.Writer, info *wire.Journal) error { return json.NewEncoder(w).Encode(info) }

func writeXML(w io.Writer, info *wire.Journal) error {
	text, err := xml.Marshal(info)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}

func writeJournal(w io.Writer, info *wire.Journal) error {
	f := fields{w: w}
	f.line("Journal", string(info.Where))
	f.line("Engine", "NATS "+info.Server)
	f.line("Shaped by", fmt.Sprintf("alf %s, schema %d.%d", info.Alf, info.Schema, info.EventsVersion))
	f.line("Daemon", engine(info.Daemon))
	f.line("Keys", strconv.Itoa(info.Keys))
	f.line("Last event", strconv.FormatUint(info.LastID, 10))
	if f.err != nil {
		return f.err
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, s := range info.Streams {
		rows = append(rows, []string{s.Name, strconv.FormatUint(s.Messages, 10), size(s.Bytes), orDash(local(s.Oldest)), orDash(local(s.Newest)), bounds(s), lost(s)})
	}
	if err := writeTable(w, "STREAM\tMESSAGES\tBYTES\tOLDEST\tNEWEST\tBOUNDS\tDAMAGED", rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	rows = nil
	for _, c := range info.Consumers {
		rows = append(rows, []string{string(c.Name), strconv.FormatUint(c.Done, 10), strconv.FormatUint(c.Lag, 10), strconv.FormatUint(c.Dropped, 10)})
	}
	return writeTable(w, "CONSUMER\tDONE\tLAG\tDROPPED", rows)
}

func engine(e *wire.Engine) string {
	switch {
	case e == nil:
		return "not running"
	case e.Broken:
		return fmt.Sprintf("running, but it cannot write; engine restarts: %d", e.Restarts)
	}
	return fmt.Sprintf("running; engine restarts: %d, histories behind: %d, failures to write them: %d", e.Restarts, e.Behind, e.IndexErrors)
}

// size prints bytes for people.
func size(n uint64) string {
	for i, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 10<<(10*(i+1)) || unit == "GiB" {
			return fmt.Sprintf("%d %s", n>>(10*i), unit)
		}
	}
	return ""
}

func bounds(s wire.Stream) string {
	var out []string
	if s.PerKey > 0 {
		out = append(out, fmt.Sprintf("%d each", s.PerKey))
	}
	if s.MaxBytes > 0 {
		out = append(out, size(uint64(s.MaxBytes)))
	}
	if s.MaxAgeSeconds > 0 {
		out = append(out, strings.TrimSuffix(strconv.FormatFloat(s.MaxAgeSeconds/86400, 'f', 1, 64), ".0")+" days")
	}
	return orDash(strings.Join(out, ", "))
}

func lost(s wire.Stream) string {
	if s.Lost == 0 && s.LostBytes == 0 {
		return "-"
	}
	return size(s.LostBytes)
}
