package checker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"alf"
	"alf/state"
)

const (
	maxBatch  = 200              // events in one Append
	maxQueued = 20_000           // events that wait for a record that fails
	appendFor = 10 * time.Second // an Append that takes longer has failed
	retryFrom = 200 * time.Millisecond
	retryTo   = 10 * time.Second
)

// item is a service in the loop.
type item struct {
	service *alf.Service
	state   alf.State
	result  *alf.Result  // the last one
	since   time.Time    // when Alf began to look at it
	times   *state.Times // nil: it is due every interval, at any time

	check   entry     // when it is next due by itself
	alarm   entry     // when time will do something to it, at the latest
	started time.Time // when it was due that is running or waiting now
	busy    bool      // running, or waiting for its host
	ordered time.Time // for then, by a person: what made Alf wait does not count; zero: not
	forced  bool      // ordered whatever check_period says
	asked   time.Time // when it was last due out of turn, of a host
	told    time.Time // when it is due next as far as the record knows
	noted   bool      // the record knows of it
	untold  bool      // the record is to know better
	gone    bool      // left the configuration while it was busy
}

// place is where plugins run, with a bound of its own.
type place struct {
	running int
	line    line
	stalled bool // what waits could not start though there is room here
}

// spotKey names a place: a host, or Alf's own machine on behalf of a host.
type spotKey struct {
	host  alf.HostName
	local bool
}

// loop is the goroutine that owns the schedule and the states.
type loop struct {
	*Checker
	items   map[alf.Key]*item
	checked *alf.Inventory // what is checked; Checker.inventory is for Reload
	up      time.Time      // since when the loop runs
	family
	waiters map[string]map[*item]bool // by the ID of a downtime: who has one that begins with it
	agenda  agenda                    // of checks
	alarms  agenda                    // of what time does
	places  map[spotKey]*place
	stalled []*place
	running int

	untold  []*item          // of whom the record may not know what is next
	tell    time.Time        // when it is told the next of them
	queue   []*alf.Event     // judged, not yet durable
	lately  []*alf.Event     // with which the last reload removed what it did
	replies []waiting        // who waits for events in the queue
	retry   time.Duration    // the pause before the next try; 0: the record works
	next    time.Time        // of that try
	launch  func(*item, job) // runs a check in a goroutine of its own
	cancel  func()           // ends the running checks
	timer   *time.Timer
}

type waiting struct {
	event *alf.Event
	reply chan<- answer
}

// finished is what comes of a run. Without a result, it was called off.
type finished struct {
	item   *item
	result *alf.Result
}

// Run runs the loop until ctx ends and all that it started has ended. The
// error is that of reading what was known at the start.
func (c *Checker) Run(ctx context.Context) error {
	defer close(c.ended)
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	l := &loop{
		Checker: c, cancel: cancel,
		items:   make(map[alf.Key]*item),
		places:  make(map[spotKey]*place),
		waiters: make(map[string]map[*item]bool),
		timer:   time.NewTimer(time.Hour),
	}
	l.launch = func(it *item, j job) {
		go func() {
			// It ends when the runner has returned and the loop has taken the result.
			result, err := j.run(run, c.o.Runner)
			if err != nil {
				result = nil
			}
			c.done <- finished{it, result}
		}()
	}
	defer l.timer.Stop()
	if err := l.restore(ctx); err != nil {
		return fmt.Errorf("read the known states: %w", err)
	}
	for ctx.Err() == nil {
		l.ring()
		l.begin()
		l.tellNext()
		l.flush(ctx)
		l.timer.Reset(l.pause())
		l.wait(ctx)
	}
	l.drain()
	return nil
}

// wait takes in one thing that happens, and with a result or an order all that
// are ready.
func (l *loop) wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-l.timer.C:
	case o := <-l.commands:
		l.obey(o)
		l.obeyReady()
	case r := <-l.reloads:
		r.reply <- l.reload(r)
	case r := <-l.remarks:
		l.remark(r)
	case f := <-l.done:
		l.finish(f)
		l.finishReady()
	}
}

