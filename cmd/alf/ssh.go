package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"alf"
	"alf/config"
	"alf/internal/sanitize"
	"alf/runner"
	"alf/sshmux"
)

func newSSH(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ssh", Short: "See the connections to hosts, and why one cannot be reached; trust their keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSSHLinks(o), newSSHCheck(o), newSSHTrust(o), newSSHAccept(o), newSSHAuthorize(o))
	return cmd
}

func newSSHTrust(o *options) *cobra.Command {
	var all, yes bool
	cmd := &cobra.Command{
		Use: "trust HOST... | --all", Short: "Show the keys of hosts, and take those that are new", Annotations: readsConfig,
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("which hosts? give names, or --all")
			}
			return nil
		},
		Long: `Connect to hosts, as far as to their keys, and show these with their fingerprints:
known, new or CHANGED. Nobody logs in, but to bastions. On a yes, or with --yes, the new
ones are appended to the first of each host's known_hosts files. Bastions come before
the hosts behind them. Compare the fingerprints with those that the hosts themselves
print (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub).

A changed key is not taken: "alf ssh accept" does that. The exit code is 1 if a host
could not be reached, or its key has changed or is new and was not taken. Run it as
the user that Alf runs as, to whom the files belong.`,
		Example: `  sudo -u alf alf ssh trust --all
  sudo -u alf alf ssh trust web1 web2 --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, run, err := o.runner(cmd)
			if err != nil {
				return err
			}
			defer run.Close()
			hosts, err := hostsOf(c, args)
			if err != nil {
				return err
			}
			t := &trusting{cmd: cmd, run: run, yes: yes}
			return t.all(hosts)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all hosts")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "take the new keys without asking")
	return cmd
}

// runner returns the configuration and what makes connections, which the caller closes.
func (o *options) runner(cmd *cobra.Command) (*config.Config, *runner.Runner, error) {
	c, err := load(o.config)
	if err != nil {
		return nil, nil, err
	}
	warnSources(cmd.ErrOrStderr(), c)
	run, err := runner.New(runner.Options{})
	return c, run, err
}

// hostsOf returns the hosts of those names, or all.
func hostsOf(c *config.Config, names []string) ([]*alf.Host, error) {
	if len(names) == 0 {
		return c.Inventory.Hosts(), nil
	}
	var hosts []*alf.Host
	var errs []error
	for _, name := range names {
		h, err := hostOf(c, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		hosts = append(hosts, h)
	}
	return hosts, errors.Join(errs...)
}

// hostOf returns the host of that name, or the bastion that is no [host.NAME].
func hostOf(c *config.Config, name string) (*alf.Host, error) {
	if h := c.Inventory.Host(alf.HostName(name)); h != nil {
		return h, nil
	}
	for _, h := range c.Inventory.Hosts() {
		for _, via := range h.SSH.Bastions() {
			if via.Name == alf.HostName(name) {
				return via, nil
			}
		}
	}
	return nil, fmt.Errorf("host %q is not configured", name)
}

// trusting is one call of alf ssh trust.
type trusting struct {
	cmd *cobra.Command
	run *runner.Runner
	yes bool
	bad bool // a host could not be reached, or its key is not trusted
}

// looked is what came of a look at a host's key.
type looked struct {
	host  *alf.Host
	shown *sshmux.Shown
	err   error
}

func (t *trusting) all(hosts []*alf.Host) error {
	for _, level := range levels(hosts) {
		if err := t.level(level); err != nil {
			return err
		}
	}
	if t.bad {
		return exitCode(exitError)
	}
	return nil
}

// levels returns the hosts and all bastions that they are behind: first those that are behind
// none, since who is behind one can only be seen once the bastion is trusted.
func levels(hosts []*alf.Host) [][]*alf.Host {
	var all [][]*alf.Host
	seen := make(map[*alf.Host]bool)
	for _, h := range hosts {
		for _, one := range append(h.SSH.Bastions(), h) {
			if seen[one] {
				continue
			}
			seen[one] = true
			depth := len(one.SSH.Bastions())
			for len(all) <= depth {
				all = append(all, nil)
			}
			all[depth] = append(all[depth], one)
		}
	}
	return all
}

// level shows the keys of some hosts and takes the new ones.
func (t *trusting) level(hosts []*alf.Host) error {
	list := look(t.cmd.Context(), t.run, hosts)
	if err := writeKeys(t.cmd.OutOrStdout(), list); err != nil {
		return err
	}
	var fresh []looked
	for _, l := range list {
		switch {
		case l.err != nil:
			t.complain(l.err)
		case l.shown.New():
			fresh = append(fresh, l)
		case l.shown.Problem != nil:
			t.complain(errors.New(howToAccept(l)))
		}
	}
	if len(fresh) == 0 {
		return t.cmd.Context().Err()
	}
	if !t.yes && !t.confirm(len(fresh)) {
		t.complain(fmt.Errorf("%d not taken; --yes takes them without a terminal", len(fresh)))
		return nil
	}
	t.take(fresh)
	return nil
}

func (t *trusting) take(fresh []looked) {
	taken := make(map[string]int)
	for _, l := range fresh {
		if err := l.shown.Trust(); err != nil {
			t.complain(fmt.Errorf("%s: %w", l.host.Name, err))
			continue
		}
		taken[l.host.SSH.KnownHosts[0]]++
	}
	for _, file := range slices.Sorted(maps.Keys(taken)) {
		fmt.Fprintf(t.cmd.OutOrStdout(), "%d taken into %s\n", taken[file], sanitize.Terminal(file))
	}
}

func (t *trusting) complain(err error) {
	t.bad = true
	fmt.Fprintln(t.cmd.ErrOrStderr(), "alf: "+sanitize.Terminal(err.Error()))
}

// confirm asks a person. Where there is none, the answer is no.
func (t *trusting) confirm(n int) bool {
	in, ok := t.cmd.InOrStdin().(*os.File)
	if !ok || !terminal(in) {
		return false
	}
	fmt.Fprintf(t.cmd.OutOrStdout(), "Take the new ones (%d)? [y/N] ", n)
	answer, _ := bufio.NewReader(io.LimitReader(in, 100)).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

// terminal reports whether a person may sit at f. The null device is none, which is a character
// device, too.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// howToAccept says what to do about a key that trust does not take.
func howToAccept(l looked) string {
	p := l.shown.Problem
	text := fmt.Sprintf("%s: the host shows %s, known is %s", l.host.Name, p.Fingerprint, strings.Join(p.Known, ", "))
	if p.Revoked || p.Certificate != nil {
		return p.Error()
	}
	return text + fmt.Sprintf("; if it was reinstalled: alf ssh accept %s --fingerprint %s", l.host.Name, l.shown.Fingerprint)
}

// lookers is how many hosts are looked at at a time: a bastion's sshd drops some of more than
// ten that are about to log in, but those behind one bastion share its login.
const lookers = 32

// look has all hosts show their keys. Each takes its connect_timeout at most, and its bastions
// theirs.
func look(ctx context.Context, run *runner.Runner, hosts []*alf.Host) []looked {
	list := make([]looked, len(hosts))
	var wg sync.WaitGroup
	turns := make(chan struct{}, lookers)
	for i, h := range hosts {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			shown, err := run.HostKey(ctx, h)
			list[i] = looked{h, shown, err}
		})
	}
	wg.Wait()
	return list
}

func writeKeys(w io.Writer, list []looked) error {
	var rows [][]string
	for _, l := range list {
		row := []string{string(l.host.Name), addressOf(l.host), "-", "-", "unreachable"}
		if l.err == nil {
			row[2], row[3], row[4] = l.shown.Type, l.shown.Fingerprint, stateOfKey(l.shown)
		}
		rows = append(rows, row)
	}
	return writeTable(w, "HOST\tADDRESS\tTYPE\tFINGERPRINT\tKEY", rows)
}

func stateOfKey(s *sshmux.Shown) string {
	switch {
	case s.Problem == nil:
		return "known"
	case s.New():
		return "new"
	case s.Problem.Revoked:
		return "REVOKED"
	case s.Problem.Certificate != nil:
		return "INVALID"
	}
	return "CHANGED"
}

func addressOf(h *alf.Host) string { return net.JoinHostPort(h.Address, strconv.Itoa(h.SSH.Port)) }

func newSSHAccept(o *options) *cobra.Command {
	var fingerprint string
	cmd := &cobra.Command{
		Use: "accept HOST --fingerprint SHA256:...", Short: "Take the new key of a host that was reinstalled", Args: cobra.ExactArgs(1), Annotations: readsConfig,
		Long: `Connect to a host, as far as to its key, and take this key in the place of the old
