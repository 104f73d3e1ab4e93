package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
)

// workshop is a runner of a function, and the audit.
type workshop struct {
	do func(ctx context.Context, e alf.Execution) (alf.Exit, error)

	mu      sync.Mutex
	remarks []string
	refuses error // remarks
	running int
	most    int
	ran     []string
}

func (w *workshop) Run(ctx context.Context, e alf.Execution) (alf.Exit, error) {
	w.mu.Lock()
	w.running++
	w.most = max(w.most, w.running)
	w.ran = append(w.ran, string(e.Host.Name))
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.running--; w.mu.Unlock() }()
	return w.do(ctx, e)
}

func (w *workshop) remark(_ context.Context, author, text string) (alf.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuses != nil {
		return 0, w.refuses
	}
	w.remarks = append(w.remarks, author+": "+text)
	return 1, nil
}

// awaitRemark returns the first remark with that text.
func (w *workshop) awaitRemark(t *testing.T, text string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		i := slices.IndexFunc(w.remarks, func(s string) bool { return strings.Contains(s, text) })
		remarks := slices.Clone(w.remarks)
		w.mu.Unlock()
		if i >= 0 {
			return remarks[i]
		}
	}
	t.Fatalf("no remark says %q: %q", text, w.remarks)
	return ""
}

// withRunner gives h something to run with. do is called for each host.
func withRunner(h *house, do func(ctx context.Context, e alf.Execution) (alf.Exit, error)) *workshop {
	w := &workshop{do: do}
	h.options.Runner, h.options.Remark = w, w.remark
	return w
}

// fleet is n hosts, h0 and so on, which allow ten sessions each.
func fleet(t *testing.T, n int) *house {
	var hosts []*alf.Host
	var services []*alf.Service
	for i := range n {
		h := &alf.Host{Name: alf.HostName(fmt.Sprintf("h%d", i)), SSH: alf.SSH{MaxSessions: 10}}
		hosts, services = append(hosts, h), append(services, ssh(h))
	}
	return open(t, alf.NewInventory(hosts, services))
}

// stream is the answer to a run, event by event.
type stream struct {
	t    *testing.T
	body io.ReadCloser
	d    *json.Decoder
}

