package actions

import (
	"container/heap"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"alf"
	"alf/state"
)

// consumer is the name under which the decider reads the feed.
const consumer = "actions"

// decider asks of every event, and when time has passed, who is told.
type decider struct {
	o    Options
	log  *slog.Logger
	hand func(*state.Line) // takes what is durable

	one  sync.Mutex // held from a decision until it is durable
	wake chan struct{}

	mu       sync.Mutex // guards what follows
	memories map[alf.Key]state.Memory
	next     times
	told     map[string]uint64 // by type
}

func newDecider(o Options, hand func(*state.Line)) *decider {
	return &decider{o: o, log: o.Log, hand: hand, wake: make(chan struct{}, 1),
		memories: make(map[alf.Key]state.Memory), next: newTimes(), told: make(map[string]uint64)}
}

// recall takes a line of the ledger, the oldest one first.
func (d *decider) recall(l *state.Line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memories[l.Key] = l.Decided.Memory
}

// memory returns what is remembered of s, or of what it was called before.
func (d *decider) memory(s *alf.Service) state.Memory {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.memories[s.Key]
	if ok || s.RenamedFrom == "" && s.Host.RenamedFrom == "" {
		return m
	}
	for _, key := range s.Former() {
		if m, ok := d.memories[key]; ok {
			m.Event = 0 // of another key
			return m
		}
	}
	return m
}

func (d *decider) counts() map[string]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.told)
}

// run decides until ctx ends.
func (d *decider) run(ctx context.Context) error {
	if err := d.ask(ctx, d.known()); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var consuming sync.WaitGroup
	consuming.Go(func() { stop(d.o.Feed.Consume(ctx, consumer, state.Now, d.events)) })
	err := d.wait(ctx)
	consuming.Wait()
	return err
}

// known returns the keys of all that may have to be told.
func (d *decider) known() []alf.Key {
	var keys []alf.Key
	for e := range d.o.Heads.Heads() {
		s := d.o.Inventory().Service(e.Key)
		if s != nil && s.Policy != nil && (e.State.Status != alf.OK || d.memory(s).On != 0) {
			keys = append(keys, e.Key)
		}
	}
	return keys
}

// wait asks whenever time has come, until ctx ends.
func (d *decider) wait(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		d.mu.Lock()
		at := d.next.first()
		d.mu.Unlock()
		timer.Stop()
		if !at.IsZero() {
			timer.Reset(min(time.Until(at), lookAgain)) // the clock on the wall may be set
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.wake:
		case <-timer.C:
			if err := d.ask(ctx, d.due(time.Now())); err != nil {
				return err
			}
		}
	}
}

// lookAgain is how long nobody looks at the clock at most.
const lookAgain = time.Minute

// due takes the keys that are to be asked about at now.
func (d *decider) due(now time.Time) []alf.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.next.take(now)
}

// asked bounds how many keys are asked about at a time, so that events need not
// wait long.
const asked = 500

