package sshmux

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// keepSaid is how many bytes of what a login has said are kept for an error text.
const keepSaid = 512

// stream is one direction of a command's output, on its way to a writer that must not be
// touched after the call has returned.
type stream struct {
	mu   sync.Mutex
	w    io.Writer // nil: discard
	head []byte    // the first bytes
	at   time.Time // when the newest came
}

// write delivers p. A writer that has failed gets no more.
func (s *stream) write(p []byte) {
	if len(p) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = time.Now()
	if room := keepSaid - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	if s.w == nil {
		return
	}
	if _, err := s.w.Write(p); err != nil {
		s.w = nil
	}
}

// stop makes that nothing more is delivered.
func (s *stream) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w = nil
}

// last returns when output last came.
func (s *stream) last() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// first returns the first bytes of the output.
func (s *stream) first() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.head)
}

// source is a command's standard input.
type source struct {
	r       io.Reader
	stopped atomic.Bool
}

// stop makes that no further Read begins. It does not wait for one that is under way.
func (s *source) stop() { s.stopped.Store(true) }

// Read reads until stop.
func (s *source) Read(p []byte) (int, error) {
	if s.stopped.Load() {
		return 0, io.EOF
	}
	return s.r.Read(p)
}

// preamble is what comes before the command's own output: what profiles print, and the
// wrapper's line of the nonce and the PID, or of the nonce and "dir" if the directory could
// not be entered.
type preamble struct {
	nonce string
	begun bool
	pid   int    // 0: the directory could not be entered
	held  []byte // what may hold the beginning of the line
	head  []byte // what came first
}

// skip takes a piece of output and returns the part of it that is the command's.
func (p *preamble) skip(data []byte) []byte {
	if p.begun || len(data) == 0 {
		return data
	}
	if len(p.held) > 0 {
		data = append(p.held, data...)
	}
	for from := 0; ; {
		at := bytes.Index(data[from:], []byte(p.nonce))
		if at < 0 {
			p.hold(data, max(from, len(data)-len(p.nonce)+1))
			return nil
		}
		at += from
		from = at + len(p.nonce)
		word, rest, whole := bytes.Cut(data[from:], []byte("\n"))
		if !whole {
			p.hold(data, at)
			return nil
		}
		if p.begin(string(word)) {
			p.keep(data[:at])
			p.held = nil
			return rest
		}
	}
}

// begin reads what follows the nonce. Someone may have repeated the command line that was
// sent, and the nonce in it.
func (p *preamble) begin(word string) bool {
	if word == " dir" {
		p.begun = true
		return true
	}
	number, ok := strings.CutPrefix(word, " ")
	pid, err := strconv.Atoi(number)
	if !ok || err != nil || pid < 2 { // to signal group 1 would be to signal all there is
		return false
	}
	p.pid, p.begun = pid, true
	return true
}

// hold keeps what may be a part of the line until more comes: all from at on, unless that is
// too long to be ours.
func (p *preamble) hold(data []byte, at int) {
	const longest = 4 << 10
	if len(data)-at > longest {
		at = len(data) - len(p.nonce) + 1
	}
	p.keep(data[:at])
	p.held = bytes.Clone(data[at:])
}

func (p *preamble) keep(said []byte) {
	if room := keepSaid - len(p.head); room > 0 {
		p.head = append(p.head, said[:min(room, len(said))]...)
	}
}

// said returns the beginning of what came before the nonce, or instead of it.
func (p *preamble) said() []byte {
	if !p.begun {
		p.keep(p.held)
		p.held = nil
	}
	return p.head
}
