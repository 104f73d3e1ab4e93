package actions

import (
	"time"

	"alf"
)

// document is a notification as templates see it, and as JSON.
type document struct {
	ID               string     `json:"id"`
	Type             string     `json:"type"`
	Number           int        `json:"number"`
	Time             time.Time  `json:"time"`
	Host             string     `json:"host"`
	HostAlias        string     `json:"host_alias"`
	HostAddress      string     `json:"host_address"`
	Hostgroups       []string   `json:"hostgroups"`
	Service          string     `json:"service"` // empty: the host itself
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

func newDocument(n *alf.Notification) *document {
	d := &document{
		ID: n.ID, Type: n.Type.String(), Number: n.Number, Time: n.Time.UTC(),
		Host: string(n.Key.Host), HostAlias: n.HostAlias, HostAddress: n.HostAddress, Hostgroups: append([]string{}, n.Hostgroups...),
		Service: string(n.Key.Service), State: n.State(), StateCode: int(n.Status), StateType: n.StateType.String(),
		Attempt: n.Attempt, MaxCheckAttempts: n.Attempts, Output: n.Output, LongOutput: n.LongOutput,
		Author: n.Author, Comment: n.Text, NotesURL: n.NotesURL, Contacts: append([]string{}, n.Contacts...), Escalated: n.Escalated, Test: n.Test,
	}
	if !n.Since.IsZero() {
		since := n.Since.UTC()
		d.Since = &since
	}
	return d
}

// sample is a notification with all that a text may hold.
func sample() *alf.Notification {
	const hard = "a \"quoted\" \\ text, {{.}} <b>&amp;</b> é\n\twith lines"
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &alf.Notification{
		ID: "0123456789abcdef", Type: alf.TypeProblem, Number: 1, Time: at, Key: alf.Key{Host: `web"1`, Service: `disk C:\`},
		HostAlias: hard, HostAddress: hard, Hostgroups: []string{hard}, NotesURL: hard, Status: alf.Critical, StateType: alf.Hard,
		Attempt: 3, Attempts: 3, Since: at, Output: hard, LongOutput: hard, Author: hard, Text: hard, Contacts: []string{hard},
	}
}
