package jetstream_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"alf"
	"alf/state"
	"alf/state/jetstream"
)

// The full length: go test -run TestKill -kills 100 ./state/jetstream
var kills = flag.Int("kills", 3, "how often TestKill kills")

// victimDir is the environment variable that makes the test binary the victim of
// TestKill, on that directory.
const victimDir = "ALF_TEST_VICTIM"

const (
	victimKeys    = 500
	victimHistory = 5
	victimRate    = 2000 // events per second
)

func victimOptions(dir string) jetstream.Options {
	return jetstream.Options{Dir: dir, History: victimHistory, Recent: 1000}
}

func victimKey(i int) alf.Key {
	return alf.Key{Host: alf.HostName(fmt.Sprint("host ", i/5)), Service: alf.ServiceName(fmt.Sprint("service ", i%5))}
}

// victim appends without end, and says on standard output what is kept ("a", key,
// output, ID) and what its consumer has taken ("c", first and last ID).
func victim(dir string) {
	ctx := context.Background()
	r, err := jetstream.Open(ctx, victimOptions(dir))
	if err != nil {
		fmt.Println("e", err)
		os.Exit(1)
	}
	fmt.Println("o")
	go r.Run(ctx)
	go r.Consume(ctx, "sink", state.Oldest, func(_ context.Context, events []*alf.Event) error {
		_, err := fmt.Printf("c %d %d\n", events[0].ID, events[len(events)-1].ID)
		return err
	})
	intervals := []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 24 * time.Hour}
	start := time.Now()
	for n := 0; ; {
		var events []*alf.Event
		var keys []int
		for range min(victimRate*int(time.Since(start)/time.Millisecond)/1000-n, 300) {
			k := rand.IntN(victimKeys)
			e := result(victimKey(k), rand.Int())
			e.Interval = intervals[(k+n/victimRate)%len(intervals)] // another one every second
			events, keys = append(events, e), append(keys, k)
		}
		n += len(events)
		if err := r.Append(ctx, events); err != nil {
			fmt.Println("e", err)
			os.Exit(1)
		}
		var out []byte
		for i, e := range events {
			out = fmt.Appendf(out, "a %d %s %d\n", keys[i], e.Result.Output, e.ID)
		}
		if _, err := os.Stdout.Write(out); err != nil {
			os.Exit(1)
		}
		time.Sleep(time.Millisecond * time.Duration(1+rand.IntN(20)))
	}
}

// witness is what a victim has said so far, in all its lives.
type witness struct {
	t     *testing.T
	kept  map[alf.Key][]said
	acked int
	last  alf.ID // the newest that was acknowledged
	taken alf.ID // the last that the consumer took
	again int    // events that it got once more
}

type said struct {
	id     alf.ID
	output string
}

// live runs a victim for a while, kills it and takes down what it said.
func (w *witness) live(dir string, after time.Duration) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	time.AfterFunc(after, func() { cmd.Process.Kill() })
	first := true
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		switch line[0] {
		case 'o':
		case 'a':
			w.acknowledged(line)
		case 'c':
			var from, to alf.ID
			fmt.Sscanf(line, "c %d %d", &from, &to)
			if to != 0 { // else it was cut off
				w.took(from, to, first)
				first = false
			}
		default:
			w.t.Fatalf("the victim said %q", line)
		}
	}
	cmd.Wait()
}

func (w *witness) acknowledged(line string) {
	var k int
	var s said
	if n, _ := fmt.Sscanf(line, "a %d %s %d", &k, &s.output, &s.id); n != 3 {
		return // it was cut off
	}
	if s.id <= w.last {
		w.t.Fatalf("ID %d comes after %d", s.id, w.last)
	}
	w.last = s.id
	w.acked++
	w.kept[victimKey(k)] = append(w.kept[victimKey(k)], s)
}

// took notes what the consumer got: it may begin with what it had already, but
// leave nothing out.
func (w *witness) took(from, to alf.ID, first bool) {
	if from > w.taken+1 || !first && from != w.taken+1 {
		w.t.Fatalf("the consumer got %d to %d after %d", from, to, w.taken)
	}
	w.again += int(w.taken + 1 - from)
	w.taken = to
}

// check compares what was said with what a record has.
func (w *witness) check(dir string) {
	w.t.Helper()
	began := time.Now()
	r, stop := open(w.t, victimOptions(dir))
	defer stop()
	took := time.Since(began)
	heads := map[alf.Key]*alf.Event{}
	for e, err := range r.Heads(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		heads[e.Key] = e
	}
	for key, all := range w.kept {
		events, err := r.Last(w.t.Context(), key, victimHistory)
		if err != nil || len(events) == 0 || heads[key] != nil && heads[key].ID != events[0].ID {
			w.t.Fatalf("%v: the head is %+v, Last = %v, %v", key, heads[key], events, err)
		}
		w.compare(key, all, events)
	}
	got := allAfter(w.t, r, w.taken)
	if len(got) > 0 && (got[0] != w.taken+1 || !slices.IsSorted(got) || got[len(got)-1] < w.last) {
		w.t.Fatalf("after %d the feed has %d to %d, the last that was acknowledged is %d", w.taken, got[0], got[len(got)-1], w.last)
	}
	w.t.Logf("%d acknowledged, %d got once more, opened in %v", w.acked, w.again, took.Round(time.Millisecond))
}

func (w *witness) compare(key alf.Key, all []said, events []*alf.Event) {
	i := 0
	for _, s := range slices.Backward(all) {
		for i < len(events) && events[i].ID > s.id {
			i++ // was not acknowledged any more
		}
		if i == victimHistory {
			return
		}
		if i == len(events) || events[i].ID != s.id || events[i].Result.Output != s.output {
			w.t.Fatalf("%v: %v is acknowledged and lost, Last has %d events", key, s, len(events))
		}
	}
}

// allAfter returns the IDs of all that a record holds after that one.
func allAfter(t *testing.T, r *jetstream.Record, after alf.ID) (ids []alf.ID) {
	mark := result(alf.Key{Host: "mark"}, 0)
	put(t, r, mark)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	r.Follow(ctx, after, func(_ context.Context, events []*alf.Event) error {
		for _, e := range events {
			if ids = append(ids, e.ID); e.ID == mark.ID {
				stop()
			}
		}
		return nil
	})
	return ids
}

// TestKill kills a process that appends at random moments, and looks for what it
// has acknowledged: now in the directory itself, now in a copy, so that unclean
// ends follow each other, too.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	w := &witness{t: t, kept: make(map[alf.Key][]said)}
	for n := range *kills {
		w.live(dir, 200*time.Millisecond+rand.N(800*time.Millisecond))
		if n%2 == 0 {
			w.check(copyOf(t, dir))
		} else {
			w.check(dir)
		}
	}
	if w.acked == 0 {
		t.Error("nothing was acknowledged")
	}
}
