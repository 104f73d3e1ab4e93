package bench

import (
	"bufio"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// fakeEnv is the environment variable that makes the test binary a process of fake hosts.
const fakeEnv = "ALF_BENCH_FAKE"

// fakeAddrs is how many addresses of loopback they listen at: a pair of addresses has no more
// than the 28,000 ports that Linux hands out.
const fakeAddrs = 40

// fake is a server that plays hosts: it lets anybody in, and answers each command at once as
// check_dummy would, wrapped as Alf wraps it. It runs nothing.
type fake struct {
	config ssh.ServerConfig
	key    ssh.PublicKey
	heard  func(line string) // gets each command; nil: nobody
}

func newFake() (*fake, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	f := &fake{key: signer.PublicKey()}
	f.config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }
	f.config.AddHostKey(signer)
	return f, nil
}

// serve answers until the listener is closed.
func (f *fake) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go f.host(c)
		}
	}
}

func (f *fake) host(c net.Conn) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, &f.config)
	if err != nil {
		return
	}
	go func() {
		for r := range requests {
			if r.WantReply {
				r.Reply(false, nil)
			}
		}
	}()
	for ch := range channels {
		go f.session(ch)
	}
}

var nonceIn = regexp.MustCompile(`echo ([A-Z0-9]+) \$\$`)

func (f *fake) session(n ssh.NewChannel) {
	ch, requests, err := n.Accept()
	if err != nil {
		return
	}
	for r := range requests {
		var command struct{ Line string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &command) != nil {
			continue
		}
		if f.heard != nil {
			f.heard(command.Line)
		}
		if nonce := nonceIn.FindStringSubmatch(command.Line); nonce != nil {
			io.WriteString(ch, nonce[1]+" 4242\nOK: ok\n")
		}
		ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{0}))
		ch.Close()
	}
}

// beFake is the life of the process of fake hosts: it says on standard output what their key is
// and where they listen, a line each, and ends with its standard input.
func beFake() error {
	f, err := newFake()
	if err != nil {
		return err
	}
	fmt.Print(string(ssh.MarshalAuthorizedKey(f.key)))
	for i := range fakeAddrs {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.1.%d:0", 1+i))
		if err != nil {
			return err
		}
		fmt.Println(l.Addr())
		go f.serve(l)
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startFakes starts that process for the length of the benchmark, and returns the hosts' key,
// as known_hosts has it, and their addresses.
func startFakes(b *testing.B) (key string, addrs []string) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fakeEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for len(addrs) < fakeAddrs && lines.Scan() {
		if key == "" {
			key = strings.TrimSpace(lines.Text())
			continue
		}
		addrs = append(addrs, lines.Text())
	}
	if len(addrs) < fakeAddrs {
		b.Fatalf("the fake hosts have said %d addresses, want %d: %v", len(addrs), fakeAddrs, lines.Err())
	}
	return key, addrs
}

// wantFiles skips the benchmark if the process may not have n open files. Go itself has raised
// the soft limit to the hard one; root raises that, too, and so for the fake hosts.
func wantFiles(b *testing.B, n uint64) {
	b.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	limit.Cur, limit.Max = n, max(n, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Skipf("%d open files are needed: %v; raise ulimit -Hn, or take fewer with -args -links", n, err)
	}
}
