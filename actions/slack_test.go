package actions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"alf"
)

// fakeSlack takes what an incoming webhook of Slack takes, or, told to, one of
// Mattermost, and refuses what that refuses.
type fakeSlack struct {
	mattermost bool

	mu    sync.Mutex
	posts []slackPosted
}

// slackPosted is what Slack's documents say that a message may have, as far as Alf uses
// it.
type slackPosted struct {
	Text        string `json:"text"`
	Mrkdwn      *bool  `json:"mrkdwn"`
	UnfurlLinks *bool  `json:"unfurl_links"`
	UnfurlMedia *bool  `json:"unfurl_media"`
	Channel     string `json:"channel"`
	Username    string `json:"username"`
	Attachments []struct {
		Color     string        `json:"color"`
		Fallback  string        `json:"fallback"`
		Title     string        `json:"title"`
		TitleLink string        `json:"title_link"`
		Text      string        `json:"text"`
		MrkdwnIn  []string      `json:"mrkdwn_in"`
		Blocks    []slackedPart `json:"blocks"`
		Fields    []struct {
			Title string `json:"title"`
			Value string `json:"value"`
			Short bool   `json:"short"`
		} `json:"fields"`
	} `json:"attachments"`
}

type slackedPart struct {
	Type     string        `json:"type"`
	Text     *slackedText  `json:"text"`
	Fields   []slackedText `json:"fields"`
	Elements []slackedText `json:"elements"`
}

type slackedText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

var (
	hex6   = regexp.MustCompile(`^#[0-9a-f]{6}$`)
	fenced = regexp.MustCompile("(?s)^```.*```$")
	linked = regexp.MustCompile(`<https?://[^<>|]*\|Notes>`)
	entity = regexp.MustCompile(`&(amp|lt|gt);`)
)

// ServeHTTP implements http.Handler.
func (f *fakeSlack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path != "/services/T0/B0/s3cret" {
		http.Error(w, "no_service", http.StatusNotFound)
		return
	}
	p, err := f.read(r, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.posts = append(f.posts, p)
	f.mu.Unlock()
	io.WriteString(w, "ok")
}

func (f *fakeSlack) read(r *http.Request, body []byte) (p slackPosted, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || !utf8.Valid(body) {
		return p, errors.New("invalid_payload")
	}
	if err := d.Decode(&p); err != nil || d.More() {
		return p, fmt.Errorf("invalid_payload: %w", err)
	}
	all := []string{p.Text}
	switch {
	case p.Text == "":
		return p, errors.New("no_text")
	case utf8.RuneCountInString(p.Text) > 4000:
		return p, errors.New("msg_too_long")
	case len(p.Attachments) > 20:
		return p, errors.New("too_many_attachments")
	}
	for _, a := range p.Attachments {
		legacy := append([]string{}, a.Fallback, a.Title, a.Text)
		for _, part := range a.Fields {
			legacy = append(legacy, part.Title, part.Value)
		}
		switch has := strings.Join(legacy, "") + a.TitleLink; {
		case !hex6.MatchString(a.Color):
			return p, fmt.Errorf("invalid_attachments: color %q", a.Color)
		case (has != "") == (a.Blocks != nil), f.mattermost && a.Blocks != nil:
			return p, errors.New("invalid_attachments: blocks, and something else")
		case a.Blocks == nil && a.Fallback == "":
			return p, errors.New("invalid_attachments: no fallback")
		}
		for _, text := range append(legacy, p.Text) {
			if f.mattermost && strings.Contains(fenced.ReplaceAllString(text, ""), "@all") {
				return p, fmt.Errorf("everybody is called: %q", text)
			}
		}
		texts, err := checkBlocks(a.Blocks)
		if err != nil {
			return p, err
		}
		all = append(append(all, legacy...), texts...)
	}
	for _, text := range all {
		if err := checkEscaped(text); err != nil {
			return p, err
		}
	}
	return p, nil
}

// checkBlocks returns all texts of blocks.
func checkBlocks(blocks []slackedPart) (all []string, err error) {
	bad := func(format string, args ...any) ([]string, error) {
		return nil, fmt.Errorf("invalid_blocks: "+format, args...)
	}
	if len(blocks) > 50 {
		return bad("%d of them", len(blocks))
	}
	sum := 0
	for _, b := range blocks {
		var texts []slackedText
		most := 3000
		switch b.Type {
		case "section":
			if b.Text == nil && b.Fields == nil || len(b.Fields) > 10 || b.Elements != nil {
				return bad("section %+v", b)
			}
			for _, part := range b.Fields {
				if n := utf8.RuneCountInString(part.Text); n > 2000 {
					return bad("a field of %d", n)
				}
			}
			texts = b.Fields
			if b.Text != nil {
				texts = append(slices.Clone(texts), *b.Text)
			}
		case "header":
			if b.Text == nil || b.Text.Type != "plain_text" || b.Fields != nil || b.Elements != nil {
				return bad("header %+v", b)
			}
			most, texts = 150, []slackedText{*b.Text}
		case "context":
			if len(b.Elements) == 0 || len(b.Elements) > 10 || b.Text != nil || b.Fields != nil {
				return bad("context %+v", b)
			}
			texts = b.Elements
		default:
			return bad("type %q", b.Type)
		}
		for _, text := range texts {
			n := utf8.RuneCountInString(text.Text)
			if n == 0 || n > most || text.Type != "mrkdwn" && text.Type != "plain_text" {
				return bad("a %s of %d in a %s", text.Type, n, b.Type)
			}
			sum += n
			all = append(all, text.Text)
		}
	}
	if sum > 13_000 {
		return nil, errors.New("msg_blocks_too_long")
	}
	return all, nil
}

// checkEscaped refuses a text in which a character means something that Alf does not
// mean, and one that is escaped twice.
func checkEscaped(text string) error {
	text = linked.ReplaceAllString(text, "")
	if strings.ContainsAny(text, "<>") || strings.Contains(entity.ReplaceAllString(text, ""), "&") || strings.Contains(text, "&amp;lt;") {
		return fmt.Errorf("invalid_payload: %q", text)
	}
	return nil
}

func (f *fakeSlack) took() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.posts)
}

