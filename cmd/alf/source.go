package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"alf"
	"alf/config"
	"alf/internal/sanitize"
	"alf/runner"
)

// The last good answer of each source is a file in the data directory.

func sourceDir(d config.Daemon) string { return filepath.Join(d.DataDir, "sources") }

func sourceFile(d config.Daemon, name string) string {
	return filepath.Join(sourceDir(d), name+".json")
}

// maxKept bounds what is read of a kept answer: more than a source may give.
const maxKept = 512 << 20

// readKept returns the last good answer of a source, or why it cannot be had. A
// zero answer: there was none yet.
func readKept(d config.Daemon, name string) config.Answer {
	body, at, err := readFile(sourceFile(d, name))
	if errors.Is(err, fs.ErrNotExist) {
		return config.Answer{}
	}
	if err == nil {
		if _, err = config.CheckAnswer(body); err != nil {
			err = fmt.Errorf("%s is damaged: %w", sourceFile(d, name), err)
		}
	}
	if err != nil {
		return config.Answer{Err: fmt.Sprintf("its last good answer cannot be used: %v", err)}
	}
	return config.Answer{Body: body, Last: body, Time: at}
}

func readFile(name string) ([]byte, time.Time, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	body, err := io.ReadAll(io.LimitReader(f, maxKept))
	return body, info.ModTime(), err
}

// keep writes an answer that was taken. Its time is that of the file.
func keep(d config.Daemon, name string, body []byte, at time.Time) error {
	if err := os.MkdirAll(sourceDir(d), 0o700); err != nil {
		return err
	}
	file := sourceFile(d, name)
	err := toFile(nil, file, func(w io.Writer) error { _, err := w.Write(body); return err })
	if err != nil {
		return err
	}
	dir, err := os.Open(sourceDir(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close(), os.Chtimes(file, at, at))
}

// ask returns the answer of a source, which is one as a whole. had is how many
// hosts it had before.
func ask(ctx context.Context, run alf.Runner, s config.Source, had int) ([]byte, error) {
	body, err := fetch(ctx, run, s)
	if err != nil {
		return nil, err
	}
	n, err := config.CheckAnswer(body)
	if err == nil && n == 0 && had > 0 {
		err = fmt.Errorf("it names no hosts, and there were %d", had)
	}
	return body, err
}

func fetch(ctx context.Context, run alf.Runner, s config.Source) ([]byte, error) {
	if s.File != "" {
		return config.ReadAnswer(s)
	}
	stdout, stderr := &bounded{limit: s.MaxOutput}, &bounded{limit: maxSourceStderr, drop: true}
	e := alf.Execution{Argv: s.Argv, Shell: s.Shell, Stdout: stdout, Stderr: stderr, Limit: s.Timeout}
	for _, v := range s.Env {
		e.Env = append(e.Env, v.Name+"="+string(v.Value))
	}
	exit, err := run.Run(ctx, e)
	switch {
	case stdout.full:
		err = fmt.Errorf("the answer has more than max_output, %d bytes", s.MaxOutput)
	case err != nil:
	case exit.Signal != "":
		err = fmt.Errorf("killed by SIG%s", exit.Signal)
	case exit.Code != 0:
		err = fmt.Errorf("exit code %d", exit.Code)
	}
	if err != nil {
		return nil, complaint(err, stderr.kept.String(), s)
	}
	return stdout.kept.Bytes(), nil
}

const (
	maxSourceStderr = 4 << 10
	maxComplaint    = 400 // bytes of it that are shown
)

// complaint adds to err what the command said, without the secrets that it was
// given.
func complaint(err error, said string, s config.Source) error {
	for _, v := range s.Env {
		if !v.Plain {
			said = strings.ReplaceAll(said, string(v.Value), alf.Redacted)
		}
	}
	said = strings.Join(strings.Fields(said), " ")
	if said == "" {
		return err
	}
	if len(said) > maxComplaint {
		said = said[:maxComplaint] + " ..."
	}
	return fmt.Errorf("%w: %s", err, sanitize.Log(said))
}

// bounded keeps what is written to it, up to a limit. What is more is an error, so
// that whoever goes on writing is ended; or if the rest may go, it is dropped.
type bounded struct {
	kept  bytes.Buffer
	limit int
	drop  bool
	full  bool
}

var errFull = errors.New("too much output")

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.limit-b.kept.Len())
	b.kept.Write(p[:n])
	if n == len(p) || b.drop {
		return len(p), nil
	}
	b.full = true
	return n, errFull
}