ones if it has exactly that fingerprint, which you have from the host itself
(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on its console).

The old keys are taken out of the first of its known_hosts files, by the host's name and
its address, hashed or not. All other lines stay as they are. What still stands for the
host elsewhere is named, and has to be removed by hand. Run it as the user that Alf runs
as, to whom the file belongs. The running daemon sees the change by itself.`,
		Example: `  sudo -u alf alf ssh accept web1 --fingerprint SHA256:iVPmDFZsRjTuzXR3Pj64cTPXQkFU9mkFYUbcZPRJUlw`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !sshmux.Fingerprint(fingerprint) {
				return usageError{fmt.Errorf("--fingerprint: %q is not like SHA256: and 43 characters", fingerprint)}
			}
			c, run, err := o.runner(cmd)
			if err != nil {
				return err
			}
			defer run.Close()
			h, err := hostOf(c, args[0])
			if err != nil {
				return err
			}
			shown, err := run.HostKey(cmd.Context(), h)
			if err != nil {
				return err
			}
			r, err := shown.Replace(fingerprint)
			if err != nil {
				return fmt.Errorf("%s: %w; nothing was changed", h.Name, err)
			}
			return writeReplaced(cmd, h, shown, r)
		},
	}
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "the SHA256 `FINGERPRINT` of the new key")
	return cmd
}

func writeReplaced(cmd *cobra.Command, h *alf.Host, shown *sshmux.Shown, r sshmux.Replaced) error {
	w := cmd.OutOrStdout()
	for _, line := range r.Removed {
		fmt.Fprintln(w, "removed "+sanitize.Terminal(line))
	}
	what := "known already in"
	if r.Added {
		what = "taken into"
	}
	for _, line := range r.Left {
		fmt.Fprintln(cmd.ErrOrStderr(), "alf: warning: "+sanitize.Terminal(fmt.Sprintf("this stands for %s, too, and has to be removed by hand: %s", h.Name, line)))
	}
	_, err := fmt.Fprintln(w, sanitize.Terminal(fmt.Sprintf("%s: %s %s %s %s", h.Name, shown.Type, shown.Fingerprint, what, r.File)))
	return err
}