func (f *fakeSlack) last() slackPosted {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.posts[len(f.posts)-1]
}

// chat makes an action that speaks to a handler over the network.
func chat(t *testing.T, h http.Handler, spec Slack) alf.Action {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	spec.URL, spec.Proxy = alf.Secret(s.URL+"/services/T0/B0/s3cret"), noProxy
	return made(t, &spec)
}

// TestSlack: what a channel shows.
func TestSlack(t *testing.T) {
	f := new(fakeSlack)
	a := chat(t, f, Slack{Channel: "#ops", Username: "Alf"})
	n := of(alf.TypeProblem, alf.Critical)
	n.Output, n.LongOutput, n.NotesURL = "load < 5 & <!channel> *x* @here", "a\n```\n<b>", "https://wiki.example.com/a?b=1&c=<d|e>"
	n.HostAddress, n.Hostgroups, n.Contacts, n.Since, n.Escalated = "10.0.0.7", []string{"web", "prod"}, []string{"ops"}, n.Time, true
	tell(t, a, n)
	p := f.last()
	if p.Text != "disk on web1 is CRITICAL: load &lt; 5 &amp; &lt;!channel&gt; *x* @here" || *p.Mrkdwn || *p.UnfurlLinks || *p.UnfurlMedia || p.Channel != "#ops" || p.Username != "Alf" {
		t.Errorf("%+v", p)
	}
	if a := p.Attachments[0]; a.Color != "#e01e5a" || a.Blocks[0].Text.Text != "```\na\n'''\n&lt;b&gt;\n```" ||
		fmt.Sprint(a.Blocks[1].Fields) != "[{mrkdwn *Host*\nweb1 (10.0.0.7)} {mrkdwn *Service*\ndisk} {mrkdwn *State*\nCRITICAL, HARD, attempt 3 of 3} "+
			"{mrkdwn *Since*\n2026-01-02 03:04:05 UTC} {mrkdwn *Notification*\nPROBLEM 1, escalated} {mrkdwn *Hostgroups*\nweb, prod} {mrkdwn *Contacts*\nops}]" ||
		a.Blocks[2].Elements[0].Text != "<https://wiki.example.com/a?b=1&amp;c=&lt;d%7Ce&gt;|Notes>" {
		t.Errorf("%+v", a.Blocks)
	}
	ack := of(alf.TypeAcknowledgement, alf.Critical)
	ack.Author, ack.Text = "ann", "on <it>"
	tell(t, a, ack)
	if p := f.last(); p.Text != "disk on web1 is CRITICAL, acknowledged by ann: 4% free" || p.Attachments[0].Blocks[0].Text.Text != "ann: on &lt;it&gt;" {
		t.Errorf("%+v", p)
	}
	tell(t, a, of(alf.TypeRecovery, alf.OK))
	if p := f.last(); p.Text != "disk on web1 is OK again: 4% free" || p.Attachments[0].Color != "#2eb67d" {
		t.Errorf("%+v", p)
	}
}

