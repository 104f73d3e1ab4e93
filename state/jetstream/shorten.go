package jetstream

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"alf"
)

// NATS refuses a message that is larger than the server's max_payload, always.
// So that one plugin that writes very much does not hold up all others for good,
// its event gives up what is least needed.

const (
	envelope    = 1 << 10  // what a message takes besides the event
	leastRoom   = 64 << 10 // max_payload of a server that is of use
	shortErrors = 10       // perfdata errors that a shortened event keeps
)

// room returns how large a batch may be.
func (r *Record) room() int { return int(r.conn.MaxPayload()) - envelope }

// shorten returns a copy of e that takes at most so many bytes: without the end
// of the long output, then without perfdata and the ends of all other texts.
// What was dropped is counted in Cut.
func shorten(e *alf.Event, most int) *alf.Event {
	short := *e
	over := func() int { return len(appendEvent(nil, &short)) - most }
	if e.Result == nil {
		cutEnd(&short.State.Output, over())
		cutEnd(&short.State.Stale.Output, over())
		return &short
	}
	r := *e.Result
	short.Result = &r
	r.Cut += cutEnd(&r.LongOutput, over())
	r.Cut += cutEnd(&r.Stderr, over())
	if over() > 0 {
		cutPerfdata(&r, over)
	}
	r.Cut += cutEnd(&r.Output, over())
	for _, s := range []*string{&short.State.Output, &short.State.Stale.Output, &r.Command} {
		cutEnd(s, over())
	}
	return &short
}

// cutPerfdata drops the text, which says nothing else than the numbers, and then
// as many numbers as it takes, each whole.
func cutPerfdata(r *alf.Result, over func() int) {
	r.Cut += len(r.PerfdataText)
	r.PerfdataText = ""
	r.PerfdataErrors = slices.Clone(r.PerfdataErrors[:min(len(r.PerfdataErrors), shortErrors)])
	all := len(r.Perfdata)
	for over() > 0 && len(r.Perfdata) > 0 {
		r.Perfdata = r.Perfdata[:len(r.Perfdata)/2]
	}
	if n := len(r.Perfdata); n < all {
		r.PerfdataErrors = append(r.PerfdataErrors, fmt.Sprintf("the record has no room for %d of %d perfdata items", all-n, all))
	}
}

// cutEnd cuts at least n bytes off s, no character in half, and returns how many.
func cutEnd(s *string, n int) int {
	if n <= 0 {
		return 0
	}
	keep := max(len(*s)-n, 0)
	for keep > 0 && keep < len(*s) && !utf8.RuneStart((*s)[keep]) {
		keep--
	}
	cut := len(*s) - keep
	*s = (*s)[:keep]
	return cut
}
