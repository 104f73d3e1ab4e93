package api

import (
	"bytes"
	"encoding/json"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"alf/api/wire"
)

// lines makes events of one stream of a host's output, one for each line.
type lines struct {
	feed         *feed
	host, stream string
	drops        *atomic.Uint64 // counts all bytes that are dropped

	begun   []byte // of a line that has not ended
	dropped int    // bytes, since the last line that was taken
	holes   bool   // something was dropped
	waited  bool   // for the reader
}

// Write never fails, and does not keep the host for longer than a moment.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if room := wire.MaxRunLine - len(l.begun); len(line) > room {
			l.begun = append(l.begun, p[:room]...)
			p = p[room:]
			l.breakLine()
			continue
		}
		l.begun = append(l.begun, line...)
		if p = rest; whole {
			l.emit(l.begun, false)
			l.begun = l.begun[:0]
		}
	}
	return n, nil
}

// close makes a line of what has no end.
func (l *lines) close() {
	if len(l.begun) > 0 {
		l.emit(l.begun, false)
	}
	l.begun = nil
	l.confess()
}

// breakLine ends a line that is too long, but not within a character.
func (l *lines) breakLine() {
	at := len(l.begun)
	for back := 1; back < utf8.UTFMax; back++ {
		if c := l.begun[len(l.begun)-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(l.begun[len(l.begun)-back:]) {
				at -= back
			}
			break
		}
	}
	rest := bytes.Clone(l.begun[at:])
	l.emit(l.begun[:at], true)
	l.begun = append(l.begun[:0], rest...)
}

func (l *lines) emit(line []byte, broken bool) {
	if !broken {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	text := wire.Text(line)
	e := l.event(wire.RunOutput)
	e.Line, e.Broken = &text, broken
	piece := encode(e)
	if l.dropped > 0 {
		e := l.event(wire.RunDropped)
		e.Bytes = l.dropped
		piece = append(encode(e), piece...)
	}
	taken, waited := l.feed.offer(piece)
	l.waited = l.waited || waited
	if taken {
		l.dropped = 0
		return
	}
	l.dropped += len(line) + 1
	l.drops.Add(uint64(len(line) + 1))
	l.holes = true
}

// confess tells what was dropped at the end.
func (l *lines) confess() {
	if l.dropped == 0 {
		return
	}
	e := l.event(wire.RunDropped)
	e.Bytes = l.dropped
	l.feed.force(encode(e))
	l.dropped = 0
}

func (l *lines) event(kind string) *wire.RunEvent {
	return &wire.RunEvent{Event: kind, Host: l.host, Stream: l.stream}
}

// late is how long after a command's exit its output is cut off because it still comes (five
// seconds, see sshmux), less a little.
const late = 4 * time.Second

// incomplete reports whether output is missing. What came while the reader was slow may have
// been cut off after the exit, without a word.
func (l *lines) incomplete(exited time.Time) bool {
	return l.holes || l.waited && !exited.IsZero() && time.Since(exited) > late
}

// encode returns e as a line.
func encode(e *wire.RunEvent) []byte {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // of these types, each value can be encoded
	}
	return append(line, '\n')
}
