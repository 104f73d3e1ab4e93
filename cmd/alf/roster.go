package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/config"
	"alf/sinks"
)

// roster asks the sources of the configuration for their hosts, at the start, on
// their intervals and on demand, and keeps their last good answers.
type roster struct {
	run alf.Runner
	log *slog.Logger
	// take loads the configuration with fresh answers.
	take func(ctx context.Context, order api.ReloadOrder, fresh map[string]config.Answer) error
	tell func()        // is called when a source has answered, or has not
	wake chan struct{} // of size 1: there may be something to do

	mu     sync.Mutex // guards what follows
	daemon config.Daemon
	all    map[string]*sourceState
}

// sourceState is how a source has been.
type sourceState struct {
	config.Source
	stored   []byte    // what is in the data directory
	failed   time.Time // when it failed last
	failures int
	next     time.Time       // zero: never by itself
	order    api.ReloadOrder // who has ordered it, and how; no Author: nobody
	asked    chan struct{}   // closed when it was asked; nil: nobody waits
	again    chan struct{}   // the same for those who came while it was being asked
	asking   bool
}

func newRoster(run alf.Runner, log *slog.Logger, take func(context.Context, api.ReloadOrder, map[string]config.Answer) error, tell func()) *roster {
	return &roster{run: run, log: log, take: take, tell: tell, wake: make(chan struct{}, 1), all: make(map[string]*sourceState)}
}

// adopt makes c what counts, and writes down the answers in it. That a disk is full
// is no reason to refuse them.
func (r *roster) adopt(c *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.daemon = c.Daemon
	known := make(map[string]*sourceState, len(c.Sources))
	for _, one := range c.Sources {
		st := r.all[one.Name]
		if st == nil || asks(st.Source) != asks(one) {
			st = &sourceState{next: time.Now()}
			if old := r.all[one.Name]; old != nil {
				st.stored, st.failures, st.failed = old.stored, old.failures, old.failed
			}
		}
		was := st.Answer.Err
		st.Source = one
		if why := one.Answer.Err; why != "" && why != was && !st.asking {
			st.Answer.Err = was
			r.note(st, errors.New(why))
		}
		r.store(st)
		known[one.Name] = st
	}
	for _, old := range r.all {
		if known[old.Name] != old {
			old.answered()
			old.answered() // and who waits for the next time
		}
	}
	r.all = known
	r.stir()
}

// asks says in one text what a source asks.
func asks(s config.Source) string {
	env := make([]string, len(s.Env))
	for i, v := range s.Env {
		env[i] = v.Name + "=" + string(v.Value)
	}
	return fmt.Sprintf("%q %q %q %q", s.File, s.Argv, s.Shell, env)
}

// store writes down what was taken of an answer. mu is held.
func (r *roster) store(st *sourceState) {
	if st.Taken == nil || bytes.Equal(st.Taken, st.stored) {
		return
	}
	if kept := readKept(r.daemon, st.Name); !bytes.Equal(kept.Body, st.Taken) {
		if err := keep(r.daemon, st.Name, st.Taken, st.Answer.Time); err != nil {
			r.log.Error("the answer of a source cannot be kept", "source", st.Name, "err", err)
			return
		}
	}
	st.stored = st.Taken
}

func (r *roster) stir() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// answered tells those who wait. mu is held.
func (st *sourceState) answered() {
	if st.asked != nil {
		close(st.asked)
	}
	if st.asked, st.again = st.again, nil; st.asked != nil {
		st.next = time.Now()
	}
}

