package bench

import (
	"bytes"
	"context"

	"fmt"
	"io"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"

	"alf/internal/sshdtest"
)

// bare is the least that a client of x/crypto can do for a check: one connection without the
// goroutines of ssh.Client, a raw channel for each check, a request without a reply, all output
// and the exit status; no timeout, no queue, no second thought.
type bare struct {
	conn ssh.Conn
	line string // what is sent, the same that Alf sends
}

// dialBare logs in to s.
func dialBare(b *testing.B, s *sshdtest.Server, line string) *bare {
	b.Helper()
	conn, err := openBare(s.Addr, &ssh.ClientConfig{User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(s.Signer)},
		HostKeyCallback: ssh.FixedHostKey(s.HostKey), HostKeyAlgorithms: []string{s.HostKey.Type()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &bare{conn, line}
}

func openBare(addr string, config *ssh.ClientConfig) (ssh.Conn, error) {
	raw, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn, opens, asks, err := ssh.NewClientConn(raw, addr, config)
	if err != nil {
		raw.Close()
		return nil, err
	}
	go drain(opens, asks)
	return conn, nil
}

// drain is the one goroutine that a connection needs beside those of x/crypto. It ends with it.
func drain(opens <-chan ssh.NewChannel, asks <-chan *ssh.Request) {
	for opens != nil || asks != nil {
		select {
		case ch, ok := <-opens:
			if !ok {
				opens = nil
				continue
			}
			ch.Reject(ssh.Prohibited, "")
		case ask, ok := <-asks:
			if !ok {
				asks = nil
				continue
			}
			if ask.WantReply {
				ask.Reply(false, nil)
			}
		}
	}
}

// check runs the line.
func (c *bare) check() error {
	ch, asks, err := c.conn.OpenChannel("session", nil)
	if err != nil {
		return err
	}
	if _, err := ch.SendRequest("exec", false, ssh.Marshal(struct{ Line string }{c.line})); err != nil {
		return err
	}
	out, err := io.ReadAll(ch)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(ch.Stderr())
	if err != nil {
		return err
	}
	status := struct{ Code uint32 }{255}
	for ask := range asks {
		if ask.Type != "exit-status" {
			continue
		}
		if err := ssh.Unmarshal(ask.Payload, &status); err != nil {
			return err
		}
	}
	if status.Code != 0 || !bytes.HasSuffix(out, []byte("OK: ok\n")) || len(said) > 0 {
		return fmt.Errorf("exit status %d, output %q, %q", status.Code, out, said)
	}
	return nil
}
