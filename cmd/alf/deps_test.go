package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// imports says which of our own packages each package may import, with its
// tests left out, and why. Data flows one way, so a line that needs another
// room's things stands in the wrong room.
var imports = map[string][]string{
	"alf":                           {"alf/perfdata"},                                                                                           // the words; results hold perfdata
	"alf/perfdata":                  {},                                                                                                         // pure
	"alf/calendar":                  {},                                                                                                         // pure
	"alf/sshmux":                    {},                                                                                                         // knows nothing of monitoring
	"alf/plugins":                   {},                                                                                                         // scripts
	"alf/state":                     {"alf", "alf/perfdata"},                                                                                    // pure
	"alf/state/view":                {"alf", "alf/state"},                                                                                       // a reader of the record
	"alf/state/archive":             {"alf", "alf/perfdata", "alf/state"},                                                                       // a record as a file
	"alf/state/memory":              {"alf", "alf/state"},                                                                                       // an engine
	"alf/state/jetstream":           {"alf", "alf/perfdata", "alf/state", "alf/state/archive"},                                                  // the engine
	"alf/state/journaltest":         {"alf", "alf/state"},                                                                                       // what engines have in common
	"alf/runner":                    {"alf", "alf/sshmux", "alf/plugins"},                                                                       // the only room that knows sshmux
	"alf/checker":                   {"alf", "alf/perfdata", "alf/state"},                                                                       // the straight line
	"alf/sinks":                     {"alf", "alf/perfdata", "alf/internal/sanitize"},                                                           // reads events only
	"alf/actions":                   {"alf", "alf/state", "alf/internal/sanitize"},                                                              // state decides, this tells
	"alf/nagios":                    {"alf", "alf/perfdata"},                                                                                    // reads what is written for Nagios
	"alf/config":                    {"alf", "alf/perfdata", "alf/calendar"},                                                                    // plain data out
	"alf/api/wire":                  {"alf", "alf/perfdata", "alf/internal/sanitize"},                                                           // the bodies, shared by both ends
	"alf/api":                       {"alf", "alf/perfdata", "alf/state", "alf/state/view", "alf/api/wire", "alf/internal/sanitize"},            // reads; writes through functions it is given
	"alf/web":                       {"alf", "alf/perfdata", "alf/state", "alf/state/view", "alf/api", "alf/api/wire", "alf/internal/sanitize"}, // shares the API's queries
	"alf/client":                    {"alf", "alf/perfdata", "alf/api/wire", "alf/internal/sanitize"},                                           // speaks HTTP only
	"alf/docs":                      {},                                                                                                         // files
	"alf/conf.d":                    {},                                                                                                         // files
	"alf/internal/sanitize":         {},                                                                                                         // pure
	"alf/internal/sanitize/hostile": {},                                                                                                         // texts for tests
	"alf/internal/sshdtest":         {},                                                                                                         // starts a real sshd
	"alf/internal/sshserver":        {},                                                                                                         // the demo's SSH server
}

// thirdParty says which packages alone may import a module of others.
var thirdParty = map[string][]string{
	"github.com/nats-io/":             {"alf/state/jetstream"},
	"golang.org/x/crypto/ssh":         {"alf/sshmux", "alf/internal/sshdtest", "alf/internal/sshserver"},
	"github.com/BurntSushi/toml":      {"alf/config"},
	"github.com/prometheus/":          {"alf/sinks"},
	"github.com/hashicorp/":           {"alf/actions"},
	"github.com/emersion/":            {"alf/actions"},
	"github.com/spf13/cobra":          {"alf/cmd/alf"},
	"github.com/fsnotify/fsnotify":    {"alf/cmd/alf"},
	"github.com/rogpeppe/go-internal": {}, // tests only
	"pgregory.net/rapid":              {}, // tests only
	"go.uber.org/goleak":              {}, // tests only
	"github.com/google/go-cmp":        {}, // tests only
}

type listed struct {
	ImportPath string
	Imports    []string
	Doc        string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Doc", "alf/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestWhoMayImportWhom(t *testing.T) {
	for _, p := range list(t) {
		allowed, known := imports[p.ImportPath]
		wiring := strings.HasPrefix(p.ImportPath, "alf/cmd/") || p.ImportPath == "alf/bench"
		if !known && !wiring {
			t.Errorf("%s is not in the table of imports", p.ImportPath)
		}
		for _, path := range p.Imports {
			ours := path == "alf" || strings.HasPrefix(path, "alf/")
			if ours && !wiring && !slices.Contains(allowed, path) {
				t.Errorf("%s must not import %s", p.ImportPath, path)
			}
			if strings.HasPrefix(path, "alf/cmd/") {
				t.Errorf("%s imports %s: nothing may", p.ImportPath, path)
			}
			for prefix, users := range thirdParty {
				if strings.HasPrefix(path, prefix) && !slices.Contains(users, p.ImportPath) {
					t.Errorf("%s must not import %s: only %v may", p.ImportPath, path, users)
				}
			}
		}
	}
}

// TestZonesAreEmbedded: a timezone in the configuration is no error on a host
// that has no zones of its own.
func TestZonesAreEmbedded(t *testing.T) {
	for _, p := range list(t) {
		if p.ImportPath == "alf/cmd/alf" && !slices.Contains(p.Imports, "time/tzdata") {
			t.Error("alf/cmd/alf does not import time/tzdata")
		}
	}
}

// TestPackageComments: every package says what it is for.
func TestPackageComments(t *testing.T) {
	for _, p := range list(t) {
		name := p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:]
		if name == "conf.d" {
			name = "confd"
		}
		if !strings.HasPrefix(p.Doc, "Package "+name+" ") && !strings.HasPrefix(p.Doc, "Command "+name+" ") {
			t.Errorf("%s has no comment that begins with %q", p.ImportPath, "Package "+name)
		}
	}
}

// TestPackageVariables: a package holds no state. Its variables are sentinel
// errors, fixed tables, compiled patterns and templates, and embedded files.
func TestPackageVariables(t *testing.T) {
	for file, tree := range sources(t) {
		for _, decl := range tree.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s has an init function", file)
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					variables(t, file, d)
				}
			}
		}
	}
}

func variables(t *testing.T, file string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		embedded := d.Doc != nil && strings.Contains(d.Doc.List[len(d.Doc.List)-1].Text, "//go:embed")
		linked := v.Names[0].Name == "release" // set by the linker
		if v.Names[0].Name == "_" || embedded || linked {
			continue
		}
		if len(v.Values) == 0 {
			t.Errorf("%s: variable %s has no fixed value", file, v.Names[0].Name)
		}
		for _, value := range v.Values {
			if !fixed(value) {
				t.Errorf("%s: variable %s is neither a sentinel nor a table", file, v.Names[0].Name)
			}
		}
	}
}

// fixed reports whether a variable of that value can be a table or a sentinel.
func fixed(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.CallExpr:
		fun, ok := v.Fun.(*ast.SelectorExpr)
		return ok && slices.Contains([]string{"New", "Errorf", "MustCompile", "Must", "NewReplacer"}, fun.Sel.Name)
	}
	return false
}

// sources returns the syntax trees of all files but the tests.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	trees := make(map[string]*ast.File)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		trees[path] = tree
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return trees
}
