package api

import (
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"alf"
	"alf/api/wire"
)

// What people run must leave room for what is checked.
const (
	maxRuns        = 16                  // that are under way
	maxRunCommands = wire.MaxRunParallel // of all of them together
	maxRunsPerHost = 2                   // commands on one host; fewer where it allows few sessions
)

// runs are all runs that are under way. The bounds on their commands are their own, so that
// they take none of the places of checks.
type runs struct {
	turns chan struct{} // one for each command

	dropped atomic.Uint64
	ended   tally // hosts

	mu    sync.Mutex
	begun uint64
	under map[string]context.CancelCauseFunc // by ID
	hosts map[alf.HostName]*crowd
}

func (r *runs) count(result string) { r.ended.count(result) }

// RunStats are what has been run for people.
type RunStats struct {
	Runs     uint64         // that were begun
	Under    int            // runs that are under way
	Commands int            // that run
	Hosts    map[string]int // that are through, by result
	Dropped  uint64         // bytes of output that nobody read in time
}

// RunStats returns what has been run for people since the start.
func (a *API) RunStats() RunStats {
	r := a.runs
	s := RunStats{Commands: len(r.turns), Dropped: r.dropped.Load()}
	r.ended.mu.Lock()
	s.Hosts = maps.Clone(r.ended.result)
	r.ended.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Runs, s.Under = r.begun, len(r.under)
	return s
}

// crowd are the commands of all runs on one host.
type crowd struct {
	turns chan struct{}
	users int // that run or wait
}

func newRuns() *runs {
	return &runs{turns: make(chan struct{}, maxRunCommands), under: make(map[string]context.CancelCauseFunc), hosts: make(map[alf.HostName]*crowd)}
}

// join takes in a run and gives it an ID. The caller calls leave at its end.
func (r *runs) join(j *job, cancel context.CancelCauseFunc) (leave func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.under) >= maxRuns {
		return nil, wire.NewError(http.StatusServiceUnavailable, "nothing was run: %d runs are under way, as many as can be", maxRuns)
	}
	id := strings.ToLower(rand.Text()[:12])
	j.id = id
	r.under[id] = cancel
	r.begun++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.under, id)
	}, nil
}

// cancel calls a run off. It reports whether there is one of that ID.
func (r *runs) cancel(id string, cause error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	cancel := r.under[id]
	if cancel != nil {
		cancel(cause)
	}
	return cancel != nil
}

// turn waits until a command may run on h. The host comes first, so that who waits for a busy
// one keeps no other from running.
func (r *runs) turn(ctx context.Context, h *alf.Host) (release func(), err error) {
	c := r.enter(h)
	select {
	case c.turns <- struct{}{}:
	case <-ctx.Done():
		r.exit(h, c)
		return nil, context.Cause(ctx)
	}
	select {
	case r.turns <- struct{}{}:
	case <-ctx.Done():
		<-c.turns
		r.exit(h, c)
		return nil, context.Cause(ctx)
	}
	release = func() {
		<-r.turns
		<-c.turns
		r.exit(h, c)
	}
	if ctx.Err() != nil {
		release()
		return nil, context.Cause(ctx)
	}
	return release, nil
}

func (r *runs) enter(h *alf.Host) *crowd {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.hosts[h.Name]
	if c == nil {
		c = &crowd{turns: make(chan struct{}, max(1, min(maxRunsPerHost, h.SSH.MaxSessions-1)))}
		r.hosts[h.Name] = c
	}
	c.users++
	return c
}

func (r *runs) exit(h *alf.Host, c *crowd) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.users--; c.users == 0 {
		delete(r.hosts, h.Name)
	}
}

// all runs the command on all hosts, so many at a time as the run wants.
func (j *job) all(ctx context.Context) {
	var workers sync.WaitGroup
	next := make(chan string)
	for range min(j.body.Parallel, len(j.hosts)) {
		workers.Go(func() { // ends when next is closed
			for name := range next {
				j.on(ctx, name)
			}
		})
	}
	for _, name := range j.hosts {
		next <- name
	}
	close(next)
	workers.Wait()
}

// tally counts the hosts of a run by their results.
type tally struct {
	mu     sync.Mutex
	result map[string]int
}

func (t *tally) count(result string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.result == nil {
		t.result = make(map[string]int)
	}
	t.result[result]++
}

func (t *tally) counts() (ok, failed, notRun int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result[wire.RunOK], t.result[wire.RunFailed], t.result[wire.RunNotRun]
}

// done returns the last event.
func (j *job) done(took time.Duration) *wire.RunEvent {
	ok, failed, notRun := j.counts()
	return &wire.RunEvent{Event: wire.RunDone, OK: ok, Failed: failed, NotRun: notRun, Seconds: took.Seconds()}
}