// begin begins a run and returns its first event.
func begin(t *testing.T, c *http.Client, body string) (*stream, wire.RunEvent) {
	t.Helper()
	resp, err := c.Post("http://localhost/api/v1/run", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if media := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || media != "application/x-ndjson" {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %d, %q, %s", body, resp.StatusCode, media, text)
	}
	s := &stream{t, resp.Body, json.NewDecoder(bufio.NewReader(resp.Body))}
	e := s.next()
	if e.Event != wire.RunBegin {
		t.Fatalf("the first event is %+v", e)
	}
	return s, e
}

func (s *stream) next() (e wire.RunEvent) {
	s.t.Helper()
	if err := s.d.Decode(&e); err != nil {
		s.t.Fatalf("the next event: %v", err)
	}
	return e
}

// rest returns all that is left.
func (s *stream) rest() (all []wire.RunEvent) {
	s.t.Helper()
	for {
		e := s.next()
		all = append(all, e)
		if e.Event == wire.RunDone {
			if err := s.d.Decode(&e); !errors.Is(err, io.EOF) {
				s.t.Errorf("after the last event: %+v, %v", e, err)
			}
			return all
		}
	}
}

// TestRunOnSocketOnly: on TCP nothing can be run, nor called off.
func TestRunOnSocketOnly(t *testing.T) {
	h := office(t)
	w := withRunner(h, func(context.Context, alf.Execution) (alf.Exit, error) { return alf.Exit{}, nil })
	public := api.New(h.options).Public()
	body := `{"hosts":["web1"],"command":["true"]}`
	for _, r := range []*http.Request{request("POST", "/api/v1/run", body, "Content-Type", "application/json"), request("DELETE", "/api/v1/run/x", "")} {
		if w := ask(t, public, r, 403); !strings.Contains(w.Body.String(), "Unix socket") {
			t.Errorf("%s = %s", r.Method, w.Body)
		}
	}
	ask(t, public, request("GET", "/api/v1/run", ""), 405)
	ask(t, api.New(h.options).Private(), request("POST", "/api/v1/run", body, "Content-Type", "application/json"), 403)
	if len(w.ran) > 0 || len(w.remarks) > 0 {
		t.Errorf("it ran on %q", w.ran)
	}
}

func TestRunRefuses(t *testing.T) {
	h := office(t)
	w := withRunner(h, func(context.Context, alf.Execution) (alf.Exit, error) { return alf.Exit{}, nil })
	c := socket(t, h)
	f := func(body string, status int, want string) {
		t.Helper()
		if got := send(t, c, "POST", "/api/v1/run", body, status); !strings.Contains(got, want) {
			t.Errorf("%s = %s, want %q", body, got, want)
		}
	}
	f(`{"command":["true"]}`, 400, "nobody is selected")
	f(`{"hosts":["web1"]}`, 400, "there is nothing to run")
	f(`{"hosts":["web1"],"command":[""]}`, 400, "no name")
	f(`{"hosts":["web1"],"command":["x"],"shell":"y"}`, 400, "exclude each other")
	f(`{"hosts":["web1"],"command":["x"],"parallel":257}`, 400, "from 1 to 256")
	f(`{"hosts":["web1"],"command":["x"],"parallel":-1}`, 400, "from 1 to 256")
	f(`{"hosts":["web1"],"command":["x"],"timeout":"25h"}`, 400, "timeout")
	f(`{"hosts":["web1"],"command":["x"],"script":"/etc/shadow"}`, 400, "script")
	f(`{"hosts":["web9"],"command":["x"]}`, 400, "there is no host")
	f(`{"hosts":["z*"],"command":["x"]}`, 404, "no host is selected")
	send(t, c, "DELETE", "/api/v1/run/nothing", "", 404)
	w.refuses = errors.New("disk full")
	f(`{"hosts":["web1"],"command":["x"]}`, 503, "nothing was run: disk full")
	h.ready = errors.New("no journal")
	f(`{"hosts":["web1"],"command":["x"]}`, 503, "nothing was run: no journal")
	if len(w.ran) > 0 {
		t.Errorf("it ran on %q", w.ran)
	}
}

// TestRunSelects: the selecting fields are those of orders; a service stands for its host.
func TestRunSelects(t *testing.T) {
	h := office(t)
	withRunner(h, nil)
	c := socket(t, h)
	f := func(selects string, want ...string) {
		t.Helper()
		s, e := begin(t, c, `{"dry_run":true,"command":["x"],`+selects+`}`)
		if rest := s.rest(); !slices.Equal(e.Hosts, want) || !e.DryRun || e.ID != "" || len(rest) != 1 {
			t.Errorf("%s: %q, %+v, want %q", selects, e.Hosts, rest, want)
		}
	}
	f(`"hosts":["*"]`, "db1", "web1")
	f(`"hosts":["web*","w?b1"]`, "web1")
	f(`"hostgroups":["paris"]`, "db1", "web1")
	f(`"services":["disk*"]`, "web1")
	f(`"states":["CRITICAL"]`, "web1")
	f(`"states":["DOWN"]`, "db1")
	f(`"services":["load"],"states":["OK"]`, "db1", "web1")
}

// TestRun: what hosts say comes while they say it, and each line whole.
func TestRun(t *testing.T) {
	h := office(t)
	next := make(chan bool)
	long := strings.Repeat("ä", wire.MaxRunLine/2) + "!"
	w := withRunner(h, func(ctx context.Context, e alf.Execution) (alf.Exit, error) {
		if e.Host.Name == "db1" {
			return alf.Exit{Code: -1}, &alf.RunError{Cause: alf.CauseTransport, Phase: "dial", Err: errors.New("ssh db1: dial: no")}
		}
		in, err := io.ReadAll(e.Stdin)
		if err != nil || string(in) != "secret" || e.Priority != alf.AdHoc || !e.Ordered || e.Limit != 90*time.Second || !slices.Equal(e.Argv, []string{"up", "a b"}) {
			t.Errorf("execution %+v with %q", e, in)
		}
		io.WriteString(e.Stdout, "first\r\nsec")
		<-next
		io.WriteString(e.Stderr, "\x1b[31mred\n")
		io.WriteString(e.Stdout, "ond\n\nx"+long+"\nend")
		return alf.Exit{Code: 3, Start: epoch, End: epoch.Add(2 * time.Second)}, nil
	})
	s, e := begin(t, socket(t, h), `{"hosts":["*"],"command":["up","a b"],"stdin":"c2VjcmV0","timeout":"90s","parallel":7,"author":"carol"}`)
	if e.ID == "" || !slices.Equal(e.Hosts, []string{"db1", "web1"}) || e.Parallel != 7 || time.Duration(e.Timeout) != 90*time.Second {
		t.Errorf("begin = %+v", e)
	}
	got := make(map[string][]string) // by host, and stream
	take := func(e wire.RunEvent) {
		key := e.Host + " " + e.Stream
		switch e.Event {
		case wire.RunOutput:
			text := string(*e.Line)
			if e.Broken {
				text += "+"
			}
			got[key] = append(got[key], text)
		case wire.RunEnd:
			got[e.Host] = append(got[e.Host], e.Result+"/"+e.Cause+"/"+e.Phase+"/"+string(e.Error))
			if e.Host == "web1" && (e.ReturnCode == nil || *e.ReturnCode != 3 || e.Seconds != 2 || e.Incomplete) || e.Host == "db1" && e.ReturnCode != nil {
				t.Errorf("end = %+v", e)
			}
		}
	}
	for len(got["web1 stdout"]) == 0 { // while the command runs
		take(s.next())
	}
	close(next)
	all := s.rest()
	for _, e := range all {
		take(e)
	}
	whole := "x" + long
	want := map[string][]string{
		"web1 stdout": {"first", "second", "", whole[:wire.MaxRunLine-1] + "+", whole[wire.MaxRunLine-1:], "end"},
		"web1 stderr": {`\x1b[31mred`},
		"web1":        {"failed///"},
		"db1":         {"failed/transport/dial/ssh db1: dial: no"},
	}
	for key, lines := range want {
		if !slices.Equal(got[key], lines) {
			t.Errorf("%s: %q, want %q", key, got[key], lines)
		}
	}
	if done := all[len(all)-1]; done.OK != 0 || done.Failed != 2 || done.NotRun != 0 || len(got) != len(want) {
		t.Errorf("done = %+v, %d streams", done, len(got))
	}
	if got, want := w.awaitRemark(t, "on 2 hosts"), "carol (by "+me(t)+"): run "+e.ID+`: on 2 hosts (db1, web1): up "a b" (with 6 bytes of input)`; got != want {
		t.Errorf("the audit says %q, want %q", got, want)
	}
	if got := w.awaitRemark(t, "ended"); !strings.HasSuffix(got, "run "+e.ID+" ended: 0 ok, 2 failed, 0 not run") {
		t.Errorf("the audit says %q", got)
	}
}

// TestRunSlowReader: one who does not read holds up no host, and fills no memory; what is
// missing is told to the byte.
func TestRunSlowReader(t *testing.T) {
	h := fleet(t, 1)
	const lines, length = 12_000, 1000
	ended := make(chan bool)
	withRunner(h, func(_ context.Context, e alf.Execution) (alf.Exit, error) {
		defer close(ended)
		line := []byte(strings.Repeat("x", length-1) + "\n")
		for range lines {
			e.Stdout.Write(line)
		}
		return alf.Exit{}, nil
	})
	s, _ := begin(t, socket(t, h), `{"hosts":["h0"],"command":["yes"]}`)
	select {
	case <-ended: // before anything more is read
	case <-time.After(20 * time.Second):
		t.Fatal("the command waits for its reader")
	}
	came, dropped := 0, 0
	all := s.rest()
	for _, e := range all {
		switch e.Event {
		case wire.RunOutput:
			came += len(*e.Line) + 1
		case wire.RunDropped:
			dropped += e.Bytes
		}
	}
	if came+dropped != lines*length || dropped == 0 || came > 6<<20 {
		t.Errorf("%d bytes came and %d were dropped, of %d", came, dropped, lines*length)
	}
	if end := all[len(all)-2]; end.Event != wire.RunEnd || !end.Incomplete {
		t.Errorf("the end says %+v", end)
	}
}

// TestRunFastHost: one who reads gets all of it, however fast the host is.
func TestRunFastHost(t *testing.T) {
	h := fleet(t, 1)
	const lines, length = 8_000, 1000
	withRunner(h, func(_ context.Context, e alf.Execution) (alf.Exit, error) {
		line := []byte(strings.Repeat("x", length-1) + "\n")
		for range lines {
			e.Stdout.Write(line)
		}
		return alf.Exit{}, nil
	})
	s, _ := begin(t, socket(t, h), `{"hosts":["h0"],"command":["yes"]}`)
	came := 0
	for _, e := range s.rest() {
		if e.Event == wire.RunOutput {
			came += len(*e.Line) + 1
		}
		if e.Event == wire.RunDropped || e.Incomplete {
			t.Errorf("%+v", e)
		}
	}
	if came != lines*length {
		t.Errorf("%d bytes came, want %d", came, lines*length)
	}
}

// TestRunEndsWithCaller: when the caller has left, what runs is ended and nothing more begins.
func TestRunEndsWithCaller(t *testing.T) {
	h := fleet(t, 5)
	begun := make(chan bool, 5)
	w := withRunner(h, func(ctx context.Context, e alf.Execution) (alf.Exit, error) {
		begun <- true
		<-ctx.Done()
		return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Err: context.Cause(ctx)}
	})
	s, _ := begin(t, socket(t, h), `{"hosts":["*"],"command":["sleep"],"parallel":2}`)
	<-begun
	<-begun
	s.body.Close()
	if got := w.awaitRemark(t, "ended"); !strings.HasSuffix(got, "ended: 0 ok, 2 failed, 3 not run: called off: its caller has left") {
		t.Errorf("the audit says %q", got)
	}
	if w.mu.Lock(); len(w.ran) != 2 || w.running != 0 {
		t.Errorf("it ran on %q, and runs on %d", w.ran, w.running)
	}
	w.mu.Unlock()
}

