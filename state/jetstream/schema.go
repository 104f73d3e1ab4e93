package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// schema numbers the shape of the record: its streams, its subjects and what is
// in them, but for events, whose encoding has a number of its own. Raise it when
// an older Alf would misread the record, or lose something by writing to it; then
// that Alf refuses before it has touched anything.
const schema = 1

// stamp says which Alf has shaped a record. It is in the metadata of the feed,
// and below an embedded server also in a file, because a server that is older
// than what is there must not even start.
type stamp struct {
	Schema int    `json:"schema"`
	Events int    `json:"events"`        // version of their encoding
	Alf    string `json:"alf,omitempty"` // its version, for people
	Half   bool   `json:"half,omitempty"`
}

const (
	stampFile = "schema.json"
	stampKey  = "alf" // of the metadata
)

// ErrHalf is the error of opening a record into which something is being
// imported, or was and broke off.
var ErrHalf = errors.New("holds an import that was not finished: run it again, or remove the record")

// ErrNoRecord is the error of looking into a record that does not exist.
var ErrNoRecord = errors.New("there is no record")

// stamp returns the one of this Alf.
func (r *Record) stamp() stamp {
	return stamp{Schema: schema, Events: version, Alf: r.o.Version, Half: r.importing}
}

func (s stamp) String() string {
	text, _ := json.Marshal(s) // cannot fail
	return string(text)
}

// where names the record for people.
func (o Options) where() string {
	if o.URL != "" {
		return "the record at " + o.address()
	}
	return "data directory " + o.Dir
}

// address returns the URL without a user, password or token.
func (o Options) address() string {
	begin, end := strings.Index(o.URL, "://"), strings.LastIndex(o.URL, "@")
	if end < 0 {
		return o.URL
	}
	if begin < 0 || begin > end {
		return o.URL[end+1:]
	}
	return o.URL[:begin+len("://")] + o.URL[end+1:]
}

// check reports why a record with the stamp s must not be touched.
func (r *Record) check(s stamp) error {
	if s.Schema > schema || s.Events > version {
		return fmt.Errorf("%s %w (%s, schema %d.%d; this one knows up to %d.%d): run that version, or use another data_dir; nothing was changed",
			r.o.where(), ErrNewer, orUnknown(s.Alf), s.Schema, s.Events, schema, version)
	}
	if s.Half && !r.importing {
		return fmt.Errorf("%s %w", r.o.where(), ErrHalf)
	}
	return nil
}

func orUnknown(version string) string {
	if version == "" {
		return "unknown"
	}
	return "alf " + version
}

// readStampFile looks into the data directory before anything is started there.
func (r *Record) readStampFile(context.Context) error {
	if r.o.URL != "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(r.o.Dir, server.JetStreamStoreDir)); r.o.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", r.o.where(), ErrNoRecord)
	}
	text, err := os.ReadFile(filepath.Join(r.o.Dir, stampFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := json.Unmarshal(text, &r.found); err != nil {
		r.log.Warn("it cannot be read which Alf wrote the record; it is written again", "file", stampFile, "err", err)
		return nil
	}
	return r.check(r.found)
}

// readStamp reads the metadata of the feed, if there is one, before anything is
// made or changed.
func (r *Record) readStamp(ctx context.Context) error {
	s, err := r.js.Stream(ctx, feedStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: stream %s: %w", r.o.where(), feedStream, err)
	}
	text := s.CachedInfo().Config.Metadata[stampKey]
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &r.shaped); err != nil {
		return fmt.Errorf("stream %s: metadata %q: %w", feedStream, text, err)
	}
	return r.check(r.shaped)
}

// bind finds the streams as they are.
func (r *Record) bind(ctx context.Context) error {
	find := func(name string) (jetstream.Stream, error) {
		s, err := r.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) && name == feedStream {
			err = ErrNoRecord
		}
		if err != nil {
			return nil, fmt.Errorf("%s: stream %s: %w", r.o.where(), name, err)
		}
		return s, nil
	}
	var err error
	if r.feed, err = find(feedStream); err != nil {
		return err
	}
	if r.logs, err = find(logStream); err != nil {
		return err
	}
	if r.docs.stream, err = find(docsStream); err != nil {
		return err
	}
	for _, c := range classes {
		if r.keep[c.name], err = find(resultsStream + c.name); err != nil {
			return err
		}
	}
	return nil
}

// writeStampFile notes in the data directory which Alf has shaped it.
func (r *Record) writeStampFile(context.Context) error {
	if r.o.URL != "" || r.found == r.stamp() {
		return nil
	}
	if err := replaceFile(filepath.Join(r.o.Dir, stampFile), r.stamp().String()+"\n"); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// replaceFile writes a file so that there is the old text or the new one, also
// after a power cut.
func replaceFile(name, text string) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
