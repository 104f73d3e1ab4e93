package jetstream

import (
	"sync/atomic"
	"time"
)

// Stats are counts since the record was opened, and sizes at the moment.
type Stats struct {
	Appends     uint64        // batches
	Events      uint64        // in them
	Bytes       uint64        // of them, as encoded
	AppendTime  time.Duration // that Append took, all together
	Syncs       uint64        // times that Append or a document waited for the disk
	SyncTime    time.Duration // that they did, all together
	Behind      int           // events that are in the feed and not yet in the histories
	IndexErrors uint64        // times that the histories could not be written
	Shortened   uint64        // events that were too large for the server, and of which a part was dropped
	Restarts    uint64        // of the embedded server, which could not write any more
	Broken      bool          // nothing can be written at the moment
}

type counters struct {
	appends, events, bytes, indexErrors, shortened, restarts, syncs atomic.Uint64
	time, syncTime                                                  atomic.Int64
}

func (c *counters) appended(events, bytes int, took time.Duration) {
	c.appends.Add(1)
	c.events.Add(uint64(events))
	c.bytes.Add(uint64(bytes))
	c.time.Add(int64(took))
}

// synced notes a wait for the disk that began then.
func (c *counters) synced(began time.Time) {
	c.syncs.Add(1)
	c.syncTime.Add(int64(time.Since(began)))
}

// Stats may be called at any time.
func (r *Record) Stats() Stats {
	r.mu.Lock()
	behind := r.waiting
	r.mu.Unlock()
	c := &r.stats
	return Stats{
		Appends: c.appends.Load(), Events: c.events.Load(), Bytes: c.bytes.Load(),
		AppendTime: time.Duration(c.time.Load()),
		Syncs:      c.syncs.Load(), SyncTime: time.Duration(c.syncTime.Load()), Behind: behind, IndexErrors: c.indexErrors.Load(),
		Shortened: c.shortened.Load(), Restarts: c.restarts.Load(), Broken: r.broken() != nil,
	}
}
