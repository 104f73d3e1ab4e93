package jetstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alf"
	"alf/state"
	"alf/state/jetstream"
)

// noFileSystem ends a test that needs a file system of its own: a failure where
// everything has to be there.
func noFileSystem(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" && os.Getuid() == 0 {
		t.Fatal("needs a file system of its own: ", err)
	}
	t.Skip("needs a file system of its own: ", err)
}

// smallDisk mounts a file system of that many megabytes, if this process may.
func smallDisk(t *testing.T, megabytes int, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		noFileSystem(t, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk writes a file until there is no room left.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		n, err := f.Write(make([]byte, size))
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if n < size {
			size /= 16
		}
	}
}

// safe is a log that tests may read while it is written.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *safe) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func logTo(s *safe) *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }

// TestDiskFull fills the disk twice. Append says so, reading goes on, and when
// there is room again so does Append, in the same process.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, 24, 0)
	var said safe
	o := jetstream.Options{Dir: filepath.Join(dir, "journal"), History: 5, Recent: 1, Log: logTo(&said)}
	r, stop := open(t, o)
	n := 0
	big := strings.Repeat("x", 2000)
	add := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		e := result(web, n+1)
		e.Result.LongOutput = big
		err := r.Append(ctx, []*alf.Event{e})
		if err == nil {
			n++
		}
		return err
	}
	for range 2 {
		for range 200 {
			if err := add(); err != nil {
				t.Fatal(err)
			}
		}
		ballast := filepath.Join(dir, "ballast")
		fillDisk(t, ballast)
		err := error(nil)
		for range 1000 {
			if err = add(); err != nil {
				break
			}
		}
		if err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Fatalf("Append on a full disk = %v", err)
		}
		began := time.Now()
		if err := add(); err == nil || time.Since(began) > time.Second {
			t.Errorf("the next Append = %v after %v, want an error at once", err, time.Since(began))
		}
		if s := r.Stats(); !s.Broken {
			t.Error("Stats do not say that nothing can be written")
		}
		want := fmt.Sprint([]int{n, n - 1, n - 2, n - 3, n - 4})
		if got := fmt.Sprint(last(t, r, web)); got != want {
			t.Errorf("Last on a full disk = %v, want %v", got, want)
		}
		if got := follow(t, r, 0, fmt.Sprint(n)); len(got) < n {
			t.Errorf("Follow on a full disk got %d events, want %d", len(got), n)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		for began = time.Now(); add() != nil; time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("Append does not work again: %v\n%s", add(), &said)
			}
		}
		t.Logf("%d events; Append works again after %v", n, time.Since(began).Round(time.Millisecond))
		want = fmt.Sprint([]int{n, n - 1, n - 2, n - 3, n - 4})
		if got := fmt.Sprint(last(t, r, web)); got != want {
			t.Errorf("Last with room again = %v, want %v", got, want)
		}
	}
	if s := r.Stats(); s.Restarts < 2 || s.Broken {
		t.Errorf("Stats = %+v", s)
	}
	settle(t, r)
	stop()
	r, _ = open(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	err := r.Consume(ctx, "new", state.Oldest, func(_ context.Context, events []*alf.Event) error {
		for _, e := range events {
			if s := e.Result.Output; len(got) == 0 || got[len(got)-1] != s { // what was not acknowledged may be there twice
				got = append(got, s)
			}
		}
		if got[len(got)-1] == fmt.Sprint(n) {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(got) != n {
		t.Errorf("%d different events are kept, want %d; %v", len(got), n, err)
	}
}

// TestDiskFullAtStart is about an Alf that is started on a full disk.
func TestDiskFullAtStart(t *testing.T) {
	dir := smallDisk(t, 8, 0)
	fillDisk(t, filepath.Join(dir, "ballast"))
	_, err := jetstream.Open(t.Context(), jetstream.Options{Dir: filepath.Join(dir, "journal")})
	if err == nil || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open = %v", err)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, 8, syscall.MS_RDONLY)
	_, err := jetstream.Open(t.Context(), jetstream.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "read-only") || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open = %v", err)
	}
}

// TestForbiddenDirectory opens what belongs to somebody else.
func TestForbiddenDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its rights
		if os.Getuid() == 0 {
			syscall.Setfsuid(65534)
		}
		_, err := jetstream.Open(t.Context(), jetstream.Options{Dir: dir})
		done <- err
	}()
	if err := <-done; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open = %v", err)
	}
}

func TestNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := jetstream.Open(t.Context(), jetstream.Options{Dir: file})
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Open = %v", err)
	}
}

