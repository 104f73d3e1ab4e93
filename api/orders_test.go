package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"alf"
	"alf/api"
	"alf/api/wire"
)

// socket serves Private on a Unix socket and returns a client of it.
func socket(t *testing.T, h *house) *http.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alf.sock")
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server := api.Server(api.New(h.options).Private(), h.options.Log)
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v", err)
		}
	})
	return &http.Client{Transport: transport}
}

// send sends a body of JSON and returns the answer, which must have that status.
func send(t *testing.T, c *http.Client, method, path, body string, status int) string {
	t.Helper()
	return sendAs(t, c, method, path, "application/json", body, status)
}

func sendAs(t *testing.T, c *http.Client, method, path, media, body string, status int) string {
	t.Helper()
	r, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", media)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	if err := resp.Write(&text); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Errorf("%s %s %s = %s, want %d", method, path, body, &text, status)
	}
	return text.String()
}

func me(t *testing.T) string {
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func TestRecheck(t *testing.T) {
	h := office(t)
	c := socket(t, h)
	f := func(path string, want alf.Key) {
		t.Helper()
		send(t, c, "POST", path, "", 202)
		got := h.orders[len(h.orders)-1]
		if got.Verb != alf.Recheck || got.Key != want || got.Author != me(t) || got.Time.IsZero() {
			t.Errorf("POST %s ordered %+v, want a recheck of %s by %s", path, got, want, me(t))
		}
	}
	f("/api/v1/services/web1/disk%20%2F/recheck", alf.Key{Host: "web1", Service: "disk /"})
	f("/api/v1/hosts/web1/recheck", alf.Key{Host: "web1"})
	send(t, c, "POST", "/api/v1/services/web1/backup/recheck", "", 409)
	send(t, c, "POST", "/api/v1/services/web1/nope/recheck", "", 404)
	send(t, c, "POST", "/api/v1/hosts/web1/recheck?x=1", "", 400)
	if len(h.orders) != 2 {
		t.Errorf("%d orders, want 2: %+v", len(h.orders), h.orders)
	}
}

func TestSubmit(t *testing.T) {
	h := office(t)
	h.follow(t)
	c := socket(t, h)
	const path = "/api/v1/services/web1/backup/result"
	send(t, c, "POST", path, `{"status":"warning","output":"late | age=90s;60;x\nfirst\nsecond","author":"cron"}`, 200)
	got := h.orders[0]
	if got.Verb != alf.Submit || got.Author != "cron (by "+me(t)+")" || got.ReturnCode != 1 || got.Time.IsZero() ||
		got.Output != "late | age=90s;60;x\nfirst\nsecond" {
		t.Errorf("submitted %+v", got)
	}
	// The answer came when the view had it: whoever reads now sees it.
	var s wire.Service
	if err := json.Unmarshal(h.get(t, "/api/v1/services/web1/backup", 200).Body.Bytes(), &s); err != nil || s.State != "WARNING" {
		t.Errorf("after the answer the service is %+v, %v", s, err)
	}
}

func TestSubmittedStatus(t *testing.T) {
	h := office(t)
	h.follow(t)
	c := socket(t, h)
	f := func(body string, status, want int) {
		t.Helper()
		send(t, c, "POST", "/api/v1/services/web1/backup/result", body, status)
		if status != 200 {
			return
		}
		if got := h.orders[len(h.orders)-1].ReturnCode; got != want {
			t.Errorf("%s = %v, want %v", body, got, want)
		}
	}
	f(`{"return_code":0,"output":"x"}`, 200, 0)
	f(`{"return_code":2,"output":"x"}`, 200, 2)
	f(`{"return_code":127,"output":"x"}`, 200, 127)
	f(`{"status":"CRITICAL","return_code":2,"output":"x"}`, 200, 2)
	f(`{"status":"unknown","output":""}`, 200, 3)
	f(`{"status":"OK","return_code":2,"output":"x"}`, 400, 0)
	f(`{"status":"fine","return_code":0,"output":"x"}`, 400, 0)
	f(`{"status":"fine","output":"x"}`, 400, 0)
	f(`{"return_code":-1,"output":"x"}`, 400, 0)
	f(`{"return_code":256,"output":"x"}`, 400, 0)
	f(`{"output":"x"}`, 400, 0)
	f(`{"status":"OK","outputs":"x"}`, 400, 0)
	f(`{"status":"OK"} {}`, 400, 0)
	f(`{"status":"OK"`, 400, 0)
	f(``, 400, 0)
	f(`[]`, 400, 0)
	f(`{"status":"OK","output":"`+strings.Repeat("x", 1<<20)+`"}`, 413, 0)
	sendAs(t, c, "POST", "/api/v1/services/web1/backup/result", "text/plain", `{"status":"OK"}`, 415)
	sendAs(t, c, "POST", "/api/v1/services/web1/backup/result", "application/json; charset=utf-8", `{"status":"OK"}`, 200)
}

// TestSubmittedHost: a host has states of its own.
func TestSubmittedHost(t *testing.T) {
	h := office(t)
	h.follow(t)
	c := socket(t, h)
	f := func(body string, status, want int) {
		t.Helper()
		text := send(t, c, "POST", "/api/v1/hosts/web1/result", body, status)
		if status != 200 {
			return
		}
		if got := h.orders[len(h.orders)-1]; got.ReturnCode != want || got.Key != (alf.Key{Host: "web1"}) || got.Verb != alf.Submit {
			t.Errorf("%s = %+v, want %v", body, got, want)
		}
		if !strings.Contains(text, `"name":"web1"`) {
			t.Errorf("%s = %s", body, text)
		}
	}
	f(`{"status":"up","output":"x"}`, 200, 0)
	f(`{"status":"DOWN","output":"x"}`, 200, 1)
	f(`{"status":"UNREACHABLE","return_code":2,"output":"x"}`, 200, 2)
	f(`{"return_code":1,"output":"x"}`, 200, 1)
	f(`{"status":"DOWN","return_code":2,"output":"x"}`, 400, 0)
	f(`{"status":"CRITICAL","output":"x"}`, 400, 0)
	f(`{"return_code":3,"output":"x"}`, 400, 0)
	f(`{"output":"x"}`, 400, 0)
	send(t, c, "POST", "/api/v1/hosts/web9/result", `{"status":"UP"}`, 404)
}

func TestOrderNotTaken(t *testing.T) {
	h := office(t)
	h.options.Submit = func(context.Context, alf.Command) (alf.ID, error) { return 0, errors.New("the checker has stopped") }
	if got := send(t, socket(t, h), "POST", "/api/v1/hosts/web1/recheck", "", 503); !strings.Contains(got, "the checker has stopped") {
		t.Errorf("answer = %s, want the reason", got)
	}
}

func TestReload(t *testing.T) {
	h := office(t)
	c := socket(t, h)
	if got := send(t, c, "POST", "/-/reload", "", 200); !strings.HasSuffix(got, "reloaded\n") {
		t.Errorf("reload = %s", got)
	}
	if send(t, c, "POST", "/-/reload?force=false", "", 200); h.forced {
		t.Error("a reload that is not to be forced was")
	}
	if send(t, c, "POST", "/-/reload?force=true", "", 200); !h.forced {
		t.Error("a reload that is to be forced was not")
	}
	send(t, c, "POST", "/-/reload?force=perhaps", "", 400)
	send(t, c, "POST", "/-/reload?forced=true", "", 400)
	h.reloaded = errors.New("web.toml:3: no such key")
	if got := send(t, c, "POST", "/-/reload", "", 500); !strings.Contains(got, "web.toml:3: no such key") {
		t.Errorf("reload = %s, want what is wrong", got)
	}
}

// TestConfigDiff: what a reload would change is told on the socket alone.
func TestConfigDiff(t *testing.T) {
	h := office(t)
	var wrong error
	h.options.Diff = func(context.Context) (*wire.ConfigDiff, error) {
		return &wire.ConfigDiff{Differs: true, Refused: "all would disappear", Removed: wire.NewConfigKeys([]alf.Key{{Host: "web1", Service: "disk"}})}, wrong
	}
	c := socket(t, h)
	for _, want := range []string{`"refused":"all would disappear"`, `"removed":[{"host":"web1","service":"disk"}]`} {
		if got := strings.ReplaceAll(send(t, c, "GET", "/api/v1/config/diff", "", 200), " ", ""); !strings.Contains(got, strings.ReplaceAll(want, " ", "")) {
			t.Errorf("diff = %s, want %s", got, want)
		}
	}
	wrong = errors.New("web.toml:3: no such key")
	if got := send(t, c, "GET", "/api/v1/config/diff", "", 422); !strings.Contains(got, "web.toml:3: no such key") {
		t.Errorf("diff = %s, want what is wrong", got)
	}
}

func TestLogLevels(t *testing.T) {
	h := office(t)
	c := socket(t, h)
	if got := same[wire.Levels](t, h, "/-/log-levels"); len(got.Levels) != 1 || got.Levels[0].Room != "api" || got.Levels[0].Level != "INFO" {
		t.Errorf("levels = %+v", got)
	}
	if got := send(t, c, "PUT", "/-/log-levels", `{"room":"api","level":"debug"}`, 200); !strings.Contains(got, `"DEBUG"`) {
		t.Errorf("PUT = %s, want the new level", got)
	}
	send(t, c, "PUT", "/-/log-levels", `{"room":"cellar","level":"debug"}`, 400)
	send(t, c, "PUT", "/-/log-levels", `{"room":"api","level":"loud"}`, 400)
}
