package api_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/api/wire"
)

// same reports what differs between the JSON and the XML of the same answer.
func same[T any](t *testing.T, h *house, path string) T {
	t.Helper()
	asJSON, asXML := both[T](t, h, path)
	if got, want := text(t, asXML), text(t, asJSON); got != want {
		t.Errorf("GET %s: the XML says %s, the JSON %s", path, got, want)
	}
	return asJSON
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), ":null", ":[]") // XML cannot tell no list from an empty one
}

func TestStatus(t *testing.T) {
	h := office(t)
	got := same[wire.Status](t, h, "/api/v1/status")
	want := wire.Counts{
		Hosts:    wire.HostCounts{Total: 2, Up: 1, Down: 1},
		Services: wire.ServiceCounts{Total: 5, OK: 2, Warning: 1, Critical: 1, Pending: 1},
		Stale:    1, Problems: 2, Unhandled: 2,
	}
	if got.Counts != want || got.Version != "1.2.3" || !got.Started.Equal(epoch) || !got.Ready {
		t.Errorf("status = %+v, want %+v", got, want)
	}
	h.ready = fmt.Errorf("not yet")
	if got := same[wire.Status](t, h, "/api/v1/status"); got.Ready || got.NotReady != "not yet" {
		t.Errorf("status = %+v, want the reason why it is not ready", got)
	}
}

func TestService(t *testing.T) {
	h := office(t)
	s := same[wire.Service](t, h, "/api/v1/services/web1/disk%20%2F")
	if s.State != "CRITICAL" || *s.StateCode != 2 || s.StateType != "HARD" || s.Attempt != 3 || s.MaxCheckAttempts != 3 || s.Pending {
		t.Errorf("state = %+v", s.Head)
	}
	if s.Output != "DISK CRITICAL - free space: / 1%" || s.LongOutput != "first\nsecond" || s.Command != "check_it -w 10" ||
		s.Check != "disk" || s.NotesURL != "https://wiki/disk" || s.Latency != 1 || s.Duration != 2 || *s.ReturnCode != 2 {
		t.Errorf("outcome = %+v", s)
	}
	if !s.LastCheck.Equal(epoch.Add(2*time.Minute)) || !s.NextCheck.Equal(epoch.Add(3*time.Minute)) || s.LastHardStateChange == nil {
		t.Errorf("times = %v, %v, %v", s.LastCheck, s.NextCheck, s.LastHardStateChange)
	}
	got, _ := json.Marshal(s.Perfdata)
	want := `[{"label":"/","value":99,"uom":"%","warn":"80","crit":"@90:100","min":0,"max":100},` +
		`{"label":"used","value":null,"uom":"","warn":null,"crit":null,"min":null,"max":null}]`
	if string(got) != want {
		t.Errorf("perfdata = %s, want %s", got, want)
	}
}

func TestOddNames(t *testing.T) {
	h := office(t)
	for _, name := range []alf.ServiceName{"disk /", "backup"} {
		path := "/api/v1/" + wire.Path(alf.Key{Host: "web1", Service: name})
		if s := same[wire.Service](t, h, path); s.Service != string(name) {
			t.Errorf("GET %s = %q, want %q", path, s.Service, name)
		}
	}
	path := "/api/v1/" + wire.Path(alf.Key{Host: "db1", Service: "a/b?c#d%2F e;ü"})
	if s := same[wire.Service](t, h, path); s.State != "WARNING" {
		t.Errorf("GET %s = %+v", path, s)
	}
	same[wire.Results](t, h, path+"/results")
}

func TestPending(t *testing.T) {
	h := office(t)
	body := h.get(t, "/api/v1/services/web1/backup", 200).Body.String()
	for _, want := range []string{`"state":"PENDING"`, `"state_code":null`, `"pending":true`, `"attempt":0`, `"max_check_attempts":3`,
		`"last_check":null`, `"stale":null`, `"perfdata":[]`, `"return_code":null`, `"passive":true`} {
		if !strings.Contains(body, want) {
			t.Errorf("pending service = %s, want %s in it", body, want)
		}
	}
}

func TestStale(t *testing.T) {
	s := same[wire.Service](t, office(t), "/api/v1/services/db1/load")
	if s.State != "OK" || s.Stale == nil || s.Stale.Cause != "transport" || s.Stale.Output != "dial db1:22: timed out" {
		t.Errorf("stale service = %+v", s.Head)
	}
}

