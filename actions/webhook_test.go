package actions

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"alf"
)

// action makes a webhook that must be right.
func action(t *testing.T, w *Webhook) alf.Action {
	t.Helper()
	if err := w.Validate(); err != nil {
		t.Fatal(err)
	}
	a, err := w.New("hook")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func message() *alf.Message {
	return &alf.Message{ID: "0123456789abcdef", Attempt: 1, Notification: sample()}
}

// got is a request as it came in.
type got struct {
	method, path string
	header       http.Header
	body         string
}

// target answers with f and hands on what it gets.
func target(t *testing.T, f http.HandlerFunc) (*httptest.Server, <-chan got) {
	t.Helper()
	all := make(chan got, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		all <- got{r.Method, r.RequestURI, r.Header, string(body)}
		if f != nil {
			f(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s, all
}

func TestWebhook(t *testing.T) {
	s, all := target(t, nil)
	w := &Webhook{URL: alf.Secret(s.URL + "/hook?x=1"), SigningKey: "key", Headers: map[string]alf.Secret{"x-team": "web", "Authorization": "Bearer abc"}}
	if err := action(t, w).Do(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	r := <-all
	var d document
	if err := json.Unmarshal([]byte(r.body), &d); err != nil || d.Host != `web"1` || d.State != "CRITICAL" || d.Type != "PROBLEM" || d.Output != sample().Output {
		t.Errorf("the body is %s, %v", r.body, err)
	}
	if r.method != "POST" || r.path != "/hook?x=1" || r.header.Get("Content-Type") != "application/json" || r.header.Get("X-Team") != "web" ||
		r.header.Get("Authorization") != "Bearer abc" || r.header.Get("Idempotency-Key") != "0123456789abcdef" {
		t.Errorf("%s %s %v", r.method, r.path, r.header)
	}
	h := hmac.New(sha256.New, []byte("key"))
	fmt.Fprintf(h, "%s.%s", r.header.Get("X-Alf-Timestamp"), r.body)
	if want := "sha256=" + hex.EncodeToString(h.Sum(nil)); r.header.Get("X-Alf-Signature") != want {
		t.Errorf("the signature is %q, want %q", r.header.Get("X-Alf-Signature"), want)
	}
}

func TestWebhookTemplate(t *testing.T) {
	s, all := target(t, nil)
	w := &Webhook{URL: alf.Secret(s.URL), Method: "PUT", ContentType: "text/plain", Body: `{{upper .Type}} {{.Host}}/{{.Service}} {{join .Contacts ","}} {{json .Output}}`}
	if err := action(t, w).Do(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	r := <-all
	quoted, _ := functions["json"].(func(any) (string, error))(sample().Output)
	want := fmt.Sprintf(`PROBLEM web"1/disk C:\ %s %s`, sample().Contacts[0], quoted)
	if r.body != want || r.method != "PUT" || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("%s %q, want %q", r.method, r.body, want)
	}
}

// TestMistakes: what would go wrong when it is too late is refused, for notifications of all
// types, and so is what would have no effect.
func TestMistakes(t *testing.T) {
	f := func(w Webhook, want string) {
		t.Helper()
		w.URL = "http://127.0.0.1/"
		switch err := w.Validate(); {
		case want == "" && err != nil:
			t.Errorf("%+v: %v", w, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%+v: %v, want %q", w, err, want)
		}
	}
	f(Webhook{Body: `{"a": {{if eq .Type "RECOVERY"}}"over"{{else}}{{json .Output}}{{end}}}`}, "")
	f(Webhook{Body: `{"a": {{if eq .Type "RECOVERY"}}over{{else}}{{json .Output}}{{end}}}`}, "with .Type RECOVERY: what comes of it is not always JSON")
	f(Webhook{Body: `{"a": {{if eq .Type "DOWNTIMECANCELLED"}}{{json .Outptu}}{{else}}1{{end}}}`}, "with .Type DOWNTIMECANCELLED: 1:")
	f(Webhook{Body: `{"a": {{if eq .State "OK"}}{{else}}1{{end}}}`}, "with .Type RECOVERY: what comes of it is not always JSON")
	f(Webhook{Body: `{"a": "{{.Output}}"}`}, "what comes of it is not always JSON")
	for _, name := range []string{"host", "User-Agent", "Trailer", "idempotency-key"} {
		f(Webhook{Headers: map[string]alf.Secret{name: "x"}}, http.CanonicalHeaderKey(name)+" is set by Alf itself")
	}
	f(Webhook{Headers: map[string]alf.Secret{"X-Team": "web"}}, "")
}

// TestAnswers: which answers mean that a message has arrived, that it comes again,
// when, and that it never does.
func TestAnswers(t *testing.T) {
	f := func(status int, header, value string, expected []int, permanent bool, wait time.Duration, want string) {
		t.Helper()
		s, _ := target(t, func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(status)
			io.WriteString(w, "because\n\x1b[31m")
		})
		err := action(t, &Webhook{URL: alf.Secret(s.URL), Expected: expected}).Do(t.Context(), message())
		if want == "" {
			if err != nil {
				t.Errorf("%d: %v", status, err)
			}
			return
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%d: %v, want %q", status, err, want)
			return
		}
		if errors.Is(err, alf.ErrPermanent) != permanent {
			t.Errorf("%d: permanent is %v", status, !permanent)
		}
		after, ok := errors.AsType[*alf.RetryAfter](err)
		if ok != (wait > 0) || ok && (after.Wait > wait || after.Wait < wait-3*time.Second) {
			t.Errorf("%d: to come again: %v, want %v", status, after, wait)
		}
	}
	f(200, "", "", nil, false, 0, "")
	f(204, "", "", nil, false, 0, "")
	f(204, "", "", []int{204}, false, 0, "")
	f(200, "", "", []int{204}, false, 0, "the answer is 200 OK: because")
	f(400, "", "", nil, true, 0, "the answer is 400 Bad Request: because")
	f(404, "", "", nil, true, 0, "the answer is 404")
	f(410, "", "", nil, true, 0, "the answer is 410")
	f(408, "", "", nil, false, 0, "the answer is 408")
	f(425, "", "", nil, false, 0, "the answer is 425")
	f(429, "", "", nil, false, 0, "the answer is 429")
	f(429, "Retry-After", "120", nil, false, 2*time.Minute, "the answer is 429")
	f(503, "Retry-After", "86400", nil, false, time.Hour, "the answer is 503")
	f(429, "Retry-After", time.Now().Add(5*time.Minute).UTC().Format(http.TimeFormat), nil, false, 5*time.Minute, "the answer is 429")
	f(500, "Retry-After", "soon", nil, false, 0, "the answer is 500")
	f(501, "", "", nil, true, 0, "the answer is 501")
	f(302, "Location", "https://example.com/", nil, true, 0, "the answer is 302")
	f(307, "Location", "http://127.0.0.1:1/", nil, true, 0, "the answer is 307")
}

// TestRedirect: on the same host the same request is repeated.
func TestRedirect(t *testing.T) {
	s, all := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusPermanentRedirect)
		}
	})
	if err := action(t, &Webhook{URL: alf.Secret(s.URL + "/old")}).Do(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	first, second := <-all, <-all
	if second.path != "/new" || second.method != "POST" || second.body != first.body || second.header.Get("Idempotency-Key") == "" {
		t.Errorf("%+v", second)
	}
	loop, _ := target(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusTemporaryRedirect) })
	if err := action(t, &Webhook{URL: alf.Secret(loop.URL)}).Do(t.Context(), message()); err == nil {
		t.Error("a circle of redirects is taken for an answer")
	}
}

