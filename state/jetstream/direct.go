package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// directGet asks a stream for several messages in one request, which the
// client library has no call for.
type directGet struct {
	NextBySubject string `json:"next_by_subj,omitempty"` // the next messages of it, from Seq on
	Seq           uint64 `json:"seq,omitempty"`
	Batch         int    `json:"batch,omitempty"`
	MaxBytes      int    `json:"max_bytes,omitempty"`

	MultiLast []string `json:"multi_last,omitempty"` // or the newest message of each subject
	UpToSeq   uint64   `json:"up_to_seq,omitempty"`  // that is no newer than this
}

// directWithin is how long a stream may take for a message of an answer.
const directWithin = 5 * time.Second

// direct hands the messages that a stream answers with to f, in their order,
// until there are no more or f fails.
func (r *Record) direct(ctx context.Context, stream string, request directGet, f func(*nats.Msg) error) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	inbox := r.conn.NewInbox()
	sub, err := r.conn.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := r.conn.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, body); err != nil {
		return err
	}
	for {
		msg, err := nextMsg(ctx, sub)
		if err != nil {
			return err
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
			if err := f(msg); err != nil {
				return err
			}
		case "204", "404": // the end of the batch; nothing is there
			return nil
		default:
			return fmt.Errorf("stream %s: %s %s", stream, status, msg.Header.Get("Description"))
		}
	}
}

func nextMsg(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, directWithin)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}
