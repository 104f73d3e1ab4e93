package actions

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"alf"
	"alf/internal/sanitize"
)

// HTTP are the keys of all kinds that speak HTTP.
type HTTP struct {
	Timeout time.Duration `alf:"timeout"`
	CA      alf.File      `alf:"ca"`
	Cert    alf.File      `alf:"cert"`
	Key     alf.File      `alf:"key,private"`
	Proxy   alf.Secret    `alf:"proxy,plain"`
}

const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = 5 * time.Minute
	maxAnswer      = 4 << 10  // bytes of an answer that are read
	maxHeader      = 64 << 10 // and of its header
	maxRedirects   = 3
	shownAnswer    = 200 // bytes of an answer in an error
	// maxRetryAfter is the longest that a target may have Alf wait.
	maxRetryAfter = time.Hour
	noProxy       = "none"
)

func (h *HTTP) validate() error {
	var errs []error
	wrong := func(key string, err error) { errs = append(errs, &alf.KeyError{Key: key, Err: err}) }
	if h.Timeout > maxTimeout {
		wrong("timeout", fmt.Errorf("%v is more than %v", h.Timeout, maxTimeout))
	}
	if h.Proxy != "" && h.Proxy != noProxy {
		if err := checkURL(h.Proxy); err != nil {
			wrong("proxy", err)
		}
	}
	switch {
	case h.Cert.Name != "" && h.Key.Name == "":
		wrong("cert", errors.New("there is no key for it"))
	case h.Cert.Name == "" && h.Key.Name != "":
		wrong("key", errors.New("there is no cert for it"))
	}
	if _, err := h.tls(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkURL refuses what is no address over HTTP. Its error does not show it.
func checkURL(secret alf.Secret) error {
	if secret == alf.Redacted {
		return nil // nobody has opened it
	}
	u, err := url.Parse(string(secret))
	switch {
	case secret == "":
		return errors.New("is missing")
	case err != nil:
		return errors.New("is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New(`begins with neither "http://" nor "https://"`)
	case u.Hostname() == "":
		return errors.New("names no host")
	case u.Fragment != "":
		return errors.New(`has a "#", which nobody sends`)
	}
	return nil
}

// tls returns how the target proves who it is, and Alf that it is itself.
func (h *HTTP) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if h.CA.Data != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(h.CA.Data)) {
			return nil, &alf.KeyError{Key: "ca", Err: fmt.Errorf("%s holds no certificate in PEM", h.CA.Name)}
		}
	}
	if h.Cert.Data != "" && h.Key.Data != "" {
		pair, err := tls.X509KeyPair([]byte(h.Cert.Data), []byte(h.Key.Data))
		if err != nil {
			return nil, &alf.KeyError{Key: "cert", Err: fmt.Errorf("%s and %s: %w", h.Cert.Name, h.Key.Name, err)}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (h *HTTP) proxy() func(*http.Request) (*url.URL, error) {
	switch h.Proxy {
	case "":
		return http.ProxyFromEnvironment
	case noProxy:
		return nil
	}
	u, err := url.Parse(string(h.Proxy))
	return func(*http.Request) (*url.URL, error) { return u, err }
}

// poster sends requests, one at a time. It does not repeat them: when one is sent
// again is for the sender to say, who has it from the ledger.
type poster struct {
	client  *retryablehttp.Client
	timeout time.Duration
	secrets []string // that no error may show
}

func (h *HTTP) poster(secrets ...alf.Secret) (*poster, error) {
	security, err := h.tls()
	if err != nil {
		return nil, err
	}
	timeout := h.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	c := retryablehttp.NewClient()
	c.RetryMax, c.Logger, c.ErrorHandler = 0, nil, retryablehttp.PassthroughErrorHandler
	c.HTTPClient = &http.Client{
		CheckRedirect: follow,
		Transport: &http.Transport{
			Proxy: h.proxy(), TLSClientConfig: security, ForceAttemptHTTP2: true, DisableCompression: true,
			DialContext:         (&net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: maxHeader,
			MaxIdleConns: 2, IdleConnTimeout: 90 * time.Second,
		},
	}
	p := &poster{client: c, timeout: timeout}
	for _, s := range append(secrets, h.Proxy) {
		p.hide(s)
	}
	return p, nil
}

// hide notes what no error may show: a secret, and of a URL what may be one.
func (p *poster) hide(s alf.Secret) {
	const least = 4 // shorter texts are no secrets
	add := func(text string) {
		if len(text) >= least && !slices.Contains(p.secrets, text) {
			p.secrets = append(p.secrets, text)
		}
	}
	add(string(s))
	for word := range strings.FieldsSeq(string(s)) {
		add(word) // a token that follows the name of its scheme
	}
	if u, err := url.Parse(string(s)); err == nil && u.Host != "" {
		add(u.RequestURI())
		add(u.RawQuery)
		add(u.Path)
		for _, values := range u.Query() {
			for _, value := range values {
				add(value)
				add(url.QueryEscape(value))
			}
		}
		for part := range strings.SplitSeq(u.Path, "/") {
			if len(part) > 2*least {
				add(part)
				add(url.PathEscape(part))
			}
		}
		if u.User != nil {
			name := u.User.Username()
			password, ok := u.User.Password()
			if !ok {
				add(name) // alone, it is a token
			}
			add(password)
			add(base64.StdEncoding.EncodeToString([]byte(name + ":" + password))) // as the header has it
		}
	}
	slices.SortFunc(p.secrets, func(a, b string) int { return len(b) - len(a) })
}

// follow lets a redirect pass that leads to the same host and repeats the same
// request. Any other ends with the answer that wants it.
func follow(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme || req.Method != first.Method {
		return http.ErrUseLastResponse
	}
	return nil
}

// request is what is sent.
type request struct {
	method   string
	url      alf.Secret
	header   http.Header
	body     []byte
	expected []int // statuses; nil: 200 to 299
	// arrived reports whether an answer says that the message has arrived; nil: its
	// status says it.
	arrived func(answer []byte) bool
	// answered is told what the answer says; nil: nobody wants to know.
	answered func(text string)
}

// send returns nil if the answer is one that is expected.
func (p *poster) send(ctx context.Context, r request) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := retryablehttp.NewRequestWithContext(ctx, r.method, string(r.url), r.body)
	if err != nil {
		return errors.New("the request cannot be made of this url")
	}
	req.Header = r.header
	req.Header.Set("User-Agent", "Alf")
	resp, err := p.client.Do(req)
	if resp == nil {
		return p.plain(ctx, err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if r.answered != nil {
		r.answered(p.said(resp, answer))
	}
	if r.expects(resp.StatusCode) && (r.arrived == nil || r.arrived(answer)) {
		return nil
	}
	return p.refused(resp, answer)
}

func (r request) expects(status int) bool {
	if r.expected != nil {
		return slices.Contains(r.expected, status)
	}
	return status >= 200 && status <= 299
}

// plain returns err without the URL, and without what stands in it.
func (p *poster) plain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", p.timeout)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		return fmt.Errorf("no answer within %v", p.timeout)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return errors.New(p.redact(err.Error()))
}

// said returns an answer as people read it: its status and how it begins.
func (p *poster) said(resp *http.Response, answer []byte) string {
	text := strconv.Itoa(resp.StatusCode)
	if name := http.StatusText(resp.StatusCode); name != "" {
		text += " " + name
	}
	if said := strings.TrimSpace(string(answer)); said != "" {
		said = p.redact(sanitize.Log(strings.ToValidUTF8(said, "\uFFFD")))
		text += ": " + said[:min(len(said), shownAnswer)]
	}
	return strings.ToValidUTF8(text, "")
}

// refused is the error of an answer that is none of those expected. What is the
// request's own fault stays so.
func (p *poster) refused(resp *http.Response, answer []byte) error {
	err := errors.New("the answer is " + p.said(resp, answer))
	if again, _ := retryablehttp.ErrorPropagatedRetryPolicy(context.Background(), resp, nil); !again && !passes(resp.StatusCode) {
		if resp.StatusCode/100 == 3 {
			err = fmt.Errorf("%w; it wants to redirect to another host, or with another method, which is not followed", err)
		}
		return fmt.Errorf("%w (%w)", err, alf.ErrPermanent)
	}
	if wait := retryablehttp.DefaultBackoff(0, 0, 0, resp); wait > 0 {
		return fmt.Errorf("%w; %w", err, &alf.RetryAfter{Wait: min(wait, maxRetryAfter)})
	}
	return err
}

// passes reports whether a status is one that says nothing against the request, though
// it stands among those that do. A 2xx that was not expected may be a proxy's.
func passes(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooEarly || status/100 == 2
}

// redact returns text with Redacted for all that is secret.
func (p *poster) redact(text string) string {
	for _, s := range p.secrets {
		text = strings.ReplaceAll(text, s, alf.Redacted)
	}
	return text
}