func TestHosts(t *testing.T) {
	h := office(t)
	got := same[wire.Host](t, h, "/api/v1/hosts/web1")
	if got.Name != "web1" || got.Alias != "shop" || got.State != "UP" || got.Services != (wire.ServiceCounts{Total: 3, OK: 1, Critical: 1, Pending: 1}) ||
		!slices.Equal(got.Hostgroups, []string{"web", "paris"}) {
		t.Errorf("host = %+v", got)
	}
	f := func(query string, want ...string) {
		t.Helper()
		var names []string
		for _, host := range same[wire.Hosts](t, h, "/api/v1/hosts"+query).Hosts {
			names = append(names, host.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("hosts%s = %v, want %v", query, names, want)
		}
	}
	f("", "db1", "web1")
	f("?status=down", "db1")
	f("?status=up,down&limit=1&offset=1", "web1")
	f("?hostgroup=web", "web1")
	f("?problems=true", "db1")
	f("?q=SHOP", "web1")
	f("?stale=true")
}

func TestServices(t *testing.T) {
	h := office(t)
	f := func(query string, total int, want ...string) {
		t.Helper()
		got := same[wire.Services](t, h, "/api/v1/services"+query)
		var names []string
		for _, s := range got.Services {
			names = append(names, s.Key().String())
		}
		if !slices.Equal(names, want) || got.Total != total {
			t.Errorf("services%s = %q of %d, want %q of %d", query, names, got.Total, want, total)
		}
	}
	const odd = "db1!a/b?c#d%2F e;ü"
	f("", 5, odd, "db1!load", "web1!backup", "web1!disk /", "web1!load")
	f("?limit=2&offset=1", 5, "db1!load", "web1!backup")
	f("?offset=9", 5)
	f("?host=db1", 2, odd, "db1!load")
	f("?host=db1&host=web1&check=load", 2, "db1!load", "web1!load")
	f("?hostgroup=web", 3, "web1!backup", "web1!disk /", "web1!load")
	f("?status=critical,warning", 2, odd, "web1!disk /")
	f("?status=PENDING", 1, "web1!backup")
	f("?problems=true", 1, "web1!disk /")
	f("?stale=true", 1, "db1!load")
	f("?q=LOAD+AVERAGE", 1, "web1!load")
	f("?host=nobody", 0)
}

func TestProblems(t *testing.T) {
	h := office(t)
	f := func(query string, want ...string) {
		t.Helper()
		var names []string
		for _, s := range same[wire.Problems](t, h, "/api/v1/problems"+query).Problems {
			names = append(names, s.Key().String()+" "+s.State)
		}
		if !slices.Equal(names, want) {
			t.Errorf("problems%s = %q, want %q", query, names, want)
		}
	}
	f("", "db1 DOWN", "web1!disk / CRITICAL")
	f("?soft=true", "db1 DOWN", "web1!disk / CRITICAL", "db1!a/b?c#d%2F e;ü WARNING")
	f("?status=critical", "web1!disk / CRITICAL")
}

func TestResults(t *testing.T) {
	h := office(t)
	path := "/api/v1/services/web1/disk%20%2F/results"
	got := same[wire.Results](t, h, path)
	if got.Total != 2 || len(got.Results) != 2 || got.Results[0].State != "CRITICAL" || got.Results[1].State != "OK" {
		t.Fatalf("results = %+v, want the newest first", got)
	}
	if r := got.Results[0]; r.Status != "CRITICAL" || r.ID == 0 || !slices.Equal(r.Changes, []string{"status", "type"}) || r.LongOutput != "first\nsecond" {
		t.Errorf("result = %+v", r)
	}
	if got := same[wire.Results](t, h, path+"?limit=1"); len(got.Results) != 1 {
		t.Errorf("results?limit=1 = %d results", len(got.Results))
	}
	if got := same[wire.Results](t, h, "/api/v1/services/web1/backup/results"); len(got.Results) != 0 {
		t.Errorf("results of a pending service = %+v", got)
	}
}

// A list is written member by member; it must come out as in one piece.
func TestListsAreWhole(t *testing.T) {
	h := office(t)
	f := func(path string, v any) {
		t.Helper()
		body := h.get(t, path, 200).Body.Bytes()
		if err := json.Unmarshal(body, v); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := json.Compact(&got, body); err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(v)
		if got.String() != string(want) {
			t.Errorf("GET %s = %s, want %s", path, got.String(), want)
		}
		body = h.get(t, path, 200, "Accept", "text/xml").Body.Bytes()
		v = reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := xml.Unmarshal(body, v); err != nil {
			t.Fatal(err)
		}
		want, _ = xml.Marshal(v)
		if got := xml.Header + string(want) + "\n"; got != string(body) {
			t.Errorf("GET %s = %s, want %s", path, body, got)
		}
	}
	f("/api/v1/hosts", &wire.Hosts{})
	f("/api/v1/services", &wire.Services{})
	f("/api/v1/problems", &wire.Problems{})
	f("/api/v1/services/web1/load/results", &wire.Results{})
	f("/api/v1/services?host=nobody", &wire.Services{Services: []wire.Service{}})
	h = handled(t)
	f("/api/v1/services", &wire.Services{})
	f("/api/v1/downtimes", &wire.Downtimes{})
	f("/api/v1/comments", &wire.Comments{})
}

func BenchmarkServices(b *testing.B) {
	h := large(b, 100_000)
	for b.Loop() {
		w := h.get(b, "/api/v1/services", 200)
		b.SetBytes(int64(w.Body.Len()))
	}
}

func large(t testing.TB, n int) *house {
	var hosts []*alf.Host
	var services []*alf.Service
	var events []*alf.Event
	for i := range n {
		if i%50 == 0 {
			hosts = append(hosts, &alf.Host{Name: alf.HostName(fmt.Sprintf("host%05d", i/50))})
		}
		s := service(hosts[len(hosts)-1], alf.ServiceName(fmt.Sprintf("service %d", i%50)), "disk")
		services = append(services, s)
		events = append(events, result(s.Key, alf.Status(i%100/98), alf.Hard, 1, epoch, "OK - all is well with this thing, and it is 12% full"))
	}
	return open(t, alf.NewInventory(hosts, services), events...)
}
