package sshmux

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// stuck is a connection of x/crypto that has ended, and does not say so.
type stuck struct {
	ssh.Conn
	ended <-chan struct{}
}

func (s stuck) Wait() error {
	<-s.ended
	return errors.New("too late")
}

func (s stuck) OpenChannel(string, []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	<-s.ended
	return nil, nil, errors.New("too late")
}

// Whatever x/crypto makes of the end of a connection, neither its owner nor a command may hang
// in it, because Close waits for them.
func TestConnectionThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		defer close(ended)
		opens, asks := make(chan ssh.NewChannel), make(chan *ssh.Request)
		up, down := newHalf(), newHalf()
		c := &conn{
			mux: New(Options{}), target: new(Target), ssh: stuck{ended: ended}, opens: opens, asks: asks,
			wire: newMeter(memory{in: up, out: down}, new(counters)), dead: make(chan struct{}),
		}
		r, err := newRequest(Command{Shell: "true"})
		if err != nil {
			t.Fatal(err)
		}
		c.slots.most = 1
		got := make(chan error, 1)
		go func() {
			_, err := c.run(t.Context(), r)
			got <- err
		}()
		close(opens)
		close(asks)
		start := time.Now()
		c.serve()
		close(c.dead)
		if took := time.Since(start); took > closeGrace {
			t.Errorf("serve took %v", took)
		}
		if err := <-got; !errors.Is(err, errLost) {
			t.Errorf("run = %v, want errLost", err)
		}
		c.mux.owners.Wait()
	})
}
