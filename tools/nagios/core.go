package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// core is one Nagios process and the scenarios that it runs.
type core struct {
	program string
	keep    bool
	main    map[string]string
	runs    []*run
	dir     string
	epoch   time.Time       // second 0
	sent    map[string]*run // whose command it was
}

// run is a scenario being recorded.
type run struct {
	*scenario
	done      int // steps
	entries   []entry
	states    map[string]entry // the last one of each key
	downtimes []int            // their ids in Nagios, in order
	accepted  []int            // when Nagios took a command
}

// Commands are given a quarter into a second, when Nagios has done what was due.
const (
	start   = time.Second
	quarter = 250 * time.Millisecond
	poll    = 10 * time.Millisecond
)

func (c *core) record(ctx context.Context) (err error) {
	if c.dir, err = os.MkdirTemp("", "vectors"); err != nil {
		return err
	}
	if c.keep {
		fmt.Fprintln(os.Stderr, c.dir)
	} else {
		defer os.RemoveAll(c.dir)
	}
	if err := c.configure(); err != nil {
		return err
	}
	c.epoch = time.Now().Truncate(time.Second).Add(time.Second)
	if err := wait(ctx, c.epoch.Add(start)); err != nil {
		return err
	}
	var said bytes.Buffer
	cmd := exec.Command(c.program, filepath.Join(c.dir, "nagios.cfg"))
	cmd.Env = append(os.Environ(), "TZ="+zone(c.epoch))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = c.follow(ctx, ended)
	if cmd.Process.Signal(syscall.SIGTERM) == nil {
		<-ended
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(said.String(), 5))
	}
	return nil
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// wait sleeps until t.
func wait(ctx context.Context, t time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(t)):
		return nil
	}
}

// zone is the time zone in which t is 12:00:30.
func zone(t time.Time) string {
	t = t.UTC()
	west := t.Hour()*3600 + t.Minute()*60 + t.Second() - (12*3600 + 30)
	sign := ""
	if west < 0 {
		sign, west = "-", -west
	}
	return fmt.Sprintf("REC%s%d:%02d:%02d", sign, west/3600, west/60%60, west%60)
}

// follow gives the commands at their seconds and notes what comes of them.
func (c *core) follow(ctx context.Context, ended <-chan error) error {
	w := newWatch(c)
	last := 0
	for _, r := range c.runs {
		last = max(last, r.Until)
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case err := <-ended:
			return fmt.Errorf("nagios ended: %v", err)
		case <-time.After(poll):
		}
		if err := w.read(); err != nil {
			return err
		}
		now := int(time.Since(c.epoch.Add(quarter)) / time.Second)
		if err := c.step(now); err != nil {
			return err
		}
		if now > last+1 {
			return nil
		}
	}
	return ctx.Err()
}

// answer sets what the plugin of key answers from now on.
func (c *core) answer(r *run, key string, code int) error {
	path := filepath.Join(c.dir, "answers", r.global(key))
	if err := os.WriteFile(path+".new", fmt.Appendln(nil, code), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// step does the steps of second now.
func (c *core) step(now int) error {
	var lines []string
	for _, r := range c.runs {
		for r.done < len(r.Steps) && r.Steps[r.done].at <= now {
			s := r.Steps[r.done]
			r.done++
			r.note(entry{At: s.at, What: s.what, Key: s.key, Code: code(s), Text: s.text})
			if s.what == "answer" {
				if err := c.answer(r, s.key, s.code); err != nil {
					return err
				}
				continue
			}
			text, err := r.command(s, c.epoch)
			if err != nil {
				return err
			}
			c.sent[text] = r
			lines = append(lines, fmt.Sprintf("[%d] %s\n", c.epoch.Unix()+int64(s.at), text))
		}
	}
	if lines == nil {
		return nil
	}
	fifo, err := os.OpenFile(filepath.Join(c.dir, "commands"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer fifo.Close()
	_, err = fifo.WriteString(strings.Join(lines, ""))
	return err
}

func code(s step) *int {
	if s.what == "command" {
		return nil
	}
	return &s.code
}

// command is the external command of a step, with the names, times and ids that
// Nagios knows.
func (r *run) command(s step, epoch time.Time) (string, error) {
	host, service, isService := strings.Cut(s.key, "!")
	switch {
	case s.what == "result" && isService:
		return fmt.Sprintf("PROCESS_SERVICE_CHECK_RESULT;%s;%s;%d;result %[3]d", r.global(host), service, s.code), nil
	case s.what == "result":
		return fmt.Sprintf("PROCESS_HOST_CHECK_RESULT;%s;%d;result %[2]d", r.global(host), s.code), nil
	}
	fields := strings.Split(s.text, ";")
	named := append(r.named("host"), r.named("contact")...)
	for i, f := range fields {
		n, err := strconv.Atoi(strings.TrimLeft(f, "@#"))
		switch {
		case slices.Contains(named, f):
			fields[i] = r.global(f)
		case err == nil && f[0] == '@':
			fields[i] = fmt.Sprint(epoch.Unix() + int64(n))
		case err == nil && f[0] == '#':
			if n > len(r.downtimes) {
				return "", fmt.Errorf("scenario %s: at %d there is no downtime %s", r.Name, s.at, f)
			}
			fields[i] = fmt.Sprint(r.downtimes[n-1])
		}
	}
	return strings.Join(fields, ";"), nil
}

// check reports whether all came in its second: the commands, and the results of
// active checks, which a busy worker hands in late.
func (r *run) check() error {
	var want []int
	for _, s := range r.Steps {
		if s.what != "answer" {
			want = append(want, s.at)
		}
	}
	if !slices.Equal(r.accepted, want) {
		return fmt.Errorf("commands were taken at %v, not at %v", r.accepted, want)
	}
	last := map[string]int{}
	for _, e := range r.entries {
		if e.What != "state" {
			continue
		}
		if e.LastCheck != last[e.Key] && e.LastCheck != e.At {
			return fmt.Errorf("the result of %s at %d came at %d", e.Key, e.LastCheck, e.At)
		}
		last[e.Key] = e.LastCheck
	}
	return nil
}
