package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alf/actions"
	"alf/config"
	"alf/docs"
)

// TestKindsOfActions: each kind has an example that is right, a place in the manual,
// and something to say about an empty table.
func TestKindsOfActions(t *testing.T) {
	load := func(src string) (*config.Config, error) {
		file := filepath.Join(t.TempDir(), "alf.toml")
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		o := loadOptions()
		o.Getenv = func(name string) string {
			if strings.HasSuffix(name, "_URL") {
				return "https://example.com/s3cret"
			}
			return strings.Repeat("s3cr", 8)
		}
		return config.Load(file, o)
	}
	for kind := range actions.Kinds() {
		example, err := os.ReadFile("../../conf.d/examples/" + kind + ".toml")
		if err != nil {
			t.Error(err)
			continue
		}
		c, err := load(string(example) + "\n[host.web1]\ncheck_command = \"none\"\n")
		if err != nil || len(c.Warnings) > 0 || len(c.Actions) == 0 || c.Actions[0].Type != kind {
			t.Errorf("the example of %s: %v, %v", kind, c, err)
			continue
		}
		if _, err := c.Actions[0].Spec.New("x"); err != nil {
			t.Errorf("the example of %s: %v", kind, err)
		}
		if !strings.Contains(docs.Configure, "\n**"+kind+"**: ") {
			t.Errorf("the manual has no place about %s", kind)
		}
		if _, err := load("[action.x]\ntype = \"" + kind + "\"\n"); err == nil {
			t.Errorf("an empty table is a whole action of type %s", kind)
		}
	}
}
