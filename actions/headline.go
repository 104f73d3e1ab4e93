package actions

import (
	"fmt"
	"net/url"

	"alf"
	"alf/internal/sanitize"
)

// headline says in one line what a notification is about.
func headline(n *alf.Notification) string {
	if n.Test {
		real := *n
		real.Test = false
		return "TEST: " + headline(&real)
	}
	what, is := string(n.Key.Host), n.State()
	if !n.Key.IsHost() {
		what = fmt.Sprintf("%s on %s", n.Key.Service, n.Key.Host)
	}
	switch n.Type {
	case alf.TypeRecovery:
		return fmt.Sprintf("%s is %s again", what, is)
	case alf.TypeAcknowledgement:
		by := ""
		if n.Author != "" {
			by = " by " + sanitize.Log(n.Author)
		}
		return fmt.Sprintf("%s is %s, acknowledged%s", what, is, by)
	case alf.TypeFlappingStart:
		return fmt.Sprintf("%s flaps; it is %s now", what, is)
	case alf.TypeFlappingStop:
		return fmt.Sprintf("%s no longer flaps; it is %s", what, is)
	case alf.TypeFlappingDisabled:
		return fmt.Sprintf("%s is no longer watched for flapping; it is %s", what, is)
	case alf.TypeDowntimeStart:
		return fmt.Sprintf("%s is in downtime; it is %s", what, is)
	case alf.TypeDowntimeEnd:
		return fmt.Sprintf("the downtime of %s is over; it is %s", what, is)
	case alf.TypeDowntimeCancelled:
		return fmt.Sprintf("the downtime of %s is cancelled; it is %s", what, is)
	}
	return fmt.Sprintf("%s is %s", what, is)
}

// link returns text if it is a whole address of a page, else "": notes_url may be
// a path of whoever reads it.
func link(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return ""
	}
	return u.String()
}
