package sshmux

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// From 9.8 on, OpenSSH adds up penalties per source address: 5 s for a failed login, 1 s for a
// connection that ends before one was tried. The sum falls by 1 s per second, and from 15 s on
// sshd refuses all who come from there (RULES S1). We add no more than allowance to it in the
// time of shortMemory, in which it falls by more than that; so our share is never greater, and a
// third is left to others behind the same address.
const (
	loginPenalty  = 5
	hangupPenalty = 1
	allowance     = 10
	// shortMemory and longMemory are the times in which so much may fail. The host may note the
	// end of a connection a little after we did.
	shortMemory = 30*time.Second + lateness
	longMemory  = time.Hour + lateness
	lateness    = 2 * time.Second
	// hourly is how many logins may fail at an address in an hour, the last of them for people and
	// for links whose login is known to be good.
	hourly = 10
	// narrow is how long logins at an address that had no room go one by one (MaxStartups).
	narrow = 10 * time.Minute
)

// lockout counts failed logins by the address at which they failed, whoever tried, and lets
// nobody try when one more failure might have Alf locked out. It outlives the links.
type lockout struct {
	short, long time.Duration
	lookup      func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil: names are not looked up

	mu    sync.Mutex
	doors map[string]*door // those with a login under way or a failure that counts
	swept time.Time
}

// door is what is known of one address.
type door struct {
	under    int       // logins under way
	failures []failure // in their order
	waiting  list.List // of *knock
	leads    string    // for a name: the address that it led to last
	full     time.Time // when the host last had no room for one more
}

// failure is a connection that has ended without a login.
type failure struct {
	at      time.Time
	penalty int
	err     *Error
}

// knock is who waits for the end of a login that is under way.
type knock struct {
	urgent bool
	answer chan error // size 1
}

// spared is the error of a login that is not tried.
type spared struct {
	until time.Time
	last  *Error
}

// Error says what has failed.
func (s *spared) Error() string {
	return fmt.Sprintf("not tried again yet, lest the host lock us out; what failed there last: %v", s.last.Err)
}

// Unwrap returns what failed last.
func (s *spared) Unwrap() error { return s.last.Err }

// reason returns what has failed, which is no news where it is the reason not to try.
func (e *Error) reason() string {
	if s, ok := errors.AsType[*spared](e.Err); ok {
		return s.last.Err.Error()
	}
	return e.Err.Error()
}

// pass is the right to one login. It must be given back.
type pass struct {
	lockout *lockout
	target  Target
	urgent  bool // may be the last one for an hour
	doors   []string
}

// door returns the name of the door of a target: what matters is where it stands, and from where
// it is knocked at.
func (t Target) door() string {
	if t.Via == nil {
		return canonical(t.Addr)
	}
	return canonical(t.Addr) + " from " + canonical(t.Via.Addr)
}

// canonical returns an address in its one form.
func canonical(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(ip.Unmap().String(), port)
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), port)
}

// enter waits until a login at the target is allowed. It waits for other logins that are under
// way there, and not for those that have failed to be forgotten: that error is spared.
func (k *lockout) enter(ctx context.Context, t Target, urgent bool) (*pass, error) {
	p := &pass{lockout: k, target: t, urgent: urgent}
	if err := p.through(ctx, t.door()); err != nil {
		return nil, err
	}
	for _, name := range k.behind(ctx, t) {
		if err := p.through(ctx, name); err != nil {
			p.giveBack(nil)
			return nil, err
		}
	}
	return p, nil
}

// lookupLimit bounds a look-up of what a name leads to. Where it fails, so will the dial.
const lookupLimit = 5 * time.Second

