package api_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"testing"

	"alf"
	"alf/api"
	"alf/api/wire"
)

// TestTryAction: a test is ordered on the socket, answered with what became of it,
// and noted.
func TestTryAction(t *testing.T) {
	h := office(t)
	var got api.Trial
	var noted string
	out, refused := &wire.Tried{Action: "chat", Kind: "slack", Type: "PROBLEM", Delivered: true, Answer: "200 OK: ok"}, error(nil)
	h.options.Try = func(ctx context.Context, trial api.Trial) (*wire.Tried, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a test may take for ever")
		}
		got = trial
		return out, refused
	}
	h.options.Remark = func(_ context.Context, author, text string) (alf.ID, error) {
		noted = author + ": " + text
		return 1, nil
	}
	c := socket(t, h)
	body := func(answer string) []byte {
		_, body, _ := strings.Cut(answer, "\r\n\r\n")
		return []byte(body)
	}
	const path = "/api/v1/actions/chat/test"
	var tried wire.Tried
	if err := json.Unmarshal(body(send(t, c, "POST", path, `{"host": "web1", "service": "load", "type": "recovery"}`, 200)), &tried); err != nil || !tried.Delivered || tried.Answer != out.Answer {
		t.Errorf("%+v, %v", tried, err)
	}
	if want := (api.Trial{Action: "chat", Key: alf.Key{Host: "web1", Service: "load"}, Type: alf.TypeRecovery, Author: me(t)}); got != want {
		t.Errorf("ordered is %+v, want %+v", got, want)
	}
	if want := me(t) + ": test of action chat: arrived"; noted != want {
		t.Errorf("noted is %q, want %q", noted, want)
	}
	out = &wire.Tried{Action: "chat", Error: "the answer is 404", Permanent: true}
	send(t, c, "POST", "/api/v1/actions/a%2Fb/test", `{}`, 200)
	if want := (api.Trial{Action: "a/b", Author: me(t)}); got != want || !strings.HasSuffix(noted, "test of action a/b: failed") {
		t.Errorf("ordered is %+v, noted %q", got, noted)
	}
	if err := xml.Unmarshal(body(send(t, c, "POST", path+"?format=xml", `{}`, 200)), &tried); err != nil || tried.Delivered || tried.Error != out.Error || !tried.Permanent {
		t.Errorf("as XML: %+v, %v", tried, err)
	}
	for body, status := range map[string]int{`{"host": "web9"}`: 404, `{"host": "web1", "service": "nope"}`: 404, `{"service": "load"}`: 400, `{"type": "custom"}`: 400, `{"x": 1}`: 400, `x`: 400} {
		got = api.Trial{}
		send(t, c, "POST", path, body, status)
		if got != (api.Trial{}) {
			t.Errorf("%s is ordered", body)
		}
	}
	refused, noted = wire.NewError(http.StatusConflict, "another test is under way"), ""
	send(t, c, "POST", path, `{}`, 409)
	refused = errors.New("broken")
	send(t, c, "POST", path, `{}`, 500)
	if noted != "" {
		t.Errorf("a test that was none is noted: %q", noted)
	}
	ask(t, api.New(h.options).Public(), request("POST", path, `{}`, "Content-Type", "application/json"), 403)
	h.options.Try = nil
	send(t, socket(t, h), "POST", path, `{}`, 404)
}