func (l *loop) finishReady() {
	for len(l.queue) < maxBatch {
		select {
		case f := <-l.done:
			l.finish(f)
		default:
			return
		}
	}
}

func (l *loop) obeyReady() {
	for range maxBatch {
		select {
		case o := <-l.commands:
			l.obey(o)
		default:
			return
		}
	}
}

// restore starts from what the record knows.
func (l *loop) restore(ctx context.Context) error {
	heads := make(map[alf.Key]*alf.Event)
	for e, err := range l.o.Reader.Heads(ctx) {
		if err != nil {
			return err
		}
		heads[e.Key] = e
	}
	now := time.Now()
	l.checked, l.up = l.inventory, now
	l.family = kin(l.checked)
	l.recordStart(heads, now)
	var fresh []*alf.Service
	for _, s := range l.checked.Services() {
		if heads[s.Key] == nil {
			fresh = append(fresh, s)
		}
	}
	former := l.former(ctx, fresh)
	var added []*item // while Alf did not run
	for _, s := range l.checked.Services() {
		it, planned, from := l.add(s), time.Time{}, origin{}
		if e := heads[s.Key]; e != nil {
			it.state, it.result, planned = e.State, e.Result, e.NextCheck
			it.noted, it.told = true, planned
			l.catchUp(it, e, now)
		} else {
			added = append(added, it)
			from = l.recall(it, heads, former)
		}
		l.plan(it, it.firstDue(planned, now))
		l.goOn(it, from, now)
		l.settle(it, now)
		l.watch(it, now)
	}
	l.renewAll(now)
	for key, e := range heads {
		if l.items[key] == nil {
			l.left(key, e.State, e.Result, now)
		}
	}
	l.enrolAll(added, now)
	l.count()
	return nil
}

// recordStart notes in the log that Alf started, and when it last had a result
// before that: after a kill nobody noted the end.
func (l *loop) recordStart(heads map[alf.Key]*alf.Event, now time.Time) {
	e := &alf.Event{Time: now, Kind: alf.KindDaemon, Text: strings.TrimSpace(alf.Started + " " + l.o.Version)}
	for _, head := range heads {
		if head.Time.After(e.State.LastCheck) {
			e.State.LastCheck = head.Time
		}
	}
	l.record(e)
}

func (l *loop) add(s *alf.Service) *item {
	it := &item{service: s, since: time.Now(), times: l.timesOf(s)}
	it.check, it.alarm = entry{item: it, index: -1}, entry{item: it, index: -1}
	l.items[s.Key] = it
	return it
}

// plan has it checked at its due time, unless that was switched off, or when it
// was ordered.
func (l *loop) plan(it *item, due time.Time) {
	if it.state.Off.Has(alf.SwitchChecks) {
		due = time.Time{}
	}
	at := it.orderedFor()
	if !at.IsZero() && (due.IsZero() || at.Before(due)) {
		due = at
	}
	it.check.first = !at.IsZero() && !at.After(time.Now())
	l.agenda.set(&it.check, due)
}

func (l *loop) count() {
	scheduled := 0
	for _, s := range l.checked.Services() {
		if s.Scheduled() {
			scheduled++
		}
	}
	l.stats.services.Store(int64(len(l.items)))
	l.stats.scheduled.Store(int64(scheduled))
}

// pause returns how long nothing is to be done.
func (l *loop) pause() time.Duration {
	const longest = time.Minute // a clock that is set back costs no more
	pause := longest
	if e := l.agenda.next(); e != nil && l.free() {
		pause = min(pause, time.Until(e.due))
	}
	if e := l.alarms.next(); e != nil && len(l.queue) < maxQueued {
		pause = min(pause, time.Until(e.due))
	}
	if len(l.queue) > 0 {
		pause = min(pause, time.Until(l.next))
	} else if len(l.untold) > 0 {
		pause = min(pause, time.Until(l.tell))
	}
	return max(pause, 0)
}

// free reports whether another check may start.
func (l *loop) free() bool {
	return l.running < l.o.MaxConcurrent && len(l.queue) < maxQueued
}

