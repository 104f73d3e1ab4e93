package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// hookKey signs what the receiver of a story takes.
const hookKey = "the key of the story"

// receiver is a strict receiver of webhooks: it fails the story at anything that is
// not as the manual says.
type receiver struct {
	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex
	mode     string
	bodies   map[string][]byte // by idempotency key
	taken    []string          // in order, each once, since somebody asked
	repeated int
}

func receive(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(sshdKey{}).(*sshdOf)
	if len(args) > 0 {
		s.receiver.mu.Lock()
		defer s.receiver.mu.Unlock()
		s.receiver.mode = args[0]
		return
	}
	r := &receiver{t: s.t, mode: "up", bodies: make(map[string][]byte)}
	r.server = httptest.NewServer(r)
	s.receiver = r
	s.t.Cleanup(func() { r.server.CloseClientConnections(); r.server.Close() })
	ts.Setenv("HOOK", r.server.URL+"/services/s3cret")
	ts.Check(os.WriteFile(ts.MkAbs("hook.key"), []byte(hookKey+"\n"), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("hook.url"), []byte(r.server.URL+"/services/s3cret\n"), 0o600))
}

// hookMessage is what the manual says that a message has.
type hookMessage struct {
	ID               string     `json:"id"`
	Type             string     `json:"type"`
	Number           int        `json:"number"`
	Time             time.Time  `json:"time"`
	Host             string     `json:"host"`
	HostAlias        string     `json:"host_alias"`
	HostAddress      string     `json:"host_address"`
	Hostgroups       []string   `json:"hostgroups"`
	Service          string     `json:"service"`
	State            string     `json:"state"`
	StateCode        int        `json:"state_code"`
	StateType        string     `json:"state_type"`
	Attempt          int        `json:"attempt"`
	MaxCheckAttempts int        `json:"max_check_attempts"`
	Since            *time.Time `json:"since"`
	Output           string     `json:"output"`
	LongOutput       string     `json:"long_output"`
	Author           string     `json:"author"`
	Comment          string     `json:"comment"`
	NotesURL         string     `json:"notes_url"`
	Contacts         []string   `json:"contacts"`
	Escalated        bool       `json:"escalated"`
	Test             bool       `json:"test"`
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // Alf was killed
	}
	r.mu.Lock()
	mode := r.mode
	r.mu.Unlock()
	if mode == "down" {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	text, err := r.read(req, body)
	if err != nil {
		r.t.Errorf("a message is not as it should be: %v\n%s", err, body)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.take(req.Header.Get("Idempotency-Key"), body, text)
	if mode == "hold" {
		<-req.Context().Done()
	}
}

// read returns a message in short.
func (r *receiver) read(req *http.Request, body []byte) (string, error) {
	h := hmac.New(sha256.New, []byte(hookKey))
	h.Write([]byte(req.Header.Get("X-Alf-Timestamp") + "."))
	h.Write(body)
	at, err := strconv.ParseInt(req.Header.Get("X-Alf-Timestamp"), 10, 64)
	switch {
	case req.Method != http.MethodPost || req.RequestURI != "/services/s3cret":
		return "", fmt.Errorf("%s %s", req.Method, req.RequestURI)
	case req.Header.Get("Content-Type") != "application/json":
		return "", fmt.Errorf("Content-Type %q", req.Header.Get("Content-Type"))
	case len(req.Header.Get("Idempotency-Key")) < 16:
		return "", fmt.Errorf("Idempotency-Key %q", req.Header.Get("Idempotency-Key"))
	case err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute:
		return "", fmt.Errorf("X-Alf-Timestamp %q", req.Header.Get("X-Alf-Timestamp"))
	case req.Header.Get("X-Alf-Signature") != "sha256="+hex.EncodeToString(h.Sum(nil)):
		return "", fmt.Errorf("X-Alf-Signature %q", req.Header.Get("X-Alf-Signature"))
	}
	var m hookMessage
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return "", err
	}
	if m.ID == "" || m.Time.IsZero() || m.StateType != "HARD" && m.Type == "PROBLEM" || m.Hostgroups == nil || m.Contacts == nil {
		return "", fmt.Errorf("something is missing: %+v", m)
	}
	if m.Test {
		m.Type = "TEST " + m.Type
	}
	return fmt.Sprintf("%s %d %s/%s %s to %v: %s [%s %s]", m.Type, m.Number, m.Host, m.Service, m.State, m.Contacts, m.Output, m.Author, m.Comment), nil
}

// take notes a message, once. The same one must say the same again.
func (r *receiver) take(id string, body []byte, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, known := r.bodies[id]
	if !known {
		r.bodies[id] = body
		r.taken = append(r.taken, text)
		return
	}
	r.repeated++
	if !bytes.Equal(was, body) {
		r.t.Errorf("the message %s came again as another one:\n%s\n%s", id, was, body)
	}
}

func received(ts *testscript.TestScript, neg bool, args []string) {
	r := ts.Value(sshdKey{}).(*sshdOf).receiver
	if args[0] == "-until" {
		r.until(ts, regexp.MustCompile(args[1]))
		return
	}
	var taken []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		r.mu.Lock()
		if taken = r.taken; len(taken) >= len(args) {
			r.taken = nil
		}
		r.mu.Unlock()
		if len(taken) >= len(args) {
			break
		}
	}
	same := len(taken) == len(args)
	for i := range args {
		re, err := regexp.Compile(args[i])
		ts.Check(err)
		same = same && re.MatchString(taken[i])
	}
	if !same {
		ts.Fatalf("received %q, want %q", taken, args)
	}
}

// until waits until a message was taken that matches.
func (r *receiver) until(ts *testscript.TestScript, want *regexp.Regexp) {
	var taken []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		r.mu.Lock()
		taken = append(taken, r.taken...)
		r.taken = nil
		r.mu.Unlock()
		if slices.ContainsFunc(taken, want.MatchString) {
			return
		}
	}
	ts.Fatalf("received %q, but nothing that matches %v", taken, want)
}

func repeated(ts *testscript.TestScript, neg bool, args []string) {
	r := ts.Value(sshdKey{}).(*sshdOf).receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strconv.Itoa(r.repeated); got != args[0] {
		ts.Fatalf("%s messages came again, want %s", got, args[0])
	}
}
