package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"alf"
	"alf/state"
)

const (
	logView = "LOG" // among the classes of histories

	// slack is by how much entries may stand out of the order of their times:
	// who submits a result says when.
	slack    = time.Minute
	logBatch = 500 // entries, or keys, in one request
)

// logSubjectOf returns the subject of key's entries.
func logSubjectOf(key alf.Key) string {
	return logSubject + token(string(key.Host)) + "." + token(string(key.Service))
}

// logFilter returns the subject, with wildcards, of what s takes in.
func logFilter(s state.Scope) string {
	switch {
	case s == state.Scope{}:
		return logSubject + ">"
	case s.On:
		return logSubject + token(string(s.Key.Host)) + ".*"
	}
	return logSubjectOf(s.Key)
}

// Entries implements state.Log.
func (r *Record) Entries(ctx context.Context, scope state.Scope, since, until time.Time) iter.Seq2[*alf.Event, error] {
	return func(yield func(*alf.Event, error) bool) {
		err := r.entries(ctx, scope, since, until, func(e *alf.Event) bool { return yield(e, nil) })
		if err != nil {
			yield(nil, fmt.Errorf("read the log: %w", err))
		}
	}
}

// entries is Entries: first what the stream holds, then what is on its way there.
func (r *Record) entries(ctx context.Context, scope state.Scope, since, until time.Time, yield func(*alf.Event) bool) error {
	waiting := r.unlogged(scope.Takes)
	seq := uint64(1)
	if !since.IsZero() {
		var err error
		if seq, err = r.seek(ctx, since.Add(-slack)); err != nil {
			return err
		}
	}
	last, more := alf.ID(0), true
	err := r.readLog(ctx, logFilter(scope), seq, func(e *alf.Event) bool {
		last = e.ID
		if more = until.IsZero() || e.Time.Before(until.Add(slack)); more && within(e, since, until) {
			more = yield(e)
		}
		return more
	})
	if err != nil {
		return err
	}
	for _, e := range waiting {
		if more && e.ID > last && within(e, since, until) {
			more = yield(e)
		}
	}
	return nil
}

func within(e *alf.Event, since, until time.Time) bool {
	return !e.Time.Before(since) && (until.IsZero() || e.Time.Before(until))
}

// unlogged returns the entries of wanted keys that Run has not written yet,
// oldest first.
func (r *Record) unlogged(wanted func(alf.Key) bool) []*alf.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*alf.Event
	for key, events := range r.pending {
		if !wanted(key) {
			continue
		}
		for _, e := range events {
			if e.Logged() {
				out = append(out, e.Entry())
			}
		}
	}
	slices.SortFunc(out, func(a, b *alf.Event) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// readLog hands the entries of a subject from that sequence number on to f,
// until there are no more or f returns false. One that cannot be read is left
// out; the log says so.
func (r *Record) readLog(ctx context.Context, subject string, seq uint64, f func(*alf.Event) bool) error {
	for more := true; more; {
		n := 0
		take := func(at uint64, subject string, data []byte) {
			n++
			seq = at + 1
			if e := r.entry(subject, data); e != nil && more {
				more = f(e)
			}
		}
		request := directGet{NextBySubject: subject, Seq: seq, Batch: logBatch}
		err := r.direct(ctx, logStream, request, func(msg *nats.Msg) error {
			at, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
			if err == nil {
				take(at, msg.Header.Get(jetstream.SubjectHeader), msg.Data)
			}
			return err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			msg, err := r.more(ctx, logStream, subject, seq)
			if err != nil {
				return err
			}
			if msg != nil {
				take(msg.Sequence, msg.Subject, msg.Data)
			}
		}
		more = more && n > 0
	}
	return nil
}

// entry decodes an entry of the log; nil: it cannot be read, which is logged.
func (r *Record) entry(subject string, data []byte) *alf.Event {
	events, err := decodeBatch(data)
	if err != nil || len(events) != 1 {
		r.log.Warn("an entry of the log cannot be read", "subject", subject, "err", err)
		return nil
	}
	return events[0]
}

// seek returns the sequence number from which on the entries are not older than
// t, or the one behind the last. A time that goes back at a jump of the clock
// leads to one side of the jump.
func (r *Record) seek(ctx context.Context, t time.Time) (uint64, error) {
	info, err := r.logs.Info(ctx)
	if err != nil {
		return 0, err
	}
	low, high := info.State.FirstSeq, info.State.LastSeq+1
	for low < high {
		middle := low + (high-low)/2
		msg, err := r.logs.GetMsg(ctx, middle, jetstream.WithGetMsgSubject(logSubject+">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			high = middle
			continue
		}
		if err != nil {
			return 0, err
		}
		if e := r.entry(msg.Subject, msg.Data); e == nil || e.Time.Before(t) {
			low = msg.Sequence + 1
		} else {
			high = middle
		}
	}
	return max(low, 1), nil
}

// At implements state.Log.
func (r *Record) At(ctx context.Context, at time.Time, keys ...alf.Key) ([]*alf.Event, error) {
	newest := make(map[alf.Key]*alf.Event, len(keys))
	for _, key := range keys {
		newest[key] = nil
	}
	err := r.at(ctx, at, newest)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	out := make([]*alf.Event, len(keys))
	for i, key := range keys {
		out[i] = newest[key]
	}
	return out, nil
}

// at fills newest: with what there was well before at, and then with all around
// that time.
func (r *Record) at(ctx context.Context, at time.Time, newest map[alf.Key]*alf.Event) error {
	take := func(e *alf.Event) {
		was, wanted := newest[e.Key]
		if wanted && !e.Time.After(at) && (was == nil || was.ID < e.ID) {
			newest[e.Key] = e
		}
	}
	waiting := r.unlogged(func(key alf.Key) bool { _, wanted := newest[key]; return wanted })
	seq, err := r.seek(ctx, at.Add(-slack))
	if err != nil {
		return err
	}
	if seq > 1 {
		if err := r.newestUpTo(ctx, seq-1, newest, take); err != nil {
			return err
		}
	}
	filter := logSubject + ">"
	for key := range newest {
		if len(newest) == 1 {
			filter = logSubjectOf(key)
		}
	}
	err = r.readLog(ctx, filter, seq, func(e *alf.Event) bool {
		take(e)
		return e.Time.Before(at.Add(slack))
	})
	for _, e := range waiting {
		take(e)
	}
	return err
}

// newestUpTo hands the newest entry of every key that is not behind seq to take.
func (r *Record) newestUpTo(ctx context.Context, seq uint64, keys map[alf.Key]*alf.Event, take func(*alf.Event)) error {
	subjects := make([]string, 0, len(keys))
	for key := range keys {
		subjects = append(subjects, logSubjectOf(key))
	}
	for some := range slices.Chunk(subjects, logBatch) {
		err := r.direct(ctx, logStream, directGet{MultiLast: some, UpToSeq: seq}, func(msg *nats.Msg) error {
			if e := r.entry(msg.Header.Get(jetstream.SubjectHeader), msg.Data); e != nil {
				take(e)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
