package state

import (
	"context"
	"iter"
	"time"

	"alf"
)

// Ledger keeps what was decided about telling people, and what became of it. An
// entry is what is still to be delivered, what is remembered and what was, in one.
// Calls may overlap.
type Ledger interface {
	// Enter makes lines durable in their order and sets their numbers. After an
	// error some of the first may have been kept.
	Enter(ctx context.Context, lines []*Line) error
	// Lines yields all that is kept of key, or of the zero Key: of all keys, in the
	// order of their numbers. Of each key the last LedgerLines decisions are kept,
	// and of each action there the last LedgerLines outcomes.
	Lines(ctx context.Context, key alf.Key) iter.Seq2[*Line, error]
}

// LedgerLines is how many lines of each kind a Ledger keeps.
const LedgerLines = 20

// Line is a line of the ledger: a Decided or an Outcome.
type Line struct {
	ID   uint64 `json:"-"` // rising; set by Enter
	Time time.Time
	Key  alf.Key

	Decided *Decided `json:",omitempty"`
	Outcome *Outcome `json:",omitempty"`
}

// Decided is what was decided about an event, or because time had passed.
type Decided struct {
	Memory  Memory // from now on; Memory.Event is the event
	Notices []Notice
}

// Notice is one thing that people are told, or are not.
type Notice struct {
	Why          Why               // Tell: they are
	Until        time.Time         `json:",omitzero"` // else, before when it was sure that they are not
	By           string            `json:",omitempty"`
	Notification *alf.Notification // without its contacts
	To           []Recipient       `json:",omitempty"`
}

// Outcome is what became of an attempt to deliver a notice by an action.
type Outcome struct {
	ID      string // of the Notification
	Action  string
	Result  Delivery
	Attempt int
	Err     string    `json:",omitempty"` // what the attempt ended with
	Next    time.Time `json:",omitzero"`  // when it is tried again
}

// Delivery is what became of a notice. Ledgers hold the numbers: new ones go to
// the end.
type Delivery uint8

// What may become of a notice.
const (
	Waiting    Delivery = iota // nothing yet
	Delivered                  // the target has taken it
	Retrying                   // it is tried again
	Failed                     // it is not tried again
	Superseded                 // a newer one about the same problem was waiting behind it
)

var deliveries = [...]string{"waiting", "delivered", "retrying", "failed", "superseded"}

// String returns the word for d that the API has.
func (d Delivery) String() string { return deliveries[int(d)%len(deliveries)] }

// Over reports whether nothing more will become of it.
func (d Delivery) Over() bool { return d != Waiting && d != Retrying }