// ask decides about keys because time has passed.
func (d *decider) ask(ctx context.Context, keys []alf.Key) error {
	for len(keys) > 0 {
		n := min(len(keys), asked)
		if err := d.askSome(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (d *decider) askSome(ctx context.Context, keys []alf.Key) error {
	d.one.Lock()
	defer d.one.Unlock()
	now, inventory := time.Now(), d.o.Inventory()
	var lines []*state.Line
	for _, key := range keys {
		e, s := d.o.Heads.Head(key), inventory.Service(key)
		if e == nil || s == nil || s.Policy == nil {
			continue
		}
		t := turn{d: d, inventory: inventory, service: s, event: e, now: now, memory: d.memory(s)}
		t.take(alf.TypeProblem, false)
		lines = t.appendTo(lines, t.memory.Event)
	}
	return d.enter(ctx, lines)
}

// events decides about events. It implements state.Handler.
func (d *decider) events(ctx context.Context, events []*alf.Event) error {
	if err := d.o.Heads.Wait(ctx, events[len(events)-1].ID); err != nil {
		return err
	}
	d.one.Lock()
	defer d.one.Unlock()
	inventory := d.o.Inventory()
	var lines []*state.Line
	for _, e := range events {
		lines = d.event(lines, inventory, e)
	}
	return d.enter(ctx, lines)
}

func (d *decider) event(lines []*state.Line, inventory *alf.Inventory, e *alf.Event) []*state.Line {
	if e.Kind == alf.KindDaemon || e.Kind == alf.KindRemoved {
		return lines
	}
	s := inventory.Service(e.Key)
	if s == nil || s.Policy == nil {
		return lines
	}
	memory := d.memory(s)
	if e.ID <= memory.Event {
		return lines // it was decided before Alf was started
	}
	if e.State.Status == alf.OK && memory.On == 0 && e.Change&news == 0 {
		d.plan(e.Key, time.Time{}) // all is well, as it most often is
		return lines
	}
	t := turn{d: d, inventory: inventory, service: s, event: e, now: e.Time, memory: memory}
	judged := e.Judged()
	occasions := state.OccasionsOf(e)
	for _, occasion := range occasions.Types() {
		t.take(occasion, judged)
	}
	return t.appendTo(lines, e.ID)
}

// news are the changes of which people are told though there is no problem.
const news = alf.ChangeAck | alf.ChangeFlapping | alf.ChangeCalm | alf.ChangeDowntime | alf.ChangeDowntimeEnd

// turn is the decision about one event, or about one key because time has passed.
type turn struct {
	d         *decider
	inventory *alf.Inventory
	service   *alf.Service
	event     *alf.Event
	now       time.Time
	memory    state.Memory
	notices   []state.Notice
}

// take decides about an occasion.
func (t *turn) take(occasion alf.NotificationType, judged bool) {
	m := state.Matter{Service: t.service, State: &t.event.State, At: t.event.Time, Judged: judged, Now: t.now, Memory: t.memory, Known: t}
	v := state.Decide(&m, occasion, t.inventory.Contact, nil)
	held := t.memory.Held
	t.memory = v.Memory
	if occasion == alf.TypeProblem {
		t.d.plan(t.service.Key, v.Next)
		if v.Why == state.Tell {
			t.memory.Held = state.Tell
		} else if v.Why.Noted() {
			t.memory.Held = v.Why
		}
	}
	if v.Why != state.Tell && (!v.Why.Noted() || occasion == alf.TypeProblem && v.Why == held) {
		return
	}
	n := state.Notice{Why: v.Why, Until: v.Until, To: v.To, Notification: t.notification(v)}
	if v.By != nil {
		n.By = v.By.Name
	}
	t.notices = append(t.notices, n)
}

// appendTo appends a line, if there is anything to note, and remembers what is to be
// remembered.
func (t *turn) appendTo(lines []*state.Line, event alf.ID) []*state.Line {
	if len(t.notices) > 0 {
		t.memory.Event = event
		lines = append(lines, &state.Line{Time: t.now, Key: t.service.Key, Decided: &state.Decided{Memory: t.memory, Notices: t.notices}})
	}
	t.d.remember(t.service.Key, t.memory)
	return lines
}

// Look implements state.Known.
func (t *turn) Look(key alf.Key) (*alf.Service, alf.State) {
	s := t.inventory.Service(key)
	if s == nil {
		return nil, alf.State{}
	}
	if key == t.event.Key {
		return s, t.event.State
	}
	if e := t.d.o.Heads.Head(key); e != nil {
		return s, e.State
	}
	return s, alf.State{}
}

// Period implements state.Known.
func (t *turn) Period(name string) alf.Period {
	if name == "" {
		return nil
	}
	return t.inventory.Period(name)
}

// HostDownDisablesChecks implements state.Known.
func (t *turn) HostDownDisablesChecks() bool { return t.d.o.HostDownDisablesChecks }

// The most of a text that a notification has.
const (
	mostOutput = 8 << 10
	mostLong   = 8 << 10
)

// notification returns what people are told.
func (t *turn) notification(v state.Verdict) *alf.Notification {
	st, h := &t.event.State, t.service.Host
	n := &alf.Notification{
		ID: rand.Text(), Type: v.Type, Number: v.Number, Time: t.now, Key: t.service.Key, Former: t.former(),
		HostAlias: h.Alias, HostAddress: h.Address, Hostgroups: h.Hostgroups, NotesURL: t.service.NotesURL,
		Status: st.Status, StateType: st.Type, Attempt: st.Attempt, Attempts: st.MaxAttempts, Since: st.LastChange,
		Output: cut(st.Output, mostOutput), Escalated: v.Escalated,
	}
	if r := t.event.Result; r != nil && r.Output == st.Output {
		n.LongOutput = cut(r.LongOutput, mostLong)
	}
	switch {
	case v.Type == alf.TypeAcknowledgement && st.Ack != nil:
		n.Author, n.Text = st.Ack.Author, st.Ack.Text
	case v.Type == alf.TypeDowntimeStart:
		for _, d := range st.Downtimes {
			if !d.Began.IsZero() {
				n.Author, n.Text = d.Author, d.Text
			}
		}
	case v.Type.OfDowntime(), v.Type.OfFlapping():
		n.Author, n.Text = t.event.Author, t.event.Text
	}
	return n
}

// former returns what the service was called before, unless another is called so now.
func (t *turn) former() []alf.Key {
	return slices.DeleteFunc(t.service.Former(), func(key alf.Key) bool { return t.inventory.Service(key) != nil })
}

// cut returns the beginning of text.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && text[most]&0xC0 == 0x80 { // within a letter
		most--
	}
	return text[:most]
}

// plan notes when a key is to be asked about; zero: not for the sake of time.
func (d *decider) plan(key alf.Key, at time.Time) {
	d.mu.Lock()
	sooner := d.next.set(key, at)
	d.mu.Unlock()
	if sooner {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

func (d *decider) remember(key alf.Key, m state.Memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was, ok := d.memories[key]; ok || m != (state.Memory{}) {
		if was != m {
			d.memories[key] = m
		}
	}
}

// The pauses between attempts to write into the ledger.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// enter makes lines durable and hands them on. It does not give up before ctx ends:
// what was decided has to be told.
func (d *decider) enter(ctx context.Context, lines []*state.Line) error {
	if len(lines) == 0 {
		return nil
	}
	if err := insist(ctx, d.o.Ledger, d.log, lines); err != nil {
		return err
	}
	for _, l := range lines {
		d.count(l)
		d.hand(l)
	}
	return nil
}

func (d *decider) count(l *state.Line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range l.Decided.Notices {
		if n.Why == state.Tell {
			d.told[n.Notification.Type.String()]++
		}
	}
}

// insist writes lines into the ledger, and tries again until ctx ends.
func insist(ctx context.Context, ledger state.Ledger, log *slog.Logger, lines []*state.Line) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := ledger.Enter(ctx, lines)
		if err == nil {
			if pause > firstPause {
				log.Info("the ledger takes notifications again")
			}
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx))
		}
		if pause == firstPause {
			log.Error("the ledger takes no notifications; they wait", "err", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// times says when keys are to be asked about. An entry of the heap counts if the map
// has the same time.
type times struct {
	at   map[alf.Key]time.Time
	heap moments
}

func newTimes() times { return times{at: make(map[alf.Key]time.Time)} }

// set sets the time of key, and reports whether it is the first of all.
func (t *times) set(key alf.Key, at time.Time) (sooner bool) {
	if at.IsZero() {
		delete(t.at, key)
		return false
	}
	if t.at[key].Equal(at) {
		return false
	}
	t.at[key] = at
	heap.Push(&t.heap, moment{at, key})
	if len(t.heap) > 2*len(t.at)+64 {
		t.rebuild()
	}
	return t.heap[0].key == key
}

// drop forgets the time of key, and reports whether there was one.
func (t *times) drop(key alf.Key) bool {
	_, ok := t.at[key]
	delete(t.at, key)
	return ok
}

// rebuild drops the entries that count no more.
func (t *times) rebuild() {
	t.heap = t.heap[:0]
	for key, at := range t.at {
		t.heap = append(t.heap, moment{at, key})
	}
	heap.Init(&t.heap)
}

// first returns the first time; zero: there is none.
func (t *times) first() time.Time {
	for len(t.heap) > 0 {
		if at, ok := t.at[t.heap[0].key]; ok && at.Equal(t.heap[0].at) {
			return at
		}
		heap.Pop(&t.heap)
	}
	return time.Time{}
}

// take takes the keys whose times have come.
func (t *times) take(now time.Time) []alf.Key {
	var keys []alf.Key
	for at := t.first(); !at.IsZero() && !at.After(now); at = t.first() {
		key := heap.Pop(&t.heap).(moment).key
		delete(t.at, key)
		keys = append(keys, key)
	}
	return keys
}

type moment struct {
	at  time.Time
	key alf.Key
}

// moments is a heap by time.
type moments []moment

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i].at.Before(m[j].at) }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)        { *m = append(*m, x.(moment)) }
func (m *moments) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	*m = (*m)[:last]
	return x
}
