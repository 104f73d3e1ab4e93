package nagios

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// bench is a Pipe that runs, and what came out of it.
type bench struct {
	*Pipe
	path    string
	taken   chan string
	refused chan string
	gate    chan struct{} // closed: lines are taken
	end     func()
}

// run starts a Pipe. It ends with the test, if it has not been ended before.
func run(t *testing.T, pause time.Duration) *bench {
	t.Helper()
	before := goleak.IgnoreCurrent()
	b := &bench{
		path:  filepath.Join(t.TempDir(), "nagios.cmd"),
		taken: make(chan string, 100_000), refused: make(chan string, 100_000), gate: make(chan struct{}),
	}
	var err error
	b.Pipe, err = Open(Options{Path: b.path, Pause: pause,
		Take: func(_ context.Context, line string) error {
			<-b.gate
			if strings.HasPrefix(line, "bad") {
				return errors.New("it is bad")
			}
			b.taken <- line
			return nil
		},
		Refused: func(line string, err error) { b.refused <- err.Error() },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	b.end = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if err := b.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		goleak.VerifyNone(t, before)
	})
	t.Cleanup(b.end)
	return b
}

// open has lines taken from now on.
func (b *bench) open() *bench {
	close(b.gate)
	return b
}

// write writes s as one writer, who comes and goes.
func (b *bench) write(t *testing.T, s string) {
	t.Helper()
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := f.WriteString(s); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// next returns the next thing that comes.
func next(t *testing.T, from <-chan string) string {
	t.Helper()
	select {
	case s := <-from:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		return ""
	}
}

func want(t *testing.T, from <-chan string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if got := next(t, from); got != line {
			t.Errorf("got %.200q, want %q", got, line)
		}
	}
}

func TestLines(t *testing.T) {
	b := run(t, 0).open()
	b.write(t, "one\n\n  \ntwo\r\n")
	b.write(t, "thr")
	b.write(t, "ee\nbad\nfo")
	b.write(t, "ur\n")
	want(t, b.taken, "one", "two", "three", "four")
	want(t, b.refused, "it is bad")
	if s := b.Stats(); s.Lines != 5 || s.Refused[NotTaken] != 1 || len(s.Refused) != len(Reasons()) {
		t.Errorf("Stats = %+v", s)
	}
}

// TestManyWriters: all lines come, those of each writer in their order.
func TestManyWriters(t *testing.T) {
	const writers, each = 20, 200
	b := run(t, 0).open()
	for w := range writers {
		go func() {
			for n := range each {
				b.write(t, fmt.Sprintf("%d %d %s\n", w, n, strings.Repeat("x", rand.IntN(4000))))
			}
		}()
	}
	var last [writers]int
	for range writers * each {
		var w, n int
		line := next(t, b.taken)
		if _, err := fmt.Sscan(line, &w, &n); err != nil || n != last[w] {
			t.Fatalf("%.40q: %v, want number %d", line, err, last[w])
		}
		last[w]++
	}
}

// TestSlow: while lines are not taken, writers wait, and nothing is lost.
func TestSlow(t *testing.T) {
	const lines = 5000
	b := run(t, 0)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := range lines {
			b.write(t, fmt.Sprintf("%d %s\n", n, strings.Repeat("x", 100)))
		}
	}()
	for deadline := time.Now().Add(20 * time.Second); b.Stats().Lines < ahead; {
		if time.Now().After(deadline) {
			t.Fatalf("%d lines were read", b.Stats().Lines)
		}
	}
	select {
	case <-written:
		t.Error("there is room for everything")
	default:
	}
	b.open()
	<-written
	for n := range lines {
		if got := next(t, b.taken); !strings.HasPrefix(got, fmt.Sprint(n, " ")) {
			t.Fatalf("%.40q, want number %d", got, n)
		}
	}
}

