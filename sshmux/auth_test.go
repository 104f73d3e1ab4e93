package sshmux

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alf/internal/sshdtest"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// keyring serves an agent that holds a new key, and returns its socket and the key.
func keyring(t *testing.T) (socket string, key ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	key, err = ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return agentOf(t, ring), key
}

// agentOf serves an agent, and returns its socket.
func agentOf(t *testing.T, ring agent.Agent) (socket string) {
	t.Helper()
	return socketOf(t, func(c net.Conn) { agent.ServeAgent(ring, c) })
}

// rawKey returns the private key in a file.
func rawKey(t *testing.T, file string) any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAgent(t *testing.T) {
	socket, key := keyring(t)
	m, target, server := start(t, sshdtest.Options{AuthorizedKeys: []string{sshdtest.AuthorizedKey(key)}})
	target.Agent, target.AgentSocket = true, socket
	if got := sh(t, m, target, "echo OK"); got != "OK\n" { // after the identity file, which is refused
		t.Errorf("output = %q", got)
	}
	target.AgentSocket, target.IdentityFiles = "", nil
	t.Setenv("SSH_AUTH_SOCK", socket)
	sh(t, m, target, "true")
	t.Setenv("SSH_AUTH_SOCK", "")
	target.Name = "web2"
	_, err := m.Run(t.Context(), target, Command{Shell: "true"})
	kind(t, err, Config, PhaseAuth)
	if got := server.Accepted(); got != 2 {
		t.Errorf("sshd accepted %d logins, want 2", got)
	}
}

// An agent that is full of keys must not use up the attempts that sshd grants.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	files := []string{server.ClientKey, server.ClientKey}
	for i := range 8 {
		_, text := sshdtest.NewKey(t)
		file := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	target.IdentityFiles = append(files[2:7:7], files[0])
	sh(t, m, target, "true") // the sixth attempt
	target.IdentityFiles = files[2:]
	_, err := m.Run(t.Context(), target, Command{Shell: "true"})
	kind(t, err, Auth, PhaseAuth)
}

func TestPasswordMethods(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*ssh.ServerConfig), password string, ok bool, says ...string) {
		t.Helper()
		h, target := newHost(t)
		change(&h.config)
		target.Password = password
		m := newMux(t, Options{Dial: h.Dial})
		_, err := m.Run(within(t, time.Minute), target, Command{Shell: "true"})
		if ok && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !ok {
			kind(t, err, Auth, PhaseAuth)
		}
		for _, text := range says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want one with %q", name, err, text)
			}
		}
	}
	asks := func(rounds ...[]string) func(*ssh.ServerConfig) {
		return func(c *ssh.ServerConfig) {
			c.PasswordCallback = nil
			c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				var all []string
				for _, questions := range rounds {
					echos := make([]bool, len(questions))
					for i, q := range questions {
						echos[i] = q == "Name: "
					}
					answers, err := ask("", "", questions, echos)
					if err != nil {
						return nil, err
					}
					all = append(all, answers...)
				}
				if strings.Join(all, "") != "hunter2" {
					return nil, errors.New("no")
				}
				return nil, nil
			}
		}
	}
	secret, none := []string{"Password: "}, []string{}
	f("password", func(*ssh.ServerConfig) {}, "hunter2", true)
	f("wrong password", func(*ssh.ServerConfig) {}, "hunter3", false)
	f("keyboard-interactive", asks(none, secret, none), "hunter2", true)
	f("wrong keyboard-interactive", asks(secret), "hunter3", false)
	f("two questions", asks([]string{"Password: ", "Name: "}), "hunter2", false, `asks for more than a password: "Password: Name:"`)
	f("a question that is no secret", asks([]string{"Name: "}), "hunter2", false, `asks for more than a password: "Name:"`)
	f("a second question", asks(secret, []string{"Code: "}), "hunter2", false, `asks for more than a password: "Code:"`)
	f("no end", asks(none, none, none, none, none, none, secret), "hunter2", false, "asks without end")
}

func TestIdentityFiles(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	_, plain := sshdtest.NewKey(t)
	m := newMux(t, Options{})
	f := func(text string, mode os.FileMode, want string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		target := Target{Name: "web1", Addr: "192.0.2.1:22", User: "monitor", KnownHosts: []string{"/nonexistent"}, IdentityFiles: []string{file}}
		_, err := m.Run(t.Context(), target, Command{Shell: "true"})
		kind(t, err, Config, PhaseAuth)
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("err = %v, want one with %q and %s", err, want, file)
		}
	}
	f(string(pem.EncodeToMemory(block)), 0o600, "is encrypted: use an agent, or set its passphrase")
	f(plain, 0o640, "others may read it (mode 0640): run chmod 600")
	f("nonsense", 0o600, "no key found")
}