// secretive are specs of all kinds that are full of secrets, to be used against a
// target at base.
var secretive = map[string]func(base string) []alf.ActionSpec{
	"alertmanager": func(base string) []alf.ActionSpec {
		var specs []alf.ActionSpec
		for _, a := range []*Alertmanager{{Username: "alf", Password: "s3cret"}, {Token: "s3cret"}, {Headers: map[string]alf.Secret{"Authorization": "s3cret"}}} {
			a.URLs, a.HTTP = []string{base}, impatient
			specs = append(specs, a)
		}
		return specs
	},
	"email": func(base string) []alf.ActionSpec {
		server := strings.Replace(base[strings.Index(base, "//")+2:], "99999", "1", 1)
		return []alf.ActionSpec{&Email{Server: server, From: "a@example.com", To: []string{"b@example.com"}, Username: "alf", Password: "s3cret", Timeout: 300 * time.Millisecond}}
	},
	"pagerduty": func(base string) []alf.ActionSpec {
		return []alf.ActionSpec{&PagerDuty{RoutingKey: "s3cretKeyOfAnIntegration01234567", URL: alf.Secret(base + "/T0SECRET?token=s3cret"), HTTP: impatient}}
	},
	"slack": func(base string) []alf.ActionSpec {
		return []alf.ActionSpec{&Slack{URL: alf.Secret(base + "/services/T0SECRET/B0SECRET/s3cret"), HTTP: impatient}}
	},
	"webhook": func(base string) []alf.ActionSpec {
		return []alf.ActionSpec{&Webhook{URL: alf.Secret(base + "/services/T0SECRET/B0SECRET?token=s3cret%2Fx&x=1"), Headers: map[string]alf.Secret{"Authorization": "Bearer s3cret-too"},
			SigningKey: "s3cret-key", HTTP: impatient}}
	},
}

