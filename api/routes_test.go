package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"alf"
	"alf/api"
	"alf/api/wire"
)

func TestPlainRoutes(t *testing.T) {
	h := office(t)
	f := func(path, want string) {
		t.Helper()
		if w := h.get(t, path, 200); w.Body.String() != want {
			t.Errorf("GET %s = %q, want %q", path, w.Body, want)
		}
	}
	f("/ping", "pong\n")
	f("/-/healthy", "healthy\n")
	f("/-/ready", "ready\n")
	f("/metrics", "alf_build_info 1\n")

	h.ready = errors.New("the journal cannot be written")
	if w := h.get(t, "/-/ready", 503); w.Body.String() != "not ready: the journal cannot be written\n" {
		t.Errorf("GET /-/ready = %q, want the reason", w.Body)
	}
}

func TestHead(t *testing.T) {
	h := office(t)
	for _, path := range []string{"/ping", "/metrics", "/api/v1/status", "/api/v1/services", "/api/v1/hosts/web1"} {
		ask(t, api.New(h.options).Public(), request("HEAD", path, ""), 200)
	}
}

func TestErrorsAreProblems(t *testing.T) {
	h := office(t)
	f := func(path string, status int, word string) {
		t.Helper()
		w := h.get(t, path, status)
		var e wire.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Status != status || !strings.Contains(string(e.Detail), word) {
			t.Errorf("GET %s = %s, want a problem of status %d that says %q", path, w.Body, status, word)
		}
		if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("GET %s has the type %q", path, got)
		}
		if tag := w.Header().Get("ETag"); tag != "" {
			t.Errorf("GET %s: a problem has the tag %q", path, tag)
		}
		w = h.get(t, path, status, "Accept", "text/xml")
		xmllint(t, w.Body.String())
		if got := w.Header().Get("Content-Type"); got != "application/problem+xml" {
			t.Errorf("GET %s as XML has the type %q", path, got)
		}
	}
	f("/api/v1/nothing", 404, "/api/v1/nothing")
	f("/api/", 404, "/api/")
	f("/", 404, "/")
	f("/api/v1/hosts/", 404, "hosts")
	f("/api/v1/hosts/web9", 404, "web9")
	f("/api/v1/services/web9/load", 404, "web9")
	f("/api/v1/services/web1/nope", 404, "nope")
	f("/api/v1/services/web1/nope/results", 404, "nope")
	f("/api/v1/services/web1/load/results?limit=0", 400, "limit")
	f("/api/v1/services/web1/load/results?limit=many", 400, "many")
	f("/api/v1/services?status=bad", 400, "BAD")
	f("/api/v1/services?status=down", 400, "DOWN")
	f("/api/v1/services?statu=ok", 400, "statu")
	f("/api/v1/services?limit=-1", 400, "-1")
	f("/api/v1/services?problems=perhaps", 400, "perhaps")
	f("/api/v1/services?q=a&q=b", 400, "q")
	f("/api/v1/services?q=%zz", 400, "%zz")
	f("/api/v1/hosts?check=load", 400, "check")
	f("/api/v1/status?x=1", 400, "x")
	f("/api/v1/hosts/web1?x=1", 400, "x")
	f("/api/v1/services/web1/recheck/recheck", 405, "POST")
}

func TestFormats(t *testing.T) {
	h := office(t)
	f := func(accept, query string, status int, media string) {
		t.Helper()
		w := h.get(t, "/api/v1/status"+query, status, "Accept", accept)
		if got := w.Header().Get("Content-Type"); got != media {
			t.Errorf("Accept %q, %q = %q, want %q", accept, query, got, media)
		}
		if got := w.Header().Values("Vary"); len(got) == 0 {
			t.Errorf("Accept %q: the answer has no Vary", accept)
		}
	}
	f("", "", 200, "application/json")
	f("*/*", "", 200, "application/json")
	f("application/*", "", 200, "application/json")
	f("application/xml", "", 200, "application/xml")
	f("text/xml", "", 200, "text/xml")
	f("text/*", "", 200, "text/xml")
	f("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", 200, "application/xml")
	f("application/xml;q=0.5, application/json;q=0.4", "", 200, "application/xml")
	f("application/xml, application/json", "", 200, "application/json")
	f("application/json;q=0, */*", "", 200, "application/xml")
	f("application/xml", "?format=json", 200, "application/json")
	f("", "?format=xml", 200, "application/xml")
	f("", "?format=yaml", 400, "application/problem+json")
	f("text/html", "", 406, "application/problem+json")
	f("nonsense", "", 406, "application/problem+json")
}

func TestETag(t *testing.T) {
	h := office(t)
	h.follow(t)
	a := api.New(h.options)
	tag := func(path string, headers ...string) string {
		return ask(t, a.Public(), request("GET", path, "", headers...), 200).Header().Get("ETag")
	}
	first := tag("/api/v1/services")
	if first == "" || tag("/api/v1/services") != first {
		t.Errorf("the tag %q does not last", first)
	}
	if other := tag("/api/v1/services", "Accept", "application/xml"); other == first {
		t.Error("JSON and XML have the same tag")
	}
	for _, match := range []string{first, "W/" + first, `"x", ` + first, "*"} {
		w := ask(t, a.Public(), request("GET", "/api/v1/services", "", "If-None-Match", match), 304)
		if w.Body.Len() != 0 {
			t.Errorf("304 has a body: %s", w.Body)
		}
	}
	again := result(alf.Key{Host: "web1", Service: "load"}, alf.OK, alf.Hard, 1, epoch, "again")
	if err := h.record.Append(t.Context(), []*alf.Event{again}); err != nil {
		t.Fatal(err)
	}
	if err := h.view.Wait(t.Context(), again.ID); err != nil {
		t.Fatal(err)
	}
	ask(t, a.Public(), request("GET", "/api/v1/services", "", "If-None-Match", first), 200)
}

func TestETagOfAnotherInventory(t *testing.T) {
	h := office(t)
	inventory := h.options.Inventory()
	h.options.Inventory = func() *alf.Inventory { return inventory }
	public := api.New(h.options).Public()
	tag := ask(t, public, request("GET", "/api/v1/hosts", ""), 200).Header().Get("ETag")
	inventory = alf.NewInventory(nil, nil)
	ask(t, public, request("GET", "/api/v1/hosts", "", "If-None-Match", tag), 200)
}

func TestSecurityHeaders(t *testing.T) {
	h := office(t)
	for _, path := range []string{"/ping", "/api/v1/status", "/api/v1/nothing"} {
		w := ask(t, api.New(h.options).Public(), request("GET", path, ""), map[bool]int{true: 404, false: 200}[path == "/api/v1/nothing"])
		for name, want := range map[string]string{
			"X-Content-Type-Options":       "nosniff",
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("GET %s: %s = %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestPages(t *testing.T) {
	h := office(t)
	h.options.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("page " + r.URL.Path)) })
	for _, path := range []string{"/", "/services/web1/load"} {
		if w := h.get(t, path, 200); w.Body.String() != "page "+path {
			t.Errorf("GET %s = %q, want the page", path, w.Body)
		}
	}
	h.get(t, "/api/v1/nothing", 404)
	ask(t, api.New(h.options).Public(), request("POST", "/", ""), 405)
}
