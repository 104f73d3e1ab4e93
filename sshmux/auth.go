package sshmux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxTries is sshd's MaxAuthTries: it ends the connection at the sixth failure, and each key
// that it refuses is one.
const maxTries = 6

// credentials are what one attempt to log in has to offer.
type credentials struct {
	keys     []ssh.Signer // of the first method; none: there is no such method
	methods  []ssh.AuthMethod
	names    []string // of the methods
	problems []error  // the keys that could not be had, and why
	doubts   []error  // why certificates may be refused that were offered
	release  func()   // ends the talk with the agent; nil without one
}

// newCredentials reads the target's keys. The caller closes the result when the login is over.
// The error is that there is nothing to offer.
func (m *Mux) newCredentials(ctx context.Context, t Target) (*credentials, error) {
	c := new(credentials)
	signers := c.signers(ctx, &m.keys, t)
	password := t.password()
	tries := maxTries
	if password != "" {
		tries--
	}
	if signers = distinct(signers, tries); len(signers) > 0 {
		// One method with all keys: x/crypto tries each method once.
		c.keys, c.methods, c.names = signers, append(c.methods, ssh.PublicKeys(signers...)), append(c.names, "publickey")
	}
	if password != "" {
		c.methods = append(c.methods, ssh.Password(password), ssh.KeyboardInteractive(answer(password)))
		c.names = append(c.names, "password", "keyboard-interactive")
	}
	if len(c.methods) == 0 {
		c.close()
		return nil, errors.Join(append([]error{errors.New("nothing to log in with")}, c.problems...)...)
	}
	return c, nil
}

// signers returns all keys in the order of ssh: those with certificates, those in files, those
// of the agent.
func (c *credentials) signers(ctx context.Context, keys *keyCache, t Target) []ssh.Signer {
	var certified, plain []ssh.Signer
	for _, file := range t.IdentityFiles {
		s, err := keys.read(file, t.passphrase())
		if err != nil {
			c.problems = append(c.problems, err)
			continue
		}
		plain = append(plain, s)
		beside := file + certBeside
		if _, err := os.Stat(beside); !slices.Contains(t.CertificateFiles, beside) && !errors.Is(err, fs.ErrNotExist) {
			certified = append(certified, c.certify(beside, t.User, s)...)
		}
	}
	if t.Agent {
		plain = append(plain, c.askAgent(ctx, t)...)
	}
	for _, file := range t.CertificateFiles {
		certified = append(certified, c.certify(file, t.User, plain...)...)
	}
	return append(certified, plain...)
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

// maxRounds is how often a host may ask within one login. It may greet without a question.
const maxRounds = 5

// answer returns what answers the one question of keyboard-interactive that we have an answer
// for: one for a secret, which is not to be echoed.
func answer(password string) ssh.KeyboardInteractiveChallenge {
	rounds, told := 0, false
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		rounds++
		switch {
		case rounds > maxRounds:
			return nil, errors.New("the host asks without end")
		case len(questions) == 0:
			return nil, nil
		case told || len(questions) > 1 || echos[0]:
			return nil, fmt.Errorf("the host asks for more than a password: %q", clean([]byte(strings.Join(questions, " "))))
		}
		told = true
		return []string{password}, nil
	}
}

func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}

// likeBefore gives a file the mode and the owner of another one, and its group if that is allowed.
func likeBefore(f *os.File, before fs.FileInfo) error {
	if err := f.Chmod(before.Mode().Perm()); err != nil {
		return err
	}
	stat, ok := before.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	err := f.Chown(int(stat.Uid), int(stat.Gid))
	if ours(before) {
		return nil
	}
	return err
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