var impatient = HTTP{Timeout: 300 * time.Millisecond, Proxy: noProxy}

// TestNoSecretIsShown: whatever goes wrong with an action of whatever kind, neither the
// URL nor another secret is in the error.
func TestNoSecretIsShown(t *testing.T) {
	echo, _ := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "no %s %s", r.URL.RequestURI(), r.Header.Get("Authorization"))
	})
	parts, _ := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		fmt.Fprintf(w, "no %s %s %s", r.URL.Query().Get("token"), url.QueryEscape(r.URL.Query().Get("token")), token)
	})
	quote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		io.Copy(w, r.Body)
	}))
	t.Cleanup(quote.Close)
	closed, _ := target(t, nil)
	closed.Close()
	slow, _ := target(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	cut := listener(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 10)) })
	junk := listener(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 10)); io.WriteString(c, "SSH-2.0-OpenSSH\r\n") })
	secure := httptest.NewTLSServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	for kind := range Kinds() {
		if secretive[kind] == nil {
			t.Errorf("nobody knows whether %s keeps its secrets", kind)
			continue
		}
		for what, base := range map[string]string{"an answer that quotes the head": echo.URL, "an answer that quotes the body": quote.URL, "an answer that quotes a part": parts.URL, "nobody listens": closed.URL,
			"no answer": slow.URL, "a reset": cut, "no HTTP": junk, "an unknown certificate": secure.URL, "no such host": "http://nowhere.invalid", "a bad port": "http://127.0.0.1:99999"} {
			for _, spec := range secretive[kind](base) {
				mayShowNoSecret(t, what, spec)
			}
		}
	}
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		address, ca := quotingMailServer(t, mechanism)
		mayShowNoSecret(t, "a mail server that quotes "+mechanism, &Email{Server: address, TLS: tlsImplicit, CA: ca, From: "a@example.com", To: []string{"b@example.com"}, Username: "alf", Password: "s3cret"})
	}
	w := &Webhook{URL: "http://user:s3cret@exa mple/", Headers: map[string]alf.Secret{"A": "s3cret\n"}, HTTP: HTTP{Proxy: "socks5://s3cret"}}
	if err := w.Validate(); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Validate = %v", err)
	}
}

