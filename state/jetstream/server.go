package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
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
		if r.conn, err = r.dial(); err != nil {
			return fmt.Errorf("%s: %w", r.o.where(), err)
		}
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
	if errors.Is(err, nats.ErrPermissionViolation) && r.deny != nil {
		r.deny(err)
	}
	r.warn(err)
}

// warn logs what is wrong with the connection when that changes.
func (r *Record) warn(err error) {
	r.mu.Lock()
	known := r.trouble
	r.trouble = err.Error()
	r.mu.Unlock()
	if known != err.Error() {
		r.log.Warn("connection to NATS", "err", err)
	}
}

func (r *Record) reconnected(*nats.Conn) {
	r.mu.Lock()
	r.trouble = ""
	r.mu.Unlock()
	r.log.Info("connected to NATS again")
}

// because adds to err that the user may not do something, if that is so: then the
// server does not answer, and what waits for it runs out of time.
func (r *Record) because(err error) error {
	if why := r.conn.LastError(); errors.Is(why, nats.ErrPermissionViolation) {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

func (r *Record) dial() (*nats.Conn, error) {
	for server := range strings.SplitSeq(r.o.URL, ",") {
		if _, err := url.Parse(strings.TrimSpace(server)); err != nil {
			return nil, errors.New("url cannot be read") // err holds it with all its secrets
		}
	}
	d := &dialer{Dialer: net.Dialer{Timeout: nats.DefaultTimeout}}
	options := []nats.Option{
		nats.Name("alf"), nats.SetCustomDialer(d), nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectJitter(500*time.Millisecond, 500*time.Millisecond),
		// Who is refused now may be let in again: a user comes back, a certificate is renewed.
		nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(r.asyncError),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // else Close did it
				r.log.Warn("connection to NATS lost", "err", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { r.warn(err) }),
		nats.ReconnectHandler(r.reconnected),
	}
	if r.o.Credentials != "" {
		options = append(options, nats.UserCredentials(r.o.Credentials))
	}
	if r.o.CA != "" {
		options = append(options, nats.RootCAs(r.o.CA))
	}
	if r.o.Cert != "" {
		options = append(options, nats.ClientCert(r.o.Cert, r.o.Key))
	}
	conn, err := nats.Connect(r.o.URL, options...)
	if err != nil {
		return nil, r.explain(err, d)
	}
	return conn, nil
}

// explain adds to err what the client library does not say.
func (r *Record) explain(err error, d *dialer) error {
	if why := d.why(); errors.Is(err, nats.ErrNoServers) && why != nil {
		return why
	}
	if errors.Is(err, nats.ErrAuthorization) && r.o.Credentials != "" {
		return fmt.Errorf("the server refuses the credentials in %q: %w", r.o.Credentials, err)
	}
	// Which of these comes is a matter of luck: the server hangs up after its half
	// of the handshake, and may say why.
	for _, text := range []string{"remote error: tls", "closed by remote after TLS handshake"} {
		switch known := strings.Contains(err.Error(), text); {
		case known && r.o.Cert == "":
			return fmt.Errorf("the server wants a certificate of its user, cert and key: %w", err)
		case known:
			return fmt.Errorf("the server refuses the certificate in %q: %w", r.o.Cert, err)
		}
	}
	return err
}

// dialer remembers why the last connection was not made, which the client
// library keeps to itself.
type dialer struct {
	net.Dialer
	mu  sync.Mutex
	err error
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.Dialer.Dial(network, address)
	d.mu.Lock()
	d.err = err
	d.mu.Unlock()
	return conn, err
}

func (d *dialer) why() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
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
