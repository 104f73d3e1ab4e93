package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"alf"
	"alf/state"
	"alf/state/archive"
)

// How much of a stream is read at a time.
const (
	pageMessages = 500
	pageBytes    = 4 << 20
)

// Dump hands all that is kept to add, until that fails. The record goes on
// meanwhile: what it had when Dump began is in it, and some of what comes later.
// What cannot be read any more is named in place of it.
//
// The order matters. First it is noted up to where Run has come, then the
// histories are read, then the feed up to its end. So whatever the histories do
// not show yet is in the feed behind that place, and is written again when what
// was dumped is opened, as after a crash.
func (r *Record) Dump(ctx context.Context, add func(archive.Item) error) error {
	d := &dump{r: r, add: add}
	places := r.allPlaces()
	for _, step := range []step{d.documents, func(context.Context) error { return d.places(places) }, d.histories, d.log, d.ledger, d.feed} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("export the record: %w", err)
		}
	}
	return nil
}

type dump struct {
	r    *Record
	add  func(archive.Item) error
	last alf.ID // the newest one of the feed that was met
}

func (d *dump) documents(ctx context.Context) error {
	all, err := d.r.Documents(ctx, "")
	if err != nil {
		return err
	}
	for _, doc := range all {
		if err := d.add(archive.Item{Type: archive.Document, Document: doc}); err != nil {
			return err
		}
	}
	return nil
}

// allPlaces returns the places of all consumers, Run among them, in no order.
func (r *Record) allPlaces() []state.Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []state.Place
	for name, p := range r.places {
		out = append(out, state.Place{Name: name, Done: p.Done, Dropped: p.Dropped})
	}
	return out
}

func (d *dump) places(places []state.Place) error {
	for _, p := range places {
		if err := d.add(archive.Item{Type: archive.Place, Place: p}); err != nil {
			return err
		}
	}
	return nil
}

func (d *dump) histories(ctx context.Context) error {
	for _, c := range classes {
		if err := d.stream(ctx, archive.History, resultsStream+c.name, "alf.*."+c.name+".>"); err != nil {
			return err
		}
	}
	return nil
}

func (d *dump) log(ctx context.Context) error {
	return d.stream(ctx, archive.Log, logStream, logSubject+">")
}

// ledger hands on the ledger, which older records do not have.
func (d *dump) ledger(ctx context.Context) error {
	if _, err := d.r.js.Stream(ctx, ledgerStream); errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	for l, err := range d.r.Lines(ctx, alf.Key{}) {
		if err == nil {
			err = d.add(archive.Item{Type: archive.Ledger, Line: l})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stream hands on all events of a stream, also those that come while it does.
func (d *dump) stream(ctx context.Context, t archive.Type, name, subject string) error {
	for seq := uint64(1); ; {
		page, err := d.r.page(ctx, name, subject, seq)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, msg := range page {
			if seq, err = strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
				return err
			}
			if err := d.batch(t, name, seq, msg.Data, msg.Header.Get(movedHeader) != ""); err != nil {
				return err
			}
		}
		seq++
	}
}

// page returns some messages of a stream, from that sequence number on. It holds
// all of them, because whoever takes them may be slow.
func (r *Record) page(ctx context.Context, stream, subject string, seq uint64) ([]*nats.Msg, error) {
	var page []*nats.Msg
	request := directGet{NextBySubject: subject, Seq: seq, Batch: pageMessages, MaxBytes: pageBytes}
	err := r.direct(ctx, stream, request, func(msg *nats.Msg) error { page = append(page, msg); return nil })
	if err != nil || len(page) > 0 {
		return page, err
	}
	msg, err := r.more(ctx, stream, subject, seq)
	if msg == nil || err != nil {
		return nil, err
	}
	header := nats.Header{jetstream.SequenceHeader: {strconv.FormatUint(msg.Sequence, 10)}}
	header.Set(movedHeader, msg.Header.Get(movedHeader))
	return []*nats.Msg{{Subject: msg.Subject, Header: header, Data: msg.Data}}, nil
}

// feed hands on the feed up to where it ends when this begins. It names what is
// missing in it: IDs follow each other.
func (d *dump) feed(ctx context.Context) error {
	last, _ := d.r.end()
	if err := d.allOfFeed(ctx); err != nil {
		return err
	}
	return d.missing(last + 1)
}

func (d *dump) allOfFeed(ctx context.Context) error {
	info, err := d.r.feed.Info(ctx)
	if err != nil {
		return err
	}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; {
		msg, err := d.r.message(ctx, seq)
		if msg == nil || err != nil {
			return err
		}
		if msg.Sequence > info.State.LastSeq {
			return nil
		}
		if first, n, err := span(msg.Data); err == nil {
			if err := d.missing(first); err != nil {
				return err
			}
			d.last = first + alf.ID(n) - 1
		}
		if err := d.batch(archive.Feed, feedStream, msg.Sequence, msg.Data, false); err != nil {
			return err
		}
		seq = msg.Sequence + 1
	}
	return nil
}

// missing names the events between the last one and next, if the feed has begun.
func (d *dump) missing(next alf.ID) error {
	if d.last == 0 || next <= d.last+1 {
		return nil
	}
	text := fmt.Sprintf("events %d to %d of the feed are missing", d.last+1, next-1)
	return d.add(archive.Item{Type: archive.Damaged, Text: text})
}

// batch hands on the events of one message. moved: it is a copy out of the history
// of another class.
func (d *dump) batch(t archive.Type, stream string, seq uint64, data []byte, moved bool) error {
	events, err := decodeBatch(data)
	if err != nil {
		return d.add(archive.Item{Type: archive.Damaged, Text: fmt.Sprintf("stream %s, message %d: %v", stream, seq, err)})
	}
	for _, e := range events {
		item := archive.Item{Type: t, Event: e}
		if moved {
			item.Moved = strings.TrimPrefix(stream, resultsStream)
		}
		if err := d.add(item); err != nil {
			return err
		}
	}
	return nil
}
