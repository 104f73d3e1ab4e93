package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// oldest is the oldest server that does what is needed here.
var oldest = [2]int{2, 14}

// connect starts the embedded server, or connects to the other one.
func (r *Record) connect(ctx context.Context) error {
	var err error
	if r.o.URL == "" {
		if r.server, err = start(ctx, r.o, r.log); err != nil {
			return err
		}
		r.conn, err = nats.Connect("", nats.InProcessServer(r.server), nats.MaxReconnects(-1),
			nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(0, 0), nats.ErrorHandler(r.asyncError))
	} else {
		if r.o.SyncAlways {
			return errors.New(`sync = "always" is for the embedded server; an external one has a setting of its own, sync_interval`)
		}
		r.conn, err = r.dial()
	}
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	if err := newEnough(r.conn.ConnectedServerVersion()); err != nil {
		return err
	}
	if r.room() < leastRoom {
		return fmt.Errorf("NATS server takes messages of at most %d bytes; Alf needs max_payload to be %d or more", r.conn.MaxPayload(), leastRoom+envelope)
	}
	r.js, err = jetstream.New(r.conn, jetstream.WithPublishAsyncMaxPending(4096), jetstream.WithPublishAsyncTimeout(ackFor))
	return err
}

func (r *Record) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	r.log.Warn("connection to NATS", "err", err)
}

func (r *Record) dial() (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("alf"), nats.MaxReconnects(-1), nats.ReconnectJitter(time.Second, 2*time.Second),
		nats.ErrorHandler(r.asyncError),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { r.log.Warn("connection to NATS lost", "err", err) }),
		nats.ReconnectHandler(func(*nats.Conn) { r.log.Info("connected to NATS again") }),
	}
	if r.o.Credentials != "" {
		options = append(options, nats.UserCredentials(r.o.Credentials))
	}
	if r.o.CA != "" {
		options = append(options, nats.RootCAs(r.o.CA))
	}
	return nats.Connect(r.o.URL, options...)
}

func newEnough(version string) error {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return fmt.Errorf("NATS server has version %q, which cannot be read", version)
	}
	if slices.Compare([]int{major, minor}, oldest[:]) < 0 {
		return fmt.Errorf("NATS server has version %s; Alf needs %d.%d or newer", version, oldest[0], oldest[1])
	}
	return nil
}
