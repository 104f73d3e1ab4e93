package sshmux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
)

// guard is a host in memory that keeps a book of failed logins as sshd does, under one address
// that has many names.
type guard struct {
	*host

	mu     sync.Mutex
	mood   mood
	logins []time.Time // that have failed
	sum    float64     // of penalties, at the time as of which
	asOf   time.Time
	worst  float64
	denied int // connections that ended before a login was tried
}

// mood is what a host does with those that connect.
type mood int

const (
	well     mood = iota
	picky         // refuses all logins
	taciturn      // says nothing
	halting       // greets, and says nothing more
	hangs         // hangs up at once
	full          // says that it has too many
	crash         // greets, and hangs up
	absent
	moods
)

// placed is a connection that tells where it ends.
type placed struct {
	net.Conn
	at net.Addr
}

func (p placed) RemoteAddr() net.Addr { return p.at }

func (g *guard) Dial(context.Context, string, string) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mood == absent {
		return nil, errors.New("no route to host")
	}
	up, down := newHalf(), newHalf()
	go g.serve(memory{in: up, out: down}, g.mood)
	return placed{memory{in: down, out: up}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 22}}, nil
}

func (g *guard) serve(c net.Conn, m mood) {
	defer c.Close()
	tried, in, crashed := false, false, false
	defer func() {
		if !in && m != full {
			g.punish(tried, crashed)
		}
	}()
	switch m {
	case taciturn:
		io.Copy(io.Discard, c)
		return
	case hangs:
		return
	case full:
		io.WriteString(c, "Exceeded MaxStartups\r\n")
		return
	case halting, crash:
		io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n")
		if m == halting {
			io.Copy(io.Discard, c)
		} else {
			_, err := io.ReadFull(c, make([]byte, 20))
			crashed = err == nil // or we have hung up first
		}
		return
	}
	config := g.config
	config.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
		tried = true
		if m == picky {
			return nil, ssh.ErrNoAuth
		}
		return nil, nil
	}
	_, channels, requests, err := ssh.NewServerConn(c, &config)
	if err != nil {
		return
	}
	in = true
	go ssh.DiscardRequests(requests)
	first := true
	for ch := range channels {
		if first {
			first = false
			go obey(ch, rand.N(40*time.Second))
			continue
		}
		ch.Reject(ssh.ConnectionFailed, "open failed")
	}
}

// obey plays a command that takes a while, or a kill.
func obey(n ssh.NewChannel, d time.Duration) {
	ch, requests, err := n.Accept()
	if err != nil {
		return
	}
	defer ch.Close()
	for r := range requests {
		if r.Type != "exec" {
			continue
		}
		if nonce := nonceIn.FindStringSubmatch(string(r.Payload)); nonce != nil {
			io.WriteString(ch, nonce[1]+" 4242\nOK\n")
			time.Sleep(d)
		}
		ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{0}))
		return
	}
}

// toOne looks up names, all of which are the guard's.
func toOne(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
}

// punish does as srclimit.c of OpenSSH 9.8.
func (g *guard) punish(login, crash bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.sum = max(0, g.sum-now.Sub(g.asOf).Seconds())
	g.asOf = now
	switch {
	case crash: // is 90 s, and so more than it bears even once
		g.logins = append(g.logins, now)
	case !login:
		g.sum++
		g.denied++
	default:
		g.sum += 5
		g.logins = append(g.logins, now)
	}
	g.worst = max(g.worst, g.sum)
}

// book returns the failed logins and the greatest sum of penalties so far.
func (g *guard) book() ([]time.Time, float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.logins), g.worst
}

// most returns the greatest number of times within d.
func most(times []time.Time, d time.Duration) int {
	n, from := 0, 0
	for i, at := range times {
		for at.Sub(times[from]) > d {
			from++
		}
		n = max(n, i-from+1)
	}
	return n
}

