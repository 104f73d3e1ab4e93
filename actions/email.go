package actions

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"mime"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"alf"
	"alf/internal/sanitize"
)

// Email is the spec of an action that sends mail over SMTP.
type Email struct {
	Server   string        `alf:"server"`
	TLS      string        `alf:"tls"`
	From     string        `alf:"from"`
	To       []string      `alf:"to"`
	Username string        `alf:"username"`
	Password alf.Secret    `alf:"password"`
	Hello    string        `alf:"hello"`
	Subject  string        `alf:"subject"`
	Text     string        `alf:"text,text"`
	HTML     string        `alf:"html,text"`
	Timeout  time.Duration `alf:"timeout"`
	CA       alf.File      `alf:"ca"`
}

// How a connection is encrypted.
const (
	tlsRequired      = "starttls" // the default
	tlsOpportunistic = "opportunistic"
	tlsImplicit      = "implicit"
	tlsOff           = "off"
)

// The ports of servers.
const (
	submissionPort  = "587"
	submissionsPort = "465"
	relayPort       = "25"
)

const (
	mailTimeout   = 30 * time.Second // servers think long about senders they do not know
	maxRecipients = 100
	maxSubject    = 200
	maxSaid       = 1 << 20 // bytes that a server may say about a mail
	maxPartly     = 1000    // mails of which is known who has them already
	noHTML        = "none"
)

// What a mail says if the configuration says nothing.
const (
	defaultSubject = `{{.Type}}: {{if .Service}}{{.Service}} on {{end}}{{.Host}} is {{.State}}`
	defaultText    = `{{if .Service}}{{.Service}} on {{end}}{{.Host}}{{if .HostAddress}} ({{.HostAddress}}){{end}} is {{.State}}
{{with .Since}}since {{.Format "2006-01-02 15:04:05 MST"}}
{{end}}
{{.Output}}
{{with .LongOutput}}{{.}}
{{end}}{{if .Comment}}
{{.Author}}: {{.Comment}}
{{end}}{{with .NotesURL}}
{{.}}
{{end}}`
	defaultHTML = `<!DOCTYPE html>
<html><body style="font-family: sans-serif">
<p><strong style="color: {{if eq .State "OK" "UP"}}#0a6b2d{{else if eq .State "WARNING"}}#8a5a00{{else}}#b00020{{end}}">{{.State}}</strong>
{{if .Service}}{{.Service}} on {{end}}{{.Host}}{{if .HostAddress}} ({{.HostAddress}}){{end}}{{with .Since}}, since {{.Format "2006-01-02 15:04:05 MST"}}{{end}}</p>
<pre>{{.Output}}{{with .LongOutput}}
{{.}}{{end}}</pre>
{{if .Comment}}<p>{{.Author}}: {{.Comment}}</p>
{{end}}{{with .NotesURL}}<p><a href="{{.}}">{{.}}</a></p>
{{end}}</body></html>
`
)

// mailbox is what goes into the envelope of a mail: nothing that would have to be
// quoted there.
var mailbox = regexp.MustCompile("^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$")