// No error, no log and no statistic holds what is secret, whatever goes wrong.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	const password, passphrase, token = "hunter3-password", "hunter5-passphrase", "hunter4-token"
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	note := func(err error) { fmt.Fprintf(&said, "%v %+v %#v\n", err, err, err) }

	h, target := newHost(t)
	target.Password, target.Passphrase = password, passphrase
	wrong := newMux(t, Options{Dial: h.Dial, Log: log})
	c := Command{Shell: "exit " + token, Env: []string{"TOKEN=" + token}, Timeout: time.Millisecond}
	for range 2 {
		_, err := wrong.Run(t.Context(), target, c)
		note(err)
	}
	_, err := wrong.Run(t.Context(), target, Command{Shell: "x", Env: []string{"TOKEN=" + token + "\x00", "A B=" + token}})
	note(err)
	down := newMux(t, Options{Log: log, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }})
	_, err = down.Run(t.Context(), target, c)
	note(err)

	real, realTarget, _ := start(t, sshdtest.Options{})
	realTarget.Password, realTarget.Passphrase = password, passphrase
	c.Shell = "sleep 300"
	_, err = real.Run(t.Context(), realTarget, c)
	note(err)

	fmt.Fprintf(&said, "%v %+v %#v %s %s\n", target, target, target, target, target.Key())
	fmt.Fprintf(&said, "%+v %+v\n", wrong.Stats(), real.Stats())
	log.Info("target", "target", target)
	for _, secret := range []string{password, passphrase, token} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("%q is told: %s", secret, &said)
		}
	}
}

// mute is an agent that lists its keys, and signs nothing until the test ends, like one that
// asks a person.
type mute struct {
	agent.Agent
	asked chan<- bool
	ended <-chan struct{}
}

func (m mute) Sign(ssh.PublicKey, []byte) (*ssh.Signature, error) {
	m.asked <- true
	<-m.ended
	return nil, errors.New("too late")
}

// socketOf listens on a unix socket and hands each connection to serve.
func socketOf(t *testing.T, serve func(net.Conn)) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return socket
}

// Close must not wait for an agent that hangs, whatever the time that a login may take.
func TestCloseWhileAgentHangs(t *testing.T) {
	f := func(name string, serve func(c net.Conn, asked chan<- bool, ended <-chan struct{})) {
		t.Helper()
		ended, asked := make(chan struct{}), make(chan bool, 10)
		h, target := newHost(t)
		h.config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }
		target.Password, target.Agent, target.ConnectTimeout = "", true, time.Hour
		target.AgentSocket = socketOf(t, func(c net.Conn) { serve(c, asked, ended) })
		t.Cleanup(func() { close(ended) })
		m := New(Options{Dial: h.Dial})
		done := make(chan error, 1)
		go func() {
			_, err := m.Run(t.Context(), target, Command{Shell: "true"})
			done <- err
		}()
		<-asked
		closed := make(chan struct{})
		go func() {
			m.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(4 * time.Second):
			t.Fatalf("%s: Close waits for the agent", name)
		}
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("%s: Run = %v, want ErrClosed", name, err)
		}
	}
	f("says nothing", func(c net.Conn, asked chan<- bool, ended <-chan struct{}) {
		asked <- true
		<-ended
	})
	f("signs nothing", func(c net.Conn, asked chan<- bool, ended <-chan struct{}) {
		ring := agent.NewKeyring()
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil || ring.Add(agent.AddedKey{PrivateKey: private}) != nil {
			t.Error("no key")
		}
		agent.ServeAgent(mute{ring, asked, ended}, c)
	})
}

// To open a pipe that nobody writes to takes for ever.
func TestFilesThatArePipes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	good := Target{Name: "web1", Addr: "192.0.2.1:22", User: "monitor", Password: "x", KnownHosts: []string{"/nonexistent"}}
	m := newMux(t, Options{})
	f := func(phase Phase, change func(*Target)) {
		t.Helper()
		target := good
		change(&target)
		_, err := m.Run(within(t, time.Minute), target, Command{Shell: "true"})
		if kind(t, err, Config, phase); !strings.Contains(err.Error(), pipe+" is a pipe") {
			t.Errorf("err = %v, want one that names the pipe", err)
		}
	}
	f(PhaseAuth, func(t *Target) { t.Password, t.IdentityFiles = "", []string{pipe} })
	f(PhaseHostKey, func(t *Target) { t.KnownHosts = []string{pipe} })
}