// However it is that Alf dials, no address is charged with more failed logins than sshd bears.
func TestNeverLockedOut(t *testing.T) {
	// Not beside others: their processes would have it wait for a processor at each step.
	seeds, d := uint64(2), 4*time.Hour
	if *long {
		seeds, d = 6, 8*time.Hour
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { besiege(t, rand.New(rand.NewPCG(seed, 1)), d, seed%2 == 0) })
		})
	}
}

func besiege(t *testing.T, r *rand.Rand, d time.Duration, lookUp bool) {
	h, target := newHost(t)
	g := &guard{host: h, asOf: time.Now()}
	m := newMux(t, Options{Dial: g.Dial, KeepaliveInterval: 5 * time.Second})
	if lookUp {
		m.lockout.lookup = toOne
	}
	generation := 0
	pick := func() Target {
		target := target
		target.User = []string{"monitor", "backup", "root"}[r.IntN(3)]
		target.Addr = []string{"192.0.2.1:22", "web1:22", "WEB1.:22", "[::ffff:192.0.2.1]:22", "www:22"}[r.IntN(5)]
		target.HostKeyAlias = "web1"
		target.MaxSessions = 1 + generation // another one after each reload
		if r.IntN(10) == 0 {
			target.KnownHosts = []string{t.TempDir() + "/none"}
		}
		return target
	}
	var wg sync.WaitGroup
	start := time.Now()
	for time.Since(start) < d {
		target := pick()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		wg.Go(func() {
			defer cancel()
			switch n := rand.N(20); {
			case n == 0:
				target.Addr = "192.0.2.1:22" // a probe looks names up for real
				m.Probe(ctx, target)
			case n == 1:
				m.HostKey(ctx, target)
			case n < 6:
				m.Hurry(target)
				m.Run(ctx, target, Command{Argv: []string{"check"}, Priority: 2})
			case n < 10:
				m.PingWithin(ctx, target, 5*time.Second)
			default:
				m.Run(ctx, target, Command{Argv: []string{"check"}, Timeout: time.Second})
			}
		})
		if r.IntN(100) == 0 {
			generation++
			m.Retain(func(Target) bool { return r.IntN(2) == 0 })
		}
		if r.IntN(150) == 0 {
			g.mu.Lock()
			g.mood = mood(r.IntN(int(moods)))
			if r.IntN(2) == 0 {
				g.mood = picky
			}
			g.mu.Unlock()
			if r.IntN(2) == 0 {
				m.Retain(func(Target) bool { return false }) // so that links are dialled anew
			}
		}
		time.Sleep(time.Duration(r.ExpFloat64() * float64(2*time.Second)))
	}
	wg.Wait()
	m.Close()
	synctest.Wait()
	quick, slow := most(g.logins, 30*time.Second), most(g.logins, time.Hour)
	t.Logf("%d failed logins, at most %d in 30 s and %d in an hour; %d connections without one; worst sum of penalties %.1f s", len(g.logins), quick, slow, g.denied, g.worst)
	if quick > 2 || slow > 10 || g.worst >= 15 {
		t.Errorf("%d failed logins in 30 s, %d in an hour, %.1f s of penalties; want at most 2, 10 and less than 15", quick, slow, g.worst)
	}
	if enough := int(2 * d / time.Hour); len(g.logins) < enough || g.denied < enough {
		t.Errorf("%d failed logins and %d other failures in %v: this has tried nothing", len(g.logins), g.denied, d)
	}
	m.lockout.mu.Lock()
	defer m.lockout.mu.Unlock()
	for name, d := range m.lockout.doors {
		if d.under != 0 || d.waiting.Len() != 0 {
			t.Errorf("%s: %d logins under way, %d wait", name, d.under, d.waiting.Len())
		}
	}
}

