package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"alf"
	"alf/internal/sanitize"
)

// Slack is the spec of an action that writes into a channel, through an incoming
// webhook of Slack, or of a chat that takes the same.
type Slack struct {
	URL      alf.Secret `alf:"url,plain"`
	Layout   string     `alf:"layout"`
	Channel  string     `alf:"channel"`
	Username string     `alf:"username"`
	HTTP
}

// The layouts.
const (
	blocksLayout      = "blocks"      // what Slack shows now
	attachmentsLayout = "attachments" // what Slack showed before, and others still do
)

// How much of each text is sent, in UTF-16 code units after escaping. All of it
// together stays far below the 13,000 or so at which Slack refuses a message.
const (
	chatMostText    = 1500 // of 40,000; up to 4,000 are advised
	chatMostSection = 2900 // of 3,000
	chatMostField   = 300  // of 2,000
	chatMostName    = 80
)

// Validate implements alf.ActionSpec.
func (s *Slack) Validate() error {
	var errs []error
	wrong := func(key string, err error) { errs = append(errs, &alf.KeyError{Key: key, Err: err}) }
	errs = append(errs, s.HTTP.validate())
	if err := checkURL(s.URL); err != nil {
		wrong("url", err)
	}
	if layouts := []string{"", blocksLayout, attachmentsLayout}; !slices.Contains(layouts, s.Layout) {
		wrong("layout", fmt.Errorf("%q is neither %q nor %q", s.Layout, blocksLayout, attachmentsLayout))
	}
	for key, name := range map[string]string{"channel": s.Channel, "username": s.Username} {
		if units(name) > chatMostName {
			wrong(key, fmt.Errorf("has more than %d characters", chatMostName))
		}
	}
	return errors.Join(errs...)
}

// New implements alf.ActionSpec.
func (s *Slack) New(string) (alf.Action, error) {
	p, err := s.HTTP.poster(s.URL)
	if err != nil {
		return nil, err
	}
	return &slack{spec: s, poster: p}, nil
}

type slack struct {
	spec   *Slack
	poster *poster
}

// Do implements alf.Action.
func (s *slack) Do(ctx context.Context, m *alf.Message) error {
	body, err := json.Marshal(s.spec.post(m.Notification))
	if err != nil {
		return fmt.Errorf("write the body: %w (%w)", err, alf.ErrPermanent)
	}
	header := http.Header{}
	header.Set(contentType, "application/json")
	return s.poster.send(ctx, request{method: http.MethodPost, url: s.spec.URL, header: header, body: body,
		expected: []int{http.StatusOK}, arrived: posted, answered: m.Answered})
}

// posted reports whether an answer says that a message was posted: Slack and
// Mattermost say "ok", Rocket.Chat says it in JSON. Whatever else comes with a 200
// is from somebody in between.
func posted(answer []byte) bool {
	if strings.TrimSpace(string(answer)) == "ok" {
		return true
	}
	var said struct{ Success bool }
	return json.Unmarshal(answer, &said) == nil && said.Success
}

// chatPost is the body of a request.
type chatPost struct {
	Text        string           `json:"text"`
	Mrkdwn      bool             `json:"mrkdwn"`
	UnfurlLinks bool             `json:"unfurl_links"` // nobody fetches what an output names
	UnfurlMedia bool             `json:"unfurl_media"`
	Channel     string           `json:"channel,omitempty"`
	Username    string           `json:"username,omitempty"`
	Attachments []chatAttachment `json:"attachments"`
}

// chatAttachment is a part of a message with a coloured bar. It has blocks, or all
// the rest.
type chatAttachment struct {
	Color  string      `json:"color"`
	Blocks []chatBlock `json:"blocks,omitempty"`

	Fallback  string      `json:"fallback,omitempty"`
	Title     string      `json:"title,omitempty"`
	TitleLink string      `json:"title_link,omitempty"`
	Text      string      `json:"text,omitempty"`
	MrkdwnIn  []string    `json:"mrkdwn_in,omitempty"`
	Fields    []chatField `json:"fields,omitempty"`
}

type chatField struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short"`
}

type chatBlock struct {
	Type     string     `json:"type"`
	Text     *chatText  `json:"text,omitempty"`
	Fields   []chatText `json:"fields,omitempty"`
	Elements []chatText `json:"elements,omitempty"`
}

type chatText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func mrkdwn(text string) chatText { return chatText{"mrkdwn", text} }

// post returns the body about a notification.
func (s *Slack) post(n *alf.Notification) *chatPost {
	p := &chatPost{Channel: s.Channel, Username: s.Username}
	if s.Layout == attachmentsLayout {
		p.Text = fit(calm(headline(n)), chatMostText)
		p.Attachments = []chatAttachment{attachment(n)}
		return p
	}
	p.Text = fit(lead(n), chatMostText)
	p.Attachments = []chatAttachment{{Color: colour(n), Blocks: blocks(n)}}
	return p
}

// lead is the headline with the output: what a telephone shows of a message.
func lead(n *alf.Notification) string {
	if n.Output == "" {
		return headline(n)
	}
	return headline(n) + ": " + sanitize.Log(n.Output)
}