// begin starts what is due, as far as the bounds allow; first what had to wait.
func (l *loop) begin() {
	for len(l.stalled) > 0 && l.free() {
		p := l.stalled[0]
		l.stalled = l.stalled[1:]
		p.stalled = false
		l.resume(p)
	}
	now := time.Now()
	for l.free() {
		e := l.agenda.take(now)
		if e == nil {
			return
		}
		it := e.item
		if it.closed(e.due, now) {
			l.plan(it, it.firstDue(time.Time{}, now))
			continue
		}
		if l.held(it, now) {
			continue
		}
		it.busy, it.started = true, e.due
		p := l.place(it)
		if p.running >= l.o.MaxPerHost {
			p.line.join(it, it.hurried(now))
			l.stats.waiting.Add(1)
			continue
		}
		l.run(p, it)
	}
}

// spot names where the plugin of s runs. Those beside Alf are counted for the
// host that they are about, so that a slow one holds up no other.
func spot(s *alf.Service) spotKey {
	if s.On == nil {
		return spotKey{s.Key.Host, true}
	}
	return spotKey{s.On.Name, false}
}

func (l *loop) place(it *item) *place {
	at := spot(it.service)
	p := l.places[at]
	if p == nil {
		p = &place{}
		l.places[at] = p
	}
	return p
}

// run starts a check at p.
func (l *loop) run(p *place, it *item) {
	p.running++
	l.running++
	l.stats.running.Add(1)
	l.stats.started.Add(1)
	now := time.Now()
	var m *moment
	if asks(it.service) {
		known := l.moment(it, now)
		known.others = l.demand(it.service, now)
		m = &known
	}
	ordered := it.hurried(now)
	if ordered {
		it.ordered = time.Time{}
	}
	l.launch(it, job{it.service, it.started, m, ordered})
}

// finish judges a result and says when the service is due again.
func (l *loop) finish(f finished) {
	it := f.item
	l.leave(it)
	if f.result == nil || it.gone {
		return
	}
	now := time.Now()
	l.stats.missed.Add(it.missed(it.started, now))
	change := l.judge(it, f.result, now)
	l.plan(it, it.nextDue(f.result.End))
	l.recordResult(it, change, now)
	l.react(it, change, now)
}

// leave frees the place of a check that ended, for the next that waits there.
func (l *loop) leave(it *item) {
	it.busy = false
	l.running--
	l.stats.running.Add(-1)
	p := l.place(it)
	p.running--
	l.resume(p)
	if p.running == 0 && p.line.len() == 0 {
		delete(l.places, spot(it.service))
	}
}

// resume starts what waits for a place, as far as the bounds allow.
func (l *loop) resume(p *place) {
	for p.line.len() > 0 && p.running < l.o.MaxPerHost {
		if !l.free() {
			if !p.stalled {
				p.stalled = true
				l.stalled = append(l.stalled, p)
			}
			return
		}
		next := p.line.next()
		l.stats.waiting.Add(-1)
		if !next.gone {
			l.run(p, next)
		}
	}
}

// judge makes r the newest thing known of it.
func (l *loop) judge(it *item, r *alf.Result, now time.Time) alf.Change {
	prev := it.state
	next, change := state.Next(it.service, prev, r, l.around(it, now))
	it.state, it.result = next, r
	if change != 0 || l.o.Log.Enabled(context.Background(), slog.LevelDebug) {
		l.log(it, prev, change)
	}
	return change
}

func (l *loop) recordResult(it *item, change alf.Change, now time.Time) *alf.Event {
	e := it.event(alf.KindResult, change, now)
	l.record(e)
	return e
}

// event returns what the record is told of it.
func (it *item) event(kind alf.Kind, change alf.Change, now time.Time) *alf.Event {
	it.noted, it.told = true, it.check.due
	return &alf.Event{Time: now, Key: it.service.Key, Kind: kind, Change: change,
		State: it.state, Result: it.result, NextCheck: it.check.due, Interval: it.service.Interval}
}

