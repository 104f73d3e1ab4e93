package jetstream_test

import (
	"context"
	"testing"

	"alf/state/jetstream"
	"alf/state/journaltest"
)

func open(t testing.TB, o jetstream.Options) *jetstream.Record {
	t.Helper()
	if o.Dir == "" && o.URL == "" {
		o.Dir = t.TempDir()
	}
	r, err := jetstream.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-done
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestEmbedded(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journaltest.Record {
		return open(t, jetstream.Options{History: journaltest.History, MaxBytes: 30_000})
	})
}