// How long others wait for slow sources, which are asked again afterwards.
const (
	startPatience  = time.Minute
	reloadPatience = 20 * time.Second
)

// within returns a context that ends after d, and says so.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %s", d))
}

// askAll asks sources at the same time. had says how many hosts each had.
func askAll(ctx context.Context, d config.Daemon, all []config.Source, had func(name string) int) map[string]config.Answer {
	out := make(map[string]config.Answer, len(all))
	if len(all) == 0 {
		return out
	}
	run, err := runner.New(runner.Options{LocalUser: d.LocalUser})
	if err != nil {
		for _, s := range all {
			out[s.Name] = config.Answer{Err: err.Error()}
		}
		return out
	}
	defer run.Close()
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, s := range all {
		asking.Go(func() {
			a := config.Answer{Time: time.Now()}
			body, err := ask(ctx, run, s, had(s.Name))
			if err != nil {
				a.Err = err.Error()
			} else {
				a.Body = body
			}
			mu.Lock()
			defer mu.Unlock()
			out[s.Name] = a
		})
	}
	asking.Wait()
	return out
}

// settle loads the configuration with the fresh answers, and where these are none
// or do not fit, with those that were kept. The error is one of the files.
func settle(file string, o config.Options, kept, fresh map[string]config.Answer) (*config.Config, error) {
	kept = maps.Clone(kept)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		if fresh[name].Body == nil {
			refuseAnswer(kept, name, fresh[name].Err)
			continue
		}
		names = append(names, name)
	}
	try := func(names []string, blame bool) (*config.Config, error) {
		o.Answers, o.BlameHosts = maps.Clone(kept), blame
		for _, name := range names {
			a := fresh[name]
			a.Last = cmpBytes(kept[name].Last, kept[name].Body)
			o.Answers[name] = a
		}
		return loadWith(file, o)
	}
	c, err := try(names, false)
	if len(names) == 0 || err == nil && !slices.ContainsFunc(names, func(name string) bool { return barren(c, name) != nil }) {
		return c, err
	}
	if _, without := try(nil, false); without != nil {
		return nil, cmp.Or(err, without)
	}
	// The files are fine without the new answers.
	var fit []string
	for _, name := range names {
		with, refused := try(append(fit[:len(fit):len(fit)], name), true)
		if refused == nil {
			refused = barren(with, name)
		}
		if refused == nil {
			fit = append(fit, name)
			continue
		}
		refuseAnswer(kept, name, firstLine(refused))
	}
	return try(fit, true)
}

func cmpBytes(a, b []byte) []byte {
	if a != nil {
		return a
	}
	return b
}

// barren returns an error if nothing of an answer fits: then it is not its hosts
// that are wrong.
func barren(c *config.Config, name string) error {
	i := slices.IndexFunc(c.Sources, func(s config.Source) bool { return s.Name == name })
	if i < 0 || c.Sources[i].Hosts > 0 || len(c.Sources[i].Refused) == 0 {
		return nil
	}
	all := c.Sources[i].Refused
	return fmt.Errorf("none of its hosts can be taken, of %d: %v", len(all), all[0])
}

func refuseAnswer(kept map[string]config.Answer, name, why string) {
	a := kept[name]
	a.Err = why
	kept[name] = a
}

func firstLine(err error) string {
	line, rest, more := strings.Cut(err.Error(), "\n")
	if more {
		return fmt.Sprintf("%s (and %d more)", line, 1+strings.Count(rest, "\n"))
	}
	return line
}

