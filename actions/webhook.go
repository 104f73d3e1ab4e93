package actions

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"alf"
)

// Webhook is the spec of an action that sends a request over HTTP.
type Webhook struct {
	URL         alf.Secret            `alf:"url,plain"`
	Method      string                `alf:"method"`
	Headers     map[string]alf.Secret `alf:"headers"`
	Body        string                `alf:"body,text"`
	ContentType string                `alf:"content_type"`
	SigningKey  alf.Secret            `alf:"signing_key"`
	Expected    []int                 `alf:"expected_statuses"`
	HTTP
}

// The headers that a webhook sets by itself.
const (
	idHeader        = "Idempotency-Key"
	timeHeader      = "X-Alf-Timestamp"
	signatureHeader = "X-Alf-Signature"
	contentType     = "Content-Type"
)

const maxBody = 1 << 20 // bytes of a request

// Validate implements alf.ActionSpec.
func (w *Webhook) Validate() error {
	var errs []error
	wrong := func(key string, err error) { errs = append(errs, &alf.KeyError{Key: key, Err: err}) }
	errs = append(errs, w.HTTP.validate())
	if err := checkURL(w.URL); err != nil {
		wrong("url", err)
	}
	if methods := []string{"", http.MethodPost, http.MethodPut, http.MethodPatch}; !slices.Contains(methods, w.Method) {
		wrong("method", fmt.Errorf("%q is none of POST, PUT, PATCH", w.Method))
	}
	for name, value := range w.Headers {
		if err := checkHeader(name, value); err != nil {
			wrong("headers", err)
		}
	}
	if !headerValue(w.ContentType) {
		wrong("content_type", errors.New("is no value of a header"))
	}
	for _, status := range w.Expected {
		if status < 200 || status > 299 {
			wrong("expected_statuses", fmt.Errorf("%d is none of 200 to 299, which alone mean that a message has arrived", status))
		}
	}
	if err := w.checkBody(); err != nil {
		wrong("body", err)
	}
	return errors.Join(errs...)
}

func checkHeader(name string, value alf.Secret) error {
	own := []string{idHeader, timeHeader, signatureHeader, contentType, "Content-Length", "Transfer-Encoding", "Connection", "Host", "User-Agent", "Trailer"}
	switch canonical := http.CanonicalHeaderKey(name); {
	case !headerName(name):
		return fmt.Errorf("%q is no name of a header", name)
	case canonical == contentType:
		return errors.New("Content-Type is set by content_type")
	case slices.Contains(own, canonical):
		return fmt.Errorf("%s is set by Alf itself", canonical)
	case !headerValue(string(value)):
		return fmt.Errorf("the value of %s holds what no header may", canonical)
	}
	return nil
}

// headerName reports whether s may be the name of a header.
func headerName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r)
	})
}

// headerValue reports whether s may be the value of one.
func headerValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// checkBody fills in the template for notifications of all types that are hard on it.
func (w *Webhook) checkBody() error {
	t, err := w.template()
	if err != nil {
		return err
	}
	if t == nil {
		return nil
	}
	if err := w.checkFor(t, sample()); err != nil {
		return err
	}
	for kind := alf.TypeRecovery; kind <= alf.TypeDowntimeCancelled; kind++ {
		n := sample()
		n.Type = kind
		if kind != alf.TypeAcknowledgement {
			n.Status = alf.OK
		}
		if err := w.checkFor(t, n); err != nil {
			return fmt.Errorf("with .Type %s: %w", kind, err)
		}
	}
	return nil
}

func (w *Webhook) checkFor(t *template.Template, n *alf.Notification) error {
	text, err := fill(t, newDocument(n))
	if err != nil {
		return err
	}
	if w.json() && !json.Valid(text) {
		return fmt.Errorf("what comes of it is not always JSON: write {{json .Output}}, without quotes, for every text; or set content_type")
	}
	return nil
}

// json reports whether the body is JSON.
func (w *Webhook) json() bool {
	kind, _, _ := strings.Cut(w.contentType(), ";")
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

func (w *Webhook) contentType() string {
	if w.ContentType == "" {
		return "application/json"
	}
	return w.ContentType
}

// template returns that of the body; nil: the document itself is the body.
func (w *Webhook) template() (*template.Template, error) {
	if w.Body == "" {
		return nil, nil
	}
	t, err := template.New("body").Option("missingkey=error").Funcs(functions).Parse(w.Body)
	return t, plainError(err)
}

// plainError cuts off what package template says of itself.
func plainError(err error) error {
	if err == nil {
		return nil
	}
	text := strings.TrimPrefix(err.Error(), "template: body:")
	return errors.New(strings.ReplaceAll(text, " in type *actions.document", ""))
}

// functions are those that templates have besides the ones of package template.
var functions = template.FuncMap{
	"json": func(v any) (string, error) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(v)
		return strings.TrimSuffix(b.String(), "\n"), err
	},
	"upper": strings.ToUpper,
	"lower": strings.ToLower,
	"join":  strings.Join,
}

// errLong is the error of a body that is too long.
var errLong = fmt.Errorf("the body has more than %d bytes", maxBody)

// bounded is a buffer that takes no more than maxBody.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxBody {
		return 0, errLong
	}
	return b.Buffer.Write(p)
}

// executor is a template, of texts or of HTML.
type executor interface {
	Execute(w io.Writer, data any) error
}

func fill(t executor, d *document) ([]byte, error) {
	var b bounded
	if err := t.Execute(&b, d); err != nil {
		return nil, plainError(err)
	}
	return b.Bytes(), nil
}

// New implements alf.ActionSpec.
func (w *Webhook) New(string) (alf.Action, error) {
	t, err := w.template()
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	secrets := []alf.Secret{w.URL, w.SigningKey}
	for _, value := range w.Headers {
		secrets = append(secrets, value)
	}
	p, err := w.HTTP.poster(secrets...)
	if err != nil {
		return nil, err
	}
	return &webhook{spec: w, body: t, poster: p}, nil
}

type webhook struct {
	spec   *Webhook
	body   *template.Template // nil: the document itself
	poster *poster
}

// Do implements alf.Action.
func (w *webhook) Do(ctx context.Context, m *alf.Message) error {
	body, err := w.write(newDocument(m.Notification))
	if err != nil {
		return fmt.Errorf("write the body: %w (%w)", err, alf.ErrPermanent)
	}
	header := http.Header{}
	for name, value := range w.spec.Headers {
		header.Set(name, string(value))
	}
	header.Set(contentType, w.spec.contentType())
	header.Set(idHeader, m.ID)
	if w.spec.SigningKey != "" {
		at := strconv.FormatInt(time.Now().Unix(), 10)
		header.Set(timeHeader, at)
		header.Set(signatureHeader, "sha256="+sign(w.spec.SigningKey, at, body))
	}
	method := w.spec.Method
	if method == "" {
		method = http.MethodPost
	}
	return w.poster.send(ctx, request{method: method, url: w.spec.URL, header: header, body: body, expected: w.spec.Expected, answered: m.Answered})
}

func (w *webhook) write(d *document) ([]byte, error) {
	if w.body != nil {
		return fill(w.body, d)
	}
	return json.Marshal(d)
}

// sign returns the HMAC of a time and a body, by which who has the key can tell
// that they are Alf's.
func sign(key alf.Secret, at string, body []byte) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(at + "."))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