// domain is what a server may be greeted with.
var domain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$`)

// Validate implements alf.ActionSpec.
func (e *Email) Validate() error {
	var errs []error
	wrong := func(key string, err error) { errs = append(errs, &alf.KeyError{Key: key, Err: err}) }
	if words := []string{"", tlsRequired, tlsOpportunistic, tlsImplicit, tlsOff}; !slices.Contains(words, e.TLS) {
		wrong("tls", fmt.Errorf("%q is none of starttls, opportunistic, implicit, off", e.TLS))
	}
	if _, _, err := e.address(); err != nil {
		wrong("server", err)
	}
	if _, err := parseMailbox(e.From); err != nil {
		wrong("from", err)
	}
	if _, err := e.recipients(); err != nil {
		wrong("to", err)
	}
	switch {
	case e.Username == "" && e.Password != "":
		wrong("password", errors.New("there is no username for it"))
	case e.Username != "" && e.Password == "":
		wrong("username", errors.New("there is no password for it"))
	case e.Username != "" && e.TLS == tlsOff:
		wrong("tls", errors.New("a password is never sent without TLS"))
	}
	if e.Hello != "" && !domain.MatchString(e.Hello) {
		wrong("hello", fmt.Errorf("%q is no name of a machine", e.Hello))
	}
	if e.Timeout > maxTimeout {
		wrong("timeout", fmt.Errorf("%v is more than %v", e.Timeout, maxTimeout))
	}
	if _, err := e.security(""); err != nil {
		errs = append(errs, err)
	}
	if _, err := e.letter(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// address returns host and port of the server.
func (e *Email) address() (host, port string, err error) {
	if e.Server == "" {
		return "", "", errors.New("is missing")
	}
	host, port, err = net.SplitHostPort(e.Server)
	if err != nil {
		port = map[string]string{tlsImplicit: submissionsPort, tlsOff: relayPort, tlsOpportunistic: relayPort}[e.TLS]
		if port == "" {
			port = submissionPort
		}
		host = strings.TrimSuffix(strings.TrimPrefix(e.Server, "["), "]")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", "", fmt.Errorf("port %q is not between 1 and 65535", port)
	}
	if net.ParseIP(host) == nil && !domain.MatchString(host) {
		return "", "", fmt.Errorf("%q is no name or address of a machine", host)
	}
	return host, port, nil
}

func parseMailbox(text string) (*mail.Address, error) {
	if text == "" {
		return nil, errors.New("is missing")
	}
	a, err := mail.ParseAddress(text)
	if err != nil || !mailbox.MatchString(a.Address) {
		return nil, fmt.Errorf(`%q is no address such as "ops@example.com" or "Operations <ops@example.com>"`, text)
	}
	a.Name = sanitize.Log(a.Name)
	return a, nil
}

func (e *Email) recipients() ([]*mail.Address, error) {
	if len(e.To) == 0 {
		return nil, errors.New("is missing")
	}
	if len(e.To) > maxRecipients {
		return nil, fmt.Errorf("%d recipients are more than %d", len(e.To), maxRecipients)
	}
	var out []*mail.Address
	for _, text := range e.To {
		a, err := parseMailbox(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o *mail.Address) bool { return o.Address == a.Address }) {
			return nil, fmt.Errorf("%s is there twice", a.Address)
		}
		out = append(out, a)
	}
	return out, nil
}

// security returns how the server of that name proves who it is.
func (e *Email) security(host string) (*tls.Config, error) {
	c, err := (&HTTP{CA: e.CA}).tls()
	if err == nil {
		c.ServerName = host
	}
	return c, err
}

// letter is what is written, as templates.
type letter struct {
	subject, text, html executor // html nil: there is none
}

// letter returns the templates, each tried out.
func (e *Email) letter() (*letter, error) {
	or := func(text, byDefault string) string {
		if text == "" {
			return byDefault
		}
		return text
	}
	texts := func(src string) (executor, error) {
		return template.New("body").Option("missingkey=error").Funcs(functions).Parse(src)
	}
	var errs []error
	try := func(key, src string, parse func(string) (executor, error)) executor {
		t, err := parse(src)
		if err == nil {
			_, err = fill(t, newDocument(sample()))
		}
		if err != nil {
			errs = append(errs, &alf.KeyError{Key: key, Err: plainError(errors.New(strings.TrimSpace(strings.TrimPrefix(err.Error(), "html/template:body:"))))})
		}
		return t
	}
	l := &letter{subject: try("subject", or(e.Subject, defaultSubject), texts), text: try("text", or(e.Text, defaultText), texts)}
	if e.HTML != noHTML {
		l.html = try("html", or(e.HTML, defaultHTML), func(src string) (executor, error) {
			return htmltemplate.New("body").Option("missingkey=error").Funcs(htmltemplate.FuncMap(functions)).Parse(src)
		})
	}
	return l, errors.Join(errs...)
}

// New implements alf.ActionSpec.
func (e *Email) New(string) (alf.Action, error) {
	host, port, err := e.address()
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	out := &email{spec: e, address: net.JoinHostPort(host, port), hello: e.Hello, timeout: e.Timeout, partly: make(map[string]*partly)}
	var errs [4]error
	out.security, errs[0] = e.security(host)
	out.from, errs[1] = parseMailbox(e.From)
	out.to, errs[2] = e.recipients()
	out.letter, errs[3] = e.letter()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if out.timeout == 0 {
		out.timeout = mailTimeout
	}
	if out.hello == "" {
		out.hello = "localhost"
		if name, err := os.Hostname(); err == nil && domain.MatchString(name) {
			out.hello = name
		}
	}
	if e.Password != "" {
		out.hidden = hidden(e.Username, string(e.Password))
	}
	return out, nil
}

// hidden replaces a password by Redacted, however SMTP has it.
func hidden(username, password string) *strings.Replacer {
	var pairs []string
	for _, text := range []string{"\x00" + username + "\x00" + password, password} {
		pairs = append(pairs, base64.StdEncoding.EncodeToString([]byte(text)), alf.Redacted)
	}
	return strings.NewReplacer(append(pairs, password, alf.Redacted)...)
}

// email implements alf.Action.
type email struct {
	spec     *Email
	address  string
	security *tls.Config
	hello    string
	timeout  time.Duration
	from     *mail.Address
	to       []*mail.Address
	letter   *letter
	hidden   *strings.Replacer // nil: there is no secret
	partly   map[string]*partly
}

// partly is a mail that some recipients have, and others may have later.
type partly struct {
	left    []string // who does not have it yet
	refused []string // and who never will, and why
	taken   int
}

// Do implements alf.Action.
func (e *email) Do(ctx context.Context, m *alf.Message) error {
	body, err := e.write(m)
	if err != nil {
		return fmt.Errorf("write the mail: %w (%w)", err, alf.ErrPermanent)
	}
	p := e.begun(m.ID)
	trying, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	err = e.send(trying, p, body)
	e.remember(m.ID, p, err)
	switch {
	case err == nil:
		if m.Answered != nil {
			m.Answered("the server has taken it for all recipients")
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case trying.Err() != nil:
		return fmt.Errorf("%s: it takes longer than %v: %w", e.address, e.timeout, err)
	}
	return fmt.Errorf("%s: %w", e.address, err)
}

// remember notes who has a mail that is tried again for others, who else would get it
// twice. It is forgotten when Alf stops.
func (e *email) remember(id string, p *partly, err error) {
	delete(e.partly, id)
	if err == nil || len(p.left) == 0 || p.taken+len(p.refused) == 0 {
		return
	}
	for other := range e.partly {
		if len(e.partly) < maxPartly {
			break
		}
		delete(e.partly, other)
	}
	e.partly[id] = p
}

// begun returns who has not got the mail of that ID yet.
func (e *email) begun(id string) *partly {
	p := e.partly[id]
	if p == nil {
		p = &partly{}
		for _, a := range e.to {
			p.left = append(p.left, a.Address)
		}
	}
	return p
}

// send hands a mail over to the server, for those who do not have it yet.
func (e *email) send(ctx context.Context, p *partly, body []byte) error {
	c, done, err := e.connect(ctx)
	if err != nil {
		return e.plain(err)
	}
	defer done()
	if err := c.Mail(e.from.Address, &smtp.MailOptions{Size: int64(len(body))}); err != nil {
		return e.answer("MAIL", err)
	}
	return e.hand(c, p, body)
}

// hand names the recipients, and hands over the mail if the server takes any.
func (e *email) hand(c *smtp.Client, p *partly, body []byte) error {
	var taken, refused, left, said []string
	for _, to := range p.left {
		switch err := e.answer(to, c.Rcpt(to, nil)); {
		case err == nil:
			taken = append(taken, to)
		case errors.Is(err, alf.ErrPermanent):
			refused = append(refused, err.Error())
		default:
			left, said = append(left, to), append(said, err.Error())
		}
	}
	if len(taken) > 0 {
		err := e.answer("DATA", e.data(c, body))
		if err != nil && !errors.Is(err, alf.ErrPermanent) {
			return err // all are asked again
		}
		if err != nil {
			refused, taken = append(refused, strings.Join(taken, ", ")+": "+err.Error()), nil
		}
	}
	p.left, p.refused, p.taken = left, append(p.refused, refused...), p.taken+len(taken)
	return p.verdict(said)
}

func (e *email) data(c *smtp.Client, body []byte) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}

// connect returns a session with the server in which mails may be handed over.
func (e *email) connect(ctx context.Context) (*smtp.Client, func(), error) {
	c, done, err := e.dial(ctx, e.spec.TLS)
	if err != nil {
		return nil, nil, err
	}
	if _, secure := c.TLSConnectionState(); e.spec.TLS == tlsOpportunistic && !secure {
		if offered, _ := c.Extension("STARTTLS"); offered {
			done()
			if c, done, err = e.dial(ctx, tlsRequired); err != nil {
				return nil, nil, err
			}
		}
	}
	if e.spec.Username != "" {
		if err := e.authenticate(c); err != nil {
			done()
			return nil, nil, err
		}
	}
	return c, done, nil
}

// dial connects and greets. The connection ends with ctx.
func (e *email) dial(ctx context.Context, security string) (*smtp.Client, func(), error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.address)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	fail := func(phase string, err error) (*smtp.Client, func(), error) {
		stop()
		conn.Close()
		return nil, nil, fmt.Errorf("%s: %w", phase, err)
	}
	var c *smtp.Client
	var limited net.Conn = &capped{Conn: conn, left: maxSaid}
	switch security {
	case tlsImplicit:
		secure := tls.Client(limited, e.security)
		if err := secure.HandshakeContext(ctx); err != nil {
			return fail("TLS", err)
		}
		c = smtp.NewClient(secure)
	case tlsOff, tlsOpportunistic:
		c = smtp.NewClient(limited)
	default:
		if c, err = smtp.NewClientStartTLS(limited, e.security); err != nil {
			return fail("STARTTLS", err)
		}
	}
	c.CommandTimeout, c.SubmissionTimeout = 2*e.timeout, 2*e.timeout // ctx ends before
	if err := c.Hello(e.hello); err != nil {
		return fail("EHLO", err)
	}
	return c, func() {
		_ = c.Quit() // the server has taken all that it takes
		stop()
		conn.Close()
	}, nil
}

// capped ends a connection on which the other side says too much.
type capped struct {
	net.Conn
	left int
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the server says more than %d bytes", maxSaid)
	}
	n, err := c.Conn.Read(p)
	c.left -= n
	return n, err
}

// authenticate says who Alf is, over TLS alone.
func (e *email) authenticate(c *smtp.Client) error {
	if _, secure := c.TLSConnectionState(); !secure {
		return errors.New("AUTH: the server offers no TLS, without which no password is sent")
	}
	_, offered := c.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	var client sasl.Client
	switch {
	case slices.Contains(mechanisms, sasl.Plain):
		client = sasl.NewPlainClient("", e.spec.Username, string(e.spec.Password))
	case slices.Contains(mechanisms, sasl.Login):
		client = &login{answers: []string{e.spec.Username, string(e.spec.Password)}}
	default:
		return errors.New("AUTH: the server offers neither PLAIN nor LOGIN")
	}
	if err := c.Auth(client); err != nil {
		return fmt.Errorf("AUTH: %w", err)
	}
	return nil
}

// login is the client of AUTH LOGIN, which has no standard: it goes by the order of
// the questions, since servers word them as they like.
type login struct{ answers []string }

// Start implements sasl.Client.
func (l *login) Start() (mech string, ir []byte, err error) { return sasl.Login, nil, nil }

// Next implements sasl.Client.
func (l *login) Next([]byte) ([]byte, error) {
	if len(l.answers) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	answer := l.answers[0]
	l.answers = l.answers[1:]
	return []byte(answer), nil
}

// plain returns err without what is secret, in a line that is not long. Whatever went
// wrong says nothing against the mail.
func (e *email) plain(err error) error {
	text := err.Error()
	if refusal, ok := errors.AsType[*smtp.SMTPError](err); ok {
		phase, _, _ := strings.Cut(text, ":")
		text = fmt.Sprintf("%s: the answer is %d %s", phase, refusal.Code, refusal.Message)
	}
	if e.hidden != nil {
		text = e.hidden.Replace(text)
	}
	text = sanitize.Log(text)
	return errors.New(cut(text, shownAnswer))
}

// answer returns err, which is the answer to something. A 5xx is for good.
func (e *email) answer(to string, err error) error {
	if err == nil {
		return nil
	}
	out := e.plain(fmt.Errorf("%s: %w", to, err))
	if refusal, ok := errors.AsType[*smtp.SMTPError](err); ok && refusal.Code/100 == 5 {
		return fmt.Errorf("%w (%w)", out, alf.ErrPermanent)
	}
	return out
}

// verdict says what became of the mail; said is why those who are left do not have it
// yet.
func (p *partly) verdict(said []string) error {
	if len(p.left) > 0 {
		text := strings.Join(slices.Concat(said, p.refused), "; ")
		if p.taken > 0 {
			text = fmt.Sprintf("%d recipients have it, others do not yet: %s", p.taken, text)
		}
		return errors.New(text) // some will be asked again, whatever others say
	}
	if len(p.refused) == 0 {
		return nil
	}
	err := errors.New(strings.Join(p.refused, "; "))
	if p.taken == 0 {
		return fmt.Errorf("%w (%w)", err, alf.ErrPermanent)
	}
	return &alf.Partly{Err: err}
}

// write writes a mail.
func (e *email) write(m *alf.Message) ([]byte, error) {
	d := newDocument(m.Notification)
	subject, err := fill(e.letter.subject, d)
	if err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	_, place, _ := strings.Cut(e.from.Address, "@")
	var h mail.Header
	h.SetDate(m.Notification.Time)
	h.SetAddressList("From", []*mail.Address{e.from})
	h.SetAddressList("To", e.to)
	setSubject(&h, oneLine(string(subject)))
	h.SetMessageID(m.ID + "@" + place)
	h.Set("Auto-Submitted", "auto-generated")
	h.Set("X-Auto-Response-Suppress", "All")
	var b bytes.Buffer
	w, err := mail.CreateInlineWriter(&b, h)
	if err != nil {
		return nil, err
	}
	errs := []error{e.part(w, "text/plain", e.letter.text, d)}
	if e.letter.html != nil {
		errs = append(errs, e.part(w, "text/html", e.letter.html, d))
	}
	if err := errors.Join(append(errs, w.Close())...); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (e *email) part(w *mail.InlineWriter, kind string, t executor, d *document) error {
	text, err := fill(t, d)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	var h mail.InlineHeader
	h.SetContentType(kind, map[string]string{"charset": "utf-8"})
	p, err := w.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(p, sanitize.HTML(strings.ReplaceAll(string(text), "\r\n", "\n"))); err != nil {
		return err
	}
	return p.Close()
}

// setSubject breaks the lines of a subject that is not ASCII, which the library leaves
// as one.
func setSubject(h *mail.Header, subject string) {
	words := mime.QEncoding.Encode("utf-8", subject)
	if words == subject {
		h.SetSubject(subject)
		return
	}
	h.AddRaw([]byte("Subject:\r\n " + strings.ReplaceAll(words, "?= =?", "?=\r\n =?") + "\r\n"))
}

// oneLine makes a subject of a text.
func oneLine(text string) string {
	return cut(sanitize.Log(strings.Join(strings.Fields(text), " ")), maxSubject)
}
