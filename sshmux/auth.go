package sshmux

import (
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
	problems []error // the keys that could not be had, and why
	release  func()  // ends the talk with the agent; nil without one
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
	password := t.password()
	tries := maxTries
	if password != "" {
		tries--
	}
	if signers = distinct(signers, tries); len(signers) > 0 {
		// One method with all keys: x/crypto tries each method once.
		c.methods = append(c.methods, ssh.PublicKeys(signers...))
	}
	if password != "" {
		c.methods = append(c.methods, ssh.Password(password), ssh.KeyboardInteractive(answer(password)))
	}
	if len(c.methods) == 0 {
		c.close()
		return nil, errors.Join(append([]error{errors.New("nothing to log in with")}, c.problems...)...)
	}
	return c, nil
}

func (c *credentials) close() {
	if c.release != nil {
		c.release()
	}
}

// distinct drops keys that come twice, and those for which there are not tries enough.
func distinct(signers []ssh.Signer, tries int) []ssh.Signer {
	seen := make(map[string]bool)
	var list []ssh.Signer
	for _, s := range signers {
		blob := string(s.PublicKey().Marshal())
		if !seen[blob] && len(list) < tries {
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
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("identity file: %w", err)
	}
	if info.Mode()&fs.ModeNamedPipe != 0 { // to open it could take for ever
		return nil, fmt.Errorf("identity file %s is a pipe", file)
	}
	if mode := info.Mode().Perm(); ours(info) && mode&0o077 != 0 {
		return nil, fmt.Errorf("identity file %s: others may read it (mode %#o): run chmod 600 on it", file, mode)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("identity file: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
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

// askAgent returns the agent's keys. The connection stays open until close or the end of the
// context, because the keys sign over it; and an agent may take for ever, as one does that asks
// a person.
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
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c.release = func() {
		stop()
		conn.Close()
	}
	signers, err := agent.NewClient(conn).Signers()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("agent %s: %w", socket, err))
	}
	return signers
}
