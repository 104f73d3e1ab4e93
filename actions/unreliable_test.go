package actions

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"alf"
)

// unreliable lets each request have the next of its faults, if there is one, and
// hands the others on. A fault that begins with "taken" comes after the request was
// taken.
type unreliable struct {
	http.Handler
	mu     sync.Mutex
	faults []string
	asked  int
}

func (u *unreliable) next() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked++
	if len(u.faults) == 0 {
		return ""
	}
	fault := u.faults[0]
	u.faults = u.faults[1:]
	return fault
}

func (u *unreliable) plan(faults ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults, u.asked = faults, 0
}

func (u *unreliable) requests() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked
}

// ServeHTTP implements http.Handler.
func (u *unreliable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // else nobody hears that who asks has gone
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch u.next() {
	case "429":
		w.Header().Set("Retry-After", "7")
		http.Error(w, "rate_limited", http.StatusTooManyRequests)
	case "500":
		http.Error(w, "rollup_error", http.StatusInternalServerError)
	case "page": // of a proxy or a hotel
		io.WriteString(w, "<html>ok</html>")
	case "reset":
		reset(w)
	case "slow":
		<-r.Context().Done()
	case "taken, reset":
		u.Handler.ServeHTTP(httptest.NewRecorder(), r)
		reset(w)
	case "taken, slow":
		u.Handler.ServeHTTP(httptest.NewRecorder(), r)
		<-r.Context().Done()
	default:
		u.Handler.ServeHTTP(w, r)
	}
}

// reset ends the connection of w without an answer.
func reset(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// direct hands requests to a handler without a network, of which synctest knows
// nothing.
type direct struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &directWriter{ResponseRecorder: httptest.NewRecorder()}
	d.ServeHTTP(w, r)
	switch {
	case w.gone:
		return nil, errors.New("connection reset by peer")
	case r.Context().Err() != nil:
		return nil, r.Context().Err()
	}
	return w.Result(), nil
}

type directWriter struct {
	*httptest.ResponseRecorder
	gone bool
}

// Hijack implements http.Hijacker.
func (d *directWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	d.gone = true
	here, there := net.Pipe()
	there.Close()
	return here, nil, nil
}

// testFaults has the same message told through every fault. took is how often the
// target has taken it.
func testFaults(t *testing.T, a alf.Action, u *unreliable, took func() int) {
	t.Helper()
	for _, fault := range []string{"429", "500", "page", "reset", "slow", "taken, reset", "taken, slow"} {
		u.plan(fault)
		before := took()
		err := a.Do(t.Context(), message())
		if err == nil || errors.Is(err, alf.ErrPermanent) {
			t.Errorf("%s: %v", fault, err)
		}
		if after, ok := errors.AsType[*alf.RetryAfter](err); ok != (fault == "429") || ok && after.Wait != 7*time.Second {
			t.Errorf("%s: to come again: %v", fault, after)
		}
		if n := u.requests(); n != 1 {
			t.Errorf("%s: %d requests in an attempt", fault, n)
		}
		if err := a.Do(t.Context(), message()); err != nil {
			t.Errorf("after %s: %v", fault, err)
		}
		if n := took() - before; n < 1 || n > 2 {
			t.Errorf("%s: it was taken %d times", fault, n)
		}
	}
}
