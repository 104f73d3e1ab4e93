package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"alf"
)

// tagger makes entity tags. All that is served from the view and the inventory
// is as it was as long as neither has changed, and no timeperiod in which a
// dependency holds has begun or ended.
type tagger struct {
	started time.Time

	mu         sync.Mutex
	inventory  *alf.Inventory
	generation int          // of inventory
	periods    []alf.Period // of its dependencies
}

func (t *tagger) tag(inventory *alf.Inventory, last alf.ID, f format, now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inventory != inventory {
		t.inventory = inventory
		t.generation++
		t.periods = periods(inventory)
	}
	var in strings.Builder // one digit for each period
	for _, p := range t.periods {
		in.WriteByte("01"[rank(p.Contains(now))])
	}
	return fmt.Sprintf(`"%x-%d-%d-%s%s"`, t.started.UnixNano(), t.generation, last, f.name, &in)
}

// periods returns the timeperiods in which dependencies of inventory hold.
func periods(inventory *alf.Inventory) (out []alf.Period) {
	names := make(map[string]bool)
	for _, s := range inventory.Services() {
		for i := range s.Dependencies {
			names[s.Dependencies[i].Period] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if p := inventory.Period(name); p != nil {
			out = append(out, p)
		}
	}
	return out
}

// answer answers with what read returns, a list or one of wire's structs, unless
// the caller has it already.
func (a *API) answer(w http.ResponseWriter, r *http.Request, read func() (any, error)) error {
	w.Header().Add("Vary", "Accept")
	f, err := negotiate(r)
	if err != nil {
		return err
	}
	// The tag is older than what is read, so that a change in between is seen
	// by the next request.
	tag := a.tags.tag(a.o.Inventory(), a.o.View.Last(), f, time.Now())
	w.Header().Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return f.answer(w, read)
}

// matches reports whether tag is among those of If-None-Match.
func matches(header []string, tag string) bool {
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == tag || part == "*" {
			return true
		}
	}
	return false
}
