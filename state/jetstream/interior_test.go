package jetstream_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alf"
	"alf/state/jetstream"
)

// TestDamagedInterior damages an old block of a history. What the feed still has
// of a key's newest results is there again, above all the newest one.
func TestDamagedInterior(t *testing.T) {
	var said safe
	o := jetstream.Options{Dir: t.TempDir(), History: 3, Recent: 1, Log: logTo(&said)}
	r, stop := open(t, o)
	slow, n := alf.Key{Host: "slow"}, 0
	add := func(key alf.Key) {
		e := result(key, n)
		e.Result.LongOutput = strings.Repeat("x", 50_000)
		put(t, r, e)
		n++
	}
	for i := range 300 { // slow's are in the first block, and nothing of it in the last
		if i < 30 {
			add(slow)
		}
		add(alf.Key{Host: "quick", Service: alf.ServiceName(fmt.Sprint(i % 100))})
	}
	settle(t, r)
	want := last(t, r, slow)
	killed := copyOf(t, o.Dir)
	stop()
	for name, dir := range map[string]string{"Closed": o.Dir, "Killed": killed} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Dir = dir
			damageFirst(t, dir)
			r, _ := open(t, o)
			if got := last(t, r, slow); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("Last = %v, want %v\n%s", got, want, &said)
			}
			if h := heads(t, r); len(h) != 101 || h[slow] != "result "+want[0] {
				t.Errorf("%d heads, slow's is %q", len(h), h[slow])
			}
		})
	}
}

// damageFirst wipes out the beginning of the oldest block of a history.
func damageFirst(t *testing.T, dir string) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream/$G/streams/ALF_RESULTS_2M/msgs/*.blk"))
	if err != nil || len(blocks) < 2 {
		t.Fatalf("%d blocks, %v", len(blocks), err)
	}
	b, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	clear(b[:len(b)/10])
	if err := os.WriteFile(blocks[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}