// TestDamage damages files and opens the record. What stands before the damage
// is there, IDs go on, and all works.
func TestDamage(t *testing.T) {
	const n = 2000
	o := jetstream.Options{Dir: t.TempDir(), History: 5, MaxBytes: 2 << 20, Recent: 1}
	r, stop := open(t, o)
	for i := range n / 10 {
		var events []*alf.Event
		for k := range 10 {
			e := result(alf.Key{Host: "h", Service: alf.ServiceName(fmt.Sprint(k))}, 10*i+k)
			e.Result.LongOutput = strings.Repeat(fmt.Sprint(i), 40)
			events = append(events, e)
		}
		put(t, r, events...)
	}
	settle(t, r)
	consume(t, r, "sink", fmt.Sprint(n-1))
	killed := copyOf(t, o.Dir)
	stop()
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	zero := func(b []byte) []byte { return make([]byte, len(b)) }
	gone := func([]byte) []byte { return nil }
	hole := func(b []byte) []byte { copy(b[len(b)/2:], make([]byte, min(4096, len(b)/2))); return b }
	for _, c := range []struct {
		name, files string
		which       func([]string) []string
		damage      func([]byte) []byte
		whole       bool // nothing may be missing in heads and histories
	}{
		{"FeedEndCut", "ALF_FEED/msgs/*.blk", end, cut, true},
		{"FeedEndZero", "ALF_FEED/msgs/*.blk", end, zero, true},
		{"FeedBeginZero", "ALF_FEED/msgs/*.blk", begin, zero, true},
		{"FeedHole", "ALF_FEED/msgs/*.blk", begin, hole, true},
		{"FeedZero", "ALF_FEED/msgs/*.blk", all, zero, true},
		{"FeedGone", "ALF_FEED/msgs/*", all, gone, true},
		{"HistoryEndCut", "ALF_RESULTS_2M/msgs/*.blk", end, cut, true},
		{"HistoryZero", "ALF_RESULTS_2M/msgs/*.blk", all, zero, true},
		{"PlacesZero", "ALF_PLACES/msgs/*.blk", all, zero, true},
		{"PlacesCut", "ALF_PLACES/msgs/*.blk", all, cut, true},
		{"IndexZero", "*/msgs/index.db", all, zero, true},
		{"IndexCut", "*/msgs/index.db", all, cut, true},
		{"AllCut", "*/msgs/*", all, cut, false},
		{"AllZero", "*/msgs/*", all, zero, false},
		{"MetaZero", "*/meta.*", all, zero, false},
		{"MetaCut", "*/meta.inf", all, cut, false},
	} {
		for state, dir := range map[string]string{"Closed": o.Dir, "Killed": killed} {
			if state == "Killed" && strings.HasPrefix(c.name, "Index") {
				continue // there is none
			}
			t.Run(c.name+"/"+state, func(t *testing.T) {
				o := o
				o.Dir = copyOf(t, dir)
				files, err := filepath.Glob(filepath.Join(o.Dir, "jetstream/$G/streams", c.files))
				if err != nil || len(files) == 0 {
					t.Fatalf("no %s, %v", c.files, err)
				}
				for _, name := range c.which(files) {
					b, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(name, c.damage(b), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				var said safe
				o.Log = logTo(&said)
				r, _ := open(t, o)
				defer func() {
					if t.Failed() {
						t.Logf("%d files, %s", len(c.which(files)), &said)
					}
				}()
				afterDamage(t, r, n, c.whole)
			})
		}
	}
}

func begin(s []string) []string { return s[:1] }
func end(s []string) []string   { return s[len(s)-1:] }
func all(s []string) []string   { return s }

func afterDamage(t *testing.T, r *jetstream.Record, n int, whole bool) {
	if h := heads(t, r); whole && len(h) != 10 {
		t.Errorf("%d heads, want 10", len(h))
	}
	key := alf.Key{Host: "h", Service: "9"}
	if got, want := last(t, r, key), fmt.Sprint([]int{n - 1, n - 11, n - 21, n - 31, n - 41}); whole && fmt.Sprint(got) != want {
		t.Errorf("Last = %v, want %v", got, want)
	}
	next := result(key, n+8)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) { // the server may have to start anew
		err := r.Append(t.Context(), []*alf.Event{next})
		if err == nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal(err)
		}
	}
	if whole && next.ID <= alf.ID(n) {
		t.Errorf("the next ID is %d, which is used", next.ID)
	}
	if got := last(t, r, key); len(got) == 0 || got[0] != next.Result.Output {
		t.Errorf("Last = %v after an Append of %s", got, next.Result.Output)
	}
	if ids := follow(t, r, 0, next.Result.Output); !slices.IsSorted(ids) {
		t.Error("events come in another order")
	}
	if ids := consume(t, r, "sink", next.Result.Output); ids[len(ids)-1] != next.ID {
		t.Errorf("the consumer got %v", ids)
	}
	settle(t, r)
}