// blocks are the parts of a message below its text.
func blocks(n *alf.Notification) []chatBlock {
	var all []chatBlock
	section := func(text string) {
		words := mrkdwn(text)
		all = append(all, chatBlock{Type: "section", Text: &words})
	}
	more := n.LongOutput
	if units(escape(lead(n))) > chatMostText {
		more = whole(n) // the text has only the beginning of it
	}
	if more != "" {
		section(code(more))
	}
	if c := comment(n); c != "" {
		section(fit(c, chatMostText))
	}
	var fields []chatText
	for _, f := range facts(n) {
		fields = append(fields, mrkdwn("*"+f.name+"*\n"+fit(f.value, chatMostField)))
	}
	all = append(all, chatBlock{Type: "section", Fields: fields})
	if to := strings.ReplaceAll(escape(link(n.NotesURL)), "|", "%7C"); to != "" && units(to) <= chatMostText {
		all = append(all, chatBlock{Type: "context", Elements: []chatText{mrkdwn("<" + to + "|Notes>")}})
	}
	return all
}

// attachment is all that blocks are, for those who know none.
func attachment(n *alf.Notification) chatAttachment {
	a := chatAttachment{Color: colour(n), Fallback: fit(calm(lead(n)), chatMostText), MrkdwnIn: []string{"text"}}
	if text := whole(n); text != "" {
		a.Text = code(text)
	}
	if to := link(n.NotesURL); to != "" && units(to) <= chatMostText {
		a.Title, a.TitleLink = "Notes", to
	}
	for _, f := range facts(n) {
		a.Fields = append(a.Fields, chatField{f.name, fit(calm(f.value), chatMostField), true})
	}
	if c := comment(n); c != "" {
		a.Fields = append(a.Fields, chatField{"Comment", fit(calm(c), chatMostText), false})
	}
	return a
}

// colour is that of the bar: of the state, or that somebody takes care.
func colour(n *alf.Notification) string {
	host := n.Key.IsHost()
	switch {
	case n.Type == alf.TypeAcknowledgement, n.Type.OfDowntime():
		return "#36a2eb" // blue
	case n.Status == alf.OK:
		return "#2eb67d" // green
	case host && n.Status == alf.Down, !host && n.Status == alf.Critical:
		return "#e01e5a" // red
	case !host && n.Status == alf.Warning:
		return "#ecb22e" // yellow
	}
	return "#9b59b6" // violet: nobody knows
}

// fact is a thing that is said of a notification beside its text.
type fact struct{ name, value string }

func facts(n *alf.Notification) []fact {
	var all []fact
	add := func(name, value string) {
		if value != "" {
			all = append(all, fact{name, sanitize.Log(value)})
		}
	}
	host := string(n.Key.Host)
	if n.HostAddress != "" && n.HostAddress != host {
		host += " (" + n.HostAddress + ")"
	}
	add("Host", host)
	add("Service", string(n.Key.Service))
	add("State", fmt.Sprintf("%s, %s, attempt %d of %d", n.State(), n.StateType, n.Attempt, n.Attempts))
	if !n.Since.IsZero() {
		add("Since", n.Since.UTC().Format(time.DateTime+" MST"))
	}
	if n.Number > 0 {
		number := fmt.Sprintf("%s %d", n.Type, n.Number)
		if n.Escalated {
			number += ", escalated"
		}
		add("Notification", number)
	}
	add("Hostgroups", strings.Join(n.Hostgroups, ", "))
	add("Contacts", strings.Join(n.Contacts, ", "))
	return all
}

// comment is what somebody says about it.
func comment(n *alf.Notification) string {
	if n.Text == "" || n.Author == "" {
		return sanitize.Log(n.Author + n.Text)
	}
	return sanitize.Log(n.Author + ": " + n.Text)
}

// whole returns all of the output.
func whole(n *alf.Notification) string {
	if n.LongOutput == "" {
		return n.Output
	}
	return n.Output + "\n" + n.LongOutput
}

const fence = "```"

// code makes a plugin's words stand as they are: neither formatted, nor taken for
// somebody's name.
func code(text string) string {
	text = strings.ReplaceAll(sanitize.JSON(text), fence, "'''")
	return fence + "\n" + fit(text, chatMostSection) + "\n" + fence
}

// calm makes text call nobody where "@all" does, and not only "<!all>".
func calm(text string) string { return strings.ReplaceAll(text, "@", "@\u200b") }

// escaped are the characters that mean something in a message. No others do.
var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escape(text string) string { return escaped.Replace(text) }

// units returns how long text is, in UTF-16 code units: whoever counts characters
// counts fewer.
func units(text string) int {
	n := 0
	for _, r := range text {
		n += utf16.RuneLen(r)
	}
	return n
}

// fit escapes text, and cuts it so that the most units are left. No character is cut
// in two, nor what it is escaped to.
func fit(text string, most int) string {
	all := escape(text)
	if units(all) <= most {
		return all
	}
	var b strings.Builder
	left := most - 1 // for what says that it goes on
	for _, r := range text {
		one := escape(string(r))
		if left -= units(one); left < 0 {
			break
		}
		b.WriteString(one)
	}
	return b.String() + "\u2026"
}
