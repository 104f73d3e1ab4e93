package nagios

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	maxLine  = 64 << 10 // bytes; what is longer is refused
	ahead    = 256      // lines that are read before they are taken: a burst, and 16 MiB at most
	pipeMode = 0o660 | os.ModeSticky
)

// Options are what a Pipe works with.
type Options struct {
	Path  string // of the command file
	Group string // name or ID of the group that may write it; "": Alf's own. It is for a FIFO that Open makes.
	// Take carries out a line. Calls never overlap. Of an error that is no
	// *Refusal the reason is NotTaken.
	Take func(ctx context.Context, line string) error
	// Refused is told of each line that is not carried out, and why. Calls
	// may overlap. Of a line that is not whole, it gets the beginning.
	Refused func(line string, err error)
	Pause   time.Duration // after which the rest of a line does not come any more; default 5 s
}

// Pipe is a command file. Use Open.
type Pipe struct {
	o    Options
	file *os.File
	made bool

	mu    sync.Mutex // guards what follows
	stats Stats
}

// Stats says what has come through a Pipe.
type Stats struct {
	Lines   uint64 // all of them but the empty ones
	Refused map[Reason]uint64
}

// Open opens the command file. If it is not there, a FIFO is made that its owner
// and the group may write. One that is there is used as it is, unless somebody
// else reads it; any other file is an error. The caller must Close the Pipe.
//
// A FIFO of Alf's own has the sticky bit, which means nothing of a FIFO and which
// nobody else gives one. By that, one that a kill left behind is known again.
func Open(o Options) (*Pipe, error) {
	if o.Pause <= 0 {
		o.Pause = 5 * time.Second
	}
	p := &Pipe{o: o, stats: Stats{Refused: make(map[Reason]uint64)}}
	for _, r := range Reasons() {
		p.stats.Refused[r] = 0
	}
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("command file %s: %w", o.Path, err)
	}
	return p, nil
}

