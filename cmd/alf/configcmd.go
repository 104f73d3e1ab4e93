package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"alf"
	"alf/internal/sanitize"
)

func newConfig(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Check, show or compare the configuration", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(o), newConfigShow(o), newConfigDiff(o))
	return cmd
}

func newConfigCheck(o *options) *cobra.Command {
	var noSecrets bool
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "Read the configuration and say what is wrong with it", Args: cobra.MaximumNArgs(1), Annotations: readsConfig,
		Long: `Read the configuration and say, a line each, all that is wrong with it. Nothing is
connected to. The exit code is 1 if the daemon would not start with it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			options := loadOptions()
			options.NoSecrets = noSecrets
			c, err := loadWith(o.fileOr(args), options)
			if err != nil {
				return err
			}
			for _, w := range c.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "alf: warning: "+sanitize.Terminal(w.Error()))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), c.Counts)
			return err
		},
	}
	cmd.Flags().BoolVar(&noSecrets, "no-secrets", false, "do not open key files and secrets, which may be elsewhere")
	return cmd
}

func newConfigShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show [HOST [SERVICE]]", Short: "Print what applies, defaults included", Args: cobra.MaximumNArgs(2), Annotations: readsConfig,
		Long: `Print the configuration that applies, every default and group resolved: all of it,
that of a host, or that of a service. Secrets are shown as <secret>.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			options := loadOptions()
			options.NoSecrets = true
			c, err := loadWith(o.config, options)
			if err != nil {
				return err
			}
			args = append(args, "", "")
			return c.Show(cmd.OutOrStdout(), alf.HostName(args[0]), alf.ServiceName(args[1]))
		},
	}
}

func (o *options) fileOr(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return o.config
}
