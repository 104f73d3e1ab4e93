package jetstream_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsConfig is the environment variable that makes the test binary a NATS server
// with that configuration file.
const natsConfig = "ALF_TEST_NATS"

// serveNATS is a NATS server until standard input ends: it does not outlive the
// test that started it.
func serveNATS(file string) {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	o, err := server.ProcessConfigFile(file)
	if err == nil {
		var s *server.Server
		if s, err = server.NewServer(o); err == nil {
			s.ConfigureLogger()
			s.Start()
			s.WaitForShutdown()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// natsServer is a NATS server in a process of its own.
type natsServer struct {
	dir    string
	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan struct{}
	url    string // once it takes connections
}

// startNATS starts one with that configuration, to which its directories are
// added, on a free port unless it names one.
func startNATS(t *testing.T, dir, config string) *natsServer {
	t.Helper()
	s := &natsServer{dir: dir, exited: make(chan struct{})}
	file := filepath.Join(dir, "nats.conf")
	config += fmt.Sprintf("\nports_file_dir: %q\nlog_file: %q\njetstream { store_dir: %q, max_mem: 64MB, max_file: 64GB }\n", dir, filepath.Join(dir, "log"), dir)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), natsConfig+"="+file)
	s.cmd.Stderr = os.Stderr
	stdin, err := s.cmd.StdinPipe()
	if err == nil {
		s.stdin, err = stdin, s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() { defer close(s.exited); s.cmd.Wait() }()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("the NATS server in %s says:\n%s", filepath.Base(dir), text)
		}
	})
	return s
}

// kill ends it as a power cut would.
func (s *natsServer) kill() {
	s.cmd.Process.Kill()
	<-s.exited
	s.stdin.Close()
}

// ready waits until it takes connections.
func (s *natsServer) ready(t *testing.T) {
	t.Helper()
	file := filepath.Join(s.dir, fmt.Sprintf("%s_%d.ports", filepath.Base(os.Args[0]), s.cmd.Process.Pid))
	within(t, "the NATS server takes connections", func() error {
		select {
		case <-s.exited:
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			t.Fatalf("the NATS server ended: %v\n%s", s.cmd.ProcessState, text)
		default:
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var ports server.Ports
		if err := json.Unmarshal(text, &ports); err != nil {
			return err
		}
		if len(ports.Nats) == 0 {
			return errors.New("it has no port yet")
		}
		s.url = ports.Nats[0]
		return nil
	})
}

// natsWith starts a NATS server with that configuration.
func natsWith(t *testing.T, config string) *natsServer {
	t.Helper()
	s := startNATS(t, t.TempDir(), "listen: 127.0.0.1:-1\n"+config)
	s.ready(t)
	return s
}

// patience is for what takes a moment, even on a machine that is busy.
const patience = time.Minute

// within waits until f returns nil.
func within(t *testing.T, what string, f func() error) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("%s: not after %v: %v", what, patience, err)
		}
	}
}

// freePorts returns ports that nobody listens on.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