// TestRunCalledOff: who calls a run off hears what became of it.
func TestRunCalledOff(t *testing.T) {
	h := fleet(t, 3)
	begun := make(chan bool, 3)
	withRunner(h, func(ctx context.Context, e alf.Execution) (alf.Exit, error) {
		begun <- true
		<-ctx.Done()
		return alf.Exit{}, &alf.RunError{Cause: alf.CauseTransport, Phase: "output", Err: fmt.Errorf("%w; killed", context.Cause(ctx))}
	})
	c := socket(t, h)
	s, e := begin(t, c, `{"hosts":["*"],"command":["sleep"],"parallel":1}`)
	<-begun
	send(t, c, "DELETE", "/api/v1/run/"+e.ID, "", 200)
	all := s.rest()
	if done := all[len(all)-1]; done.OK != 0 || done.Failed != 1 || done.NotRun != 2 {
		t.Errorf("done = %+v", done)
	}
	if want := wire.Text("by " + me(t) + "; killed"); all[0].Error != want || all[1].Result != wire.RunNotRun {
		t.Errorf("ends = %+v, want %q", all, want)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r, _ := http.NewRequest("DELETE", "http://localhost/api/v1/run/"+e.ID, nil)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 404 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a run that is over can still be called off")
		}
	}
}

