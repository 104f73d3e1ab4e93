package bench

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alf"
	"alf/actions"
	"alf/state/view"
)

// BenchmarkNotifications lets as many services fail at once as it is long, and waits
// until a webhook on loopback has heard of each: decided, in the ledger, sent, and
// noted as delivered.
func BenchmarkNotifications(b *testing.B) {
	var heard atomic.Int64
	all := make(chan struct{})
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if heard.Add(1) == int64(b.N) {
			close(all)
		}
	}))
	defer hook.Close()
	record, stop := openJournal(b, b.TempDir(), false)
	defer stop()
	host := &alf.Host{Name: "web1"}
	policy := &alf.Policy{Options: alf.AllOptions(), Interval: time.Hour, Actions: []string{"hook"}}
	now := time.Now()
	var services []*alf.Service
	var events []*alf.Event
	for n := range b.N {
		e := journalEvent(n, n)
		e.Key.Host = host.Name
		e.Key.Service += alf.ServiceName(" " + time.Duration(n).String())
		e.Time, e.Change = now, alf.ChangeHard
		e.State.Status, e.State.LastHard, e.State.LastCheck, e.State.LastHardChange, e.State.LastOK = alf.Critical, alf.Critical, now, now, now.Add(-time.Hour)
		events = append(events, e)
		services = append(services, &alf.Service{Key: e.Key, Host: host, Policy: policy})
	}
	inventory := alf.NewInventory([]*alf.Host{host}, services)
	heads := view.New()
	room := actions.New(actions.Options{Feed: record, Ledger: record, Heads: heads, Inventory: func() *alf.Inventory { return inventory }, Log: slog.New(slog.DiscardHandler)})
	if err := room.Adopt([]alf.ActionConfig{{Name: "hook", RetryFor: time.Hour, Spec: &actions.Webhook{URL: alf.Secret(hook.URL)}}}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = heads.Run(ctx, record) })
	running.Go(func() { _ = room.Run(ctx) })
	time.Sleep(100 * time.Millisecond) // the consumer begins with what comes from now on
	b.ResetTimer()
	for len(events) > 0 {
		n := min(len(events), 200)
		if err := record.Append(ctx, events[:n]); err != nil {
			b.Fatal(err)
		}
		events = events[n:]
	}
	select {
	case <-all:
	case <-time.After(2 * time.Minute):
		b.Fatalf("%d of %d were heard of", heard.Load(), b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
}
