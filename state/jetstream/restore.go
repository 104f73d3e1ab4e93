package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"alf"
	"alf/state/archive"
)

// ErrNotEmpty is the error of importing into a record that holds something.
var ErrNotEmpty = errors.New("is not empty: an import goes into a new record only; move the old one away, or use another")

// Restore makes a record of what read hands to add, which is what Dump handed on.
// There must be none yet. It can be opened when Restore has returned nil; until
// then, and if Alf is killed meanwhile, Open refuses it. After an error nothing of
// it is left.
func Restore(ctx context.Context, o Options, read func(add func(archive.Item) error) error) error {
	r := newRecord(o)
	r.importing = true
	if err := r.open(ctx, r.isEmpty, r.streams); err != nil {
		return err
	}
	x := &restore{r: r}
	err := read(func(i archive.Item) error { return x.add(ctx, i) })
	if err == nil {
		err = x.flush(ctx)
	}
	if err == nil {
		err = r.finish(ctx)
	}
	if err != nil {
		err = errors.Join(err, r.dropStreams(context.WithoutCancel(ctx)))
	}
	return errors.Join(err, r.Close())
}

// streamNames are those of all streams; the feed, which says that the others are
// not whole, is the last.
func streamNames() []string {
	out := []string{placesStream, logStream, docsStream, ledgerStream}
	for _, c := range classes {
		out = append(out, resultsStream+c.name)
	}
	return append(out, feedStream)
}

// isEmpty reports what stands in the way of an import. An earlier one that broke
// off does not: what is left of it goes.
func (r *Record) isEmpty(ctx context.Context) error {
	if r.shaped.Half {
		return r.dropStreams(ctx)
	}
	for _, name := range streamNames() {
		s, err := r.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
		if s.CachedInfo().State.LastSeq > 0 {
			return fmt.Errorf("%s %w", r.o.where(), ErrNotEmpty)
		}
	}
	return nil
}

// dropStreams removes the streams.
func (r *Record) dropStreams(ctx context.Context) error {
	for _, name := range streamNames() {
		if err := r.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("remove stream %s: %w", name, err)
		}
	}
	return nil
}

// finish lets the record be opened, once the disk has it.
func (r *Record) finish(ctx context.Context) error {
	if r.server != nil {
		if err := syncAll(r.o.Dir); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
	}
	r.importing = false
	return errors.Join(r.streams(ctx), r.writeStampFile(ctx))
}

// syncAll makes the disk have all files below dir.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := syncFile(name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// restore writes what was dumped.
type restore struct {
	r     *Record
	w     written
	bytes int // in w

	batch []*alf.Event // of the feed, whose IDs follow each other
	last  alf.ID       // the newest one of the feed
}

func (x *restore) add(ctx context.Context, i archive.Item) error {
	switch e := i.Event; i.Type {
	case archive.Document:
		return x.publish(ctx, docSubject+token(i.Document.Name), document{Document: i.Document}.encode())
	case archive.Place:
		text, err := json.Marshal(&place{Name: i.Place.Name, Done: i.Place.Done, Dropped: i.Place.Dropped})
		if err != nil {
			return err
		}
		return x.publish(ctx, placeSubject+token(i.Place.Name), text)
	case archive.History:
		if i.Moved != "" {
			return x.moved(ctx, i)
		}
		_, subject := historyOf(e)
		return x.publish(ctx, subject, x.r.encodeOne(e))
	case archive.Log:
		return x.publish(ctx, logSubjectOf(e.Key), x.r.encodeOne(e))
	case archive.Ledger:
		data, err := json.Marshal(i.Line)
		if err != nil {
			return err
		}
		return x.publish(ctx, lineSubject(i.Line), data)
	case archive.Feed:
		return x.feed(ctx, e)
	}
	return nil // what was damaged is gone
}

// moved writes a copy out of the history of another class, marked as such.
func (x *restore) moved(ctx context.Context, i archive.Item) error {
	if !isClass(i.Moved) {
		return fmt.Errorf("there is no class %q of histories", i.Moved)
	}
	from, _ := historyOf(i.Event)
	return x.publishMsg(ctx, &nats.Msg{
		Subject: keySubject(resultSubject, i.Moved, i.Event.Key), Data: x.r.encodeOne(i.Event), Header: nats.Header{movedHeader: {from}},
	})
}

func isClass(name string) bool {
	return slices.ContainsFunc(classes, func(c class) bool { return c.name == name })
}

// feed collects events until they fill a message.
func (x *restore) feed(ctx context.Context, e *alf.Event) error {
	if e.ID <= x.last {
		return fmt.Errorf("event %d of the feed stands behind event %d", e.ID, x.last)
	}
	if len(x.batch) == maxEvents || len(x.batch) > 0 && e.ID != x.last+1 {
		if err := x.flushFeed(ctx); err != nil {
			return err
		}
	}
	x.batch, x.last = append(x.batch, e), e.ID
	return nil
}

func (x *restore) flushFeed(ctx context.Context) error {
	for len(x.batch) > 0 {
		data, n := x.r.encode(x.batch[0].ID, x.batch)
		if err := x.publish(ctx, feedSubject, data); err != nil {
			return err
		}
		x.batch = slices.Delete(x.batch, 0, n)
	}
	return nil
}

// publish writes a message, and waits now and then until those before it are kept.
func (x *restore) publish(ctx context.Context, subject string, data []byte) error {
	return x.publishMsg(ctx, &nats.Msg{Subject: subject, Data: data})
}

func (x *restore) publishMsg(ctx context.Context, msg *nats.Msg) error {
	const mostMessages, mostBytes = 1000, 8 << 20
	f, err := x.r.js.PublishMsgAsync(msg)
	if err != nil {
		return err
	}
	x.w.futures = append(x.w.futures, f)
	x.bytes += len(msg.Data)
	if len(x.w.futures) < mostMessages && x.bytes < mostBytes {
		return nil
	}
	x.bytes = 0
	return x.w.wait(ctx, x.r)
}

// flush returns when all is kept.
func (x *restore) flush(ctx context.Context) error {
	if err := x.flushFeed(ctx); err != nil {
		return err
	}
	return x.w.wait(ctx, x.r)
}