// Run asks the sources when they are due, until ctx ends and the last has answered.
func (r *roster) Run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	for ctx.Err() == nil {
		due, wait := r.due(time.Now())
		for _, st := range due {
			asking.Go(func() { r.refresh(ctx, st) })
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// due returns the sources to be asked now, and how long it is until the next one.
func (r *roster) due(now time.Time) (due []*sourceState, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = time.Hour
	for _, st := range r.all {
		switch {
		case st.asking || st.next.IsZero():
		case st.next.After(now):
			wait = min(wait, st.next.Sub(now))
		default:
			st.asking = true
			due = append(due, st)
		}
	}
	return due, wait
}

// refresh asks a source, and takes its answer.
func (r *roster) refresh(ctx context.Context, st *sourceState) {
	r.mu.Lock()
	one, order := st.Source, st.order
	order.Author = cmp.Or(order.Author, "source "+st.Name)
	r.mu.Unlock()
	had := one.Hosts
	if order.Force {
		had = 0
	}
	body, err := ask(ctx, r.run, one, had)
	retry := err != nil
	if err == nil && !r.same(st, body) {
		err = r.take(ctx, order, map[string]config.Answer{one.Name: {Body: body, Time: time.Now()}})
		if err == nil {
			err = r.refused(st)
		} else {
			_, much := errors.AsType[*refusal](err)
			if err = fmt.Errorf("its hosts are not taken: %s", firstLine(err)); much {
				err = fmt.Errorf("%w; if that is meant, use alf source refresh %s --force", err, one.Name)
			}
		}
	}
	defer r.tell()
	r.mu.Lock()
	defer r.mu.Unlock()
	st.asking = false
	if st.again == nil {
		st.order = api.ReloadOrder{}
	}
	if ctx.Err() == nil {
		r.note(st, err)
	}
	st.next = st.after(time.Now(), retry)
	st.answered()
	r.stir()
}

// same reports whether an answer says what is known. Then it is as new as now.
func (r *roster) same(st *sourceState, body []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := bytes.Equal(body, st.Answer.Body) || len(st.Refused) == 0 && config.SameAnswer(body, st.Taken)
	if st.Answer.Body == nil || !known {
		return false
	}
	st.Answer.Time = time.Now()
	r.store(st) // unless it is
	if st.stored != nil {
		_ = os.Chtimes(sourceFile(r.daemon, st.Name), st.Answer.Time, st.Answer.Time) // it is only how old it looks
	}
	return true
}

// refused returns why an answer was not taken that was loaded.
func (r *roster) refused(st *sourceState) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if st.Answer.Err != "" {
		return errors.New(st.Answer.Err)
	}
	return nil
}

// note remembers how a source has answered. mu is held.
func (r *roster) note(st *sourceState, err error) {
	if err == nil {
		if st.Answer.Err != "" {
			r.log.Info("a source answers again", "source", st.Name)
		}
		st.Answer.Err = ""
		return
	}
	st.failures++
	st.failed = time.Now()
	if again := st.Answer.Err == err.Error() && st.failures > 1; !again {
		r.log.Error("a source has no good answer; its last one goes on", "source", st.Name, "hosts", st.Hosts, "age", st.age(), "err", err)
	}
	st.Answer.Err = err.Error()
}

func (st *sourceState) age() time.Duration {
	if st.Answer.Body == nil {
		return 0
	}
	return time.Since(st.Answer.Time).Round(time.Second)
}

// retryAfter is when a source is asked again that has failed, unless its interval
// is shorter.
const retryAfter = time.Minute

// after returns when a source is to be asked again, a little earlier or later than
// its interval says, so that many do not ask at the same time. retry: it did not
// answer.
func (st *sourceState) after(now time.Time, retry bool) time.Time {
	if st.Interval == 0 {
		return time.Time{}
	}
	wait := time.Duration(float64(st.Interval) * (0.9 + 0.2*rand.Float64()))
	if retry {
		wait = min(wait, retryAfter)
	}
	return now.Add(wait)
}

// load reads file with the answers that are known. Sources that are new, or ask
// something else by now, must be in fresh to have one.
func (r *roster) load(file string, fresh map[string]config.Answer) (*config.Config, error) {
	o := loadOptions()
	all, d := config.ReadSources(file, o)
	kept := make(map[string]config.Answer, len(all))
	for _, one := range all {
		kept[one.Name] = r.known(d, one.Name)
	}
	return settle(file, o, kept, fresh)
}

// known returns the answer of a source that counts so far.
func (r *roster) known(d config.Daemon, name string) config.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.all[name]
	if st == nil {
		return readKept(d, name)
	}
	a := st.Answer
	a.Last = st.Taken
	return a
}

// gather reads the files of sources again, and asks those that are new or ask
// something else by now, so that a reload never goes without hosts for a while.
func (r *roster) gather(ctx context.Context, file string) map[string]config.Answer {
	all, d := config.ReadSources(file, loadOptions())
	r.mu.Lock()
	had := make(map[string]int)
	all = slices.DeleteFunc(all, func(one config.Source) bool {
		st := r.all[one.Name]
		if st != nil {
			had[one.Name] = st.Hosts
		}
		return one.File == "" && st != nil && st.Answer.Body != nil && asks(st.Source) == asks(one)
	})
	r.mu.Unlock()
	ctx, cancel := within(ctx, reloadPatience)
	defer cancel()
	return askAll(ctx, d, all, func(name string) int { return had[name] })
}

// Sources implements api.Sources.
func (r *roster) Sources() wire.Sources {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := wire.Sources{Sources: []wire.Source{}}
	for _, name := range slices.Sorted(maps.Keys(r.all)) {
		out.Sources = append(out.Sources, r.all[name].wire())
	}
	return out
}