// TestRunBounds: so many hosts at a time of one run, and so many commands on one host of all.
func TestRunBounds(t *testing.T) {
	h := fleet(t, 12)
	gate := make(chan bool)
	w := withRunner(h, func(context.Context, alf.Execution) (alf.Exit, error) {
		<-gate
		return alf.Exit{}, nil
	})
	c := socket(t, h)
	await := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			w.mu.Lock()
			running := w.running
			w.mu.Unlock()
			if running == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d run, want %d", running, n)
			}
		}
	}
	s, _ := begin(t, c, `{"hosts":["*"],"command":["x"],"parallel":3}`)
	await(3)
	for range 12 {
		gate <- true
	}
	s.rest()
	if w.most != 3 {
		t.Errorf("%d at a time, want 3", w.most)
	}
	var all []*stream
	for range 16 {
		s, _ := begin(t, c, `{"hosts":["h0"],"command":["x"]}`)
		all = append(all, s)
	}
	await(2)
	if got := send(t, c, "POST", "/api/v1/run", `{"hosts":["h1"],"command":["x"]}`, 503); !strings.Contains(got, "16 runs are under way") {
		t.Errorf("one more: %s", got)
	}
	for range 16 {
		gate <- true
	}
	for _, s := range all {
		s.rest()
	}
	if w.most != 3 || len(w.ran) != 12+16 {
		t.Errorf("%d at a time, %d in all", w.most, len(w.ran))
	}
}
