package main

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alf"
	"alf/checker"
	"alf/config"
	"alf/internal/sanitize"
	"alf/runner"
)

func newSSHAuthorize(o *options) *cobra.Command {
	var a authorizing
	cmd := &cobra.Command{
		Use: "authorize HOST", Short: "Print the lines for a host's authorized_keys, and its gateway", Args: cobra.ExactArgs(1), Annotations: readsConfig,
		Long: `Print the line for ~USER/.ssh/authorized_keys of the account that Alf logs in to on a
host, one for each key that it is configured to log in with: "restrict", so that it runs
commands and can do nothing else, and the public key, from the private one's file or from
the .pub file beside it. Nothing is connected to, but the agent if it is configured.

With --bastion, the key may also connect through the host, but only to the hosts that are
configured to be behind it, so print the lines again when there are more.

With --gateway, the key runs nothing but a gateway: a POSIX shell script that lets through
exactly what the checks of the host run there, and ends what runs for too long. --script
prints it. Install it, owned by root, where the line says (see --path), then set
gateway = true in the ssh of the host. --check asks the host whether its gateway has the
list of the configuration as it is now, and exits with 1 if not: install it anew when
checks change.`,
		Example: `  sudo -u alf alf ssh authorize web1 | ssh root@web1 'cat >>~monitor/.ssh/authorized_keys'
  sudo -u alf alf ssh authorize jump1 --bastion
  sudo -u alf alf ssh authorize web1 --gateway
  sudo -u alf alf ssh authorize web1 --gateway --script | ssh root@web1 'cat >/usr/local/lib/alf-gateway && chmod 755 /usr/local/lib/alf-gateway'
  sudo -u alf alf ssh authorize web1 --gateway --check`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.mistakes(); err != nil {
				return usageError{err}
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
			switch {
			case a.script:
				return a.printScript(cmd, c, h)
			case a.check:
				return a.compare(cmd, run, c, h)
			}
			return a.authorize(cmd, run, c, h)
		},
	}
	cmd.Flags().BoolVar(&a.bastion, "bastion", false, "let the key connect to the hosts behind it")
	cmd.Flags().BoolVar(&a.gateway, "gateway", false, "let the key run a gateway only")
	cmd.Flags().BoolVar(&a.script, "script", false, "with --gateway: print its script")
	cmd.Flags().BoolVar(&a.check, "check", false, "with --gateway: ask the host whether its list is current")
	cmd.Flags().StringVar(&a.path, "path", "/usr/local/lib/alf-gateway", "with --gateway: `FILE` of the script on the host")
	return cmd
}

func (a *authorizing) authorize(cmd *cobra.Command, run *runner.Runner, c *config.Config, h *alf.Host) error {
	addrs := behind(c, h)
	options := []string{"restrict"}
	switch {
	case a.bastion && len(addrs) == 0:
		return fmt.Errorf("no host is behind %q", h.Name)
	case a.bastion:
		options = append(options, "port-forwarding")
		for _, addr := range addrs {
			if strings.ContainsAny(addr, "\"*? \t\n") {
				return fmt.Errorf("address %q cannot stand in permitopen", addr)
			}
			options = append(options, `permitopen="`+addr+`"`)
		}
	case len(addrs) > 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "alf: warning: "+sanitize.Terminal(fmt.Sprintf("what is behind %q cannot be reached with this line (%s): see --bastion", h.Name, strings.Join(addrs, ", "))))
	}
	if a.gateway {
		options = append(options, `command="exec `+a.path+`"`)
		if !h.SSH.Gateway {
			fmt.Fprintln(cmd.ErrOrStderr(), "alf: warning: "+sanitize.Terminal(fmt.Sprintf("with this line, set gateway = true in the ssh of host %q", h.Name)))
		}
	}
	keys, err := run.PublicKeys(cmd.Context(), h)
	for _, key := range keys {
		if _, err := io.WriteString(cmd.OutOrStdout(), strings.Join(options, ",")+" "+key+" alf\n"); err != nil {
			return err
		}
	}
	return err
}

// authorizing is what a call of alf ssh authorize asks for.
type authorizing struct {
	bastion, gateway, script, check bool
	path                            string
}

func (a *authorizing) mistakes() error {
	const bare = "%+,-./0123456789:=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
	switch {
	case !a.gateway && (a.script || a.check):
		return errors.New("--script and --check are about a gateway: add --gateway")
	case a.script && a.check:
		return errors.New("either --script or --check")
	case !path.IsAbs(a.path) || strings.Trim(a.path, bare) != "":
		return fmt.Errorf("--path: %q is not absolute, or has other than letters, digits and %%+,-./:=@_", a.path)
	}
	return nil
}

// printScript prints the script of a host's gateway.
func (a *authorizing) printScript(cmd *cobra.Command, c *config.Config, h *alf.Host) error {
	script, _, err := runner.GatewayScript(h, c.Inventory.Services(), checker.FreeMacro)
	if err != nil {
		return err
	}
	_, err = io.WriteString(cmd.OutOrStdout(), script)
	return err
}

// compare asks a host which list its gateway has.
func (a *authorizing) compare(cmd *cobra.Command, run *runner.Runner, c *config.Config, h *alf.Host) error {
	_, want, err := runner.GatewayScript(h, c.Inventory.Services(), checker.FreeMacro)
	if err != nil {
		return err
	}
	got, err := run.Gateway(cmd.Context(), h)
	if err != nil {
		return err
	}
	if got != want {
		return errors.New(outdated(h, got, want))
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), sanitize.Terminal(fmt.Sprintf("%s: the gateway has the list of this configuration: %s", h.Name, want)))
	return err
}

// outdated says that the gateway of a host has another list than it should.
func outdated(h *alf.Host, got, want string) string {
	return fmt.Sprintf("%s: the gateway on the host has list %s, by this configuration it is %s", h.Name, got, want)
}

// behind returns the addresses to which a bastion is asked to connect.
func behind(c *config.Config, bastion *alf.Host) []string {
	var addrs []string
	for _, h := range c.Inventory.Hosts() {
		for _, one := range append(h.SSH.Bastions(), h) {
			if one.SSH.Via == bastion {
				addrs = append(addrs, addressOf(one))
			}
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}
