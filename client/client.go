// Package client asks a running Alf over its API. The alf command is made with
// it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"alf"
	"alf/api/wire"
)

// timeout bounds every call whose context does not end sooner. A daemon that reads
// millions of log entries takes its time, and gives up itself by then.
const timeout = 2 * time.Minute

// maxError is how much is read of an answer that is an error.
const maxError = 64 << 10

// Client calls the API. Its methods may be called at the same time. An answer
// that is a problem is returned as a *wire.Error.
type Client struct {
	where string // for people
	base  string
	http  *http.Client
}

// New returns a Client of the Alf at addr: the path of its Unix socket, or the
// http or https URL of its port, which only reads. It does no I/O.
func New(addr string) *Client {
	if strings.HasPrefix(addr, "http://") || strings.HasPrefix(addr, "https://") {
		return &Client{addr, strings.TrimSuffix(addr, "/"), &http.Client{Timeout: timeout}}
	}
	path := strings.TrimPrefix(addr, "unix://")
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	transport := &http.Transport{DialContext: dial, MaxIdleConns: 4, IdleConnTimeout: timeout}
	return &Client{path, "http://localhost", &http.Client{Transport: transport, Timeout: timeout}}
}

// Status returns how Alf itself is.
func (c *Client) Status(ctx context.Context) (*wire.Status, error) {
	return get[wire.Status](ctx, c, "/api/v1/status")
}

// Hosts returns the hosts that f takes in.
func (c *Client) Hosts(ctx context.Context, f wire.Filter) (*wire.Hosts, error) {
	return get[wire.Hosts](ctx, c, "/api/v1/hosts"+query(f))
}

// Host returns one host.
func (c *Client) Host(ctx context.Context, name alf.HostName) (*wire.Host, error) {
	return get[wire.Host](ctx, c, path(alf.Key{Host: name}))
}

// Paused returns whether Alf tries to connect to a host when a command needs it.
func (c *Client) Paused(ctx context.Context, name alf.HostName) (*wire.Pause, error) {
	return get[wire.Pause](ctx, c, path(alf.Key{Host: name})+"/link")
}

// Services returns the services that f takes in.
func (c *Client) Services(ctx context.Context, f wire.Filter) (*wire.Services, error) {
	return get[wire.Services](ctx, c, "/api/v1/services"+query(f))
}

// Service returns one service.
func (c *Client) Service(ctx context.Context, key alf.Key) (*wire.Service, error) {
	return get[wire.Service](ctx, c, path(key))
}

// Results returns the last results of a service, the newest first; with a limit
// of 0, as many as Alf sees fit.
func (c *Client) Results(ctx context.Context, key alf.Key, limit int) (*wire.Results, error) {
	query := ""
	if limit > 0 {
		query = "?limit=" + strconv.Itoa(limit)
	}
	return get[wire.Results](ctx, c, path(key)+"/results"+query)
}

// Problems returns the problems that f takes in, the worst first.
func (c *Client) Problems(ctx context.Context, f wire.Filter) (*wire.Problems, error) {
	return get[wire.Problems](ctx, c, "/api/v1/problems"+query(f))
}

// Events returns the part of the log that f takes in.
func (c *Client) Events(ctx context.Context, f wire.LogFilter) (*wire.Events, error) {
	return get[wire.Events](ctx, c, "/api/v1/events?"+f.Values().Encode())
}

// Explain returns how the state of a host or service came to be what it is, or
// was at that time; the zero time is now.
func (c *Client) Explain(ctx context.Context, key alf.Key, at time.Time) (*wire.Explanation, error) {
	return get[wire.Explanation](ctx, c, "/api/v1/"+wire.ExplainPath(key, at))
}

// Notifications returns what f takes in of what people were told, or were not.
func (c *Client) Notifications(ctx context.Context, f wire.NoticeFilter) (*wire.Notices, error) {
	return get[wire.Notices](ctx, c, "/api/v1/notifications?"+f.Values().Encode())
}

// Availability returns how long what f names was in which state.
func (c *Client) Availability(ctx context.Context, f wire.AvailabilityFilter) (*wire.Availability, error) {
	return get[wire.Availability](ctx, c, "/api/v1/availability?"+f.Values().Encode())
}

// Recheck orders a check of a host or service to be run now. It does not wait
// for its result.
func (c *Client) Recheck(ctx context.Context, key alf.Key) error {
	return c.call(ctx, http.MethodPost, path(key)+"/recheck", nil, nil)
}

// ErrWaits is the error of a Submit whose result Alf has taken, but could not
// record yet.
var ErrWaits = errors.New("the result is not recorded yet, and is lost if Alf ends before it is")

// Submit hands in a result of a host or service that somebody else found.
func (c *Client) Submit(ctx context.Context, key alf.Key, s wire.Submission) error {
	resp, err := c.do(ctx, http.MethodPost, path(key)+"/result", s, "application/json")
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusAccepted {
		err = ErrWaits
	}
	return errors.Join(err, resp.Body.Close())
}

// Order has an order carried out for all whom it selects.
func (c *Client) Order(ctx context.Context, o wire.Order) (*wire.Ordered, error) {
	out := new(wire.Ordered)
	if err := c.call(ctx, http.MethodPost, "/api/v1/orders", o, out); err != nil {
		return nil, err
	}
	return out, nil
}

