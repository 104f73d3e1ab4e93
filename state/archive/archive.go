// Package archive is a whole record as a file of JSON lines, for backups, for
// moves and for support: documents, places, histories, the log, the ledger and the
// feed. It knows no engine.
//
// A file begins with a line of type header and ends with one of type trailer,
// which counts the lines between, so that a file that was cut off is noticed. It
// is made for people and jq, and loses nothing.
package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"alf"
	"alf/state"
)

// Format is the newest format that this package reads, and the one it writes.
const Format = 2 // 1 had no ledger

// Type says what a line holds.
type Type string

// The types of lines, in the order in which they stand in a file.
const (
	header   Type = "header"
	Document Type = "document" // what people made
	Place    Type = "place"    // how far a consumer is
	History  Type = "history"  // an event of those that are kept of each key
	Log      Type = "log"      // an event of the log
	Ledger   Type = "ledger"   // a line of the ledger
	Feed     Type = "feed"     // an event of the feed
	Damaged  Type = "damaged"  // what could not be read, in words
	trailer  Type = "trailer"
)

// Item is a line between header and trailer.
type Item struct {
	Type     Type
	Document state.Document // without its revision
	Place    state.Place    // without its lag
	Event    *alf.Event
	Line     *state.Line // without its number
	Moved    string      // of History: the class of histories that it has moved to; empty: that of its own interval
	Text     string      // of Damaged
}

// Header says where a file comes from.
type Header struct {
	Format int       `json:"format"`
	Alf    string    `json:"alf"` // version
	Time   time.Time `json:"time"`
}

// Counts are the numbers of lines by type.
type Counts map[Type]int

type line struct {
	Type Type `json:"type"`
	*Header
	Document *document   `json:"document,omitempty"`
	Place    *place      `json:"place,omitempty"`
	Event    *event      `json:"event,omitempty"`
	Line     *state.Line `json:"line,omitempty"`
	Moved    string      `json:"moved,omitempty"`
	Text     string      `json:"text,omitempty"`
	Lines    Counts      `json:"lines,omitempty"` // of the trailer
}

// Write writes a file with all that dump hands to add. It stops at the first
// error.
func Write(w io.Writer, h Header, dump func(add func(Item) error) error) error {
	b := bufio.NewWriterSize(w, 64<<10)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	h.Format = Format
	if err := e.Encode(line{Type: header, Header: &h}); err != nil {
		return err
	}
	counts := make(Counts)
	err := dump(func(i Item) error {
		counts[i.Type]++
		return e.Encode(i.line())
	})
	if err != nil {
		return errors.Join(err, b.Flush())
	}
	if err := e.Encode(line{Type: trailer, Lines: counts}); err != nil {
		return err
	}
	return b.Flush()
}

func (i Item) line() line {
	l := line{Type: i.Type}
	switch i.Type {
	case Document:
		l.Document = &document{text(i.Document.Name), text(i.Document.Data)}
	case Place:
		l.Place = &place{text(i.Place.Name), i.Place.Done, i.Place.Dropped}
	case Damaged:
		l.Text = i.Text
	case Ledger:
		l.Line = i.Line
	default:
		l.Event, l.Moved = newEvent(i.Event), i.Moved
	}
	return l
}

// ErrCut is the error of reading a file that has no trailer.
var ErrCut = errors.New("is cut off: its trailer is missing; export it once more")

// ErrNewer is the error of reading a file that this Alf is too old for.
var ErrNewer = errors.New("was written by a newer version of Alf")

// Read hands all that a file of that name holds to add. An error names the file
// and the line. What was read before an error is not whole.
func Read(r io.Reader, name string, add func(Item) error) error {
	x := &reader{lines: bufio.NewReaderSize(r, 64<<10), counts: make(Counts), add: add}
	for {
		text, err := x.lines.ReadBytes('\n')
		whole := err == nil
		if err != nil && err != io.EOF {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			if whole {
				x.number++
				continue
			}
			return x.end(name)
		}
		x.number++
		if err := x.line(text, whole); errors.Is(err, ErrCut) {
			return fmt.Errorf("%s %w", name, err)
		} else if err != nil {
			return fmt.Errorf("%s:%d: %w", name, x.number, err)
		}
	}
}

// reader is how far Read has come.
type reader struct {
	lines  *bufio.Reader
	number int // of the line
	begun  bool
	ended  bool
	counts Counts
	add    func(Item) error
}

func (x *reader) end(name string) error {
	switch {
	case !x.begun:
		return fmt.Errorf("%s is empty", name)
	case !x.ended:
		return fmt.Errorf("%s %w", name, ErrCut)
	}
	return nil
}

// line takes a line, which ends with a line break if it is whole.
func (x *reader) line(text []byte, whole bool) error {
	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&l)
	if !x.begun {
		return x.first(text, l, err)
	}
	if err != nil && !whole {
		return ErrCut
	}
	if err == nil && d.More() {
		err = errors.New("something follows the object")
	}
	if err != nil {
		return fmt.Errorf("%q: %w", clip(text), err)
	}
	if x.ended {
		return errors.New("something follows the trailer")
	}
	if l.Type == trailer {
		x.ended = true
		if !maps.Equal(x.counts, l.Lines) {
			return fmt.Errorf("lines are missing, or too many: the file has %v, its trailer counts %v", x.counts, l.Lines)
		}
		return nil
	}
	i, err := l.item()
	if err != nil {
		return fmt.Errorf("%q: %w", clip(text), err)
	}
	x.counts[i.Type]++
	return x.add(i)
}

// first takes the header, in which a newer Alf may say more.
func (x *reader) first(text []byte, l line, err error) error {
	x.begun = true
	var newer line
	if json.Unmarshal(text, &newer) == nil && newer.Type == header && newer.Header != nil && newer.Format > Format {
		return fmt.Errorf("%w (%s, format %d; this one reads up to %d): import it with that version", ErrNewer, newer.Alf, newer.Format, Format)
	}
	if err != nil || l.Type != header || l.Header == nil || l.Format < 1 {
		return fmt.Errorf("%q is not how an export of Alf begins", clip(text))
	}
	return nil
}

func (l line) item() (Item, error) {
	i := Item{Type: l.Type}
	var err error
	switch {
	case l.Type == Document && l.Document != nil:
		i.Document, err = l.Document.document()
	case l.Type == Place && l.Place != nil:
		i.Place, err = l.Place.place()
	case (l.Type == History || l.Type == Log || l.Type == Feed) && l.Event != nil:
		i.Moved = l.Moved
		i.Event, err = l.Event.event()
	case l.Type == Ledger && l.Line != nil:
		i.Line = l.Line
	case l.Type == Damaged:
		i.Text = l.Text
	default:
		err = fmt.Errorf("a line of type %q that holds no such thing", l.Type)
	}
	return i, err
}

// clip returns the beginning of a line, for an error.
func clip(text []byte) []byte {
	const most = 60
	text = bytes.TrimSpace(text)
	if len(text) > most {
		return append(bytes.Clone(text[:most]), "..."...)
	}
	return text
}
