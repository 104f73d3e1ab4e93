package jetstream

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"alf/state"
)

// tombstoneFor is how long it is known that a document was dropped. Removing its
// message alone would not last: if Alf is killed at once, it comes back.
const tombstoneFor = 24 * time.Hour

// documents are one message each, whose sequence number is the revision.
type documents struct {
	stream jetstream.Stream
	mu     sync.Mutex // held by who writes, until the disk has it
}

func (r *Record) docsConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: docsStream, Subjects: []string{docSubject + ">"}, MaxMsgsPerSubject: 1, AllowMsgTTL: true,
		AllowDirect: r.o.Replicas == 1, // a follower may not have the newest revision yet
	}
}

// Document implements state.Documents.
func (r *Record) Document(ctx context.Context, name string) (state.Document, error) {
	d, err := r.document(ctx, name)
	if err == nil && d.gone {
		err = state.ErrNoDocument
	}
	if err != nil {
		return state.Document{}, fmt.Errorf("document %q: %w", name, err)
	}
	return d.Document, nil
}

// PutDocument implements state.Documents.
func (r *Record) PutDocument(ctx context.Context, name string, data []byte, rev state.Revision) (state.Revision, error) {
	next, err := r.replace(ctx, document{Document: state.Document{Name: name, Data: data, Revision: rev}})
	if err != nil {
		return 0, fmt.Errorf("document %q: %w", name, err)
	}
	return next, nil
}

// DeleteDocument implements state.Documents.
func (r *Record) DeleteDocument(ctx context.Context, name string, rev state.Revision) error {
	_, err := r.Document(ctx, name)
	if err != nil {
		return err
	}
	if rev == 0 {
		return fmt.Errorf("document %q: %w", name, state.ErrConflict)
	}
	if _, err = r.replace(ctx, document{state.Document{Name: name, Revision: rev}, true}); err != nil {
		return fmt.Errorf("document %q: %w", name, err)
	}
	return nil
}

// Documents implements state.Documents.
func (r *Record) Documents(ctx context.Context, prefix string) ([]state.Document, error) {
	all := make(map[string]document) // one that changes meanwhile is met again
	for seq := uint64(1); ; {
		msg, err := r.docs.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(docSubject+">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the documents: %w", err)
		}
		d, err := decodeDocument(msg)
		if err != nil {
			return nil, fmt.Errorf("the document at %s: %w", msg.Subject, err)
		}
		all[d.Name] = d
		seq = msg.Sequence + 1
	}
	var out []state.Document
	for name, d := range all {
		if !d.gone && strings.HasPrefix(name, prefix) {
			out = append(out, d.Document)
		}
	}
	slices.SortFunc(out, func(a, b state.Document) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// document is a message of the stream. It holds the name, too, because not every
// name fits into a subject.
type document struct {
	state.Document
	gone bool // it was dropped
}

func (r *Record) document(ctx context.Context, name string) (document, error) {
	msg, err := r.docs.stream.GetLastMsgForSubject(ctx, docSubject+token(name))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return document{gone: true}, nil
	}
	if err != nil {
		return document{}, err
	}
	return decodeDocument(msg)
}

// replace writes d in the place of its revision, and returns the new one.
func (r *Record) replace(ctx context.Context, d document) (state.Revision, error) {
	if err := r.broken(); err != nil {
		return 0, err
	}
	r.docs.mu.Lock()
	defer r.docs.mu.Unlock()
	if d.Revision == 0 {
		was, err := r.document(ctx, d.Name)
		if err != nil {
			return 0, err
		}
		if !was.gone {
			return 0, state.ErrConflict
		}
		d.Revision = was.Revision
	}
	seq, err := r.publishDocument(ctx, d)
	if wrongSequence(err) {
		return 0, state.ErrConflict
	}
	if err != nil {
		return 0, err
	}
	return seq, r.syncDocuments()
}

// wrongSequence reports whether a message was refused because another one came
// before it. Replicated streams have an error of their own for that.
func wrongSequence(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

func (r *Record) publishDocument(ctx context.Context, d document) (state.Revision, error) {
	options := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(uint64(d.Revision))}
	if d.gone {
		options = append(options, jetstream.WithMsgTTL(tombstoneFor))
	}
	msg := &nats.Msg{Subject: docSubject + token(d.Name), Data: d.encode()}
	future, err := r.js.PublishMsgAsync(msg, options...)
	if err != nil {
		return 0, err
	}
	ack, err := r.wait(ctx, future)
	if err != nil {
		return 0, err
	}
	return state.Revision(ack.Sequence), nil
}

// syncDocuments makes the disk have the newest document, if that is asked for.
// Documents are few, so nothing is remembered of the last time.
func (r *Record) syncDocuments() error {
	if !r.o.SyncAlways {
		return nil
	}
	defer r.stats.synced(time.Now())
	dir := filepath.Join(r.o.Dir, server.JetStreamStoreDir, "$G", "streams", docsStream, "msgs")
	block, err := newestBlock(dir)
	if err == nil {
		err = errors.Join(syncFile(block), syncFile(dir))
	}
	if err != nil {
		return fmt.Errorf("write it to disk: %w", err)
	}
	return nil
}

// docVersion is the version of the encoding of documents.
const docVersion = 1

func (d document) encode() []byte {
	x := encoder{[]byte{docVersion}}
	x.bits(d.gone)
	x.string(d.Name)
	return append(x.b, d.Data...)
}

func decodeDocument(msg *jetstream.RawStreamMsg) (document, error) {
	var out document
	d := &decoder{data: msg.Data}
	if v := d.byte(); v > docVersion {
		return out, fmt.Errorf("a document of version %d %w", v, ErrNewer)
	}
	d.bits(&out.gone)
	out.Name = d.string()
	out.Data, out.Revision = d.data, state.Revision(msg.Sequence)
	return out, d.err
}
