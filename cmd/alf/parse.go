package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"alf"
	"alf/api/wire"
	"alf/checker"
	"alf/perfdata"
)

// parsed is what `alf parse` prints.
type parsed struct {
	Status     string       `json:"status"`
	ReturnCode int          `json:"return_code"`
	Output     string       `json:"output"`
	LongOutput string       `json:"long_output"`
	Perfdata   []wire.Datum `json:"perfdata"`
	Errors     []string     `json:"errors"`
}

// maxParse bounds what `alf parse` reads.
const maxParse = 64 << 20

func newParse(*options) *cobra.Command {
	var code int
	cmd := &cobra.Command{
		Use: "parse", Short: "Show how Alf reads a plugin's output", Args: cobra.NoArgs,
		Long: `Read the raw output of a plugin from standard input and print as JSON how Alf
reads it: output, long output, perfdata, and one error for each piece of perfdata
that cannot be read.`,
		Example: `  check_disk -w 20% -c 10% -p / | alf parse --exit-code $?`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxParse))
			if err != nil {
				return fmt.Errorf("read the plugin's output: %w", err)
			}
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetEscapeHTML(false)
			return e.Encode(parse(string(raw), code))
		},
	}
	cmd.Flags().IntVar(&code, "exit-code", 0, "return code of the plugin: `N`")
	return cmd
}

func parse(raw string, code int) parsed {
	out := perfdata.Split(raw, len(raw))
	data, err := perfdata.Parse(out.Perfdata)
	p := parsed{
		Status: alf.Unknown.String(), ReturnCode: code,
		Output: out.Text, LongOutput: out.Long,
		Perfdata: wire.NewPerfdata(data), Errors: []string{},
	}
	if code >= 0 && code <= 3 {
		p.Status = alf.Status(code).String()
	}
	p.Errors = append(p.Errors, checker.Lines(err)...)
	return p
}