// behind returns the addresses that the name of a target leads to, in an order that is the same
// for all; none for one that is no name, or that is not ours to look up.
func (k *lockout) behind(ctx context.Context, t Target) []string {
	host, port, err := net.SplitHostPort(t.Addr)
	if _, isIP := netip.ParseAddr(host); err != nil || isIP == nil || t.Via != nil {
		return nil
	}
	if k.lookup == nil {
		return k.leads(t.door())
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	found, err := k.lookup(ctx, "ip", host)
	if err != nil {
		return k.leads(t.door())
	}
	var names []string
	for _, ip := range found {
		names = append(names, canonical(net.JoinHostPort(ip.String(), port)))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// leads returns the address that a name led to last.
func (k *lockout) leads(name string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d := k.doors[name]; d != nil && d.leads != "" {
		return []string{d.leads}
	}
	return nil
}

// reached tells to which address the name of the target has led. It may be one at which others
// have failed too often; the error says so, and that the connection is to be ended.
func (p *pass) reached(ctx context.Context, a net.Addr) error {
	err := p.arrive(ctx, a)
	if e, ok := errors.AsType[*Error](err); ok {
		e.penalty = hangupPenalty
	}
	return err
}

func (p *pass) arrive(ctx context.Context, a net.Addr) error {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || p.target.Via != nil {
		return nil
	}
	name, actual := p.doors[0], canonical(tcp.String())
	if name == actual {
		return nil
	}
	p.lockout.mu.Lock()
	p.lockout.doors[name].leads = actual
	p.lockout.mu.Unlock()
	if slices.Contains(p.doors, actual) {
		return nil
	}
	for _, other := range p.doors[1:] {
		p.leave(other, nil)
	}
	p.doors = p.doors[:1]
	return p.through(ctx, actual)
}

// through waits at one door.
func (p *pass) through(ctx context.Context, name string) error {
	k := &knock{urgent: p.urgent, answer: make(chan error, 1)}
	l := p.lockout
	l.mu.Lock()
	d := l.doors[name]
	if d == nil {
		d = new(door)
		l.doors[name] = d
	}
	place := d.waiting.PushBack(k)
	l.open(d, time.Now())
	l.mu.Unlock()
	select {
	case err := <-k.answer:
		return p.passed(name, err)
	case <-ctx.Done():
	}
	l.mu.Lock()
	select {
	case err := <-k.answer:
		l.mu.Unlock()
		return p.passed(name, err)
	default:
	}
	d.waiting.Remove(place)
	l.tidy(name)
	l.mu.Unlock()
	return p.target.fail(Transport, PhaseDial, fmt.Errorf("waiting for its turn behind other logins at this address: %w", context.Cause(ctx)))
}

func (p *pass) passed(name string, err error) error {
	if err == nil {
		p.doors = append(p.doors, name)
		return nil
	}
	if s, ok := errors.AsType[*spared](err); ok {
		e := p.target.fail(s.last.Kind, s.last.Phase, s)
		e.Retry = s.until
		return e
	}
	return err
}

// giveBack ends the login. Of one that has failed, err says why, and what sshd makes of it.
func (p *pass) giveBack(err *Error) {
	for _, name := range p.doors {
		p.leave(name, err)
	}
	p.doors = nil
}

func (p *pass) leave(name string, err *Error) {
	l := p.lockout
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	d := l.doors[name]
	d.under--
	if err != nil && err.penalty > 0 {
		penalty := err.penalty
		if s, ok := errors.AsType[*spared](err); ok {
			err = s.last
		}
		d.failures = append(d.failures, failure{now, penalty, err})
	}
	if err != nil && err.full {
		d.full = now
	}
	l.open(d, now)
	l.tidy(name)
	l.sweep(now)
}

// next returns when the next login at the target may be tried; zero: now.
func (k *lockout) next(t Target) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.doors[t.door()]
	if d == nil {
		return time.Time{}
	}
	until := k.until(d, time.Now(), false)
	if other := k.doors[d.leads]; other != nil {
		if u := k.until(other, time.Now(), false); u.After(until) {
			until = u
		}
	}
	return until
}

// tidy forgets a door of which nothing is to be known. A name is kept as long as something is
// known of the address that it leads to. The caller holds mu.
func (k *lockout) tidy(name string) {
	d := k.doors[name]
	if d != nil && time.Since(d.full) >= narrow && d.under == 0 && len(d.failures) == 0 && d.waiting.Len() == 0 && k.doors[d.leads] == nil {
		delete(k.doors, name)
	}
}

// sweep forgets, once an hour, what is too old to count. The caller holds mu.
func (k *lockout) sweep(now time.Time) {
	if now.Sub(k.swept) < k.long {
		return
	}
	k.swept = now
	for name, d := range k.doors {
		k.forget(d, now)
		k.tidy(name)
	}
}

// open lets in whom it can, and sends away those that it must, in the order in which they came.
func (k *lockout) open(d *door, now time.Time) {
	k.forget(d, now)
	for e := d.waiting.Front(); e != nil; e = d.waiting.Front() {
		n := e.Value.(*knock)
		switch until := k.until(d, now, n.urgent); {
		case !until.IsZero():
			n.answer <- &spared{until, d.failures[len(d.failures)-1].err}
		case !k.room(d, now, n.urgent):
			return
		default:
			d.under++
			n.answer <- nil
		}
		d.waiting.Remove(e)
	}
}

// forget drops what no longer counts.
func (k *lockout) forget(d *door, now time.Time) {
	d.failures = slices.DeleteFunc(d.failures, func(f failure) bool {
		if f.penalty < loginPenalty {
			return now.Sub(f.at) >= k.short
		}
		return now.Sub(f.at) >= k.long
	})
}

// until returns when one more login may fail, apart from those that are under way; zero: now.
func (k *lockout) until(d *door, now time.Time, urgent bool) time.Time {
	var quick, slow time.Time
	sum, logins := loginPenalty, 1
	for _, f := range slices.Backward(d.failures) {
		if now.Sub(f.at) < k.short {
			sum += f.penalty
			if sum > allowance && quick.IsZero() {
				quick = f.at.Add(k.short)
			}
		}
		if f.penalty >= loginPenalty && now.Sub(f.at) < k.long {
			logins++
			if logins > limit(urgent) && slow.IsZero() {
				slow = f.at.Add(k.long)
			}
		}
	}
	return later(quick, slow)
}

// room reports whether all that are under way may fail, and one more.
func (k *lockout) room(d *door, now time.Time, urgent bool) bool {
	if d.under > 0 && now.Sub(d.full) < narrow {
		return false
	}
	sum, logins := (d.under+1)*loginPenalty, d.under+1
	for _, f := range d.failures {
		if now.Sub(f.at) < k.short {
			sum += f.penalty
		}
		if f.penalty >= loginPenalty && now.Sub(f.at) < k.long {
			logins++
		}
	}
	return sum <= allowance && logins <= limit(urgent)
}

func limit(urgent bool) int {
	if urgent {
		return hourly
	}
	return hourly - 1
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
