package jetstream_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"alf"
	"alf/perfdata"
	"alf/state/jetstream"
)

// TestLargeEvents appends what no message can take, alone and among others: all
// are kept, the large ones in part, and the histories hold the same.
func TestLargeEvents(t *testing.T) {
	for name, c := range map[string]struct {
		o    jetstream.Options
		size int // of what is too large
	}{
		"Embedded": {jetstream.Options{Dir: t.TempDir()}, 9 << 20},
		"External": {jetstream.Options{URL: external(t)}, 2 << 20},
		"Small":    {jetstream.Options{URL: externalThatTakes(t, 70_000)}, 1 << 18},
	} {
		t.Run(name, func(t *testing.T) {
			r, stop := open(t, c.o)
			text, data := strings.Repeat("ä", c.size/2), strings.Repeat("a=1;1;1;1;1 ", c.size/12)
			numbers, _ := perfdata.Parse(data)
			parsed := len(numbers)
			large := map[alf.ServiceName]func(r *alf.Result, s *alf.State){
				"long":    func(r *alf.Result, _ *alf.State) { r.LongOutput = text },
				"output":  func(r *alf.Result, s *alf.State) { r.Output, s.Output = text, text },
				"stderr":  func(r *alf.Result, s *alf.State) { r.Stderr, s.Stale.Output = text, text },
				"numbers": func(r *alf.Result, _ *alf.State) { r.PerfdataText, r.Perfdata = data, numbers },
				"errors": func(r *alf.Result, _ *alf.State) {
					r.PerfdataText = text
					for range 10_000 {
						r.PerfdataErrors = append(r.PerfdataErrors, "is no number")
					}
				},
			}
			var events []*alf.Event
			for service, enlarge := range large {
				small, e := result(web, len(events)), result(alf.Key{Host: "large", Service: service}, 7)
				enlarge(e.Result, &e.State)
				events = append(events, small, e)
			}
			put(t, r, events...)
			if n := r.Stats().Shortened; n != uint64(len(large)) {
				t.Errorf("%d are shortened, want %d", n, len(large))
			}
			check := func(when string) {
				t.Helper()
				for service := range large {
					got, err := r.Last(t.Context(), alf.Key{Host: "large", Service: service}, 1)
					if err != nil || len(got) != 1 {
						t.Fatalf("%s: Last(%q) = %d events, %v", when, service, len(got), err)
					}
					kept := got[0].Result
					switch all := kept.LongOutput + kept.Output + kept.Stderr; {
					case kept.Cut == 0, !utf8.ValidString(all):
						t.Errorf("%s: %q has cut %d bytes, valid %v", when, service, kept.Cut, utf8.ValidString(all))
					case service == "numbers" && (len(kept.Perfdata) < 500 || (len(kept.Perfdata) < parsed) != (len(kept.PerfdataErrors) == 1)):
						t.Errorf("%s: %d numbers are kept, %v", when, len(kept.Perfdata), kept.PerfdataErrors)
					case service == "long" && (len(all) < 60_000 || !strings.HasPrefix(text, kept.LongOutput)):
						t.Errorf("%s: %d bytes are kept", when, len(all))
					}
				}
				if got, want := last(t, r, web), fmt.Sprint([]int{8, 6, 4, 2, 0}); fmt.Sprint(got) != want {
					t.Errorf("%s: the small ones are %v, want %v", when, got, want)
				}
			}
			check("at once")
			settle(t, r)
			check("in the histories")
			stop()
			r, _ = open(t, c.o)
			check("after a restart")
		})
	}
}

func TestServerThatTakesNothing(t *testing.T) {
	_, err := jetstream.Open(t.Context(), jetstream.Options{URL: externalThatTakes(t, 4096)})
	if err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("Open = %v, want an error that names max_payload", err)
	}
}