// log tells people what changed, and whoever asks for it of each check.
func (l *loop) log(it *item, prev alf.State, change alf.Change) {
	st, level, text := it.state, slog.LevelDebug, "checked"
	attrs := []slog.Attr{slog.String("host", string(it.service.Key.Host)), slog.String("service", string(it.service.Key.Service))}
	switch {
	case change.Has(alf.ChangeStale):
		// Of a link there is one line already, for all services of its host.
		if text = "no answer"; st.Stale.Cause == alf.CauseConfig {
			level = slog.LevelWarn
		}
		attrs = append(attrs, slog.String("cause", st.Stale.Cause.String()), slog.String("err", st.Stale.Output))
	case change&(alf.ChangeStatus|alf.ChangeType) != 0 && !(prev.Pending() && st.Status == alf.OK):
		level, text = slog.LevelInfo, "state changed"
		fallthrough
	default:
		attrs = append(attrs, slog.String("status", it.service.Key.StatusName(st.Status)), slog.String("type", st.Type.String()),
			slog.Int("attempt", st.Attempt), slog.String("output", st.Output))
		if it.result != nil {
			attrs = append(attrs, slog.Duration("took", it.result.Duration()))
		}
	}
	l.o.Log.LogAttrs(context.Background(), level, text, attrs...)
}

// reload goes over to another inventory. No check starts or ends meanwhile, so
// what is kept must cost next to nothing.
func (l *loop) reload(r reload) Diff {
	now := time.Now()
	if r.diff.prev != l.checked { // whoever compared did not hear how the reload before ended
		r.diff = Compare(l.checked, r.inventory)
	}
	l.checked, l.family = r.inventory, r.diff.family
	var standing []*alf.Downtime
	if len(r.diff.added) > 0 {
		standing = l.standing()
	}
	l.latest(r.former, now)
	renews := false
	for i, s := range r.inventory.Services() {
		it := l.items[s.Key]
		switch {
		case it == nil:
			it = l.admit(s, r, standing, now)
		case r.diff.kept[i]:
			l.keep(it, s, now)
		default:
			l.change(it, s, now)
		}
		renews = renews || len(s.Recurring)+len(it.state.Downtimes) > 0
	}
	if renews {
		l.renewAll(now)
	}
	for _, key := range r.diff.gone {
		l.remove(l.items[key], r.diff.to[key], now)
	}
	l.count()
	d := r.diff.Counts()
	l.record(&alf.Event{Time: now, Kind: alf.KindDaemon, Author: r.author, Text: "configuration: " + d.String()})
	return d
}

// admit takes in s, which is new.
func (l *loop) admit(s *alf.Service, r reload, standing []*alf.Downtime, now time.Time) *item {
	it := l.add(s)
	from := l.inherit(it, l.renamed(r.diff, s.Key), r.former)
	l.plan(it, it.firstDue(time.Time{}, now))
	l.goOn(it, from, now)
	l.settle(it, now)
	l.watch(it, now)
	l.enrol(it, standing, now)
	return it
}

// change gives it other settings. Its state stays, and so does its place in the
// schedule if that is still the same.
func (l *loop) change(it *item, s *alf.Service, now time.Time) {
	old := it.service
	if it.busy && (spot(old) != spot(s) || !s.Scheduled()) {
		// The place that it holds must be left under its old name, and what is not
		// run any more is not judged by it.
		l.replace(it, s, now)
		return
	}
	it.service, it.times = s, l.timesOf(s)
	timing := func(s *alf.Service) [5]any {
		return [5]any{s.Interval, s.Retry, s.Scheduled(), s.Schedule, s.CheckPeriod}
	}
	if old.Schedule != s.Schedule {
		it.since = now // nobody expected anything of the new one before
	}
	if !it.busy && timing(old) != timing(s) {
		l.plan(it, it.firstDue(time.Time{}, now))
	}
	l.settle(it, now)
	l.watch(it, now)
}

