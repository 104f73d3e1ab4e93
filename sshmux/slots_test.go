package sshmux

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// queue lets who is named by letters wait for the one slot of a connection, each
// with its digit as priority, and returns in which order they get it. An x gives
// up before that.
func queue(t *testing.T, names string) string {
	var order strings.Builder
	synctest.Test(t, func(t *testing.T) {
		s, got := &slots{most: 1}, make(chan byte)
		if err := s.acquire(t.Context(), nil, time.Hour, 0); err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(names)
		for _, f := range fields {
			go func() {
				limit := time.Hour
				if f[0] == 'x' {
					limit = time.Second
				}
				if s.acquire(context.Background(), nil, limit, int(f[1]-'0')) == nil {
					got <- f[0]
				}
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		for range len(fields) - strings.Count(names, "x") {
			s.release()
			order.WriteByte(<-got)
		}
		s.release()
		if used, _, waiting := s.state(); used != 0 || waiting != 0 {
			t.Errorf("%d used, %d wait", used, waiting)
		}
		if err := s.acquire(t.Context(), nil, time.Hour, 0); err != nil {
			t.Error(err)
		}
		if err := s.acquire(t.Context(), nil, time.Second, 9); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("none is free: %v", err)
		}
	})
	return order.String()
}

// Of a host that refuses sessions, half of those that it allows are used, and never more than
// the setting; some day that is forgotten.
func TestLimit(t *testing.T) {
	f := func(most, allowed, want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s := &slots{most: most}
			for range allowed {
				s.began()
			}
			if got := s.size(); got != most {
				t.Errorf("size = %d before the host has refused one, want %d", got, most)
			}
			for range 3 {
				s.refused()
			}
			if got := s.size(); got != want {
				t.Errorf("%d sessions, %d allowed: size = %d, want %d", most, allowed, got, want)
			}
			for range allowed {
				s.ended()
			}
			if err := s.acquire(t.Context(), nil, time.Hour, 0); err != nil || s.size() != want {
				t.Errorf("acquire = %v, size = %d, want %d still", err, s.size(), want)
			}
			s.release()
			time.Sleep(forgetFull + time.Second)
			if err := s.acquire(t.Context(), nil, time.Hour, 0); err != nil || s.size() != most {
				t.Errorf("acquire = %v, size = %d, want %d again", err, s.size(), most)
			}
		})
	}
	f(5, 0, 5) // it opens none at all, and not because of their number
	f(5, 1, 1)
	f(5, 2, 1)
	f(5, 3, 1)
	f(5, 4, 2)
	f(20, 10, 5)
	f(3, 10, 3)
	f(1, 1, 1)
}

// Who has a slot too many gives it back, and is the first to get one.
func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slots{most: 3}
		for range 3 {
			if err := s.acquire(t.Context(), nil, time.Hour, 0); err != nil {
				t.Fatal(err)
			}
		}
		last := make(chan error, 1)
		go func() { last <- s.acquire(t.Context(), nil, time.Hour, 5) }()
		synctest.Wait()
		s.began()
		s.refused()
		turn, spent := s.yield()
		other, _ := s.yield()
		if turn == nil || other == nil || spent {
			t.Fatalf("yield = %v, %v, %v, want two turns", turn, other, spent)
		}
		if kept, _ := s.yield(); kept != nil {
			t.Error("yield gives up the only slot")
		}
		s.release()
		if err := s.await(t.Context(), nil, time.Second, other); err != nil {
			t.Error(err)
		}
		if s.release() {
			t.Error("release says that the host holds all")
		}
		if err := s.await(t.Context(), nil, time.Second, turn); err != nil {
			t.Error(err)
		}
		s.release()
		if err := <-last; err != nil {
			t.Error(err)
		}
	})
}

func TestPriority(t *testing.T) {
	f := func(names, want string) {
		t.Helper()
		if got := queue(t, names); got != want {
			t.Errorf("%s: %s, want %s", names, got, want)
		}
	}
	f("a0 b0 c0", "abc")
	f("a0 b1 c2 d0", "cbad")
	f("a0 b2 c2 d1", "bcda")
	f("a0 x2 b1", "ba")
	// Nobody is overtaken for ever.
	f("a0 b2 c2 d2 e2 f2 g0", "bcdaefg")
	f("a0 b0 c2 d2 e2 f2 g2 h2 i2", "cdeafghbi")
}

// When the only slots that are left are those that the host holds, someone is told.
func TestSpent(t *testing.T) {
	s := &slots{most: 5}
	for range 3 {
		if err := s.acquire(t.Context(), nil, time.Hour, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.began()
	if s.hold() {
		t.Error("spent while there are others")
	}
	s.refused()
	if s.release() {
		t.Error("spent while a command runs")
	}
	if turn, spent := s.yield(); turn == nil || !spent {
		t.Errorf("yield = %v, %v, want a turn, and that all are held", turn, spent)
	}
}
