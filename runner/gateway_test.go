package runner_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/checker"
	"alf/runner"
)

// The list has what a host runs, with what varies as far as it may, and no secret.
func TestGatewayScript(t *testing.T) {
	h, other := &alf.Host{Name: "web1"}, &alf.Host{Name: "web2"}
	macro := func(s string) alf.Template { return alf.ParseTemplate(s) }
	shell, err := alf.ParseShell(`a $SERVICEOUTPUT$ "$SERVICESTATE$" '$LONGSERVICEOUTPUT$'`)
	if err != nil {
		t.Fatal(err)
	}
	services := []*alf.Service{
		{Key: alf.Key{Host: "web1", Service: "argv"}, Host: h, On: h, Argv: []alf.Template{macro("check_it"), macro("-x=$SERVICESTATE$"), macro("$HOSTOUTPUT:web2$")}, Timeout: 1500 * time.Millisecond},
		{Key: alf.Key{Host: "web2", Service: "guest"}, Host: other, On: h, Shell: shell, Path: []string{"/p", "/q"}},
		{Key: alf.Key{Host: "web1", Service: "secret"}, Host: h, On: h, Argv: []alf.Template{macro("check_it"), {{Text: "tiger", Secret: true}}}, Env: []alf.EnvVar{{Name: "A", Value: alf.Text("b c")}, {Name: "P", Value: alf.Template{{Text: "lily", Secret: true}}}}},
		{Key: alf.Key{Host: "web1", Service: "elsewhere"}, Host: h, On: other, Argv: []alf.Template{macro("check_other")}},
		{Key: alf.Key{Host: "web1", Service: "local"}, Host: h, Argv: []alf.Template{macro("check_local")}},
		{Key: alf.Key{Host: "web1"}, Host: h, On: h, Builtin: alf.CheckSSH},
		{Key: alf.Key{Host: "web1", Service: "passive"}, Host: h, On: h, Passive: true},
		{Key: alf.Key{Host: "web1", Service: "script"}, Host: h, On: h, Script: "check_load", Argv: []alf.Template{macro("-r")}, Dir: "tmp"},
		{Key: alf.Key{Host: "web1", Service: "input"}, Host: h, On: h, Argv: []alf.Template{macro("check_in")}, Stdin: alf.Template{{Text: "lily", Secret: true}}},
	}
	script, list, err := runner.GatewayScript(h, services, checker.FreeMacro)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"alf_list=" + list + "\n",
		"# web1!argv\n\t[ $# -eq 7 ] &&\n\t\t[ \"$1 $2 $3 $4 $5\" = 'none | \\ \\ check_it' ] &&\n\t\tfits \"$6\" '-x=' plain '' &&\n\t\tfits \"$7\" '' text '' &&\n\t\talf_limit=12 && return\n",
		`[ "$1 $2 $3 $4 $5 $6" = 'none | \ /p:/q /bin/sh -c' ]`,
		`fits "$7" 'a\0040\0047' quoted '\0047\0040\0042\0042\0047' plain '\0047\0042\0042\0040\0047' quoted '\0047'`,
		`[ "$1 $2" = 'none A=b\0040c' ] &&` + "\n\t\tfits \"$3\" 'P=' any ''",
		"' sha256:",
		"'" + sha("lily") + ` | \ \ check_in') alf_limit=`,
		" | ./tmp \\ /bin/sh -s -- -r') alf_limit=10 ;;\n",
	} {
		if !strings.Contains(script, want) {
			t.Errorf("the script has no %q", want)
		}
	}
	for _, not := range []string{"tiger", "lily", "check_other", "check_local", "passive", "@NAME@", "@LISTED@", "@HINT@", "@LIST@"} {
		if _, own, _ := strings.Cut(script, "\npermitted()"); strings.Contains(own, not) {
			t.Errorf("the script has %q", not)
		}
	}
	services[8].Stdin = macro("$SERVICESTATE$")
	if _, _, err := runner.GatewayScript(h, services, checker.FreeMacro); err == nil || !strings.Contains(err.Error(), "web1!input: stdin has the macro $SERVICESTATE$") {
		t.Errorf("err = %v, want one that names the check and the macro", err)
	}
	services[8].Stdin = nil
	services[7].Script = "/nowhere/script"
	if _, _, err := runner.GatewayScript(h, services, checker.FreeMacro); err == nil || !strings.Contains(err.Error(), "web1!script") {
		t.Errorf("err = %v, want one that names the check", err)
	}
}

func sha(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
