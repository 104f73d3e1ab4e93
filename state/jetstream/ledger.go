package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"alf"
	"alf/state"
)

// The ledger has a subject for the decisions about each key, and one for the
// outcomes of each action there: the last ones of each are kept, however old. What
// was decided is JSON, because it is little, and each version may add to it.

func (r *Record) ledgerConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: ledgerStream, Subjects: []string{ledgerSubject + ">"}, MaxMsgsPerSubject: state.LedgerLines, AllowDirect: true,
	}
}

// lineSubject returns the subject of l. No action has an empty name.
func lineSubject(l *state.Line) string {
	last := ""
	if l.Outcome != nil {
		last = l.Outcome.Action
	}
	return keySubject(ledgerSubject, "line", l.Key) + "." + token(last)
}

// Enter implements state.Ledger.
func (r *Record) Enter(ctx context.Context, lines []*state.Line) error {
	if err := r.enter(ctx, lines); err != nil {
		return fmt.Errorf("write into the ledger: %w", err)
	}
	return nil
}

func (r *Record) enter(ctx context.Context, lines []*state.Line) error {
	if err := r.broken(); err != nil {
		return err
	}
	r.ledger.Lock()
	defer r.ledger.Unlock()
	futures := make([]jetstream.PubAckFuture, 0, len(lines))
	for _, l := range lines {
		data, err := json.Marshal(l)
		if err != nil {
			return err
		}
		f, err := r.js.PublishMsgAsync(&nats.Msg{Subject: lineSubject(l), Data: data})
		if err != nil {
			return errors.Join(err, r.entered(ctx, lines, futures))
		}
		futures = append(futures, f)
	}
	if err := r.entered(ctx, lines, futures); err != nil {
		return err
	}
	return r.syncLedger()
}

// entered waits until the server has the lines that were sent.
func (r *Record) entered(ctx context.Context, lines []*state.Line, futures []jetstream.PubAckFuture) error {
	for i, f := range futures {
		ack, err := r.wait(ctx, f)
		if err != nil {
			return err
		}
		lines[i].ID = ack.Sequence
	}
	return nil
}

// syncLedger makes the disk have the newest lines, if that is asked for.
func (r *Record) syncLedger() error {
	if !r.o.SyncAlways {
		return nil
	}
	defer r.stats.synced(time.Now())
	dir := filepath.Join(r.o.Dir, server.JetStreamStoreDir, "$G", "streams", ledgerStream, "msgs")
	block, err := newestBlock(dir)
	if err == nil {
		err = errors.Join(syncFile(block), syncFile(dir))
	}
	if err != nil {
		return fmt.Errorf("to disk: %w", err)
	}
	return nil
}

// Lines implements state.Ledger. A line that cannot be read is left out; the log
// says so.
func (r *Record) Lines(ctx context.Context, key alf.Key) iter.Seq2[*state.Line, error] {
	return func(yield func(*state.Line, error) bool) {
		subject := ledgerSubject + ">"
		if key != (alf.Key{}) {
			subject = keySubject(ledgerSubject, "line", key) + ".*"
		}
		for seq := uint64(1); ; seq++ {
			page, err := r.page(ctx, ledgerStream, subject, seq)
			if err != nil {
				yield(nil, fmt.Errorf("read the ledger: %w", err))
				return
			}
			if len(page) == 0 {
				return
			}
			for _, msg := range page {
				if seq, err = strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
					yield(nil, fmt.Errorf("read the ledger: %w", err))
					return
				}
				l := &state.Line{ID: seq}
				if err := json.Unmarshal(msg.Data, l); err != nil {
					r.log.Warn("a line of the ledger cannot be read", "line", seq, "err", err)
					continue
				}
				if !yield(l, nil) {
					return
				}
			}
		}
	}
}