// TestMattermost: the same without blocks, and nobody is called by what a plugin says.
func TestMattermost(t *testing.T) {
	f := &fakeSlack{mattermost: true}
	a := chat(t, f, Slack{Layout: "attachments"})
	n := of(alf.TypeProblem, alf.Warning)
	n.Key.Service, n.Output, n.LongOutput, n.Author, n.Text, n.NotesURL = "the @all of it", "``` @all <!channel>", "@all", "@all", "@all", "https://wiki.example.com/?a=1&b"
	n.HostAddress, n.Hostgroups, n.Contacts = "@all", []string{"@all"}, []string{"@all"}
	tell(t, a, n)
	p := f.last()
	if at := p.Attachments[0]; p.Text != "the @\u200ball of it on web1 is WARNING" || at.Color != "#ecb22e" || at.Text != "```\n''' @all &lt;!channel&gt;\n@all\n```" ||
		at.Fallback != "the @\u200ball of it on web1 is WARNING: ``` @\u200ball &lt;!channel&gt;" || at.TitleLink != n.NotesURL || len(at.Fields) != 7 || !slices.Contains(at.MrkdwnIn, "text") {
		t.Errorf("%+v", p)
	}
}

// TestSlackLimits: whatever is in a notification, Slack takes it.
func TestSlackLimits(t *testing.T) {
	for _, layout := range []string{"", "blocks", "attachments"} {
		f := &fakeSlack{mattermost: layout == "attachments"}
		a := chat(t, f, Slack{Layout: layout})
		tell(t, a, sample())
		for _, text := range []string{"", "x", strings.Repeat("é", 4<<10), strings.Repeat("&<>", 3<<10), strings.Repeat("\x00\xff<", 2<<10), strings.Repeat("\U0001F600", 2<<10), strings.Repeat("@all ```\n", 900)} {
			for _, kind := range []alf.NotificationType{alf.TypeProblem, alf.TypeAcknowledgement, alf.TypeDowntimeCancelled} {
				n := sample()
				n.Type, n.Output, n.LongOutput, n.Text, n.Author, n.HostAlias, n.HostAddress = kind, text, text, text, text, text, text
				n.Hostgroups, n.Contacts, n.NotesURL = slices.Repeat([]string{text}, 3), slices.Repeat([]string{text}, 3), "https://example.com/"+text
				n.Key = alf.Key{Host: alf.HostName(strings.Repeat("<", 255)), Service: alf.ServiceName(strings.Repeat("&", 255))}
				tell(t, a, n)
				n.Key.Service = ""
				tell(t, a, n)
			}
		}
	}
}

