package api_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"alf"
	"alf/api/wire"
	"alf/internal/sanitize/hostile"
	"alf/perfdata"
)

// attacked is a house whose only service has written words wherever a host can.
func attacked(t *testing.T, words string) *house {
	host := &alf.Host{Name: "h"}
	s := service(host, "s", "check")
	e := result(s.Key, alf.Critical, alf.Hard, 3, epoch, "")
	out := perfdata.Split(words, 0)
	e.Result.Perfdata, _ = perfdata.Parse(out.Perfdata)
	e.Result.Perfdata = append(e.Result.Perfdata[:min(len(e.Result.Perfdata), 10)], perfdata.Datum{Label: words, UOM: words})
	e.State.Output = words
	e.Result.Output, e.Result.LongOutput, e.Result.Stderr = words, words, words
	e.Result.Command, e.Result.Signal, e.Result.PerfdataErrors = words, words, []string{words}
	e.State.Stale = alf.Stale{Cause: alf.CauseConfig, Since: epoch, Output: words}
	e.State.Ack = &alf.Ack{ID: words, Author: words, Text: words, Time: epoch}
	e.State.Downtimes = []*alf.Downtime{{ID: words, Author: words, Text: words, Start: epoch, End: epoch, Trigger: words}}
	e.State.Comments = []*alf.Comment{{ID: words, Author: words, Text: words}}
	order := &alf.Event{Time: epoch, Key: s.Key, Kind: alf.KindCommand, State: e.State, Author: words, Text: words}
	return open(t, alf.NewInventory([]*alf.Host{host}, []*alf.Service{s}), order, e)
}

var attackedPaths = []string{"/api/v1/services", "/api/v1/services/h/s", "/api/v1/services/h/s/results", "/api/v1/problems",
	"/api/v1/downtimes", "/api/v1/comments", "/api/v1/events", "/api/v1/explain/h/s", "/api/v1/explain/h/s?at=2026-03-01T13:00:00Z", "/api/v1/availability?host=h&from=2026-03-01T11:00:00Z"}

func TestHostileOutput(t *testing.T) {
	for _, c := range hostile.Outputs() {
		t.Run(c.Name, func(t *testing.T) {
			h := attacked(t, c.Text)
			for _, path := range attackedPaths {
				checkJSON(t, h.get(t, path, 200).Body.String())
				checkXML(t, h.get(t, path, 200, "Accept", "application/xml").Body.String())
			}
		})
	}
}

// A problem repeats what was asked for.
func TestHostileRequest(t *testing.T) {
	h := office(t)
	for _, c := range hostile.Outputs() {
		words := c.Text[:min(len(c.Text), 1000)]
		if words == "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			checkBoth := func(path string, status int) {
				t.Helper()
				checkJSON(t, h.get(t, path, status).Body.String())
				checkXML(t, h.get(t, path, status, "Accept", "application/xml").Body.String())
			}
			checkBoth("/api/v1/services?status="+url.QueryEscape(strings.ReplaceAll("x"+words, ",", "")), 400)
			checkBoth("/api/v1/services?"+url.QueryEscape("x"+words)+"=1", 400)
			checkBoth("/api/v1/"+wire.Path(alf.Key{Host: alf.HostName("x" + words)}), 404)
		})
	}
}

func TestHostileReadiness(t *testing.T) {
	h := office(t)
	for _, c := range hostile.Outputs() {
		h.ready = fmt.Errorf("%s", c.Text)
		body := h.get(t, "/-/ready", 503).Body.String()
		if err := hostile.Check("terminal", strings.TrimSuffix(body, "\n")); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		checkJSON(t, h.get(t, "/api/v1/status", 200).Body.String())
	}
}

// checkJSON checks all strings in body as a reader of JSON gets them.
func checkJSON(t *testing.T, body string) {
	t.Helper()
	if err := hostile.Check("json", body); err != nil {
		t.Error(err)
	}
	d := json.NewDecoder(strings.NewReader(body))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		if s, ok := token.(string); ok {
			if err := hostile.Check("json", s); err != nil {
				t.Error(err)
			}
		}
	}
}

// checkXML checks all texts in body as a reader of XML gets them.
func checkXML(t *testing.T, body string) {
	t.Helper()
	xmllint(t, body)
	if err := hostile.Check("xml", body); err != nil {
		t.Error(err)
	}
	d := xml.NewDecoder(strings.NewReader(body))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		if s, ok := token.(xml.CharData); ok {
			if err := hostile.Check("xml", string(s)); err != nil {
				t.Error(err)
			}
		}
	}
}