// OrderOne has an order carried out for one host or service; it selects nobody.
func (c *Client) OrderOne(ctx context.Context, key alf.Key, o wire.Order) (*wire.Ordered, error) {
	out := new(wire.Ordered)
	if err := c.call(ctx, http.MethodPost, path(key)+"/"+o.Order, o, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Reload makes Alf read its configuration again. The error says what is wrong
// with it, or that too much would disappear; then nothing has changed.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/-/reload", nil, nil)
}

// ForceReload is Reload, however much disappears.
func (c *Client) ForceReload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/-/reload?force=true", nil, nil)
}

// ConfigDiff returns what Reload would change. The error is that of Reload, but
// for what disappears.
func (c *Client) ConfigDiff(ctx context.Context) (*wire.ConfigDiff, error) {
	return get[wire.ConfigDiff](ctx, c, "/api/v1/config/diff")
}

// Levels returns the log levels of all rooms.
func (c *Client) Levels(ctx context.Context) ([]wire.Level, error) {
	levels, err := get[wire.Levels](ctx, c, "/-/log-levels")
	if err != nil {
		return nil, err
	}
	return levels.Levels, nil
}

// SetLevel makes a room log from that level on.
func (c *Client) SetLevel(ctx context.Context, room, level string) error {
	return c.call(ctx, http.MethodPut, "/-/log-levels", wire.Level{Room: room, Level: level}, nil)
}

// Sources returns how the sources of hosts are.
func (c *Client) Sources(ctx context.Context) (*wire.Sources, error) {
	return get[wire.Sources](ctx, c, "/api/v1/sources")
}

// Links returns how the connections to these hosts are, or all.
func (c *Client) Links(ctx context.Context, hosts ...string) (*wire.Links, error) {
	path := "/api/v1/links"
	if len(hosts) > 0 {
		path += "?" + url.Values{"host": hosts}.Encode()
	}
	return get[wire.Links](ctx, c, path)
}

// RefreshSources has sources asked now, those of these names or all, and returns how
// they are then. force: the answers are taken however many hosts disappear with them.
func (c *Client) RefreshSources(ctx context.Context, names []string, force bool) (*wire.Sources, error) {
	out := new(wire.Sources)
	if err := c.call(ctx, http.MethodPost, "/api/v1/sources/refresh", wire.Refresh{Sources: names, Force: force}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// TryAction sends a test by an action, and returns what became of it.
func (c *Client) TryAction(ctx context.Context, name string, t wire.Trial) (*wire.Tried, error) {
	out := new(wire.Tried)
	if err := c.call(ctx, http.MethodPost, "/api/v1/actions/"+url.PathEscape(name)+"/test", t, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Journal returns what Alf keeps.
func (c *Client) Journal(ctx context.Context) (*wire.Journal, error) {
	return get[wire.Journal](ctx, c, "/api/v1/journal")
}

// Export returns all that Alf keeps, as JSON lines. It takes as long as it takes;
// the caller closes it.
func (c *Client) Export(ctx context.Context) (io.ReadCloser, error) {
	return c.patient().Raw(ctx, "/api/v1/journal/export", "*/*")
}

// patient returns c without a bound on how long a call may take.
func (c *Client) patient() *Client {
	patient := *c
	unlimited := *c.http
	unlimited.Timeout = 0
	patient.http = &unlimited
	return &patient
}

// Raw returns the body of the answer to a GET of path, a query included, in the
// media type that accept asks for. The caller closes it.
func (c *Client) Raw(ctx context.Context, path, accept string) (io.ReadCloser, error) {
	resp, err := c.do(ctx, http.MethodGet, path, nil, accept)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func path(key alf.Key) string { return "/api/v1/" + wire.Path(key) }

func query(f wire.Filter) string {
	if q := f.Values().Encode(); q != "" {
		return "?" + q
	}
	return ""
}

func get[T any](ctx context.Context, c *Client, path string) (*T, error) {
	v := new(T)
	if err := c.call(ctx, http.MethodGet, path, nil, v); err != nil {
		return nil, err
	}
	return v, nil
}

// call sends the JSON of body, unless it is nil, and reads the answer into v,
// unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, body, v any) error {
	resp, err := c.do(ctx, method, path, body, "application/json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if v == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(v)
	}
	if err != nil {
		return fmt.Errorf("read the answer of %s to %s %s: %w", c.where, method, path, err)
	}
	return nil
}

// do returns an answer that is no error. The caller closes its body.
func (c *Client) do(ctx context.Context, method, path string, body any, accept string) (*http.Response, error) {
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, problem(resp)
	}
	return resp, nil
}

func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	if body == nil {
		return http.NewRequestWithContext(ctx, method, c.base+path, nil)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// ErrAbsent is the error of a call that nobody answers, because no Alf runs there.
var ErrAbsent = errors.New("is alf serve running?")

// explain says what to do about an Alf that cannot be asked.
func (c *Client) explain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the made-up URL of a Unix socket
	}
	var timed net.Error
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no Alf answers at %s: %w (%w)", c.where, ErrAbsent, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the socket %s may not be used: are you in its group? (%w)", c.where, err)
	case errors.As(err, &timed) && timed.Timeout():
		return fmt.Errorf("no answer in time from Alf at %s: %w", c.where, err)
	}
	return fmt.Errorf("ask Alf at %s: %w", c.where, err)
}

// problem returns the problem that resp tells of.
func problem(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return fmt.Errorf("%s, and no more: %w", resp.Status, err)
	}
	decode := json.Unmarshal
	if strings.Contains(resp.Header.Get("Content-Type"), "xml") {
		decode = xml.Unmarshal
	}
	e := &wire.Error{}
	if decode(text, e) == nil && e.Status != 0 {
		return e
	}
	return wire.NewError(resp.StatusCode, "%s", strings.TrimSpace(string(text)))
}
