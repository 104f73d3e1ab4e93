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
	Status     string   `json:"status"`
	ReturnCode int      `json:"return_code"`
	Output     string   `json:"output"`
	LongOutput string   `json:"long_output"`
	Perfdata   []datum  `json:"perfdata"`
	Errors     []string `json:"errors"`
	Cut        int      `json:"cut_bytes"` // of the output, for its length
	Repaired   bool     `json:"repaired"`  // it was not UTF-8, or held a NUL
}

// datum is an item as the plugin wrote it and in base units, as sinks get it.
type datum struct {
	wire.Datum
	Base  base   `json:"base"`
	Alert string `json:"alert"` // warning or critical, by the item's own ranges
}

type base struct {
	Value *float64  `json:"value"`
	Unit  wire.Text `json:"unit"`
	Warn  *string   `json:"warn"`
	Crit  *string   `json:"crit"`
	Min   *float64  `json:"min"`
	Max   *float64  `json:"max"`
}

// maxParse bounds what `alf parse` reads.
const maxParse = 64 << 20

func newParse(*options) *cobra.Command {
	var code, limit int
	cmd := &cobra.Command{
		Use: "parse", Short: "Show how Alf reads a plugin's output", Args: cobra.NoArgs,
		Long: `Read the raw output of a plugin from standard input and print as JSON how Alf
reads it: output, long output, perfdata as it was written and in base units, and
one error for each piece of perfdata that cannot be read.`,
		Example: `  check_disk -w 20% -c 10% -p / | alf parse --exit-code $?`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if code < 0 || code > 255 {
				return usageError{fmt.Errorf("exit code %d is not between 0 and 255", code)}
			}
			if limit < 1 {
				return usageError{fmt.Errorf("max-output %d is not 1 or more", limit)}
			}
			raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxParse))
			if err != nil {
				return fmt.Errorf("read the plugin's output: %w", err)
			}
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetEscapeHTML(false)
			return e.Encode(parse(string(raw), limit, code))
		},
	}
	cmd.Flags().IntVar(&code, "exit-code", 0, "return code of the plugin: `N`")
	cmd.Flags().IntVar(&limit, "max-output", perfdata.DefaultLimit, "keep `N` bytes, as max_output does")
	return cmd
}

func parse(raw string, limit, code int) parsed {
	out := perfdata.Split(raw, limit)
	data, err := perfdata.Parse(out.Perfdata)
	p := parsed{
		Status: alf.Unknown.String(), ReturnCode: code,
		Output: out.Text, LongOutput: out.Long,
		Perfdata: []datum{}, Errors: append([]string{}, checker.Lines(err)...),
		Cut: out.Cut, Repaired: out.Repaired,
	}
	if code >= 0 && code <= 3 {
		p.Status = alf.Status(code).String()
	}
	for _, d := range data {
		one := wire.NewPerfdata([]perfdata.Datum{d, d.Base()})
		b := base{one[1].Value, one[1].UOM, one[1].Warn, one[1].Crit, one[1].Min, one[1].Max}
		p.Perfdata = append(p.Perfdata, datum{one[0], b, alert(d)})
	}
	return p
}

// alert says what d means by its own ranges.
func alert(d perfdata.Datum) string {
	switch {
	case !d.Value.Set:
	case d.Crit.Set && d.Crit.Alerts(d.Value.V):
		return "critical"
	case d.Warn.Set && d.Warn.Alerts(d.Value.V):
		return "warning"
	}
	return ""
}