// keep gives it settings that are as they were. The timeperiod of that name may
// be another one.
func (l *loop) keep(it *item, s *alf.Service, now time.Time) {
	it.service, it.times = s, l.timesOf(s)
	if s.CheckPeriod == "" {
		return
	}
	if !it.busy {
		l.plan(it, it.firstDue(time.Time{}, now))
	}
	l.settle(it, now)
	l.watch(it, now)
}

// replace puts a new item in the place of a busy one, whose result is dropped.
func (l *loop) replace(it *item, s *alf.Service, now time.Time) {
	it.gone = true
	l.alarms.set(&it.alarm, time.Time{})
	next := l.add(s)
	next.state, next.result, next.ordered, next.forced = it.state, it.result, it.ordered, it.forced
	next.noted, next.told = it.noted, it.told
	l.plan(next, next.firstDue(time.Time{}, now))
	l.settle(next, now)
	l.watch(next, now)
}

// renamed returns the item that is called key from now on, or nil.
func (l *loop) renamed(d *Difference, key alf.Key) *item {
	from, ok := d.from[key]
	if !ok {
		return nil
	}
	return l.items[from]
}

// remove takes it out; to is its new name, if it has one.
func (l *loop) remove(it *item, to alf.Key, now time.Time) {
	it.gone = true
	l.agenda.set(&it.check, time.Time{})
	l.alarms.set(&it.alarm, time.Time{})
	delete(l.items, it.service.Key)
	if to != (alf.Key{}) {
		l.moved(it.service.Key, to, now)
		return
	}
	l.left(it.service.Key, it.state, it.result, now)
}

func (l *loop) record(e *alf.Event) {
	l.queue = append(l.queue, e)
	l.stats.queued.Store(int64(len(l.queue)))
}

// flush makes the queue durable, in batches. When the record fails, what is
// left stays in the queue for the next try.
func (l *loop) flush(ctx context.Context) {
	if len(l.queue) > 0 && l.retry > 0 && time.Now().Before(l.next) {
		return
	}
	for len(l.queue) > 0 {
		batch := l.queue[:min(len(l.queue), maxBatch)]
		if err := l.append(ctx, batch); err != nil {
			l.refused(err)
			return
		}
		l.queue = l.queue[len(batch):]
	}
	l.queue = nil
	l.stats.queued.Store(0)
	l.reply()
	if l.retry > 0 {
		l.retry = 0
		l.failure.Store(nil)
		l.o.Log.Info("results are recorded again")
	}
}

func (l *loop) append(ctx context.Context, events []*alf.Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendFor)
	defer cancel()
	return l.o.Record.Append(ctx, events)
}

func (l *loop) refused(err error) {
	l.stats.refused.Add(1)
	if was := l.failure.Load(); was == nil || (*was).Error() != err.Error() {
		l.o.Log.Error("results are not recorded", "queued", len(l.queue), "err", err)
	}
	l.failure.Store(&err)
	l.retry = min(max(2*l.retry, retryFrom), retryTo)
	l.next = time.Now().Add(l.retry)
	l.stats.queued.Store(int64(len(l.queue)))
	l.reply()
}

// reply answers those whose events are durable.
func (l *loop) reply() {
	left := l.replies[:0]
	for _, w := range l.replies {
		if w.event.ID == 0 {
			left = append(left, w)
			continue
		}
		w.reply <- answer{id: w.event.ID}
	}
	clear(l.replies[len(left):])
	l.replies = left
}

// drain gives the running checks a moment to end, calls off the others, and
// makes durable what there is.
func (l *loop) drain() {
	for _, p := range l.places {
		p.line = line{}
	}
	l.timer.Reset(l.o.Drain)
	for l.running > 0 {
		select {
		case f := <-l.done:
			l.finish(f)
		case <-l.timer.C:
			l.cancel()
		}
	}
	l.next = time.Time{}
	l.record(&alf.Event{Time: time.Now(), Kind: alf.KindDaemon, Text: alf.Stopped})
	l.flush(context.Background())
	if n := len(l.queue) - 1; n > 0 {
		l.o.Log.Error("what could not be recorded before the end is lost", "events", n)
	}
	for _, w := range l.replies {
		w.reply <- answer{err: ErrStopped}
	}
}
