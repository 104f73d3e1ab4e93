// Package checker is the straight line: it starts what is due, lets plugins be
// run, makes results of their answers, judges them and records the events.
//
// One goroutine, the loop, holds the schedule and the states and is the only
// writer of both. What people order reaches it through Submit and Reload.
package checker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"alf"
	"alf/state"
)

// Options are what a Checker works with.
type Options struct {
	Runner alf.Runner
	Record state.Recorder
	Reader state.Reader // asked once, at the start, for what is known
	Past   Past         // asked for what was known of what is new; nil: nothing was
	Log    *slog.Logger // nil: discard

	Version       string        // of Alf, for the log
	MaxConcurrent int           // checks that run at a time; default 200
	MaxPerHost    int           // checks that run on one host at a time; default 5
	Drain         time.Duration // what running checks are given at the end; default 500 ms

	// KeepRemoved is how long what leaves the configuration can come back and go on
	// as it was; 0: it begins anew.
	KeepRemoved time.Duration

	// HostDownDisablesChecks leaves out the checks of services whose host is
	// HARD and not UP, but for ordered ones (host_down_disable_service_checks,
	// RULES H5).
	HostDownDisablesChecks bool
}

// Past is the part of the log that a Checker reads.
type Past interface {
	// At is that of state.Log.
	At(ctx context.Context, at time.Time, keys ...alf.Key) ([]*alf.Event, error)
}

// Checker runs checks and judges them. Use New.
type Checker struct {
	o     Options
	stats counters

	mu        sync.Mutex // one reload at a time
	inventory *alf.Inventory

	commands chan order
	reloads  chan reload
	remarks  chan remark
	done     chan finished
	ended    chan struct{} // closed when Run has returned
	failure  atomic.Pointer[error]
}

// New returns a Checker for inventory. It starts nothing.
func New(o Options, inventory *alf.Inventory) *Checker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = 200
	}
	if o.MaxPerHost <= 0 {
		o.MaxPerHost = 5
	}
	if o.Drain <= 0 {
		o.Drain = 500 * time.Millisecond
	}
	return &Checker{
		o:         o,
		inventory: inventory,
		commands:  make(chan order),
		reloads:   make(chan reload),
		remarks:   make(chan remark),
		done:      make(chan finished),
		ended:     make(chan struct{}),
	}
}

type order struct {
	command alf.Command
	result  *alf.Result   // of alf.Submit, without a status yet
	output  *clip         // of alf.Submit
	reply   chan<- answer // room for one
}

type answer struct {
	id  alf.ID
	err error
}

type reload struct {
	inventory *alf.Inventory
	author    string
	diff      *Difference            // from what was before
	former    map[alf.Key]*alf.Event // what was known of what is new
	reply     chan<- Diff            // room for one
}

// The errors of Submit and Reload.
var (
	ErrUnknownKey = errors.New("is not configured")
	ErrStopped    = errors.New("the checker has stopped")
	ErrBusy       = errors.New("the checker does not answer")
	ErrFull       = errors.New("too many results wait for the record")
)

// Submit hands a command to the loop. It returns when the command is carried
// out and what it wrote is durable: the ID of that event, 0 if there is none.
// If ctx ends before that, the error is ctx's, and the command is carried out
// all the same; after any other error it is not. Submit must not be called
// before Run. Calls may overlap.
func (c *Checker) Submit(ctx context.Context, command alf.Command) (alf.ID, error) {
	reply := make(chan answer, 1)
	o := order{command: command, reply: reply}
	if command.Verb == alf.Submit {
		o.result, o.output = passive(command)
	}
	a, err := ask(ctx, c, c.commands, o, reply)
	if err != nil {
		return 0, fmt.Errorf("submit for %s: %w", command.Key, err)
	}
	return a.id, a.err
}

// Reload makes the loop go on with another inventory, as author ordered, if
// anybody did. Schedules and states of what stays are kept. ctx should not end with the wish of a caller: once the
// loop has the inventory, it goes on with it. Reload must not be called before
// Run. Calls may overlap.
func (c *Checker) Reload(ctx context.Context, inventory *alf.Inventory, author string) (Diff, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apply(ctx, Compare(c.inventory, inventory), author)
}

// Apply is Reload for who has compared before: with what was then the inventory of
// the Checker, and still is.
func (c *Checker) Apply(ctx context.Context, diff *Difference, author string) (Diff, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff.prev != c.inventory {
		diff = Compare(c.inventory, diff.next)
	}
	return c.apply(ctx, diff, author)
}

func (c *Checker) apply(ctx context.Context, diff *Difference, author string) (Diff, error) {
	reply := make(chan Diff, 1)
	inventory := diff.next
	r := reload{inventory, author, diff, c.former(ctx, diff.added), reply}
	d, err := ask(ctx, c, c.reloads, r, reply)
	if err != nil {
		return Diff{}, fmt.Errorf("reload: %w", err)
	}
	c.inventory = inventory
	return d, nil
}

func ask[Q, A any](ctx context.Context, c *Checker, to chan<- Q, question Q, reply <-chan A) (A, error) {
	var none A
	select {
	case to <- question:
	case <-c.ended:
		return none, ErrStopped
	case <-ctx.Done():
		return none, ErrBusy
	}
	select {
	case a := <-reply:
		return a, nil
	case <-c.ended:
		select { // the answer may have been the last thing that the loop did
		case a := <-reply:
			return a, nil
		default:
			return none, ErrStopped
		}
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Ready returns nil while results are being recorded, else why they are not.
func (c *Checker) Ready() error {
	if err := c.failure.Load(); err != nil {
		return fmt.Errorf("results are not recorded: %w", *err)
	}
	return nil
}

// Diff says what a reload changed.
type Diff struct {
	Added, Removed, Changed, Renamed, Kept int
}

// String returns the counts as a log or a person reads them.
func (d Diff) String() string {
	renamed := ""
	if d.Renamed > 0 {
		renamed = fmt.Sprintf(", %d renamed", d.Renamed)
	}
	return fmt.Sprintf("%d added, %d removed, %d changed%s, %d kept", d.Added, d.Removed, d.Changed, renamed, d.Kept)
}