func (st *sourceState) wire() wire.Source {
	out := wire.Source{
		Name: st.Name, Hosts: st.Hosts, Up: st.up(), Error: wire.Text(st.Answer.Err), Failures: st.failures,
		LastFailure: wire.Moment(st.failed), Next: wire.Moment(st.next), Refused: []wire.RefusedHost{},
	}
	if st.Answer.Body != nil {
		out.LastSuccess = wire.Moment(st.Answer.Time)
	}
	for _, r := range st.Refused {
		out.Refused = append(out.Refused, wire.RefusedHost{Host: wire.Text(r.Host), Line: r.Line, Kept: r.Kept, Error: wire.Text(r.Why)})
	}
	return out
}

func (st *sourceState) up() bool { return st.Answer.Body != nil && st.Answer.Err == "" }

// Refresh implements api.Sources.
func (r *roster) Refresh(ctx context.Context, names []string, order api.ReloadOrder) (wire.Sources, error) {
	waits, err := r.ordered(names, order)
	if err != nil {
		return wire.Sources{}, err
	}
	for _, asked := range waits {
		select {
		case <-asked:
		case <-ctx.Done():
			return wire.Sources{}, ctx.Err()
		}
	}
	out := r.Sources()
	out.Sources = slices.DeleteFunc(out.Sources, func(one wire.Source) bool { return len(names) > 0 && !slices.Contains(names, one.Name) })
	return out, nil
}

// ordered makes sources due now. The channels are closed when they were asked.
func (r *roster) ordered(names []string, order api.ReloadOrder) ([]chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(r.all))
	}
	for _, name := range names {
		if r.all[name] == nil {
			return nil, wire.NewError(404, "there is no source %q", name)
		}
	}
	var waits []chan struct{}
	for _, name := range names {
		st := r.all[name]
		wait := &st.asked
		if st.asking { // what it answers may be older than the order
			wait = &st.again
		}
		if *wait == nil {
			*wait = make(chan struct{})
		}
		st.next, st.order = time.Now(), order
		waits = append(waits, *wait)
	}
	r.stir()
	return waits, nil
}

// saysSources says whether all sources have answered, and with hosts that can be
// taken.
func (h *house) saysSources() (alf.Status, string) {
	r := h.roster
	r.mu.Lock()
	defer r.mu.Unlock()
	var hosts, partly int
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(r.all)) {
		st := r.all[name]
		hosts += st.Hosts
		switch {
		case st.Answer.Err != "":
			wrong = append(wrong, fmt.Sprintf("%s: %s", name, st.Answer.Err))
		case st.Answer.Body == nil:
			wrong = append(wrong, name+": it was never asked")
		case len(st.Refused) > 0:
			partly++
			wrong = append(wrong, fmt.Sprintf("%s: of its hosts, %d have mistakes: %s", name, len(st.Refused), st.Refused[0].Why))
		}
	}
	perfdata := fmt.Sprintf("sources=%d hosts=%d failing=%d", len(r.all), hosts, len(wrong))
	if len(wrong) == 0 {
		return alf.OK, ownOutput(fmt.Sprintf("OK - all %d have answered, hosts: %d", len(r.all), hosts), perfdata, nil)
	}
	first := fmt.Sprintf("WARNING - %d of %d have no good answer, and their last ones go on: %s", len(wrong)-partly, len(r.all), wrong[0])
	if partly == len(wrong) {
		first = fmt.Sprintf("WARNING - %d of %d have hosts with mistakes, which are not taken: %s", partly, len(r.all), wrong[0])
	}
	return alf.Warning, ownOutput(first, perfdata, wrong)
}

// measureSources adds how the sources are doing.
func (h *house) measureSources() {
	by := func(f func(*sourceState) float64) func() map[string]float64 {
		return func() map[string]float64 { return h.roster.measure(f) }
	}
	m := h.metrics
	m.GaugeBy("alf_source_hosts", "Hosts that are in the configuration because of a source.", "source", by(func(st *sourceState) float64 { return float64(st.Hosts) }))
	m.GaugeBy("alf_source_hosts_refused", "Hosts of its last answer with mistakes.", "source", by(func(st *sourceState) float64 { return float64(len(st.Refused)) }))
	m.GaugeBy("alf_source_last_success_timestamp_seconds", "When a source gave the last answer that was taken.", "source", by(func(st *sourceState) float64 {
		if st.Answer.Body == nil {
			return 0
		}
		return sinks.Timestamp(st.Answer.Time)
	}))
	m.GaugeBy("alf_source_up", "1 if the last answer of a source was taken, else 0.", "source", by(func(st *sourceState) float64 {
		if st.up() {
			return 1
		}
		return 0
	}))
	m.CounterBy("alf_source_failures_total", "Times that a source gave no answer that could be taken.", "source", by(func(st *sourceState) float64 { return float64(st.failures) }))
}

func (r *roster) measure(f func(*sourceState) float64) map[string]float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]float64, len(r.all))
	for name, st := range r.all {
		out[name] = f(st)
	}
	return out
}