// load reads the configuration as the daemon has it: with the last good answers of
// its sources.
func load(file string) (*config.Config, error) { return loadKept(file, loadOptions()) }

func loadKept(file string, o config.Options) (*config.Config, error) {
	all, d := config.ReadSources(file, o)
	o.Answers = readAllKept(d, all)
	return loadWith(file, o)
}

// loadWith is config.Load, and leaves Alf's own services their names.
func loadWith(file string, o config.Options) (*config.Config, error) {
	c, err := config.Load(file, o)
	if err == nil {
		err = checkOwn(c)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func readAllKept(d config.Daemon, all []config.Source) map[string]config.Answer {
	kept := make(map[string]config.Answer, len(all))
	for _, s := range all {
		kept[s.Name] = readKept(d, s.Name)
	}
	return kept
}

// loadFresh is load for those who ask the sources themselves now.
func loadFresh(ctx context.Context, file string, o config.Options) (*config.Config, error) {
	all, d := config.ReadSources(file, o)
	kept := readAllKept(d, all)
	return settle(file, o, kept, askAll(ctx, d, all, hadKept(kept)))
}

func hadKept(kept map[string]config.Answer) func(string) int {
	return func(name string) int {
		n, _ := config.CheckAnswer(kept[name].Body)
		return n
	}
}

// loadToServe reads the configuration for a start. A start waits only for sources
// of which no answer was kept, or whose answer does not fit what the files say by
// now; the others are asked as soon as Alf runs.
func loadToServe(ctx context.Context, file string) (*config.Config, error) {
	o := loadOptions()
	all, d := config.ReadSources(file, o)
	kept := readAllKept(d, all)
	known := slices.DeleteFunc(slices.Clone(all), func(s config.Source) bool { return kept[s.Name].Body == nil })
	unknown := slices.DeleteFunc(slices.Clone(all), func(s config.Source) bool { return kept[s.Name].Body != nil })
	ctx, cancel := within(ctx, startPatience)
	defer cancel()
	fresh := askAll(ctx, d, unknown, hadKept(kept))
	c, err := settle(file, o, kept, fresh)
	if len(known) == 0 || err == nil && !refuses(c, known) {
		return c, err
	}
	maps.Copy(fresh, askAll(ctx, d, known, hadKept(kept)))
	return settle(file, o, kept, fresh)
}

// refuses reports whether hosts of these sources are refused.
func refuses(c *config.Config, of []config.Source) bool {
	return slices.ContainsFunc(c.Sources, func(s config.Source) bool {
		return len(s.Refused) > 0 && slices.ContainsFunc(of, func(o config.Source) bool { return o.Name == s.Name })
	})
}

// warnSources tells those who see no warnings of sources whose hosts are missing or
// old.
func warnSources(w io.Writer, c *config.Config) {
	for _, s := range c.Sources {
		switch {
		case s.Answer.Body == nil:
			fmt.Fprintln(w, "alf: warning: "+sanitize.Terminal(fmt.Sprintf("the hosts of source %q are missing: %s", s.Name, cmp.Or(s.Answer.Err, "the daemon has kept no answer of it"))))
		case s.Answer.Err != "":
			fmt.Fprintln(w, "alf: warning: "+sanitize.Terminal(fmt.Sprintf("source %q: %s", s.Name, s.Answer.Err)))
		}
	}
}

// maxLost is how many hosts are named that would be lost.
const maxLost = 20

// losing returns an error if hosts that are there now would be left out of next
// because what a source says of them does not fit any more.
func losing(now *alf.Inventory, next *config.Config) error {
	var errs []error
	for _, s := range next.Sources {
		for _, r := range s.Refused {
			name := alf.HostName(r.Host)
			if now.Host(name) != nil && next.Inventory.Host(name) == nil {
				errs = append(errs, fmt.Errorf("source %q: host %q would be lost: %s", s.Name, r.Host, r.Why))
			}
		}
	}
	if more := len(errs) - maxLost; more > 0 {
		errs = append(errs[:maxLost], fmt.Errorf("and %d more hosts would be lost", more))
	}
	return errors.Join(errs...)
}
