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
		s, got := &slots{limit: 1}, make(chan byte)
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