// TestFit: a text is cut between characters as they are sent.
func TestFit(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab\u2026"}, {"<<", 8, "&lt;&lt;"}, {"<<", 7, "&lt;\u2026"}, {"a\U0001F600b", 4, "a\U0001F600b"}, {"a\U0001F600b", 3, "a\u2026"}} {
		if got := fit(c.text, c.most); got != c.want {
			t.Errorf("fit(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

// TestColours: a state has its colour.
func TestColours(t *testing.T) {
	seen := make(map[string]string)
	f := func(key alf.Key, status alf.Status, kind alf.NotificationType, want string) {
		t.Helper()
		got := colour(&alf.Notification{Key: key, Status: status, Type: kind})
		if seen[want] == "" {
			seen[want] = got
		}
		if got != seen[want] {
			t.Errorf("%v %v is not %s", key, status, want)
		}
	}
	host := alf.Key{Host: "web1"}
	f(disk, alf.OK, alf.TypeRecovery, "green")
	f(host, alf.Up, alf.TypeRecovery, "green")
	f(disk, alf.Warning, alf.TypeProblem, "yellow")
	f(disk, alf.Critical, alf.TypeProblem, "red")
	f(host, alf.Down, alf.TypeProblem, "red")
	f(disk, alf.Unknown, alf.TypeProblem, "violet")
	f(host, alf.Unreachable, alf.TypeProblem, "violet")
	f(disk, alf.Critical, alf.TypeAcknowledgement, "blue")
	f(host, alf.Down, alf.TypeDowntimeStart, "blue")
	f(disk, alf.Critical, alf.TypeFlappingStart, "red")
	colours := make(map[string]bool)
	for _, c := range seen {
		colours[c] = true
	}
	if len(colours) != 5 {
		t.Errorf("two states have the same colour: %v", seen)
	}
}

// TestSlackFaults: every fault is one after which the message comes again.
func TestSlackFaults(t *testing.T) {
	f := new(fakeSlack)
	u := &unreliable{Handler: f}
	testFaults(t, chat(t, u, Slack{HTTP: HTTP{Timeout: 300 * time.Millisecond}}), u, f.took)
}

// TestSlackAnswers: which answers are the end of a message.
func TestSlackAnswers(t *testing.T) {
	for _, c := range []struct {
		status    int
		text      string
		delivered bool
		permanent bool
	}{
		{200, "ok", true, false}, {200, "ok\n", true, false}, {200, `{"success":true}`, true, false}, {200, `{"success":false}`, false, false}, {200, "", false, false},
		{201, "ok", false, false}, {204, "", false, false},
		{400, "invalid_payload", false, true}, {400, "no_text", false, true}, {400, "user_not_found", false, true}, {400, "too_many_attachments", false, true},
		{403, "action_prohibited", false, true}, {403, "invalid_token", false, true}, {404, "channel_not_found", false, true}, {404, "no_service", false, true},
		{410, "channel_is_archived", false, true}, {429, "rate_limited", false, false}, {500, "rollup_error", false, false}, {503, "", false, false},
	} {
		a := chat(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.text)
		}), Slack{})
		err := a.Do(t.Context(), message())
		if (err == nil) != c.delivered || errors.Is(err, alf.ErrPermanent) != c.permanent || err != nil && !strings.Contains(err.Error(), strings.TrimSpace(c.text)) {
			t.Errorf("%d %s: %v", c.status, c.text, err)
		}
	}
}

// TestSlackWrong: what is wrong with a configuration is said, and shows no secret.
func TestSlackWrong(t *testing.T) {
	for want, s := range map[string]Slack{
		"url: is missing":          {},
		"url: begins with neither": {URL: "hooks.slack.com/s3cret"},
		`layout: "html" is neither "blocks" nor "attachments"`: {URL: "https://example.com/s3cret", Layout: "html"},
		"channel: has more than 80 characters":                 {URL: "https://example.com/s3cret", Channel: strings.Repeat("é", 81)},
		"username: has more than 80 characters":                {URL: "https://example.com/s3cret", Username: strings.Repeat("é", 81)},
		"proxy: begins with neither":                           {URL: "https://example.com/s3cret", HTTP: HTTP{Proxy: "socks5://s3cret"}},
	} {
		if err := s.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Validate = %v, want %s", err, want)
		}
	}
}