func (p *Pipe) open() error {
	err := syscall.Mkfifo(p.o.Path, 0o600|syscall.S_ISVTX) // marked from the first moment on
	p.made = err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !p.made {
		if p.made, err = p.mayUse(); err != nil {
			return err
		}
	}
	// Open for writing as well, it never ends when the last writer leaves.
	p.file, err = os.OpenFile(p.o.Path, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	if p.made {
		err = p.admit()
	}
	if err != nil {
		return errors.Join(err, p.Close())
	}
	return nil
}

// mayUse returns an error if what is there already is no FIFO, or is read, and
// whether it is one of Alf's own making, that a kill left behind.
func (p *Pipe) mayUse() (left bool, err error) {
	info, err := os.Lstat(p.o.Path)
	if err != nil {
		return false, err
	}
	if info.Mode().Type() != fs.ModeNamedPipe {
		return false, fmt.Errorf("there is something else than a FIFO (%v)", info.Mode())
	}
	// Only where somebody reads can one begin to write without waiting.
	f, err := os.OpenFile(p.o.Path, os.O_WRONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err == nil {
		return false, errors.Join(errors.New("somebody else reads it, another Alf or Nagios"), f.Close())
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&os.ModeSticky != 0 && int(stat.Uid) == os.Geteuid(), nil
}

// admit lets the group write.
func (p *Pipe) admit() error {
	if p.o.Group != "" {
		gid, err := groupID(p.o.Group)
		if err != nil {
			return err
		}
		if err := p.file.Chown(-1, gid); err != nil {
			return err
		}
	}
	return p.file.Chmod(pipeMode)
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		g, err = user.LookupGroupId(name)
	}
	if err != nil {
		return 0, fmt.Errorf("there is no group %q", name)
	}
	return strconv.Atoi(g.Gid)
}

// Close closes the command file, and removes it if Alf made it.
func (p *Pipe) Close() error {
	var errs []error
	if p.made {
		errs = append(errs, p.remove())
	}
	if p.file != nil {
		errs = append(errs, p.file.Close())
	}
	return errors.Join(errs...)
}

// remove leaves alone what somebody has put in the place of the FIFO.
func (p *Pipe) remove() error {
	there, err := os.Lstat(p.o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || p.file == nil {
		return err
	}
	ours, err := p.file.Stat()
	if err != nil || !os.SameFile(there, ours) {
		return err
	}
	return os.Remove(p.o.Path)
}

// Run reads lines and has them taken until ctx ends. Lines that are written
// while Take is busy wait, a few hundred here, others in the FIFO, and then
// their writers do. The error is that of reading.
func (p *Pipe) Run(ctx context.Context) error {
	lines := make(chan string, ahead)
	var taking sync.WaitGroup
	taking.Go(func() { p.take(ctx, lines) })
	err := p.read(ctx, lines)
	close(lines)
	taking.Wait()
	return err
}

// take ends when lines is closed.
func (p *Pipe) take(ctx context.Context, lines <-chan string) {
	for line := range lines {
		if err := p.o.Take(ctx, line); err != nil {
			p.refuse(line, err)
		}
	}
}

// read cuts what is written into lines until ctx ends.
func (p *Pipe) read(ctx context.Context, lines chan<- string) error {
	stop := context.AfterFunc(ctx, func() { p.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	in := &seams{Reader: p.file}
	r := bufio.NewReaderSize(in, maxLine+len("\n"))
	for {
		line, err := p.line(ctx, r, in)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("read the command file: %w", err)
		case line == "":
			continue
		}
		select {
		case lines <- line:
		case <-ctx.Done():
			return nil
		}
	}
}

// line returns the next line; "" if it was empty or is refused already.
func (p *Pipe) line(ctx context.Context, r *bufio.Reader, in *seams) (string, error) {
	p.await(ctx, time.Time{})
	if _, err := r.Peek(1); err != nil {
		return "", err
	}
	p.await(ctx, time.Now().Add(p.o.Pause))
	b, err := r.ReadSlice('\n')
	if ctx.Err() != nil {
		return "", nil
	}
	b = p.unspoilt(b, in.within(r.Buffered(), len(b)))
	line := strings.TrimSpace(string(b))
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		p.count()
		p.refuse(line, refuse(TooLong, "the line is longer than %d bytes", maxLine))
		return "", p.skip(ctx, r, in)
	case errors.Is(err, os.ErrDeadlineExceeded):
		// Whoever began it was killed, perhaps: it must not spoil the next one.
		p.count()
		p.refuse(line, refuse(Unfinished, "%s has no end of line after %v", quote(line), p.o.Pause))
		return "", nil
	case line != "":
		p.count()
	}
	return line, err
}

// unspoilt returns the last of the lines that are in b, and refuses what stands
// before it. A line begins in the middle of b only at a seam, and only as a whole
// command does: then whoever wrote what is before it left without ending it. What
// looks like that anywhere else is text, such as a plugin's that shows a log.
func (p *Pipe) unspoilt(b []byte, cuts []int) []byte {
	from := 0
	for _, at := range cuts {
		if !begins(b[at:]) {
			continue
		}
		if part := strings.TrimSpace(string(b[from:at])); part != "" {
			p.count()
			p.refuse(part, refuse(Unfinished, "%s has no end of line, and another line follows", quote(part)))
		}
		from = at
	}
	return b[from:]
}

// begins reports whether b begins with "[digits] COMMAND;", a command of Nagios.
func begins(b []byte) bool {
	const longest = 100
	head, _, ok := strings.Cut(string(b[:min(len(b), longest)]), ";")
	stamp, name, cut := strings.Cut(head, "]")
	if !ok || !cut || len(stamp) < 2 || stamp[0] != '[' || strings.Trim(stamp[1:], "0123456789") != "" {
		return false
	}
	var why *Refusal
	_, _, err := find(strings.ToUpper(strings.TrimSpace(name)))
	return err == nil || errors.As(err, &why) && why.Reason == Unsupported
}

// seams remembers where reading had to wait, as it has to where a writer leaves who
// does not end his line.
type seams struct {
	io.Reader
	total int64   // bytes that were read
	at    []int64 // where there was no more, of those that are not asked for yet
}

// Read reads all that is there. If it gets less than there is room for, there was
// no more.
func (s *seams) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	s.total += int64(n)
	if n > 0 && n < len(b) {
		s.at = append(s.at, s.total)
	}
	return n, err
}

// within returns where the seams are in the last n bytes before those that wait in
// a buffer, and forgets them and those before.
func (s *seams) within(buffered, n int) []int {
	var in []int
	end := s.total - int64(buffered)
	for len(s.at) > 0 && s.at[0] < end {
		if at := s.at[0] - (end - int64(n)); at > 0 {
			in = append(in, int(at))
		}
		s.at = s.at[1:]
	}
	return in
}

// skip reads up to the end of a line, or to a pause.
func (p *Pipe) skip(ctx context.Context, r *bufio.Reader, in *seams) error {
	for {
		p.await(ctx, time.Now().Add(p.o.Pause))
		_, err := r.ReadSlice('\n')
		in.within(r.Buffered(), 0)
		switch {
		case err == nil || ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// await sets until when reading waits; zero: for ever. It ends with ctx, too.
func (p *Pipe) await(ctx context.Context, until time.Time) {
	p.file.SetReadDeadline(until)
	if ctx.Err() != nil { // what ended the waiting may just have been overwritten
		p.file.SetReadDeadline(time.Unix(1, 0))
	}
}

func (p *Pipe) count() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Lines++
}

func (p *Pipe) refuse(line string, err error) {
	reason := NotTaken
	var why *Refusal
	if errors.As(err, &why) {
		reason = why.Reason
	}
	p.mu.Lock()
	p.stats.Refused[reason]++
	p.mu.Unlock()
	p.o.Refused(line, err)
}

// Stats returns what has come so far.
func (p *Pipe) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{p.stats.Lines, maps.Clone(p.stats.Refused)}
}
