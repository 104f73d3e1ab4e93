package actions

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"

	"alf"
)

// authority returns a certificate for 127.0.0.1 that proves itself, and its key.
func authority(t *testing.T) (cert, key alf.Secret) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return alf.Secret(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), alf.Secret(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
}

// post is a mail as the server has it.
type post struct {
	From, Content, Login, Hello string
	To                          []string
	TLS                         bool
}

// office is a real mail server.
type office struct {
	t       *testing.T
	dir     string
	address string
	ca      alf.File
}

const python = "/usr/bin/python3" // that which has Debian's packages

// newOffice starts one that speaks as mode says. without is a mechanism of AUTH that
// it does not offer.
func newOffice(t *testing.T, mode, without string) *office {
	t.Helper()
	if err := exec.Command(python, "-c", "import aiosmtpd.controller").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("there is no python3-aiosmtpd: %v", err)
		}
		t.Skipf("apt-get install python3-aiosmtpd: %v", err)
	}
	o := &office{t: t, dir: t.TempDir(), address: freeAddress(t)}
	cert, key := authority(t)
	o.ca = alf.File{Name: "ca.pem", Data: cert}
	files := []string{filepath.Join(o.dir, "cert.pem"), filepath.Join(o.dir, "key.pem")}
	for i, data := range []alf.Secret{cert, key} {
		if err := os.WriteFile(files[i], []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := net.SplitHostPort(o.address)
	args := []string{"testdata/smtpd.py", o.dir, port, mode}
	if mode != "plain" {
		args = append(args, files...)
	}
	if without != "" {
		args = append(args, without)
	}
	startProgram(t, func() bool {
		c, err := net.Dial("tcp", o.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, python, args...)
	return o
}

// email returns the spec of mails to it.
func (o *office) email(security string, to ...string) *Email {
	e := &Email{Server: o.address, TLS: security, From: "Alf <alf@example.com>", To: to, CA: o.ca, Hello: "alf.example.com"}
	if security != tlsOff && security != tlsOpportunistic {
		e.Username, e.Password = "alf", "s3cret"
	}
	return e
}

// mails returns those that it has taken.
func (o *office) mails() []post {
	o.t.Helper()
	files, err := filepath.Glob(filepath.Join(o.dir, "*.json"))
	if err != nil {
		o.t.Fatal(err)
	}
	slices.Sort(files)
	var all []post
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			o.t.Fatal(err)
		}
		var p post
		if err := json.Unmarshal(data, &p); err != nil {
			o.t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// parts returns the header and the parts of a mail by their types.
func parts(t *testing.T, content string) (mail.Header, map[string]string) {
	t.Helper()
	r, err := mail.CreateReader(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return r.Header, all
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := p.Header.(*mail.InlineHeader).ContentType()
		if err != nil || params["charset"] != "utf-8" {
			t.Errorf("the type of a part: %v %v", params, err)
		}
		text, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

// TestEmail: a mail over STARTTLS, with a password, arrives as it was written.
func TestEmail(t *testing.T) {
	o := newOffice(t, "starttls", "")
	e := o.email("", "\"Ops é, all\" <ops@example.com>", "boss@example.com")
	m := about(alf.Key{Host: "web1", Service: "diské\r\nBcc: x@example.com"}, alf.TypeProblem, alf.Critical, "99% <b>full</b> é\n.\n.\r\nfrom \x1b[31m"+strings.Repeat("x", 2000))
	m.Notification.Text, m.Notification.NotesURL = "", "javascript:alert(1)"
	a := made(t, e)
	for range 2 { // as after an answer that got lost
		if err := a.Do(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	said := ""
	trial := *m
	trial.ID, trial.Answered = "trial", func(text string) { said = text }
	if err := a.Do(t.Context(), &trial); err != nil || said == "" {
		t.Errorf("said = %q, %v", said, err)
	}
	all := o.mails()
	if len(all) != 3 {
		t.Fatalf("%d mails", len(all))
	}
	p := all[0]
	if p.From != "alf@example.com" || !slices.Equal(p.To, []string{"ops@example.com", "boss@example.com"}) || !p.TLS || p.Login != "PLAIN" || p.Hello != "alf.example.com" {
		t.Errorf("%+v", p)
	}
	h, texts := parts(t, p.Content)
	subject, _ := h.Subject()
	if want := "PROBLEM: diské Bcc: x@example.com on web1 is CRITICAL"; subject != want {
		t.Errorf("the subject is %q, want %q", subject, want)
	}
	to, err := h.AddressList("To")
	if err != nil || len(to) != 2 || to[0].Name != "Ops é, all" || to[1].Address != "boss@example.com" || h.Has("Bcc") {
		t.Errorf("to %v, %v, of %v", to, err, h)
	}
	id, err := h.MessageID()
	if date, _ := h.Date(); err != nil || id != m.ID+"@example.com" || !date.Equal(m.Notification.Time.Truncate(time.Second)) || h.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%v %v, date %v", h, err, date)
	}
	if again, _ := parts(t, all[1].Content); again.Get("Message-Id") != h.Get("Message-Id") {
		t.Errorf("the same mail has the IDs %s and %s", h.Get("Message-Id"), again.Get("Message-Id"))
	}
	for name, want := range map[string]string{"text/plain": "99% <b>full</b> é\n.\n.\nfrom \\x1b[31mxxx", "text/html": "99% &lt;b&gt;full&lt;/b&gt; é\n.\n.\nfrom \\x1b[31mxxx"} {
		if !strings.Contains(texts[name], want) {
			t.Errorf("%s is %q, want %q in it", name, texts[name], want)
		}
	}
	if strings.Contains(texts["text/html"], `"javascript`) {
		t.Errorf("a link can be pressed that runs: %s", texts["text/html"])
	}
	for line := range strings.SplitSeq(p.Content, "\n") {
		if len(line) > 998 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
}

// TestEmailSecurity: mails go encrypted as the configuration demands it, to a server
// that proves who it is, or not at all; passwords always do.
func TestEmailSecurity(t *testing.T) {
	servers := map[string]*office{}
	for _, mode := range []string{"plain", "starttls", "implicit", "optional"} {
		servers[mode] = newOffice(t, mode, "")
	}
	f := func(mode string, e *Email, login, want string) {
		t.Helper()
		o := servers[mode]
		before := len(o.mails())
		err := made(t, e).Do(t.Context(), message())
		all := o.mails()[before:]
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) || len(all) != 0 || errors.Is(err, alf.ErrPermanent) || !strings.Contains(err.Error(), o.address) {
				t.Errorf("%s, tls %q: %v, want %q; %d mails", mode, e.TLS, err, want, len(all))
			}
			return
		}
		if err != nil || len(all) != 1 || all[0].Login != login || all[0].TLS != (mode != "plain" && e.TLS != tlsOff) {
			t.Errorf("%s, tls %q: %v, %+v", mode, e.TLS, err, all)
		}
	}
	with := func(mode, security string, change func(*Email)) *Email {
		e := servers[mode].email(security, "ops@example.com")
		if change != nil {
			change(e)
		}
		return e
	}
	secret := func(e *Email) { e.Username, e.Password = "alf", "s3cret" }
	open := func(e *Email) { e.Username, e.Password = "", "" }
	stranger := func(e *Email) { e.CA = alf.File{} }
	f("starttls", with("starttls", tlsRequired, nil), "PLAIN", "")
	f("starttls", with("starttls", tlsRequired, stranger), "", "EHLO: tls: failed to verify certificate")
	f("starttls", with("starttls", tlsRequired, func(e *Email) { e.Password = "s3cret-wrong" }), "", "AUTH: the answer is 535")
	f("starttls", with("starttls", tlsOpportunistic, secret), "PLAIN", "")
	f("plain", with("plain", tlsRequired, open), "", "STARTTLS: smtp: server doesn't support STARTTLS")
	f("plain", with("plain", tlsOpportunistic, nil), "", "")
	f("plain", with("plain", tlsOpportunistic, secret), "", "AUTH: the server offers no TLS")
	f("plain", with("plain", tlsOff, nil), "", "")
	f("optional", with("optional", tlsOpportunistic, nil), "", "")
	f("optional", with("optional", tlsOpportunistic, stranger), "", "EHLO: tls: failed to verify certificate")
	f("optional", with("optional", tlsOff, nil), "", "")
	f("implicit", with("implicit", tlsImplicit, nil), "PLAIN", "")
	f("implicit", with("implicit", tlsImplicit, stranger), "", "TLS: tls: failed to verify certificate")
	f("plain", with("plain", tlsImplicit, open), "", "TLS: tls: first record does not look like a TLS handshake")
	servers["login"] = newOffice(t, "starttls", "PLAIN")
	f("login", with("login", tlsRequired, nil), "LOGIN", "")
}

// TestEmailRefused: what is refused for good is not tried again, and what is taken by
// some is not sent to them twice.
func TestEmailRefused(t *testing.T) {
	o := newOffice(t, "plain", "")
	f := func(e *Email, want ...string) {
		t.Helper()
		a, m, before := made(t, e), message(), len(o.mails())
		var got []string
		for i := range want {
			err := a.Do(t.Context(), m)
			what := "taken"
			if _, ok := errors.AsType[*alf.Partly](err); ok {
				what = "partly"
			} else if errors.Is(err, alf.ErrPermanent) {
				what = "refused"
			} else if err != nil {
				what = "later"
			}
			for _, p := range o.mails()[before:] {
				what += " " + strings.Join(p.To, ",")
			}
			before = len(o.mails())
			if got = append(got, what); what != want[i] {
				t.Errorf("%v: attempt %d: %v", e.To, i+1, err)
			}
			if text := fmt.Sprint(err); strings.Contains(text, "\x1b") || err != nil && !strings.HasPrefix(text, o.address+": ") {
				t.Errorf("%v: %q", e.To, text)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %q, want %q", e.To, got, want)
		}
		if kept := a.(*email).partly; len(kept) != 0 {
			t.Errorf("%v: it still remembers %v", e.To, kept)
		}
	}
	mail := func(to ...string) *Email { return o.email(tlsOff, to...) }
	f(mail("a@example.com", "b@example.com"), "taken a@example.com,b@example.com")
	f(mail("never@example.com"), "refused")
	f(mail("never@example.com", "a@example.com"), "partly a@example.com")
	f(mail("later-2@example.com"), "later", "later", "taken later-2@example.com")
	f(mail("a@example.com", "later-1@example.com", "b@example.com", "never@example.com"), "later a@example.com,b@example.com", "partly later-1@example.com")
	f(mail("later-1@example.org", "never@example.com"), "later", "partly later-1@example.org")
	refuse := mail("a@example.com", "later-1@example.net")
	refuse.Text = "refuse this"
	f(refuse, "later", "refused")
	full := mail("never@example.com", "a@example.com")
	full.Text = "not now"
	a := made(t, full)
	for range 2 {
		if err := a.Do(t.Context(), message()); err == nil || errors.Is(err, alf.ErrPermanent) || !strings.Contains(err.Error(), "DATA: the answer is 452") {
			t.Errorf("a full disk: %v", err)
		}
	}
}

// TestEmailRemembers: of mails that wait for some recipients only so many are kept in
// mind.
func TestEmailRemembers(t *testing.T) {
	e := &email{partly: make(map[string]*partly)}
	for i := range 2 * maxPartly {
		e.remember(fmt.Sprint(i), &partly{left: []string{"a@example.com"}, taken: 1}, errors.New("later"))
	}
	if len(e.partly) != maxPartly || e.partly[fmt.Sprint(2*maxPartly-1)] == nil {
		t.Errorf("it remembers %d mails, want %d and the newest", len(e.partly), maxPartly)
	}
}

// welcome is in the place of the first line, before which the server speaks.
const welcome = "CONNECT"

// server answers each line with what f says.
func server(t *testing.T, f func(line string) string) string {
	t.Helper()
	base := listener(t, func(c net.Conn) {
		fmt.Fprint(c, f(welcome))
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(c, f(strings.TrimSpace(line)))
		}
	})
	return strings.TrimPrefix(base, "http://")
}

// TestEmailBadServers: whatever a server does, an attempt ends, and is made again.
func TestEmailBadServers(t *testing.T) {
	f := func(what, want string, answer func(line string) string) {
		t.Helper()
		e := &Email{Server: server(t, answer), TLS: tlsOff, From: "a@example.com", To: []string{"b@example.com"}, Timeout: 500 * time.Millisecond}
		err := made(t, e).Do(t.Context(), message())
		if err == nil || errors.Is(err, alf.ErrPermanent) || !strings.Contains(err.Error(), want) || len(err.Error()) > 400 {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	f("silence", "it takes longer than 500ms", func(string) string { return "" })
	f("busy", "EHLO: the answer is 421", func(string) string { return "421 too many connections\r\n" })
	f("no welcome", "EHLO: the answer is 554", func(string) string { return "554 who are you\r\n" })
	f("no SMTP", "EHLO", func(string) string { return "HTTP/1.1 400 Bad Request\r\n" })
	f("no end", "", func(string) string { return strings.Repeat("220-"+strings.Repeat("x", 1000)+"\r\n", 3000) })
	f("long line", "", func(string) string { return "220 " + strings.Repeat("x", 3<<20) })
	f("silence after the mail", "it takes longer than 500ms", func(line string) string {
		switch {
		case line == welcome:
			return "220 hello\r\n"
		case line == ".":
			return ""
		case line == "DATA":
			return "354 go on\r\n"
		case strings.HasPrefix(line, "EHLO"), strings.HasPrefix(line, "MAIL"), strings.HasPrefix(line, "RCPT"):
			return "250 yes\r\n"
		}
		return ""
	})
	ctx, stop := context.WithCancel(t.Context())
	e := &Email{Server: server(t, func(string) string { stop(); return "" }), TLS: tlsOff, From: "a@example.com", To: []string{"b@example.com"}}
	if err := made(t, e).Do(ctx, message()); !errors.Is(err, context.Canceled) {
		t.Errorf("when Alf stops: %v", err)
	}
}

// quotingMailServer is a server over TLS that quotes all that it hears when it refuses a
// password.
func quotingMailServer(t *testing.T, mechanism string) (address string, ca alf.File) {
	t.Helper()
	cert, key := authority(t)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		heard := ""
		fmt.Fprint(c, "220 hello\r\n")
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimSpace(line)
			heard += " " + line
			switch {
			case strings.HasPrefix(line, "EHLO"):
				fmt.Fprintf(c, "250-mail.test\r\n250 AUTH %s\r\n", mechanism)
			case line == "AUTH LOGIN", line == "YWxm":
				fmt.Fprint(c, "334 \r\n")
			default:
				fmt.Fprintf(c, "535 s3cret is wrong:%s\r\n", heard)
			}
		}
	}()
	return l.Addr().String(), alf.File{Name: "ca.pem", Data: cert}
}

// TestEmailStripped: who takes STARTTLS out of the answer gets neither mail nor
// password, and who puts words before TLS is not heard.
func TestEmailStripped(t *testing.T) {
	said := make(chan string, 100)
	address := server(t, func(line string) string {
		said <- line
		switch {
		case line == welcome:
			return "220 hello\r\n"
		case line == "STARTTLS":
			return "220 go on\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 yes\r\n250 yes\r\n354 yes\r\n250 yes\r\n"
		case strings.HasPrefix(line, "EHLO"):
			return "250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"
		}
		return "250 yes\r\n"
	})
	e := &Email{Server: address, From: "a@example.com", To: []string{"b@example.com"}, Username: "alf", Password: "s3cret", Timeout: 500 * time.Millisecond}
	if err := made(t, e).Do(t.Context(), message()); err == nil {
		t.Error("a mail is handed over to nobody")
	}
	for len(said) > 0 {
		if line := <-said; strings.HasPrefix(line, "AUTH") || strings.HasPrefix(line, "MAIL") {
			t.Errorf("without TLS it hears %q", line)
		}
	}
}

// TestEmailMistakes: each is found before it is too late.
func TestEmailMistakes(t *testing.T) {
	f := func(key string, change func(*Email)) {
		t.Helper()
		e := &Email{Server: "mail.example.com", From: "alf@example.com", To: []string{"ops@example.com"}}
		change(e)
		err := e.Validate()
		if wrong, ok := errors.AsType[*alf.KeyError](err); !ok || wrong.Key != key {
			t.Errorf("%+v: %v, want what is wrong with %s", e, err, key)
		}
	}
	f("server", func(e *Email) { e.Server = "" })
	f("server", func(e *Email) { e.Server = "smtp://mail.example.com" })
	f("server", func(e *Email) { e.Server = "mail.example.com:99999" })
	f("server", func(e *Email) { e.Server = "mail.example.com:smtp" })
	f("tls", func(e *Email) { e.TLS = "ssl" })
	f("tls", func(e *Email) { e.TLS, e.Username, e.Password = "off", "alf", "x" })
	f("from", func(e *Email) { e.From = "" })
	f("from", func(e *Email) { e.From = "alf" })
	f("from", func(e *Email) { e.From = "alf@example.com\r\nBcc: x@example.com" })
	f("from", func(e *Email) { e.From = "é@example.com" })
	f("to", func(e *Email) { e.To = nil })
	f("to", func(e *Email) { e.To = []string{"a@example.com, b@example.com"} })
	f("to", func(e *Email) { e.To = []string{`"a b"@example.com`} })
	f("to", func(e *Email) { e.To = []string{"a@example.com> SIZE=1"} })
	f("to", func(e *Email) { e.To = []string{"a@example.com", "A <a@example.com>"} })
	f("to", func(e *Email) { e.To = slices.Repeat(e.To, maxRecipients+1) })
	f("username", func(e *Email) { e.Username = "alf" })
	f("password", func(e *Email) { e.Password = "x" })
	f("hello", func(e *Email) { e.Hello = "a b" })
	f("subject", func(e *Email) { e.Subject = "{{.Outptu}}" })
	f("text", func(e *Email) { e.Text = "{{" })
	f("html", func(e *Email) { e.HTML = "<a href={{.Outptu}}>" })
	f("html", func(e *Email) { e.HTML = "<script>{{if .Output}}'{{end}}</script>" })
	f("timeout", func(e *Email) { e.Timeout = time.Hour })
	f("ca", func(e *Email) { e.CA = alf.File{Name: "ca.pem", Data: "x"} })
}

// TestEmailServers: which port a server has.
func TestEmailServers(t *testing.T) {
	f := func(server, security, want string) {
		t.Helper()
		host, port, err := (&Email{Server: server, TLS: security}).address()
		if got := net.JoinHostPort(host, port); err != nil || got != want {
			t.Errorf("address(%q, %q) = %q, %v, want %q", server, security, got, err, want)
		}
	}
	f("mail", "", "mail:587")
	f("mail:2525", "", "mail:2525")
	f("mail", tlsImplicit, "mail:465")
	f("mail", tlsOff, "mail:25")
	f("mail", tlsOpportunistic, "mail:25")
	f("::1", tlsOff, "[::1]:25")
	f("[::1]", tlsOff, "[::1]:25")
	f("[::1]:2525", tlsOff, "[::1]:2525")
}

// TestEmailParts: text alone, and a subject that is long and has every kind of
// letters.
func TestEmailParts(t *testing.T) {
	e := &Email{Server: "mail", From: "alf@example.com", To: []string{"ops@example.com"}, HTML: noHTML, Text: "{{.Host}}", Subject: "{{.Output}}"}
	m := message()
	m.Notification.Output = strings.Repeat("é\r\n\tX-Evil: 1\u2028", 100)
	content, err := made(t, e).(*email).write(m)
	if err != nil {
		t.Fatal(err)
	}
	h, texts := parts(t, string(content))
	if len(texts) != 1 || texts["text/plain"] != `web"1` || h.Has("X-Evil") {
		t.Errorf("%q of %s", texts, content)
	}
	subject, err := h.Subject()
	if err != nil || len(subject) > maxSubject || !strings.HasPrefix(subject, `é X-Evil: 1`) || strings.ContainsAny(subject, "\r\n\u2028") {
		t.Errorf("subject %q, %v", subject, err)
	}
	head, _, _ := strings.Cut(string(content), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if len(line) > 100 {
			t.Errorf("a line of the header has %d bytes: %q", len(line), line)
		}
	}
}