// Names of one address are found out to be that before they have done harm.
func TestNamesOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, proto := newHost(t)
		g := &guard{host: h, asOf: time.Now(), mood: picky}
		m := newMux(t, Options{Dial: g.Dial})
		m.lockout.lookup = toOne
		proto.HostKeyAlias = "web1"
		var wg sync.WaitGroup
		var spared atomic.Int32
		for i := range 8 {
			wg.Go(func() {
				target := proto
				target.Addr = fmt.Sprintf("name%d:22", i)
				_, err := m.Run(t.Context(), target, Command{Argv: []string{"check"}})
				if e := kind(t, err, Auth, PhaseAuth); strings.Contains(e.Error(), "not tried again yet") {
					spared.Add(1)
					if time.Until(e.Retry) < 30*time.Second {
						t.Errorf("err = %v, want the next attempt in 30 s at the earliest", err)
					}
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if logins, worst := g.book(); len(logins) != 2 || spared.Load() != 6 || worst > 10 {
			t.Errorf("%d failed logins, %d spared, %v s of penalties; want 2, 6 and 10", len(logins), spared.Load(), worst)
		}

		// One that is known to be good may have the last of the hour.
		g.mu.Lock()
		g.mood = well
		g.mu.Unlock()
		time.Sleep(time.Minute)
		good := proto
		good.Addr = "name0:22"
		if _, err := m.Ping(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		g.mu.Lock()
		g.mood = picky
		g.mu.Unlock()
		bad := proto
		bad.User = "nobody"
		for range 55 * 6 {
			m.Run(t.Context(), bad, Command{Argv: []string{"check"}})
			time.Sleep(10 * time.Second)
		}
		if logins, _ := g.book(); len(logins) != 9 {
			t.Errorf("%d failed logins within an hour, want 9", len(logins))
		}
		g.mu.Lock()
		g.mood = well
		g.mu.Unlock()
		m.links[good.Key()].conn.close(errors.New("lost"))
		synctest.Wait()
		if _, err := m.Ping(t.Context(), good); err != nil {
			t.Error(err)
		}
		if logins, _ := g.book(); most(logins, time.Hour) > 10 {
			t.Errorf("%d failed logins within an hour", most(logins, time.Hour))
		}
	})
}

// What sshd's own log says of the same, with three accounts, two names and a wrong key, while
// people order and reload: in 30 s, and in an hour that passes in less.
func TestFewFailedLoginsInSSHDsLog(t *testing.T) {
	t.Parallel()
	f := func(t *testing.T, scale time.Duration, d time.Duration, most int) {
		t.Parallel()
		server := sshdtest.Start(t, sshdtest.Options{})
		m := newMux(t, Options{})
		m.lockout.short /= scale
		m.lockout.long /= scale
		stranger := target(server)
		_, text := sshdtest.NewKey(t)
		stranger.IdentityFiles = []string{filepath.Join(t.TempDir(), "other")}
		writeKey(t, stranger.IdentityFiles[0], text)
		port := server.Addr[strings.LastIndex(server.Addr, ":"):]
		known := writeKnown(t, "web "+sshdtest.AuthorizedKey(server.HostKey))
		ctx := within(t, d)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					target := stranger
					target.MaxSessions = n + 1 // as if reloaded
					target.Addr = []string{"127.0.0.1", "localhost"}[i%2] + port
					target.HostKeyAlias = "web"
					target.KnownHosts = []string{known}
					target.User = []string{server.User, "backup", "nobody"}[i/2]
					m.Run(ctx, target, Command{Shell: "true"})
					m.Hurry(target)
					m.Ping(ctx, target)
					m.Hurry(target)
					m.Run(ctx, target, Command{Shell: "true", Priority: 2})
					if i == 0 {
						m.Probe(ctx, target)
					}
					m.Retain(func(t Target) bool { return n%10 > 0 })
				}
			})
		}
		wg.Wait()
		failed, hungUp := server.Failed(), server.Connections()-server.Accepted()-server.Failed()
		t.Logf("%d failed logins and %d connections that ended before one", failed, hungUp)
		if failed > most || failed < most-1 || hungUp > 2 {
			t.Errorf("sshd saw %d failed logins in %v, want %d at most; and %d connections that ended before, want one for the second name or two", failed, d*scale, most, hungUp)
		}
	}
	t.Run("30 s", func(t *testing.T) { f(t, 1, 29*time.Second, 2) })
	t.Run("an hour", func(t *testing.T) { f(t, 250, 14*time.Second, 10) })
}
