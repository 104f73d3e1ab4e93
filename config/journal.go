package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Journal is what [journal] says: what is remembered, and where.
type Journal struct {
	URL          string        // of a NATS server or cluster; "": embedded, below Daemon.DataDir
	Credentials  string        // file with the user's credentials there
	CA           string        // file with the certificate authority there
	Cert, Key    string        // files with a certificate of Alf's own, for a server that asks for it
	Replicas     int           // of each stream there
	History      int           // results that are kept of each service
	Retention    time.Duration // of results; 0: no bound but History and MaxBytes
	MaxBytes     int           // of the feed
	LogRetention time.Duration // of the log
	LogMaxBytes  int           // of the log
	SyncAlways   bool          // a power cut costs nothing, rather than up to a second
}

var defaultJournal = Journal{Replicas: 1, History: 20, Retention: 30 * day, MaxBytes: 1 << 30, LogRetention: 400 * day, LogMaxBytes: 2 << 30}

// The values of sync.
const (
	syncAlways = "always"
	syncSecond = "1s"
)

func (j *Journal) keys(l *loader) keys {
	return keys{
		"url":           to(&j.URL, readNATS),
		"credentials":   to(&j.Credentials, l.secretPath),
		"ca":            to(&j.CA, l.path),
		"cert":          to(&j.Cert, l.path),
		"key":           to(&j.Key, l.secretPath),
		"replicas":      to(&j.Replicas, number(1, 5)),
		"history":       to(&j.History, number(1, 10_000)),
		"retention":     to(&j.Retention, duration(time.Hour, 10*365*day)),
		"max_bytes":     to(&j.MaxBytes, size(1<<20, 1<<50)),
		"log_retention": to(&j.LogRetention, duration(time.Hour, 20*365*day)),
		"log_max_bytes": to(&j.LogMaxBytes, size(1<<20, 1<<50)),
		"sync":          to(&j.SyncAlways, readSync),
	}
}

// loaded adds the mistakes that lie between keys.
func (j *Journal) loaded(l *loader, ok bool) {
	at := l.journalAt
	switch {
	case !ok:
	case l.partial: // the other key may be where nobody could read it
	case j.URL == "" && (j.Credentials != "" || j.CA != "" || j.Cert != "" || j.Key != "" || j.Replicas != 1):
		l.add(at, "[journal] has settings for an external server, but no url")
	case (j.Cert == "") != (j.Key == ""):
		l.add(at, "[journal] cert and key belong together")
	case j.URL != "" && j.SyncAlways:
		l.add(at, `[journal] sync = "always" is for the embedded server; an external one has sync_interval for that`)
	}
}

func readSync(v value) (bool, error) {
	s, err := oneOf(syncSecond, syncAlways)(v)
	return s == syncAlways, err
}

// schemes are those of addresses of NATS servers.
var schemes = []string{"nats://", "tls://", "ws://", "wss://"}

// readNATS reads the addresses of one or more servers of a cluster, with commas
// between them.
func readNATS(v value) (string, error) {
	s, err := word(v)
	if err != nil {
		return "", err
	}
	if strings.Contains(s, "@") {
		return "", errors.New("holds a user or password; use credentials")
	}
	for server := range strings.SplitSeq(s, ",") {
		if !slices.ContainsFunc(schemes, func(scheme string) bool { return strings.HasPrefix(server, scheme) }) {
			return "", fmt.Errorf("%q is no address such as \"nats://nats1:4222\"", server)
		}
		if _, err := url.Parse(server); err != nil {
			return "", err
		}
	}
	return s, nil
}

// secretPath reads the path of a file that others must not read.
func (l *loader) secretPath(v value) (string, error) {
	file, err := l.path(v)
	if err != nil || l.NoSecrets {
		return file, err
	}
	return file, checkFile(file, notReadable)
}