// mayShowNoSecret demands that what it fails with says nothing of "s3cret", however
// it is written, and that it is tried again.
func mayShowNoSecret(t *testing.T, what string, s alf.ActionSpec) {
	t.Helper()
	err := made(t, s).Do(t.Context(), message())
	if err == nil {
		t.Errorf("%s, %T: no error", what, s)
		return
	}
	text := fmt.Sprintf("%v %+v", err, err)
	for _, secret := range []string{"s3cret", "0secret", base64.StdEncoding.EncodeToString([]byte("alf:s3cret")), base64.StdEncoding.EncodeToString([]byte("\x00alf\x00s3cret")),
		base64.StdEncoding.EncodeToString([]byte("s3cret"))} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			t.Errorf("%s, %T: %s", what, s, text)
		}
	}
	if errors.Is(err, alf.ErrPermanent) {
		t.Errorf("%s, %T: it is never tried again: %v", what, s, err)
	}
}

// listener accepts connections, hands them to f and closes them.
func listener(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// TestHugeAnswer: of an answer little is read.
func TestHugeAnswer(t *testing.T) {
	s, _ := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
				return
			}
		}
	})
	err := action(t, &Webhook{URL: alf.Secret(s.URL)}).Do(t.Context(), message())
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("%v", err)
	}
}

// TestMutualTLS: an own authority, and a certificate of Alf's own.
func TestMutualTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "alf"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := alf.Secret(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	private := alf.Secret(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
	pair, err := tls.X509KeyPair([]byte(cert), []byte(private))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(cert))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	own := HTTP{CA: alf.File{Name: "ca.pem", Data: cert}, Cert: alf.File{Name: "cert.pem", Data: cert}, Key: alf.File{Name: "key.pem", Data: private}}
	if err := action(t, &Webhook{URL: alf.Secret(s.URL), HTTP: own}).Do(t.Context(), message()); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	if err := action(t, &Webhook{URL: alf.Secret(s.URL), HTTP: HTTP{CA: own.CA}}).Do(t.Context(), message()); err == nil {
		t.Error("the target takes a request without a certificate")
	}
	for _, h := range []HTTP{{CA: alf.File{Name: "ca.pem", Data: "x"}}, {Cert: own.Cert}, {Key: own.Key}, {Cert: own.Cert, Key: own.CA}} {
		if (&Webhook{URL: "https://example.com/", HTTP: h}).Validate() == nil {
			t.Errorf("%v, %v, %v is taken", h.CA.Name, h.Cert.Name, h.Key.Name)
		}
	}
}

// TestProxy: what is sent goes through the proxy.
func TestProxy(t *testing.T) {
	s, all := target(t, nil)
	w := &Webhook{URL: "http://target.invalid/x", HTTP: HTTP{Proxy: alf.Secret(s.URL)}}
	if err := action(t, w).Do(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	if r := <-all; r.path != "http://target.invalid/x" {
		t.Errorf("the proxy is asked for %q", r.path)
	}
}

// TestStopped: an end of ctx is no fault of the target.
func TestStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s, _ := target(t, func(_ http.ResponseWriter, r *http.Request) { stop(); <-r.Context().Done() })
	if err := action(t, &Webhook{URL: alf.Secret(s.URL)}).Do(ctx, message()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// BenchmarkWebhook sends to a target on loopback.
func BenchmarkWebhook(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	w := &Webhook{URL: alf.Secret(s.URL), SigningKey: "key"}
	a, err := w.New("hook")
	if err != nil {
		b.Fatal(err)
	}
	m := message()
	for b.Loop() {
		if err := a.Do(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
}

// TestNoLoginIsShown: nor is the login that stands in the URL, which goes out in a header.
func TestNoLoginIsShown(t *testing.T) {
	echo, _ := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		name, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "not so: %s %s %s", name, password, r.Header.Get("Authorization"))
	})
	for _, login := range []string{"alf:s3cret@", "s3cret@"} {
		err := action(t, &Webhook{URL: alf.Secret(strings.Replace(echo.URL, "//", "//"+login, 1))}).Do(t.Context(), message())
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.TrimSuffix(login, "@")))[:8]
		if err == nil || !strings.Contains(err.Error(), "not so: ") || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), encoded) {
			t.Errorf("%s: %v", login, err)
		}
	}
}
