package sshmux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxTries is sshd's MaxAuthTries: it ends the connection at the sixth failure, and each key
// that it refuses is one.
const maxTries = 6

// credentials are what one attempt to log in has to offer.
type credentials struct {
	methods  []ssh.AuthMethod
	problems []error  // the keys that could not be had, and why
	agent    net.Conn // nil without an agent
}

// newCredentials reads the target's keys. The caller closes the result when the login is over.
// The error is that there is nothing to offer.
func newCredentials(ctx context.Context, t Target) (*credentials, error) {
	c := new(credentials)
	var signers []ssh.Signer
	for _, file := range t.IdentityFiles {
		s, err := readKey(file)
		if err != nil {
			c.problems = append(c.problems, err)
			continue
		}
		signers = append(signers, s)
	}
	if t.Agent {
		signers = append(signers, c.askAgent(ctx, t)...)
	}
	if signers = distinct(signers, t.Password != ""); len(signers) > 0 {
		// One method with all keys: x/crypto tries each method once.
		c.methods = append(c.methods, ssh.PublicKeys(signers...))
	}
	if t.Password != "" {
		c.methods = append(c.methods, ssh.Password(t.Password), ssh.KeyboardInteractive(answer(t.Password)))
	}
	if len(c.methods) == 0 {
		c.close()
		return nil, errors.Join(append([]error{errors.New("nothing to log in with")}, c.problems...)...)
	}
	return c, nil
}

func (c *credentials) close() {
	if c.agent != nil {
		c.agent.Close()
	}
}

// distinct drops keys that come twice, and those that sshd would not let us try.
func distinct(signers []ssh.Signer, password bool) []ssh.Signer {
	room := maxTries
	if password {
		room--
	}
	seen := make(map[string]bool)
	var list []ssh.Signer
	for _, s := range signers {
		blob := string(s.PublicKey().Marshal())
		if !seen[blob] && len(list) < room {
			list = append(list, s)
		}
		seen[blob] = true
	}
	return list
}

// answer returns what answers each question that is not to be echoed with the password, and
// any other with nothing.
func answer(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range questions {
			if !echos[i] {
				answers[i] = password
			}
		}
		return answers, nil
	}
}

// readKey reads a private key. Like ssh, it refuses a file of ours that others may read.
func readKey(file string) (ssh.Signer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("identity file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("identity file: %w", err)
	}
	if mode := info.Mode().Perm(); ours(info) && mode&0o077 != 0 {
		return nil, fmt.Errorf("identity file %s: others may read it (mode %#o): run chmod 600 on it", file, mode)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		return nil, fmt.Errorf("identity file: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(b.Bytes())
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		return nil, fmt.Errorf("identity file %s is encrypted: use an agent", file)
	}
	if err != nil {
		return nil, fmt.Errorf("identity file %s: %w", file, err)
	}
	return signer, nil
}

func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}

// askAgent returns the agent's keys. The connection stays open until close, because the keys
// sign over it.
func (c *credentials) askAgent(ctx context.Context, t Target) []ssh.Signer {
	socket := t.AgentSocket
	if socket == "" {
		socket = os.Getenv("SSH_AUTH_SOCK")
	}
	if socket == "" {
		c.problems = append(c.problems, errors.New("agent: SSH_AUTH_SOCK is not set"))
		return nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("agent: %w", err))
		return nil
	}
	c.agent = conn
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("agent %s: %w", socket, err))
	}
	return signers
}
