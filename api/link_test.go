package api_test

import (
	"errors"
	"testing"

	"alf"
	"alf/api/wire"
)

func TestLink(t *testing.T) {
	h := office(t)
	h.get(t, "/api/v1/hosts/web1/link", 404) // nobody can tell
	h.options.Paused = func(h *alf.Host) error {
		if h.Name == "web1" {
			return nil
		}
		return &alf.RunError{Cause: alf.CauseAuth, Phase: "auth", Err: errors.New("refused\r")}
	}
	f := func(host string, want wire.Link) {
		t.Helper()
		asJSON, asXML := both[wire.Link](t, h, "/api/v1/hosts/"+host+"/link")
		asXML.XMLName = asJSON.XMLName
		if asJSON != want || asXML != want {
			t.Errorf("%s: %+v, as XML %+v, want %+v", host, asJSON, asXML, want)
		}
	}
	f("web1", wire.Link{Host: "web1"})
	f("db1", wire.Link{Host: "db1", Paused: true, Cause: "auth", Phase: "auth", Error: `refused\r`})
	h.get(t, "/api/v1/hosts/web9/link", 404)
	h.get(t, "/api/v1/hosts/web1/link?x=1", 400)
}
