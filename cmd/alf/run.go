package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"alf/api/wire"
	"alf/client"
	"alf/internal/sanitize"
	"alf/runner"
)

// adhoc is one call of alf run.
type adhoc struct {
	wire.Run
	timeout  string
	script   string
	stdin    bool
	noPrefix bool
	progress bool
}

func newRun(o *options) *cobra.Command {
	x := &adhoc{}
	cmd := &cobra.Command{
		Use: "run --host PATTERN [--] COMMAND [ARG...]", Short: "Run a command on hosts once, over the daemon's links", Annotations: readsOutput,
		Long: `Run a command on all hosts that are selected, over the connections that the daemon has to
them, and print what it says line by line as it comes, each line with the host's name in
front. No shell reads COMMAND and its arguments, unless --shell is used. Standard error
stays standard error. Control characters are made visible, as everywhere.

At the end, standard error has who failed and how: a return code that is not 0, a signal, a
timeout, or a host that could not be reached. The exit code is 1 if any did, 0 otherwise, and 2
for a command line that makes no sense.

Ctrl-C ends the commands on the hosts, and waits until they have ended; a second one does
not wait. So does the daemon when it loses this command.

It goes through the Unix socket only. Each run is in "alf audit" with the whole command, so
secrets go into --stdin. With --output json there is one line for each host when it is
through, with all that it said.`,
		Example: `  alf run --host 'web*' -- uptime
  alf run --hostgroup db --parallel 5 --timeout 10m -- apt-get -y upgrade
  alf run --host web1,web2 --shell 'df -h | tail -n +2'
  alf run --service 'disk*' --state critical --script ./clean.sh -- --older-than 7d
  alf run --host web1 --no-prefix -- cat /etc/hosts
  alf run --host '*' --output json -- uname -r | jq -r '[.host, .stdout] | @tsv'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.output != "table" && o.output != "json" {
				return usageError{fmt.Errorf("output %q is none of table, json", o.output)}
			}
			if err := x.read(cmd, args); err != nil {
				return err
			}
			return x.run(cmd, o.daemon(), x.shower(cmd, o.output))
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command is its own
	f.StringSliceVar(&x.Hosts, "host", nil, "hosts of these `NAMES` or patterns")
	f.StringSliceVar(&x.Hostgroups, "hostgroup", nil, "hosts in these `GROUPS`")
	f.StringSliceVar(&x.Services, "service", nil, "of these hosts, or all, those that have services of these `NAMES` or patterns")
	f.StringSliceVar(&x.States, "state", nil, "only where the host or a service is in these `STATES`: critical, down, ...")
	f.StringVar(&x.Shell, "shell", "", "instead of COMMAND, have /bin/sh run this `LINE`")
	f.StringVar(&x.script, "script", "", "send this `FILE` to its interpreter, or one of Alf's plugins by name; what follows are its arguments")
	f.BoolVar(&x.stdin, "stdin", false, "send standard input, up to 512 KiB, to each of them")
	f.IntVarP(&x.Parallel, "parallel", "p", wire.RunParallel, fmt.Sprintf("run on `N` hosts at a time, up to %d", wire.MaxRunParallel))
	f.StringVar(&x.timeout, "timeout", "1m", "end each command after `DURATION`: 30s, 10m, 2h")
	f.BoolVar(&x.noPrefix, "no-prefix", false, "print lines without the host's name")
	f.BoolVar(&x.progress, "progress", false, "say on standard error how far it is, also if that is no terminal")
	f.BoolVar(&x.DryRun, "dry-run", false, "only print on which hosts it would run")
	return cmd
}

// read completes what is to be run.
func (x *adhoc) read(cmd *cobra.Command, args []string) error {
	x.Command = args
	for i, s := range x.States {
		x.States[i] = strings.ToUpper(s)
	}
	if err := x.Timeout.UnmarshalText([]byte(x.timeout)); err != nil {
		return usageError{fmt.Errorf("--timeout: %w", err)}
	}
	switch {
	case len(x.Hosts)+len(x.Hostgroups)+len(x.Services)+len(x.States) == 0:
		return usageError{errors.New(`on which hosts? give --host, --hostgroup, --service or --state; --host "*" is all`)}
	case x.Timeout <= 0 || time.Duration(x.Timeout) > wire.MaxRunTimeout:
		return usageError{fmt.Errorf("--timeout: %s is not more than 0 and at most %s", x.timeout, wire.MaxRunTimeout)}
	case x.Parallel < 1 || x.Parallel > wire.MaxRunParallel:
		return usageError{fmt.Errorf("--parallel: %d is not a number from 1 to %d", x.Parallel, wire.MaxRunParallel)}
	case x.Shell != "" && (x.script != "" || len(args) > 0):
		return usageError{errors.New("--shell goes with neither --script nor a COMMAND")}
	case x.script != "" && x.stdin:
		return usageError{errors.New("--script goes over standard input, so there is no --stdin")}
	case x.Shell == "" && x.script == "" && len(args) == 0:
		return usageError{errors.New("what is to be run? give a COMMAND, --shell or --script")}
	}
	return x.input(cmd)
}

// input reads what is sent over standard input.
func (x *adhoc) input(cmd *cobra.Command) (err error) {
	switch {
	case x.script != "":
		if x.Stdin, err = runner.ReadScript(x.script); err != nil {
			return fmt.Errorf("--script: %w", err)
		}
		x.Command = append(runner.Interpreter(x.Stdin), x.Command...)
	case x.stdin:
		if x.Stdin, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), wire.MaxRunStdin+1)); err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
	}
	if len(x.Stdin) > wire.MaxRunStdin {
		return fmt.Errorf("more than %d bytes cannot be sent to each host", wire.MaxRunStdin)
	}
	return nil
}

// runPatience is how long a run that was called off may take to end. The daemon needs about four
// seconds to have proven that.
const runPatience = 15 * time.Second

// run has it run, shows what comes, and turns it into an exit code.
func (x *adhoc) run(cmd *cobra.Command, c *client.Client, show shower) error {
	ctx, leave := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer leave()
	var mu sync.Mutex
	var id string
	stop := context.AfterFunc(cmd.Context(), func() {
		mu.Lock()
		id := id
		mu.Unlock()
		fmt.Fprintln(cmd.ErrOrStderr(), "alf: interrupted: ending the commands on the hosts")
		limited, done := context.WithTimeout(ctx, runPatience)
		defer done()
		if id == "" || c.CancelRun(limited, id) != nil {
			leave() // which ends them, too
			return
		}
		time.AfterFunc(runPatience, leave)
	})
	defer stop()
	var last wire.RunEvent
	err := c.Run(ctx, x.Run, func(e wire.RunEvent) error {
		if e.Event == wire.RunBegin {
			mu.Lock()
			id = e.ID
			mu.Unlock()
		}
		last = e
		return show.show(e)
	})
	err = cmp.Or(show.end(), err)
	switch {
	case err == nil && last.Failed+last.NotRun > 0:
		return exitCode(exitError)
	case err != nil && cmd.Context().Err() != nil:
		return errors.New("interrupted; the daemon ends what still runs")
	}
	return err
}

// shower shows what comes of a run.
type shower interface {
	show(e wire.RunEvent) error
	end() error // after the last event, also if it was broken off
}

func (x *adhoc) shower(cmd *cobra.Command, output string) shower {
	p := &progress{w: cmd.ErrOrStderr(), wanted: x.progress}
	p.place = isTerminal(p.w)
	p.shared = p.place && isTerminal(cmd.OutOrStdout())
	switch {
	case x.DryRun:
		return listShower{cmd.OutOrStdout(), output}
	case output == "json":
		return &jsonShower{w: cmd.OutOrStdout(), progress: p, hosts: make(map[string]*runHost)}
	}
	return &lineShower{out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), progress: p, noPrefix: x.noPrefix}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && terminal(f)
}

// lineShower prints lines as they come, and at the end who failed.
type lineShower struct {
	out, err io.Writer
	progress *progress
	noPrefix bool
	bad      []string
	last     wire.RunEvent
	total    int
}

func (s *lineShower) show(e wire.RunEvent) error {
	switch e.Event {
	case wire.RunBegin:
		s.total = len(e.Hosts)
		s.progress.begin(s.total)
	case wire.RunOutput:
		w := s.out
		if e.Stream == "stderr" {
			w = s.err
		}
		return s.print(w, s.prefix(e.Host)+line(e))
	case wire.RunDropped:
		return s.print(s.err, fmt.Sprintf("%s[%d bytes of %s are missing: they were not read in time]", s.prefix(e.Host), e.Bytes, sanitize.Terminal(e.Stream)))
	case wire.RunEnd:
		if how := howFailed(e); how != "" {
			s.bad = append(s.bad, e.Host+": "+how)
		}
		if e.Incomplete {
			s.bad = append(s.bad, e.Host+": some of its output is missing")
		}
		s.progress.count(e)
	case wire.RunDone:
		s.last = e
	}
	return nil
}

func (s *lineShower) prefix(host string) string {
	if s.noPrefix {
		return ""
	}
	return sanitize.Terminal(host) + ": "
}

// line returns what a host said, fit for a terminal. Tabs stay.
func line(e wire.RunEvent) string {
	if e.Line == nil {
		return ""
	}
	return sanitize.TerminalText(strings.ReplaceAll(string(*e.Line), "\n", " "))
}

// print prints one whole line.
func (s *lineShower) print(w io.Writer, text string) error {
	if w == s.out && !s.progress.shared {
		_, err := io.WriteString(w, text+"\n")
		return err
	}
	s.progress.clear()
	_, err := io.WriteString(w, text+"\n")
	s.progress.draw()
	return err
}

// end says who failed and how, by name, and how many.
func (s *lineShower) end() error {
	s.progress.end()
	slices.Sort(s.bad)
	for _, text := range s.bad {
		fmt.Fprintln(s.err, "alf: "+sanitize.Terminal(text))
	}
	if s.last.Event == "" || s.total == 1 {
		return nil
	}
	text := fmt.Sprintf("%d hosts: %d ok, %d failed", s.total, s.last.OK, s.last.Failed)
	if s.last.NotRun > 0 {
		text += fmt.Sprintf(", %d not run", s.last.NotRun)
	}
	_, err := fmt.Fprintln(s.err, "alf: "+text)
	return err
}

// howFailed says what became of a host; "" if all is well.
func howFailed(e wire.RunEvent) string {
	switch {
	case e.Result == wire.RunOK:
		return ""
	case e.Result == wire.RunNotRun:
		return "not run: " + string(e.Error)
	case e.Signal != "":
		return "ended by signal " + e.Signal
	case e.ReturnCode != nil:
		return fmt.Sprintf("exit %d", *e.ReturnCode)
	case e.Phase != "":
		return fmt.Sprintf("%s (%s): %s", e.Cause, e.Phase, e.Error)
	}
	return e.Cause + ": " + string(e.Error)
}

// listShower prints the hosts of a dry run.
type listShower struct {
	w      io.Writer
	output string
}

func (s listShower) show(e wire.RunEvent) error {
	if e.Event != wire.RunBegin {
		return nil
	}
	for _, host := range e.Hosts {
		if s.output == "json" {
			if err := writeJSONLine(s.w, map[string]string{"host": host}); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintln(s.w, sanitize.Terminal(host)); err != nil {
			return err
		}
	}
	return nil
}

func (listShower) end() error { return nil }

// progress says how far a run is.
type progress struct {
	w      io.Writer
	wanted bool // also where nobody sits
	place  bool // a terminal: it stands in one place
	shared bool // where lines are printed, too

	total, through, failed int
	drawn                  bool
	said                   time.Time
}

// begin knows how many hosts there are. For one, there is nothing to say.
func (p *progress) begin(total int) {
	p.total = total
	p.draw()
}

func (p *progress) on() bool { return p.total > 1 && (p.place || p.wanted) }

func (p *progress) text() string {
	return fmt.Sprintf("%d/%d done, %d failed", p.through, p.total, p.failed)
}

func (p *progress) count(e wire.RunEvent) {
	p.through++
	if e.Result != wire.RunOK {
		p.failed++
	}
	switch {
	case !p.on():
	case p.place:
		p.drawn = false
		p.draw()
	case time.Since(p.said) >= time.Second && p.through < p.total:
		p.say()
	}
}

func (p *progress) say() {
	p.said = time.Now()
	fmt.Fprintln(p.w, "alf: "+p.text())
}

// draw puts it where it stands.
func (p *progress) draw() {
	if p.on() && p.place && !p.drawn {
		fmt.Fprint(p.w, "\r"+p.text()+"\x1b[K")
		p.drawn = true
	}
}

// clear makes room for a line.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

func (p *progress) end() {
	p.clear()
	if p.on() && !p.place {
		p.say()
	}
}
