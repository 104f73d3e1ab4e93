package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// oldest is the oldest server that does what is needed here.
var oldest = [2]int{2, 14}

const startFor = 30 * time.Second // an embedded server with much to recover

// embedded is a NATS server in this process, without a port.
type embedded struct {
	*server.Server
	dir  string
	lock *os.File
}

// connect starts the embedded server, or connects to the other one.
func (r *Record) connect(ctx context.Context) error {
	var err error
	if r.o.URL == "" {
		if r.server, err = start(r.o, r.log); err != nil {
			return err
		}
		r.conn, err = nats.Connect("", nats.InProcessServer(r.server.Server), nats.MaxReconnects(-1))
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
	r.js, err = jetstream.New(r.conn, jetstream.WithPublishAsyncMaxPending(4096))
	return err
}

func (r *Record) dial() (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("alf"), nats.MaxReconnects(-1), nats.ReconnectJitter(time.Second, 2*time.Second),
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

// start starts an embedded server on a directory that is locked for it.
func start(o Options, log *slog.Logger) (*embedded, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "alf", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(o.Dir, "jetstream"),
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 50, // the streams have bounds of their own
		SyncInterval: time.Second, MaxPayload: 8 << 20,
	})
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	s.SetLoggerV2(bridge{log}, false, false, false)
	e := &embedded{s, o.Dir, lock}
	go s.Start()
	if !s.ReadyForConnections(startFor) || !s.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("data directory %s: the embedded JetStream does not start; its log says why", o.Dir), e.close())
	}
	return e, nil
}

func (e *embedded) close() error {
	e.Shutdown()
	e.WaitForShutdown()
	return e.lock.Close()
}

// ErrLocked is the error of opening a directory that another Alf uses.
var ErrLocked = errors.New("is used by another Alf")

// lockDir makes sure that nobody else opens dir. The lock goes with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := f.Read(holder)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s %w (process %s)", dir, ErrLocked, strings.TrimSpace(string(holder[:n])))
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// sync makes the disk have what the feed was given, if that is asked for. The
// server writes a message to the newest block before it acknowledges it.
func (r *Record) sync() error {
	if !r.o.SyncAlways {
		return nil
	}
	block, err := newestBlock(filepath.Join(r.server.dir, "jetstream", "$G", "streams", "ALF_FEED", "msgs"))
	if err != nil {
		return err
	}
	f, err := os.Open(block)
	if err != nil {
		return err
	}
	defer f.Close()
	return syscall.Fdatasync(int(f.Fd()))
}

// newestBlock returns the block of the highest number in dir.
func newestBlock(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	name, highest := "", -1
	for _, e := range entries {
		number, found := strings.CutSuffix(e.Name(), ".blk")
		if n, err := strconv.Atoi(number); found && err == nil && n > highest {
			name, highest = e.Name(), n
		}
	}
	if name == "" {
		return "", fmt.Errorf("no block in %s", dir)
	}
	return filepath.Join(dir, name), nil
}

// bridge hands the server's words to a slog.Logger.
type bridge struct{ log *slog.Logger }

// Noticef implements server.Logger. Notices are many at every start.
func (b bridge) Noticef(format string, v ...any) { b.say(slog.LevelDebug, format, v) }

// Warnf implements server.Logger.
func (b bridge) Warnf(format string, v ...any) { b.say(slog.LevelWarn, format, v) }

// Fatalf implements server.Logger.
func (b bridge) Fatalf(format string, v ...any) { b.say(slog.LevelError, format, v) }

// Errorf implements server.Logger.
func (b bridge) Errorf(format string, v ...any) { b.say(slog.LevelError, format, v) }

// Debugf implements server.Logger.
func (b bridge) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (b bridge) Tracef(string, ...any) {}

func (b bridge) say(level slog.Level, format string, v []any) {
	b.log.Log(context.Background(), level, "nats server", "err", fmt.Sprintf(format, v...))
}
