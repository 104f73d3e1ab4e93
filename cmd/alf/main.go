// Command alf is all of Alf: the daemon and the tools of the people who run it.
//
// It is the only place that knows every room. What a user sees, hints and exit
// codes included, is decided here and nowhere else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // for hosts and containers that have no zones: a timezone in the configuration would be an error there

	"github.com/spf13/cobra"

	"alf/api/wire"

	"alf/internal/sanitize"
)

// The exit codes of commands that are no plugins.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run runs one command and returns its exit code. SIGINT and SIGTERM end the
// command's context; a second one ends the process.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()
	cmd := newRoot(&options{})
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	called, err := cmd.ExecuteContextC(ctx)
	return report(stderr, called, err)
}

// report tells people about err and returns the exit code.
func report(stderr io.Writer, called *cobra.Command, err error) int {
	var exit exitCode
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return int(exit)
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(stderr, "alf: "+sanitize.Terminal(strings.TrimSuffix(line, "\n")))
	}
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "alf: try %q\n", called.CommandPath()+" --help")
	}
	if called.Annotations[likePlugin] != "" {
		return 3
	}
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitError
}

// reads marks a command with the flags of all commands that it heeds. The others
// are refused: what is given for nothing is a mistake.
const reads = "reads"

// The flags that commands heed.
var (
	readsConfig = map[string]string{reads: "config"}
	readsSocket = map[string]string{reads: "config socket"}
	readsOutput = map[string]string{reads: "config socket output"}
)

func refuseUnused(cmd *cobra.Command, _ []string) error {
	heeded := strings.Fields(cmd.Annotations[reads])
	var errs []error
	for _, name := range []string{"config", "socket", "output"} {
		if cmd.Flags().Changed(name) && !slices.Contains(heeded, name) {
			errs = append(errs, usageError{fmt.Errorf("%s has no use for --%s", cmd.CommandPath(), name)})
		}
	}
	return errors.Join(errs...)
}

// likePlugin marks the commands whose exit code is a plugin's: any trouble of
// their own is UNKNOWN.
const likePlugin = "plugin"

// exitCode ends a command that has said all there is to say.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that makes no sense.
type usageError struct{ error }

// Unwrap returns what is wrong with it.
func (e usageError) Unwrap() error { return e.error }

// options are the flags that every command has.
type options struct {
	config string
	socket string
	output string
}

func newRoot(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:   "alf",
		Short: "Run Nagios plugins on remote hosts over one shared SSH connection each",
		Long: `Alf runs Nagios plugins on remote hosts over one shared SSH connection per host,
judges what they say as Nagios does, remembers it, and shows it over HTTP and to
Prometheus. Nothing is installed on the hosts but their sshd.`,
		SilenceErrors: true, SilenceUsage: true,
		Args:              cobra.NoArgs,
		PersistentPreRunE: refuseUnused,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&o.config, "config", "/etc/alf/alf.toml", "configuration `FILE`; conf.d beside it is read, too")
	flags.StringVar(&o.socket, "socket", "", "Unix socket of the daemon (default $ALF_SOCKET, else the one that --config names)")
	flags.StringVar(&o.output, "output", "table", "`FORMAT` of what is shown: table, json or xml")
	root.AddCommand(
		newServe(o), newDemo(o), newCheck(o), newParse(o), newStatus(o), newProblems(o), newDowntimes(o), newComments(o),
		newHistory(o), newAudit(o), newExplain(o), newNotifications(o), newAction(o), newAvailability(o), newRecheck(o), newSubmit(o),
		newAck(o), newUnack(o), newDowntime(o), newComment(o), newCancel(o),
		newSwitch(o, wire.OrderDisable, "Switch off checks, passive results, notifications or flap detection"),
		newSwitch(o, wire.OrderEnable, "Switch them on again"),
		newRun(o), newConfig(o), newSSH(o), newSource(o), newJournal(o), newReload(o), newLog(o), newVersion(o),
	)
	checkArgs(root)
	return root
}

// checkArgs makes a wrong number of arguments a usage error, also for the
// commands below c.
func checkArgs(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, below := range c.Commands() {
		checkArgs(below)
	}
}

func newVersion(*options) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "alf "+version())
			return err
		},
	}
}

// release is set by the linker.
var release = ""

// version returns the release, or what the build knows of its origin.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
