package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embedded is a NATS server in this process, without a port. When it breaks,
// another one takes its place; the connection to it finds it by itself.
type embedded struct {
	o    Options
	log  *slog.Logger
	lock *os.File

	mu      sync.Mutex
	server  *server.Server // nil: it did not start again
	trouble *trouble       // of the server

	block string // the newest block of the feed, when it was last looked for
}

// trouble is the first thing that broke a server. JetStream does not come back
// from a failed write: the stream no longer answers, or all is switched off.
type trouble struct {
	once     sync.Once
	happened chan struct{}
	err      error       // once it happened
	damaged  atomic.Bool // the server has met a block that it cannot read
}

func (t *trouble) report(err error) {
	t.once.Do(func() { t.err = err; close(t.happened) })
}

// start starts an embedded server on a directory that is locked for it.
func start(ctx context.Context, o Options, log *slog.Logger) (*embedded, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{o: o, log: log, lock: lock}
	if err = probe(o.Dir); err == nil {
		e.server, e.trouble, err = launch(ctx, o, log)
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	return e, nil
}

// launch starts a server and waits until it has read what is there.
func launch(ctx context.Context, o Options, log *slog.Logger) (*server.Server, *trouble, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "alf", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: o.Dir,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 50, // the streams have bounds of their own
		SyncInterval: time.Second, MaxPayload: 8 << 20,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	t := &trouble{happened: make(chan struct{})}
	s.SetLoggerV2(bridge{log, t}, false, false, false)
	go s.Start()
	for !s.ReadyForConnections(100 * time.Millisecond) {
		select {
		case <-t.happened:
			err = t.err
		case <-ctx.Done():
			err = ctx.Err()
		default:
			continue
		}
		break
	}
	if err == nil && !s.JetStreamEnabled() {
		err = errors.New("JetStream does not start; the log says why")
	}
	if err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	return s, t, nil
}

func (e *embedded) close() error {
	e.stop()
	return e.lock.Close()
}

func (e *embedded) stop() {
	e.mu.Lock()
	s := e.server
	e.server = nil
	e.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

var errDown = errors.New("the embedded NATS server is down")

// InProcessConn implements nats.InProcessConnProvider.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	s := e.server
	e.mu.Unlock()
	if s == nil {
		return nil, errDown
	}
	return s.InProcessConn()
}

func (e *embedded) current() *trouble {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trouble
}

// breaks returns what is closed when the server breaks.
func (e *embedded) breaks() <-chan struct{} { return e.current().happened }

// broken returns what broke the server, or nil.
func (e *embedded) broken() error {
	t := e.current()
	select {
	case <-t.happened:
		return fmt.Errorf("data directory %s: %w", e.o.Dir, t.err)
	default:
		return nil
	}
}

func (e *embedded) report(err error) { e.current().report(err) }

// check looks whether the server may write, and counts it as broken otherwise
// before it finds out: one that was refused by the disk does not read any more,
// either.
func (e *embedded) check() {
	if err := mayWrite(e.feedDir()); err != nil {
		e.report(err)
	}
}

func (e *embedded) feedDir() string { return filepath.Join(streamsDir(e.o.Dir), "ALF_FEED", "msgs") }

func streamsDir(dir string) string {
	return filepath.Join(dir, server.JetStreamStoreDir, "$G", "streams")
}

var errBlock = errors.New("a block of the record is damaged")

// checkBlocks fails if reading the ends of all histories has met a damaged
// block. What the server's index says of it is wrong then, and hides what is
// written later.
func (r *Record) checkBlocks(context.Context) error {
	if r.server != nil && !r.mended && r.server.current().damaged.Load() {
		return errBlock
	}
	return nil
}

// forgetIndexes makes the next server look into all blocks by itself.
func forgetIndexes(dir string) error {
	names, err := filepath.Glob(filepath.Join(streamsDir(dir), "*", "msgs", "index.db"))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// cancelBroken cancels when the server breaks, and returns then or when ctx ends.
func (e *embedded) cancelBroken(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-e.breaks():
		cancel(e.broken())
	case <-ctx.Done():
	}
}

// heal starts the embedded server anew, as soon as the disk takes data again.
// Until then the old one goes on reading.
func (r *Record) heal(ctx context.Context) {
	text := ""
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 4*time.Second) {
		err := r.restart(ctx)
		if err == nil {
			r.stats.restarts.Add(1)
			r.log.Warn("the embedded NATS server was started anew")
			return
		}
		if ctx.Err() == nil && err.Error() != text {
			text = err.Error()
			r.log.Error("the record cannot be written", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (r *Record) restart(ctx context.Context) error {
	e := r.server
	if err := probe(e.o.Dir); err != nil {
		return err
	}
	e.stop()
	s, t, err := launch(ctx, e.o, e.log)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.server = s
	e.mu.Unlock()
	if err := r.resume(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	e.trouble = t
	e.mu.Unlock()
	return nil
}

// resume waits until the connection has found the new server, and sees to it
// that Append goes on behind what the feed holds.
func (r *Record) resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, lastSeq := r.end()
	for {
		// A question that went down with the old connection has no answer.
		once, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		info, err := r.feed.Info(once)
		cancel()
		if err == nil && info.State.LastSeq < lastSeq {
			return r.realign(ctx)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// room is what must be free on the disk for a start to make sense: the server
// writes an index for each stream.
const room = 1 << 20

// probe reports why dir does not take data.
func probe(dir string) (err error) {
	err = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a server that still runs has removed it
		}
		return cmp.Or(err, mayWrite(name))
	})
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	_, err = f.Write(make([]byte, room))
	return err
}

// mayWrite reports whether a file or a directory may not be written at all.
func mayWrite(name string) error {
	const w = 2
	switch err := syscall.Access(name, w); err {
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
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
	// The process number is for people; a full disk must not keep Alf from reading.
	if f.Truncate(0) == nil {
		f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// sync makes the disk have what the feed was given, if that is asked for. The
// server writes a message to the newest block before it acknowledges it.
func (r *Record) sync() error {
	if !r.o.SyncAlways {
		return nil
	}
	defer r.stats.synced(time.Now())
	if err := r.server.sync(); err != nil {
		return fmt.Errorf("write the feed to disk: %w", err)
	}
	return nil
}

func (e *embedded) sync() error {
	dir := e.feedDir()
	block, err := newestBlock(dir)
	if err != nil {
		return err
	}
	if err := syncFile(block); err != nil || block == e.block {
		return err
	}
	if err := syncFile(dir); err != nil { // it has a new name in it
		return err
	}
	e.block = block
	return nil
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return syscall.Fdatasync(int(f.Fd()))
}

// newestBlock returns the block of the highest number in dir.
func newestBlock(dir string) (string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return "", err
	}
	name, highest := "", -1
	for _, s := range names {
		number, found := strings.CutSuffix(s, ".blk")
		if n, err := strconv.Atoi(number); found && err == nil && n > highest {
			name, highest = s, n
		}
	}
	if name == "" {
		return "", fmt.Errorf("no block in %s", dir)
	}
	return filepath.Join(dir, name), nil
}

// bridge hands the server's words to a slog.Logger, and those that say that it
// broke to trouble.
type bridge struct {
	log     *slog.Logger
	trouble *trouble
}

// Noticef implements server.Logger. Notices are many at every start.
func (b bridge) Noticef(format string, v ...any) { b.say(slog.LevelDebug, format, v) }

// Warnf implements server.Logger.
func (b bridge) Warnf(format string, v ...any) { b.say(slog.LevelWarn, format, v) }

// Fatalf implements server.Logger. The server does not start after it.
func (b bridge) Fatalf(format string, v ...any) {
	b.trouble.report(fmt.Errorf(format, v...))
	b.say(slog.LevelError, format, v)
}

// Errorf implements server.Logger.
func (b bridge) Errorf(format string, v ...any) { b.say(slog.LevelError, format, v) }

// Debugf implements server.Logger.
func (b bridge) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (b bridge) Tracef(string, ...any) {}

func (b bridge) say(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	b.log.Log(context.Background(), level, "nats server", "err", text)
	if breaks(text) {
		b.trouble.report(errors.New(text))
	}
	if strings.Contains(text, "corrupt") {
		b.trouble.damaged.Store(true)
	}
}

// breaks reports whether these words of the server mean that it does not write
// any more. If they change, an Append that nobody answers says it, too, later.
func breaks(text string) bool {
	return strings.Contains(text, "ritical write error") || strings.Contains(text, "DISABLED") ||
		strings.Contains(text, "disabling JetStream")
}
