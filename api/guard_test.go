package api_test

import (
	"net/http"
	"strings"
	"testing"

	"alf/api"
)

func TestHost(t *testing.T) {
	h := office(t)
	h.options.AllowedHosts = []string{"alf.example.com", "Monitor"}
	public := api.New(h.options).Public()
	f := func(host string, status int) {
		t.Helper()
		r := request("GET", "/ping", "")
		r.Host = host
		if w := ask(t, public, r, status); status != 200 && !strings.Contains(w.Body.String(), "localhost") {
			t.Errorf("Host %q = %s, want a text that says which names are right", host, w.Body)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST", "localhost.", "localhost:5690", "127.0.0.1", "127.0.0.1:5690",
		"127.8.9.10", "[::1]", "[::1]:5690", "[::ffff:127.0.0.1]", "alf.example.com", "alf.example.com:80", "monitor"} {
		f(host, 200)
	}
	for _, host := range []string{"", ":5690", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7",
		"[::2]", "0.0.0.0", "[::]", "alf.example.com.evil", "127.1", "2130706433", "localhost@evil"} {
		f(host, http.StatusMisdirectedRequest)
	}
}

func TestOrigin(t *testing.T) {
	public := api.New(office(t).options).Public()
	f := func(origin string, status int) {
		t.Helper()
		ask(t, public, request("GET", "/ping", "", "Origin", origin), status)
	}
	f("http://localhost:5690", 200)
	f("http://localhost", 403)
	f("http://localhost:1234", 403)
	f("https://evil.example", 403)
	f("null", 403)
	f("%zz", 403)
	f("", 403)
}

func TestPublicOnlyReads(t *testing.T) {
	h := office(t)
	public := api.New(h.options).Public()
	f := func(method, path string, status int, word string) {
		t.Helper()
		w := ask(t, public, request(method, path, `{"status":"OK","output":"x"}`, "Content-Type", "application/json"), status)
		if !strings.Contains(w.Body.String(), word) {
			t.Errorf("%s %s = %s, want a text with %q", method, path, w.Body, word)
		}
	}
	const service = "/api/v1/services/web1/load"
	f("POST", service+"/recheck", 403, "Unix socket")
	f("POST", service+"/result", 403, "Unix socket")
	f("POST", "/api/v1/hosts/web1/recheck", 403, "Unix socket")
	f("POST", "/-/reload", 403, "Unix socket")
	f("PUT", "/-/log-levels", 403, "Unix socket")
	f("POST", service, 405, "GET, HEAD")
	f("DELETE", service, 405, "GET, HEAD")
	f("GET", service+"/recheck", 405, "POST")
	f("POST", "/metrics", 405, "GET, HEAD")
	if len(h.orders) != 0 {
		t.Errorf("Public handed on %v", h.orders)
	}
	if got := ask(t, public, request("DELETE", "/-/log-levels", ""), 405).Header().Get("Allow"); got != "GET, PUT, HEAD" {
		t.Errorf("Allow = %q", got)
	}
}

func TestPrivateNeedsCredentials(t *testing.T) {
	private := api.New(office(t).options).Private()
	ask(t, private, request("GET", "/ping", ""), 403)
}
