package wire_test

import (
	"encoding/json"
	"encoding/xml"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"alf"
	"alf/api/wire"
)

// TestBrief: a table has room for the beginning of an output.
func TestBrief(t *testing.T) {
	f := func(output, want string) {
		t.Helper()
		if got := wire.Brief(output); got != want {
			t.Errorf("Brief of %d bytes = %q, want %q", len(output), got, want)
		}
	}
	x := strings.Repeat("x", 499)
	f("", "")
	f(x+"y", x+"y")
	f(x+"yz", x+"y ... (501 bytes)")
	f(x+"é", x+" ... (501 bytes)")
	f(x+"y"+strings.Repeat("z", 60_000), x+"y ... (60500 bytes)")
	f(strings.Repeat("\x80", 600), strings.Repeat("\x80", 496)+" ... (600 bytes)")
}

func TestFilter(t *testing.T) {
	f := func(want wire.Filter) {
		t.Helper()
		all := append(wire.ServiceParameters, "soft", "service", "state")
		got, err := wire.ParseFilter(want.Values(), all, wire.AllStates)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseFilter(%q) = %+v, %v, want %+v", want.Values(), got, err, want)
		}
	}
	f(wire.Filter{})
	f(wire.Filter{Hosts: []string{"web1", "a&b=c"}, Hostgroups: []string{"g"}, Checks: []string{"disk"}})
	f(wire.Filter{States: []string{"CRITICAL", "PENDING"}, Problems: true, Soft: true, Stale: true})
	f(wire.Filter{Acknowledged: new(true), Downtime: new(false), Flapping: new(true), Handled: new(false)})
	f(wire.Filter{Services: []string{"disk /", "load"}, Phase: wire.Planned})
	f(wire.Filter{Text: "free space: 1%", Offset: 20, Limit: 10})
}

func TestFilterNamesAllMistakes(t *testing.T) {
	query, err := url.ParseQuery("status=ok,bad&limit=x&soft=maybe&handled=no&colour=red")
	if err != nil {
		t.Fatal(err)
	}
	_, err = wire.ParseFilter(query, wire.ProblemParameters, wire.AllStates)
	for _, word := range []string{"BAD", `limit "x"`, `soft "maybe"`, `handled "no"`, `"colour"`} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("ParseFilter = %v, want %s in it", err, word)
		}
	}
}

func TestPath(t *testing.T) {
	f := func(host alf.HostName, service alf.ServiceName, want string) {
		t.Helper()
		if got := wire.Path(alf.Key{Host: host, Service: service}); got != want {
			t.Errorf("Path(%q, %q) = %q, want %q", host, service, got, want)
		}
	}
	f("web1", "", "hosts/web1")
	f("web1", "disk /", "services/web1/disk%20%2F")
	f("..", ".", "services/%2E%2E/%2E")
	f("a%2Fb", "c?d#e", "services/a%252Fb/c%3Fd%23e")
}

func TestText(t *testing.T) {
	type doc struct {
		Text wire.Text `json:"text" xml:"text"`
	}
	in := doc{"<b> & \x1b[2J \xff \ufffe\nend"}
	f := func(name string, got []byte, err error, want string) {
		t.Helper()
		if err != nil || string(got) != want {
			t.Errorf("%s = %s, %v, want %s", name, got, err, want)
		}
	}
	got, err := json.Marshal(in)
	f("JSON", got, err, `{"text":"\u003cb\u003e \u0026 \\x1b[2J `+"\ufffd \ufffe"+`\nend"}`)
	got, err = xml.Marshal(in)
	f("XML", got, err, "<doc><text>&lt;b&gt; &amp; \ufffd[2J \ufffd \ufffd&#xA;end</text></doc>")
}

func TestErrorKeepsItsText(t *testing.T) {
	e := wire.NewError(404, "there is no host %q", "web9")
	if got, want := e.Error(), `there is no host "web9"`; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got, want := wire.NewError(404, "").Error(), "Not Found"; got != want {
		t.Errorf("Error() of no detail = %q, want %q", got, want)
	}
}
