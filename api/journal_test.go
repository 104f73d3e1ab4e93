package api_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"alf/api"
	"alf/api/wire"
)

// keeper writes a line now and then, as often as it is told to, and then fails or
// not.
type keeper struct {
	lines int
	pause time.Duration
	err   error
}

func (k keeper) Info(context.Context) (wire.Journal, error) {
	return wire.Journal{Where: "here", Keys: k.lines}, k.err
}

func (k keeper) Export(ctx context.Context, w io.Writer) error {
	for range k.lines {
		if _, err := io.WriteString(w, "{}\n"); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(k.pause):
		}
	}
	return k.err
}

func TestJournalOnSocketOnly(t *testing.T) {
	h := office(t)
	h.options.Journal = keeper{lines: 3}
	for _, path := range []string{"/api/v1/journal", "/api/v1/journal/export"} {
		if w := h.get(t, path, 403); !strings.Contains(w.Body.String(), "Unix socket") {
			t.Errorf("GET %s = %s", path, w.Body)
		}
	}
	c := socket(t, h)
	if got := send(t, c, "GET", "/api/v1/journal", "", 200); !strings.Contains(got, `"where":"here"`) {
		t.Errorf("the journal is %s", got)
	}
	if got := send(t, c, "GET", "/api/v1/journal/export", "", 200); !strings.HasSuffix(got, "\r\n\r\n{}\n{}\n{}\n") {
		t.Errorf("the export is %q", got)
	}
	send(t, c, "GET", "/api/v1/journal/export?x=1", "", 400)
	send(t, c, "POST", "/api/v1/journal", "", 405)
}

// TestExportTakesItsTime: the timeouts of other requests do not end it.
func TestExportTakesItsTime(t *testing.T) {
	h := office(t)
	h.options.Journal = keeper{lines: 20, pause: 20 * time.Millisecond}
	server := httptest.NewUnstartedServer(nil)
	l, err := api.Listen(t.TempDir() + "/alf.sock")
	if err != nil {
		t.Fatal(err)
	}
	server.Listener.Close()
	server.Listener, server.Config = l, api.Server(api.New(h.options).Private(), h.options.Log)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	server.Start()
	defer server.Close()
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
	}, DisableKeepAlives: true}}
	if got := send(t, &c, "GET", "/api/v1/journal/export", "", 200); strings.Count(got, "{}\n") != 20 {
		t.Errorf("the export is %q", got)
	}
}

// TestExportBreaksOff: nobody takes a part for the whole.
func TestExportBreaksOff(t *testing.T) {
	h := office(t)
	h.options.Journal = keeper{lines: 3, err: errors.New("disk gone")}
	resp, err := socket(t, h).Get("http://localhost/api/v1/journal/export")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("an export that broke off ends without an error")
	}
	h.options.Journal = keeper{err: errors.New("disk gone")}
	c := socket(t, h)
	for _, path := range []string{"/api/v1/journal", "/api/v1/journal/export"} {
		if got := send(t, c, "GET", path, "", 503); !strings.Contains(got, "disk gone") {
			t.Errorf("GET %s = %s", path, got)
		}
	}
}
