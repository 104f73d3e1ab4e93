package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alf"
	"alf/config"
	"alf/internal/sanitize"
	"alf/runner"
)

func newSSHAuthorize(o *options) *cobra.Command {
	var bastion bool
	cmd := &cobra.Command{
		Use: "authorize HOST", Short: "Print the lines for a host's authorized_keys", Args: cobra.ExactArgs(1), Annotations: readsConfig,
		Long: `Print the line for ~USER/.ssh/authorized_keys of the account that Alf logs in to on a
host, one for each key that it is configured to log in with: "restrict", so that it runs
commands and can do nothing else, and the public key, from the private one's file or from
the .pub file beside it. Nothing is connected to, but the agent if it is configured.

With --bastion, the key may also connect through the host, but only to the hosts that are
configured to be behind it, so print the lines again when there are more.`,
		Example: `  sudo -u alf alf ssh authorize web1 | ssh root@web1 'cat >>~monitor/.ssh/authorized_keys'
  sudo -u alf alf ssh authorize jump1 --bastion`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, run, err := o.runner(cmd)
			if err != nil {
				return err
			}
			defer run.Close()
			h, err := hostOf(c, args[0])
			if err != nil {
				return err
			}
			return authorize(cmd, run, c, h, bastion)
		},
	}
	cmd.Flags().BoolVar(&bastion, "bastion", false, "let the key connect to the hosts behind it")
	return cmd
}

func authorize(cmd *cobra.Command, run *runner.Runner, c *config.Config, h *alf.Host, bastion bool) error {
	addrs := behind(c, h)
	options := []string{"restrict"}
	switch {
	case bastion && len(addrs) == 0:
		return fmt.Errorf("no host is behind %q", h.Name)
	case bastion:
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
	keys, err := run.PublicKeys(cmd.Context(), h)
	for _, key := range keys {
		if _, err := io.WriteString(cmd.OutOrStdout(), strings.Join(options, ",")+" "+key+" alf\n"); err != nil {
			return err
		}
	}
	return err
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
