package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"alf"
	"alf/config"
	"alf/docs"
	"alf/internal/sanitize"
)

func newConfig(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Check, show or compare the configuration, or what may stand in it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(o), newConfigShow(o), newConfigDiff(o), newConfigSchema())
	return cmd
}

func newConfigCheck(o *options) *cobra.Command {
	var noSecrets, fetch bool
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "Read the configuration and say what is wrong with it", Args: cobra.MaximumNArgs(1), Annotations: readsConfig,
		Long: `Read the configuration and say, a line each, all that is wrong with it. Nothing is
connected to. The exit code is 1 if the daemon would not start with it. Hosts of
sources are those of their last good answers, which the daemon keeps; with --fetch,
the sources are asked, and the exit code is also 1 if one has no good answer.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if fetch && noSecrets {
				return usageError{errors.New("sources cannot be asked without secrets: --fetch or --no-secrets")}
			}
			options := loadOptions()
			options.NoSecrets = noSecrets
			c, err := loadToCheck(cmd, o.fileOr(args), options, fetch)
			if err != nil {
				return err
			}
			for _, w := range c.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "alf: warning: "+sanitize.Terminal(w.Error()))
			}
			fmt.Fprintln(cmd.OutOrStdout(), c.Counts)
			if fetch {
				return failedSources(c)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&fetch, "fetch", false, "ask the sources for their hosts now; their commands are run")
	cmd.Flags().BoolVar(&noSecrets, "no-secrets", false, "do not open key files and secrets, which may be elsewhere")
	return cmd
}

func loadToCheck(cmd *cobra.Command, file string, options config.Options, fetch bool) (*config.Config, error) {
	if fetch {
		return loadFresh(cmd.Context(), file, options)
	}
	return loadKept(file, options)
}

// failedSources names the sources without a good answer.
func failedSources(c *config.Config) error {
	var errs []error
	for _, s := range c.Sources {
		if s.Answer.Err != "" {
			errs = append(errs, fmt.Errorf("source %q: %s", s.Name, s.Answer.Err))
		}
	}
	return errors.Join(errs...)
}

func newConfigShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show [HOST [SERVICE]]", Short: "Print what applies, defaults included", Args: cobra.MaximumNArgs(2), Annotations: readsConfig,
		Long: `Print the configuration that applies, every default and group resolved: all of it,
that of a host, or that of a service; and behind each value the file, the line and the
table that it comes from. Secrets are shown as <secret>.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			options := loadOptions()
			options.NoSecrets, options.Origins = true, true
			c, err := loadKept(o.config, options)
			if err != nil {
				return err
			}
			warnSources(cmd.ErrOrStderr(), c)
			args = append(args, "", "")
			return c.Show(cmd.OutOrStdout(), alf.HostName(args[0]), alf.ServiceName(args[1]))
		},
	}
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print a JSON Schema of the configuration, for editors", Args: cobra.NoArgs,
		Long: `Print a JSON Schema (draft 7) of all that may stand in alf.toml and conf.d, with what
each key means. Editors that know TOML complete and check with it, for example
those that use taplo: save it as alf.schema.json beside alf.toml, and begin the
files with the line

    #:schema ./alf.schema.json

What lies between keys, and whether hosts, files and macros are there, is said by
alf config check alone.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return config.Schema(cmd.OutOrStdout(), docs.Configure, loadOptions())
		},
	}
}

func (o *options) fileOr(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return o.config
}
