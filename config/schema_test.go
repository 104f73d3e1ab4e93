package config

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"alf/actions"
	"alf/docs"
)

func schemaOf(t *testing.T) (*shape, []byte) {
	t.Helper()
	var out bytes.Buffer
	if err := Schema(&out, docs.Configure, Options{Actions: actions.Kinds()}); err != nil {
		t.Fatal(err)
	}
	s := new(shape)
	if err := json.Unmarshal(out.Bytes(), s); err != nil {
		t.Fatal(err)
	}
	return s, out.Bytes()
}

// TestSchemaSaysSomething demands a form and a meaning for every key.
func TestSchemaSaysSomething(t *testing.T) {
	all, _ := schemaOf(t)
	if len(all.Properties) != len(sections()) {
		t.Errorf("the schema has %d tables, want %d", len(all.Properties), len(sections()))
	}
	for name, s := range all.Properties {
		walkSchema(t, name, s)
	}
	of := func(s *shape) *shape { // of a table with any keys
		data, _ := json.Marshal(s.Others)
		out := new(shape)
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, name := range []string{"host", "hostgroup", templateSection} {
		table := of(all.Properties[name])
		walkSchema(t, name+".NAME", table)
		walkSchema(t, name+".NAME.check.ID", of(table.Properties["check"]))
	}
}

func walkSchema(t *testing.T, path string, s *shape) {
	if s.Type == "" && s.AnyOf == nil {
		t.Errorf("%s may be anything", path)
	}
	for key, p := range s.Properties {
		ofRoom := strings.HasSuffix(path, "log_levels") // which explains itself
		if p.Description == "" && !ofRoom {
			t.Errorf("%s.%s has no meaning", path, key)
		}
		if strings.ContainsAny(p.Description, "`|") && !strings.Contains(p.Description, "||") {
			t.Errorf("%s.%s: %q is Markdown", path, key, p.Description)
		}
		walkSchema(t, path+"."+key, p)
	}
}

// taplo is the tool that editors check TOML with, and the version tried.
const taplo = "@taplo/cli@0.7.0"

// TestTaplo lets a real taplo check files with the schema: those that Alf takes,
// and some that it does not.
func TestTaplo(t *testing.T) {
	npx, err := exec.LookPath("npx")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	_, schema := schemaOf(t)
	write := func(name, src string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	schemaFile := write("alf.schema.json", string(schema))
	lint := func(files ...string) (string, error) {
		cmd := exec.Command(npx, append([]string{"--yes", taplo, "lint", "--schema", "file://" + schemaFile}, files...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	examples, err := filepath.Glob("../conf.d/*.toml")
	if err != nil || len(examples) == 0 {
		t.Fatal("there are no examples", err)
	}
	own, _, _ := strings.Cut(example, "\n-- ")
	good := []string{write("example.toml", own)}
	for _, name := range examples {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		good = append(good, write(filepath.Base(name), string(src)))
	}
	if out, err := lint(good...); err != nil {
		t.Errorf("taplo refuses what Alf takes: %v\n%s", err, out)
	}
	bad := map[string]string{
		"key":      "[host.web1]\nadress = \"10.0.0.1\"\n",
		"table":    "[hosts.web1]\n",
		"type":     "[check.x]\nhosts = \"*\"\n",
		"word":     "[ssh]\nhost_key_policy = \"none\"\n",
		"duration": "[defaults]\ncheck_interval = \"5 minutes\"\n",
		"range":    "[ssh]\nport = 65536\n",
		"inner":    "[check.x.expect]\nexit_code = 0\n",
		"room":     "[daemon.log_levels]\nsssh = \"debug\"\n",
	}
	var files []string
	for name, src := range bad {
		files = append(files, write("bad-"+name+".toml", src))
	}
	out, err := lint(files...)
	if err == nil {
		t.Error("taplo takes what Alf refuses")
	}
	for _, name := range files {
		if !strings.Contains(out, "path=\""+name+"\"") {
			t.Errorf("taplo takes %s:\n%s", filepath.Base(name), out)
		}
	}
}
