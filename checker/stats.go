package checker

import "sync/atomic"

// Stats are counts since the start and sizes at the moment.
type Stats struct {
	Services  int64 // all, with the hosts' own checks
	Scheduled int64 // that are run by themselves
	Running   int64
	Waiting   int64  // due, but the bounds hold them back
	Queued    int64  // results that wait for the record
	Started   uint64 // checks
	Missed    uint64 // slots that passed while a check still ran or waited, of schedules also while Alf did not run
	Held      uint64 // checks that were not run because of a dependency
	Refused   uint64 // times that the record failed
}

type counters struct {
	services, scheduled, running, waiting, queued atomic.Int64
	started, missed, held, refused                atomic.Uint64
}

// Stats may be called at any time.
func (c *Checker) Stats() Stats {
	return Stats{
		Services:  c.stats.services.Load(),
		Scheduled: c.stats.scheduled.Load(),
		Running:   c.stats.running.Load(),
		Waiting:   c.stats.waiting.Load(),
		Queued:    c.stats.queued.Load(),
		Started:   c.stats.started.Load(),
		Missed:    c.stats.missed.Load(),
		Held:      c.stats.held.Load(),
		Refused:   c.stats.refused.Load(),
	}
}
