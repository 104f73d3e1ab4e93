package api

import (
	"context"
	"sync"
	"time"
)

const (
	maxPending = 4 << 20                // bytes of a run's answer that wait to be sent
	maxChunk   = 64 << 10               // of them are sent at once, about
	waitRoom   = 250 * time.Millisecond // for room there; less than sshmux waits for output after an exit
)

// feed is what waits between the hosts of a run and the one who reads its answer. Hosts may
// be faster. Each line then waits for a moment, which slows them down to the reader's pace;
// but one who does not read at all must hold up no session of a host, which checks need, too:
// so a line that finds no room in that time is dropped, as are those that follow until there
// is some again.
type feed struct {
	ctx   context.Context // of the run: nobody waits any longer
	ready chan struct{}   // size 1: there is something to take

	mu      sync.Mutex
	pending [][]byte      // chunks
	size    int           // of all of them
	room    chan struct{} // closed when some was taken
	full    bool          // somebody has waited for room in vain
	over    bool          // nothing more comes
	lost    bool          // nobody reads any more
}

func newFeed(ctx context.Context) *feed {
	return &feed{ctx: ctx, ready: make(chan struct{}, 1), room: make(chan struct{})}
}

// force adds what must not be dropped. There is a bounded number of such pieces.
func (f *feed) force(piece []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(piece)
}

// offer adds a piece if there is room for it, or will be in a moment. It reports whether it
// did, and whether it had to wait.
func (f *feed) offer(piece []byte) (taken, waited bool) {
	var limit <-chan time.Time
	for {
		room, ok := f.try(piece)
		if room == nil {
			return ok, waited
		}
		if !waited {
			timer := time.NewTimer(waitRoom)
			defer timer.Stop()
			limit, waited = timer.C, true
		}
		select {
		case <-room:
		case <-limit:
			f.mu.Lock()
			f.full = true
			f.mu.Unlock()
			return false, true
		case <-f.ctx.Done():
			return false, true
		}
	}
}

// try adds a piece if there is room. Otherwise it returns what tells that there is some, or
// nil if it is not worth the wait.
func (f *feed) try(piece []byte) (room <-chan struct{}, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.size+len(piece) <= maxPending || f.lost {
		f.add(piece)
		return nil, true
	}
	if f.full {
		return nil, false
	}
	return f.room, false
}

// add appends a piece. The caller holds mu.
func (f *feed) add(piece []byte) {
	if f.lost {
		return
	}
	f.size += len(piece)
	if n := len(f.pending); n > 0 && len(f.pending[n-1])+len(piece) <= maxChunk {
		f.pending[n-1] = append(f.pending[n-1], piece...)
	} else {
		f.pending = append(f.pending, piece)
	}
	f.tell()
}

func (f *feed) tell() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// end says that nothing more comes.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.tell()
}

// lose says that nobody reads any more. All that comes is dropped.
func (f *feed) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost, f.pending, f.size = true, nil, 0
	f.makeRoom()
}

// makeRoom wakes those who wait for room. The caller holds mu.
func (f *feed) makeRoom() {
	f.full = false
	close(f.room)
	f.room = make(chan struct{})
}

// take waits for something to send and returns a chunk of it. It is over with the last one.
func (f *feed) take() (chunk []byte, over bool) {
	<-f.ready
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pending) > 0 {
		chunk, f.pending = f.pending[0], f.pending[1:]
		f.size -= len(chunk)
		f.makeRoom()
	}
	if len(f.pending) > 0 {
		f.tell()
		return chunk, false
	}
	return chunk, f.over
}
