package checker

import (
	"context"
	"fmt"
	"time"

	"alf"
)

// remark is for the log and changes nothing.
type remark struct {
	author, text string
	reply        chan<- answer // room for one
}

// Remark writes into the log, and so into the audit, what somebody does with Alf that
// changes no state: one line. It returns the ID of that entry when it is durable. If ctx
// ends before that, it may be written all the same; after any other error it is not.
// Remark must not be called before Run. Calls may overlap.
func (c *Checker) Remark(ctx context.Context, author, text string) (alf.ID, error) {
	reply := make(chan answer, 1)
	a, err := ask(ctx, c, c.remarks, remark{author, text, reply}, reply)
	if err != nil {
		return 0, fmt.Errorf("write into the log: %w", err)
	}
	return a.id, a.err
}

func (l *loop) remark(r remark) {
	if len(l.queue) >= maxQueued {
		r.reply <- answer{err: fmt.Errorf("write into the log: %w", ErrFull)}
		return
	}
	e := &alf.Event{Time: time.Now(), Kind: alf.KindDaemon, Author: r.author, Text: r.text}
	l.record(e)
	l.replies = append(l.replies, waiting{e, r.reply})
}
