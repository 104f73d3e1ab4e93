package main

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"alf/api/wire"
)

// TestDiffIsBounded: of very many changes the first are shown, and what has the
// same settings changed stands together.
func TestDiffIsBounded(t *testing.T) {
	d := &wire.ConfigDiff{Counts: wire.ConfigCounts{Added: 5000, Changed: 4000, Kept: 1}}
	for i := range 5000 {
		k := wire.ConfigKey{Host: fmt.Sprintf("web%d", i), Service: "load"}
		d.Added = append(d.Added, k)
		if i < 4000 {
			d.Changed = append(d.Changed, wire.ConfigChanged{ConfigKey: k, Settings: []wire.ConfigSetting{{Name: "check_interval", From: "1m", To: "2m"}}})
		}
	}
	lines := func(most int) (string, int) {
		var out bytes.Buffer
		if err := (diffPrinter{bufio.NewWriter(&out), most}).print(d); err != nil {
			t.Fatal(err)
		}
		return out.String(), strings.Count(out.String(), "\n")
	}
	text, n := lines(diffShown)
	if n != 2*(diffShown+1)+2 || !strings.Contains(text, "\n+ and 4980 more\n") || !strings.Contains(text, "\n~ and 3980 more\n    check_interval: 1m -> 2m\n") {
		t.Errorf("%d lines:\n%s", n, text)
	}
	if _, n := lines(0); n != 9002 {
		t.Errorf("all of it has %d lines", n)
	}
}