func TestHugeLine(t *testing.T) {
	b := run(t, 0).open()
	b.write(t, strings.Repeat("x", maxLine)+"\n")
	b.write(t, strings.Repeat("y", maxLine+1)+"\n")
	b.write(t, strings.Repeat("z", 10*maxLine)+"\n")
	b.write(t, "good\n")
	want(t, b.taken, strings.Repeat("x", maxLine), "good")
	want(t, b.refused, "the line is longer than 65536 bytes", "the line is longer than 65536 bytes")
	if s := b.Stats(); s.Lines != 4 || s.Refused[TooLong] != 2 {
		t.Errorf("Stats = %+v", s)
	}
}

// TestKilledWriter: what it has begun does not spoil what others write.
func TestKilledWriter(t *testing.T) {
	b := run(t, 100*time.Millisecond).open()
	killed := func(script string) {
		t.Helper()
		cmd := exec.Command("sh", "-c", script+`; kill -9 $$`)
		cmd.Env = append(os.Environ(), "FIFO="+b.path)
		var exit *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("%s: %v", script, err)
		}
	}
	killed(`printf "whole\nhalf of" >"$FIFO"`)
	want(t, b.taken, "whole")
	want(t, b.refused, `"half of" has no end of line after 100ms`)
	killed(`head -c 100000 /dev/zero >"$FIFO"`)
	want(t, b.refused, "the line is longer than 65536 bytes")
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		// The first of these may still be the end of the long one.
		b.write(t, "good\n")
		select {
		case got := <-b.taken:
			if got != "good" {
				t.Errorf("got %q", got)
			}
			return
		default:
		}
	}
	t.Error("nothing came any more")
}

// TestUnfinished: what a writer leaves without an end does not spoil the line of
// the next one, and a text that looks like a line stays what it is.
func TestUnfinished(t *testing.T) {
	const half, whole = "[1] PROCESS_SERVICE_CHECK_RESULT;web1;pas;0;half ", "[2] process_service_check_result;web1;pas;1;whole"
	b := run(t, time.Hour).open()
	// begin writes what has no end, and returns when it has been read.
	begin := func(s string) {
		t.Helper()
		b.write(t, s)
		for deadline := time.Now().Add(20 * time.Second); unread(t, b.path) > 0; {
			if time.Now().After(deadline) {
				t.Fatalf("%q is not read", s)
			}
		}
	}
	begin(half)
	b.write(t, whole+"\n")
	want(t, b.taken, whole)
	want(t, b.refused, `"`+half[:len(half)-1]+`" has no end of line, and another line follows`)
	begin(half)
	begin(half)
	b.write(t, "[3] DISABLE_NOTIFICATIONS;\none\n")
	want(t, b.taken, "[3] DISABLE_NOTIFICATIONS;", "one")
	want(t, b.refused, `"`+half[:len(half)-1]+`" has no end of line, and another line follows`,
		`"`+half[:len(half)-1]+`" has no end of line, and another line follows`)
	if s := b.Stats(); s.Refused[Unfinished] != 3 || s.Lines != 6 {
		t.Errorf("Stats = %+v", s)
	}

	// One write holds all of it: it is the text of one line.
	b.write(t, half+whole+"\n")
	want(t, b.taken, half+whole)
	// A line comes in pieces, of which none begins like one.
	for _, pieces := range [][]string{
		{"[1] PROCESS_", "SERVICE_CHECK_RESULT;web1;pas;0;", "fine"},
		{half, "[2] EXTERNAL COMMAND: ADD_HOST_COMMENT;web1", ";x"},
		{half, "[2] MAKE_COFFEE;now"},
		{half, "[x] ADD_HOST_COMMENT;web1"},
		{half, "[] ADD_HOST_COMMENT;web1"},
		{half, "[2] ADD_HOST_COMMENT"},
		{half, " [2] ADD_HOST_COMMENT;web1"},
		{half, "x " + whole},
	} {
		for _, piece := range pieces {
			begin(piece)
		}
		b.write(t, "\n")
		want(t, b.taken, strings.Join(pieces, ""))
	}
	if s := b.Stats(); s.Refused[Unfinished] != 3 {
		t.Errorf("Stats = %+v", s)
	}
}

