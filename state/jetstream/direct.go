package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// directGet asks a stream for several messages in one request, which the
// client library has no call for.
type directGet struct {
	NextBySubject string `json:"next_by_subj,omitempty"` // the next messages of it, from Seq on
	Seq           uint64 `json:"seq,omitempty"`
	Batch         int    `json:"batch,omitempty"`
	MaxBytes      int    `json:"max_bytes,omitempty"` // at which the answer ends early; 0: as the server likes

	LastBySubject string `json:"last_by_subj,omitempty"` // or the newest message of it

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

// get asks a stream for one message. Where there are replicas its leader is asked:
// any other may not have yet what the leader has acknowledged.
func (r *Record) get(ctx context.Context, s jetstream.Stream, name string, request directGet) (*jetstream.RawStreamMsg, error) {
	switch {
	case r.replicated():
		return r.leaderGet(ctx, name, request)
	case request.LastBySubject != "":
		return s.GetLastMsgForSubject(ctx, request.LastBySubject)
	case request.NextBySubject != "":
		return s.GetMsg(ctx, request.Seq, jetstream.WithGetMsgSubject(request.NextBySubject))
	}
	return s.GetMsg(ctx, request.Seq)
}

func (r *Record) replicated() bool { return r.o.Replicas > 1 }

// leaderGet asks the leader of a stream, which the client library does not do
// where all replicas may answer.
func (r *Record) leaderGet(ctx context.Context, stream string, request directGet) (*jetstream.RawStreamMsg, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, directWithin)
	defer cancel()
	reply, err := r.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, err
	}
	if e := answer.Error; e != nil {
		if e.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return nil, jetstream.ErrMsgNotFound
		}
		return nil, e
	}
	m := answer.Message
	msg := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Seq, Data: m.Data, Time: m.Time}
	if len(m.Header) > 0 {
		if msg.Header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			return nil, err
		}
	}
	return msg, nil
}

// more returns the first message from that sequence number on that the leader of
// a stream has, after a replica had none; nil: it has none either.
func (r *Record) more(ctx context.Context, stream, subject string, seq uint64) (*jetstream.RawStreamMsg, error) {
	if !r.replicated() {
		return nil, nil
	}
	msg, err := r.leaderGet(ctx, stream, directGet{NextBySubject: subject, Seq: seq})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return msg, err
}

func nextMsg(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, directWithin)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}