// unread returns how many bytes are in a FIFO.
func unread(t *testing.T, path string) int {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGarbage(t *testing.T) {
	b := run(t, 0).open()
	r := rand.NewChaCha8([32]byte{1})
	junk := make([]byte, 3*maxLine)
	r.Read(junk)
	go func() {
		for range 20 {
			b.write(t, string(junk))
		}
		b.write(t, "\ngood\n")
	}()
	for next(t, b.taken) != "good" {
	}
}

// TestEnd: Run ends whatever it is doing, and only what was made is removed.
func TestEnd(t *testing.T) {
	idle := run(t, 0).open()
	idle.end()
	if _, err := os.Lstat(idle.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the command file is still there: %v", err)
	}
	reading := run(t, time.Hour).open()
	reading.write(t, "half")
	reading.end()

	full := run(t, 0)
	full.write(t, strings.Repeat("x\n", 2*ahead))
	for full.Stats().Lines < ahead {
	}
	full.open()
	full.end()

	replaced := run(t, 0).open()
	if err := errors.Join(os.Remove(replaced.path), os.WriteFile(replaced.path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	replaced.end()
	if _, err := os.Lstat(replaced.path); err != nil {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "nagios.cmd")
	mode := func(want os.FileMode) {
		t.Helper()
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, want)
		}
	}
	fails := func(o Options, want string) {
		t.Helper()
		p, err := Open(o)
		if err == nil || err.Error() != "command file "+o.Path+": "+want {
			t.Errorf("Open = %v, %v, want %s", p, err, want)
		}
	}
	p, err := Open(Options{Path: path, Group: fmt.Sprint(os.Getgid())})
	if err != nil {
		t.Fatal(err)
	}
	mode(os.ModeNamedPipe | os.ModeSticky | 0o660)
	fails(Options{Path: path}, "somebody else reads it, another Alf or Nagios")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	fails(Options{Path: path, Group: "no-such-group"}, `there is no group "no-such-group"`)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what could not be opened is left: %v", err)
	}
	fails(Options{Path: filepath.Join(dir, "no", "nagios.cmd")}, "no such file or directory")

	// One that an administrator has made is used as it is, and stays.
	if err := errors.Join(syscall.Mkfifo(path, 0o600), os.Chmod(path, 0o622)); err != nil {
		t.Fatal(err)
	}
	p, err = Open(Options{Path: path, Group: "no-such-group"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	mode(os.ModeNamedPipe | 0o622)

	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	fails(Options{Path: link}, "there is something else than a FIFO (Lrwxrwxrwx)")
	fails(Options{Path: dir}, "there is something else than a FIFO ("+modeOf(t, dir)+")")
}

// TestLeftBehind: what a kill left is removed in the end, as if there had been
// none, also if it came in the middle of making it. Others' is not.
func TestLeftBehind(t *testing.T) {
	f := func(what string, left os.FileMode, during, after os.FileMode) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "nagios.cmd")
		if err := errors.Join(syscall.Mkfifo(path, 0o600), os.Chmod(path, left)); err != nil {
			t.Fatal(err)
		}
		p, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeNamedPipe|during {
			t.Errorf("%s: mode %v, %v, want %v", what, info.Mode(), err, during)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		info, err := os.Lstat(path)
		if after == 0 && !errors.Is(err, os.ErrNotExist) || after != 0 && (err != nil || info.Mode() != os.ModeNamedPipe|after) {
			t.Errorf("%s: left as %v, %v, want %v", what, info, err, after)
		}
	}
	const sticky = os.ModeSticky
	f("after a kill", sticky|0o660, sticky|0o660, 0)
	f("after a kill as it was made", sticky|0o600, sticky|0o660, 0)
	f("that of an administrator", 0o660, 0o660, 0o660)
}

func modeOf(t *testing.T, path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().String()
}
